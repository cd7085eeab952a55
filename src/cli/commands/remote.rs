//! `remote`

mod upkeep;

use std::collections::BTreeMap;

use serde_json::json;

use super::super::Exit;
use super::super::args::{AddRemote, List, Remote};
use super::super::failure::Failure;
use super::super::out::Items;
use super::super::session::Session;
use super::super::usage::hint;
use super::points::{Entry, tell_password};
use crate::engine::EngineError;
use crate::engine::remote::{self, Access, AddRequest, Pulled, Pushed, Wanted};
use crate::next::Next;
use crate::point::id::shorten;
use crate::point::policy::Keep;
use crate::point::{Marks, Point, PointId};
use crate::render;
use crate::render::style::{count, line};
use crate::system::remotes::{self, Record};

/// `remote`
pub(super) fn run(s: &Session, args: Remote) -> Result<Exit, Failure> {
    match args {
        Remote::Add(args) => add(s, args),
        Remote::Remove { name } => remove(s, &name),
        Remote::List {
            access,
            host,
            all_hosts,
        } => {
            if access.name.is_none() && access.key.url.is_none() && host.is_none() && !all_hosts {
                return known(s);
            }
            let args = List {
                host,
                all_hosts,
                ..List::default()
            };
            list(s, &access.into(), &args)
        }
        Remote::Push { access, closure } => push(s, &access.into(), closure),
        Remote::Pull {
            ids,
            access,
            host,
            all,
        } => pull(s, &access.into(), &Wanted { host, ids, all }),
        Remote::Check {
            access,
            read_data,
            repair,
        } => upkeep::check(s, &access.into(), read_data, repair),
        Remote::Prune {
            access,
            all_hosts,
            keep,
        } => {
            let keep = (!keep.is_empty()).then(|| keep.or(&Keep::default()));
            upkeep::prune(s, &access.into(), keep.as_ref(), all_hosts)
        }
    }
}

fn add(s: &Session, args: AddRemote) -> Result<Exit, Failure> {
    let request = AddRequest {
        name: args.name,
        url: args.url,
        password_file: s.absolute(&args.password_file)?,
        environment_file: args
            .environment_file
            .map(|file| s.absolute(&file))
            .transpose()?,
        schedule: args.schedule,
        closures: args.closures,
    };
    let policy = s.policy_file();
    let added = remote::add(&s.engine(), &policy, &request, args.new, s.dry_run())??;
    let value = json!({
        "name": added.name, "address": added.address, "made": added.made,
        "declare": added.declare,
    });
    s.out.result("remote", value, |style| {
        let done = match (added.made, s.dry_run()) {
            (true, true) => "would be made, and written into the policy",
            (false, true) => "is there, and would be written into the policy",
            (true, false) => "made",
            (false, false) => "is there",
        };
        let address = line(&added.address);
        let mut text = format!("{} · {address} · {done}\n", style.cyan(&added.name));
        if let Some(declare) = &added.declare {
            text.push_str("the policy is that of a NixOS configuration; there, ");
            text.push_str(declare);
            text.push('\n');
        } else if !s.dry_run() {
            text.push_str(&format!(
                "its password opens it, on any machine: keep a copy\n{}",
                hint(&format!("cairn remote push {}", added.name).into())
            ));
        }
        text.into_bytes()
    })?;
    Ok(Exit::Ok)
}

fn remove(s: &Session, name: &str) -> Result<Exit, Failure> {
    remote::remove(&s.engine(), &s.policy_file(), name, s.dry_run())?;
    s.out.result("remote", json!({ "name": name }), |_| {
        let done = if s.dry_run() { "would be" } else { "is" };
        format!("{name} {done} forgotten; what it keeps stays there\n").into_bytes()
    })?;
    Ok(Exit::Ok)
}

/// The remotes of the policy, and what is known of them here.
fn known(s: &Session) -> Result<Exit, Failure> {
    let engine = s.engine();
    let mut lines = Vec::new();
    for (name, terms) in &engine.policy.remotes {
        // It is only what was written down here: one that is damaged hides no other.
        let record = remotes::read(engine.layout, name).unwrap_or_else(|error| Record {
            trouble: Some(error.to_string()),
            ..Record::default()
        });
        lines.push(render::remote::Line {
            name: name.clone(),
            address: terms.url.clone(),
            newest: record.newest,
            trouble: record.trouble,
        });
    }
    let items: Vec<_> = lines
        .iter()
        .map(|l| {
            json!({
                "name": l.name, "address": l.address, "newest": l.newest, "trouble": l.trouble,
            })
        })
        .collect();
    let value = Items {
        items: &items,
        other: json!({}),
    };
    s.out.result("remotes", value, |style| {
        if lines.is_empty() {
            let next = "cairn remote add NAME ADDRESS --password-file FILE --new";
            return format!("no remote is known\n{}", hint(&next.into())).into_bytes();
        }
        render::remote::remotes(&lines, style).into_bytes()
    })?;
    Ok(Exit::Ok)
}

