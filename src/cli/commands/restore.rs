//! `restore`, `undo`, `rollback`, `resume`, `abort`: show the plan, ask once,
//! carry it out, say how to undo it.

use std::path::Path;

use serde_json::{Value, json};

use super::super::Exit;
use super::super::args::{Part, Restore, Rollback, Undo};
use super::super::failure::Failure;
use super::super::session::Session;
use super::compare::change_json;
use super::{merge, pick, remote, takeout};
use crate::engine::EngineError;
use crate::engine::apply::Part as Owner;
use crate::engine::diff::{self, End};
use crate::engine::fetch::Sources;
use crate::engine::merge::Ask;
use crate::engine::rebuild::{self, Rebuilt};
use crate::engine::remote::hardware_that_stays;
use crate::engine::restore::{self, Goal, Plan, Restored};
use crate::engine::undo::{self, Way};
use crate::plan::humane::bytes;
use crate::plan::restore::ProfileMove;
use crate::plan::text_diff::FileDiff;
use crate::plan::tree_diff::Change;
use crate::point::{BytePath, Point, Selector};
use crate::render;
use crate::render::style::{count, line};
use crate::system::generations;
use crate::system::journal::{Activation, Scope};

/// `restore`
pub(super) fn restore(s: &Session, args: Restore) -> Result<Exit, Failure> {
    let usage = |text: &str| Err(Failure::Usage(text.to_owned()));
    if args.only == Some(Part::Generation) && !args.paths.is_empty() {
        return usage("--only generation has no paths to restore");
    }
    if args.only == Some(Part::State) && args.no_state {
        return usage("--only state and --no-state leave nothing to restore");
    }
    // A set that is named is all that is wanted, as a path is.
    let only = match (args.only, args.state.is_empty()) {
        (None, false) => Some(Part::State),
        (Some(Part::Generation | Part::Config), false) => {
            return usage("--state goes with --only state, or alone");
        }
        (only, _) => only,
    };
    let paths: Vec<BytePath> = args
        .paths
        .iter()
        .map(|p| s.logical(p).map(BytePath))
        .collect::<Result<_, _>>()?;
    let named = !paths.is_empty();
    let engine = s.engine();
    let far = args.host.is_some() || args.remote.is_given();
    let picked = match args.point {
        _ if far => {
            let id = args.point.as_ref().map(ToString::to_string);
            let point = remote::fetch(s, &args.remote.into(), args.host, id)?;
            if s.dry_run() {
                let id = super::points::short(point.id);
                s.out
                    .warn(format!("{id} was fetched to be looked at, and stays here"));
            }
            Some(point)
        }
        None if s.may_pick() => pick::point(s)?,
        _ => None,
    };
    let by_hand = picked.is_some() && !far;
    let point = match picked {
        Some(point) => point,
        None => engine.select(&args.point.unwrap_or(Selector::Latest(0)))?,
    };
    if args.merge {
        if !matches!(only, None | Some(Part::Config)) {
            return usage("--merge is for the configuration alone");
        }
        let base = args.merge_base.map(|s| engine.select(&s)).transpose()?;
        let ask = Ask {
            base,
            allow_conflicts: args.allow_conflicts,
        };
        return merge::merge(s, point, paths, args.keep_added, ask);
    }
    // A point taken without one part is restored without it, unless the part
    // was asked for by name.
    let has = |part: Part, held: bool| only == Some(part) || (only.is_none() && held);
    let mut state: Vec<String> = match args.state.is_empty() {
        true => point.state.keys().cloned().collect(),
        false => args.state,
    };
    if args.no_state || !has(Part::State, true) {
        state.clear();
    } else if only == Some(Part::State) && state.is_empty() {
        return Err(EngineError::NotHeld {
            point: super::points::short(point.id),
            what: "state",
        }
        .into());
    }
    if named {
        state.retain(|name| touches(&point, name, &paths));
    }
    let config = match named {
        // A path that is state need not be looked for in the configuration.
        true if only.is_none() => point.config.is_some() || state.is_empty(),
        _ => has(Part::Config, point.config.is_some()),
    };
    let mut scope = Scope {
        generation: !named && has(Part::Generation, point.system.target().is_some()),
        config,
        state,
        paths,
        keep_added: args.keep_added,
        ..Scope::default()
    };
    if let Some(to) = &args.to {
        return takeout::take_out(s, &point, &scope, to);
    }
    if !args.hardware {
        scope.leave = hardware_that_stays(&engine, &point, &scope)?;
    }
    s.activate(args.activation, &mut scope);
    if args.rebuild && scope.generation && rebuild::is_needed(&engine, &point)? {
        match build_again(s, &point)? {
            Some(built) => scope.stand_in = built.stand_in(),
            None => return Ok(Exit::Ok),
        }
    }
    let (goal, sources) = (Goal::Point(Box::new(point)), s.sources(args.fetch));
    let plan = restore::plan_from(&engine, goal, &scope, &sources)?;
    if by_hand && !s.dry_run() && !plan.is_empty() {
        show(s, &plan, "restore")?;
        show_texts(s, &plan)?;
        s.out.say("")?;
        return ask_and_do(s, plan, "restore");
    }
    carry_out(s, plan, "restore")
}

