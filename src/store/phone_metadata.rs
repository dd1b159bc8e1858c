//! The metadata of phone numbers that a store is read with, where they come from a file.

use std::io::Read;
use std::path::Path;

use super::problem::{Problem, SourceFile};
use crate::plugin::PhoneMetadata;

const HELP: &str = "name a file in the format of libphonenumber's `PhoneNumberMetadata.xml`, as `scripts/phone-metadata VERSION > FILE` \
                    writes it; without `--phone-metadata`, what is compiled in is read";

/// Reads the file as it is; what is in it is not looked at.
///
/// # Errors
///
/// What cannot be read, is no regular file, is larger than any such file, or is not UTF-8.
pub(super) fn file(path: &Path) -> Result<SourceFile, Problem> {
    let shown = path.display().to_string();
    let wrong =
        |why: &str| Problem::error(format!("the phone metadata in `{shown}` cannot be read: {why}")).with_help(HELP);
    let of_system = |error: std::io::Error| wrong(&error.to_string());
    let mut bytes = Vec::new();
    let file = crate::regular::open(path).map_err(of_system)?;
    file.take(PhoneMetadata::MOST_BYTES + 1).read_to_end(&mut bytes).map_err(of_system)?;
    if bytes.len() as u64 > PhoneMetadata::MOST_BYTES {
        return Err(wrong(&format!(
            "it has more than {} MiB, and such files have one",
            PhoneMetadata::MOST_BYTES >> 20
        )));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(SourceFile { path: shown.as_str().into(), text: text.into() })
}

/// The metadata in the file.
///
/// # Errors
///
/// The first mistake in it, where it stands.
pub(super) fn read(file: &SourceFile) -> Result<PhoneMetadata, Problem> {
    PhoneMetadata::read(&file.text).map_err(|error| {
        let problem = Problem::error(format!("`{}` holds no phone metadata: {error}", file.path)).with_help(HELP);
        match error.place.is_empty() && error.place.start == 0 {
            true => problem,
            false => problem.in_file(file).at(error.place.into(), ""),
        }
    })
}
