//! The terminal: whether there is one, how wide it is, and asking.

use std::io::{self, BufRead, IsTerminal, Write};

/// Whether both questions and answers reach a person.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether output goes to a terminal that wants colour.
pub fn wants_colour() -> bool {
    io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Columns of the terminal; `None` when output goes elsewhere.
pub fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // A terminal that does not know its width is still a terminal.
    Some(match usize::from(size.ws_col) {
        0 => 80,
        columns => columns,
    })
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