/// Builds the system of a point again; `None` when that was only to be shown.
fn build_again(s: &Session, point: &Point) -> Result<Option<Rebuilt>, Failure> {
    let engine = s.engine();
    let command = rebuild::command(&engine, point)?;
    s.out
        .say(format!("{} {command}", s.out.style.bold("rebuild      ")))?;
    if s.dry_run() {
        s.out
            .result("rebuild", json!({ "command": command }), |_| {
                b"nothing was built: this is a dry run\n".to_vec()
            })?;
        return Ok(None);
    }
    engine.check_finished()?;
    s.confirm("restore", "Build its system again?")?;
    let built = rebuild::run(&engine, point)?;
    if built.left_out > 0 {
        s.out.warn(format!(
            "{} only some may read did not go into the build",
            count(built.left_out, "file")
        ));
    }
    let path = built.toplevel.to_absolute_path();
    if built.same {
        s.out
            .say(format!("built {path}: the very system of the point"))?;
        return Ok(Some(built));
    }
    s.out.warn(format!(
        "what was built is not the system of the point but {path}: an input has changed since"
    ));
    s.confirm("restore", "Take that one in its place?")?;
    Ok(Some(built))
}

/// Whether any of these paths lies in a state set, or holds a part of it.
fn touches(point: &Point, set: &str, paths: &[BytePath]) -> bool {
    let roots = point.state.get(set).map(|set| set.roots.as_slice());
    let near = |root: &Path, path: &Path| path.starts_with(root) || root.starts_with(path);
    roots
        .unwrap_or_default()
        .iter()
        .any(|root| paths.iter().any(|path| near(&root.path.0, &path.0)))
}

/// `rollback`
pub(super) fn rollback(s: &Session, args: Rollback) -> Result<Exit, Failure> {
    let mut scope = Scope {
        generation: true,
        ..Scope::default()
    };
    s.activate(args.activation, &mut scope);
    let engine = s.engine();
    let goal = Goal::Point(Box::new(engine.select(&args.point)?));
    let plan = restore::plan_from(&engine, goal, &scope, &s.sources(args.fetch))?;
    carry_out(s, plan, "rollback")
}

/// `undo`
pub(super) fn undo(s: &Session, args: &Undo) -> Result<Exit, Failure> {
    let how = |scope: &mut Scope| s.activate(args.activation, scope);
    let plan = undo::plan_with(&s.engine(), args.point.as_ref(), how)?;
    carry_out(s, plan, "undo")
}

/// `resume`, `abort`
pub(super) fn end(s: &Session, way: Way) -> Result<Exit, Failure> {
    let verb = match way {
        Way::Resume => "resume",
        Way::Abort => "abort",
    };
    let (_, plan) = undo::plan_ending(&s.engine(), way)?;
    show(s, &plan, verb)?;
    if s.dry_run() {
        return Ok(Exit::Ok);
    }
    s.confirm(verb, &format!("{verb} the interrupted restore?"))?;
    s.begin_work();
    tell(s, &undo::end(&s.engine(), way)?, verb)
}

/// Shows a plan, asks, and carries it out.
pub(super) fn carry_out(s: &Session, plan: Plan, verb: &'static str) -> Result<Exit, Failure> {
    if !s.dry_run() {
        s.engine().check_finished()?;
    }
    if plan.is_empty() {
        let value = json!({ "goal": plan.goal.label(), "changed": false });
        let goal = plan.goal.label();
        s.out.result(verb, value, |_| {
            let text = match verb {
                "merge" => format!("what {goal} changed is all there already\n"),
                _ => format!("everything is already as {goal} has it\n"),
            };
            text.into_bytes()
        })?;
        return Ok(Exit::Ok);
    }
    if s.dry_run() {
        s.out.result("plan", plan_json(&plan), |_| Vec::new())?;
        if !s.out.json {
            show(s, &plan, verb)?;
            show_texts(s, &plan)?;
            s.out.say("\nnothing was changed: this is a dry run")?;
        }
        return Ok(Exit::Ok);
    }
    show(s, &plan, verb)?;
    ask_and_do(s, plan, verb)
}

