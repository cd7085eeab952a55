//! Writes a NAR node by node. The caller walks the tree and hands over names in
//! order; contents are streamed.

use std::io::{self, Read, Write};

use super::{MAGIC, MAX_DEPTH, NameProblem, check_entry_name, check_target, padding};

/// Bytes read from a file at once.
const CHUNK: usize = 64 * 1024;

/// Why a NAR can't be written. What was written so far is no whole NAR.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output failed.
    #[error("writing the NAR: {source}")]
    Write {
        /// The cause.
        #[from]
        source: io::Error,
    },
    /// The content failed.
    #[error("reading a file's content for the NAR: {source}")]
    Content {
        /// The cause.
        source: io::Error,
    },
    /// The content ended early: the file shrank while it was read.
    #[error("the file has {actual} bytes, {expected} were announced")]
    ContentTooShort {
        /// Bytes announced.
        expected: u64,
        /// Bytes read.
        actual: u64,
    },
    /// The content goes on: the file grew while it was read.
    #[error("the file has more than the {expected} bytes announced")]
    ContentTooLong {
        /// Bytes announced.
        expected: u64,
    },
    /// An entry's name that no directory can hold.
    #[error("the entry name {name:?} is not valid: {reason}")]
    InvalidName {
        /// The name, made readable.
        name: String,
        /// The rule it breaks.
        reason: NameProblem,
    },
    /// A target that no symlink can have.
    #[error("the symlink target is not valid: {reason}")]
    InvalidTarget {
        /// The rule it breaks.
        reason: NameProblem,
    },
    /// Names must ascend bytewise and none may come twice.
    #[error("the entry {name:?} does not come after {previous:?}")]
    Unordered {
        /// The entry before.
        previous: String,
        /// The entry refused.
        name: String,
    },
    /// The node of this entry was dropped before it was written.
    #[error("the entry {name:?} was left without content")]
    Unfinished {
        /// The entry.
        name: String,
    },
    /// More than [`MAX_DEPTH`] directories inside one another.
    #[error("directories are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// Begins a NAR. The node must be written, or the output is no NAR.
///
/// # Errors
/// [`WriteError::Write`]
pub fn open(output: &mut dyn Write) -> Result<Node<'_>, WriteError> {
    write_bytes(output, MAGIC)?;
    Ok(Node {
        output,
        parent: None,
        depth: 0,
    })
}

/// A place in the NAR that takes one file, symlink or directory.
#[must_use = "a node that is not written leaves the NAR broken"]
pub struct Node<'a> {
    output: &'a mut dyn Write,
    /// Set once this node is whole.
    parent: Option<&'a mut bool>,
    depth: usize,
}

impl<'a> Node<'a> {
    /// Writes a symlink.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn symlink(self, target: &[u8]) -> Result<(), WriteError> {
        check_target(target).map_err(|reason| WriteError::InvalidTarget { reason })?;
        for token in [
            b"(".as_slice(),
            b"type",
            b"symlink",
            b"target",
            target,
            b")",
        ] {
            write_bytes(self.output, token)?;
        }
        self.done();
        Ok(())
    }

    /// Writes a regular file of exactly `size` bytes from `content`. See
    /// [`super::is_executable`] for the flag.
    ///
    /// # Errors
    /// [`WriteError`], where the content is shorter or longer than `size` too.
    pub fn file(
        self,
        executable: bool,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), WriteError> {
        for token in [b"(".as_slice(), b"type", b"regular"] {
            write_bytes(self.output, token)?;
        }
        if executable {
            write_bytes(self.output, b"executable")?;
            write_bytes(self.output, b"")?;
        }
        write_bytes(self.output, b"contents")?;
        self.output.write_all(&size.to_le_bytes())?;
        copy_exactly(self.output, content, size)?;
        self.output.write_all(&[0; 8][..padding(size)])?;
        write_bytes(self.output, b")")?;
        self.done();
        Ok(())
    }

    /// Begins a directory; [`Directory::close`] ends it.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn directory(self) -> Result<Directory<'a>, WriteError> {
        if self.depth >= MAX_DEPTH {
            return Err(WriteError::TooDeep);
        }
        for token in [b"(".as_slice(), b"type", b"directory"] {
            write_bytes(self.output, token)?;
        }
        Ok(Directory {
            node: self,
            previous: None,
            entry_done: true,
        })
    }

    fn done(self) {
        if let Some(done) = self.parent {
            *done = true;
        }
    }
}

/// A directory that takes entries in order.
#[must_use = "a directory that is not closed leaves the NAR broken"]
pub struct Directory<'a> {
    node: Node<'a>,
    previous: Option<Vec<u8>>,
    entry_done: bool,
}

impl Directory<'_> {
    /// Begins an entry. Names ascend by bytes, not by any locale.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn entry(&mut self, name: &[u8]) -> Result<Node<'_>, WriteError> {
        check_entry_name(name).map_err(|reason| WriteError::InvalidName {
            name: lossy(name),
            reason,
        })?;
        if let Some(previous) = self
            .previous
            .as_deref()
            .filter(|&previous| previous >= name)
        {
            return Err(WriteError::Unordered {
                previous: lossy(previous),
                name: lossy(name),
            });
        }
        self.end_entry()?;
        self.previous = Some(name.to_vec());
        self.entry_done = false;
        for token in [b"entry".as_slice(), b"(", b"name", name, b"node"] {
            write_bytes(self.node.output, token)?;
        }
        Ok(Node {
            output: &mut *self.node.output,
            parent: Some(&mut self.entry_done),
            depth: self.node.depth + 1,
        })
    }

    /// Ends the directory.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn close(mut self) -> Result<(), WriteError> {
        self.end_entry()?;
        write_bytes(self.node.output, b")")?;
        self.node.done();
        Ok(())
    }

    /// Closes the entry before, if there is one.
    fn end_entry(&mut self) -> Result<(), WriteError> {
        let Some(name) = self.previous.as_deref() else {
            return Ok(());
        };
        if !self.entry_done {
            return Err(WriteError::Unfinished { name: lossy(name) });
        }
        Ok(write_bytes(self.node.output, b")")?)
    }
}

fn write_bytes(output: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    let length = bytes.len() as u64;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(bytes)?;
    output.write_all(&[0; 8][..padding(length)])
}

fn copy_exactly(
    output: &mut dyn Write,
    content: &mut dyn Read,
    size: u64,
) -> Result<(), WriteError> {
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(CHUNK).clamp(1, CHUNK)];
    let mut left = size;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(CHUNK).min(buffer.len());
        let read = read_some(content, &mut buffer[..want])?;
        if read == 0 {
            return Err(WriteError::ContentTooShort {
                expected: size,
                actual: size - left,
            });
        }
        output.write_all(&buffer[..read])?;
        left -= read as u64;
    }
    match read_some(content, &mut buffer[..1])? {
        0 => Ok(()),
        _ => Err(WriteError::ContentTooLong { expected: size }),
    }
}

/// One read, again after an interruption.
fn read_some(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, WriteError> {
    loop {
        match content.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(|source| WriteError::Content { source }),
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}
