//! How the demo looks: commands flush left with their time at the right, what
//! they print indented, what was checked marked. Silent for `--json`, `--quiet`.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::super::failure::Failure;
use super::super::out::Out;
use crate::plan::humane::duration;
use crate::render::style::wrap;
use crate::system::demo::Machine;

/// What a command prints is moved right by this.
const INDENT: &str = "    ";

/// Widest line; also the width where there is no terminal.
const WIDTH: usize = 80;

/// The screen.
pub(super) struct Screen<'o> {
    out: &'o Out,
    width: usize,
}

impl<'o> Screen<'o> {
    /// A screen on this output.
    pub(super) fn new(out: &'o Out) -> Self {
        Self {
            out,
            width: out.style.width.unwrap_or(WIDTH).clamp(40, WIDTH),
        }
    }

    /// Tells the machine's commands how to write for this screen.
    pub(super) fn set_up(&self, machine: &mut Machine) {
        let columns = self.width - INDENT.len();
        machine.export("COLUMNS", columns.to_string());
        if self.out.style.colour {
            machine.export("CLICOLOR_FORCE", "1");
        }
    }

    /// Heads a part.
    pub(super) fn title(&self, text: &str, took: Option<Duration>) -> Result<(), Failure> {
        self.plain("")?;
        self.timed(&self.out.style.bold(text), text.width(), took)
    }

    /// A command that was run.
    pub(super) fn command(&self, line: &str, took: Option<Duration>) -> Result<(), Failure> {
        let style = &self.out.style;
        let shown = format!("{} {}", style.dim("$"), style.cyan(line));
        self.timed(&shown, line.width() + 2, took)
    }

    fn timed(&self, shown: &str, width: usize, took: Option<Duration>) -> Result<(), Failure> {
        let Some(took) = took else {
            return self.plain(shown);
        };
        let took = duration(took);
        let gap = self.width.saturating_sub(width + took.width()).max(2);
        self.plain(&format!(
            "{shown}{}{}",
            " ".repeat(gap),
            self.out.style.dim(took)
        ))
    }

    /// What a command printed.
    pub(super) fn output(&self, text: &str) -> Result<(), Failure> {
        for line in text.lines() {
            let line = line.trim_end();
            if line.is_empty() {
                self.plain("")?;
            } else {
                self.plain(&format!("{INDENT}{line}"))?;
            }
        }
        Ok(())
    }

    /// A promise that holds.
    pub(super) fn kept(&self, text: &str) -> Result<(), Failure> {
        self.marked("✓", text, |t| self.out.style.green(t))
    }

    /// A promise that does not hold.
    pub(super) fn broken(&self, text: &str) -> Result<(), Failure> {
        self.marked("✗ NOT SO:", text, |t| self.out.style.red(t))
    }

    /// A remark.
    pub(super) fn note(&self, text: &str) -> Result<(), Failure> {
        self.wrapped("", text, |t| self.out.style.dim(t))
    }

    /// A remark that must be seen.
    pub(super) fn warn(&self, text: &str) -> Result<(), Failure> {
        self.wrapped("", text, |t| self.out.style.yellow(t))
    }

    fn marked(
        &self,
        mark: &str,
        text: &str,
        paint: impl Fn(&str) -> String,
    ) -> Result<(), Failure> {
        self.wrapped("  ", &format!("{mark} {text}"), paint)
    }

    fn wrapped(
        &self,
        indent: &str,
        text: &str,
        paint: impl Fn(&str) -> String,
    ) -> Result<(), Failure> {
        for line in wrap(text, self.width - indent.len()) {
            self.plain(&format!("{indent}{}", paint(&line)))?;
        }
        Ok(())
    }

    /// A line as it is.
    pub(super) fn plain(&self, text: &str) -> Result<(), Failure> {
        Ok(self.out.say(text)?)
    }
}
