//! `prune`

use serde_json::{Value, json};

use super::super::Exit;
use super::super::args::{Kind, Prune};
use super::super::failure::Failure;
use super::super::session::Session;
use super::generations::key_name as generation_name;
use super::points::short;
use crate::engine::prune::{self, Pruned, Rules};
use crate::engine::{EngineError, generations};
use crate::plan::humane::bytes;
use crate::plan::prune::PrunePlan;
use crate::point::PointId;
use crate::point::policy::Keep;
use crate::render;
use crate::render::Style;
use crate::render::style::{count, line};

/// What goes, of each kind that was asked for.
struct Plans {
    points: Option<(Rules, PrunePlan)>,
    generations: Option<(Keep, PrunePlan)>,
    /// Pins that are no longer declared.
    pins: Vec<String>,
}

/// `prune`
pub(crate) fn prune(s: &Session, args: Prune) -> Result<Exit, Failure> {
    let plans = plan(s, args)?;
    let removed = |plan: Option<&PrunePlan>| plan.map_or(0, |plan| plan.removed().count());
    let points = removed(plans.points.as_ref().map(|(_, plan)| plan));
    let generations = removed(plans.generations.as_ref().map(|(_, plan)| plan));
    if s.dry_run() {
        let value = json!({
            "points": plans.points.as_ref().map(|(_, p)| plan_json(p)),
            "generations": plans.generations.as_ref().map(|(_, p)| plan_json(p)),
            "pins": plans.pins,
        });
        s.out.result("plan", value, |style| {
            let nothing = if points + generations + plans.pins.len() == 0 {
                "nothing to remove\n"
            } else {
                ""
            };
            format!("{}{nothing}", plan_text(&plans, style)).into_bytes()
        })?;
        return Ok(Exit::Ok);
    }
    s.engine().check_finished()?;
    if points + generations == 0 {
        // There may still be leftovers of a prune that was killed.
        let tidied = prune::tidy(&s.engine())?;
        let pins = remove_pins(s, &plans)?;
        return tell(s, &tidied, &[], &pins);
    }
    s.out.say(plan_text(&plans, &s.out.style).trim_end())?;
    let question = format!(
        "Remove {} and {} for good?",
        count(points, "restore point"),
        count(generations, "generation")
    );
    s.confirm("prune", &question)?;
    s.begin_work();
    carry_out(s, &plans)
}

fn plan(s: &Session, args: Prune) -> Result<Plans, Failure> {
    let engine = s.engine();
    // Rules given by hand are for points: generations go by the policy only.
    let only = args.only.or(if args.keep.is_empty() {
        None
    } else {
        Some(Kind::Points)
    });
    let wants = |kind| only.is_none_or(|only| only == kind);
    let retention = &engine.policy.retention;
    let points = if wants(Kind::Points) {
        let rules = if args.keep.is_empty() {
            Rules::of(engine.policy)
        } else {
            Rules::given(args.keep.or(&retention.points))
        };
        let plan = prune::plan(&engine, &rules)?.1;
        Some((rules, plan))
    } else {
        None
    };
    let may = prune::may_delete_generations(&engine);
    let generations = if wants(Kind::Generations) && (may || only.is_some()) {
        let keep = retention.generations.clone();
        Some((keep.clone(), prune::plan_generations(&engine, &keep)?))
    } else {
        None
    };
    let pins = if s.has_own_policy() {
        prune::stale_pins(&engine)?
    } else {
        Vec::new()
    };
    Ok(Plans {
        points,
        generations,
        pins,
    })
}

fn plan_text(plans: &Plans, style: &Style) -> String {
    let mut text = String::new();
    if let Some((_, plan)) = &plans.points {
        text.push_str(&render::plan::prune(plan, key_name, style));
    }
    if let Some((_, plan)) = &plans.generations {
        text.push_str(&render::plan::prune(plan, generation_name, style));
    }
    for pin in &plans.pins {
        text.push_str(&format!(
            "{} pin {}  {}\n",
            style.red("remove"),
            line(pin),
            style.dim("no longer declared")
        ));
    }
    text
}

