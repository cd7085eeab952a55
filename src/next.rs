//! What to run next: commands that a shell takes as they stand.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Commands that may help, the likeliest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next(Vec<Command>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A line for a shell.
    Line(String),
    /// What was run, again.
    Again {
        /// With the rights of root.
        as_root: bool,
        /// Options that it had not, or had with other values, each with its value;
        /// or what it is about.
        with: Vec<(String, Option<String>)>,
        /// Options that it had, and whether a value is behind each.
        without: Vec<(&'static str, bool)>,
    },
}

impl Next {
    /// A line for a shell.
    pub fn run(line: impl Into<String>) -> Self {
        Self(vec![Command::Line(line.into())])
    }

    /// What was run, again.
    pub fn again() -> Self {
        Self(vec![again(None)])
    }

    /// What was run, again, as root.
    pub fn again_as_root() -> Self {
        Self(vec![Command::Again {
            as_root: true,
            with: Vec::new(),
            without: Vec::new(),
        }])
    }

    /// What was run, again, with an option.
    pub fn again_with(option: &str, value: Option<&str>) -> Self {
        let option = option.to_owned();
        Self(vec![again(Some((option, value.map(str::to_owned))))])
    }

    /// The same with one more option, which takes no value.
    #[must_use]
    pub fn with(mut self, option: &str) -> Self {
        if let Some(Command::Again { with, .. }) = self.0.last_mut() {
            with.push((option.to_owned(), None));
        }
        self
    }

    /// The same without an option that it had; `valued` says whether a value is
    /// behind that.
    #[must_use]
    pub fn without(mut self, option: &'static str, valued: bool) -> Self {
        if let Some(Command::Again { without, .. }) = self.0.last_mut() {
            without.push((option, valued));
        }
        self
    }

    /// Another line, where the ones before do not serve.
    #[must_use]
    pub fn or(self, line: impl Into<String>) -> Self {
        self.or_else(Self::run(line))
    }

    /// Other commands, where the ones before do not serve.
    #[must_use]
    pub fn or_else(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The commands, the likeliest first. There is always one.
    pub fn commands(&self) -> &[Command] {
        &self.0
    }
}

fn again(option: Option<(String, Option<String>)>) -> Command {
    Command::Again {
        as_root: false,
        with: option.into_iter().collect(),
        without: Vec::new(),
    }
}

impl From<String> for Next {
    fn from(line: String) -> Self {
        Self::run(line)
    }
}

impl From<&str> for Next {
    fn from(line: &str) -> Self {
        Self::run(line)
    }
}

impl Command {
    /// As a shell takes it; `words` are those of the command line that was run,
    /// without the program's name.
    pub fn line(&self, words: &[String]) -> String {
        let (as_root, with, without) = match self {
            Self::Line(line) => return line.clone(),
            Self::Again {
                as_root,
                with,
                without,
            } => (*as_root, with, without),
        };
        let end = words.iter().position(|word| word == "--");
        let (own, passed) = words.split_at(end.unwrap_or(words.len()));
        let mut line = match as_root {
            true => "sudo cairn".to_owned(),
            false => "cairn".to_owned(),
        };
        let mut put = |word: &str| {
            line.push(' ');
            line.push_str(&quoted(word));
        };
        let mut own = own.iter();
        while let Some(word) = own.next() {
            let name = word.split_once('=').map_or(&**word, |(name, _)| name);
            let set = with.iter().find(|(option, _)| *option == name);
            let set = set.map(|(_, value)| value.is_some());
            let left = without.iter().find(|(option, _)| *option == name);
            match set.or(left.map(|(_, valued)| *valued)) {
                // Its value is the word behind.
                Some(true) if name == word => drop(own.next()),
                Some(_) => {}
                None => put(word),
            }
        }
        for (option, value) in with {
            put(option);
            value.iter().for_each(|value| put(value));
        }
        passed.iter().for_each(|word| put(word));
        line
    }
}

/// A word as a shell reads it back, whatever is in it, and as a terminal can
/// show it.
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    let bytes = word.as_ref().as_bytes();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-=:+,@%".contains(b);
    let shown = |c: char| !c.is_control() && !crate::point::path::is_bidi_control(c);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && bytes.iter().all(plain) => text.to_owned(),
        Ok(text) if text.chars().all(shown) => format!("'{}'", text.replace('\'', "'\\''")),
        _ => {
            let byte = |b: &u8| match b {
                b'\'' | b'\\' => format!("\\{}", *b as char),
                b' '..=b'~' => (*b as char).to_string(),
                b => format!("\\x{b:02x}"),
            };
            format!("$'{}'", bytes.iter().map(byte).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(ToString::to_string).collect()
    }

    #[allow(clippy::disallowed_methods, reason = "asks the real shell")]
    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let hostile: [&[u8]; 8] = [
            b"plain-1.2",
            b"",
            b"two words",
            b"it's $HOME `id` \"x\"",
            b"line\nbreak\\ and 'quote",
            b"\x1b[2Jf9",
            b"not\xffutf-8",
            "dir\u{202e}cba é".as_bytes(),
        ];
        for bytes in hostile {
            let word = quoted(OsStr::from_bytes(bytes));
            assert!(!word.chars().any(char::is_control), "{word:?}");
            let told = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {word}")])
                .output()
                .unwrap();
            assert_eq!(told.stdout, bytes, "{word}");
        }
    }

    #[test]
    fn what_was_run_comes_again() {
        let run = words(&[
            "--root=/m",
            "try",
            "-r",
            "a b",
            "--",
            "nixos-rebuild",
            "test",
        ]);
        let line = |next: Next| next.commands()[0].line(&run);
        assert_eq!(
            line(Next::again()),
            "cairn --root=/m try -r 'a b' -- nixos-rebuild test"
        );
        assert_eq!(
            line(Next::again_with("--lock-timeout", Some("300"))),
            "cairn --root=/m try -r 'a b' --lock-timeout 300 -- nixos-rebuild test"
        );
        assert_eq!(
            line(Next::again_as_root()),
            "sudo cairn --root=/m try -r 'a b' -- nixos-rebuild test"
        );
        assert_eq!(line("cairn list".into()), "cairn list");
        let run = words(&["restore", "--to", "/a", "4", "--to=/b"]);
        let next = Next::again_with("--to", Some("/a/restored"));
        assert_eq!(
            next.commands()[0].line(&run),
            "cairn restore 4 --to /a/restored"
        );
        let run = words(&["restore", "4", "--from", "file:///a", "-y"]);
        let next = Next::again_with("--rebuild", None).without("--from", true);
        assert_eq!(
            next.commands()[0].line(&run),
            "cairn restore 4 -y --rebuild"
        );
        let run = words(&["import", "--closure", "a.cairn"]);
        let next = Next::again().without("--closure", false);
        assert_eq!(next.commands()[0].line(&run), "cairn import a.cairn");
    }
}
