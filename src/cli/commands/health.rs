//! `verify` and `status`

use super::super::Exit;
use super::super::args::Verify;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::usage::hint;
use super::points::short;
use crate::engine::status::{self, Brief, Status};
use crate::engine::verify::{self, Options, Report};
use crate::next::Next;
use crate::plan::humane::bytes;
use crate::point::PointId;
use crate::render::style::{count, line, wrap};
use crate::render::{self, Style};

/// `verify`
pub(super) fn verify(s: &Session, args: &Verify) -> Result<Exit, Failure> {
    if args.repair && s.dry_run() {
        return Err(Failure::Usage(
            "what --repair would do is what verify without it finds".to_owned(),
        ));
    }
    let options = Options {
        read_data: args.read_data,
        store: args.store,
        repair: args.repair,
    };
    s.begin_work();
    let engine = s.engine();
    let report = verify::verify(&engine, options)?;
    let remotes = !engine.policy.remotes.is_empty();
    s.out.result("verify", &report, |style| {
        report_text(&report, remotes, style).into_bytes()
    })?;
    if report.problems.is_empty() {
        Ok(Exit::Ok)
    } else {
        Ok(Exit::Partial)
    }
}

fn report_text(report: &Report, remotes: bool, style: &Style) -> String {
    let mut out = String::new();
    let mut put = |word: String, point: Option<PointId>, what: &str| {
        let point = point.map(|id| format!("{} ", short(id)));
        let point = point.unwrap_or_default();
        out.push_str(&format!("{word} {point}{}\n", line(what)));
    };
    for repaired in &report.repaired {
        put(style.green("repaired"), repaired.point, &repaired.what);
    }
    // What is wrong after a repair could not be repaired.
    let word = if report.repair { "lost" } else { "problem" };
    for problem in &report.problems {
        put(style.red(word), problem.point, &problem.what);
    }
    for note in &report.notes {
        out.push_str(&format!("{} {}\n", style.yellow("note"), line(note)));
    }
    let verdict = match report.problems.len() {
        0 => style.green("all is well"),
        n if report.repair => style.red(format!("{n} lost")),
        n => style.red(count(n, "problem")),
    };
    let read = if report.read_data {
        ", every byte read"
    } else {
        ", contents not read"
    };
    let compared = report
        .store_paths
        .map(|n| format!(", {} compared", count(n, "store path")));
    out.push_str(&format!(
        "{verdict}: {}, {}{read}{}\n",
        count(report.points, "restore point"),
        count(report.snapshots, "snapshot"),
        compared.unwrap_or_default()
    ));
    if !report.problems.is_empty() && !report.repair {
        out.push_str(&hint(&"cairn verify --repair".into()));
    }
    // What is lost here may be whole elsewhere.
    let lost = report.problems.iter().find_map(|problem| problem.point);
    if let Some(id) = lost.filter(|_| report.repair && remotes) {
        out.push_str(&hint(&format!("cairn remote pull {}", short(id)).into()));
    }
    out
}

/// `status`
pub(super) fn status(s: &Session) -> Result<Exit, Failure> {
    let status = status::status(&s.engine())?;
    s.out.result("status", &status, |style| {
        status_text(&status, style).into_bytes()
    })?;
    Ok(if status.unfinished {
        Exit::NeedsResume
    } else {
        Exit::Ok
    })
}

