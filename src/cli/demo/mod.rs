//! `demo`: everything cairn promises, on a machine of its own.
//!
//! Each step is a line of shell that a person could type; the machine runs it
//! as it is, with this very program as `cairn`. After a step its promise is
//! checked on the files themselves.

mod screen;
mod script;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Exit;
use super::args::{Demo, Global};
use super::failure::Failure;
use super::out::Out;
use super::session::output;
use crate::plan::humane::duration;
use crate::point::tree::Node;
use crate::system::demo::{Machine, Store};
use crate::system::run::Processes;
use screen::Screen;
use script::{Promise, STEPS, Step};

/// `demo`
pub(super) fn run(global: &Global, args: &Demo) -> Result<Exit, Failure> {
    let out = output(global);
    let screen = Screen::new(&out);
    let start = Instant::now();
    let mut machine = Machine::make(&Processes, args.keep)?;
    screen.set_up(&mut machine);
    introduce(&screen, &machine, start.elapsed())?;
    let told = play(&screen, &machine)?;
    let broken = told.iter().filter(|t| !t.broken.is_empty()).count();
    let kept = args.keep.then(|| Kept {
        dir: machine.dir().display().to_string(),
        root: machine.layout().root().display().to_string(),
    });
    let store = machine.store().clone();
    machine.end()?;
    finish(&out, &screen, kept)?;
    out.result("demo", as_json(&told, &store, start), |style| {
        let took = duration(start.elapsed());
        let steps = told.len();
        let text = if broken == 0 {
            style.green(format!("{steps} steps in {took}, every promise held"))
        } else {
            style.red(format!(
                "{broken} of {steps} steps did not do what they promise"
            ))
        };
        format!("{text}\n").into_bytes()
    })?;
    Ok(if broken == 0 { Exit::Ok } else { Exit::Error })
}

fn introduce(screen: &Screen<'_>, machine: &Machine, took: Duration) -> Result<(), Failure> {
    screen.title(
        "A machine of its own: nothing of yours is read or changed",
        Some(took),
    )?;
    let root = machine.layout().root().display();
    match machine.store() {
        Store::Nix(version) => screen.note(&format!(
            "Nix {version} keeps its store and its profile. The systems in it are small \
             stand-ins: links and text files with a NixOS system's names.",
        ))?,
        Store::Synthetic(why) => screen.warn(&format!(
            "SYNTHETIC STORE: {why}. Its paths are plain folders and links, and nix-env and \
             nix-store are stand-in scripts in {}/bin. All of cairn is real.",
            machine.dir().display()
        ))?,
    }
    screen.command(&format!("export CAIRN_ROOT={root}"), None)?;
    screen.command(
        "export PROFILE=$CAIRN_ROOT/nix/var/nix/profiles/system",
        None,
    )?;
    screen.command("cd $CAIRN_ROOT", None)
}

/// What became of a step.
struct Told {
    step: &'static Step,
    took: Duration,
    /// What is not as promised, one line each.
    broken: Vec<String>,
}

fn play(screen: &Screen<'_>, machine: &Machine) -> Result<Vec<Told>, Failure> {
    let mut told = Vec::new();
    let good = machine.config()?;
    let mut bad = Vec::new();
    for step in STEPS {
        if let Some(title) = step.title {
            screen.title(title, None)?;
        }
        let start = Instant::now();
        let ended = machine.run(&Processes, step.line)?;
        let took = start.elapsed();
        screen.command(step.line, Some(took))?;
        screen.output(&String::from_utf8_lossy(&ended.stdout))?;
        let mut broken = Vec::new();
        if ended.code != 0 {
            broken.push(format!("it ended with exit code {}", ended.code));
        }
        for promise in step.promises {
            if matches!(promise, Promise::Broken) {
                bad = machine.config()?;
            }
            match check(machine, promise, &good, &bad)? {
                Ok(text) => screen.kept(&text)?,
                Err(text) => broken.push(text),
            }
        }
        for text in &broken {
            screen.broken(text)?;
        }
        told.push(Told { step, took, broken });
    }
    Ok(told)
}

/// Looks whether a promise holds; the line that says what was found.
fn check(
    machine: &Machine,
    promise: &Promise,
    good: &[Node],
    bad: &[Node],
) -> Result<Result<String, String>, Failure> {
    let judge = |holds: bool, text: String| if holds { Ok(text) } else { Err(text) };
    Ok(match promise {
        Promise::Good => judge(
            machine.config()? == good,
            "the configuration: names, contents and modes as before the change".to_owned(),
        ),
        Promise::Broken => judge(
            machine.config()? != good,
            "the configuration differs from the good one".to_owned(),
        ),
        Promise::Bad => judge(
            machine.config()? == bad,
            "the configuration: names, contents and modes as in the broken change".to_owned(),
        ),
        Promise::Runs { generation, system } => {
            let profile = machine.profile()?;
            let wanted = machine.systems().get(system - 1);
            let found = profile.current().map(|g| &g.toplevel);
            judge(
                profile.current == Some(*generation) && found.is_some() && found == wanted,
                format!("the profile: generation {generation}, system {system}"),
            )
        }
        Promise::Gone { system } => judge(
            !holds(machine, *system),
            format!("system {system}: collected, no restore point held it"),
        ),
        Promise::Held { generation, system } => {
            let linked = machine.profile()?.number(*generation).is_some();
            judge(
                holds(machine, *system) && !linked,
                format!(
                    "system {system}: still there without generation {generation}, a restore \
                     point holds it"
                ),
            )
        }
    })
}

fn holds(machine: &Machine, system: usize) -> bool {
    machine
        .systems()
        .get(system - 1)
        .is_some_and(|path| machine.holds(path))
}

/// A machine that stays.
struct Kept {
    dir: String,
    root: String,
}

fn finish(out: &Out, screen: &Screen<'_>, kept: Option<Kept>) -> Result<(), Failure> {
    match kept {
        Some(Kept { dir, root }) => {
            screen.title("The machine is kept: go on playing", None)?;
            screen.plain(&format!("$ export CAIRN_ROOT={root}"))?;
            screen.plain(&format!("$ export PATH={dir}/bin:$PATH"))?;
            screen.plain("$ cairn status")?;
            screen.plain(&format!("$ chmod -R u+w {dir} && rm -r {dir}"))?;
        }
        None => screen.title("The machine is gone, with all it held", None)?,
    }
    screen.title("On your NixOS machine", None)?;
    screen.plain("$ sudo cairn create -r 'before I try something'")?;
    screen.plain("$ sudo cairn diff")?;
    screen.plain("$ sudo cairn restore")?;
    out.say("")?;
    Ok(())
}

fn as_json(told: &[Told], store: &Store, start: Instant) -> Value {
    let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let (kind, detail) = match store {
        Store::Nix(version) => ("nix", version),
        Store::Synthetic(why) => ("synthetic", why),
    };
    let steps: Vec<Value> = told
        .iter()
        .map(|t| {
            json!({
                "command": t.step.line, "milliseconds": millis(t.took),
                "promises": t.step.promises.len(), "broken": t.broken,
            })
        })
        .collect();
    json!({
        "store": kind, "detail": detail, "steps": steps,
        "milliseconds": millis(start.elapsed()),
        "held": told.iter().all(|t| t.broken.is_empty()),
    })
}
