//! Opening files by name: regular ones, and nothing else. A named pipe would be waited for, and a device may have no end.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file to read it.
///
/// # Errors
///
/// As for [`open_with`].
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a regular file with these options.
///
/// # Errors
///
/// What the operating system says; and that something else than a regular file is found there, which is never waited for.
pub fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // Without this, a named pipe that nobody has opened on its other side would be waited for. To a regular file it means nothing.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NONBLOCK);
    let opened = options.open(path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, file)) => other_kind(&metadata).map_or(Ok(file), |kind| Err(refused(kind))),
        // A pipe without readers cannot be opened to be written, and a socket not at all: that says less than what they are.
        Err(error) => Err(std::fs::metadata(path).ok().and_then(|found| other_kind(&found)).map_or(error, refused)),
    }
}

/// What is in a regular file.
///
/// # Errors
///
/// As for [`open`], and that it cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same, as text.
///
/// # Errors
///
/// As for [`read`], and that it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn refused(kind: &str) -> io::Error {
    io::Error::other(format!("it is {kind}, and no regular file"))
}

/// What it is, if it is no regular file.
fn other_kind(found: &Metadata) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        if kind.is_fifo() {
            return Some("a named pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    match (found.is_file(), found.is_dir()) {
        (true, _) => None,
        (false, true) => Some("a folder"),
        (false, false) => Some("something else"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::path::{Path, PathBuf};

    use super::{open_with, read, read_to_string};

    /// "Opening anything but regular files is refused"
    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("pipe"), at("link")).unwrap();
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("to-file")).unwrap();
        for (path, kind) in [
            (at("pipe"), "a named pipe"),
            (at("link"), "a named pipe"),
            (at("socket"), "a socket"),
            (PathBuf::from("/dev/zero"), "a device"),
            (folder.path().to_owned(), "a folder"),
        ] {
            let expected = format!("it is {kind}, and no regular file");
            assert_eq!(read(&path).unwrap_err().to_string(), expected);
            let written = open_with(OpenOptions::new().write(true).create(true), &path);
            assert_eq!(written.unwrap_err().to_string(), expected);
        }
        assert_eq!(read_to_string(&at("to-file")).unwrap(), "text");
        assert_eq!(read(&at("none")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }

    /// Each file is opened by these functions, but for those of which the reader may say what is read: the request of `decide`, which
    /// may come through a pipe, and what the operating system itself says in `/proc`. Folders are opened to be synced.
    #[test]
    fn nothing_else_opens_files() {
        let mut found = Vec::new();
        look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let expected = [
            "cli/config.rs: std::fs::read_to_string(\"/proc/self/limits\")",
            "cli/decide.rs: std::fs::File::open(&arguments.file)",
            "http/metrics.rs: std::fs::read_to_string(\"/proc/self/status\")",
            "log/segment.rs: File::open(folder)?.sync_all()",
        ];
        found.sort();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected.split_once(": ").unwrap().1), "{found}, and not {expected}");
        }
    }

    fn look(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
                continue;
            }
            // `fmt` writes what it has read before.
            if path.ends_with("src/regular.rs") || path.ends_with("src/cli/rewrite.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let by_name = [
                "fs::read(",
                "fs::read_to_string(",
                "pem_file_iter(",
                "from_pem_file(",
                "File::open(",
                "options.open(",
                ").open(",
            ];
            let opens = |line: &&str| {
                let is_own = line.contains("regular::") || line.contains("HeadFile::open(");
                !is_own && by_name.iter().any(|name| line.contains(name))
            };
            let lines = code.lines().filter(opens);
            found.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
}
