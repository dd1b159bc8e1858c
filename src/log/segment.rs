//! The files of a log: their names, and reading one line after the other, packed or not.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::line::{MOST, Position, framed};
use super::note::Note;
use crate::regular;

/// The ending of a file that is being packed.
pub(super) const UNFINISHED: &str = ".gz.tmp";

const PLAIN: &str = ".jsonl";
const PACKED: &str = ".jsonl.gz";

/// The longest line that is read, in bytes: what is longer is no line of a log.
const LONGEST_LINE: u64 = 1 << 30;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// As which files a segment is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forms {
    pub(super) plain: bool,
    pub(super) packed: bool,
}

/// The name of a segment that is not packed.
pub(super) fn plain_name(number: u64) -> String {
    format!("{number:010}{PLAIN}")
}

/// The name of a packed segment.
pub(super) fn packed_name(number: u64) -> String {
    format!("{number:010}{PACKED}")
}

impl Forms {
    /// The name of the file to read: the plain one is there only while it may still be needed.
    pub(super) fn name(self, number: u64) -> String {
        if self.plain { plain_name(number) } else { packed_name(number) }
    }
}

/// The segments in a folder, by their numbers.
pub(super) fn list(folder: &Path) -> io::Result<BTreeMap<u64, Forms>> {
    let mut segments = BTreeMap::<u64, Forms>::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(number) = name.split('.').next().and_then(|digits| digits.parse().ok()) else { continue };
        if !(1..=MOST).contains(&number) {
            continue;
        }
        let forms = segments.entry(number).or_default();
        forms.plain |= name == plain_name(number);
        forms.packed |= name == packed_name(number);
    }
    segments.retain(|_, forms| forms.plain || forms.packed);
    Ok(segments)
}

/// What a packed file holds. It was packed at once: whatever comes after that is an error.
pub(super) struct Unpacked(GzDecoder<BufReader<File>>);

impl Unpacked {
    pub(super) fn new(file: File) -> Self {
        Self(GzDecoder::new(BufReader::with_capacity(BUFFER, file)))
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        if read == 0 && !buffer.is_empty() && !self.0.get_mut().fill_buf()?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "something was added to it"));
        }
        Ok(read)
    }
}

/// Reads the lines of one segment.
pub(super) struct SegmentReader {
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    complete: bool,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
}

/// A line as it stands in a file, without its line break.
pub(super) struct RawLine<'l> {
    pub(super) bytes: &'l [u8],
    /// Whether it has a line break.
    pub(super) complete: bool,
}

impl SegmentReader {
    /// Opens a file; it is packed if its name says so.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = regular::open(path)?;
        let packed = path.extension().is_some_and(|extension| extension == "gz");
        let reader: Box<dyn BufRead + Send> = if packed {
            Box::new(BufReader::with_capacity(BUFFER, Unpacked::new(file)))
        } else {
            Box::new(BufReader::with_capacity(BUFFER, file))
        };
        Ok(Self { reader, buffer: Vec::new(), complete: false, number: 0 })
    }

    /// The same for a segment that may be packed at this moment: its name is then another.
    pub(super) fn open_segment(folder: &Path, number: u64, forms: Forms) -> io::Result<(Self, String)> {
        let name = forms.name(number);
        match Self::open(&folder.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && forms.plain => {
                let name = packed_name(number);
                Ok((Self::open(&folder.join(&name))?, name))
            }
            opened => Ok((opened?, name)),
        }
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        Ok(if self.advance()? { Some(self.line()) } else { None })
    }

    /// Goes to the next line, if there is one.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        if (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.complete = self.buffer.pop_if(|byte| *byte == b'\n').is_some();
        if !self.complete && self.buffer.len() as u64 == LONGEST_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 1 GiB"));
        }
        Ok(true)
    }

    /// The line that was gone to last.
    pub(super) fn line(&self) -> RawLine<'_> {
        RawLine { bytes: &self.buffer, complete: self.complete }
    }
}

/// What a segment's first line says: the last line before it, and when it was opened; `None` if the segment begins
/// otherwise.
pub(super) fn opening(path: &Path) -> io::Result<Option<(Position, String)>> {
    let mut reader = SegmentReader::open(path)?;
    let Some(line) = reader.next()?.filter(|line| line.complete && framed(line.bytes).is_some()) else {
        return Ok(None);
    };
    Ok(match Note::read(line.bytes) {
        Some(Note::Opened { previous_sequence, previous_chain, time, .. }) => {
            Some((Position { sequence: previous_sequence, chain: previous_chain }, time))
        }
        _ => None,
    })
}

/// Options to open a file with, which nobody but the service's own user may read if it is made.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder into which nobody but the service's own user may look. One that is there stays as it is.
pub(super) fn make_private_folder(folder: &Path) -> io::Result<()> {
    // Others may need the folders above it.
    folder.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
}

/// Waits until the names in a folder are on disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The path of a segment that is not packed.
pub(super) fn plain_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(plain_name(number))
}

/// Whether it is this file that is found by that name. It takes no file to tell, where there may be none left to open.
pub(super) fn is_found(file: &File, path: &Path) -> bool {
    let both = fs::metadata(path).and_then(|found| Ok((found, file.metadata()?)));
    both.is_ok_and(|(found, file)| is_same(&found, &file))
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// An open file keeps its name here.
#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}
