//! Telling others what happened. Nothing here fails whoever tells: what could
//! not be told is a line for the log.

use std::thread;

use super::{Engine, quiet};
use crate::point::notice::Notice;
use crate::system::herald;

/// Tells the journal, the terminals and the policy's commands; gives what went
/// wrong, one line each. Takes as long as the slowest command may.
///
/// Terminals and commands are those of the running machine: a root that is
/// only mounted has neither.
pub fn tell(engine: &Engine<'_>, notice: &Notice) -> Vec<String> {
    let mut troubles = Vec::new();
    let live = quiet::is_live(engine);
    if let Err(error) = herald::journal(engine.layout, notice)
        && live
    {
        troubles.push(format!("not in the journal: {error}"));
    }
    if !live {
        return troubles;
    }
    let policy = &engine.policy.notify;
    let commands: Vec<_> = policy
        .commands
        .iter()
        .filter(|(_, command)| command.hears(notice.event))
        .collect();
    thread::scope(|scope| {
        let wall = (policy.wall && notice.event.interrupts())
            .then(|| scope.spawn(|| herald::wall(engine.runner, notice)));
        let hooks: Vec<_> = commands
            .iter()
            .map(|(name, hook)| {
                let run = move || {
                    let limit = hook.timeout.duration();
                    let call = herald::hook(&hook.command, notice, limit)
                        .map_err(|error| error.to_string())?;
                    engine
                        .runner
                        .check(&call)
                        .map(|_| ())
                        .map_err(|error| error.to_string())
                };
                (*name, scope.spawn(run))
            })
            .collect();
        if let Some(Ok(Err(error))) = wall.map(thread::ScopedJoinHandle::join) {
            troubles.push(format!("terminals were not told: {error}"));
        }
        for (name, hook) in hooks {
            match hook.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => troubles.push(format!("notify command {name}: {error}")),
                Err(_) => troubles.push(format!("notify command {name}: its thread ended")),
            }
        }
    });
    troubles
}
