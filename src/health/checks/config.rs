//! Whether the files of the configuration parse.

use super::listed;
use crate::health::{Finding, seen::Config};
use crate::nix::imports;
use crate::point::health::{Status, Value};
use crate::point::path::printable;

/// Parses every file.
pub(in crate::health) fn parses(seen: &Config) -> Finding {
    if seen.files.is_empty() {
        return Finding::unknown("there are no .nix files");
    }
    let (mut broken, mut first, mut unread) = (Vec::new(), None, Vec::new());
    for (path, text) in &seen.files {
        match text {
            Err(_) => unread.push(printable(path)),
            Ok(text) => {
                if let Some(error) = imports::scan(text).errors.into_iter().next() {
                    first.get_or_insert_with(|| format!("{}: {}", printable(path), short(&error)));
                    broken.push(printable(path));
                }
            }
        }
    }
    let count = seen.files.len();
    let s = if count == 1 { "" } else { "s" };
    let finding = match (first, unread.is_empty()) {
        (Some(first), _) if broken.len() == 1 => Finding::new(Status::Failing, first),
        (Some(first), _) => {
            let more = broken.len() - 1;
            Finding::new(
                Status::Failing,
                format!("{first}; {more} more do not parse"),
            )
        }
        (None, false) => Finding::new(Status::Warning, format!("cannot read {}", listed(&unread))),
        (None, true) if seen.cut => {
            Finding::new(Status::Ok, format!("the first {count} files parse"))
        }
        (None, true) => Finding::new(
            Status::Ok,
            format!("{count} file{s} parse{}", if count == 1 { "s" } else { "" }),
        ),
    };
    finding.value(Value::count(broken.len())).subjects(broken)
}

/// The error without the list of all that could stand there instead.
fn short(error: &imports::ScanError) -> String {
    let text = error.to_string();
    text.split(", wanted").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, Result<&str, &str>)]) -> Finding {
        let file = |(path, text): &(&str, Result<&str, &str>)| {
            let text = text.map(str::to_owned).map_err(str::to_owned);
            (path.into(), text)
        };
        parses(&Config {
            files: files.iter().map(file).collect(),
            cut: false,
        })
    }

    #[test]
    fn a_file_that_does_not_parse_is_named_with_its_line() {
        let good = of(&[("/etc/nixos/a.nix", Ok("{ }"))]);
        assert_eq!((good.status, &*good.detail), (Status::Ok, "1 file parses"));
        let bad = of(&[
            ("/etc/nixos/a.nix", Ok("{ }")),
            ("/etc/nixos/b.nix", Ok("{\n  x = ;\n}")),
        ]);
        assert_eq!(bad.status, Status::Failing);
        assert!(
            bad.detail.starts_with("/etc/nixos/b.nix: line 2"),
            "{}",
            bad.detail
        );
        assert_eq!(bad.subjects, ["/etc/nixos/b.nix"]);
        let unread = of(&[("/etc/nixos/a.nix", Err("no permission"))]);
        assert_eq!(unread.status, Status::Warning);
        assert_eq!(of(&[]).status, Status::Unknown);
    }
}
