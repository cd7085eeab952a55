//! A command line that cannot be understood, told as every other failure is.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use super::Cli;
use super::failure::Failure;

/// What clap says of it, in one line, and where to read on.
pub(super) fn failure(error: &clap::Error, words: impl Iterator<Item = String>) -> Failure {
    let path = path(Cli::command(), words);
    let suggested = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::String(name)) => Some(name),
        // The nearest one comes last.
        Some(ContextValue::Strings(names)) => names.last(),
        _ => None,
    };
    let path = path.into_iter().chain(suggested.cloned());
    let whole = error.kind() != ErrorKind::MissingSubcommand;
    Failure::Misread {
        why: if whole {
            told(&error.render().to_string())
        } else {
            choice()
        },
        next: format!("{} --help", path.collect::<Vec<_>>().join(" ")),
    }
}

/// What tells how the command that is run is meant.
pub(super) fn help() -> String {
    format!("{} --help", path(Cli::command(), words()).join(" "))
}

/// A tip, with the options of this command line that say which machine is meant:
/// pasted without, it would be run on another one.
pub(super) fn here(tip: &str) -> String {
    let place = place(words());
    match place.is_empty() {
        true => tip.to_owned(),
        false => placed(tip, &place),
    }
}

fn place(words: impl Iterator<Item = String>) -> String {
    const OPTIONS: [&str; 3] = ["--root", "--state-dir", "--policy"];
    let mut words = words.take_while(|word| word != "--");
    let mut place = String::new();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        if OPTIONS.contains(&&*name)
            && let Some(value) = value.or_else(|| words.next())
        {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
            let value = match value.chars().all(plain) {
                true => value,
                false => format!("'{}'", value.replace('\'', "'\\''")),
            };
            place.push_str(&format!(" {name} {value}"));
        }
    }
    place
}

fn placed(tip: &str, place: &str) -> String {
    let command = Cli::command();
    let is_verb = |rest: &str| {
        let word = rest.split([' ', ')', ',', ';']).next().unwrap_or_default();
        command.find_subcommand(word).is_some()
    };
    let mut out = String::new();
    let mut rest = tip;
    while let Some((before, after)) = rest.split_once("cairn ") {
        out.push_str(before);
        out.push_str("cairn");
        let begins = out.len() == 5 || before.ends_with([' ', '(']);
        if begins && is_verb(after) && !after.contains("(on the other machine)") {
            out.push_str(place);
        }
        out.push(' ');
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The words of this command line.
pub(super) fn words() -> impl Iterator<Item = String> {
    let words = std::env::args_os().skip(1);
    words.map(|word| word.to_string_lossy().into_owned())
}

/// The commands below the one that was meant, where it takes one of them.
fn choice() -> String {
    let (path, command) = meant(Cli::command(), words());
    let below = command.get_subcommands();
    let below = below.filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    let names: Vec<&str> = below.map(Command::get_name).collect();
    format!("{} takes a command: {}", path.join(" "), names.join(", "))
}

/// The command that was meant, as far as it is one.
fn path(command: Command, words: impl Iterator<Item = String>) -> Vec<String> {
    meant(command, words).0
}

fn meant(mut command: Command, words: impl Iterator<Item = String>) -> (Vec<String>, Command) {
    let mut path = vec![command.get_name().to_owned()];
    for word in words {
        let found = command.find_subcommand(&word).cloned();
        if let Some(found) = found {
            path.push(found.get_name().to_owned());
            command = found;
        }
    }
    (path, command)
}

/// Without what every such text begins and ends with.
fn told(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let ends = ["\n\nUsage:", "\n\nFor more information"];
    let end = ends.iter().filter_map(|end| text.find(end)).min();
    let lines = text[..end.unwrap_or(text.len())].lines();
    let lines: Vec<&str> = lines.map(str::trim).filter(|l| !l.is_empty()).collect();
    let mut told = String::new();
    for line in lines {
        let between = match line {
            _ if told.is_empty() => "",
            tip if tip.starts_with("tip: ") => "; ",
            _ => " ",
        };
        told.push_str(between);
        told.push_str(line.strip_prefix("tip: ").unwrap_or(line));
    }
    told
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn of(words: &[&str]) -> (String, String) {
        let error = Cli::try_parse_from(words).unwrap_err();
        match failure(&error, words[1..].iter().map(ToString::to_string)) {
            Failure::Misread { why, next } => (why, next),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_tip_is_for_the_machine_that_was_meant() {
        let words = [
            "--root",
            "/mnt",
            "restore",
            "--state-dir=/mnt/my data",
            "--",
            "--root",
        ];
        let place = place(words.iter().map(ToString::to_string));
        assert_eq!(place, " --root /mnt --state-dir '/mnt/my data'");
        for (tip, told) in [
            ("cairn list", "cairn --root /m list"),
            (
                "cairn resume (or: cairn abort)",
                "cairn --root /m resume (or: cairn --root /m abort)",
            ),
            ("ls -ld /cairn x", "ls -ld /cairn x"),
        ] {
            assert_eq!(placed(tip, " --root /m"), told);
        }
        assert_eq!(placed("df -h /", ""), "df -h /");
    }

    #[test]
    fn one_line_says_what_is_wrong_and_where_to_read() {
        let (why, next) = of(&["cairn", "restor"]);
        assert!(
            why.starts_with("unrecognized subcommand 'restor'; "),
            "{why}"
        );
        assert_eq!(next, "cairn restore --help");
        let (why, next) = of(&["cairn", "--json", "remote", "add", "off"]);
        assert!(why.contains("--password-file <FILE>"), "{why}");
        assert!(!why.contains('\n'));
        assert_eq!(next, "cairn remote add --help");
        let (why, next) = of(&["cairn", "ls", "-l", "many"]);
        assert!(
            why.starts_with("invalid value 'many' for '--last <N>'"),
            "{why}"
        );
        assert_eq!(next, "cairn list --help");
    }
}
