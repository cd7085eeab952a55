//! Texts: files of the kernel, and those of the configuration.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::{Layout, follow};
use crate::health::seen::{Config, Text};

/// Most of a file of the kernel that is read.
const MOST: u64 = 1 << 20;

/// The text of a file under the root; `None` when it cannot be read.
pub(super) fn text(layout: &Layout, path: &str) -> Text {
    at(&layout.real(path))
}

/// The text of a file.
pub(super) fn at(path: &Path) -> Text {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Most `.nix` files of a configuration that are read.
const MOST_FILES: usize = 4_000;

/// Largest of them.
const LARGEST: u64 = 4 << 20;

/// Every `.nix` file below these paths.
pub(super) fn configuration(layout: &Layout, paths: &[PathBuf]) -> Config {
    let mut seen = Config::default();
    let Ok(sources) = follow::roots(layout, paths) else {
        return seen;
    };
    let mut todo: Vec<PathBuf> = sources.roots.into_iter().rev().map(|r| r.path).collect();
    while let Some(logical) = todo.pop() {
        let real = layout.real(&logical);
        let Ok(meta) = fs::symlink_metadata(&real) else {
            continue;
        };
        if meta.is_dir() {
            match fs::read_dir(&real) {
                Ok(entries) => {
                    let mut names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
                    names.retain(|n| !follow::EXCLUDED_NAMES.iter().any(|e| n == *e));
                    names.sort();
                    todo.extend(names.into_iter().rev().map(|name| logical.join(name)));
                }
                Err(error) => seen.files.push((logical, Err(error.to_string()))),
            }
        } else if meta.is_file() && logical.extension().is_some_and(|e| e == "nix") {
            if seen.files.len() >= MOST_FILES {
                seen.cut = true;
                break;
            }
            let text = if meta.len() > LARGEST {
                Err("it is too large".to_owned())
            } else {
                fs::read(&real)
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    .map_err(|error| error.to_string())
            };
            seen.files.push((logical, text));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nix_files_of_the_roots_are_read_and_nothing_of_git() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path().join("state"));
        let write = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{ }").unwrap();
        };
        for path in ["b.nix", "a/c.nix", "a/readme.md", ".git/x.nix"] {
            write(&format!("etc/nixos/{path}"));
        }
        let seen = configuration(&layout, &["/etc/nixos".into(), "/none".into()]);
        let paths: Vec<_> = seen
            .files
            .iter()
            .map(|(p, _)| p.to_str().unwrap())
            .collect();
        assert_eq!(paths, ["/etc/nixos/a/c.nix", "/etc/nixos/b.nix"]);
        assert!(!seen.cut && seen.files[0].1.is_ok());
    }
}
