//! Reads a log line by line, packed or not, while it is being written or after.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::line::{Framed, Position, framed};
use super::segment::{self, Forms, SegmentReader, plain_name};
use super::start::is_being_written;

/// The lines of a log, from the oldest to the newest. Their form is looked at, their chain is not.
pub struct Lines {
    folder: PathBuf,
    segments: VecDeque<(u64, Forms)>,
    current: Option<(SegmentReader, String)>,
    /// Whether the last line of the last file may be being written.
    grows: bool,
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'l> {
    /// The name of the file.
    pub file: &'l str,
    /// The number of the line in this file, from 1.
    pub number: u64,
    /// Its number in the log, and its chain.
    pub position: Position,
    /// Its type: `decision`, or what the log says of itself (see [`Note`](super::Note)).
    pub kind: &'l str,
    /// All of the line: a JSON object.
    pub bytes: &'l [u8],
}

/// Why a log, or a line of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no log.
    #[error("`{}` is no decision log: it holds no segments (`0000000001.jsonl`)", .0.display())]
    NoLog(PathBuf),
    /// A file cannot be read, or not to its end.
    #[error("`{file}` cannot be read: {error}")]
    Io {
        /// The name of the file.
        file: String,
        /// Why it cannot.
        error: io::Error,
    },
    /// What stands there is no line of a log. The next call gives the line after it.
    #[error("line {number} of `{file}` is no line of a log")]
    NoLine {
        /// The name of the file.
        file: String,
        /// The number of the line.
        number: u64,
    },
}

impl Lines {
    /// Opens a log: its folder, or one of its segments.
    ///
    /// # Errors
    ///
    /// A folder without segments, and what cannot be read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |error| ReadError::Io { file: path.display().to_string(), error };
        if path.is_dir() {
            let segments: VecDeque<_> = segment::list(path).map_err(failed)?.into_iter().collect();
            if segments.is_empty() {
                return Err(ReadError::NoLog(path.to_owned()));
            }
            return Ok(Self { folder: path.to_owned(), segments, current: None, grows: is_being_written(path) });
        }
        let reader = SegmentReader::open(path).map_err(failed)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let grows = path.parent().is_some_and(|folder| is_being_written(folder) && is_last(folder, &name));
        Ok(Self { folder: PathBuf::new(), segments: VecDeque::new(), current: Some((reader, name)), grows })
    }

    /// The next line; `None` at the end. A line that is being written is none yet.
    ///
    /// # Errors
    ///
    /// What is no line, after which the next one follows; and a file that cannot be read, after which the next file
    /// follows. A segment that was removed since the log was opened, because it and those before it had become old, is
    /// passed over: the numbers of the lines tell.
    #[expect(
        clippy::should_implement_trait,
        reason = "a line borrows from its reader, which `Iterator` does not allow"
    )]
    pub fn next(&mut self) -> Option<Result<Line<'_>, ReadError>> {
        loop {
            let (reader, file) = match &mut self.current {
                Some(current) => current,
                None => {
                    let (number, forms) = self.segments.pop_front()?;
                    match self.open_segment(number, forms) {
                        Ok(Some(opened)) => self.current.insert(opened),
                        Ok(None) => continue,
                        Err(error) => return Some(Err(ReadError::Io { file: forms.name(number), error })),
                    }
                }
            };
            match reader.advance() {
                Err(error) => {
                    let file = file.clone();
                    self.current = None;
                    return Some(Err(ReadError::Io { file, error }));
                }
                Ok(false) => self.current = None,
                Ok(true) if !reader.line().complete && self.segments.is_empty() && self.grows => self.current = None,
                Ok(true) => break,
            }
        }
        let (reader, file) = self.current.as_ref()?;
        let (number, line) = (reader.number, reader.line());
        let Some(Framed { position, kind, .. }) = framed(line.bytes).filter(|_| line.complete) else {
            return Some(Err(ReadError::NoLine { file: file.clone(), number }));
        };
        Some(Ok(Line { file, number, position, kind, bytes: line.bytes }))
    }
}

impl Lines {
    /// A segment; `None` where it was removed with those before it since the log was opened, as old ones are.
    fn open_segment(&self, number: u64, forms: Forms) -> io::Result<Option<(SegmentReader, String)>> {
        match SegmentReader::open_segment(&self.folder, number, forms) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let now = segment::list(&self.folder)?;
                match (now.get(&number), now.keys().next()) {
                    // It was packed meanwhile.
                    (Some(forms), _) => SegmentReader::open_segment(&self.folder, number, *forms).map(Some),
                    (None, Some(first)) if *first > number => Ok(None),
                    _ => Err(error),
                }
            }
            opened => opened.map(Some),
        }
    }
}

/// Whether the file of that name is the last segment in a folder.
fn is_last(folder: &Path, name: &str) -> bool {
    // What is in the working folder has no other name for it.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let segments = segment::list(folder).unwrap_or_default();
    segments.keys().next_back().is_some_and(|last| plain_name(*last) == name)
}
