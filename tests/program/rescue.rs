//! The boot step of another root: what is run where, and who is asked. What it
//! comes to is tested in the bed.
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::pty::Terminal;
use crate::support::{Machine, Run, System, need};

/// A rescue system that has `nixos-enter`, and a machine on its disk.
struct Rescue {
    machine: Machine,
    id: String,
}

impl Rescue {
    fn new(code: i32) -> Option<Self> {
        let machine = Machine::new()?;
        let id = machine.create("well");
        machine.set(System::Three);
        machine.write("etc/nixos/configuration.nix", "{ }\n");
        let rescue = Self { machine, id };
        fs::create_dir(rescue.bin()).unwrap();
        rescue.ends(code);
        Some(rescue)
    }

    fn bin(&self) -> PathBuf {
        self.machine.home().join("bin")
    }

    /// From now on `nixos-enter` ends so. It writes down how it was called.
    fn ends(&self, code: i32) {
        let script = format!(
            "#!/bin/sh\n{{ echo \"$*\"; env | grep ^NIXOS_ | sort; }} >>{}\nexit {code}\n",
            self.machine.home().join("calls").display()
        );
        let program = self.bin().join("nixos-enter");
        fs::write(&program, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = self.machine.command(args);
        command.env("PATH", format!("{}:{path}", self.bin().display()));
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// How it was called since the last time this was asked.
    fn calls(&self) -> String {
        let file = self.machine.home().join("calls");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        text
    }

    fn step(&self) -> String {
        let root = fs::canonicalize(self.machine.root()).unwrap();
        format!(
            "--root {} -- /nix/var/nix/profiles/system/bin/switch-to-configuration boot",
            root.display()
        )
    }
}

#[test]
fn nixos_enter_is_used_where_it_is_and_only_when_asked_for() {
    let Some(rescue) = Rescue::new(0) else { return };
    let run = rescue.run(&["restore", &rescue.id, "-y"]).ends(0);
    let told = format!("  try: nixos-enter {}\n", rescue.step());
    assert!(run.out.ends_with(&told), "{}", run.out);
    assert_eq!(rescue.calls(), "");
    rescue.run(&["undo", "-y"]).ends(0);
    assert_eq!(rescue.calls(), "");

    let id = rescue.id.as_str();
    let quiet = format!("{}\nNIXOS_NO_CHECK=1\n", rescue.step());
    let run = rescue.run(&["restore", id, "--boot", "-y"]).ends(0);
    assert!(!run.out.contains("try: nixos-enter"), "{}", run.out);
    assert_eq!(rescue.calls(), quiet);
    // The undo goes the same way.
    rescue.run(&["undo", "-y"]).ends(0);
    assert_eq!(rescue.calls(), quiet);
    let whole = format!(
        "{}\nNIXOS_INSTALL_BOOTLOADER=1\nNIXOS_NO_CHECK=1\n",
        rescue.step()
    );
    rescue
        .run(&["rollback", id, "--install-bootloader", "-y"])
        .ends(0);
    assert_eq!(rescue.calls(), whole);
    // Also where the profile is right already.
    rescue
        .run(&["restore", id, "--install-bootloader", "-y"])
        .ends(0);
    assert_eq!(rescue.calls(), whole);
    let run = rescue.run(&["restore", id, "-y"]).ends(0);
    assert!(run.out.contains("already"), "{}", run.out);
}

#[test]
fn a_dry_run_tells_the_step_and_runs_nothing() {
    let Some(rescue) = Rescue::new(0) else { return };
    let args = ["--json", "restore", &rescue.id, "-n"];
    let plan = rescue.run(&args).ends(0).json()["plan"].clone();
    assert_eq!(plan["bootStep"], format!("nixos-enter {}", rescue.step()));
    let args = [&args[..], &["--boot"]].concat();
    let plan = rescue.run(&args).ends(0).json()["plan"].clone();
    assert_eq!(plan["bootStep"], serde_json::Value::Null);
    assert_eq!(plan["system"]["activate"][0], "boot");
    assert_eq!(rescue.calls(), "");
}

#[test]
fn a_step_that_fails_is_run_again_by_resume_and_by_abort_for_the_other_system() {
    let Some(rescue) = Rescue::new(126) else {
        return;
    };
    let restore = ["restore", &rescue.id, "--boot", "-y"];
    let run = rescue.run(&restore).ends(22);
    assert!(
        run.err.contains("exit code 126: nixos-enter"),
        "{}",
        run.err
    );
    rescue.run(&["resume", "-y"]).ends(22);
    assert_eq!(rescue.calls().matches("boot\n").count(), 2);
    rescue.ends(0);
    rescue.run(&["abort", "-y"]).ends(0);
    assert_eq!(rescue.calls().matches("boot\n").count(), 1);
    assert_eq!(rescue.machine.profile().to_str(), Some("system-3-link"));
    assert_eq!(rescue.machine.read("etc/nixos/configuration.nix"), "{ }\n");
}

#[test]
fn on_a_terminal_the_step_is_asked_for() {
    if !need(&["setsid"]) {
        return;
    }
    for (answer, told) in [("y\r", true), ("n\r", false)] {
        let Some(rescue) = Rescue::new(0) else { return };
        let command = rescue.command(&["restore", &rescue.id]);
        let mut terminal = Terminal::run(&command, 30, 100);
        terminal.wait("Go on? [y/N]");
        terminal.send("y\r");
        terminal.wait("Tell the boot loader there as well");
        assert_eq!(rescue.machine.profile().to_str(), Some("system-3-link"));
        terminal.send(answer);
        terminal.ends(0);
        assert_eq!(rescue.machine.profile().to_str(), Some("system-2-link"));
        assert_eq!(rescue.calls().contains(&rescue.step()), told);
    }
}
