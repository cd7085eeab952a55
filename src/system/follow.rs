//! What belongs to a configuration: its roots, and the files outside them
//! that it imports or links to.
//!
//! A configuration rarely ends at `/etc/nixos`: that may be a symlink, hold a
//! `flake.nix` that is one, or import `../../srv/shared.nix`. All of it is
//! needed to build the system again, so all of it is found here; what cannot
//! be found without evaluating is reported, never dropped.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::error::optional;
use super::ours::is_ours;
use super::{At, IoError, Layout};
use crate::nix::imports::{self, RefKind, Role};
use crate::point::document::{Missing, RootKind, Unfollowed};

/// Entries of these names are never captured.
pub const EXCLUDED_NAMES: &[&str] = &[".git"];

/// Largest `.nix` file that is searched for imports, in bytes.
const MAX_PARSED: u64 = 4 << 20;

/// One root to capture, at its logical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Logical path, free of symlinks but for its last part.
    pub path: PathBuf,
    /// What is there.
    pub kind: RootKind,
}

/// What is at a real path.
///
/// # Errors
/// When it may not be looked at.
pub fn kind(path: &Path) -> Result<RootKind, IoError> {
    let meta = optional(fs::symlink_metadata(path).at("look at", path))?;
    Ok(kind_of(meta.as_ref()))
}

fn kind_of(meta: Option<&fs::Metadata>) -> RootKind {
    match meta {
        None => RootKind::Absent,
        Some(m) if m.is_dir() => RootKind::Directory,
        Some(m) if m.is_symlink() => RootKind::Symlink,
        Some(_) => RootKind::File,
    }
}

/// Everything that belongs to a configuration.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Roots; none lies in another.
    pub roots: Vec<Root>,
    /// Which of them were reached by an import or a link, not by the policy.
    pub followed: Vec<PathBuf>,
    /// What could not be followed.
    pub unfollowed: Vec<Unfollowed>,
    /// Roots that may not be looked at.
    pub missing: Vec<Missing>,
}

/// Finds the sources of a configuration from the paths the policy names.
///
/// # Errors
/// A loop of symlinks among the named paths.
pub fn sources(layout: &Layout, paths: &[PathBuf]) -> Result<Sources, IoError> {
    let mut search = Search::named(layout, paths)?;
    search.run()?;
    let mut found = search.found;
    found.roots.sort_by(|a, b| a.path.cmp(&b.path));
    found.followed.sort();
    found
        .unfollowed
        .sort_by(|a, b| (&a.file, a.line, &a.text).cmp(&(&b.file, b.line, &b.text)));
    Ok(found)
}

/// Finds what these paths name, and what they lead to when they are symlinks.
/// Nothing is searched for imports.
///
/// # Errors
/// A loop of symlinks among them.
pub fn roots(layout: &Layout, paths: &[PathBuf]) -> Result<Sources, IoError> {
    let mut found = Search::named(layout, paths)?.found;
    found.roots.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Named,
    Followed,
}

struct Search<'a> {
    layout: &'a Layout,
    found: Sources,
    /// Folders and files still to be searched, as logical paths.
    queue: VecDeque<PathBuf>,
    scanned: BTreeSet<PathBuf>,
}

impl<'a> Search<'a> {
    fn named(layout: &'a Layout, paths: &[PathBuf]) -> Result<Self, IoError> {
        let mut search = Self {
            layout,
            found: Sources::default(),
            queue: VecDeque::new(),
            scanned: BTreeSet::new(),
        };
        for path in paths {
            search.add(path, Why::Named)?;
        }
        Ok(search)
    }

    /// Adds a root, and what it leads to when it is a symlink.
    fn add(&mut self, path: &Path, why: Why) -> Result<(), IoError> {
        let above = path.parent().unwrap_or(Path::new("/"));
        let parent = match self.layout.resolve(above) {
            Ok(parent) => parent,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                self.missing(path, &e);
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let place = match path.file_name() {
            Some(name) => parent.join(name),
            None => parent,
        };
        if self.covered(&place) || in_store(&place) {
            return Ok(());
        }
        let meta =
            match optional(fs::symlink_metadata(self.layout.real(&place)).at("look at", &place)) {
                Ok(meta) => meta,
                Err(e) => {
                    self.missing(&place, &e);
                    return Ok(());
                }
            };
        let kind = kind_of(meta.as_ref());
        self.found.roots.retain(|r| !r.path.starts_with(&place));
        self.found.roots.push(Root {
            path: place.clone(),
            kind,
        });
        if why == Why::Followed {
            self.found.followed.push(place.clone());
        }
        if kind == RootKind::Symlink {
            let target = self.layout.resolve(&place)?;
            return self.add(&target, why);
        }
        self.queue.push_back(place);
        Ok(())
    }

    fn missing(&mut self, what: &Path, why: &IoError) {
        self.found.missing.push(Missing {
            what: what.into(),
            why: why.source.to_string(),
        });
    }

    fn covered(&self, path: &Path) -> bool {
        self.found
            .roots
            .iter()
            .any(|r| path == r.path || (r.kind == RootKind::Directory && path.starts_with(&r.path)))
    }

    fn run(&mut self) -> Result<(), IoError> {
        while let Some(path) = self.queue.pop_front() {
            if !self.scanned.insert(path.clone()) {
                continue;
            }
            let real = self.layout.real(&path);
            match fs::symlink_metadata(&real) {
                Ok(meta) if meta.is_dir() => self.folder(&path, &real),
                Ok(meta) if meta.is_symlink() => self.link(&path)?,
                Ok(meta) if meta.is_file() && is_nix(&path) && meta.len() <= MAX_PARSED => {
                    self.nix_file(&path, &real)?;
                }
                Ok(meta) if meta.is_file() && is_nix(&path) => self.unfollowed(
                    &path,
                    1,
                    "",
                    "the file is too large to be searched for imports",
                ),
                // Unreadable things are found and reported by the capture.
                _ => {}
            }
        }
        Ok(())
    }

    /// Queues what a folder holds; what may not be listed is reported by the
    /// capture, which lists it again.
    fn folder(&mut self, path: &Path, real: &Path) {
        for entry in fs::read_dir(real).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let text = name.to_string_lossy();
            if EXCLUDED_NAMES.contains(&&*text) || is_ours(&name) {
                continue;
            }
            let searched = is_nix(Path::new(&name))
                || entry
                    .file_type()
                    .is_ok_and(|t| t.is_dir() || t.is_symlink());
            if searched {
                self.queue.push_back(path.join(name));
            }
        }
    }

