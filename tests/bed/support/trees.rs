//! The two lower layers of every bed, made once and kept under `target/bed`:
//! the base tree, and the generations over it; and what firmware needs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::skip::{need, need_root, skip};

/// The layers, and the store paths of the generations by set and name.
pub struct Trees {
    pub lower: String,
    pub paths: BTreeMap<String, BTreeMap<String, String>>,
}

/// `nixos-tests/bed`.
pub fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("nixos-tests/bed")
}

/// Where beds live: `target/bed`.
pub fn home() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bed");
    fs::create_dir_all(home.join("beds")).unwrap();
    home
}

/// Holds a lock file of the home until it is dropped.
pub fn locked(name: &str) -> File {
    let file = File::create(home().join(name)).unwrap();
    file.lock().unwrap();
    file
}

/// The layers, made where they are missing; `None` where there can be none.
pub fn get() -> Option<&'static Trees> {
    static TREES: OnceLock<Result<Trees, String>> = OnceLock::new();
    let tools = ["mmdebstrap", "systemd-nspawn", "unshare", "nsenter"];
    if !need_root() || !need(&tools) {
        return None;
    }
    match TREES.get_or_init(make) {
        Ok(trees) => Some(trees),
        Err(why) => {
            skip(&format!("the bed: {why}"));
            None
        }
    }
}

/// What machines with firmware need beside the layers, made where it is missing;
/// `None` where there can be no such machine.
pub fn firmware() -> Option<PathBuf> {
    let tools = [
        "mmdebstrap",
        "qemu-system-x86_64",
        "mcopy",
        "sfdisk",
        "mkfs.ext4",
    ];
    if !need_root() || !need(&tools) {
        return None;
    }
    if !Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd").exists() {
        skip("OVMF is missing");
        return None;
    }
    let _lock = locked("trees.lock");
    let mut sources = vec![recipes().join("firmware.sh")];
    files(&recipes().join("firmware"), &mut sources);
    let firmware = home().join(format!("firmware-{}", digest(&sources)));
    if !firmware.exists() {
        remove_old("firmware-", &[]);
        if let Err(why) = script("firmware.sh", &[&firmware]) {
            skip(&format!("the bed: {why}"));
            return None;
        }
    }
    Some(firmware)
}

fn make() -> Result<Trees, String> {
    if super::groups::mounts().is_empty() {
        return Err("no control groups are mounted".to_owned());
    }
    let _lock = locked("trees.lock");
    let base = home().join(format!("base-{}", digest(&[recipes().join("base.sh")])));
    let mut sources = vec![base.clone()];
    for name in [
        "layer.sh",
        "launch.sh",
        "systems.nix",
        "systems",
        "rendered",
    ] {
        files(&recipes().join(name), &mut sources);
    }
    let layer = home().join(format!("systems-{}", digest(&sources)));
    if !base.exists() || !layer.exists() {
        remove_old("base-", &[&base]);
        remove_old("systems-", &[&layer]);
    }
    if !base.exists() {
        script("base.sh", &[&base])?;
    }
    if !layer.exists() {
        script("layer.sh", &[&base, &layer])?;
    }
    let paths = fs::read(layer.join("paths.json")).unwrap();
    Ok(Trees {
        lower: format!("{}:{}", layer.join("upper").display(), base.display()),
        paths: serde_json::from_slice(&paths).unwrap(),
    })
}

fn script(name: &str, args: &[&Path]) -> Result<(), String> {
    let output = Command::new(recipes().join(name))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    let last = text.lines().last().unwrap_or("it said nothing").to_owned();
    Err(format!("{name} failed: {last}"))
}

/// Removes the trees of older recipes, when no bed is in use.
fn remove_old(kind: &str, keep: &[&PathBuf]) {
    let users = File::create(home().join("users.lock")).unwrap();
    if users.try_lock().is_err() {
        return;
    }
    for entry in fs::read_dir(home()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if name.starts_with(kind) && !name.ends_with(".new") && !keep.contains(&&entry.path()) {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

/// All files at or below a path, in order.
fn files(path: &Path, into: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        return into.push(path.to_owned());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    entries.iter().for_each(|entry| files(entry, into));
}

/// A digest of names and contents; a folder counts by its name.
fn digest(files: &[PathBuf]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap().as_encoded_bytes());
        hash.update(fs::read(file).unwrap_or_default());
    }
    hex::encode(&hash.finalize()[..8])
}
