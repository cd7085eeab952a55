//! Facts of a system toplevel, read from its files.
//!
//! Everything here is immutable (it is in the store), so what several
//! generations share — kernels, version scripts — is read once per run.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::nix::bootspec::{self, BootSpec};
use crate::nix::store_path::StorePath;
use crate::nix::toplevel as names;

/// What a toplevel says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// `nixos-version`.
    pub nixos_version: Option<String>,
    /// The kernel it boots; absent in containers.
    pub kernel_version: Option<String>,
    /// `system.configurationRevision`; absent when the configuration leaves it
    /// unset.
    pub configuration_revision: Option<String>,
    /// Names of its specialisations, sorted.
    pub specialisations: Vec<String>,
}

/// Reads toplevels under one root and remembers what they share.
#[derive(Debug)]
pub struct Reader<'a> {
    layout: &'a Layout,
    kernels: Mutex<HashMap<PathBuf, Option<String>>>,
    revisions: Mutex<HashMap<PathBuf, Option<String>>>,
}

impl<'a> Reader<'a> {
    /// A reader with nothing remembered.
    pub fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            kernels: Mutex::default(),
            revisions: Mutex::default(),
        }
    }

    /// The facts of one toplevel. What is not there is absent; a toplevel
    /// without a kernel or a version is still a toplevel.
    pub fn facts(&self, toplevel: &StorePath) -> Facts {
        let real = self.layout.store_path(toplevel);
        let nixos_version = fs::read_to_string(real.join(names::NIXOS_VERSION))
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        Facts {
            nixos_version,
            kernel_version: self.kernel(&real),
            configuration_revision: self.revision(&real),
            specialisations: specialisations(&real),
        }
    }

    /// As `nixos-rebuild list-generations`: the one folder in the kernel's
    /// `lib/modules`; else the version in the kernel's own store path.
    fn kernel(&self, real: &Path) -> Option<String> {
        let target = fs::read_link(real.join(names::KERNEL)).ok()?;
        self.remember(&self.kernels, target, |target| {
            let package = self.layout.real(target.parent()?);
            let modules = fs::read_dir(package.join("lib/modules")).ok();
            let first = modules.into_iter().flatten().flatten().next();
            first
                .and_then(|entry| entry.file_name().into_string().ok())
                .or_else(|| names::kernel_version_from_path(target))
        })
    }

    /// The `nixos-version` script ends in the JSON that `nixos-version --json`
    /// prints; reading it there saves running a program per generation.
    fn revision(&self, real: &Path) -> Option<String> {
        let sw = fs::read_link(real.join(names::SW)).ok()?;
        self.remember(&self.revisions, sw, |sw| {
            let script = self.layout.resolve(&sw.join("bin/nixos-version")).ok()?;
            let text = fs::read_to_string(self.layout.real(script)).ok()?;
            revision_in_script(&text)
        })
    }

    fn remember(
        &self,
        memory: &Mutex<HashMap<PathBuf, Option<String>>>,
        key: PathBuf,
        read: impl FnOnce(&Path) -> Option<String>,
    ) -> Option<String> {
        if let Some(known) = memory.lock().ok().and_then(|m| m.get(&key).cloned()) {
            return known;
        }
        let value = read(&key);
        if let Ok(mut memory) = memory.lock() {
            memory.insert(key, value.clone());
        }
        value
    }

    /// The bootspec; `None` when there is none (containers).
    ///
    /// # Errors
    /// A line that says what is wrong with `boot.json`.
    pub fn bootspec(&self, toplevel: &StorePath) -> Result<Option<BootSpec>, String> {
        let path = self.layout.store_path(toplevel).join(names::BOOT_JSON);
        match fs::read_to_string(path) {
            Ok(text) => bootspec::parse(&text).map(Some).map_err(|e| e.to_string()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    /// The toplevel of a specialisation.
    pub fn specialisation(&self, parent: &StorePath, name: &str) -> Option<StorePath> {
        let link = self
            .layout
            .store_path(parent)
            .join(names::SPECIALISATION)
            .join(name);
        let target = fs::read_link(link).ok()?;
        StorePath::from_absolute_path(target.to_str()?.as_bytes()).ok()
    }
}

fn specialisations(real: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(real.join(names::SPECIALISATION))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionJson {
    configuration_revision: Option<String>,
}

fn revision_in_script(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with('{'))
        .find_map(|line| serde_json::from_str::<VersionJson>(line).ok())
        .and_then(|json| json.configuration_revision)
        .filter(|revision| !revision.is_empty())
}

/// What the running system runs on, as Nix names it: `x86_64-linux`.
pub fn platform(layout: &Layout) -> Option<String> {
    let file = layout.follow("/run/current-system/system");
    let text = std::fs::read_to_string(file).ok()?;
    let text = text.trim();
    (!text.is_empty() && text.len() < 64).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_found_where_nixos_puts_it() {
        let script = "#!/bin/sh\ncase \"$1\" in\n  --json)\n    cat <<EOF\n\
            {\"configurationRevision\":\"abc123\",\"nixosVersion\":\"26.05\"}\nEOF\n    ;;\nesac\n";
        assert_eq!(revision_in_script(script).as_deref(), Some("abc123"));
        assert_eq!(revision_in_script("{\"nixosVersion\":\"26.05\"}"), None);
        assert_eq!(revision_in_script(""), None);
    }
}
