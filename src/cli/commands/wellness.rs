//! `health`

use std::collections::BTreeSet;
use std::thread::sleep;

use super::super::Exit;
use super::super::args::Health;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::usage::hint;
use crate::engine::heal;
use crate::engine::health::{self, Ask};
use crate::health::{CHECKS, Report};
use crate::render;
use crate::system::probe::Depth;
use crate::system::{pointers, terminal};

/// `health`
pub(super) fn health(s: &Session, args: &Health) -> Result<Exit, Failure> {
    let engine = s.engine();
    let mut ask = Ask::of(Depth::All);
    if !args.names.is_empty() {
        let known = health::names(&engine);
        for name in &args.names {
            check_name(name, &known)?;
        }
        ask.only = Some(args.names.iter().cloned().collect::<BTreeSet<_>>());
    }
    let host = pointers::host(s.layout());
    loop {
        let report = health::look(&engine, &ask);
        if args.record {
            for note in heal::record(&engine, &report) {
                s.out.warn(note);
            }
        }
        // A screen of its own for each look, where there is a screen.
        let redraw = args.watch.is_some() && s.out.style.width.is_some() && !s.out.json;
        s.out.result("health", &report, |style| {
            let mut text = render::health::report(&report, &host, s.out.verbose, style);
            if let Some(next) = render::health::next(&report) {
                text.push('\n');
                text.push_str(&hint(&next));
            }
            let clear = if redraw { terminal::CLEAR } else { "" };
            format!("{clear}{text}").into_bytes()
        })?;
        match args.watch {
            Some(interval) => sleep(interval.duration()),
            None => return Ok(exit(&report)),
        }
    }
}

fn exit(report: &Report) -> Exit {
    if report.healthy {
        Exit::Ok
    } else {
        Exit::Unhealthy
    }
}

/// A name with what it is of, such as `disk /nix`, is known by its first part.
fn check_name(name: &str, known: &[String]) -> Result<(), Failure> {
    let first = name.split(' ').next().unwrap_or(name);
    let is_check = |name: &str| CHECKS.iter().any(|check| check.name == name);
    if is_check(first) || known.iter().any(|own| own == name) || name.starts_with('/') {
        return Ok(());
    }
    let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    Err(Failure::Usage(format!(
        "there is no check '{name}'; there are {}, and what the policy names",
        names.join(", ")
    )))
}
