//! Steps, and the places in them where a test may strike.
//!
//! Whatever changes the machine, the journal or the vault does so in a
//! [`step`] of a name. A debug build dies by SIGKILL before or after the step
//! that `CAIRN_FAULT` names, or has the step fail; a release build has none of
//! this. What may be asked for:
//!
//! ```text
//! restore.file            die after the step, the first time it is taken
//! restore.file:3          the third time
//! before restore.file:3   die before it
//! restore.file:3=enospc   have it fail instead (enospc, eio)
//! vault.write:2+=enospc   and fail each time from then on
//! restore.file=int        be asked to stop after it, as by a Ctrl-C
//! ```
//!
//! With `CAIRN_FAULT_LOG` every passage is written to that file. Tests walk
//! what an undisturbed run wrote there, and see that all that is listed here
//! is passed: a new step is covered by being taken.

use std::io;

/// Points passed by `create`, in order.
pub const CREATE: &[&str] = &[
    "create.locked",
    "create.begun",
    "create.observed",
    "create.captured",
    "create.owed",
    "create.stopped",
    "create.state-captured",
    "create.started",
    "create.pinned",
    "create.marked",
    "create.documented",
    "create.ended",
];

/// Points passed by `create` where state is read from a snapshot of its
/// filesystem, in order.
pub const SNAPSHOT: &[&str] = &["create.snapshot-owed", "create.snapshot", "create.read"];

/// Points passed by `prune`, in order.
pub const PRUNE: &[&str] = &[
    "prune.locked",
    "prune.document-removed",
    "prune.marks-removed",
    "prune.unpinned",
    "prune.documents-removed",
    "prune.forgotten",
    "prune.vault-pruned",
];

/// Points passed by a restore whose system is fetched first, before all others.
pub const FETCH: &[&str] = &["fetch.held", "fetch.done"];

/// Steps of `restore` and `undo` alone.
pub const RESTORE: &[&str] = &[
    "restore.undo-point",
    "restore.journalled",
    "restore.handed-over",
    "restore.ended",
];

/// Steps of `restore`, `undo`, `resume` and `abort`.
pub const CONVERGE: &[&str] = &[
    "restore.swept",
    "restore.folder",
    "restore.content",
    "restore.content-flushed",
    "restore.staged",
    "restore.parent",
    "restore.file",
    "restore.flushed",
    "restore.config",
    "restore.emptied",
    "restore.times",
    "restore.profile",
    "restore.activated",
    "restore.started",
    "restore.verified",
];

/// Steps of `resume` and `abort` alone.
pub const END: &[&str] = &[
    "end.undo-point",
    "end.journalled",
    "end.handed-over",
    "end.ended",
];

/// Points passed by a merge between its undo point and its journal, in order.
pub const MERGE: &[&str] = &["merge.begun", "merge.composed", "merge.documented"];

/// Points passed by `import`, in order.
pub const IMPORT: &[&str] = &[
    "import.begun",
    "import.copied",
    "import.pinned",
    "import.documented",
];

/// Steps of `heal`, beside those of the points and restores it takes.
pub const HEAL: &[&str] = &[
    "heal.opened",
    "heal.acted",
    "heal.taken-back",
    "heal.closed",
    "heal.marked",
];

/// Points passed by `restore --to`, in order.
pub const TAKEOUT: &[&str] = &["takeout.begun", "takeout.written", "takeout.placed"];

/// Points passed by `remote push`, in order, and each file that it sends to a
/// server.
pub const PUSH: &[&str] = &["remote.write", "remote.copied", "remote.noted"];

/// Points passed by `remote prune`: after what makes points is gone, and after
/// their content is.
pub const REMOTE_PRUNE: &[&str] = &["remote.forgotten"];

/// Files of the vault and the state directory, wherever they are touched.
pub const FILES: &[&str] = &["vault.read", "vault.list", "vault.write", "state.write"];

/// Takes a step.
///
/// # Errors
/// Those of the step; `refused` makes one of what a test asked for.
pub fn step<T, E>(
    name: &'static str,
    refused: impl FnOnce(io::Error) -> E,
    take: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    before(name).map_err(refused)?;
    let taken = take()?;
    point(name);
    Ok(taken)
}

/// Dies here if a test asked for it, or fails.
///
/// # Errors
/// Only what a test asked for.
pub fn before(name: &'static str) -> io::Result<()> {
    #[cfg(debug_assertions)]
    return imp::passed(name, true);
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        Ok(())
    }
}

