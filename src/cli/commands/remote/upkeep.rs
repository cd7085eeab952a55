//! `remote check` and `remote prune`

use serde_json::json;

use crate::cli::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::usage::hint;
use crate::engine::remote::{self, Access};
use crate::next::{Next, quoted};
use crate::plan::humane::bytes;
use crate::point::id::shorten;
use crate::point::policy::Keep;
use crate::point::{Point, PointId};
use crate::render;
use crate::render::style::{count, line};

/// `remote check`
pub(super) fn check(
    s: &Session,
    access: &Access,
    read_data: bool,
    repair: bool,
) -> Result<Exit, Failure> {
    s.begin_work();
    let mut mended = Vec::new();
    let mut unsent = Vec::new();
    if repair && s.dry_run() {
        s.out.warn("nothing is mended in a dry run");
    } else if repair {
        let repaired = remote::repair(&s.engine(), access, read_data)?;
        mended = repaired.done;
        let sent = repaired.pushed.sent.len();
        if sent > 0 {
            mended.push(format!("sent {}", count(sent, "point")));
        }
        let pushed = repaired.pushed;
        for trouble in &pushed.troubles {
            if !pushed.failed.values().any(|why| why == trouble) {
                s.out.warn(line(trouble));
            }
        }
        unsent.extend(pushed.failed.into_values());
    }
    let mut report = remote::check(&s.engine(), access, read_data)?;
    report.problems.extend(unsent.iter().cloned());
    let value = json!({ "problems": report.problems, "notes": report.notes, "readData": read_data, "mended": mended });
    // What a repair here does not mend is of another machine, or lost.
    let next = match (repair, read_data) {
        _ if !unsent.is_empty() => Next::run("cairn verify --read-data"),
        (false, _) => Next::again_with("--repair", None),
        (true, false) => Next::again_with("--read-data", None),
        (true, true) => Next::run(format!("cairn remote list {}", there(access))),
    };
    s.out.result("check", value, |style| {
        let mut text = String::new();
        for done in &mended {
            text.push_str(&format!("{} {}\n", style.yellow("~"), line(done)));
        }
        for problem in &report.problems {
            text.push_str(&format!("{} {}\n", style.red("✗"), line(problem)));
        }
        if report.problems.is_empty() {
            let how = match read_data {
                true => "every byte was read",
                false => "contents not read",
            };
            text.push_str(&format!("{} all is well · {how}\n", style.green("✓")));
        } else {
            let problems = count(report.problems.len(), "problem");
            text.push_str(&format!("\n{}\n{}", style.red(problems), hint(&next)));
        }
        text.into_bytes()
    })?;
    Ok(match report.problems.is_empty() {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

/// A remote as it is named on a command line.
fn there(access: &Access) -> String {
    match (&access.name, &access.url, &access.password_file) {
        (Some(name), None, _) => name.clone(),
        (_, Some(url), Some(file)) => {
            format!("--url {} --password-file {}", quoted(url), quoted(file))
        }
        _ => "--all-hosts".to_owned(),
    }
}

/// Points that go, a line each.
fn listed(points: &[Point], style: &render::Style) -> String {
    let ids: Vec<PointId> = points.iter().map(|point| point.id).collect();
    let line = |(point, id): (&Point, String)| {
        let (id, host) = (style.cyan(id), line(&point.host));
        format!("  - {id} · {host} · {}\n", style.when(point.created))
    };
    points.iter().zip(shorten(&ids)).map(line).collect()
}

/// `remote prune`
pub(super) fn prune(
    s: &Session,
    access: &Access,
    keep: Option<&Keep>,
    all_hosts: bool,
) -> Result<Exit, Failure> {
    if !s.dry_run() && !s.says_yes() {
        let planned = remote::prune(&s.engine(), access, keep, all_hosts, true)?;
        if !planned.removed.is_empty() {
            s.out
                .say(listed(&planned.removed, &s.out.style).trim_end())?;
            let points = count(planned.removed.len(), "restore point");
            s.confirm("remote prune", &format!("Remove {points} there for good?"))?;
        }
    }
    s.begin_work();
    let pruned = remote::prune(&s.engine(), access, keep, all_hosts, s.dry_run())?;
    for trouble in &pruned.troubles {
        s.out.warn(line(trouble));
    }
    let removed: Vec<_> = pruned.removed.iter().map(|p| p.id).collect();
    let value = json!({
        "removed": removed, "kept": pruned.kept, "bytes": pruned.bytes,
        "troubles": pruned.troubles,
    });
    s.out.result("prune", value, |style| {
        let would = if s.dry_run() {
            "would remove"
        } else {
            "removed"
        };
        let mut text = format!(
            "{would} {} · {} stay",
            count(removed.len(), "point"),
            pruned.kept
        );
        if let Some(size) = pruned.bytes {
            text.push_str(&format!(" · {} there", bytes(size)));
        }
        text.push('\n');
        text.push_str(&listed(&pruned.removed, style));
        text.into_bytes()
    })?;
    Ok(match pruned.troubles.is_empty() {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}
