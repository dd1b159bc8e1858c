//! The files of a store, from a folder or compiled into the binary.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use super::git::{Blob, Commit};
use super::policy::Statement;
use super::problem::{Problem, Severity, SourceFile, StoreError};
use super::signature;
use crate::regular;

/// The folders of a store, and the endings of the files that are read in them.
const FOLDERS: [(&str, &str); 5] =
    [("schema", "cedarschema"), ("policies", "cedar"), ("matrix", "cedar"), ("entities", "json"), (TO_TRY, "json")];

/// The folder of the requests to try, which decide nothing.
const TO_TRY: &str = "requests";

/// The clauses of the source document.
const CLAUSES: &str = "matrix/clauses.toml";

static SCHEMA: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/schema");
static POLICIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies");
static MATRIX: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/matrix");
static REQUESTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/requests");

/// Where a store comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The store that is compiled into the binary.
    BuiltIn,
    /// A folder.
    Folder(PathBuf),
    /// A folder in a git commit.
    Commit(Commit),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn => formatter.write_str("the built-in store"),
            Self::Folder(path) => write!(formatter, "{}", path.display()),
            Self::Commit(commit) => write!(formatter, "{commit}"),
        }
    }
}

/// The mode of a service that refuses what it would else drop.
pub const REFUSES_UNREAD: (&str, &str) = ("unknown-attributes", "deny");

/// Every file of a store, each list in the order of the paths.
#[derive(Clone, Debug, Default)]
pub struct StoreFiles {
    /// `schema/*.cedarschema`
    pub schema: Vec<SourceFile>,
    /// `policies/*.cedar`
    pub policies: Vec<SourceFile>,
    /// `matrix/*.cedar`
    pub matrix: Vec<SourceFile>,
    /// `matrix/clauses.toml`
    pub clauses: Option<SourceFile>,
    /// `entities/*.json`
    pub entities: Vec<SourceFile>,
    /// Stored entities that lie elsewhere
    pub further_entities: Vec<SourceFile>,
    /// The metadata of phone numbers, where they are not those that are compiled in
    pub phone_metadata: Option<SourceFile>,
    /// `requests/*.json`: requests to try, which decide nothing
    pub requests: Vec<SourceFile>,
    /// A warning for each request to try that cannot be read
    pub unread: Vec<Problem>,
    /// `gatepost.sig`: the signature of all that decides
    pub signature: Option<SourceFile>,
    /// The settings of the service that change decisions, each with its value: `unknown-attributes`, `deny`
    pub modes: Vec<(&'static str, &'static str)>,
}

impl StoreFiles {
    /// Reads every file once; what is checked later is the very text that was read here.
    ///
    /// # Errors
    ///
    /// A folder that does not exist or holds no schema or no policies, a file that cannot be read or is not UTF-8.
    pub fn read(origin: &Origin) -> Result<Self, StoreError> {
        let (texts, mut problems) = match origin {
            Origin::BuiltIn => read_built_in(),
            Origin::Folder(folder) if folder.is_dir() => read_folder(folder),
            Origin::Folder(folder) => {
                return Err(StoreError::one(
                    Problem::error(format!("there is no folder `{}`", folder.display()))
                        .with_help("`gatepost init DIR` makes a new store"),
                ));
            }
            Origin::Commit(commit) => read_commit(commit).map_err(StoreError::one)?,
        };
        let mut files = Self::default();
        for file in texts {
            files.sort_in(file);
        }
        for (name, found) in [("schema/*.cedarschema", &files.schema), ("policies/*.cedar", &files.policies)] {
            if found.is_empty() && !has_errors(&problems) {
                problems.push(
                    Problem::error(format!("{origin} holds no file `{name}`"))
                        .with_help("a store has at least a schema and policies; `gatepost init DIR` makes a new one"),
                );
            }
        }
        if has_errors(&problems) {
            return Err(StoreError(problems));
        }
        files.unread = problems;
        Ok(files)
    }

    /// Every file of the store itself that can change a decision or the matrix.
    pub fn deciding(&self) -> impl Iterator<Item = &SourceFile> {
        let lists = [&self.schema, &self.policies, &self.matrix, &self.entities];
        lists.into_iter().flatten().chain(&self.clauses)
    }