/// Dies here if a test asked for it: the step is done.
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    let _ = imp::passed(name, false);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// How long work goes on before it is told of, if a test says so
/// (`CAIRN_TELL_AFTER`, milliseconds, debug builds only).
#[allow(clippy::disallowed_methods)]
pub fn tells_after() -> Option<std::time::Duration> {
    #[cfg(debug_assertions)]
    let millis = std::env::var("CAIRN_TELL_AFTER").ok()?.parse().ok();
    #[cfg(not(debug_assertions))]
    let millis: Option<u64> = None;
    millis.map(std::time::Duration::from_millis)
}

/// Whether a test has a `systemctl` of its own for the root it works on
/// (`CAIRN_FAKE_SYSTEMD`, debug builds only).
pub fn pretends_systemd() -> bool {
    #[cfg(debug_assertions)]
    let pretends = imp::pretends_systemd();
    #[cfg(not(debug_assertions))]
    let pretends = false;
    pretends
}

#[cfg(debug_assertions)]
#[allow(clippy::disallowed_methods)]
mod imp {
    use std::io::{self, Write};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    use crate::system::interrupt;

    /// What happens there.
    enum Strike {
        /// SIGKILL.
        Dies,
        /// SIGINT, and on to the next safe place.
        IsAsked,
        /// The step fails.
        Fails(Errno),
    }

    /// What a test asked for.
    struct Asked {
        name: String,
        before: bool,
        nth: u64,
        /// Also each time after that.
        on: bool,
        strike: Strike,
    }

    impl Asked {
        fn parse(text: &str) -> Self {
            let (text, strike) = match text.split_once('=') {
                Some((text, "int")) => (text, Strike::IsAsked),
                Some((text, "enospc")) => (text, Strike::Fails(Errno::NOSPC)),
                Some((text, _)) => (text, Strike::Fails(Errno::IO)),
                None => (text, Strike::Dies),
            };
            let (before, text) = match text.strip_prefix("before ") {
                Some(text) => (true, text),
                None => (matches!(strike, Strike::Fails(_)), text),
            };
            let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
            Self {
                name: name.to_owned(),
                before,
                nth: nth.trim_end_matches('+').parse().unwrap_or(1),
                on: nth.ends_with('+'),
                strike,
            }
        }
    }

    static ASKED: OnceLock<Option<Asked>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn pretends_systemd() -> bool {
        std::env::var_os("CAIRN_FAKE_SYSTEMD").is_some()
    }

    pub(super) fn passed(name: &'static str, before: bool) -> io::Result<()> {
        let lists = [
            super::CREATE,
            super::SNAPSHOT,
            super::PRUNE,
            super::RESTORE,
            super::CONVERGE,
            super::END,
            super::FETCH,
            super::MERGE,
            super::IMPORT,
            super::TAKEOUT,
            super::HEAL,
            super::PUSH,
            super::REMOTE_PRUNE,
            super::FILES,
        ];
        debug_assert!(
            lists.iter().any(|l| l.contains(&name)),
            "fault point {name} is not listed"
        );
        if let Some(log) = std::env::var_os("CAIRN_FAULT_LOG") {
            let mut log = std::fs::File::options()
                .append(true)
                .create(true)
                .open(log)?;
            let word = if before { "before " } else { "" };
            log.write_all(format!("{word}{name}\n").as_bytes())?;
        }
        let asked = ASKED.get_or_init(|| Some(Asked::parse(&std::env::var("CAIRN_FAULT").ok()?)));
        let Some(asked) = asked
            .as_ref()
            .filter(|a| a.name == name && a.before == before)
        else {
            return Ok(());
        };
        let count = PASSED.fetch_add(1, Ordering::Relaxed) + 1;
        if count != asked.nth && !(asked.on && count > asked.nth) {
            return Ok(());
        }
        match asked.strike {
            Strike::Fails(errno) => return Err(errno.into()),
            Strike::Dies => {
                let _ = kill_process(getpid(), Signal::KILL);
            }
            Strike::IsAsked => {
                let _ = kill_process(getpid(), Signal::INT);
                // It is heard on another thread.
                let end = Instant::now() + Duration::from_secs(10);
                while !interrupt::asked() && Instant::now() < end {
                    sleep(Duration::from_millis(1));
                }
            }
        }
        Ok(())
    }
}
