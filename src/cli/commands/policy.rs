//! `policy init|show|add|remove|check|schema`

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::super::Exit;
use super::super::args::{Global, KeepArgs, SchemaOf};
use super::super::failure::Failure;
use super::super::out::Out;
use super::super::policy_args::{
    Add, AddPoint, CheckArg, FileArg, KindArg, Policy as Verb, WhenArg,
};
use super::super::session::{Session, output};
use super::super::usage::hint;
use super::schema::{pretty, schema};
use crate::engine::policy::{self, Changed, Checked};
use crate::engine::{EngineError, generations};
use crate::next::{Next, quoted};
use crate::nix::store_path::StorePath;
use crate::plan::text_diff::{self, Side};
use crate::point::Selector;
use crate::point::path::printable;
use crate::point::policy::{Change, Keep, Kind};
use crate::render;
use crate::render::style::{count, line};
use crate::system::run::Processes;
use crate::system::{Layout, policy_file};

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;

/// Where a policy is written when nobody says.
const FILE: &str = "cairn.json";

/// Where a policy is in force.
const IN_FORCE: &str = "etc/cairn/policy.json";

/// Runs one of them.
pub(super) fn run(global: Global, verb: Verb) -> Result<Exit, Failure> {
    let out = output(&global);
    let file = |named: Option<PathBuf>| {
        named
            .or_else(|| global.policy.clone())
            .unwrap_or_else(|| FILE.into())
    };
    match verb {
        Verb::Schema => schema(&out, SchemaOf::Policy),
        Verb::Show => show(&global, &out),
        Verb::Init(FileArg { file: f, named }) => init(&global, &out, &file(f.or(named))),
        Verb::Check(CheckArg { file: f, named }) => {
            let named = f.or(named).or_else(|| global.policy.clone());
            check(&global, &out, named.as_deref())
        }
        Verb::Add { file: f, what } => {
            let file = file(f);
            let change = addition(&global, what)?;
            apply(&global, &out, &file, &change)
        }
        Verb::Remove {
            file: f,
            kind,
            name,
        } => {
            let kind = match kind {
                KindArg::Point => Kind::Point,
                KindArg::State => Kind::State,
                KindArg::Check => Kind::Check,
                KindArg::Pin => Kind::Pin,
                KindArg::Path => Kind::Path,
                KindArg::Remote => Kind::Remote,
            };
            let add = None;
            apply(&global, &out, &file(f), &Change { kind, name, add })
        }
    }
}

fn show(global: &Global, out: &Out) -> Result<Exit, Failure> {
    let found = match &global.policy {
        Some(named) => policy_file::load(named)?,
        None => policy_file::find(&Layout::new(&global.root, PathBuf::new()))?,
    };
    if found.is_none() {
        out.warn("this machine has no policy: these are the defaults");
    }
    let policy = serde_json::to_value(found.unwrap_or_default()).unwrap_or_default();
    out.result("policy", &policy, |_| pretty(&policy))?;
    Ok(Exit::Ok)
}

fn init(global: &Global, out: &Out, file: &Path) -> Result<Exit, Failure> {
    policy::init(file, global.dry_run)?;
    let changed = Changed {
        before: String::new(),
        after: policy::STARTER.to_owned(),
    };
    let name = quoted(file);
    let mut next = Next::run("cairn policy add --help");
    let mut told = String::new();
    // Where it says nothing to anybody yet.
    if !file.ends_with(IN_FORCE) {
        told = format!(", in force once it is /{IN_FORCE} (NixOS: services.cairn.policyFile)");
        next = next.or(format!("sudo install -D -m 644 {name} /{IN_FORCE}"));
    }
    tell(
        global,
        out,
        file,
        None,
        &changed,
        &["wrote", &format!("{told}\n{}", hint(&next))],
    )
}

fn check(global: &Global, out: &Out, named: Option<&Path>) -> Result<Exit, Failure> {
    let layout = Layout::at(&global.root)?;
    let Checked { path, policy } = policy::check(&layout, &Processes, named, FILE.as_ref())?;
    let file = path.as_path();
    let sizes = [
        (policy.points.len(), "point"),
        (policy.state.len(), "state set"),
        (policy.health.checks.len(), "health check"),
        (policy.pins.len(), "pin"),
        (policy.remotes.len(), "remote"),
    ];
    let value = json!({ "file": file.to_string_lossy(), "faults": [] });
    out.result("check", value, |style| {
        let told: Vec<String> = sizes
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, thing)| count(*n, thing))
            .collect();
        let told = match told.join(", ") {
            none if none.is_empty() => String::new(),
            some => format!(": {some}"),
        };
        format!("{} {}{told}\n", style.green("no fault in"), printable(file)).into_bytes()
    })?;
    Ok(Exit::Ok)
}

fn apply(global: &Global, out: &Out, file: &Path, change: &Change) -> Result<Exit, Failure> {
    // The root as the kernel names it, so that files below it are known.
    let layout = Layout::at(&global.root)?;
    let changed = policy::change(&layout, file, change, global.dry_run)?;
    let words = match change.add {
        Some(_) => ["added", "to"],
        None => ["removed", "from"],
    };
    tell(global, out, file, Some(change), &changed, &words)
}

