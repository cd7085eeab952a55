//! The Git checkout a folder belongs to: its commit, and whether it is dirty.
//!
//! Git is run as the owner of the checkout, never as root in somebody else's:
//! a repository's own settings can name programs to run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Layout;
use super::run::{Call, Runner};
use crate::point::document::GitFact;

/// The checkout that holds the logical folder `dir`, if any.
pub fn fact(layout: &Layout, runner: &dyn Runner, dir: &Path) -> Option<GitFact> {
    let top = dir
        .ancestors()
        .find(|a| fs::symlink_metadata(layout.real(a).join(".git")).is_ok())?;
    let real = layout.real(top);
    let status = status(runner, &real);
    Some(GitFact {
        top: top.into(),
        commit: status
            .as_ref()
            .and_then(|s| s.0.clone())
            .or_else(|| head(&real)),
        dirty: status.map(|s| s.1),
    })
}

/// Commit and dirty flag, from one call of `git status`.
fn status(runner: &dyn Runner, top: &Path) -> Option<(Option<String>, bool)> {
    let mut call = Call::new("git")
        .args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args([
            "status",
            "--porcelain=v2",
            "--branch",
            "--untracked-files=normal",
        ])
        .env("GIT_OPTIONAL_LOCKS", "0");
    call.dir = Some(top.to_owned());
    let owner = fs::symlink_metadata(top.join(".git")).ok()?;
    if rustix::process::geteuid().is_root() && owner.uid() != 0 {
        call.user = Some((owner.uid(), owner.gid()));
    }
    let ended = runner.run(&call).ok().filter(|e| e.code == 0)?;
    Some(parse_status(&String::from_utf8_lossy(&ended.stdout)))
}

fn parse_status(text: &str) -> (Option<String>, bool) {
    let commit = text
        .lines()
        .find_map(|line| line.strip_prefix("# branch.oid "))
        .filter(|oid| *oid != "(initial)")
        .map(str::to_owned);
    (
        commit,
        text.lines()
            .any(|line| !line.starts_with('#') && !line.is_empty()),
    )
}

/// The commit of `HEAD`, read from the repository's files: for machines
/// without Git, such as a rescue system.
fn head(top: &Path) -> Option<String> {
    let git = git_dir(top)?;
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return is_commit(head.trim());
    };
    let common = fs::read_to_string(git.join("commondir"))
        .map_or_else(|_| git.clone(), |text| git.join(text.trim()));
    let loose = fs::read_to_string(common.join(reference)).ok();
    loose.and_then(|text| is_commit(text.trim())).or_else(|| {
        let packed = fs::read_to_string(common.join("packed-refs")).ok()?;
        packed.lines().find_map(|line| {
            let (commit, name) = line.split_once(' ')?;
            if name == reference {
                is_commit(commit)
            } else {
                None
            }
        })
    })
}

fn git_dir(top: &Path) -> Option<PathBuf> {
    let dot = top.join(".git");
    if dot.is_dir() {
        return Some(dot);
    }
    let text = fs::read_to_string(&dot).ok()?;
    Some(top.join(text.trim().strip_prefix("gitdir: ")?))
}

fn is_commit(text: &str) -> Option<String> {
    let ok = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    ok.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn porcelain_says_commit_and_dirt() {
        let oid = "a".repeat(40);
        let clean = format!("# branch.oid {oid}\n# branch.head main\n");
        assert_eq!(parse_status(&clean), (Some(oid.clone()), false));
        assert_eq!(
            parse_status(&format!("{clean}? new.nix\n")),
            (Some(oid), true)
        );
        assert_eq!(parse_status("# branch.oid (initial)\n"), (None, false));
    }

    #[test]
    fn head_is_read_without_git() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(head(dir.path()), None);
        let packed = format!("# pack-refs\n{} refs/heads/main\n", "b".repeat(40));
        fs::write(git.join("packed-refs"), packed).unwrap();
        assert_eq!(head(dir.path()), Some("b".repeat(40)));
        fs::write(git.join("refs/heads/main"), format!("{}\n", "c".repeat(40))).unwrap();
        assert_eq!(head(dir.path()), Some("c".repeat(40)));
    }
}
