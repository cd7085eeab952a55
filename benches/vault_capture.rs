//! Opening the vault and capturing 11 files of 30 KB together, in process.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cairn::vault::{CaptureRequest, CaptureRoot, OnUnreadable, Vault, VaultDir};

const RUNS: usize = 40;

fn request(root: &Path) -> CaptureRequest {
    CaptureRequest {
        tag: "bench".into(),
        host: "bench".into(),
        time: chrono::DateTime::from_timestamp(1_750_000_000, 0).unwrap(),
        roots: vec![CaptureRoot {
            disk: root.into(),
            logical: "/etc/nixos".into(),
        }],
        exclude_names: vec![".git".into()],
        exclude_named: |_| false,
        exclude_paths: vec![],
        on_unreadable: OnUnreadable::Fail,
        parent: None,
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{what}: median {:.2} ms, best {:.2} ms",
        ms(times[times.len() / 2]),
        ms(times[0])
    );
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("nixos");
    fs::create_dir(&root).unwrap();
    let write = |round: usize| {
        for file in 0..11 {
            let line = format!("  option.{round}.{file} = true;\n");
            let text = line.repeat(2790 / line.len());
            fs::write(root.join(format!("m{file}.nix")), text).unwrap();
        }
        // A configuration is seldom captured in the moment it is written.
        std::thread::sleep(Duration::from_millis(30));
    };
    let path = dir.path().join("vault");
    let start = Instant::now();
    VaultDir::init_or_open(&path).unwrap();
    println!(
        "making the vault: {:.0} ms",
        start.elapsed().as_secs_f64() * 1000.0
    );

    let (mut open, mut changed, mut same) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..RUNS {
        write(round);
        let start = Instant::now();
        let vault = VaultDir::open(&path).unwrap();
        open.push(start.elapsed());
        vault.config().capture(&request(&root)).unwrap();
        changed.push(start.elapsed());
        let start = Instant::now();
        let vault = VaultDir::open(&path).unwrap();
        vault.config().capture(&request(&root)).unwrap();
        same.push(start.elapsed());
    }
    report("open", open);
    report("open + capture, all 11 files new", changed);
    report("open + capture, nothing new", same);
}
