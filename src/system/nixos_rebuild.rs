//! The calls of `nixos-rebuild`, to build a configuration again.

use std::ffi::OsString;
use std::path::Path;

use super::run::Call;

fn rebuild(action: &str) -> Call {
    let mut call = Call::new("nixos-rebuild").arg(action);
    // A build takes its time: whoever waits sees what it does.
    call.tell = true;
    call
}

/// Builds the system `host` of the flake in `dir`; `path:` has Nix take the
/// folder as it is, whatever checkout lies around it.
pub fn flake(action: &str, dir: &Path, host: &str) -> Call {
    let mut flake = OsString::from("path:");
    flake.push(dir);
    flake.push("#");
    flake.push(host);
    rebuild(action).arg("--flake").arg(flake)
}

/// Builds the configuration in `file`, with the channels that are there.
pub fn file(action: &str, file: &Path) -> Call {
    let mut include = OsString::from("nixos-config=");
    include.push(file);
    rebuild(action).arg("-I").arg(include)
}

/// The same call on the store below `root`. A newer `nixos-rebuild` from there
/// could not be run here, so none is built (`--fast`, which old ones know too).
pub fn in_store_of(call: Call, root: &Path) -> Call {
    call.arg("--fast").env("NIX_REMOTE", root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_what_a_person_types() {
        assert_eq!(
            flake("boot", Path::new("/etc/nixos"), "web").line(),
            "nixos-rebuild boot --flake 'path:/etc/nixos#web'"
        );
        let call = file("build", Path::new("/w/configuration.nix"));
        assert_eq!(
            call.line(),
            "nixos-rebuild build -I nixos-config=/w/configuration.nix"
        );
        let call = in_store_of(call, Path::new("/mnt"));
        assert_eq!(call.env, [("NIX_REMOTE".into(), "/mnt".into())]);
    }
}
