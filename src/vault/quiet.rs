//! Turns panics of the repository library into values.
//!
//! rustic_core 0.13 panics on missing or corrupt packs and on a full disk. We
//! catch the unwinding around our own calls and keep the panic hook quiet for
//! them, while any other panic of the process is still printed by the hook
//! that was there before.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

thread_local! {
    /// Calls of [`guarded`] on this thread's stack.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Calls of [`guarded`] in the process.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);
static INSTALL: Once = Once::new();
/// Message of the last panic on one of the library's own threads, whose
/// payload does not reach us.
static LAST: Mutex<Option<String>> = Mutex::new(None);
/// What `std::thread::scope` says instead of it.
const SCOPE_PANIC: &str = "a scoped thread panicked";

/// Calls `work`; a panic in it, or on a thread it waits for, becomes `Err`
/// with the message.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    INSTALL.call_once(install);
    let _active = Active::enter();
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let own = message(payload.as_ref());
        if own != SCOPE_PANIC {
            return own;
        }
        LAST.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or(own)
    })
}

struct Active;

impl Active {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        ACTIVE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.fetch_sub(1, Ordering::SeqCst);
        DEPTH.set(DEPTH.get() - 1);
    }
}

fn install() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if guarded_thread() {
            return;
        }
        if !of_the_library(info) {
            before(info);
        } else if ACTIVE.load(Ordering::SeqCst) > 0 {
            let text = message(info.payload());
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
        // Else one of its threads that a call which failed has left behind.
    }));
}

/// Whether this thread is inside of [`guarded`].
fn guarded_thread() -> bool {
    DEPTH.try_with(Cell::get).unwrap_or(0) > 0
}

/// In the library's code: it is called within [`guarded`] alone, so this is a
/// thread of its own.
fn of_the_library(info: &PanicHookInfo<'_>) -> bool {
    info.location().is_some_and(|place| {
        ["rustic_core", "pariter", "rayon"]
            .iter()
            .any(|name| place.file().contains(name))
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        let result: Result<(), String> = guarded(|| panic!("pack {} is gone", 7));
        assert_eq!(result.unwrap_err(), "pack 7 is gone");
        assert_eq!(guarded(|| 3).unwrap(), 3);
    }

    #[test]
    fn the_guard_ends_with_the_call() {
        let _ = guarded(|| panic!("once"));
        assert_eq!(DEPTH.get(), 0);
    }
}