    /// Every file of the store that decides, by its path, and whether it has nothing in it: no policy or row, no declaration, no entity.
    pub(super) fn inventory(&self, policies: &[Statement], rows: &[Statement]) -> BTreeMap<Arc<str>, bool> {
        let with_statements: BTreeSet<&str> =
            policies.iter().chain(rows).map(|statement| &*statement.file.path).collect();
        let is_cedar = |file: &SourceFile| file.path.ends_with(".cedar");
        let is_empty = |file: &SourceFile| match is_cedar(file) {
            true => !with_statements.contains(&*file.path),
            false => says_nothing(&file.text),
        };
        let files = self.deciding().chain(&self.further_entities);
        files.map(|file| (Arc::clone(&file.path), is_empty(file))).collect()
    }

    /// Reads further files of stored entities.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not UTF-8.
    pub fn add_entities(&mut self, paths: &[PathBuf]) -> Result<(), StoreError> {
        let mut problems = Vec::new();
        for path in paths {
            let shown = path.display().to_string();
            match regular::read(path).map_err(|error| not_read(&shown, error)).and_then(|bytes| text(shown, bytes)) {
                Ok(file) => self.further_entities.push(file),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(StoreError(problems)) }
    }

    /// The files of stored entities, which are no longer here then.
    pub fn take_entities(&mut self) -> Vec<SourceFile> {
        [std::mem::take(&mut self.entities), std::mem::take(&mut self.further_entities)].concat()
    }

    fn sort_in(&mut self, file: SourceFile) {
        match file.path.split('/').next() {
            _ if &*file.path == CLAUSES => self.clauses = Some(file),
            _ if &*file.path == signature::FILE => self.signature = Some(file),
            Some("schema") => self.schema.push(file),
            Some("policies") => self.policies.push(file),
            Some("matrix") => self.matrix.push(file),
            Some("entities") => self.entities.push(file),
            _ => self.requests.push(file),
        }
    }
}

/// Whether a text is only comments and space, or an array without elements.
fn says_nothing(text: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('#'));
    let rest: String = lines.flat_map(str::chars).filter(|character| !character.is_whitespace()).collect();
    rest.is_empty() || rest == "[]"
}

fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

#[expect(clippy::expect_used, reason = "a file that is left out could be a forbid")]
fn read_built_in() -> (Vec<SourceFile>, Vec<Problem>) {
    let mut files: Vec<_> = [("schema", &SCHEMA), ("policies", &POLICIES), ("matrix", &MATRIX), (TO_TRY, &REQUESTS)]
        .into_iter()
        .flat_map(|(folder, dir)| dir.files().map(move |file| (folder, file)))
        .map(|(folder, file)| {
            let path = format!("{folder}/{}", file.path().display());
            let text =
                file.contents_utf8().expect("what is compiled in is text: a build with other files does not start");
            SourceFile { path: path.into(), text: text.into() }
        })
        .collect();
    files.sort_by(|left, right| left.path.cmp(&right.path));
    (files, Vec::new())
}

fn read_folder(root: &Path) -> (Vec<SourceFile>, Vec<Problem>) {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths(root, &mut problems) {
        let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let read = regular::read(&path).map_err(|error| not_read(&shown, error));
        take(shown, read, &mut files, &mut problems);
    }
    (files, problems)
}

/// The same of a commit.
fn read_commit(commit: &Commit) -> Result<(Vec<SourceFile>, Vec<Problem>), Problem> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for blob in commit.files()? {
        if !is_wanted(&blob, &mut problems) {
            continue;
        }
        let read = commit.content(&blob).map_err(|why| not_read(&blob.path, why));
        take(blob.path, read, &mut files, &mut problems);
    }
    // A folder in it is named once for each of its files.
    problems.dedup_by(|left, right| left.message == right.message);
    Ok((files, problems))
}

