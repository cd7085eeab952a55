//! Connections: so many at once, each with one request and a bounded life.
//!
//! Who opens connections and says nothing, or reads no answer, is let go; it
//! neither keeps others out for long nor the server from ending.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at once; who comes then waits in the kernel's queue.
const MOST: usize = 256;

/// How long a client may take to say what it wants; it is on this machine.
const HEAD: Duration = Duration::from_secs(2);

/// The longest life of a connection, the answer and its reading included.
const LIFE: Duration = Duration::from_secs(60);

/// How long answers under way may take once the server is asked to end.
const GRACE: Duration = Duration::from_secs(5);

/// Before it is tried again to accept, where that failed (too many open files).
const PAUSE: Duration = Duration::from_millis(100);

/// The signals that end the server.
pub(super) struct End([Signal; 2]);

impl End {
    /// Awaits them from now on, in the runtime that was entered.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn awaited() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ]))
    }

    async fn came(&mut self) {
        let [term, int] = &mut self.0;
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
}

/// What connections come from.
pub(super) trait Listener: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one.
    fn next(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

impl Listener for TcpListener {
    type Io = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<Self::Io> {
        Ok(self.accept().await?.0)
    }
}

impl Listener for UnixListener {
    type Io = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<Self::Io> {
        Ok(self.accept().await?.0)
    }
}

/// Accepts connections until the end comes; then no more, and those that are
/// left have a moment.
pub(super) async fn accept<L: Listener>(listener: L, app: Router, mut end: End) {
    let room = Arc::new(Semaphore::new(MOST));
    let mut open = JoinSet::new();
    let next = || async {
        // Nobody closes it.
        let place = Arc::clone(&room).acquire_owned().await.ok();
        (listener.next().await, place)
    };
    loop {
        let (came, place) = tokio::select! {
            () = end.came() => break,
            next = next() => next,
        };
        while open.try_join_next().is_some() {}
        match came {
            Ok(io) => {
                let app = app.clone();
                open.spawn(async move {
                    talk(io, app).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    drop(listener);
    let rest = async { while open.join_next().await.is_some() {} };
    // What is left then ends with `open`.
    let _ = tokio::time::timeout(GRACE, rest).await;
}

/// One request and its answer. What goes wrong is the client's to notice.
async fn talk(io: impl AsyncRead + AsyncWrite + Unpin, app: Router) {
    let app = TowerToHyperService::new(app);
    let talking = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(io), app);
    let _ = tokio::time::timeout(LIFE, talking).await;
}
