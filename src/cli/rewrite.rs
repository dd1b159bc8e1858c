//! Rewriting the files of a store.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::config::Settings;
use super::output::Failure;

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

/// Puts a new file in the place of the old one, whole or not at all; where that is a link, in the place of what it names. A byte order mark
/// stays.
///
/// # Errors
///
/// The file cannot be written.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let put = || {
        let path = path.canonicalize()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A name that no reader of the store takes for a policy.
        let beside = path.with_file_name(format!(".{name}.new"));
        let permissions = std::fs::metadata(&path)?.permissions();
        let has_mark = std::fs::read(&path)?.starts_with(BYTE_ORDER_MARK);
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(if has_mark { BYTE_ORDER_MARK } else { &[] })?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(permissions)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    put().map_err(|error| Failure::new(format!("`{}` cannot be written: {error}", path.display())))
}
