//! The systems of the demo: what each is made of, oldest first.

use std::collections::BTreeMap;

use super::object::{Leaf, Object};
use crate::nix::store_path::{self, StorePath};

/// Version and packages of each: three good ones, then a bad update without
/// the web server.
const SYSTEMS: [(&str, &[&str]); 4] = [
    (
        "26.05.1",
        &[
            "linux-6.12.30",
            "systemd-257.6",
            "openssl-3.4.1",
            "nginx-1.28.0",
        ],
    ),
    (
        "26.05.2",
        &[
            "linux-6.12.33",
            "systemd-257.6",
            "openssl-3.4.1",
            "nginx-1.28.0",
            "postgresql-17.5",
        ],
    ),
    (
        "26.05.3",
        &[
            "linux-6.12.33",
            "systemd-257.7",
            "openssl-3.5.0",
            "nginx-1.28.0",
            "postgresql-17.5",
        ],
    ),
    (
        "26.11.1",
        &[
            "linux-6.18.1",
            "systemd-258.1",
            "openssl-3.5.0",
            "postgresql-18.0",
        ],
    ),
];

/// The configuration, below `/etc/nixos`: path, mode, text.
pub(super) const CONFIG: [(&str, u32, &str); 4] = [
    (
        "configuration.nix",
        0o644,
        "{ pkgs, ... }:\n{\n  imports = [\n    ./web.nix\n    ./database.nix\n  ];\n\n  \
         networking.hostName = \"demo\";\n  environment.systemPackages = [ pkgs.openssl ];\n  \
         system.stateVersion = \"26.05\";\n}\n",
    ),
    (
        "web.nix",
        0o644,
        "{\n  services.nginx.enable = true;\n  networking.firewall.allowedTCPPorts = [ 443 ];\n}\n",
    ),
    (
        "database.nix",
        0o644,
        "{\n  services.postgresql.enable = true;\n}\n",
    ),
    ("secret.key", 0o600, "kept with its mode\n"),
];

/// Every object, what is needed before what needs it, and the systems in order.
///
/// # Errors
/// A name that Nix does not allow.
pub(super) fn objects() -> Result<(Vec<Object>, Vec<StorePath>), store_path::Error> {
    let mut objects: BTreeMap<&str, Object> = BTreeMap::new();
    let mut systems = Vec::new();
    for (_, names) in SYSTEMS {
        for name in names {
            if !objects.contains_key(name) {
                objects.insert(name, package(name)?);
            }
        }
    }
    for (version, names) in SYSTEMS {
        let parts: Vec<&Object> = names.iter().filter_map(|n| objects.get(n)).collect();
        systems.push(system(version, &parts)?);
    }
    let toplevels = systems.iter().map(|s| s.path.clone()).collect();
    Ok((objects.into_values().chain(systems).collect(), toplevels))
}

fn package(name: &str) -> Result<Object, store_path::Error> {
    let text = format!("{name}, as small as the demo needs it\n");
    let file = if name.starts_with("linux-") {
        "bzImage"
    } else {
        "README"
    };
    Object::new(
        name,
        BTreeMap::from([(file.to_owned(), Leaf::File(text))]),
        Vec::new(),
    )
}

fn system(version: &str, parts: &[&Object]) -> Result<Object, store_path::Error> {
    let mut entries = BTreeMap::from([
        ("nixos-version".to_owned(), Leaf::File(version.to_owned())),
        ("init".to_owned(), Leaf::File("#!/bin/sh\n".to_owned())),
    ]);
    for part in parts {
        let path = part.path.to_absolute_path();
        let (name, _) = part.path.name_and_version();
        let (name, target) = match name {
            "linux" => ("kernel", format!("{path}/bzImage")),
            other => (other, path),
        };
        entries.insert(name.to_owned(), Leaf::Link(target));
    }
    let references = parts.iter().map(|p| p.path.clone()).collect();
    Object::new(&format!("nixos-system-demo-{version}"), entries, references)
}
