//! `generations list|show|switch|clean`

use serde_json::json;

use super::super::Exit;
use super::super::args::{Generations, KeepArgs};
use super::super::failure::Failure;
use super::super::out::Items;
use super::super::session::Session;
use super::keep::{nothing, plan_json};
use super::points::short;
use super::restore::carry_out;
use crate::engine::generations::{self, Details, Listing, Row};
use crate::engine::prune::generation_of;
use crate::plan::humane::bytes;
use crate::render;
use crate::render::Style;
use crate::render::style::{count, date, line};
use crate::render::table::{Cell, Table};
use crate::system::journal::Scope;

/// Runs one of them.
pub(super) fn run(s: &Session, args: Generations) -> Result<Exit, Failure> {
    match args {
        Generations::List => list(s),
        Generations::Show { number } => {
            let details = generations::show(&s.engine(), number)?;
            s.out.result("generation", &details, |style| {
                show(&details, style).into_bytes()
            })?;
            Ok(Exit::Ok)
        }
        Generations::Switch { number, activation } => {
            let mut scope = Scope {
                generation: true,
                ..Scope::default()
            };
            s.activate(activation, &mut scope);
            let plan = generations::plan_switch(&s.engine(), number, &scope)?;
            carry_out(s, plan, "switch")
        }
        Generations::Clean(keep) => clean(s, keep),
    }
}

fn list(s: &Session) -> Result<Exit, Failure> {
    let Listing { rows, profile } = generations::list(&s.engine())?;
    for broken in &profile.broken {
        let name = line(&broken.name.to_string_lossy());
        s.out
            .warn(format!("{name} is not usable: {}", line(&broken.why)));
    }
    if let Some(fault) = &profile.fault {
        s.out.warn(line(fault));
    }
    let broken: Vec<_> = profile
        .broken
        .iter()
        .map(|b| json!({ "name": b.name.to_string_lossy(), "why": b.why }))
        .collect();
    let other = json!({ "broken": broken, "fault": profile.fault });
    let value = Items {
        items: &rows,
        other,
    };
    s.out.result("generations", value, |style| {
        if rows.is_empty() {
            return b"the profile has no generations\n".to_vec();
        }
        table(&rows, style).render(style).into_bytes()
    })?;
    if broken.is_empty() && profile.fault.is_none() {
        Ok(Exit::Ok)
    } else {
        Ok(Exit::Partial)
    }
}

fn table(rows: &[Row], style: &Style) -> Table {
    let mut table = Table::new(["GENERATION", "WHEN", "NIXOS", "KERNEL", "MARKS", "REVISION"])
        .may_drop([3, 5, 2]);
    for row in rows.iter().rev() {
        let mut marks = Vec::new();
        for (on, word) in [
            (row.current, "current"),
            (row.running, "running"),
            (row.booted, "booted"),
        ] {
            if on {
                marks.push(word.to_owned());
            }
        }
        marks.extend(row.specialisations.iter().map(|name| format!("+{name}")));
        let when = if row.date > style.now {
            format!("{} (future)", style.when(row.date))
        } else {
            style.when(row.date)
        };
        table.row(vec![
            Cell::new(row.generation.to_string(), |s, t| s.cyan(t)),
            when.into(),
            line(&row.nixos_version).into(),
            line(&row.kernel_version).into(),
            Cell::new(line(&marks.join(" ")), |s, t| s.green(t)),
            line(&row.configuration_revision).into(),
        ]);
    }
    table
}

fn show(details: &Details, style: &Style) -> String {
    let row = &details.row;
    let mut out = format!(
        "{} {}\n\n",
        style.bold("generation"),
        style.cyan(row.generation)
    );
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            out.push_str(&format!("{} {value}\n", style.dim(format!("{name:<15}"))));
        }
    };
    put(
        "made",
        format!("{} ({})", date(row.date), style.when(row.date)),
    );
    put("toplevel", row.toplevel.to_absolute_path());
    put("NixOS", line(&row.nixos_version));
    put("kernel", line(&row.kernel_version));
    put("revision", line(&row.configuration_revision));
    put("specialisations", line(&row.specialisations.join(", ")));
    put(
        "label",
        details.label.as_deref().map(line).unwrap_or_default(),
    );
    put(
        "kernel line",
        details
            .kernel_params
            .as_ref()
            .map(|p| line(&p.join(" ")))
            .unwrap_or_default(),
    );
    put(
        "bootspec",
        details
            .bootspec_note
            .as_deref()
            .map(line)
            .unwrap_or_default(),
    );
    put(
        "closure",
        details.closure_bytes.map(bytes).unwrap_or_default(),
    );
    put(
        "config hash",
        details.config_hash.clone().unwrap_or_default(),
    );
    let points: Vec<String> = details.points.iter().map(|id| short(*id)).collect();
    put("restore points", points.join(", "));
    out
}

fn clean(s: &Session, args: KeepArgs) -> Result<Exit, Failure> {
    let engine = s.engine();
    let keep = args.or(&engine.policy.retention.generations);
    let plan = generations::plan_clean(&engine, &keep)?;
    let removed = plan.removed().count();
    if !s.dry_run() {
        engine.check_finished()?;
    }
    if s.dry_run() || removed == 0 {
        s.out
            .result("plan", plan_json(&plan), |style| match removed {
                0 => nothing(&plan, key_name, style),
                _ => render::plan::prune(&plan, key_name, style).into_bytes(),
            })?;
        return Ok(Exit::Ok);
    }
    s.out
        .say(render::plan::prune(&plan, key_name, &s.out.style).trim_end())?;
    s.confirm(
        "generations clean",
        &format!("Delete {}?", count(removed, "generation")),
    )?;
    let (_, numbers) = generations::clean(&engine, &keep)?;
    s.out.result("deleted", &numbers, |style| {
        let list: Vec<String> = numbers.iter().map(u64::to_string).collect();
        format!(
            "{} {}\n",
            style.green("deleted generations"),
            list.join(", ")
        )
        .into_bytes()
    })?;
    Ok(Exit::Ok)
}

/// How a generation is called in a prune plan.
pub(crate) fn key_name(key: &str) -> String {
    format!("generation {}", generation_of(key))
}
