//! Running all probes at once. None is waited for longer than its time.
//!
//! What hangs in the kernel, as on a dead network filesystem, cannot be
//! stopped: such a thread is left behind, and ends with the program.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use crate::health::{Check, Finding};
use crate::point::health::Status;
use crate::point::humane;

/// A probe with the judge of what it reads.
pub(super) struct Job<'a> {
    /// Whose.
    pub(super) check: &'static Check,
    /// What it is of, where a check has several.
    pub(super) of: Option<String>,
    /// Whether its failure makes the machine unhealthy, where the check does
    /// not say.
    pub(super) required: Option<bool>,
    /// When it must have answered.
    pub(super) time: Duration,
    /// Whether that is less than the check's own time.
    pub(super) cut: bool,
    /// What to do.
    pub(super) work: Work<'a>,
}

type Probe<'a> = Box<dyn FnOnce() -> Vec<Finding> + Send + 'a>;

/// How a probe may be left behind.
pub(super) enum Work<'a> {
    /// At any time: it borrows nothing.
    Free(Probe<'static>),
    /// It runs programs, which are killed when their time is over, and so ends
    /// by itself.
    Bound(Probe<'a>),
}

impl Work<'_> {
    /// Work that borrows nothing.
    pub(super) fn free(work: impl FnOnce() -> Vec<Finding> + Send + 'static) -> Self {
        Self::Free(Box::new(work))
    }
}

/// For what is killed at the end of its time to say so itself.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs all; gives what each found, in the order of the jobs.
pub(super) fn run(jobs: Vec<Job<'_>>) -> Vec<(&'static Check, Vec<Finding>)> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let waiting: Vec<_> = jobs
            .into_iter()
            .map(|job| {
                let (answer, answered) = channel();
                let (started, end) = match job.work {
                    Work::Free(work) => {
                        let thread = move || {
                            let _ = answer.send(work());
                        };
                        (Builder::new().spawn(thread).map(|_| ()), job.time)
                    }
                    Work::Bound(work) => {
                        let thread = move || {
                            let _ = answer.send(work());
                        };
                        let started = Builder::new().spawn_scoped(scope, thread);
                        (started.map(|_| ()), job.time + LAST_WORDS)
                    }
                };
                let about = About {
                    of: job.of,
                    required: job.required,
                    time: job.time,
                    cut: job.cut,
                };
                (job.check, about, started, answered, begun + end)
            })
            .collect();
        waiting
            .into_iter()
            .map(|(check, about, started, answered, end)| {
                (check, about.await_answer(started, &answered, end))
            })
            .collect()
    })
}

/// A job without its work.
struct About {
    of: Option<String>,
    required: Option<bool>,
    time: Duration,
    cut: bool,
}

impl About {
    fn await_answer(
        self,
        started: io::Result<()>,
        answered: &Receiver<Vec<Finding>>,
        end: Instant,
    ) -> Vec<Finding> {
        let mut finding = if let Err(error) = started {
            Finding::unknown(format!("cannot be asked: {error}"))
        } else {
            match answered.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(found) => return found,
                Err(RecvTimeoutError::Timeout) => no_answer(self.time, self.cut),
                Err(RecvTimeoutError::Disconnected) => {
                    Finding::new(Status::Failing, "the check itself broke")
                }
            }
        };
        finding.of = self.of;
        finding.required = self.required;
        vec![finding]
    }
}

/// What is said of what did not answer in time.
pub(super) fn no_answer(time: Duration, cut: bool) -> Finding {
    if cut {
        return Finding::unknown("not waited for");
    }
    let time = humane::duration(time);
    Finding::new(Status::Failing, format!("no answer within {time}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::check;

    fn job<'a>(millis: u64, cut: bool, work: Work<'a>) -> Job<'a> {
        Job {
            check: check("disk").unwrap(),
            of: Some("x".into()),
            required: None,
            time: Duration::from_millis(millis),
            cut,
            work,
        }
    }

    #[test]
    fn what_hangs_fails_in_its_time_and_holds_up_nothing() {
        let hang = || {
            Work::free(|| {
                thread::sleep(Duration::from_secs(60));
                Vec::new()
            })
        };
        let quick = || Work::free(|| vec![Finding::new(Status::Ok, "here")]);
        let breaks = Work::free(|| panic!("on purpose"));
        let begun = Instant::now();
        let found = run(vec![
            job(100, false, hang()),
            job(60_000, false, quick()),
            job(100, true, hang()),
            job(60_000, false, breaks),
        ]);
        assert!(begun.elapsed() < Duration::from_secs(20));
        let words: Vec<&str> = found.iter().map(|(_, f)| f[0].detail.as_str()).collect();
        assert_eq!(
            words,
            [
                "no answer within 100 ms",
                "here",
                "not waited for",
                "the check itself broke"
            ]
        );
        let status: Vec<Status> = found.iter().map(|(_, f)| f[0].status).collect();
        assert_eq!(
            status,
            [
                Status::Failing,
                Status::Ok,
                Status::Unknown,
                Status::Failing
            ]
        );
        assert_eq!(found[0].1[0].of.as_deref(), Some("x"));
    }

    #[test]
    fn probes_run_at_the_same_time() {
        let slow = || {
            Work::free(|| {
                thread::sleep(Duration::from_millis(300));
                vec![Finding::unknown("")]
            })
        };
        let begun = Instant::now();
        run((0..10).map(|_| job(10_000, false, slow())).collect());
        assert!(begun.elapsed() < Duration::from_millis(2_000));
    }
}
