//! `try`

use super::super::args::Try;
use super::super::failure::Failure;
use super::super::out::complain;
use super::super::session::Session;
use super::super::{End, Exit};
use super::points::{RECOVERY_KEPT, short};
use crate::engine::{EngineError, chronicle, trial};
use crate::point::PointId;
use crate::point::switch::Done;
use crate::render::style::line;
use crate::render::switch::words;
use crate::system::run::Call;
use crate::system::{foreground, offspring};

/// `try`: the command's own exit code when what it did stays.
pub(super) fn attempt(s: &Session, args: Try) -> Result<End, Failure> {
    let engine = s.engine();
    let (program, rest) = args
        .command
        .split_first()
        .ok_or_else(|| Failure::Usage("try needs a command: cairn try -- CMD".to_owned()))?;
    let call = Call::new(program).args(rest);
    let command: String = line(&call.line()).chars().take(200).collect();
    if s.dry_run() {
        return Err(Failure::Usage(
            "what a command would do is not known before it runs".to_owned(),
        ));
    }
    // What the command prints is its own; what is said of it goes beside.
    let say = |text: &str| {
        if !s.out.quiet {
            complain(format!("cairn: {}", line(text)));
        }
    };
    let ask = trial::Ask {
        command,
        state: args.state,
        may_fail: args.may_fail,
        confirm: args.confirm_timeout.or(engine.policy.gate.confirm_timeout),
    };
    let begun = |begun: &trial::Begun| {
        if let Some(point) = begun.switch.point {
            say(&format!("restore point {} taken", short(point)));
        }
        if begun.recovery {
            say(RECOVERY_KEPT);
        }
        begun.warnings.iter().for_each(|warning| say(warning));
    };
    let watcher = s.watcher()?;
    let run = |id: PointId| {
        let marked = call.clone().env(offspring::VARIABLE, id.to_string());
        foreground::run(&marked).map_err(EngineError::from)
    };
    let switch = trial::attempt(&engine, ask, &watcher, &begun, &run, &say)?;
    for note in chronicle::note_switch(&engine, &switch) {
        say(&note);
    }
    say(&words(&switch));
    let code = switch.tried.as_ref().and_then(|tried| tried.exit);
    Ok(match switch.result.as_ref().map(|result| result.done) {
        Some(Done::WentBack | Done::WentBackAtBoot | Done::Repaired) => Exit::RolledBack.into(),
        Some(Done::Stuck) => Exit::Error.into(),
        _ => match code.map(u8::try_from) {
            Some(Ok(code)) => End::Passed(code),
            _ => Exit::Error.into(),
        },
    })
}
