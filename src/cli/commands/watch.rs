//! `metrics`, `serve`, `report`: for those who watch.

use std::time::{Duration, Instant};

use serde_json::json;

use super::super::Exit;
use super::super::args::{Metrics, Report, Serve};
use super::super::failure::Failure;
use super::super::session::Session;
use crate::engine::{figures, report};
use crate::plan::figures::Figures;
use crate::point::path::printable;
use crate::render::style::line;
use crate::render::{metrics as text, report as page};
use crate::system::durable;
use crate::system::http::{self, Answer, Asked, Listen};

/// How long what was seen is told again.
const FRESH: Duration = Duration::from_secs(5);

/// `metrics`
pub(super) fn metrics(s: &Session, args: &Metrics) -> Result<Exit, Failure> {
    if let Some(file) = &args.textfile
        && file.extension().is_none_or(|e| e != "prom")
    {
        let name = printable(file);
        return Err(Failure::Usage(format!(
            "{name} does not end in .prom: no exporter would read it"
        )));
    }
    let (figures, notes) = figures::figures(&s.engine())?;
    notes.iter().for_each(|note| s.out.warn(line(note)));
    let written = match args.openmetrics {
        true => text::openmetrics(&figures),
        false => text::prometheus(&figures),
    };
    let written = written.map_err(|_| Failure::Usage("no metrics".to_owned()))?;
    match &args.textfile {
        Some(file) if !s.dry_run() => {
            durable::hand_out(file, written.as_bytes(), true)?;
        }
        Some(_) => {}
        None => {
            let value = json!({ "text": written });
            s.out
                .result("metrics", value, |_| written.clone().into_bytes())?;
        }
    }
    Ok(Exit::Ok)
}

/// `report`
pub(super) fn report(s: &Session, args: &Report) -> Result<Exit, Failure> {
    let told = report::report(&s.engine())?;
    let made = match args.markdown {
        true => page::markdown(&told),
        false => page::html(&told),
    };
    let made = made.map_err(|error| Failure::Page(error.to_string()))?;
    match &args.output {
        Some(file) => {
            if !s.dry_run() {
                durable::hand_out(file, made.as_bytes(), false)?;
            }
            let value =
                json!({ "file": crate::point::BytePath(file.clone()), "bytes": made.len() });
            let done = if s.dry_run() { "would write" } else { "wrote" };
            let name = printable(file);
            s.out
                .result("report", value, |_| format!("{done} {name}\n").into_bytes())?;
        }
        None => {
            let value = json!({ "text": made });
            s.out
                .result("report", value, |_| made.clone().into_bytes())?;
        }
    }
    Ok(Exit::Ok)
}

/// `serve`
pub(super) fn serve(s: &Session, args: &Serve) -> Result<Exit, Failure> {
    let listen = match &args.socket {
        Some(socket) => Listen::Socket(socket.clone()),
        None if http::is_loopback(&args.listen) => Listen::Loopback(args.listen),
        None => {
            return Err(Failure::Usage(format!(
                "{} can be reached from elsewhere, and there is no password: listen on \
                 127.0.0.1, [::1] or a socket, and put a proxy before it",
                args.listen
            )));
        }
    };
    let mut kept = Kept { s, seen: None };
    let say = |at: String| {
        let at = match &listen {
            Listen::Loopback(_) => format!("http://{at}/"),
            Listen::Socket(_) => at,
        };
        let _ = s.out.say(format!("serving on {at}"));
    };
    http::serve(&listen, say, |asked| kept.answer(asked))?;
    Ok(Exit::Ok)
}

/// What was seen a moment ago.
struct Kept<'s> {
    s: &'s Session,
    seen: Option<(Instant, Figures)>,
}

impl Kept<'_> {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let told = match asked.path.as_str() {
            "/metrics" => self.metrics(&asked.accept),
            "/health" => self.health(),
            "/" => self.page(),
            _ => Ok(Answer::text(404, "there are /, /metrics and /health")),
        };
        // Why is for who runs the machine, not for who asks.
        told.unwrap_or_else(|error| {
            self.s.out.warn(line(&error.to_string()));
            Answer::text(500, "it cannot be told: see the journal of this service")
        })
    }

    fn figures(&mut self) -> Result<&Figures, Failure> {
        let fresh = |(at, _): &(Instant, Figures)| at.elapsed() < FRESH;
        if !self.seen.as_ref().is_some_and(fresh) {
            let (figures, _) = figures::figures(&self.s.engine())?;
            self.seen = Some((Instant::now(), figures));
        }
        match &self.seen {
            Some((_, figures)) => Ok(figures),
            None => Err(Failure::Page("nothing was seen".to_owned())),
        }
    }

    fn metrics(&mut self, accept: &str) -> Result<Answer, Failure> {
        let open = accept.contains("application/openmetrics-text");
        let figures = self.figures()?;
        let (body, media) = match open {
            true => (text::openmetrics(figures), text::OPENMETRICS),
            false => (text::prometheus(figures), text::PROMETHEUS),
        };
        Ok(Answer {
            status: 200,
            media,
            body: body.map_err(|e| Failure::Page(e.to_string()))?,
        })
    }

    fn health(&mut self) -> Result<Answer, Failure> {
        let figures = self.figures()?;
        let score = figures
            .score
            .map_or_else(|| "unknown".to_owned(), |score| score.to_string());
        Ok(match figures.healthy {
            true => Answer::text(200, &format!("healthy, score {score}")),
            false => Answer::text(503, &format!("unhealthy, score {score}")),
        })
    }

    fn page(&mut self) -> Result<Answer, Failure> {
        let told = report::report(&self.s.engine())?;
        Ok(Answer {
            status: 200,
            media: "text/html; charset=utf-8",
            body: page::html(&told).map_err(|e| Failure::Page(e.to_string()))?,
        })
    }
}
