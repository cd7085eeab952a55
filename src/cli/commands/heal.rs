//! `heal`

use super::super::Exit;
use super::super::args::Heal;
use super::super::failure::Failure;
use super::super::out::complain;
use super::super::session::Session;
use super::super::usage::hint;
use crate::engine::heal::{self, Ask};
use crate::heal::Healed;
use crate::render;
use crate::render::style::line;
use crate::system::pointers;

/// `heal`
pub(super) fn heal(s: &Session, args: &Heal) -> Result<Exit, Failure> {
    let ask = Ask {
        only: args.issues.clone(),
    };
    let engine = s.engine();
    let host = pointers::host(s.layout());
    if s.dry_run() || !s.says_yes() {
        let plan = heal::plan(&engine, &ask)?;
        let acts = plan.cut_off || plan.issues.iter().any(|treated| treated.held.is_none());
        if s.dry_run() {
            return show(s, args, &plan, &host);
        }
        if acts {
            s.out
                .say(render::heal::report(&plan, &host, &s.out.style).trim_end())?;
            s.confirm("heal", "Heal what can be?")?;
        }
    }
    s.begin_work();
    let (quiet, json) = (s.out.quiet, s.out.json);
    let say = |text: &str| {
        if !quiet && !json {
            complain(format!("cairn: {}", line(text)));
        }
    };
    let healed = heal::heal(&engine, &ask, &say)?;
    show(s, args, &healed, &host)
}

fn show(s: &Session, args: &Heal, healed: &Healed, host: &str) -> Result<Exit, Failure> {
    s.out.result("heal", healed, |style| {
        let mut text = render::heal::report(healed, host, style);
        if let Some(next) = render::heal::next(healed) {
            text.push('\n');
            text.push_str(&hint(&next));
        }
        text.into_bytes()
    })?;
    let stuck = healed
        .issues
        .iter()
        .flat_map(|treated| &treated.tries)
        .chain(&healed.finished)
        .any(|tried| tried.trouble.is_some());
    // Asked for an issue that is not there, it has no more to say.
    let in_vain = healed.issues.is_empty() && !args.issues.is_empty();
    let is_ill = healed.remains() || !(healed.healthy || in_vain);
    if healed.interrupted {
        return Ok(Exit::Interrupted);
    }
    Ok(match (stuck, is_ill) {
        (true, _) => Exit::Partial,
        (false, true) if !healed.dry_run => Exit::Unhealthy,
        _ => Exit::Ok,
    })
}
