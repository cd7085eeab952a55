//! `create`, `list`, `show`, and the marks.

use serde::Serialize;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::super::Exit;
use super::super::args::{Create, List, Mark, Show};
use super::super::failure::Failure;
use super::super::out::{Items, Out, VERSION, complain};
use super::super::session::Session;
use super::super::usage::hint;
use super::{cat, remote};
use crate::engine::create::{self, AskState, Created, Request};
use crate::engine::descent;
use crate::engine::marks::{self, Say};
use crate::point::{BytePath, Marks, Point, PointId};
use crate::render;
use crate::render::style::{count, line};
use crate::system::terminal;
use crate::vault::RecoveryPassword;

/// A point as `--json` prints it: its document and its marks.
#[derive(Serialize)]
pub(super) struct Entry<'p> {
    #[serde(flatten)]
    point: &'p Point,
    marks: &'p Marks,
}

impl<'p> Entry<'p> {
    /// A point with its marks.
    pub(super) fn new(point: &'p Point, marks: &'p Marks) -> Self {
        Self { point, marks }
    }
}

/// The longest reason, in bytes: one line, as lists show it.
const LONGEST: usize = 2000;

/// A reason that was given, if it is one line's worth.
pub(super) fn short_enough(reason: String) -> Result<String, Failure> {
    match reason.len() {
        0..=LONGEST => Ok(reason),
        n => Err(Failure::Usage(format!(
            "a reason has at most {LONGEST} bytes, and this one has {n}; --description takes more"
        ))),
    }
}

/// `create`
pub(super) fn create(s: &Session, args: Create) -> Result<Exit, Failure> {
    let mut request = Request::manual(short_enough(args.reason)?);
    request.description = args.description;
    request.trigger = args.trigger;
    request.tags = args.tags.into_iter().collect();
    request.userdata = args.userdata.into_iter().collect();
    request.config = !args.no_config;
    if args.no_state || !args.state.is_empty() {
        request.state = AskState::Named(args.state);
    }
    request.pinned = args.pin;
    if s.dry_run() {
        return preview(s, &request);
    }
    s.begin_work();
    let created = create::create(&s.engine(), &request)?;
    tell_created(&s.out, &created, &created.marks)
}

/// Prints a point that was just taken.
pub(super) fn tell_created(out: &Out, created: &Created, marks: &Marks) -> Result<Exit, Failure> {
    let point = &created.point;
    tell_recovery(out, created);
    for warning in created.warnings.iter().chain(&created.troubles) {
        out.warn(line(warning));
    }
    out.result("point", Entry::new(point, marks), |style| {
        let id = short(point.id);
        let mut facts = String::new();
        if let Some(config) = &point.config {
            facts.push_str(&format!(" · {}", render::point::config_word(config)));
        }
        if !point.state.is_empty() {
            let state = render::point::state_word(&point.state);
            facts.push_str(&format!(" · {state}"));
        }
        if let Some(profile) = &point.system.profile {
            facts.push_str(&format!(" · {} {}", profile.name, profile.generation));
        }
        if let Some(config) = point.config.as_ref().filter(|c| !c.unfollowed.is_empty()) {
            let note = format!(
                " · {} not followed",
                count(config.unfollowed.len(), "import")
            );
            facts.push_str(&note);
        }
        let reason = style.fit(id.width() + facts.width() + 3, &line(&point.reason));
        let mut text = format!("{}{} · {reason}\n", style.cyan(&id), style.dim(facts));
        for missing in point.completeness.missing() {
            let what = format!("  not captured: {} ({})", missing.what, line(&missing.why));
            text.push_str(&format!("{}\n", style.yellow(what)));
        }
        text.into_bytes()
    })?;
    if point.is_complete() && created.troubles.is_empty() && !created.without_config {
        Ok(Exit::Ok)
    } else {
        Ok(Exit::Partial)
    }
}

/// Said in place of the recovery password where it would be logged.
pub(super) const RECOVERY_KEPT: &str = "a vault was made; the password that opens it with restic \
     is in vault/recovery-password: copy it off this machine";

/// The recovery password is shown when the vault is made, and never again.
pub(super) fn tell_recovery(out: &Out, created: &Created) {
    tell_password(out, created.recovery.as_ref());
}

/// As [`tell_recovery`], of a password at hand.
pub(super) fn tell_password(out: &Out, recovery: Option<&RecoveryPassword>) {
    if recovery.is_some() && terminal::is_journal() {
        complain(RECOVERY_KEPT);
    } else if let (Some(password), true) = (recovery, out.json) {
        complain(json!({ "version": VERSION, "recoveryPassword": password.expose() }));
    } else if let Some(password) = recovery {
        complain(format!(
            "{} {}\n  Opens the vault with restic when cairn is gone. Shown once; it is also in\n  \
             vault/recovery-password: copy it off this machine.",
            out.style.bold("recovery password:"),
            password.expose()
        ));
    }
}