fn ask_and_do(s: &Session, plan: Plan, verb: &'static str) -> Result<Exit, Failure> {
    s.confirm(verb, "Go on?")?;
    let plan = ask_boot_step(s, plan)?;
    s.begin_work();
    tell(s, &restore::execute(&s.engine(), plan, verb)?, verb)
}

/// Another root does not boot what is restored until its boot loader knows of
/// it: that is asked, for it runs programs of the root.
fn ask_boot_step(s: &Session, plan: Plan) -> Result<Plan, Failure> {
    let Some(line) = &plan.boot_step else {
        return Ok(plan);
    };
    if !s.may(&format!("Tell the boot loader there as well ({line})?")) {
        return Ok(plan);
    }
    let mut scope = plan.scope;
    scope.activation = Activation::Boot;
    let sources = plan.fetch.map(|fetch| fetch.sources);
    let sources = sources.unwrap_or_else(|| Sources::of(s.engine().policy));
    Ok(restore::plan_from(
        &s.engine(),
        plan.goal,
        &scope,
        &sources,
    )?)
}

fn show(s: &Session, plan: &Plan, verb: &str) -> Result<(), Failure> {
    let style = &s.out.style;
    let title = plan.goal.point().map_or_else(String::new, |point| {
        format!(
            " · {} · {}",
            style.when(point.created),
            style.fit(40, &line(&point.reason))
        )
    });
    s.out.say(format!(
        "{} {}{title}",
        style.bold(verb),
        style.cyan(plan.goal.label())
    ))?;
    let engine = s.engine();
    if let Some(fetch) = &plan.fetch {
        let urls = line(&fetch.sources.urls.join(", "));
        s.out.say(format!(
            "{} the system from {urls}",
            style.bold("fetches      ")
        ))?;
    }
    if let Some(system) = &plan.system {
        let now = generations::read(engine.layout, engine.profile)?.current;
        s.out
            .say(render::plan::system(system, engine.profile, now, style).trim_end())?;
    }
    for root in plan.roots.iter().filter(|r| !r.changes.is_empty()) {
        let path = root.root.path.to_string();
        let text = match &root.part {
            Owner::Config => {
                let title = style.bold("configuration");
                let changes = render::plan::config(&root.base, &root.changes, style);
                format!("{title} {path}\n{changes}")
            }
            Owner::State(set) => {
                let title = style.bold(format!("state {}", line(set)));
                let full = |c: &Change| (BytePath(root.base.join(&c.path)), c.what);
                let changes: Vec<_> = root.changes.iter().map(full).collect();
                let changes = render::diff::state_changes(&changes, style);
                format!("{title} {path}\n{changes}")
            }
        };
        s.out.say(text.trim_end())?;
    }
    if !plan.units.is_empty() {
        let units = line(&plan.units.join(", "));
        s.out
            .say(format!("{} {units}", style.bold("stops        ")))?;
    }
    for warning in &plan.warnings {
        s.out.warn(line(warning));
    }
    if let Some(step) = &plan.boot_step {
        s.out.warn(format!(
            "the boot loader there has to be told as well: --boot does it, or {}",
            line(step)
        ));
    }
    Ok(())
}

/// The text differences a dry run shows, from now to what is wanted.
fn show_texts(s: &Session, plan: &Plan) -> Result<(), Failure> {
    let show = |text: &FileDiff| -> Result<(), Failure> {
        s.out.say("")?;
        let text = render::diff::file_text(text, &s.out.style);
        Ok(std::io::Write::write_all(&mut std::io::stdout(), &text)?)
    };
    if let Some(merge) = &plan.merge {
        return merge
            .files
            .iter()
            .filter_map(|f| f.text.as_ref())
            .try_for_each(show);
    }
    let Some(point) = plan.goal.point().filter(|_| plan.scope.config) else {
        return Ok(());
    };
    let then = End::Point(Box::new(point.clone()));
    let found = diff::config_alone(&s.engine(), &End::Now, &then)?;
    let changed: Vec<_> = plan.roots.iter().flat_map(|r| r.changed_paths()).collect();
    let found = found.iter().filter(|f| changed.contains(&f.path.0));
    found.filter_map(|f| f.text.as_ref()).try_for_each(show)
}

