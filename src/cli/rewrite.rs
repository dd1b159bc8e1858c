//! Rewriting the files of a store.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::config::Settings;
use super::output::Failure;
use crate::store::{SourceFile, plain};

/// The store that is named, or the current folder if it is one; `what` cannot be done to the built-in one.
///
/// # Errors
///
/// There is no such folder.
pub(super) fn folder(settings: &Settings, what: &str) -> Result<PathBuf, Failure> {
    match &settings.store {
        Some(store) => Ok(store.clone()),
        None if Path::new("policies").is_dir() && Path::new("schema").is_dir() => Ok(PathBuf::from(".")),
        None => Err(Failure::new(format!("the current folder is no store, and the built-in store cannot be {what}"))
            .with_help("name a folder: `--store DIR`")),
    }
}

/// Begins a file where an editor says that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The line ends of a text that takes the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// Each line keeps its own: there are as many as there were.
    Kept,
    /// All are like the first.
    LikeFirst,
}

/// A file of a store as it is to be.
pub(super) struct Renewed {
    path: PathBuf,
    content: Vec<u8>,
}

/// A file of a store with another text, the line ends that it has, and a byte order mark where it has one; `None` where it is so already.
///
/// # Errors
///
/// The file cannot be read, or says something else than when the store was read.
pub(super) fn renewed(
    folder: &Path,
    file: &SourceFile,
    text: &str,
    ends: LineEnds,
) -> Result<Option<Renewed>, Failure> {
    let path = folder.join(&*file.path);
    let old =
        std::fs::read(&path).map_err(|error| Failure::new(format!("`{}` cannot be read: {error}", path.display())))?;
    if std::str::from_utf8(&old).map(plain).as_deref() != Ok(&*file.text) {
        return Err(Failure::new(format!("`{}` was changed just now; it is left as it is", path.display())));
    }
    let content = renewed_content(&old, text, ends);
    Ok((content != old).then_some(Renewed { path, content }))
}

fn renewed_content(old: &[u8], text: &str, ends: LineEnds) -> Vec<u8> {
    let had_return: Vec<bool> =
        old.split_inclusive(|byte| *byte == b'\n').map(|line| line.ends_with(b"\r\n")).collect();
    let first = had_return.first().copied().unwrap_or_default();
    let mut new = if old.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.to_vec() } else { Vec::new() };
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let own = had_return.get(at).copied().filter(|_| ends == LineEnds::Kept);
        match line.strip_suffix('\n').filter(|_| own.unwrap_or(first)) {
            Some(line) => new.extend([line.as_bytes(), b"\r\n"].concat()),
            None => new.extend(line.as_bytes()),
        }
    }
    new
}

impl Renewed {
    /// Puts the new file in the place of the old one, whole or not at all; where that is a link, in the place of what it names.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let put = || {
            let path = self.path.canonicalize()?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // A name that no reader of the store takes for a policy.
            let beside = path.with_file_name(format!(".{name}.new"));
            let permissions = std::fs::metadata(&path)?.permissions();
            let mut file = std::fs::File::create(&beside)?;
            file.write_all(&self.content)?;
            file.set_permissions(permissions)?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        };
        put().map_err(|error| Failure::new(format!("`{}` cannot be written: {error}", self.path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_since_it_was_read_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.cedar");
        let file = SourceFile { path: "a.cedar".into(), text: "// a\n".into() };
        let renewed = |text| renewed(folder.path(), &file, text, LineEnds::LikeFirst);
        std::fs::write(&path, "\u{feff}// a\r\n").unwrap();
        assert!(renewed("// a\n").unwrap().is_none());
        renewed("// b\n").unwrap().unwrap().write().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\u{feff}// b\r\n");
        assert!(renewed("// c\n").is_err_and(|failure| failure.to_string().contains("was changed just now")));
        std::fs::remove_file(&path).unwrap();
        assert!(renewed("// c\n").is_err_and(|failure| failure.to_string().contains("cannot be read")));
    }
}
