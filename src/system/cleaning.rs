//! Making room: the garbage of the store, the journal, temporary files.

use std::path::Path;
use std::time::Duration;

use super::run::{Call, RunError, Runner};
use super::{Layout, room};

/// How long collecting garbage may take.
const GARBAGE: Duration = Duration::from_secs(30 * 60);

/// How long the rest may take.
const FILES: Duration = Duration::from_secs(5 * 60);

/// What of the journal always stays, in bytes.
const LEAST_JOURNAL: u64 = 16 << 20;

/// Whether both logical paths are on one filesystem.
pub fn share_a_filesystem(layout: &Layout, one: &str, other: &str) -> bool {
    let device = |path: &str| room::at(&layout.real(Path::new(path))).ok().flatten();
    match (device(one), device(other)) {
        (Some(one), Some(other)) => one.device == other.device,
        _ => false,
    }
}

/// The first of these logical folders that is there and on the filesystem of
/// `path`.
pub fn first_on<'p>(layout: &Layout, path: &str, folders: &[&'p str]) -> Option<&'p str> {
    let on = |folder: &&&str| {
        layout.real(Path::new(folder)).is_dir() && share_a_filesystem(layout, path, folder)
    };
    folders.iter().find(on).copied()
}

/// Collects garbage. Generations and what points pin are roots, and stay.
///
/// # Errors
/// When Nix says no.
pub fn collect_garbage(runner: &dyn Runner) -> Result<(), RunError> {
    // `nix-collect-garbage` alone: with -d it would delete generations.
    let call = Call::new("nix-collect-garbage").limit(GARBAGE);
    runner.check(&call).map(drop)
}

/// Removes temporary files that are old enough, as systemd's timer does.
///
/// # Errors
/// When it says no. Single files that cannot be removed are no error.
pub fn clean_temporary_files(runner: &dyn Runner) -> Result<(), RunError> {
    let call = Call::new("systemd-tmpfiles").arg("--clean").limit(FILES);
    let ended = runner.run(&call)?;
    // EX_DATAERR and EX_CANTCREAT: some lines were bad, the others were done.
    match ended.code {
        0 | 65 | 73 => Ok(()),
        code => Err(RunError::Failed {
            line: call.line(),
            code,
            stderr: ended.stderr,
        }),
    }
}

/// How many bytes of the journal may go; `None` where that is not worth it.
///
/// # Errors
/// When the journal cannot be asked.
pub fn journal_to_spare(runner: &dyn Runner) -> Result<Option<u64>, RunError> {
    let call = Call::new("journalctl").arg("--disk-usage").limit(FILES);
    let told = runner.check(&call)?.stdout;
    let takes = usage(&String::from_utf8_lossy(&told));
    Ok(takes.and_then(|takes| takes.checked_sub(stays(takes)).filter(|bytes| *bytes > 0)))
}

/// Removes the oldest of the journal, but for a quarter.
///
/// # Errors
/// When the journal cannot be asked, or does not let go of it.
pub fn vacuum_journal(runner: &dyn Runner) -> Result<(), RunError> {
    let call = Call::new("journalctl").arg("--disk-usage").limit(FILES);
    let told = runner.check(&call)?.stdout;
    let takes = usage(&String::from_utf8_lossy(&told)).unwrap_or(0);
    let size = format!("--vacuum-size={}", stays(takes));
    // What is being written to is no archive yet; it becomes one.
    let both = Call::new("journalctl").args(["--rotate", &size]);
    if runner.check(&both.limit(FILES)).is_ok() {
        return Ok(());
    }
    let archives = Call::new("journalctl").arg(&size);
    runner.check(&archives.limit(FILES)).map(drop)
}

fn stays(takes: u64) -> u64 {
    (takes / 4).max(LEAST_JOURNAL)
}

/// "Archived and active journals take up 48.0M in the file system."
fn usage(told: &str) -> Option<u64> {
    let word = told.split("take up ").nth(1)?.split_whitespace().next()?;
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    let unit = match word.get(digits.len()..)? {
        "B" | "" => 1.0,
        "K" => 1024.0,
        "M" => 1024.0 * 1024.0,
        "G" => 1024.0 * 1024.0 * 1024.0,
        "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * unit;
    // Far below what a float counts exactly, and not negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bytes = (0.0..1e15).contains(&bytes).then_some(bytes as u64);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::run::{Ended, Recorder};
    use std::sync::Mutex;

    #[test]
    fn a_quarter_of_the_journal_stays() {
        struct Journal(Mutex<Vec<String>>);
        impl Runner for Journal {
            fn run(&self, call: &Call) -> Result<Ended, RunError> {
                self.0.lock().unwrap().push(call.line());
                let told = "Archived and active journals take up 800.0M in the file system.\n";
                Ok(Ended {
                    stdout: told.into(),
                    ..Ended::default()
                })
            }
        }
        let journal = Journal(Mutex::default());
        assert_eq!(journal_to_spare(&journal).unwrap(), Some(600 << 20));
        vacuum_journal(&journal).unwrap();
        let lines = journal.0.lock().unwrap();
        let size = 200 << 20;
        assert_eq!(
            lines.last().unwrap(),
            &format!("journalctl --rotate --vacuum-size={size}")
        );
    }

    #[test]
    fn what_the_journal_takes_is_read() {
        let of = |size: &str| {
            usage(&format!(
                "Archived and active journals take up {size} in the file system.\n"
            ))
        };
        assert_eq!(of("48.0M"), Some(48 << 20));
        assert_eq!(of("1.5G"), Some(3 << 29));
        assert_eq!(of("0B"), Some(0));
        assert_eq!(of("much"), None);
        assert_eq!(usage("No journal files were found."), None);
    }

    #[test]
    fn garbage_is_collected_without_deleting_generations() {
        let recorder = Recorder::default();
        collect_garbage(&recorder).unwrap();
        clean_temporary_files(&recorder).unwrap();
        let lines: Vec<String> = recorder.0.lock().unwrap().iter().map(Call::line).collect();
        assert_eq!(lines, ["nix-collect-garbage", "systemd-tmpfiles --clean"]);
    }

    #[test]
    fn folders_of_one_filesystem_are_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("var/tmp")).unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        assert!(share_a_filesystem(&layout, "/", "/var"));
        assert_eq!(
            first_on(&layout, "/", &["/tmp", "/var/tmp"]),
            Some("/var/tmp")
        );
        assert_eq!(first_on(&layout, "/", &["/tmp"]), None);
        // The kernel's own filesystem is another.
        assert!(!share_a_filesystem(&Layout::new("/", "/"), "/", "/proc"));
    }
}
