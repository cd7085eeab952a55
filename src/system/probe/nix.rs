//! The store, the systems in it, and what boots.

use std::fs;

use super::super::toplevel::Reader;
use super::super::{Layout, generations, loader, pointers, store};
use crate::health::seen;
use crate::point::document::{Incoming, ProfileFact, System};

/// The store and its database.
pub(super) fn store(layout: &Layout) -> seen::Store {
    let db = layout.nix_db();
    if fs::symlink_metadata(&db).is_err() {
        // Another user may not even look.
        let there = layout.real("/nix/store").is_dir() && !db.parent().is_some_and(|d| d.is_dir());
        return seen::Store { there, rows: None };
    }
    seen::Store {
        there: true,
        rows: store::has_rows(layout).map(|rows| rows.map_err(|e| e.to_string())),
    }
}

/// What runs, what the profile boots, what was booted.
pub(super) fn systems(layout: &Layout, profile: &str) -> Vec<seen::System> {
    let profile = generations::target_of(layout, profile);
    let pointers = [
        ("running", pointers::current(layout)),
        ("profile's", profile),
        ("booted", pointers::booted(layout)),
    ];
    pointers
        .into_iter()
        .filter_map(|(what, path)| {
            let path = path?;
            let valid = store::is_valid(layout, &path).map_err(|e| e.to_string());
            Some(seen::System { what, path, valid })
        })
        .collect()
}

/// What the boot loader starts, and what it should start.
pub(super) fn boot(layout: &Layout, profile: &str, incoming: Option<Incoming>) -> seen::Boot {
    let system = System {
        profile: generations::target_of(layout, profile).map(|toplevel| ProfileFact {
            name: profile.to_owned(),
            generation: 0,
            toplevel,
        }),
        current: pointers::current(layout),
        loader_default: loader::default(layout),
        // A switch has moved the profile before the loader.
        incoming,
        ..System::default()
    };
    let wanted = system
        .profile
        .as_ref()
        .and_then(|_| system.boot_target().cloned());
    let variants = wanted.iter().flat_map(|wanted| {
        let reader = Reader::new(layout);
        let names = reader.facts(wanted).specialisations;
        let of = |name: &String| reader.specialisation(wanted, name);
        names.iter().filter_map(of).collect::<Vec<_>>()
    });
    let default = system.loader_default.clone();
    let on_disk = |path| fs::symlink_metadata(layout.store_path(path)).is_ok();
    seen::Boot {
        variants: variants.collect(),
        there: default.as_ref().is_some_and(on_disk),
        default,
        wanted,
    }
}
