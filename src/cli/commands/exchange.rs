//! `export`, `import`: one point as one file.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::super::Exit;
use super::super::args::{Export, Import};
use super::super::failure::Failure;
use super::super::session::Session;
use super::points::{Entry, short, tell_password};
use crate::engine::export::{self, Exported, Target};
use crate::engine::import::{self, Taken};
use crate::plan::humane::bytes;
use crate::point::path::printable;
use crate::render::style::{count, line};
use crate::system::{secret, terminal};

/// The name of a stream.
const STREAM: &str = "-";

/// `export`
pub(super) fn export(s: &Session, args: &Export) -> Result<Exit, Failure> {
    let engine = s.engine();
    if s.dry_run() {
        let point = engine.select(&args.point)?;
        let to = printable(&args.file);
        s.out
            .say(format!("would export {} to {to}", short(point.id)))?;
        return Ok(Exit::Ok);
    }
    let password = args
        .password_file
        .as_deref()
        .map(secret::password)
        .transpose()?;
    let encrypted = password.is_some();
    let request = |to| export::Request {
        to,
        closure: args.closure,
        password: password.clone(),
    };
    if args.file == Path::new(STREAM) {
        if terminal::is_output() {
            let text = "an export is no text: name a file, or send it on with |";
            return Err(Failure::Usage(text.to_owned()));
        }
        let mut out = io::BufWriter::new(io::stdout().lock());
        export::export(&engine, &args.point, request(Target::Stream(&mut out)))?;
        out.flush()?;
        caution(s, encrypted);
        return Ok(Exit::Ok);
    }
    let target = Target::File(args.file.clone());
    let exported = export::export(&engine, &args.point, request(target))?;
    caution(s, encrypted);
    let Exported {
        point,
        bytes: size,
        paths,
    } = &exported;
    let value = json!({
        "point": point.id, "file": crate::point::BytePath(args.file.clone()), "bytes": size,
        "encrypted": encrypted, "storePaths": paths,
    });
    s.out.result("export", value, |style| {
        let system = match paths {
            0 => String::new(),
            n => format!(", with its system ({})", count(*n, "store path")),
        };
        let file = printable(&args.file);
        format!(
            "exported {} to {file}: {}{system}\n",
            style.cyan(short(point.id)),
            bytes(*size)
        )
        .into_bytes()
    })?;
    Ok(Exit::Ok)
}

/// Said wherever the file goes.
fn caution(s: &Session, encrypted: bool) {
    if !encrypted {
        s.out.warn(
            "whoever has the file can read it, and it holds what the point holds, secrets too; \
             --password-file encrypts it",
        );
    }
}

/// `import`
pub(super) fn import(s: &Session, args: &Import) -> Result<Exit, Failure> {
    let password = args
        .password_file
        .as_deref()
        .map(secret::password)
        .transpose()?;
    let (mut stdin, mut file);
    let from: &mut dyn io::Read = if args.file == Path::new(STREAM) {
        stdin = io::stdin().lock();
        &mut stdin
    } else {
        file = secret::open(&args.file)?;
        &mut file
    };
    let request = import::Request {
        from,
        name: line(&printable(&args.file)),
        closure: args.closure,
        password,
        dry_run: s.dry_run(),
    };
    let taken = import::import(&s.engine(), request)?;
    tell_password(&s.out, taken.recovery.as_ref());
    tell(s, args, &taken)?;
    Ok(Exit::Ok)
}

fn tell(s: &Session, args: &Import, taken: &Taken) -> Result<(), Failure> {
    let point = &taken.point;
    if taken.has_closure && !args.closure {
        s.out.warn(
            "its system is in the file too: --closure takes it into the store; a store path \
             is trusted by all who use it, so do that only with a file you trust",
        );
    }
    if taken.foreign {
        s.out.warn(format!(
            "it was taken on {}, not on this machine: only its id names it, latest passes over it",
            line(&point.host)
        ));
    }
    let value = json!({
        "point": Entry::new(point, &taken.marks), "known": taken.known,
        "mended": taken.mended, "foreign": taken.foreign, "imported": !s.dry_run() && !taken.known,
    });
    s.out.result("import", value, |style| {
        let done = match (taken.known, s.dry_run()) {
            (true, _) if taken.mended => "is whole again",
            (true, _) => "is here already",
            (false, true) => "would be imported",
            (false, false) => "imported",
        };
        let host = line(&point.host);
        format!(
            "{} {done} · {host} · {} · {}\n",
            style.cyan(short(point.id)),
            style.when(point.created),
            style.fit(50, &line(&point.reason))
        )
        .into_bytes()
    })?;
    Ok(())
}
