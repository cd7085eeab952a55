//! Picking one of several lines on the terminal, by typing part of it.

use std::fmt;
use std::io;

use inquire::error::InquireError;
use inquire::ui::RenderConfig;
use inquire::{Select, list_option::ListOption};

use super::terminal;

/// Rows of the screen that are not for the lines: question, help, air.
const AROUND: u16 = 4;
/// Lines shown at a time, at most.
const MOST: u16 = 15;
/// A smaller terminal has no room to pick in; one of size 0 does not know.
const LEAST: (u16, u16) = (20, AROUND + 2);

/// Something to pick from.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What is shown and searched: printable, one line.
    pub line: String,
    /// What is shown of it in so many columns.
    pub cut: fn(&str, usize) -> String,
}

/// As it fits in the terminal at this moment, which may have changed its size.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = terminal::size().map_or(80, |(columns, _)| columns);
        // Two are for the mark of the line, one stays free of wrapping.
        let room = usize::from(columns).saturating_sub(3).max(1);
        f.write_str(&(self.cut)(&self.line, room))
    }
}

/// Whether there is a person at a terminal that can do this.
pub fn is_possible() -> bool {
    let able = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let fits = terminal::size().is_some_and(|size| size.0 >= LEAST.0 && size.1 >= LEAST.1);
    terminal::is_interactive() && able && fits
}

/// Has a person pick one of `choices`, beginning at `start`; gives which one,
/// or `None` when they left with escape or an interrupt.
///
/// # Errors
/// A terminal that cannot be used.
pub fn pick(
    question: &str,
    choices: Vec<Choice>,
    start: usize,
    colour: bool,
) -> io::Result<Option<usize>> {
    let rows = terminal::size().map_or(LEAST.1, |(_, rows)| rows);
    let page = usize::from(rows.saturating_sub(AROUND).clamp(1, MOST));
    // What is cut off on the screen can be searched for all the same.
    let scorer = |typed: &str, choice: &Choice, _: &str, n: usize| {
        Select::<Choice>::DEFAULT_SCORER(typed, choice, &choice.line, n)
    };
    let answer = |chosen: ListOption<&Choice>| {
        let first = chosen.value.line.split_whitespace().next();
        first.unwrap_or_default().to_owned()
    };
    let picked = Select::new(question, choices)
        .with_starting_cursor(start)
        .with_page_size(page)
        .with_scorer(&scorer)
        .with_formatter(&answer)
        .with_help_message("type to search, ↑↓ to move, enter to pick, esc to leave")
        .with_render_config(if colour {
            RenderConfig::default_colored()
        } else {
            RenderConfig::empty()
        })
        .raw_prompt();
    match picked {
        Ok(option) => Ok(Some(option.index)),
        Err(InquireError::OperationCanceled | InquireError::OperationInterrupted) => Ok(None),
        Err(InquireError::IO(error)) => Err(error),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}