fn status_text(status: &Status, style: &Style) -> String {
    let mut out = format!(
        "{} {}\n\n",
        style.bold("cairn on"),
        style.bold(line(&status.host))
    );
    let mut put = |name: &str, value: String| {
        out.push_str(&format!("{} {value}\n", style.dim(format!("{name:<15}"))));
    };
    let system = &status.system;
    let version = system
        .nixos_version
        .as_deref()
        .map(|version| format!("NixOS {}, ", line(version)))
        .unwrap_or_default();
    match &system.profile {
        Some(p) => put(
            &p.name,
            format!(
                "{version}generation {} ({} in all)",
                p.generation, status.generations
            ),
        ),
        None => put(
            "system",
            "no profile here: not NixOS, or a fresh root".to_owned(),
        ),
    }
    if let Some(kernel) = &system.kernel.target {
        put("kernel", line(kernel));
    }
    let extra = match (status.pinned, status.damaged) {
        (0, 0) => String::new(),
        (p, 0) => format!(" ({p} pinned)"),
        (p, d) => format!(" ({p} pinned, {d} damaged)"),
    };
    put(
        "points",
        format!("{}{extra} in {}", status.points, line(&status.state_dir)),
    );
    let brief = |b: &Brief| {
        format!(
            "{} · {} · {}",
            style.cyan(short(b.id)),
            style.when(b.created),
            style.fit(46, &line(&b.reason))
        )
    };
    put(
        "latest",
        status
            .latest
            .as_ref()
            .map_or_else(|| "none".to_owned(), brief),
    );
    put(
        "latest good",
        status
            .latest_good
            .as_ref()
            .map_or_else(|| "none".to_owned(), brief),
    );
    if let Some(score) = status.health.score {
        put(
            "health",
            render::health::brief(score, status.health.healthy, &status.health.issues, style),
        );
    }
    if let Some(healing) = &status.healing {
        put("healing", render::heal::standing(healing, style));
        for waiting in &healing.waiting {
            let text = format!("{}: {}", waiting.issue, waiting.why);
            put("", style.yellow(line(&text)));
        }
    }
    if let Some(switch) = &status.last_switch {
        let words = render::switch::words(switch);
        put(
            "last switch",
            format!(
                "{} · {}",
                style.when(switch.started),
                style.fit(38, &line(&words))
            ),
        );
    }
    if let Some(awaited) = &status.awaited {
        let name = style.bold(line(awaited.to.name()));
        put(
            "confirm",
            match (awaited.until, awaited.seconds_left) {
                (Some(until), Some(left)) => style.yellow(format!(
                    "{name} until {}, {left} s left, or it is taken back",
                    until.format("%H:%M:%S UTC")
                )),
                _ => format!("{name}, when it runs"),
            },
        );
    }
    put(
        "configuration",
        match status.config_changes {
            None => "never captured".to_owned(),
            Some(0) => "as in the latest point".to_owned(),
            Some(n) => style.yellow(format!(
                "{} changed since the latest point",
                count(n, "path")
            )),
        },
    );
    for (name, holder) in &status.state {
        let held = match holder {
            Some(point) => brief(point),
            None => style.yellow("never captured"),
        };
        put(&line(&format!("state {name}")), held);
    }
    put("vault", bytes(status.vault_bytes));
    if status.unfinished {
        put("unfinished", style.yellow("a restore was interrupted"));
    }
    if !status.stopped.is_empty() {
        put("stopped", style.yellow(line(&status.stopped.join(", "))));
    }
    for note in status.notes.iter().chain(&status.profile_faults) {
        let room = style
            .width
            .map_or(usize::MAX, |width| width.saturating_sub(16));
        let mut name = "note";
        for line in wrap(&line(note), room) {
            put(name, style.yellow(line));
            name = "";
        }
    }
    out.push('\n');
    out.push_str(&hint(&next_of(status)));
    out
}

/// What a look at the status calls for first.
fn next_of(status: &Status) -> Next {
    if status.unfinished {
        Next::run("cairn resume").or("cairn abort")
    } else if !status.stopped.is_empty() {
        // It starts what a killed run had stopped.
        "cairn create".into()
    } else if status.awaited.as_ref().is_some_and(|a| a.until.is_some()) {
        Next::run("cairn confirm").or("cairn revert")
    } else if status.points == 0 {
        "cairn create".into()
    } else if status.config_changes.unwrap_or(0) > 0 {
        "cairn diff".into()
    } else if status.healing.as_ref().is_some_and(|h| h.cut_off.is_some()) {
        "cairn heal".into()
    } else if !status.health.healthy {
        "cairn health".into()
    } else {
        "cairn list".into()
    }
}
