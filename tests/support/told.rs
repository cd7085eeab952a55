//! What the program tells people to run next, checked wherever a test makes it
//! tell.

use std::process::Command;

use cairn::cli::Cli;
use clap::CommandFactory;
use clap::error::ErrorKind;
use serde_json::Value;

/// What begins a command that may help, the likeliest and the others.
const HEADS: [&str; 2] = ["  try: ", "   or: "];

/// The commands that a failure was told with, the likeliest first.
pub fn commands(text: &str) -> Vec<String> {
    let told: Option<Value> = serde_json::from_str(text).ok();
    if let Some(error) = told.as_ref().and_then(|told| told.get("error")) {
        let others = error["alternatives"].as_array().into_iter().flatten();
        let all = std::iter::once(&error["next"]).chain(others);
        return all.filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let command = |line: &str| {
        HEADS
            .iter()
            .find_map(|h| line.strip_prefix(h).map(str::to_owned))
    };
    text.lines().filter_map(command).collect()
}

/// Asserts that each command is one that a shell takes as it stands, and cairn
/// where it is one of cairn.
#[track_caller]
pub fn all_are_commands(text: &str) {
    for command in commands(text) {
        let shell = |args: &[&str]| Command::new("bash").args(args).output().unwrap();
        let read = shell(&["-n", "-c", &command]);
        assert!(read.status.success(), "no shell takes: {command}");
        let own = command.strip_prefix("sudo ").unwrap_or(&command);
        let own = own.split(" && ").next().unwrap();
        if !own.starts_with("cairn ") {
            let program = own.split(' ').find(|word| !word.contains('=')).unwrap();
            let known = [
                "cairn",
                "df",
                "install",
                "ls",
                "mount",
                "nix-store",
                "nixos-enter",
                "nixos-rebuild",
                "restic",
                "ss",
                "sudo",
                "systemctl",
            ];
            assert!(known.contains(&program), "what is {program} in: {command}");
            continue;
        }
        let words = shell(&["-c", &format!("printf '%s\\0' {own}")]).stdout;
        let words = String::from_utf8_lossy(&words);
        let words = words.trim_end_matches('\0').split('\0');
        let Err(error) = Cli::command().try_get_matches_from(words) else {
            continue;
        };
        // Where it says ID, a person puts one in.
        let fits = [
            ErrorKind::DisplayHelp,
            ErrorKind::ValueValidation,
            ErrorKind::DisplayVersion,
        ];
        assert!(
            fits.contains(&error.kind()),
            "cairn refuses {command}: {error}"
        );
    }
}