/// Whether a file of a commit is read.
fn is_wanted(blob: &Blob, problems: &mut Vec<Problem>) -> bool {
    if blob.path == CLAUSES || blob.path == signature::FILE {
        if !blob.is_plain {
            problems.push(not_read(&blob.path, "it is no file, or a link that leads nowhere"));
        }
        return blob.is_plain;
    }
    let Some((folder, file)) = blob.path.split_once('/') else {
        if FOLDERS.iter().any(|(name, _)| *name == blob.path) {
            problems.push(no_folder(&blob.path));
        }
        return false;
    };
    let Some((folder, ending)) = FOLDERS.into_iter().find(|(name, _)| *name == folder) else {
        problems.extend(near_name(folder));
        return false;
    };
    let (file, is_folder) = file.split_once('/').map_or((file, false), |(inner, _)| (inner, true));
    if !is_folder && !blob.is_plain && !is_plainly_no_part(file) {
        let why = "it is a link that leads out of the revision, or nowhere, or a repository of its own";
        problems.push(Problem { severity: severity_in(folder), ..not_read(&blob.path, why) });
        return false;
    }
    is_part(folder, ending, file, is_folder, problems)
}

/// Takes a file of a store, or what keeps it from being read.
fn take(path: String, read: Result<Vec<u8>, Problem>, files: &mut Vec<SourceFile>, problems: &mut Vec<Problem>) {
    let severity = severity_in(path.split('/').next().unwrap_or_default());
    match read.and_then(|bytes| text(path, bytes)) {
        Ok(file) => files.push(file),
        Err(problem) => problems.push(Problem { severity, ..problem }),
    }
}

/// How bad it is that something in a folder cannot be read: a request to try must not keep out what decides.
fn severity_in(folder: &str) -> Severity {
    if folder == TO_TRY { Severity::Warning } else { Severity::Error }
}

fn not_read(path: &str, why: impl std::fmt::Display) -> Problem {
    Problem::error(format!("`{path}` cannot be read: {why}"))
}

fn text(path: String, bytes: Vec<u8>) -> Result<SourceFile, Problem> {
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(
            Problem::error(format!("`{path}` is not UTF-8 text")).with_help("save the file in the encoding UTF-8")
        );
    };
    Ok(SourceFile { path: path.into(), text: plain(&text).into() })
}

/// A text without what only says where it was written: a byte order mark, which some editors put before it, and the line ends of Windows.
/// Cedar knows neither: what is checked out with them would be refused, or would be another revision.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains("\r\n") { text.replace("\r\n", "\n").into() } else { text.into() }
}

/// The paths of the store's files, sorted.
fn paths(root: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (name, ending) in FOLDERS {
        let folder = root.join(name);
        if !folder.is_dir() {
            // A link that leads nowhere is there too.
            if folder.symlink_metadata().is_ok() {
                problems.push(Problem { severity: severity_in(name), ..no_folder(name) });
            }
            continue;
        }
        let mut entries = match std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(Problem { severity: severity_in(name), ..not_read(name, error) });
                continue;
            }
        };
        entries.sort_by_key(std::fs::DirEntry::path);
        let found = entries.iter().map(std::fs::DirEntry::path);
        paths.extend(found.filter(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            is_part(name, ending, &file, path.is_dir(), problems)
        }));
    }
    for name in [CLAUSES, signature::FILE] {
        let path = root.join(name);
        match (path.is_file(), path.symlink_metadata().is_ok()) {
            (true, _) => paths.push(path),
            (false, true) => problems.push(not_read(name, "it is no file, or a link that leads nowhere")),
            (false, false) => {}
        }
    }
    let beside = std::fs::read_dir(root).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
    let mut near: Vec<Problem> = beside.filter_map(|entry| near_name(&entry.file_name().to_string_lossy())).collect();
    near.sort_by(|left, right| left.message.cmp(&right.message));
    problems.extend(near);
    paths.sort();
    paths
}

fn no_folder(name: &str) -> Problem {
    Problem::error(format!("`{name}` cannot be read: it is no folder, or a link that leads nowhere"))
        .with_help(format!("`{name}` is a folder of a store; take away what has its name"))
}