pub(super) fn plan_json(plan: &Plan) -> Value {
    let system = plan.system.as_ref().map(|p| {
        let (how, number) = match p.profile {
            ProfileMove::Stay => ("stay", None),
            ProfileMove::SwitchGeneration(n) => ("switch-generation", Some(n)),
            ProfileMove::Set => ("set", None),
        };
        json!({
            "boots": p.boots, "runs": p.runs, "profile": how, "generation": number,
            "activate": p.activations.iter().map(|a| a.action).collect::<Vec<_>>(),
        })
    });
    let changes = |of: &dyn Fn(&Owner) -> bool| -> Vec<Value> {
        let roots = plan.roots.iter().filter(|root| of(&root.part));
        roots
            .flat_map(|root| {
                root.changes.iter().map(|c| {
                    let path = BytePath(root.base.join(&c.path));
                    json!({ "path": path, "change": change_json(&c.what) })
                })
            })
            .collect()
    };
    let state: Value = plan
        .scope
        .state
        .iter()
        .map(|set| {
            let own = changes(&|part| matches!(part, Owner::State(name) if name == set));
            (set.clone(), Value::Array(own))
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    let merge = plan.merge.as_ref().map(|m| merge::as_json(m));
    json!({
        "goal": plan.goal.label(), "system": system, "merge": merge, "bootStep": plan.boot_step,
        "fetch": plan.fetch.as_ref().map(|f| json!({ "gone": f.gone, "from": f.sources.urls })),
        "config": changes(&|part| *part == Owner::Config), "state": state,
        "units": plan.units, "warnings": plan.warnings,
    })
}

fn tell(s: &Session, restored: &Restored, verb: &str) -> Result<Exit, Failure> {
    let warnings: Vec<&String> = restored.warnings.iter().chain(&restored.notes).collect();
    for note in &restored.notes {
        s.out.warn(line(note));
    }
    let value = json!({
        "goal": restored.goal.label(), "changed": true, "paths": restored.changed,
        "generation": restored.generation, "activated": restored.activated,
        "bootStep": restored.boot_step,
        "undoPoint": restored.undo.id, "before": restored.before, "warnings": warnings,
        "switchCode": restored.switch_code, "conflicts": restored.conflicts,
    });
    s.out.result(verb, value, |style| {
        let mut done = Vec::new();
        if let Some(generation) = restored.generation.filter(|_| restored.moved) {
            done.push(format!("generation {generation}"));
        }
        if restored.changed > 0 {
            done.push(count(restored.changed, "path"));
        }
        if restored.runs {
            done.push("running".to_owned());
        } else if restored.activated {
            done.push("boots next".to_owned());
        }
        if done.is_empty() {
            done.push("nothing was left to do".to_owned());
        }
        let undo = &restored.undo;
        let kept = undo.config.as_ref().map_or(0, |c| c.bytes)
            + undo.state.values().map(|set| set.bytes).sum::<u64>();
        format!(
            "{} {}: {}\n{}\n",
            style.green("done"),
            style.cyan(restored.goal.label()),
            done.join(", "),
            style.dim(if verb == "abort" {
                let before = restored.before.map_or_else(String::new, |id| {
                    let id = super::points::short(id);
                    format!("; what was there until now is in {id}")
                });
                format!("everything is as it was before the restore{before}")
            } else {
                format!(
                    "what was there before is in {} ({}); cairn undo brings it back",
                    super::points::short(restored.undo.id),
                    bytes(kept)
                )
            })
        )
        .into_bytes()
    })?;
    if let Some(step) = &restored.boot_step {
        s.out.say(format!("  try: {}", line(step)))?;
    }
    if restored.conflicts > 0 {
        s.out.warn(format!(
            "{} to settle by hand: look for <<<<<<<",
            count(restored.conflicts, "conflict")
        ));
        return Ok(Exit::Partial);
    }
    let Some(code) = restored.switch_code else {
        return Ok(Exit::Ok);
    };
    s.out.warn(format!(
        "the system is back, but switch-to-configuration ended with {code}: {} \
         (systemctl --failed)",
        crate::system::switch::meaning(code)
    ));
    Ok(Exit::Partial)
}
