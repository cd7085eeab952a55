//! The terminal: whether there is one, how wide it is, and asking.

use std::io::{self, BufRead, IsTerminal, Write};

/// What clears a terminal and goes to its upper left corner.
pub const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Whether both questions and answers reach a person.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether what goes to standard error reaches a screen that can be drawn on.
pub fn shows_errors() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether output wants colour: when it goes to a terminal that has it, or
/// `CLICOLOR_FORCE` is set. `NO_COLOR` says no to both.
pub fn wants_colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let forced = set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE") != Some("0".into());
    let able =
        io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    !set("NO_COLOR") && (forced || able)
}

/// Columns of the terminal; where output goes elsewhere, those that `COLUMNS`
/// says, if it is exported.
pub fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return std::env::var("COLUMNS").ok()?.parse().ok();
    }
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // A terminal that does not know its width is still a terminal.
    Some(match usize::from(size.ws_col) {
        0 => 80,
        columns => columns,
    })
}

/// Columns and rows of the terminal that questions go to, if it knows them.
pub fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Asks a yes–no question on the terminal; anything but yes is no.
pub fn ask(question: &str) -> bool {
    let mut err = io::stderr();
    let asked = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    asked.is_ok()
        && io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Whether what this process says goes into the journal (`systemd.exec(5)`,
/// `JOURNAL_STREAM`), where anybody who may read that sees it.
pub fn is_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

/// Whether output goes to a terminal.
pub fn is_output() -> bool {
    io::stdout().is_terminal()
}