    /// A symlink inside a root: what it leads to outside is part of the
    /// configuration. A linked `flake.nix` stands for its whole flake.
    fn link(&mut self, path: &Path) -> Result<(), IoError> {
        let target = match self.layout.resolve(path) {
            Ok(target) => target,
            Err(e) => {
                self.unfollowed(path, 1, "", &e.source.to_string());
                return Ok(());
            }
        };
        if in_store(&target) || self.covered(&target) {
            return Ok(());
        }
        let real = self.layout.real(&target);
        if fs::symlink_metadata(&real).is_err() {
            // Dangling: the link itself is captured, there is nothing more.
            return Ok(());
        }
        if target.file_name().is_some_and(|n| n == "flake.nix")
            && let Some(flake) = target.parent()
            && ["flake.lock", ".git"]
                .iter()
                .any(|f| self.layout.real(flake).join(f).exists())
        {
            return self.add(flake, Why::Followed);
        }
        if real.is_dir() && !self.holds_configuration(&target) {
            let text = format!("link to {}", target.display());
            self.unfollowed(
                path,
                1,
                &text,
                "a folder without Nix files; name it in configPaths",
            );
            return Ok(());
        }
        self.add(&target, Why::Followed)
    }

    fn holds_configuration(&self, dir: &Path) -> bool {
        let real = self.layout.real(dir);
        fs::read_dir(real)
            .into_iter()
            .flatten()
            .flatten()
            .any(|e| is_nix(Path::new(&e.file_name())))
    }

    fn nix_file(&mut self, path: &Path, real: &Path) -> Result<(), IoError> {
        let Ok(bytes) = fs::read(real) else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(&bytes);
        let scan = imports::scan(&text);
        // A torn file has many errors of one cause.
        if let Some(error) = scan.errors.into_iter().next() {
            self.unfollowed(
                path,
                line_number(error.line),
                "",
                &format!("syntax error: {}", error.message),
            );
        }
        let base = path.parent().unwrap_or(Path::new("/"));
        for reference in scan.refs {
            let import = reference.role == Role::Import;
            let line = line_number(reference.line);
            match reference.kind {
                RefKind::Search(text) => {
                    self.unfollowed(path, line, &format!("<{text}>"), "a search path");
                }
                RefKind::Dynamic(text) => {
                    self.unfollowed(path, line, &text, "known only when evaluated");
                }
                RefKind::Literal(literal) => {
                    self.literal(path, line, base, &literal, import)?;
                }
            }
        }
        Ok(())
    }

    fn literal(
        &mut self,
        file: &Path,
        line: u32,
        base: &Path,
        literal: &Path,
        import: bool,
    ) -> Result<(), IoError> {
        let shown = literal.to_string_lossy().into_owned();
        if literal.starts_with("~") {
            self.unfollowed(file, line, &shown, "it depends on the user's home");
            return Ok(());
        }
        let target = match self.layout.resolve(&normal(&base.join(literal))) {
            Ok(target) => target,
            Err(e) => {
                self.unfollowed(file, line, &shown, &e.source.to_string());
                return Ok(());
            }
        };
        if in_store(&target) {
            return Ok(());
        }
        match fs::symlink_metadata(self.layout.real(&target)) {
            Ok(_) if self.covered(&target) => Ok(()),
            Ok(meta) if meta.is_dir() && !import => {
                self.unfollowed(
                    file,
                    line,
                    &shown,
                    "a folder outside; name it in configPaths",
                );
                Ok(())
            }
            Ok(meta) if meta.is_dir() || meta.is_file() => self.add(&target, Why::Followed),
            Ok(_) => {
                self.unfollowed(file, line, &shown, "neither a file nor a folder");
                Ok(())
            }
            Err(e) => {
                self.unfollowed(file, line, &shown, &e.to_string());
                Ok(())
            }
        }
    }

    fn unfollowed(&mut self, file: &Path, line: u32, text: &str, why: &str) {
        self.found.unfollowed.push(Unfollowed {
            file: file.into(),
            line,
            text: text.to_owned(),
            why: why.to_owned(),
        });
    }
}

fn line_number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

fn is_nix(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "nix")
}

fn in_store(path: &Path) -> bool {
    path.starts_with("/nix/store")
}

/// Takes `.` and `..` out of a path, as Nix does before it looks at the disk.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
