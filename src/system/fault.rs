//! Fault points: places where a test may kill the process.
//!
//! A debug build dies by SIGKILL at the point named in `CAIRN_FAULT`
//! (`name`, or `name:N` for the N-th time it is passed); a release build has
//! none of this. Tests walk [`CREATE`], [`PRUNE`] and [`RESTORE`], so a new
//! point is covered by being listed.

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

/// Points passed by `restore`, in order.
pub const RESTORE: &[&str] = &[
    "restore.undo-point",
    "restore.journalled",
    "restore.handed-over",
    "restore.staged",
    "restore.file",
    "restore.config",
    "restore.profile",
    "restore.activated",
    "restore.started",
    "restore.verified",
];

/// Dies here if a test asked for it.
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    imp::point(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Whether a test has a `systemctl` of its own for the root it works on
/// (`CAIRN_FAKE_SYSTEMD`, debug builds only).
pub fn pretends_systemd() -> bool {
    #[cfg(debug_assertions)]
    let pretends = std::env::var_os("CAIRN_FAKE_SYSTEMD").is_some();
    #[cfg(not(debug_assertions))]
    let pretends = false;
    pretends
}

#[cfg(debug_assertions)]
mod imp {
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn point(name: &str) {
        debug_assert!(
            [super::CREATE, super::PRUNE, super::FETCH, super::RESTORE]
                .iter()
                .any(|l| l.contains(&name)),
            "fault point {name} is not listed"
        );
        let Ok(wanted) = std::env::var("CAIRN_FAULT") else {
            return;
        };
        let (wanted, nth) = match wanted.split_once(':') {
            Some((wanted, n)) => (wanted, n.parse().unwrap_or(1)),
            None => (wanted.as_str(), 1),
        };
        if wanted == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }
}
