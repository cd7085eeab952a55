//! A system that is gone from the store comes back from a binary cache, or is
//! built again from the captured configuration — before anything else changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Machine, Run, System, contents, same, short, succeed};

/// A machine whose second system only a cache still has; its point.
struct Lost {
    machine: Machine,
    id: String,
}

fn nix(machine: &Machine, args: &[&str]) -> Command {
    let mut command = Command::new("nix");
    command
        .env("HOME", machine.home())
        .env("NIX_STATE_DIR", machine.home().join("nix-state"))
        .env_remove("NIX_REMOTE")
        .args(["--extra-experimental-features", "nix-command", "--store"])
        .arg(machine.root())
        .args(args);
    command
}

/// Fills caches from the machine, and has it lose the system then.
fn lost(fill: impl FnOnce(&Lost)) -> Option<Lost> {
    let machine = Machine::new()?;
    let id = machine.create("second");
    let lost = Lost { machine, id };
    fill(&lost);
    let machine = &lost.machine;
    machine.set(System::Three);
    machine.run_system(System::Three);
    machine.boot_system(System::Three);
    machine.nix_env(&["--delete-generations", "1", "2"]);
    fs::remove_dir_all(machine.root().join("nix/var/nix/gcroots/cairn")).unwrap();
    machine.gc();
    assert!(!machine.is_valid(System::Two));
    machine.write("etc/nixos/configuration.nix", "{ newer = true; }\n");
    Some(lost)
}

impl Lost {
    fn cache(&self, name: &str) -> PathBuf {
        self.machine.home().join(name)
    }

    fn url(&self, name: &str) -> String {
        format!("file://{}", self.cache(name).display())
    }

    /// Copies a system into a cache, signed by this machine's key or not.
    fn fill(&self, name: &str, system: System, signed: bool) {
        let (secret, public) = (self.cache("secret"), self.cache("public"));
        if !secret.exists() {
            let mut make = Command::new("nix-store");
            make.args(["--generate-binary-cache-key", "test-1"])
                .args([&secret, &public]);
            succeed(&mut make);
        }
        let mut url = self.url(name);
        if signed {
            url.push_str(&format!("?secret-key={}", secret.display()));
        }
        let path = self.machine.path(system);
        succeed(&mut nix(&self.machine, &["copy", "--to", &url, path]));
    }

