//! A store as it stands in a commit, read by the program `git`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::problem::Problem;

/// The folder of a store in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// A folder in the work tree of the repository.
    repository: PathBuf,
    /// The id of the commit.
    id: String,
    /// The folder of the store in the commit: empty, or a path that ends in `/`.
    folder: String,
    /// The revision, as it was asked for.
    name: String,
    /// The same folder in the work tree.
    work_tree: PathBuf,
}

/// A file of a commit.
pub(super) struct Blob {
    /// The path in the store.
    pub(super) path: String,
    id: String,
    /// Whether it is a file like any other, and no link to somewhere else.
    pub(super) is_plain: bool,
}

impl Commit {
    /// The store that lies at `folder` of the work tree, as it stands in a revision (`main`, `HEAD~2`, a tag, a hash); the folder
    /// may be named with it, from the root of the repository (`main:stores/docs`).
    ///
    /// # Errors
    ///
    /// A folder in no repository, a revision that it does not have, and no program `git`.
    pub fn find(name: &str, folder: &Path) -> Result<Self, Problem> {
        let (revision, path) = match name.split_once(':') {
            Some((revision, path)) => (revision, Some(path)),
            None => (name, None),
        };
        let unknown = |why: String| {
            let why = if why.contains("single revision") { "git knows no such revision" } else { &why };
            Problem::error(format!("`{name}` is no folder, and no git revision: {why}")).with_help(
                "name a folder, or a revision that git knows; `--store DIR` says which folder of the repository is the store",
            )
        };
        let read = |arguments: &[&str]| text(git(folder, arguments).map_err(unknown)?).map_err(unknown);
        let commit = format!("{revision}^{{commit}}");
        let id = read(&["rev-parse", "--verify", "--end-of-options", &commit])?;
        let folder_there = match path {
            Some(path) => path.trim_matches('/').to_owned(),
            None => read(&["rev-parse", "--show-prefix"])?.trim_end_matches('/').to_owned(),
        };
        let top = PathBuf::from(read(&["rev-parse", "--show-toplevel"])?);
        let work_tree = if path.is_some() { top.join(&folder_there) } else { folder.to_owned() };
        let folder_there = if folder_there.is_empty() { folder_there } else { format!("{folder_there}/") };
        Ok(Self { repository: folder.to_owned(), id, folder: folder_there, name: name.to_owned(), work_tree })
    }

    /// The folder of the work tree that this is a revision of.
    pub fn work_tree(&self) -> &Path {
        &self.work_tree
    }

    /// Every file in the folder of the store, at any depth, in the order of the paths.
    pub(super) fn files(&self) -> Result<Vec<Blob>, Problem> {
        let listed = git(
            &self.repository,
            &["ls-tree", "-r", "-z", "--full-tree", &self.id, "--", &format!(":/{}", self.folder)],
        );
        let listed = listed.map_err(|why| Problem::error(format!("{self} cannot be read: {why}")))?;
        let entries = listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        let files = entries.filter_map(|entry| {
            // `100644 blob 257cc5642cb1a054f08cc83f2d943e56fd3ebe99<tab>policies/docs.cedar`
            let entry = String::from_utf8_lossy(entry);
            let (about, path) = entry.split_once('\t')?;
            let mut about = about.split(' ');
            let (mode, _, id) = (about.next()?, about.next()?, about.next()?);
            let path = path.strip_prefix(&self.folder)?.to_owned();
            Some(Blob { path, id: id.to_owned(), is_plain: mode.starts_with("100") })
        });
        Ok(files.collect())
    }

    /// What stands in a file.
    pub(super) fn content(&self, blob: &Blob) -> Result<Vec<u8>, String> {
        git(&self.repository, &["cat-file", "blob", &blob.id])
    }
}

impl std::fmt::Display for Commit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({})", self.name, self.id.get(..12).unwrap_or(&self.id))
    }
}

/// What git prints, or what it says is wrong.
fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "the program `git` was not found".to_owned(),
        _ => format!("git cannot be run: {error}"),
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("git does not say why").trim_start_matches("fatal: ").to_owned())
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map(|text| text.trim_end_matches('\n').to_owned()).map_err(|error| error.to_string())
}