fn carry_out(s: &Session, plans: &Plans) -> Result<Exit, Failure> {
    let engine = s.engine();
    let pruned = match &plans.points {
        Some((keep, _)) => prune::prune(&engine, keep)?.1,
        None => Pruned::default(),
    };
    let deleted = match &plans.generations {
        Some((keep, _)) => generations::clean(&engine, keep)?.1,
        None => Vec::new(),
    };
    let pins = remove_pins(s, plans)?;
    tell(s, &pruned, &deleted, &pins)
}

fn remove_pins(s: &Session, plans: &Plans) -> Result<Vec<String>, EngineError> {
    if plans.pins.is_empty() {
        return Ok(Vec::new());
    }
    prune::remove_stale_pins(&s.engine())
}

/// Prunes points by the policy without asking: after a backup.
pub(crate) fn automatic(s: &Session) -> Result<Pruned, EngineError> {
    let engine = s.engine();
    Ok(prune::prune(&engine, &Rules::of(engine.policy))?.1)
}

fn tell(s: &Session, pruned: &Pruned, deleted: &[u64], pins: &[String]) -> Result<Exit, Failure> {
    let failed: Vec<Value> = pruned
        .failed
        .iter()
        .map(|(id, why)| json!({ "id": id, "why": why }))
        .collect();
    let value = json!({
        "removed": pruned.removed, "failed": failed, "generations": deleted,
        "pins": pins, "vaultBytesBefore": pruned.vault.before, "vaultBytesAfter": pruned.vault.after,
    });
    for trouble in &pruned.troubles {
        s.out.warn(line(trouble));
    }
    s.out.result("pruned", value, |style| {
        let mut text = String::new();
        let nothing = pruned.removed.is_empty() && pruned.failed.is_empty();
        if nothing && deleted.is_empty() && pins.is_empty() {
            text.push_str("nothing to remove\n");
        }
        if !pruned.removed.is_empty() {
            text.push_str(&format!(
                "{} {}; the vault went from {} to {}\n",
                style.green("removed"),
                count(pruned.removed.len(), "restore point"),
                bytes(pruned.vault.before),
                bytes(pruned.vault.after)
            ));
        }
        if !deleted.is_empty() {
            let numbers: Vec<String> = deleted.iter().map(u64::to_string).collect();
            let s = if numbers.len() == 1 { "" } else { "s" };
            text.push_str(&format!(
                "{} generation{s} {}\n",
                style.green("removed"),
                numbers.join(", ")
            ));
        }
        for pin in pins {
            let pin = line(pin);
            text.push_str(&format!(
                "{} the pin {pin}: no longer declared\n",
                style.green("removed")
            ));
        }
        for (id, why) in &pruned.failed {
            text.push_str(&format!(
                "{} {}: {}\n",
                style.red("failed"),
                short(*id),
                line(why)
            ));
        }
        text.into_bytes()
    })?;
    if pruned.failed.is_empty() && pruned.troubles.is_empty() {
        Ok(Exit::Ok)
    } else {
        Ok(Exit::Partial)
    }
}

fn key_name(key: &str) -> String {
    key.parse::<PointId>()
        .map_or_else(|_| key.to_owned(), short)
}

/// A prune plan as `--json` prints it.
pub(crate) fn plan_json(plan: &PrunePlan) -> Value {
    serde_json::to_value(plan).unwrap_or(Value::Null)
}

/// A plan that removes nothing.
pub(crate) fn nothing(plan: &PrunePlan, name: impl Fn(&str) -> String, style: &Style) -> Vec<u8> {
    let plan = render::plan::prune(plan, name, style);
    format!("{plan}nothing to remove\n").into_bytes()
}
