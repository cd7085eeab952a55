//! The private store, built once per test process and copied for each test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What is built, by attribute of `systems.nix`.
const EXPRESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/systems.nix");

/// The attributes of `systems.nix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    One,
    Two,
    Three,
    /// The specialisation of `Two`.
    Safe,
    /// Without kernel and `boot.json`.
    Container,
    /// With a `boot.json` that is none.
    Broken,
}

pub const SYSTEMS: [(System, &str); 6] = [
    (System::One, "one"),
    (System::Two, "two"),
    (System::Three, "three"),
    (System::Safe, "safe"),
    (System::Container, "container"),
    (System::Broken, "broken"),
];

struct Built {
    root: PathBuf,
    systems: BTreeMap<System, String>,
}

/// A program of Nix that leaves the user's own Nix state alone.
pub fn nix(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("HOME", home)
        .env("TZ", "UTC")
        .env("NIX_STATE_DIR", home.join("nix-state"))
        .env_remove("NIX_PATH")
        .env_remove("NIX_REMOTE")
        .stdin(Stdio::null());
    command
}

/// The template: one for each test binary, built again by each process so that it is
/// never stale. It lies in Cargo's folder for such things.
fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = env!("CARGO_CRATE_NAME");
        let root = base.join(format!("store-of-{name}"));
        let mut systems = BTreeMap::new();
        for (system, attribute) in SYSTEMS {
            systems.insert(system, build(&root, attribute));
        }
        Built { root, systems }
    })
}

fn build(root: &Path, attribute: &str) -> String {
    let host: Vec<&str> = ["/bin", "/usr", "/lib", "/lib64"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .collect();
    let output = nix("nix-build", root)
        .arg("--store")
        .arg(root)
        .args(["--no-out-link", EXPRESSION, "--attr", attribute])
        .args(["--option", "sandbox", "true"])
        .args(["--option", "sandbox-paths", &host.join(" ")])
        .args(["--option", "build-users-group", ""])
        .args(["--option", "substituters", ""])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nix-build: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The store path of a system.
pub fn path_of(system: System) -> &'static str {
    &built().systems[&system]
}

/// Copies the store to below `root`.
pub fn copy_to(root: &Path) {
    let template = built().root.join("nix");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&template)
        .arg(root)
        .status()
        .unwrap();
    assert!(copied.success());
    // Nix names the profiles by where they really are.
    let link = root.join("nix/var/nix/gcroots/profiles");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(root.join("nix/var/nix/profiles"), &link).unwrap();
}