fn tell(
    global: &Global,
    out: &Out,
    file: &Path,
    change: Option<&Change>,
    changed: &Changed,
    words: &[&str; 2],
) -> Result<Exit, Failure> {
    let differs = changed.before != changed.after;
    let mut value = json!({ "file": file.to_string_lossy(), "changed": differs });
    if let Some(change) = change {
        value["kind"] = change.kind.word().into();
        value["name"] = change.name.clone().into();
    }
    if global.dry_run {
        let before = change.map(|_| changed.before.as_bytes());
        let diff = text_diff::diff(
            Side {
                path: file,
                label: "now",
                content: before,
            },
            Side {
                path: file,
                label: "then",
                content: Some(changed.after.as_bytes()),
            },
            CONTEXT,
        );
        let plain = text_diff::render(&diff, &text_diff::RenderOptions::default());
        value["diff"] = String::from_utf8_lossy(&plain).into();
        out.result("plan", value, |style| render::diff::file_text(&diff, style))?;
        out.say("\nnothing was changed: this is a dry run")?;
        return Ok(Exit::Ok);
    }
    out.result("policy", value, |style| {
        let file = printable(file);
        let text = match change {
            None => format!("{} {file}{}", style.green(words[0]), words[1]),
            Some(_) if !differs => format!("{file} has that already\n"),
            Some(change) => format!(
                "{} {} {} {} {file}\n",
                style.green(words[0]),
                change.kind,
                style.bold(line(&change.name)),
                words[1]
            ),
        };
        text.into_bytes()
    })?;
    Ok(Exit::Ok)
}

/// Fields of an object; those that are null, false or empty are left out.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let said =
        |value: &Value| !value.is_null() && *value != Value::Bool(false) && *value != json!([]);
    let fields = fields.into_iter().filter(|(_, value)| said(value));
    Value::Object(
        fields
            .map(|(name, v)| (name.to_owned(), v))
            .collect::<Map<_, _>>(),
    )
}

fn addition(global: &Global, what: Add) -> Result<Change, Failure> {
    let (kind, name, value) = match what {
        Add::Point(point) => (Kind::Point, point.name.clone(), point_value(*point)),
        Add::State {
            name,
            paths,
            exclude,
            units,
        } => {
            let value = object([
                ("paths", json!(paths)),
                ("exclude", json!(exclude)),
                ("units", json!(units)),
            ]);
            (Kind::State, name, value)
        }
        Add::Check {
            name,
            wanted,
            timeout,
            command,
        } => {
            let mut value = object([("command", json!(command)), ("timeout", json!(timeout))]);
            if wanted {
                value["required"] = false.into();
            }
            (Kind::Check, name, value)
        }
        Add::Pin { name, what } => {
            let path = pinned(global, &what)?;
            (Kind::Pin, name, path.to_absolute_path().into())
        }
        Add::Path { path } => (Kind::Path, path.clone(), path.into()),
        Add::Remote {
            name,
            url,
            password_file,
            schedule,
        } => {
            let mut value = object([
                ("passwordFile", json!(password_file)),
                ("schedule", json!(schedule)),
            ]);
            value["url"] = url.into();
            (Kind::Remote, name, value)
        }
    };
    Ok(Change {
        kind,
        name,
        add: Some(value),
    })
}

fn point_value(point: AddPoint) -> Value {
    let trigger = point.trigger.map(|when| match when {
        WhenArg::PreSwitch => "preSwitch",
        WhenArg::Boot => "boot",
        WhenArg::PreHeal => "preHeal",
    });
    let mut capture = object([("state", json!(point.state))]);
    if point.no_config {
        capture["config"] = false.into();
    }
    let keep = (!point.keep.is_empty()).then(|| keep_value(point.keep));
    object([
        ("trigger", json!(trigger)),
        ("schedule", json!(point.schedule)),
        ("reason", json!(point.reason)),
        (
            "capture",
            if capture == json!({}) {
                Value::Null
            } else {
                capture
            },
        ),
        ("keep", json!(keep)),
    ])
}

fn keep_value(keep: KeepArgs) -> Value {
    let mut value = serde_json::to_value(keep.or(&Keep::default())).unwrap_or_default();
    if value["keepTags"] == json!([])
        && let Some(map) = value.as_object_mut()
    {
        map.remove("keepTags");
    }
    value
}

/// The store path that is meant.
fn pinned(global: &Global, what: &str) -> Result<StorePath, Failure> {
    if what.starts_with('/') {
        return StorePath::from_absolute_path(what.as_bytes())
            .map_err(|e| Failure::Usage(format!("'{what}' is not a store path: {e}")));
    }
    let session = Session::open(global.clone())?;
    let engine = session.engine();
    if let Ok(number) = what.parse::<u64>() {
        match generations::toplevel(&engine, number) {
            // Digits may also be the start of an id.
            Err(EngineError::NoGeneration { .. }) if what.len() > 6 => {}
            other => return Ok(other?),
        }
    }
    let selector: Selector = what.parse()?;
    let point = engine.select(&selector)?;
    match point.system.target() {
        Some(path) => Ok(path.clone()),
        None => Err(EngineError::NotHeld {
            point: super::points::short(point.id),
            what: "system",
        }
        .into()),
    }
}
