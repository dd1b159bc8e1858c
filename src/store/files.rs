//! The files of a store, from a folder or compiled into the binary.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::git::Commit;
use super::problem::{Problem, SourceFile, StoreError};

/// The folders of a store, and the endings of the files that are read in them.
const FOLDERS: [(&str, &str); 5] =
    [("schema", "cedarschema"), ("policies", "cedar"), ("matrix", "cedar"), ("entities", "json"), ("requests", "json")];

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
    /// `requests/*.json`: requests to try, which decide nothing
    pub requests: Vec<SourceFile>,
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
            if found.is_empty() && problems.is_empty() {
                problems.push(
                    Problem::error(format!("{origin} holds no file `{name}`"))
                        .with_help("a store has at least a schema and policies; `gatepost init DIR` makes a new one"),
                );
            }
        }
        if problems.is_empty() { Ok(files) } else { Err(StoreError(problems)) }
    }

    /// Every file of the store itself that can change a decision or the matrix.
    pub fn deciding(&self) -> impl Iterator<Item = &SourceFile> {
        let lists = [&self.schema, &self.policies, &self.matrix, &self.entities];
        lists.into_iter().flatten().chain(&self.clauses)
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
            match std::fs::read(path) {
                Ok(bytes) => take(shown, bytes, &mut self.further_entities, &mut problems),
                Err(error) => problems.push(Problem::error(format!("`{shown}` cannot be read: {error}"))),
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
            Some("schema") => self.schema.push(file),
            Some("policies") => self.policies.push(file),
            Some("matrix") => self.matrix.push(file),
            Some("entities") => self.entities.push(file),
            _ => self.requests.push(file),
        }
    }
}

fn read_built_in() -> (Vec<SourceFile>, Vec<Problem>) {
    let mut files: Vec<_> =
        [("schema", &SCHEMA), ("policies", &POLICIES), ("matrix", &MATRIX), ("requests", &REQUESTS)]
            .into_iter()
            .flat_map(|(folder, dir)| dir.files().map(move |file| (folder, file)))
            .filter_map(|(folder, file)| {
                let path = format!("{folder}/{}", file.path().display());
                Some(SourceFile { path: path.into(), text: file.contents_utf8()?.into() })
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
        match std::fs::read(&path) {
            Ok(bytes) => take(shown, bytes, &mut files, &mut problems),
            Err(error) => problems.push(Problem::error(format!("`{shown}` cannot be read: {error}"))),
        }
    }
    (files, problems)
}

/// The same of a commit.
fn read_commit(commit: &Commit) -> Result<(Vec<SourceFile>, Vec<Problem>), Problem> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for blob in commit.files()? {
        let Some((folder, file)) = blob.path.split_once('/') else { continue };
        let Some((folder, ending)) = FOLDERS.into_iter().find(|(name, _)| *name == folder) else { continue };
        let (file, is_folder) = file.split_once('/').map_or((file, false), |(inner, _)| (inner, true));
        let wanted = blob.path == CLAUSES || is_part(folder, ending, file, is_folder || !blob.is_plain, &mut problems);
        if !wanted {
            continue;
        }
        match commit.content(&blob) {
            Ok(bytes) => take(blob.path, bytes, &mut files, &mut problems),
            Err(why) => problems.push(Problem::error(format!("`{}` cannot be read: {why}", blob.path))),
        }
    }
    // A folder in it is named once for each of its files.
    problems.dedup_by(|left, right| left.message == right.message);
    Ok((files, problems))
}

/// Takes the text of a file.
fn take(path: String, bytes: Vec<u8>, files: &mut Vec<SourceFile>, problems: &mut Vec<Problem>) {
    match String::from_utf8(bytes) {
        // Some editors begin a file with a byte order mark, which Cedar does not know.
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
            files.push(SourceFile { path: path.into(), text });
        }
        Err(_) => problems.push(
            Problem::error(format!("`{path}` is not UTF-8 text")).with_help("save the file in the encoding UTF-8"),
        ),
    }
}

/// The paths of the store's files, sorted.
fn paths(root: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (name, ending) in FOLDERS {
        let folder = root.join(name);
        if !folder.is_dir() {
            continue;
        }
        let mut entries = match std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(Problem::error(format!("`{name}` cannot be read: {error}")));
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
    let clauses = root.join(CLAUSES);
    if clauses.is_file() {
        paths.push(clauses);
    }
    paths.sort();
    paths
}

/// Whether a file in a folder of the store is read. Hidden files (editors leave them) are passed over, and notes of other kinds;
/// what looks like a part of the store but would not be read is a problem, because it may be a `forbid`.
fn is_part(folder: &str, ending: &str, file: &str, is_folder: bool, problems: &mut Vec<Problem>) -> bool {
    if file.starts_with('.') {
        return false;
    }
    let found = Path::new(file).extension().unwrap_or_default().to_string_lossy();
    let known = FOLDERS.iter().any(|(_, ending)| found.eq_ignore_ascii_case(ending));
    if is_folder || (known && found != ending) {
        let help = format!("in `{folder}` the files `*.{ending}` are read, and no folders");
        problems.push(Problem::error(format!("`{folder}/{file}` would not be read")).with_help(help));
    }
    !is_folder && found == ending
}
