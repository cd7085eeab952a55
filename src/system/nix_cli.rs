//! The calls of Nix's own programs that change something.
//!
//! Reading is native; setting a profile, deleting generations and registering
//! a root are left to Nix. Never a relative rollback: always a store path, or
//! the number of a link whose target was just checked.

use super::Layout;
use super::run::Call;
use crate::nix::store_path::StorePath;

fn with_store(call: Call, layout: &Layout) -> Call {
    if layout.is_live() {
        call
    } else {
        call.arg("--store").arg(layout.root())
    }
}

fn nix_env(layout: &Layout, profile: &str) -> Call {
    with_store(Call::new("nix-env"), layout)
        .arg("--profile")
        .arg(layout.profile(profile))
}

/// Points the profile at `toplevel`: re-uses the highest generation when it is
/// the same path, else makes a new one.
pub fn set(layout: &Layout, profile: &str, toplevel: &StorePath) -> Call {
    nix_env(layout, profile)
        .arg("--set")
        .arg(toplevel.to_absolute_path())
}

/// Points the profile at an existing generation.
pub fn switch_generation(layout: &Layout, profile: &str, number: u64) -> Call {
    nix_env(layout, profile)
        .arg("--switch-generation")
        .arg(number.to_string())
}

/// Deletes generations by number.
pub fn delete_generations(layout: &Layout, profile: &str, numbers: &[u64]) -> Call {
    nix_env(layout, profile)
        .arg("--delete-generations")
        .args(numbers.iter().map(u64::to_string))
}

/// Copies a closure from another store into this one. Nix checks hashes and,
/// unless `unsigned`, that somebody trusted has signed each path.
pub fn copy_from(layout: &Layout, url: &str, path: &StorePath, unsigned: bool) -> Call {
    let mut call = Call::new("nix")
        .args(["--extra-experimental-features", "nix-command"])
        .args(["copy", "--from", url]);
    if !layout.is_live() {
        call = call.arg("--to").arg(layout.root());
    }
    if unsigned {
        call = call.arg("--no-check-sigs");
    }
    call.arg(path.to_absolute_path())
}

/// Copies closures from this store into another one.
pub fn copy_to(layout: &Layout, url: &str, paths: &[StorePath]) -> Call {
    let mut call = Call::new("nix")
        .args(["--extra-experimental-features", "nix-command"])
        .args(["copy", "--to", url]);
    if !layout.is_live() {
        call = call.arg("--from").arg(layout.root());
    }
    call.args(paths.iter().map(StorePath::to_absolute_path))
}

/// The same, with a private key for the `ssh` that Nix runs.
pub fn with_ssh_key(call: Call, key: &str) -> Call {
    let before = std::env::var("NIX_SSHOPTS").unwrap_or_default();
    call.env("NIX_SSHOPTS", format!("{before} -i {key}").trim_start())
}

/// Compares store paths with the hashes that Nix's database has of them.
pub fn verify_paths(layout: &Layout, paths: &[StorePath]) -> Call {
    with_store(Call::new("nix-store"), layout)
        .arg("--verify-path")
        .args(paths.iter().map(StorePath::to_absolute_path))
}

/// Everything known of a closure, as JSON.
pub fn path_info(layout: &Layout, path: &StorePath) -> Call {
    with_store(Call::new("nix"), layout)
        .args(["--extra-experimental-features", "nix-command"])
        .args(["path-info", "--json", "--recursive"])
        .arg(path.to_absolute_path())
}

/// Writes store paths as a stream that [`import`] reads.
pub fn export<'p>(layout: &Layout, paths: impl IntoIterator<Item = &'p StorePath>) -> Call {
    with_store(Call::new("nix-store"), layout)
        .arg("--export")
        .args(paths.into_iter().map(StorePath::to_absolute_path))
}

/// Takes store paths in from such a stream.
pub fn import(layout: &Layout) -> Call {
    with_store(Call::new("nix-store"), layout).arg("--import")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_root_is_another_store() {
        let path = format!("/nix/store/{}-x", "0".repeat(32));
        let toplevel = StorePath::from_absolute_path(path.as_bytes()).unwrap();
        let live = set(&Layout::new("/", "/s"), "system", &toplevel).line();
        assert_eq!(
            live,
            format!("nix-env --profile /nix/var/nix/profiles/system --set {path}")
        );
        let rescue = set(&Layout::new("/mnt", "/s"), "system", &toplevel).line();
        assert_eq!(
            rescue,
            format!("nix-env --store /mnt --profile /mnt/nix/var/nix/profiles/system --set {path}")
        );
    }
}
