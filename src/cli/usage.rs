//! A command line that cannot be understood, told as every other failure is.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use super::Cli;
use super::failure::Failure;
use crate::next::{self, Next};

/// What clap says of it, in one line, and where to read on.
pub(super) fn failure(error: &clap::Error, words: impl Iterator<Item = String>) -> Failure {
    let path = path(Cli::command(), words);
    let suggested = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::String(name)) => Some(name),
        // The nearest one comes last.
        Some(ContextValue::Strings(names)) => names.last(),
        _ => None,
    };
    // One that help does not list is none that was meant.
    let listed = |name: &&String| {
        let (_, command) = meant(Cli::command(), path[1..].iter().cloned());
        let found = command.find_subcommand(name);
        found.is_some_and(|command| !command.is_hide_set())
    };
    let suggested = suggested.filter(listed).cloned();
    let path = path.into_iter().chain(suggested);
    let whole = error.kind() != ErrorKind::MissingSubcommand;
    Failure::Misread {
        why: if whole {
            told(&error.render().to_string())
        } else {
            choice()
        },
        next: help_of(&path.collect::<Vec<_>>()),
    }
}

/// What tells how the command that is run is meant.
pub(super) fn help() -> String {
    help_of(&path(Cli::command(), words()))
}

fn help_of(path: &[String]) -> String {
    format!("{} --help", path.join(" "))
}

/// The commands to run next, the likeliest first; for the machine that this
/// command line was for: run without its options, they would be for another one.
pub(super) fn here(next: &Next) -> Vec<String> {
    let words: Vec<String> = words().collect();
    let can = |next: &&next::Command| match next {
        next::Command::Again { with, .. } => takes(&words, with.iter().map(|(name, _)| &**name)),
        next::Command::Line(_) => true,
    };
    let line = |next: &next::Command| match next {
        next::Command::Line(line) => placed(line),
        again @ next::Command::Again { .. } => again.line(&words),
    };
    let mut lines: Vec<String> = next.commands().iter().filter(can).map(line).collect();
    if lines.is_empty() {
        lines.push(help());
    }
    lines
}

/// Whether the command that was meant has these options.
fn takes<'o>(words: &[String], mut options: impl Iterator<Item = &'o str>) -> bool {
    let mut root = Cli::command();
    root.build();
    let (_, command) = meant(root, words.iter().cloned());
    options.all(|option| {
        // One is written by these, and none would be.
        if option == "--policy" && ["add", "remove"].contains(&command.get_name()) {
            return false;
        }
        let mut known = command.get_arguments().filter_map(clap::Arg::get_long);
        match option.strip_prefix("--") {
            Some(option) => known.any(|known| known == option),
            // What it is about.
            None => command.get_positionals().next().is_some(),
        }
    })
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
            let value = next::quoted(value);
            place.push_str(&format!(" {name} {value}"));
        }
    }
    place
}

/// A command, for the machine that this command line was for.
pub(super) fn placed(line: &str) -> String {
    placed_at(line, &place(words()))
}

/// What to run next, as a person is told after a result.
pub(super) fn hint(next: &Next) -> String {
    format!("{}\n", crate::render::next::lines(&here(next)))
}

fn placed_at(line: &str, place: &str) -> String {
    let verb = |rest: &str| rest.split(' ').next().map(str::to_owned);
    let is_one = |verb: String| Cli::command().find_subcommand(verb).is_some();
    match line.strip_prefix("cairn ") {
        Some(rest) if verb(rest).is_some_and(is_one) => format!("cairn{place} {rest}"),
        _ => line.to_owned(),
    }
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

/// Columns that are enough to say what is wrong with a line.
const LONGEST: usize = 400;

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
    // Whatever was given comes back in it.
    crate::render::table::cut(&told, LONGEST)
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
            ("cairn --root /mnt status", "cairn --root /mnt status"),
            ("ls -ld /cairn list", "ls -ld /cairn list"),
        ] {
            assert_eq!(placed_at(tip, " --root /m"), told);
        }
        assert_eq!(placed_at("df -h /", ""), "df -h /");
    }

    #[test]
    fn a_verb_is_known_with_its_options() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let can = |line: &str, option| takes(&words(line), [option].into_iter());
        assert!(can("restore 4 --only config", "--rebuild"));
        assert!(can("undo", "--lock-timeout"));
        assert!(!can("undo", "--rebuild"));
        assert!(can("remote --json list", "--password-file"));
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
