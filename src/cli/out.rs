//! Where results go.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::render::Style;
use crate::render::style::wrap;

/// Version of everything `--json` prints.
pub(super) const VERSION: u32 = 1;

/// A result in a versioned object: `{"version": 1, "<name>": …}`.
struct Envelope<'n, T> {
    name: &'n str,
    value: T,
}

impl<T: Serialize> Serialize for Envelope<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry(self.name, &self.value)?;
        map.end()
    }
}

/// Writes a line on standard error, if anybody is there to read it.
pub(super) fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A list, and what could not be listed.
#[derive(Serialize)]
pub(super) struct Items<T, O> {
    /// What is listed.
    pub(super) items: T,
    /// What else there is to say.
    #[serde(flatten)]
    pub(super) other: O,
}

/// Output, as the global options want it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    /// Print JSON.
    pub json: bool,
    /// Print only what was asked for.
    pub quiet: bool,
    /// Print more.
    pub verbose: bool,
    /// How text looks.
    pub style: Style,
}

impl Out {
    /// Prints a result: `value` under `name` in a versioned object, or text.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn result(
        &self,
        name: &str,
        value: impl Serialize,
        text: impl FnOnce(&Style) -> Vec<u8>,
    ) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &Envelope { name, value })?;
            out.write_all(b"\n")?;
        } else {
            out.write_all(&text(&self.style))?;
        }
        out.flush()
    }

    /// Prints a line that is no result: dropped by `--quiet` and `--json`.
    ///
    /// # Errors
    /// Never: a reader that went away stops no change.
    pub(super) fn say(&self, text: impl AsRef<str>) -> io::Result<()> {
        if self.quiet || self.json {
            return Ok(());
        }
        // What was asked for goes on, though nobody reads about it.
        let _ = writeln!(io::stdout(), "{}", text.as_ref());
        Ok(())
    }

    /// Warns on standard error, where results are not disturbed: as JSON, one line
    /// each, where that is asked for.
    pub(super) fn warn(&self, text: impl AsRef<str>) {
        if self.quiet {
            return;
        }
        if self.json {
            complain(serde_json::json!({ "version": VERSION, "note": text.as_ref() }));
            return;
        }
        let room = self
            .style
            .width
            .map_or(usize::MAX, |width| width - width.min(6));
        let mut head = self.style.yellow("note: ");
        for line in wrap(text.as_ref(), room) {
            complain(format!("{head}{line}"));
            head = " ".repeat(6);
        }
    }
}
