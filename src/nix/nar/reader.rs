//! Reads a NAR as a series of events, from a source that nobody vouches for.
//!
//! Nothing is allocated on the word of a length field alone: names and targets
//! are bounded, contents are streamed, nesting is limited, and the reader keeps
//! its own stack instead of the program's.

use std::io::{self, Read};

use super::{
    MAGIC, MAX_DEPTH, MAX_NAME_LEN, MAX_TARGET_LEN, NameProblem, check_entry_name, check_target,
    padding,
};

/// Longest of the format's own words (`nix-archive-1`, `executable`), rounded up.
const MAX_WORD: usize = 16;

/// Why something is not a NAR. After an error the reader gives only errors.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed or ended early (`UnexpectedEof`).
    #[error("reading the NAR at byte {offset}: {source}")]
    Read {
        /// Bytes read before.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// Another word was due.
    #[error("not a NAR: expected {expected} before byte {offset}")]
    Unexpected {
        /// Bytes read, the wrong word included.
        offset: u64,
        /// What the format wants there.
        expected: &'static str,
    },
    /// The bytes after a string are not zeros.
    #[error("not a NAR: the padding before byte {offset} is not zero")]
    Padding {
        /// Bytes read, the padding included.
        offset: u64,
    },
    /// A name that could lead out of the directory, or that none can hold.
    #[error("the entry name {name:?} is not valid: {reason}")]
    InvalidName {
        /// The name, made readable; empty if too long to be read.
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
    /// More than [`MAX_DEPTH`] directories inside one another.
    #[error("directories are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// Bytes follow the NAR.
    #[error("bytes follow the NAR, which ends at byte {offset}")]
    TrailingData {
        /// Length of the NAR.
        offset: u64,
    },
    /// The reader was used after an error.
    #[error("the NAR reader stopped at an earlier error")]
    Stopped,
}

/// What comes next in the NAR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A regular file. Read its content from [`Reader::content`] before the next
    /// event; what is left unread is skipped.
    File {
        /// Whether the owner may execute it.
        executable: bool,
        /// Bytes of content announced. Not checked yet: allocate nothing by it.
        size: u64,
    },
    /// A symlink.
    Symlink {
        /// Its target, not resolved and possibly leading anywhere.
        target: Vec<u8>,
    },
    /// A directory begins; its entries follow, then [`Event::DirectoryEnd`].
    Directory,
    /// An entry of the open directory; its node is the next event.
    Entry {
        /// A single component: no slash, no NUL, not `.` or `..`.
        name: Vec<u8>,
    },
    /// The innermost open directory ends.
    DirectoryEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// A node is due: "(" comes next.
    Node,
    /// Inside "contents".
    Content {
        left: u64,
        size: u64,
    },
    /// A node has ended, its ")" read.
    AfterNode,
    /// Inside a directory, between entries.
    Entries,
    End,
    Stopped,
}

/// A NAR being read.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    offset: u64,
    state: State,
    /// The last entry's name in each open directory.
    open: Vec<Option<Vec<u8>>>,
}

