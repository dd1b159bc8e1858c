//! `gatepost check --fix`: annotations that mean nothing to the service get names that say so.

use serde_json::{Value, json};

use crate::cli::config::Settings;
use crate::cli::output::Failure;
use crate::cli::rewrite;
use crate::store::annotations::{OWN, Unknown, unknown_in};
use crate::store::{Origin, Problem, SourceFile, StoreFiles, parses};

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
/// The files cannot be read or written. Unless all can be mended, none is written.
pub(super) fn rename(settings: &Settings) -> Result<Vec<Renamed>, Failure> {
    let folder = rewrite::folder(settings, "mended")?;
    let files = StoreFiles::read(&Origin::Folder(folder.clone())).map_err(Failure::Store)?;
    let mut mended = Vec::new();
    let schemas = files.schema.iter().map(|file| (file, true));
    for (file, is_schema) in schemas.chain(files.policies.iter().chain(&files.matrix).map(|file| (file, false))) {
        // What does not parse is shown as it stands.
        if parses(file, is_schema) {
            mended.extend(mend(file, is_schema)?);
        }
    }
    let mut all = Vec::new();
    for (file, renamed) in mended {
        rewrite::replace(&folder.join(&*file.path), &file.text).map_err(|failure| with_done(failure, &all))?;
        all.extend(renamed);
    }
    Ok(all)
}

/// The file with its annotations renamed, and which were; `None` where none has to be.
fn mend(file: &SourceFile, is_schema: bool) -> Result<Option<(SourceFile, Vec<Renamed>)>, Failure> {
    let (text, renamed) = renamed(file);
    if renamed.is_empty() {
        return Ok(None);
    }
    let mended = SourceFile { text: text.into(), ..file.clone() };
    if !parses(&mended, is_schema) {
        let message = format!("with `@{OWN}…` for its annotations, `{}` would have one twice", file.path);
        let problem = Problem::error(message).in_file(file).with_help("rename them yourself; no file was changed");
        return Err(Failure::from(problem));
    }
    Ok(Some((mended, renamed)))
}

/// The failure, and what was done before it.
fn with_done(failure: Failure, done: &[Renamed]) -> Failure {
    let done: String = done.iter().map(Renamed::in_words).collect();
    if done.is_empty() { failure } else { failure.with_help(done.trim_end()) }
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
