//! `learn`

use super::super::Exit;
use super::super::args::Learn;
use super::super::failure::Failure;
use super::super::session::Session;
use crate::engine::learn;
use crate::render;
use crate::render::style::count;
use crate::system::history::Imported;

/// `learn`
pub(super) fn run(s: &Session, args: Learn) -> Result<Exit, Failure> {
    let engine = s.engine();
    let notes = match args {
        Learn::Show => {
            let (learned, notes) = learn::show(&engine)?;
            s.out.result("learned", &learned, |style| {
                render::learn::learned(&learned, style).into_bytes()
            })?;
            notes
        }
        Learn::Export { file } => {
            let (exported, notes) = learn::export(&engine, &file)?;
            s.out.result("exported", &exported, |_| {
                let machines = count(exported.machines, "machine");
                format!("wrote what {machines} learned to {}\n", file.display()).into_bytes()
            })?;
            if exported.left_out > 0 {
                let entries = exported.left_out;
                let entries = match entries {
                    1 => "1 entry was".to_owned(),
                    n => format!("{n} entries were"),
                };
                s.out.warn(format!(
                    "{entries} left out: a name of more than small letters, digits and - \
                     could say more than it should"
                ));
            }
            notes
        }
        Learn::Import { file } => {
            let (imported, notes) = learn::import(&engine, &file, s.dry_run())?;
            let Imported { machines, news } = imported;
            let told = serde_json::json!({ "machines": machines, "news": news });
            s.out.result("imported", told, |_| {
                let machines = count(machines, "machine");
                match s.dry_run() {
                    true => format!("{machines} in it\n\nnothing was changed: this is a dry run\n"),
                    false => format!("{machines} in it, {news} with news\n"),
                }
                .into_bytes()
            })?;
            notes
        }
    };
    notes.iter().for_each(|note| s.out.warn(note));
    Ok(Exit::Ok)
}