    /// The command, where the machine's Nix trusts the key.
    fn command(&self, args: &[&str]) -> Command {
        let key = fs::read_to_string(self.cache("public")).unwrap_or_default();
        let mut command = self.machine.command(args);
        command.env(
            "NIX_CONFIG",
            format!("trusted-public-keys = {}", key.trim()),
        );
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    fn restore(&self, args: &[&str]) -> Run {
        self.run(&[&["restore", &self.id, "-y"], args].concat())
    }

    /// All but the store, which may have taken parts of a closure.
    fn state(&self) -> (crate::support::Exact, PathBuf, usize) {
        let mut all = crate::support::exact(&self.machine.root().join("etc"));
        all.extend(crate::support::exact(&self.machine.profiles()));
        // Nix looks after these on every call.
        all.retain(|path, _| !path.starts_with("per-user"));
        (all, self.machine.profile(), self.machine.ids().len())
    }

    #[track_caller]
    fn is_refused(&self, args: &[&str], what: &str, next: &str) {
        let before = self.state();
        let run = self.restore(args).ends(1);
        assert!(run.err.contains(what), "{}", run.err);
        let lines: Vec<&str> = run.err.lines().collect();
        assert!(
            lines.iter().any(|l| l.ends_with("nothing was changed")),
            "{}",
            run.err
        );
        assert!(lines.last().unwrap().contains(next), "{}", run.err);
        let after = self.state();
        same(&before.0, &after.0, "a refused restore");
        assert_eq!((before.1, before.2), (after.1, after.2));
        assert!(!self.machine.is_valid(System::Two));
        // Nor is there a root of what did not come.
        let roots = self.machine.root().join("nix/var/nix/gcroots/cairn");
        assert_eq!(fs::read_dir(roots).map_or(0, Iterator::count), 0);
    }

    #[track_caller]
    fn is_back(&self) {
        assert!(self.machine.is_valid(System::Two));
        let link = self.machine.profiles().join(self.machine.profile());
        let target = fs::read_link(link).unwrap();
        assert_eq!(target.to_str(), Some(self.machine.path(System::Two)));
        let text = self.machine.read("etc/nixos/configuration.nix");
        assert!(text.contains("services.a.enable"), "{text}");
        // The point holds it again, as its document says.
        self.machine.set(System::Three);
        self.machine.nix_env(&["--delete-generations", "4"]);
        self.machine.gc();
        assert!(self.machine.is_valid(System::Two));
        self.machine.ok(&["verify", "--repair"]);
    }
}

#[test]
fn a_system_comes_back_from_a_signed_cache_and_is_held() {
    let Some(lost) = lost(|lost| lost.fill("cache", System::Two, true)) else {
        return;
    };
    let url = lost.url("cache");
    let before = lost.state();
    let plan = lost
        .run(&["restore", &lost.id, "-n", "--from", &url])
        .ends(0);
    assert!(
        plan.out
            .contains(&format!("fetches       the system from {url}")),
        "{}",
        plan.out
    );
    same(&before.0, &lost.state().0, "a dry run");
    assert!(!lost.machine.is_valid(System::Two));
    let json = lost.run(&["--json", "restore", &lost.id, "-n", "--from", &url]);
    let fetch = json.ends(0).json()["plan"]["fetch"].clone();
    assert_eq!(fetch["gone"][0], lost.machine.path(System::Two));

    lost.restore(&["--from", &url]).ends(0);
    lost.is_back();
}

#[test]
fn caches_of_the_policy_are_asked_without_being_told_one_after_the_other() {
    let Some(lost) = lost(|lost| {
        lost.fill("other", System::One, true);
        lost.fill("cache", System::Two, true);
    }) else {
        return;
    };
    let caches = [lost.url("absent"), lost.url("other"), lost.url("cache")];
    let policy = serde_json::json!({ "version": 1, "caches": caches });
    lost.machine
        .write("etc/cairn/policy.json", policy.to_string());
    lost.restore(&[]).ends(0);
    lost.is_back();
}

#[test]
fn what_nobody_trusted_has_signed_is_taken_only_when_that_is_said() {
    let Some(lost) = lost(|lost| lost.fill("cache", System::Two, false)) else {
        return;
    };
    let url = lost.url("cache");
    lost.is_refused(&["--from", &url], "signature", "--no-check-sigs");
    lost.restore(&["--from", &url, "--no-check-sigs"]).ends(0);
    lost.is_back();
}

#[test]
fn a_signature_of_a_stranger_is_none() {
    let Some(lost) = lost(|lost| lost.fill("cache", System::Two, true)) else {
        return;
    };
    fs::write(lost.cache("public"), "").unwrap();
    let url = lost.url("cache");
    lost.is_refused(&["--from", &url], "signature", "--no-check-sigs");
}

#[test]
fn a_corrupted_or_incomplete_cache_is_refused_and_nothing_is_half_restored() {
    let Some(lost) = lost(|lost| lost.fill("cache", System::Two, true)) else {
        return;
    };
    let url = lost.url("cache");
    // The system itself, and something deep in its closure: damaged or gone.
    let info = |path: &str| {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        lost.cache("cache").join(format!("{}.narinfo", &name[..32]))
    };
    let top = info(lost.machine.path(System::Two));
    let archive = |info: &Path| {
        let text = fs::read_to_string(info).unwrap();
        let url = text.lines().find_map(|l| l.strip_prefix("URL: ")).unwrap();
        lost.cache("cache").join(url)
    };
    let deep = info(lost.machine.path(System::Safe));
    for file in [archive(&top), archive(&deep), top.clone(), deep] {
        let sound = fs::read(&file).unwrap();
        let mut damaged = sound.clone();
        // What is said of the content, or the content.
        let hash = b"NarHash: sha256:";
        let at = sound.windows(hash.len()).position(|w| w == hash);
        let at = at.map_or(sound.len() / 2, |at| at + hash.len());
        damaged[at] = if damaged[at] == b'0' { b'1' } else { b'0' };
        for bad in [Some(damaged), None] {
            match bad {
                Some(bad) => fs::write(&file, bad).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            // What came of the closure is no system: it goes. And Nix remembers
            // what it knows of a cache.
            lost.machine.gc();
            let _ = fs::remove_dir_all(lost.machine.home().join(".cache"));
            lost.is_refused(&["--from", &url], "could not be fetched", " restore ");
            fs::write(&file, &sound).unwrap();
        }
    }
    let _ = fs::remove_dir_all(lost.machine.home().join(".cache"));
    lost.restore(&["--from", &url]).ends(0);
    lost.is_back();
}

#[test]
fn a_death_while_it_is_fetched_changes_nothing_else() {
    let Some(lost) = lost(|lost| lost.fill("cache", System::Two, true)) else {
        return;
    };
    let url = lost.url("cache");
    let args = ["restore", &lost.id, "-y", "--from", &url];
    for point in cairn::system::fault::FETCH {
        let before = lost.state();
        let mut command = lost.command(&args);
        let died = command.env("CAIRN_FAULT", point).output().unwrap();
        assert_eq!(died.status.code(), None, "{point}: {died:?}");
        let after = lost.state();
        same(&before.0, &after.0, point);
        assert_eq!((before.1, before.2), (after.1, after.2), "{point}");
        lost.machine.ok(&["status"]);
    }
    // What was fetched was held from its first byte.
    lost.machine.gc();
    assert!(lost.machine.is_valid(System::Two));
    lost.machine.ok(&["restore", &lost.id, "-y"]);
    lost.is_back();
}

#[test]
fn a_rollback_fetches_as_well() {
    let Some(lost) = lost(|lost| {
        lost.machine.ok(&["mark-good"]);
        lost.fill("cache", System::Two, true);
    }) else {
        return;
    };
    let url = lost.url("cache");
    lost.run(&["rollback", "-y", "--from", &url]).ends(0);
    assert!(lost.machine.is_valid(System::Two));
    // Only the system.
    let text = lost.machine.read("etc/nixos/configuration.nix");
    assert!(text.contains("newer"), "{text}");
}

/// A `nixos-rebuild` that writes down how it was called and what it was given,
/// and really builds a system in the store it is told of.
fn stand_in(lost: &Lost, builds: &str) {
    let systems = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/systems.nix");
    let bin = lost.cache("bin");
    fs::create_dir_all(&bin).unwrap();
    let script = format!(
        r#"#!/bin/sh
set -eu
record={record}
printf '%s\n' "$@" >"$record"
printf '%s\n' "$NIX_REMOTE" "$PWD" >"$record.place"
case $2 in
  --flake) dir=${{3#path:}}; dir=${{dir%%#*}} ;;
  -I) dir=$(dirname "${{3#nixos-config=}}") ;;
esac
cp -a "$dir" "$record.config"
echo 'building the system configuration...' >&2
host=
for path in /bin /usr /lib /lib64; do [ ! -e $path ] || host="$host $path"; done
nix-build --store "$NIX_REMOTE" -o result {systems} --attr {builds} \
  --option sandbox true --option sandbox-paths "${{host# }}" \
  --option build-users-group '' --option substituters '' >&2
"#,
        record = lost.cache("record").display(),
    );
    let program = bin.join("nixos-rebuild");
    fs::write(&program, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
}

fn rebuild(lost: &Lost, args: &[&str]) -> Run {
    let path = format!(
        "{}:{}",
        lost.cache("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let args = [&["restore", &lost.id], args].concat();
    let mut command = lost.command(&args);
    command.env("PATH", path).output().unwrap().into()
}

#[test]
fn without_a_cache_the_way_to_build_it_again_is_told() {
    let Some(lost) = lost(|_| {}) else { return };
    let id = short(&lost.id);
    let by_hand = format!(
        "cairn restore {id} --only config && nixos-enter --root {} -- nixos-rebuild boot -I \
         nixos-config=/etc/nixos/configuration.nix",
        lost.machine.root().display()
    );
    lost.restore(&[])
        .fails(1, "is gone from the store", &by_hand);
    lost.restore(&[])
        .fails(1, "gone", &format!("cairn restore {id} --rebuild"));
}

#[test]
fn the_very_system_is_built_again_from_the_captured_configuration() {
    let Some(lost) = lost(|_| {}) else { return };
    stand_in(&lost, "two");
    let before = lost.state();
    let shown = rebuild(&lost, &["--rebuild", "-n"]).ends(0);
    assert!(
        shown.out.contains("nixos-rebuild build -I nixos-config="),
        "{}",
        shown.out
    );
    assert!(!lost.cache("record").exists());
    same(&before.0, &lost.state().0, "a dry run");

    let run = rebuild(&lost, &["--rebuild", "-y"]).ends(0);
    assert!(
        run.out.contains("the very system of the point"),
        "{}",
        run.out
    );
    assert!(run.err.contains("building the system"), "{}", run.err);
    let place = lost.machine.state().join("rebuild").join(&lost.id);
    let told = fs::read_to_string(lost.cache("record")).unwrap();
    let file = place.join("etc/nixos/configuration.nix");
    let wanted = format!("build\n-I\nnixos-config={}\n--fast\n", file.display());
    assert_eq!(told, wanted);
    let root = fs::canonicalize(lost.machine.root()).unwrap();
    let told = fs::read_to_string(lost.cache("record.place")).unwrap();
    assert_eq!(told, format!("{}\n{}\n", root.display(), place.display()));
    // It was given the captured configuration, not the one that was there.
    same(
        &contents(&lost.machine.root().join("etc/nixos")),
        &contents(&lost.cache("record.config")),
        "what was built",
    );
    assert!(!lost.machine.state().join("rebuild").exists());
    lost.is_back();
}

#[test]
fn another_system_is_told_and_taken_only_with_a_yes() {
    let Some(lost) = lost(|_| {}) else { return };
    stand_in(&lost, "one");
    let before = lost.state();
    // Nobody is there to say yes.
    let run = rebuild(&lost, &["--rebuild"]).ends(2);
    assert!(run.err.contains("needs a yes"), "{}", run.err);
    assert!(!lost.cache("record").exists());
    same(&before.0, &lost.state().0, "a build that nobody wanted");

    let run = rebuild(&lost, &["--rebuild", "-y"]).ends(0);
    assert!(
        run.err.contains("is not the system of the point"),
        "{}",
        run.err
    );
    let link = lost.machine.profiles().join(lost.machine.profile());
    let target = fs::read_link(link).unwrap();
    assert_eq!(target.to_str(), Some(lost.machine.path(System::One)));
    assert!(
        lost.machine
            .read("etc/nixos/configuration.nix")
            .contains("services.a")
    );
    lost.machine.ok(&["undo", "-y"]);
    let link = lost.machine.profiles().join(lost.machine.profile());
    let target = fs::read_link(link).unwrap();
    assert_eq!(target.to_str(), Some(lost.machine.path(System::Three)));
}

#[test]
fn a_restore_with_another_system_goes_on_after_a_crash() {
    let Some(lost) = lost(|_| {}) else { return };
    stand_in(&lost, "one");
    let path = format!(
        "{}:{}",
        lost.cache("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = lost.command(&["restore", &lost.id, "--rebuild", "-y"]);
    command
        .env("PATH", path)
        .env("CAIRN_FAULT", "restore.config");
    assert!(!command.output().unwrap().status.success());
    // What was built is held meanwhile.
    lost.machine.gc();
    lost.run(&["resume", "-y"]).ends(0);
    let link = lost.machine.profiles().join(lost.machine.profile());
    let target = fs::read_link(link).unwrap();
    assert_eq!(target.to_str(), Some(lost.machine.path(System::One)));
}

#[test]
fn a_flake_is_built_for_its_host_without_files_that_are_private() {
    let Some(lost) = lost(|lost| {
        lost.machine
            .write("etc/nixos/flake.nix", "{ outputs = _: { }; }\n");
        lost.machine.write("etc/nixos/secret.key", "secret\n");
        lost.machine.mode("etc/nixos/secret.key", 0o600);
        lost.machine.create("a flake");
    }) else {
        return;
    };
    let id = lost.machine.ids().pop().unwrap();
    let lost = Lost { id, ..lost };
    let next = "nixos-rebuild boot --flake 'path:/etc/nixos#mini'";
    lost.restore(&[]).fails(1, "is gone", next);
    stand_in(&lost, "two");
    let run = rebuild(&lost, &["--rebuild", "-y"]).ends(0);
    assert!(run.err.contains("1 file only some may read"), "{}", run.err);
    let told = fs::read_to_string(lost.cache("record")).unwrap();
    let dir = lost.machine.state().join("rebuild").join(&lost.id);
    let dir = dir.join("etc/nixos");
    assert_eq!(
        told,
        format!("build\n--flake\npath:{}#mini\n--fast\n", dir.display())
    );
    assert!(!lost.cache("record.config/secret.key").exists());
    assert!(lost.cache("record.config/hardware.nix").exists());
    // It is left out of the build, not of the restore.
    assert_eq!(lost.machine.read("etc/nixos/secret.key"), "secret\n");
    lost.is_back();
}

#[test]
fn a_build_that_fails_changes_nothing() {
    let Some(lost) = lost(|_| {}) else { return };
    stand_in(&lost, "no-such-system");
    let before = lost.state();
    let run = rebuild(&lost, &["--rebuild", "-y"]).ends(1);
    assert!(run.err.contains("nixos-rebuild build"), "{}", run.err);
    let after = lost.state();
    same(&before.0, &after.0, "a failed build");
    assert_eq!((before.1, before.2), (after.1, after.2));
    assert!(!lost.machine.state().join("rebuild").exists());
}
