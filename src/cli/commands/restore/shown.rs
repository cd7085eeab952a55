//! Plans, and what came of them, as they are shown.

use crate::cli::Exit;
use crate::cli::commands::compare::change_json;
use crate::cli::commands::merge;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::usage;
use crate::engine::apply::Part as Owner;
use crate::engine::diff::{self, End};
use crate::engine::restore::{Plan, Restored};
use crate::plan::humane::bytes;
use crate::plan::restore::ProfileMove;
use crate::plan::text_diff::FileDiff;
use crate::plan::tree_diff::Change;
use crate::point::BytePath;
use crate::render;
use crate::render::style::{count, line};
use crate::system::generations;
use serde_json::{Value, json};

pub(super) fn show(s: &Session, plan: &Plan, verb: &str) -> Result<(), Failure> {
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
pub(super) fn show_texts(s: &Session, plan: &Plan) -> Result<(), Failure> {
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

pub(in crate::cli::commands) fn plan_json(plan: &Plan) -> Value {
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

pub(super) fn tell(s: &Session, restored: &Restored, verb: &str) -> Result<Exit, Failure> {
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
                    let id = crate::cli::commands::points::short(id);
                    format!("; what was there until now is in {id}")
                });
                format!("everything is as it was before the restore{before}")
            } else {
                format!(
                    "what was there before is in {} ({}); {} brings it back",
                    crate::cli::commands::points::short(restored.undo.id),
                    bytes(kept),
                    usage::placed("cairn undo")
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