/// `remote list`, and `list --remote`.
pub(super) fn list(s: &Session, access: &Access, args: &List) -> Result<Exit, Failure> {
    let (host, all_hosts) = (args.host.as_deref(), args.all_hosts);
    let there = remote::list(&s.engine(), access)?;
    let of = |host: &str| there.points.iter().any(|k| k.parcel.point.host == host);
    if let Some(host) = host.filter(|host| !of(host)) {
        let error = there.no_such_host(access.name.as_deref(), host);
        return Err(EngineError::from(error).into());
    }
    let mut points: Vec<(&Point, &Marks)> = there
        .points
        .iter()
        .map(|kept| (&kept.parcel.point, &kept.parcel.marks))
        .filter(|(point, _)| host.is_none_or(|host| point.host == host) && args.wants(point))
        .collect();
    args.newest(&mut points);
    for damaged in &there.damaged {
        s.out.warn(line(damaged));
    }
    let mut hosts: BTreeMap<&str, usize> = BTreeMap::new();
    for (point, _) in &points {
        *hosts.entry(&point.host).or_default() += 1;
    }
    let entries: Vec<Entry<'_>> = points.iter().map(|(p, m)| Entry::new(p, m)).collect();
    let value = Items {
        items: &entries,
        other: json!({ "damaged": there.damaged, "hosts": hosts }),
    };
    s.out.result("points", value, |style| {
        if points.is_empty() {
            let (what, next) = match there.points.is_empty() {
                true => ("no restore points there", "cairn remote push".into()),
                false => {
                    let filters = ["--tag", "-t", "--trigger", "--last", "-l"].into_iter();
                    let all = filters.fold(Next::again(), |next, name| next.without(name, true));
                    ("none of the restore points there is such", all)
                }
            };
            return format!("{what}\n{}", hint(&next)).into_bytes();
        }
        match host.is_some() || all_hosts {
            true => render::remote::points(&points, style),
            false => render::remote::hosts(&points, style),
        }
        .into_bytes()
    })?;
    Ok(match there.damaged.is_empty() {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

fn push(s: &Session, access: &Access, closure: bool) -> Result<Exit, Failure> {
    s.begin_work();
    let pushed = remote::push(&s.engine(), access, closure, s.dry_run())?;
    for trouble in &pushed.troubles {
        s.out.warn(line(trouble));
    }
    let value = json!({
        "address": pushed.address, "sent": pushed.sent, "marked": pushed.marked,
        "there": pushed.there, "passedOver": pushed.passed_over, "failed": pushed.failed.keys().collect::<Vec<_>>(),
        "closures": pushed.closures, "troubles": pushed.troubles,
    });
    s.out.result("push", value, |style| {
        let mut text = format!(
            "{} · {}\n",
            line(&pushed.address),
            sent(&pushed, s.dry_run())
        );
        for id in shorten(&pushed.sent) {
            text.push_str(&format!("  + {}\n", style.cyan(id)));
        }
        text.into_bytes()
    })?;
    Ok(match pushed.troubles.is_empty() {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

fn sent(pushed: &Pushed, dry: bool) -> String {
    let would = if dry { "would send " } else { "sent " };
    let mut parts = vec![match pushed.sent.len() {
        0 => "nothing new".to_owned(),
        n => format!("{would}{}", count(n, "point")),
    }];
    let mut add = |n: usize, what: &str| {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    };
    add(pushed.marked.len(), "with other marks");
    add(pushed.there, "there already");
    add(pushed.passed_over, "its rules do not keep");
    add(pushed.closures, "systems in its store");
    parts.join(" · ")
}

fn pull(s: &Session, access: &Access, wanted: &Wanted) -> Result<Exit, Failure> {
    s.begin_work();
    let taken = remote::pull(&s.engine(), access, wanted, s.dry_run())?;
    let pulled = &taken.points;
    tell_password(&s.out, taken.recovery.as_ref());
    for why in taken.failed.values() {
        s.out.warn(line(why));
    }
    let items: Vec<_> = pulled
        .iter()
        .map(|p| {
            json!({
                "point": p.point.id, "host": p.point.host, "known": p.known, "mended": p.mended,
            })
        })
        .collect();
    let value = Items {
        items: &items,
        other: json!({ "failed": taken.failed.keys().collect::<Vec<_>>() }),
    };
    let ids: Vec<PointId> = pulled.iter().map(|one| one.point.id).collect();
    s.out.result("pull", value, |style| {
        let mut text = String::new();
        for (one, id) in pulled.iter().zip(shorten(&ids)) {
            let done = match (one.known, s.dry_run()) {
                (true, _) if one.mended => "is whole again",
                (true, _) => "is here already",
                (false, true) => "would be fetched",
                (false, false) => "fetched",
            };
            text.push_str(&format!(
                "{} {done} · {} · {} · {}\n",
                style.cyan(id),
                line(&one.point.host),
                style.when(one.point.created),
                style.fit(50, &line(&one.point.reason))
            ));
        }
        text.into_bytes()
    })?;
    Ok(match taken.failed.is_empty() {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

/// Fetches the point of a machine that a restore is to bring back.
pub(super) fn fetch(
    s: &Session,
    access: &Access,
    host: Option<String>,
    id: Option<String>,
) -> Result<Pulled, Failure> {
    let wanted = Wanted {
        host,
        ids: id.into_iter().collect(),
        all: false,
    };
    let mut taken = remote::pull(&s.engine(), access, &wanted, false)?;
    tell_password(&s.out, taken.recovery.as_ref());
    match taken.points.pop() {
        Some(pulled) => Ok(pulled),
        None => Err(Failure::Usage("there is no such point".to_owned())),
    }
}
