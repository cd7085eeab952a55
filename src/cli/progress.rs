//! Long work on the screen: a bar where standard error is a terminal, a line
//! now and then where it is not, nothing with `--json` or `--quiet`.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::out::{Out, complain};
use crate::engine::Progress;
use crate::engine::progress::Task;
use crate::plan::humane::bytes;
use crate::render::style::line;
use crate::system::{fault, interrupt, terminal};
use crate::vault::Watch;

/// Work that ends sooner than this is not told of.
const QUIET: Duration = Duration::from_secs(2);
/// How often the bar moves.
const FRAME: Duration = Duration::from_millis(100);
/// How often a line is written.
const BEAT: Duration = Duration::from_secs(5);

/// Bytes are known to be so many.
const BAR: &str = "{msg} [{wide_bar}] {bytes}/{total_bytes} {eta} left";
/// Nobody knows how many there are.
const SPINNER: &str = "{spinner} {msg} {bytes} in {elapsed}";
/// There are none to count.
const CLOCK: &str = "{spinner} {msg} {elapsed}";

/// How work is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Bar,
    Lines,
    Nothing,
}

/// Where long work is told of.
#[derive(Debug)]
pub(super) struct Screen {
    how: How,
    shared: Arc<Shared>,
    showing: Mutex<Option<Showing>>,
}

#[derive(Default)]
struct Shared {
    done: AtomicU64,
    /// None is known when it is 0.
    total: AtomicU64,
    bar: Mutex<Option<ProgressBar>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// The thread that shows the work under way; it ends when `work` is dropped.
#[derive(Debug)]
struct Showing {
    work: Sender<()>,
    thread: JoinHandle<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Screen {
    /// As the global options want it.
    pub(super) fn new(out: &Out) -> Self {
        let how = match (out.json || out.quiet, terminal::shows_errors()) {
            (true, _) => How::Nothing,
            (false, true) => How::Bar,
            (false, false) => How::Lines,
        };
        Self {
            how,
            shared: Arc::default(),
            showing: Mutex::default(),
        }
    }

    /// Says something beside the bar.
    pub(super) fn say(&self, text: &str) {
        if self.how == How::Nothing {
            return;
        }
        match &*locked(&self.shared.bar) {
            Some(bar) => bar.suspend(|| complain(text)),
            None => complain(text),
        }
    }
}

impl Watch for Screen {
    fn advance(&self, bytes: u64) {
        self.shared.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn stops(&self) -> bool {
        interrupt::asked()
    }
}

impl Progress for Screen {
    fn begin(&self, task: &Task) {
        self.end();
        self.shared.done.store(0, Ordering::Relaxed);
        self.shared.total.store(0, Ordering::Relaxed);
        let (work, ended) = channel();
        let (label, shared) = (line(&task.to_string()), Arc::clone(&self.shared));
        let show = match self.how {
            How::Bar => bar,
            How::Lines => lines,
            How::Nothing => return,
        };
        let begun = Instant::now();
        let thread = thread::Builder::new().spawn(move || {
            let quiet = fault::tells_after().unwrap_or(QUIET);
            if ended.recv_timeout(quiet) == Err(RecvTimeoutError::Timeout) {
                show(&label, begun, &shared, &ended);
            }
        });
        // Without a thread nothing is shown, and the work goes on.
        *locked(&self.showing) = thread.ok().map(|thread| Showing { work, thread });
    }

    fn total(&self, bytes: u64) {
        self.shared.total.store(bytes, Ordering::Relaxed);
    }

    fn end(&self) {
        if let Some(Showing { work, thread }) = locked(&self.showing).take() {
            drop(work);
            // What is printed next begins on a clean line.
            let _ = thread.join();
        }
    }

    fn is_shown(&self) -> bool {
        self.how != How::Nothing
    }
}

impl Shared {
    /// What is done, and of how much, if that is known.
    fn so_far(&self) -> (u64, Option<u64>) {
        let done = self.done.load(Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed);
        // What changed meanwhile, or was read again, was not measured.
        (done, (total > 0).then(|| total.max(done)))
    }
}

/// Standard error as a terminal with a little less room than it has: where a
/// line fills it, the `^C` that a terminal writes lands on the next one, and
/// the bar would stay.
#[derive(Debug)]
struct Narrow;

/// Columns for `^C`, and a few more that were typed.
const MARGIN: u16 = 8;

impl Narrow {
    fn moved(&self, columns: usize, way: char) -> io::Result<()> {
        match columns {
            0 => Ok(()),
            n => write!(io::stderr(), "\x1b[{n}{way}"),
        }
    }
}

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        let columns = terminal::size().map_or(80, |(columns, _)| columns);
        columns.saturating_sub(MARGIN).max(1)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{text}")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        io::stderr().write_all(text.as_bytes())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn goes_on(ended: &Receiver<()>, time: Duration) -> bool {
    ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
}

fn bar(label: &str, begun: Instant, shared: &Shared, ended: &Receiver<()>) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like(Box::new(Narrow)))
        .with_message(label.to_owned())
        .with_elapsed(begun.elapsed());
    *locked(&shared.bar) = Some(bar.clone());
    let mut styled = "";
    loop {
        let (done, total) = shared.so_far();
        let template = match total {
            Some(_) => BAR,
            None if done > 0 => SPINNER,
            None => CLOCK,
        };
        if template != styled
            && let Ok(style) = ProgressStyle::with_template(template)
        {
            bar.set_style(style.progress_chars("=> "));
            styled = template;
        }
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
        bar.tick();
        if !goes_on(ended, FRAME) {
            break;
        }
    }
    let mut shown = locked(&shared.bar);
    bar.finish_and_clear();
    *shown = None;
}

fn lines(label: &str, begun: Instant, shared: &Shared, ended: &Receiver<()>) {
    loop {
        complain(format!("{label}: {}", told(shared, begun.elapsed())));
        if !goes_on(ended, BEAT) {
            return;
        }
    }
}

/// How far work is, in words.
fn told(shared: &Shared, elapsed: Duration) -> String {
    let (done, total) = shared.so_far();
    match total {
        Some(total) if done > 0 => {
            let left = elapsed.as_secs_f64() * (total - done) as f64 / done as f64;
            let (done, total) = (bytes(done), bytes(total));
            format!("{done} of {total}, {left:.0} s left")
        }
        Some(total) => format!("0 B of {}", bytes(total)),
        None if done > 0 => format!("{} in {} s", bytes(done), elapsed.as_secs()),
        None => format!("{} s so far", elapsed.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_told_in_words() {
        let shared = Shared::default();
        let told = |seconds| told(&shared, Duration::from_secs(seconds));
        assert_eq!(told(3), "3 s so far");
        shared.done.store(2048, Ordering::Relaxed);
        assert_eq!(told(4), "2.0 KiB in 4 s");
        shared.total.store(6144, Ordering::Relaxed);
        assert_eq!(told(4), "2.0 KiB of 6.0 KiB, 8 s left");
        // More came than was measured.
        shared.done.store(8192, Ordering::Relaxed);
        assert_eq!(told(4), "8.0 KiB of 8.0 KiB, 0 s left");
    }

    #[test]
    fn every_template_is_one() {
        for template in [BAR, SPINNER, CLOCK] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