/// A warning of a folder beside those of a store whose name is nearly that of one: nothing in it is read.
fn near_name(found: &str) -> Option<Problem> {
    let lower = found.to_lowercase();
    // One or two letters are wrong, or another ending stands there: `policy`.
    let is_near = |name: &&str| {
        let begins_alike = name.get(..5).is_some_and(|start| lower.starts_with(start));
        found != *name && (begins_alike || strsim::damerau_levenshtein(&lower, name) <= 2)
    };
    let near = FOLDERS.iter().map(|(name, _)| *name).find(is_near)?;
    let problem = Problem::warning(format!("nothing in the folder `{found}` is read"));
    Some(problem.with_help(format!("did you mean `{near}`?")))
}

/// Every path below a folder of a store whose change can change what decides: the files that decide, and those that would be an
/// error.
pub(crate) fn watched_paths(root: &Path) -> Vec<PathBuf> {
    let mut paths = vec![root.join(signature::FILE)];
    for (folder, ending) in FOLDERS {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten().map(|entry| entry.path());
        paths.extend(entries.filter(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            !is_plainly_no_part(&file) && !is_to_try(folder, ending, path)
        }));
    }
    paths.sort();
    paths
}

fn is_to_try(folder: &str, ending: &str, path: &Path) -> bool {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let is_read = path.extension().is_some_and(|found| found == ending);
    folder == TO_TRY && !path.is_dir() && (is_read || !has_known_ending(&file))
}

/// Whether a file has the ending of one that is read somewhere in a store.
fn has_known_ending(file: &str) -> bool {
    let found = Path::new(file).extension().unwrap_or_default();
    FOLDERS.iter().any(|(_, ending)| found.eq_ignore_ascii_case(ending))
}

/// Whether a file in a folder of the store is read. What is plainly no part of it is passed over; anything else that would not be read is
/// a problem, because it may be a `forbid`.
fn is_part(folder: &str, ending: &str, file: &str, is_folder: bool, problems: &mut Vec<Problem>) -> bool {
    // A folder is only passed over where its name hides it: what else is in one may be a policy.
    if is_plainly_no_part(file) && (!is_folder || file.starts_with('.')) {
        problems.extend(hidden(folder, ending, file).filter(|_| !is_folder));
        return false;
    }
    let found = Path::new(file).extension().unwrap_or_default().to_string_lossy();
    let is_part = !is_folder && found == ending;
    let is_other_file = format!("{folder}/{file}") == CLAUSES || (folder == TO_TRY && !has_known_ending(file));
    if is_folder || !(is_part || is_other_file) {
        let help =
            format!("in `{folder}` the files `*.{ending}` are read, and no folders; a README may stand there too");
        problems.push(Problem::error(format!("`{folder}/{file}` would not be read")).with_help(help));
    }
    is_part
}

/// A warning of a hidden file with the ending of those that are read, which may have been meant to decide. (`.#…` is the lock of an
/// editor.)
fn hidden(folder: &str, ending: &str, file: &str) -> Option<Problem> {
    let is_hidden = file.starts_with('.') && !file.starts_with(".#");
    let could_decide = folder != TO_TRY && file.to_lowercase().ends_with(&format!(".{ending}"));
    let problem = Problem::warning(format!("the hidden file `{folder}/{file}` is not read"));
    (is_hidden && could_decide).then(|| problem.with_help("if it shall decide, take the dot before its name away"))
}

/// Files that people and editors leave beside others: notes, hidden files, copies, and what tells an editor that it may write (`4913`).
fn is_plainly_no_part(file: &str) -> bool {
    let is_copy = file.ends_with('~') || (file.starts_with('#') && file.ends_with('#'));
    let is_left_over = [".orig", ".rej"].iter().any(|ending| file.ends_with(ending));
    file.starts_with('.') || is_copy || is_left_over || is_readme(file) || file == "4913"
}

/// A README is text for persons; of another ending (`README.cedar`) it is a file like any other.
fn is_readme(file: &str) -> bool {
    const TEXTS: [&str; 7] = ["adoc", "html", "markdown", "md", "org", "rst", "txt"];
    let rest = file.strip_prefix("README.").map(Path::new);
    let ending = rest.map(|rest| rest.extension().unwrap_or(rest.as_os_str()));
    file == "README" || ending.is_some_and(|ending| TEXTS.iter().any(|text| ending == *text))
}