/// Prints what a point would capture.
pub(super) fn preview(s: &Session, request: &Request) -> Result<Exit, Failure> {
    let preview = create::preview(&s.engine(), request)?;
    let config = preview.config.unwrap_or_default();
    let roots: Vec<_> = config
        .roots
        .iter()
        .map(|r| r.path.display().to_string())
        .collect();
    let state: Vec<_> = preview
        .state
        .iter()
        .map(|s| {
            let paths: Vec<_> = s.paths.iter().map(|p| BytePath(p.clone())).collect();
            json!({ "name": s.name, "paths": paths, "units": s.units })
        })
        .collect();
    let value = json!({ "roots": roots, "unfollowed": config.unfollowed, "state": state });
    s.out.result("wouldCapture", value, |style| {
        let mut text = format!("{}\n", style.bold("would capture"));
        for root in &config.roots {
            let kind = format!("{:?}", root.kind).to_lowercase();
            let path = crate::point::path::printable(&root.path);
            text.push_str(&format!("  {path} {}\n", style.dim(kind)));
        }
        for set in &preview.state {
            for path in &set.paths {
                let path = crate::point::path::printable(path);
                let name = format!("state {}", line(&set.name));
                text.push_str(&format!("  {path} {}\n", style.dim(name)));
            }
        }
        text.into_bytes()
    })?;
    Ok(Exit::Ok)
}

/// The shortest form of an id that can stand alone.
pub(super) fn short(id: PointId) -> String {
    id.short_among([])
}

/// `list`
pub(super) fn list(s: &Session, args: List) -> Result<Exit, Failure> {
    if args.remote.is_given() || args.host.is_some() || args.all_hosts {
        return remote::list(s, &args.remote.clone().into(), &args);
    }
    let engine = s.engine();
    let mut catalogue = engine.catalogue()?;
    let all = args.graph.then(|| catalogue.points.clone());
    let any = !catalogue.points.is_empty();
    catalogue.points.retain(|(p, _)| args.wants(p));
    args.newest(&mut catalogue.points);
    let damaged: Vec<_> = catalogue
        .damaged
        .iter()
        .map(|d| json!({ "file": d.file.to_string_lossy(), "why": d.why }))
        .collect();
    for d in &catalogue.damaged {
        let file = line(&d.file.to_string_lossy());
        s.out
            .warn(format!("{file} cannot be read: {}", line(&d.why)));
    }
    let from = match all {
        Some(all) => {
            let listed = catalogue.points.iter().map(|(point, _)| point.id);
            Some(descent::descent(&engine, &all, &listed.collect())?)
        }
        None => None,
    };
    let points: Vec<Entry<'_>> = catalogue
        .points
        .iter()
        .map(|(p, m)| Entry::new(p, m))
        .collect();
    let mut other = json!({ "damaged": damaged });
    if let Some(from) = &from {
        other["from"] = json!(from);
    }
    let value = Items {
        items: &points,
        other,
    };
    s.out.result("points", value, |style| {
        if catalogue.points.is_empty() {
            let (what, next) = match any {
                true => ("none of the restore points is such", "cairn list"),
                false => ("no restore points yet", "cairn create"),
            };
            return format!("{what}\n{}", hint(&next.into())).into_bytes();
        }
        if let Some(from) = &from {
            return render::graph::graph(&catalogue.points, from, style).into_bytes();
        }
        render::point::list(&catalogue.points, style).into_bytes()
    })?;
    if damaged.is_empty() {
        Ok(Exit::Ok)
    } else {
        Ok(Exit::Partial)
    }
}

/// `show`
pub(super) fn show(s: &Session, args: &Show) -> Result<Exit, Failure> {
    let engine = s.engine();
    let catalogue = engine.catalogue()?;
    let point = engine.select_in(&catalogue, &args.point)?;
    if let Some(path) = &args.cat {
        return cat::cat(s, point, &s.logical(path)?);
    }
    let marks = catalogue
        .points
        .iter()
        .find(|(p, _)| p.id == point.id)
        .map(|(_, m)| m.clone())
        .unwrap_or_default();
    s.out.result("point", Entry::new(point, &marks), |style| {
        render::point::show(point, &marks, s.out.verbose, style).into_bytes()
    })?;
    Ok(Exit::Ok)
}

/// `mark-good`, `mark-bad`, `pin`, `unpin`
pub(super) fn mark(s: &Session, args: Mark, say: Say) -> Result<Exit, Failure> {
    let word = match say {
        Say::Good => "good",
        Say::Bad => "bad",
        Say::Pin => "pinned",
        Say::Unpin => "unpinned",
    };
    if s.dry_run() {
        let point = s.engine().select(&args.point)?;
        let value = json!({ "point": point.id, "mark": word });
        s.out.result("plan", value, |style| {
            let id = style.cyan(short(point.id));
            format!("{id} would be {}\n", style.bold(word)).into_bytes()
        })?;
        return Ok(Exit::Ok);
    }
    let reason = args.reason.map(short_enough).transpose()?;
    let (point, marks) = marks::say(&s.engine(), &args.point, say, reason)?;
    s.out.result("point", Entry::new(&point, &marks), |style| {
        format!(
            "{} is {} · {}\n",
            style.cyan(short(point.id)),
            style.bold(word),
            style.fit(30, &line(&point.reason))
        )
        .into_bytes()
    })?;
    Ok(Exit::Ok)
}
