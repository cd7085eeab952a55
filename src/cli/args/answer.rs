//! The arguments of the verbs that keep a change or take it back.

use std::ffi::OsString;

use clap::Args;

use crate::point::Span;

/// `try`
#[derive(Debug, Args)]
pub struct Try {
    /// Go back unless `cairn confirm` comes within TIME, such as 5min [default: the policy's
    /// gate.confirmTimeout]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub confirm_timeout: Option<Span>,
    /// Capture this state set of the policy first, and take it back with the rest; may be repeated
    #[arg(long, value_name = "SET")]
    pub state: Vec<String>,
    /// Do not go back for the command's exit code alone
    #[arg(long)]
    pub may_fail: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `confirm`, `revert`
#[derive(Debug, Args)]
pub struct Answer {
    /// The switch, by the start of its id or of its restore point's [default: the newest]
    pub id: Option<String>,
}

fn span(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e| format!("{e}"))?;
    match span.duration().is_zero() {
        true => Err("no time at all; write a span such as 30s".to_owned()),
        false => Ok(span),
    }
}
