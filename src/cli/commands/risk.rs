//! `risk`

use std::ffi::OsString;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::super::Exit;
use super::super::args;
use super::super::failure::Failure;
use super::super::session::Session;
use crate::engine::risk::{self, Risked};
use crate::engine::{Engine, EngineError, history};
use crate::learn::risk::Assessment;
use crate::nix::store_path::StorePath;
use crate::point::risk::Features;
use crate::render;
use crate::system::pointers;
use crate::system::run::Call;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'r> {
    from: &'r StorePath,
    to: &'r StorePath,
    #[serde(flatten)]
    assessment: &'r Assessment,
    features: &'r Features,
    threshold: f64,
    high: bool,
}

/// `risk`
pub(super) fn risk(s: &Session, args: &args::Risk) -> Result<Exit, Failure> {
    let engine = s.engine();
    let Some(from) = pointers::current(engine.layout) else {
        let why = "no system runs here, so there is no switch to judge".to_owned();
        return Err(EngineError::NoWay(why).into());
    };
    let to = target(s, &engine, args)?;
    let (records, damaged) = history::history(&engine)?;
    let records: Vec<_> = records.into_iter().rev().collect();
    let risked = risk::ask(&engine, &from, &to, &records)?;
    show(s, &engine, &risked)?;
    damaged.iter().for_each(|line| s.out.warn(line));
    Ok(Exit::Ok)
}

fn show(s: &Session, engine: &Engine<'_>, risked: &Risked) -> Result<(), Failure> {
    let told = Told {
        from: &risked.from,
        to: &risked.to,
        assessment: &risked.assessment,
        features: &risked.change.features,
        threshold: f64::from(engine.policy.risk.threshold) / 100.0,
        high: risked.is_high(engine),
    };
    s.out.result("risk", json!(told), |style| {
        let threshold = engine
            .policy
            .risk
            .enable
            .then_some(engine.policy.risk.threshold);
        render::risk::told(
            (risked.from.name(), risked.to.name()),
            &risked.assessment,
            risked.change.features.packages.is_some(),
            threshold,
            style,
        )
        .into_bytes()
    })?;
    Ok(())
}

/// The system to judge: what the command built, what was named, or the
/// profile's.
fn target(s: &Session, engine: &Engine<'_>, args: &args::Risk) -> Result<StorePath, Failure> {
    if !args.command.is_empty() {
        return built(s, engine, &args.command);
    }
    if let Some(named) = &args.toplevel {
        return store_path(s, engine, named);
    }
    let system = pointers::observe(engine.layout, engine.profile, None)
        .map_err(EngineError::from)?
        .system;
    let profile = system.profile.map(|p| p.toplevel);
    profile.ok_or_else(|| {
        let why = format!("the profile {} has no system", engine.profile);
        EngineError::NoWay(why).into()
    })
}

/// A path, or where a link leads.
fn store_path(s: &Session, engine: &Engine<'_>, path: &Path) -> Result<StorePath, Failure> {
    let logical = s.logical(path)?;
    let end = engine.layout.resolve(&logical).map_err(EngineError::from)?;
    let parsed = StorePath::from_absolute_path(end.as_os_str().as_encoded_bytes());
    parsed.map_err(|_| {
        let path = crate::point::path::printable(path);
        EngineError::NoWay(format!("{path} is not the store path of a system")).into()
    })
}

/// Runs the command; its system is the store path that it prints last, or else
/// where `./result` leads, as `nixos-rebuild build` makes it.
fn built(s: &Session, engine: &Engine<'_>, command: &[OsString]) -> Result<StorePath, Failure> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::Usage("no command was given".to_owned()))?;
    let mut call = Call::new(program).args(arguments);
    call.tell = true;
    call.yields = true;
    let ended = engine.runner.check(&call).map_err(EngineError::from)?;
    let printed = String::from_utf8_lossy(&ended.stdout);
    let path = printed
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.starts_with("/nix/store/"));
    match path {
        Some(path) => store_path(s, engine, Path::new(path)),
        None => store_path(s, engine, Path::new("result")).map_err(|_| {
            let why = "the command printed no store path, and made no ./result".to_owned();
            EngineError::NoWay(why).into()
        }),
    }
}
