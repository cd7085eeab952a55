//! The same work on many things, several at a time.
//!
//! Not on a pool that other code shares: the repository library has one, and a
//! thread of it that waits for a lock may be given the work that holds it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// So few are not worth a thread of their own.
const FEW: usize = 8;

/// Works on all items, as many at once as there are cores, and gives what came of
/// each, in order. After an error nothing new is begun.
///
/// # Errors
/// The first one, by time.
pub(crate) fn each<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    at_once(cores.min(items.len() / FEW), items, work)
}

/// As [`each`], so many at once: for work that waits for others.
///
/// # Errors
/// The first one, by time.
pub(crate) fn at_once<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        let mut done = Vec::new();
        while failed().is_none() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { break };
            match work(item) {
                Ok(result) => done.push((number, result)),
                Err(error) => {
                    failed().get_or_insert(error);
                }
            }
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for other in others {
            match other.join() {
                Ok(results) => done.extend(results),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    if let Some(error) = failed().take() {
        return Err(error);
    }
    done.sort_unstable_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, FEW, 500] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Result<Vec<usize>, ()> = each(&items, |n| Ok(n * 2));
            let wanted: Vec<usize> = items.iter().map(|n| n * 2).collect();
            assert_eq!(doubled, Ok(wanted));
        }
    }

    #[test]
    fn an_error_ends_it() {
        let items: Vec<usize> = (0..10_000).collect();
        let begun = AtomicUsize::new(0);
        let result = each(&items, |n| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *n == 20 { Err(*n) } else { Ok(()) }
        });
        assert_eq!(result, Err(20));
        assert!(begun.into_inner() < items.len());
    }
}
