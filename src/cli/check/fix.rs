//! `gatepost check --fix`: annotations that mean nothing to the service get names that say so.

use std::str::FromStr;

use cedar_policy::{PolicySet, SchemaFragment};
use serde_json::{Value, json};

use crate::cli::config::Settings;
use crate::cli::output::Failure;
use crate::cli::rewrite;
use crate::store::annotations::{OWN, Unknown, unknown_in};
use crate::store::{Origin, SourceFile, StoreError, StoreFiles};

/// An annotation that was renamed in a file.
pub(super) struct Renamed {
    file: String,
    key: String,
    count: usize,
}

impl Renamed {
    pub(super) fn in_words(&self) -> String {
        let Self { file, key, count } = self;
        let times = if *count == 1 { String::new() } else { format!(", {count} times") };
        format!("renamed `@{key}` to `@{OWN}{key}` in {file}{times}\n")
    }

    pub(super) fn as_json(&self) -> Value {
        json!({ "file": self.file, "from": self.key, "to": format!("{OWN}{}", self.key), "count": self.count })
    }
}

/// Renames every annotation that is not known and that no known one is like: of another, it is for the author to say which was meant.
///
/// # Errors
///
/// The files cannot be read or written.
pub(super) fn rename(settings: &Settings) -> Result<Vec<Renamed>, Failure> {
    let folder = rewrite::folder(settings, "mended")?;
    let files = StoreFiles::read(&Origin::Folder(folder.clone())).map_err(Failure::Store)?;
    let mut all = Vec::new();
    for (file, is_schema) in files
        .schema
        .iter()
        .map(|file| (file, true))
        .chain(files.policies.iter().chain(&files.matrix).map(|file| (file, false)))
    {
        // What does not parse is shown as it stands.
        if !parses(&file.text, is_schema) {
            continue;
        }
        let (text, renamed) = renamed(file);
        if renamed.is_empty() {
            continue;
        }
        if !parses(&text, is_schema) {
            let message =
                format!("`{}` cannot be mended: with `@{OWN}…` for its annotations it would have one twice", file.path);
            return Err(Failure::Store(StoreError::one(crate::store::Problem::error(message).in_file(file))));
        }
        rewrite::replace(&folder.join(&*file.path), &text)?;
        all.extend(renamed);
    }
    Ok(all)
}

fn parses(text: &str, is_schema: bool) -> bool {
    if is_schema { SchemaFragment::from_cedarschema_str(text).is_ok() } else { PolicySet::from_str(text).is_ok() }
}

/// The text of a file with its annotations renamed, and which were.
fn renamed(file: &SourceFile) -> (String, Vec<Renamed>) {
    let (mut text, mut copied, mut all) = (String::new(), 0, Vec::<Renamed>::new());
    for Unknown { key, start, .. } in unknown_in(file).into_iter().filter(|unknown| unknown.nearest.is_none()) {
        text.push_str(file.text.get(copied..start).unwrap_or_default());
        text.push_str(OWN);
        copied = start;
        match all.iter_mut().find(|renamed| renamed.key == key) {
            Some(renamed) => renamed.count += 1,
            None => all.push(Renamed { file: file.path.to_string(), key, count: 1 }),
        }
    }
    text.push_str(file.text.get(copied..).unwrap_or_default());
    (text, all)
}
