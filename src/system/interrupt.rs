//! Ctrl-C and SIGTERM: the first asks for a stop at a safe place, the second
//! ends the program at once.
//!
//! Until somebody listens, a signal ends the program as it always does.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static ASKED: AtomicBool = AtomicBool::new(false);
static LISTENS: AtomicBool = AtomicBool::new(false);

/// The exit code of what was interrupted.
pub const EXIT: i32 = 130;

/// Whether the program was asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Listens from now on; `first` is called once, on a thread of its own, when
/// the first signal comes.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn listen(first: impl FnOnce() + Send + 'static) -> io::Result<()> {
    if LISTENS.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut first = Some(first);
            for _ in signals.forever() {
                ASKED.store(true, Ordering::Relaxed);
                match first.take() {
                    Some(first) => first(),
                    // What was begun is found again by the next run.
                    None => std::process::exit(EXIT),
                }
            }
        })?;
    Ok(())
}
