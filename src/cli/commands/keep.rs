//! `prune`

use serde_json::{Value, json};

use super::super::Exit;
use super::super::args::KeepArgs;
use super::super::failure::Failure;
use super::super::session::Session;
use super::points::short;
use crate::engine::prune::{self, Pruned};
use crate::plan::humane::bytes;
use crate::plan::prune::PrunePlan;
use crate::point::PointId;
use crate::point::policy::Keep;
use crate::render;
use crate::render::style::line;

/// `prune`
pub(super) fn prune(s: &Session, args: KeepArgs) -> Result<Exit, Failure> {
    let engine = s.engine();
    let keep = args.or(&engine.policy.retention.points);
    let (_, plan) = prune::plan(&engine, &keep)?;
    let removed = plan.removed().count();
    if s.dry_run() {
        s.out.result("plan", plan_json(&plan), |style| {
            render::plan::prune(&plan, key_name, style).into_bytes()
        })?;
        return Ok(Exit::Ok);
    }
    engine.check_finished()?;
    if removed == 0 {
        // There may still be leftovers of a prune that was killed.
        prune::tidy(&engine)?;
        s.out
            .result("pruned", json!({ "removed": [], "failed": [] }), |_| {
                b"nothing to remove\n".to_vec()
            })?;
        return Ok(Exit::Ok);
    }
    s.out
        .say(render::plan::prune(&plan, key_name, &s.out.style).trim_end())?;
    s.confirm(
        "prune",
        &format!("Remove {removed} restore point(s) for good?"),
    )?;
    let (_, pruned) = prune::prune(&engine, &keep)?;
    tell(s, &pruned)
}

/// Prunes by the policy without asking: after a backup.
pub(super) fn automatic(s: &Session, keep: &Keep) -> Result<Pruned, Failure> {
    Ok(prune::prune(&s.engine(), keep)?.1)
}

fn tell(s: &Session, pruned: &Pruned) -> Result<Exit, Failure> {
    let failed: Vec<Value> = pruned
        .failed
        .iter()
        .map(|(id, why)| json!({ "id": id, "why": why }))
        .collect();
    let value = json!({
        "removed": pruned.removed, "failed": failed,
        "vaultBytesBefore": pruned.vault.before, "vaultBytesAfter": pruned.vault.after,
    });
    s.out.result("pruned", value, |style| {
        let mut text = format!(
            "{} {} restore point(s); the vault went from {} to {}\n",
            style.green("removed"),
            pruned.removed.len(),
            bytes(pruned.vault.before),
            bytes(pruned.vault.after)
        );
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
    if pruned.failed.is_empty() {
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
pub(super) fn plan_json(plan: &PrunePlan) -> Value {
    serde_json::to_value(plan).unwrap_or(Value::Null)
}
