//! The book of healing on disk, and the lock that lets one process heal at a
//! time.
//!
//! The book lives in the state directory; when that cannot be written, as on
//! the full disk that is to be healed, it goes to `/run/cairn`. Of two copies
//! the one that was written last counts.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::error::optional;
use super::lock::{Lock, LockError, Mode};
use super::{At, IoError, Layout, durable};
use crate::heal::Book;
use crate::heal::book::VERSION;

/// Reads the book; an empty one where there is none, or it is damaged beyond
/// reading: that is told by the second value.
///
/// # Errors
/// When a copy is there and cannot be read, or a later release wrote it: what
/// was tried is unknown then, so nothing may be.
pub fn read(layout: &Layout) -> Result<(Book, Option<String>), IoError> {
    let mut damaged = None;
    let mut books = Vec::new();
    for path in [layout.healing(), layout.volatile_healing()] {
        let Some(text) = optional(fs::read(&path).at("read", &path))? else {
            continue;
        };
        match serde_json::from_slice::<Book>(&text) {
            Ok(book) if book.version == VERSION => books.push(book),
            Ok(book) => {
                let why = format!(
                    "it has version {}, this cairn reads {VERSION}",
                    book.version
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, why)).at("read", &path);
            }
            Err(error) => {
                damaged = Some(format!(
                    "{} is damaged ({error}): what was tried before is forgotten",
                    path.display()
                ));
            }
        }
    }
    let book = books.into_iter().max_by_key(|book| book.turn);
    Ok((book.unwrap_or_default(), damaged))
}

/// Writes the book, durably where the disk has room.
///
/// # Errors
/// When it can be written in neither place: nothing may be done then.
pub fn store(layout: &Layout, book: &mut Book) -> Result<(), IoError> {
    book.turn += 1;
    let (path, volatile) = (layout.healing(), layout.volatile_healing());
    let text = serde_json::to_vec_pretty(book)
        .map_err(io::Error::from)
        .at("encode", &path)?;
    if durable::write(&path, &text).is_ok() {
        return match fs::remove_file(&volatile) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).at("remove", &volatile),
            _ => Ok(()),
        };
    }
    if let Some(dir) = volatile.parent() {
        durable::create_private_dir(dir)?;
    }
    durable::write(&volatile, &text)
}

/// The lock of who heals. It is about living processes, so it does not need to
/// outlive a boot, nor room on a disk.
///
/// # Errors
/// [`LockError::Held`] while another process heals.
pub fn lock(layout: &Layout, patience: Duration) -> Result<Lock, LockError> {
    let dir = layout.healing_lock();
    durable::create_private_dir(&dir)?;
    Lock::take(&dir, Mode::Exclusive, patience)
}

/// Whether a process heals at this moment. Where that cannot be asked, as by
/// another user, nobody does.
pub fn is_busy(layout: &Layout) -> bool {
    let dir = layout.healing_lock();
    dir.is_dir() && matches!(Lock::try_alone(&dir), Ok(None))
}

/// How long a file has been left alone; `None` where that cannot be told.
pub fn untouched_for(path: &Path) -> Option<Duration> {
    let changed = fs::metadata(path).ok()?.modified().ok()?;
    std::time::SystemTime::now().duration_since(changed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(dir: &Path) -> Layout {
        fs::create_dir_all(dir.join("state")).unwrap();
        Layout::new(dir, dir.join("state"))
    }

    #[test]
    fn of_two_books_the_later_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        let (mut book, damaged) = read(&layout).unwrap();
        assert_eq!((&book, damaged), (&Book::default(), None));
        book.spent = 1;
        store(&layout, &mut book).unwrap();
        // As on a full disk: the state directory takes nothing.
        fs::remove_file(layout.healing()).unwrap();
        fs::create_dir_all(layout.healing().join("in the way")).unwrap();
        book.spent = 2;
        store(&layout, &mut book).unwrap();
        assert!(layout.volatile_healing().is_file());
        fs::remove_dir_all(layout.healing()).unwrap();
        assert_eq!(read(&layout).unwrap().0.spent, 2);
        // There is room again.
        book.spent = 3;
        store(&layout, &mut book).unwrap();
        assert!(!layout.volatile_healing().exists());
        let (read, _) = read(&layout).unwrap();
        assert_eq!((read.spent, read.turn), (3, 3));
    }

    #[test]
    fn a_damaged_book_is_told_and_a_later_one_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        fs::write(layout.healing(), "{ not json").unwrap();
        let (book, damaged) = read(&layout).unwrap();
        assert_eq!(book, Book::default());
        assert!(damaged.unwrap().contains("is damaged"));
        fs::write(layout.healing(), r#"{"version": 9, "turn": 1}"#).unwrap();
        let error = read(&layout).unwrap_err().to_string();
        assert!(error.contains("version 9"), "{error}");
    }

    #[test]
    fn one_process_heals_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        assert!(!is_busy(&layout));
        let held = lock(&layout, Duration::ZERO).unwrap();
        assert!(is_busy(&layout));
        assert!(matches!(
            lock(&layout, Duration::ZERO),
            Err(LockError::Held { .. })
        ));
        drop(held);
        assert!(!is_busy(&layout));
    }
}