impl<R: Read> Reader<R> {
    /// Reads a NAR from where `input` stands. Reads are small: give it a
    /// buffered source. Nothing behind the NAR is read.
    pub fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            state: State::Start,
            open: Vec::new(),
        }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next event; `None` once the NAR has ended in order.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        let result = self.advance();
        if result.is_err() {
            self.state = State::Stopped;
        }
        result
    }

    /// The content of the file that the last event announced; empty after any
    /// other event.
    pub fn content(&mut self) -> Content<'_, R> {
        Content { reader: self }
    }

    /// Checks that the NAR has been read to its end and that nothing follows.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn finish(mut self) -> Result<(), ReadError> {
        while self.next_event()?.is_some() {}
        let mut byte = [0];
        match read_some(&mut self.input, &mut byte) {
            Ok(0) => Ok(()),
            Ok(_) => Err(ReadError::TrailingData {
                offset: self.offset,
            }),
            Err(source) => Err(ReadError::Read {
                offset: self.offset,
                source,
            }),
        }
    }

    fn advance(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            match self.state {
                State::Start => {
                    self.expect(MAGIC, "\"nix-archive-1\"")?;
                    self.state = State::Node;
                }
                State::Node => return self.node().map(Some),
                State::Content { left, size } => self.end_content(left, size)?,
                State::AfterNode if self.open.is_empty() => self.state = State::End,
                State::AfterNode => {
                    self.expect(b")", "\")\" after an entry")?;
                    self.state = State::Entries;
                }
                State::Entries => return self.entry_or_end().map(Some),
                State::End => return Ok(None),
                State::Stopped => return Err(ReadError::Stopped),
            }
        }
    }

    fn node(&mut self) -> Result<Event, ReadError> {
        self.expect(b"(", "\"(\" before a node")?;
        self.expect(b"type", "\"type\"")?;
        let mut word = [0; MAX_WORD];
        match self.word(&mut word, "a node's type")? {
            b"regular" => self.file_header(),
            b"symlink" => {
                self.expect(b"target", "\"target\"")?;
                let target = self
                    .bounded(MAX_TARGET_LEN)?
                    .and_then(|target| check_target(&target).map(|()| target))
                    .map_err(|reason| ReadError::InvalidTarget { reason })?;
                self.expect(b")", "\")\" after a symlink")?;
                self.state = State::AfterNode;
                Ok(Event::Symlink { target })
            }
            b"directory" if self.open.len() >= MAX_DEPTH => Err(ReadError::TooDeep),
            b"directory" => {
                self.open.push(None);
                self.state = State::Entries;
                Ok(Event::Directory)
            }
            _ => Err(self.unexpected("\"regular\", \"symlink\" or \"directory\"")),
        }
    }

    fn file_header(&mut self) -> Result<Event, ReadError> {
        let mut word = [0; MAX_WORD];
        let executable = match self.word(&mut word, "\"executable\" or \"contents\"")? {
            b"contents" => false,
            b"executable" => {
                self.expect(b"", "an empty string after \"executable\"")?;
                self.expect(b"contents", "\"contents\"")?;
                true
            }
            _ => return Err(self.unexpected("\"executable\" or \"contents\"")),
        };
        let size = self.length()?;
        self.state = State::Content { left: size, size };
        Ok(Event::File { executable, size })
    }

    /// Skips what the caller did not read, and ends the file.
    fn end_content(&mut self, left: u64, size: u64) -> Result<(), ReadError> {
        let skipped =
            io::copy(&mut self.input.by_ref().take(left), &mut io::sink()).map_err(|source| {
                ReadError::Read {
                    offset: self.offset,
                    source,
                }
            })?;
        self.offset = self.offset.saturating_add(skipped);
        if skipped < left {
            return Err(self.early_end());
        }
        self.padding(size)?;
        self.expect(b")", "\")\" after a file")?;
        self.state = State::AfterNode;
        Ok(())
    }

    fn entry_or_end(&mut self) -> Result<Event, ReadError> {
        let mut word = [0; MAX_WORD];
        match self.word(&mut word, "\"entry\" or \")\"")? {
            b")" => {
                self.open.pop();
                self.state = State::AfterNode;
                return Ok(Event::DirectoryEnd);
            }
            b"entry" => {}
            _ => return Err(self.unexpected("\"entry\" or \")\"")),
        }
        self.expect(b"(", "\"(\" after \"entry\"")?;
        self.expect(b"name", "\"name\"")?;
        let name = self
            .bounded(MAX_NAME_LEN)?
            .map_err(|reason| ReadError::InvalidName {
                name: String::new(),
                reason,
            })?;
        check_entry_name(&name).map_err(|reason| ReadError::InvalidName {
            name: lossy(&name),
            reason,
        })?;
        if let Some(previous) = self.open.last_mut() {
            if let Some(previous) = previous
                .as_deref()
                .filter(|&previous| previous >= &name[..])
            {
                let (previous, name) = (lossy(previous), lossy(&name));
                return Err(ReadError::Unordered { previous, name });
            }
            *previous = Some(name.clone());
        }
        self.expect(b"node", "\"node\"")?;
        self.state = State::Node;
        Ok(Event::Entry { name })
    }

    /// Reads one of the format's words into `buffer`.
    fn word<'b>(
        &mut self,
        buffer: &'b mut [u8; MAX_WORD],
        expected: &'static str,
    ) -> Result<&'b [u8], ReadError> {
        let length = self.length()?;
        let Some(word) = usize::try_from(length)
            .ok()
            .and_then(|n| buffer.get_mut(..n))
        else {
            return Err(self.unexpected(expected));
        };
        self.fill(word)?;
        self.padding(length)?;
        Ok(word)
    }

    fn expect(&mut self, word: &[u8], expected: &'static str) -> Result<(), ReadError> {
        let mut buffer = [0; MAX_WORD];
        if self.word(&mut buffer, expected)? == word {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// Reads a string of at most `limit` bytes; the inner error says how long it
    /// claims to be.
    fn bounded(&mut self, limit: usize) -> Result<Result<Vec<u8>, NameProblem>, ReadError> {
        let length = self.length()?;
        let Some(size) = usize::try_from(length).ok().filter(|&size| size <= limit) else {
            return Ok(Err(NameProblem::TooLong(length)));
        };
        let mut bytes = vec![0; size];
        self.fill(&mut bytes)?;
        self.padding(length)?;
        Ok(Ok(bytes))
    }

    fn length(&mut self) -> Result<u64, ReadError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn padding(&mut self, length: u64) -> Result<(), ReadError> {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..padding(length)];
        self.fill(bytes)?;
        if bytes.iter().any(|&b| b != 0) {
            return Err(ReadError::Padding {
                offset: self.offset,
            });
        }
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.input
            .read_exact(buffer)
            .map_err(|source| ReadError::Read {
                offset: self.offset,
                source,
            })?;
        self.offset = self.offset.saturating_add(buffer.len() as u64);
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> ReadError {
        ReadError::Unexpected {
            offset: self.offset,
            expected,
        }
    }

    fn early_end(&self) -> ReadError {
        ReadError::Read {
            offset: self.offset,
            source: io::ErrorKind::UnexpectedEof.into(),
        }
    }
}

/// The content of one file. Reads to exactly the announced size, or fails with
/// `UnexpectedEof`.
#[derive(Debug)]
pub struct Content<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let State::Content { left, size } = self.reader.state else {
            return Ok(0);
        };
        let want = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let read = self.reader.input.read(&mut buffer[..want])?;
        if read == 0 {
            self.reader.state = State::Stopped;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.reader.offset = self.reader.offset.saturating_add(read as u64);
        self.reader.state = State::Content {
            left: left - read as u64,
            size,
        };
        Ok(read)
    }
}

fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
