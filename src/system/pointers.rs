//! The pointers of a running system, and the facts a restore point records.

use std::fs;
use std::path::Path;

use super::generations;
use super::toplevel::{Facts, Reader};
use super::{IoError, Layout, loader};
use crate::nix::store_path::StorePath;
use crate::point::document::{Incoming, Kernel, ProfileFact, Specialisation, System};

/// What the machine is, as far as a restore point records it.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The document's `system` part.
    pub system: System,
    /// Host name.
    pub host: String,
    /// Machine id.
    pub machine_id: Option<String>,
}

/// `/run/current-system`.
pub fn current(layout: &Layout) -> Option<StorePath> {
    pointer(layout, "/run/current-system")
}

/// `/run/booted-system`.
pub fn booted(layout: &Layout) -> Option<StorePath> {
    pointer(layout, "/run/booted-system")
}

fn pointer(layout: &Layout, link: &str) -> Option<StorePath> {
    let target = fs::read_link(layout.real(link)).ok()?;
    StorePath::from_absolute_path(target.to_str()?.as_bytes()).ok()
}

/// Observes the machine: four pointers, the profile `name`, facts of the
/// system that would be restored.
///
/// # Errors
/// When the profiles directory exists and cannot be listed.
pub fn observe(
    layout: &Layout,
    name: &str,
    incoming: Option<Incoming>,
) -> Result<Observation, IoError> {
    let profile = generations::current_of(layout, name);
    let current = current(layout);
    // What the profile points to needs no search; anything else may be a
    // specialisation of some generation.
    let listed = |running: &StorePath| profile.as_ref().is_some_and(|g| g.toplevel == *running);
    let specialisation = match &current {
        Some(running) if !listed(running) => {
            let all = generations::read(layout, name)?;
            generations::specialisation_of(layout, &all, running)
                .map(|(name, parent)| Specialisation { name, parent })
        }
        _ => None,
    };
    let incoming = incoming.map(|to| Incoming {
        specialisation: profile
            .as_ref()
            .and_then(|g| specialisation_in(layout, &g.toplevel, &to.toplevel)),
        ..to
    });
    let mut system = System {
        profile: profile.map(|g| ProfileFact {
            name: name.to_owned(),
            generation: g.number,
            toplevel: g.toplevel,
        }),
        current,
        booted: booted(layout),
        loader_default: loader::default(layout),
        specialisation,
        incoming,
        kernel: Kernel {
            running: running_kernel(layout),
            target: None,
        },
        nixos_version: None,
        configuration_revision: None,
    };
    let facts = system
        .current
        .as_ref()
        .or(system.target())
        .map(|t| Reader::new(layout).facts(t));
    if let Some(Facts {
        nixos_version,
        kernel_version,
        configuration_revision,
        ..
    }) = facts
    {
        system.kernel.target = kernel_version;
        system.nixos_version = nixos_version;
        system.configuration_revision = configuration_revision;
    }
    Ok(Observation {
        system,
        host: host(layout),
        machine_id: machine_id(layout),
    })
}

/// The specialisation of `parent` that `toplevel` is.
fn specialisation_in(
    layout: &Layout,
    parent: &StorePath,
    toplevel: &StorePath,
) -> Option<Specialisation> {
    let name = generations::name_of_specialisation(layout, parent, toplevel)?;
    let parent = parent.clone();
    Some(Specialisation { name, parent })
}

/// The machine's own id, which is to stay with it.
pub fn machine_id(layout: &Layout) -> Option<String> {
    read_word(layout, "/etc/machine-id")
}

/// `uname -r`; `None` for another root than `/`.
pub fn running_kernel(layout: &Layout) -> Option<String> {
    layout.is_live().then(|| {
        rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned()
    })
}

/// The host name: of the running machine, or from the `/etc/hostname` of
/// another root.
pub fn host(layout: &Layout) -> String {
    if layout.is_live() {
        return rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
    }
    read_word(layout, "/etc/hostname").unwrap_or_else(|| "unknown".to_owned())
}

/// NixOS makes files in `/etc` links with absolute targets: they are followed
/// inside the root.
fn read_word(layout: &Layout, path: &str) -> Option<String> {
    let real = layout.real(layout.resolve(Path::new(path)).ok()?);
    let text = fs::read_to_string(real).ok()?;
    let word = text.trim();
    (!word.is_empty() && word.len() <= 255).then(|| word.to_owned())
}
