//! A small server for who watches the machine: it reads, and never writes.
//!
//! Requests are handed to whoever called [`serve`], one after the other and
//! through a short queue; beyond that the server says that it is busy. How many
//! may ask at once, and for how long, is bounded (`accept`). It listens on this
//! machine alone, and answers only who asks for it by such a name: a page of
//! elsewhere that a browser was led to cannot ask it.

mod accept;
mod place;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;

use super::{At, IoError};
use accept::{End, accept};
use place::SocketFile;

/// Requests that may wait.
const QUEUE: usize = 16;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every answer says: nothing is loaded, framed, kept or guessed.
const HEADERS: [(header::HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address of this machine's own.
    Loopback(SocketAddr),
    /// A socket file; who may write to it may ask.
    Socket(PathBuf),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path, such as `/metrics`.
    pub path: String,
    /// What the client would take, as its `Accept` has it.
    pub accept: String,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The media type.
    pub media: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A line of text.
    pub fn text(status: u16, line: &str) -> Self {
        Self {
            status,
            media: "text/plain; charset=utf-8",
            body: format!("{line}\n"),
        }
    }
}

type Question = (Asked, oneshot::Sender<Answer>);

#[derive(Clone)]
struct Asking {
    to: SyncSender<Question>,
    /// Whether the name it is asked by is looked at.
    by_name: bool,
}

/// Serves until it is asked to end (SIGTERM, SIGINT). `ready` is called with
/// the address once it listens.
///
/// # Errors
/// When it cannot listen there.
pub fn serve(
    listen: &Listen,
    ready: impl FnOnce(String),
    mut answer: impl FnMut(&Asked) -> Answer,
) -> Result<(), IoError> {
    let name = match listen {
        Listen::Loopback(address) => PathBuf::from(address.to_string()),
        Listen::Socket(path) => path.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .at("serve on", &name)?;
    let (to, questions): (SyncSender<Question>, Receiver<Question>) = sync_channel(QUEUE);
    let by_name = matches!(listen, Listen::Loopback(_));
    let app = Router::new()
        .fallback(ask)
        .with_state(Asking { to, by_name });
    let entered = runtime.enter();
    let end = End::awaited().at("serve on", &name)?;
    // A socket file goes with what holds this, and only then.
    let (at, server, _place) = match listen {
        Listen::Loopback(address) => {
            let listener = std::net::TcpListener::bind(address).at("listen on", &name)?;
            listener.set_nonblocking(true).at("listen on", &name)?;
            let at = listener.local_addr().at("listen on", &name)?.to_string();
            let listener = TcpListener::from_std(listener).at("listen on", &name)?;
            (at, runtime.spawn(accept(listener, app, end)), None)
        }
        Listen::Socket(path) => {
            let (listener, place) = SocketFile::make(path)?;
            let listener = UnixListener::from_std(listener).at("listen on", path)?;
            let at = path.display().to_string();
            (at, runtime.spawn(accept(listener, app, end)), Some(place))
        }
    };
    drop(entered);
    ready(at);
    // The queue ends with the server, which alone holds its other end.
    while let Ok((asked, reply)) = questions.recv() {
        let _ = reply.send(answer(&asked));
    }
    runtime
        .block_on(server)
        .map_err(io::Error::other)
        .at("serve on", &name)
}

async fn ask(State(asking): State<Asking>, request: Request<Body>) -> Response<Body> {
    // What asks for the head alone has no body sent: the router sees to that.
    let answer = if ![Method::GET, Method::HEAD].contains(request.method()) {
        Answer::text(405, "this server only reads")
    } else if asking.by_name && !is_own_name(request.headers()) {
        Answer::text(421, "ask for localhost")
    } else {
        let accept = request.headers().get(header::ACCEPT);
        let asked = Asked {
            path: request.uri().path().to_owned(),
            accept: accept
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
        };
        reply(&asking, asked).await
    };
    respond(answer)
}

async fn reply(asking: &Asking, asked: Asked) -> Answer {
    let (reply, replied) = oneshot::channel();
    match asking.to.try_send((asked, reply)) {
        Ok(()) => {}
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
            return Answer::text(503, "busy: ask again in a while");
        }
    }
    match tokio::time::timeout(PATIENCE, replied).await {
        Ok(Ok(answer)) => answer,
        _ => Answer::text(503, "it takes too long: ask again in a while"),
    }
}

/// Whether it is asked by a name that is always this machine's own.
fn is_own_name(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let Some(host) = host else {
        return false;
    };
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(bare, _)| bare),
    };
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn respond(answer: Answer) -> Response<Body> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let media = header::HeaderValue::from_static(answer.media);
    headers.insert(header::CONTENT_TYPE, media);
    for (name, value) in HEADERS {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}

/// Whether an address is one that only this machine reaches.
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let by = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, header::HeaderValue::from_static(host));
            is_own_name(&headers)
        };
        for good in [
            "localhost",
            "LOCALHOST:9",
            "127.0.0.1:9",
            "[::1]:9",
            "[::1]",
        ] {
            assert!(by(good), "{good}");
        }
        for bad in [
            "evil.example:9",
            "localhost.evil.example",
            "10.0.0.1:9",
            "",
            "[::2]:9",
        ] {
            assert!(!by(bad), "{bad}");
        }
        assert!(!is_own_name(&HeaderMap::new()));
    }
}
