//! `restore`, `undo`, `rollback`, `resume`, `abort`: show the plan, ask once,
//! carry it out, say how to undo it.

mod shown;

use std::path::Path;

use serde_json::json;

use super::super::Exit;
use super::super::args::{Part, Restore, Rollback, Undo};
use super::super::failure::Failure;
use super::super::session::Session;
use super::{merge, pick, remote, takeout};
use crate::engine::EngineError;
use crate::engine::fetch::Sources;
use crate::engine::merge::Ask;
use crate::engine::rebuild::{self, Rebuilt};
use crate::engine::remote::{Pulled, hardware_that_stays};
use crate::engine::restore::{self, Goal, Plan};
use crate::engine::undo::{self, Way};
use crate::point::{BytePath, Point, Selector};
use crate::render::style::count;
use crate::system::journal::{Activation, Scope};

pub(super) use shown::plan_json;
use shown::{show, show_texts, tell};

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
            let Pulled { point, known, .. } = remote::fetch(s, &args.remote.into(), args.host, id)?;
            if s.dry_run() && !known {
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
    if point.is_ahead(s.out.style.now) {
        s.out.warn(format!(
            "{} is dated in the future: a clock is or was wrong, and others may be newer",
            super::points::short(point.id)
        ));
    }
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
