//! What came of a switch, and what to do about it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::nix::store_path::StorePath;
use crate::point::document::{Incoming, System};
use crate::point::health::{Status, Verdict as Said};
use crate::point::switch::{Action, Reached, Switch, Verdict};

/// The machine after a switch let go of its lock.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The pointers.
    pub system: System,
    /// Whether `/run/nixos` still lists units to start: a switch was killed.
    pub lists_left: bool,
    /// The exit code, where systemd told it.
    pub exit: Option<i32>,
    /// Whether the two systems have different init interfaces.
    pub init_differs: bool,
    /// Whether nobody answers on D-Bus: no switch can go on then.
    pub bus_dead: bool,
}

/// How far the switch came.
///
/// The pointers tell it: `switch-to-configuration` relinks
/// `/run/current-system` only after its checks, the boot loader and the init
/// interface passed. The exit code settles what they leave open.
pub fn reached(switch: &Switch, seen: &Seen) -> Reached {
    let runs = |path: &StorePath| seen.system.current.as_ref() == Some(path);
    let was = switch.before.current.as_ref();
    let is_default = is_boot_default(switch, &seen.system);
    if switch.action == Action::Boot {
        return match seen.exit {
            Some(0) => Reached::Switched,
            None if is_default => Reached::Switched,
            _ => Reached::Refused,
        };
    }
    if seen.lists_left && !matches!(seen.exit, Some(0..=4)) {
        return Reached::Interrupted;
    }
    match seen.exit {
        Some(100) => return Reached::NeedsReboot,
        Some(0 | 2 | 4) if runs(&switch.to) => return Reached::Switched,
        Some(code) if code > 128 => return Reached::Interrupted,
        _ => {}
    }
    if runs(&switch.to) && was != Some(&switch.to) {
        // It runs; if the bus died under it, the units may not.
        return if seen.exit == Some(1) {
            Reached::Interrupted
        } else {
            Reached::Switched
        };
    }
    if seen.system.current.as_ref() != was {
        return Reached::Superseded;
    }
    if was == Some(&switch.to) {
        // The same system again: the pointers cannot tell.
        return match seen.exit {
            Some(1) => Reached::Refused,
            _ => Reached::Switched,
        };
    }
    if seen.init_differs || (seen.bus_dead && switch.action == Action::Switch && is_default) {
        return Reached::NeedsReboot;
    }
    Reached::Refused
}

/// Whether the switch came as far as the boot loader: that tells it where it
/// can be read, else the profile does. For a specialisation the profile always
/// does, as loaders may have no default of that kind.
fn is_boot_default(switch: &Switch, now: &System) -> bool {
    let incoming = switch.before.incoming.as_ref();
    let profile = now.profile.as_ref().map(|p| &p.toplevel);
    match &now.loader_default {
        _ if incoming.is_some_and(|to| to.specialisation.is_some()) => {
            profile == incoming.map(Incoming::generation)
        }
        Some(default) => *default == switch.to,
        None => profile == Some(&switch.to),
    }
}

/// Units that are not well now and were before the switch.
pub fn blame(before: &[String], after: &[String]) -> Vec<String> {
    let before: BTreeSet<&String> = before.iter().collect();
    let mut new: Vec<String> = after
        .iter()
        .filter(|unit| !before.contains(unit))
        .cloned()
        .collect();
    new.sort();
    new.dedup();
    new
}

/// What a failing check comes to at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It makes the system bad.
    Bad,
    /// It is only told.
    Told,
    /// It failed before the switch too: it is only told.
    AsBefore,
}

/// What a failing check comes to, by what it said before the switch.
///
/// What the policy has run (commands, files) counts where it is required, and
/// did not fail before. The other checks count only where they are known to
/// have been well before: else they may well say something of the machine, and
/// nothing of the system.
pub fn weigh(verdict: &Said, before: Option<Status>) -> Weight {
    let own = matches!(verdict.name.as_str(), "check" | "file");
    match before {
        Some(Status::Failing) => Weight::AsBefore,
        _ if own && verdict.required => Weight::Bad,
        Some(Status::Ok | Status::Warning) if !own => Weight::Bad,
        _ => Weight::Told,
    }
}

/// What to do about a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Leave,
    /// Put the profile and the boot loader back; the running system is right.
    Repair,
    /// Make the new system the boot default: it may only be booted into.
    Boot,
    /// Make the system of before run again, and boot.
    GoBack,
}

/// What there is to decide on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The switch.
    pub switch: &'a Switch,
    /// How far it came.
    pub reached: Reached,
    /// What the gate says of the system.
    pub verdict: Verdict,
    /// Whether the boot default or the profile is not what it was before.
    pub default_moved: bool,
    /// Whether the profile has the new system, and NixOS refuses to switch to
    /// that without a reboot.
    pub inhibited: bool,
    /// Whether the system of before failed a gate itself.
    pub before_is_bad: bool,
}

/// What to do, and why not more.
pub fn decide(case: Case<'_>) -> (Decision, Option<&'static str>) {
    let Case {
        switch,
        reached,
        verdict,
        default_moved,
        inhibited,
        before_is_bad,
    } = case;
    // What a command did beside switching is taken back as well.
    let tried = switch.tried.is_some();
    let same = switch.before.current.as_ref() == Some(&switch.to) && !tried;
    let before_is_bad = before_is_bad && !tried;
    let wanted = match (reached, verdict) {
        (Reached::Refused, _) if inhibited && switch.action == Action::Switch => Decision::Boot,
        (Reached::Refused, _) if default_moved => Decision::Repair,
        (Reached::Interrupted, _) | (Reached::Switched, Verdict::Bad) => Decision::GoBack,
        _ => Decision::Leave,
    };
    match wanted {
        Decision::GoBack if same && reached == Reached::Switched => (
            Decision::Leave,
            Some("the system before was the same one: there is nothing to go back to"),
        ),
        Decision::GoBack if before_is_bad && !same => (
            Decision::Leave,
            Some("the system before failed its gate too: going back would not help"),
        ),
        Decision::GoBack if switch.before.current.is_none() => {
            (Decision::Leave, Some("no system ran before"))
        }
        other => (other, None),
    }
}

/// How long a restore point counts for the next action on the same system:
/// deployers call `test` and then `boot` for one change.
const ONE_CHANGE: Duration = Duration::from_secs(15 * 60);

/// Whether `action` on `to` goes on with what `last` began, so that the point
/// taken for that holds what was there before.
pub fn continues(
    last: &Switch,
    to: &StorePath,
    action: Action,
    running: Option<&StorePath>,
    now: DateTime<Utc>,
) -> bool {
    let age = (now - last.started).to_std();
    last.to == *to
        && last.action != action
        && last.point.is_some()
        && last.stands()
        && (running == Some(to) || running == last.before.current.as_ref())
        && age.is_ok_and(|age| age <= ONE_CHANGE)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
