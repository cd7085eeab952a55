//! What is read of a system to compare it with another. All of it is in the
//! store and never changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::toplevel::Reader;
use super::{Layout, room, store};
use crate::nix::side::Side;
use crate::nix::store_path::StorePath;
use crate::nix::toplevel as names;

/// Reads both systems at once. The closures are left out where the store does
/// not say them within `patience`.
pub fn both(layout: &Layout, old: &StorePath, new: &StorePath, patience: Duration) -> (Side, Side) {
    let begun = Instant::now();
    // Threads that may be left behind: SQLite cannot be hurried.
    let closures = [old, new].map(|path| {
        let (layout, path) = (layout.clone(), path.clone());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let closure = store::closure_of_database(&layout, &path).ok().flatten();
            let _ = tell.send(closure);
        });
        told
    });
    let mut sides = [old, new].map(|path| read(layout, path));
    for (side, told) in sides.iter_mut().zip(closures) {
        let left = patience.saturating_sub(begun.elapsed());
        side.closure = told.recv_timeout(left).ok().flatten();
    }
    let [old, new] = sides;
    (old, new)
}

fn read(layout: &Layout, toplevel: &StorePath) -> Side {
    let real = layout.store_path(toplevel);
    let link = |name: &str| fs::read_link(real.join(name)).ok();
    let (kernel, initrd) = (link(names::KERNEL), link(names::INITRD));
    let size = |path: &Option<PathBuf>| {
        let path = path.as_ref()?;
        let meta = fs::metadata(layout.follow(path.to_str()?)).ok()?;
        Some(meta.len())
    };
    Side {
        boot_bytes: size(&kernel).unwrap_or(0) + size(&initrd).unwrap_or(0),
        kernel_version: Reader::new(layout).facts(toplevel).kernel_version,
        kernel,
        initrd,
        systemd: link(names::SYSTEMD),
        init_interface: fs::read_to_string(real.join(names::INIT_INTERFACE_VERSION))
            .ok()
            .map(|text| text.trim().to_owned()),
        inhibitors: inhibitors(layout, toplevel),
        units: units(layout, toplevel),
        closure: None,
    }
}

fn inside(layout: &Layout, toplevel: &StorePath, below: &str) -> PathBuf {
    layout.follow(&format!("{}/{below}", toplevel.to_absolute_path()))
}

fn inhibitors(layout: &Layout, toplevel: &StorePath) -> BTreeMap<String, String> {
    let path = inside(layout, toplevel, names::SWITCH_INHIBITORS);
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Units with what defines them: where their links lead. A folder of additions
/// to a unit (`x.service.d`) is part of what defines it.
fn units(layout: &Layout, toplevel: &StorePath) -> BTreeMap<String, String> {
    let dir = inside(layout, toplevel, &format!("{}/systemd/system", names::ETC));
    let mut units: BTreeMap<String, String> = BTreeMap::new();
    for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let unit = name.strip_suffix(".d").unwrap_or(&name);
        let Some((
            _,
            "service" | "socket" | "timer" | "mount" | "automount" | "swap" | "path" | "slice"
            | "target",
        )) = unit.rsplit_once('.')
        else {
            continue;
        };
        units
            .entry(unit.to_owned())
            .or_default()
            .push_str(&definition(&entry.path()));
    }
    units
}

fn definition(path: &Path) -> String {
    let Ok(target) = fs::read_link(path) else {
        let mut parts: Vec<String> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| definition(&entry.path()))
            .collect();
        parts.sort();
        return parts.concat();
    };
    format!("{}\n", target.display())
}

/// Bytes that are free where the boot loader keeps kernels, and in the store.
pub fn free(layout: &Layout) -> (Option<u64>, Option<u64>) {
    let free = |path: &Path| room::at(path).ok().flatten().map(|room| room.free);
    // Where the loader's partition is mounted, the most specific first.
    let boot = ["/boot/efi", "/efi", "/boot"]
        .into_iter()
        .map(|path| layout.real(path))
        .find(|path| path.is_dir());
    let store = layout.real("/nix/store");
    (boot.and_then(|path| free(&path)), free(&store))
}
