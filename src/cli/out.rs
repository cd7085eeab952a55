//! Where results go.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::render::Style;
use crate::render::style::wrap;

/// Version of everything `--json` prints.
pub(super) const VERSION: u32 = 1;

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
            let mut object = Map::new();
            object.insert("version".into(), VERSION.into());
            object.insert(
                name.into(),
                serde_json::to_value(value).unwrap_or(Value::Null),
            );
            serde_json::to_writer_pretty(&mut out, &object)?;
            out.write_all(b"\n")?;
        } else {
            out.write_all(&text(&self.style))?;
        }
        out.flush()
    }

    /// Prints a line that is no result: dropped by `--quiet` and `--json`.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn say(&self, text: impl AsRef<str>) -> io::Result<()> {
        if self.quiet || self.json {
            return Ok(());
        }
        writeln!(io::stdout(), "{}", text.as_ref())
    }

    /// Warns on standard error, where results are not disturbed.
    pub(super) fn warn(&self, text: impl AsRef<str>) {
        if self.quiet {
            return;
        }
        let room = self
            .style
            .width
            .map_or(usize::MAX, |width| width - width.min(6));
        let mut head = self.style.yellow("note: ");
        for line in wrap(text.as_ref(), room) {
            eprintln!("{head}{line}");
            head = " ".repeat(6);
        }
    }
}
