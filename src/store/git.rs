//! A store as it stands in a commit or in the index, read by the program `git`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::problem::Problem;

/// The folder of a store in a commit, or in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// A folder in the repository.
    repository: PathBuf,
    tree: Tree,
    /// The folder of the store in the tree, from its root: empty, or a path without `/` at its ends.
    folder: String,
    /// The revision, as it was asked for.
    name: String,
    /// The same folder in the work tree, if the repository has one.
    work_tree: Option<PathBuf>,
}

/// What holds files.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tree {
    /// The commit of that id.
    Commit(String),
    /// What is staged: in the index of that file, or in the usual one.
    Index(Option<PathBuf>),
}

/// A file of a tree.
pub(super) struct Blob {
    /// The path in the store.
    pub(super) path: String,
    id: String,
    /// Whether it is a file like any other, and no link out of the tree, or to nowhere.
    pub(super) is_plain: bool,
}

impl Commit {
    /// The store that lies at `folder` of the work tree, as it stands in a revision (`main`, `HEAD~2`, a tag, a hash); the folder
    /// may be named with it, from the root of the repository (`main:stores/docs`) or from the current folder (`main:./docs`).
    ///
    /// # Errors
    ///
    /// A folder in no repository, a revision that it does not have, and no program `git`.
    pub fn find(name: &str, folder: &Path) -> Result<Self, Problem> {
        let (revision, path) = match name.split_once(':') {
            Some((revision, path)) => (revision, Some(path)),
            None => (name, None),
        };
        let is_relative =
            path.is_some_and(|path| path.split('/').next().is_some_and(|first| first == "." || first == ".."));
        let folder = if is_relative { Path::new(".") } else { folder };
        let unknown = |why: String| {
            let why = if why.contains("single revision") { "git knows no such revision" } else { &why };
            Problem::error(format!("`{name}` is no folder, and no git revision: {why}")).with_help(
                "name a folder, or a revision that git knows; `--store DIR` says which folder of the repository is the store",
            )
        };
        let commit = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--end-of-options", &commit];
        let id = git(folder, &arguments).and_then(text).map_err(unknown)?;
        Self::at(Tree::Commit(id), name, folder, path, is_relative).map_err(unknown)
    }

    /// The store that lies at `folder` of the work tree, as it is staged. (In a hook, as it will be committed.)
    ///
    /// # Errors
    ///
    /// A folder in no repository, and no program `git`.
    pub fn staged(folder: &Path) -> Result<Self, Problem> {
        let index = own_index(folder).map(Tree::Index);
        let found = index.and_then(|index| Self::at(index, "the index", folder, None, false));
        found.map_err(|why| Problem::error(format!("what is staged cannot be read: {why}")))
    }

    fn at(tree: Tree, name: &str, folder: &Path, path: Option<&str>, is_relative: bool) -> Result<Self, String> {
        let read = |arguments: &[&str]| git(folder, arguments).and_then(text);
        let prefix = read(&["rev-parse", "--show-prefix"])?;
        let there = match path {
            Some(path) if is_relative => within(&prefix, path).ok_or("the path leads out of the repository")?,
            Some(path) => within("", path).ok_or("the path leads out of the repository")?,
            None => prefix.trim_end_matches('/').to_owned(),
        };
        let has_work_tree = read(&["rev-parse", "--is-inside-work-tree"])? == "true";
        let top = has_work_tree.then(|| read(&["rev-parse", "--show-toplevel"])).transpose()?.map(PathBuf::from);
        let work_tree = if path.is_some() { top.map(|top| top.join(&there)) } else { top.map(|_| folder.to_owned()) };
        Ok(Self { repository: folder.to_owned(), tree, folder: there, name: name.to_owned(), work_tree })
    }

    /// The folder of the work tree that this is a revision of; `None` in a bare repository.
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// Every file in the folder of the store, in the order of the paths; links are followed, as they are in a folder.
    pub(super) fn files(&self) -> Result<Vec<Blob>, Problem> {
        let listed = self.entries().map_err(|why| Problem::error(format!("{self} cannot be read: {why}")))?;
        let links = Links { commit: self, entries: &listed };
        let Some(root) = links.followed(&self.folder) else { return Ok(Vec::new()) };
        let mut files = Vec::new();
        links.list(&root, "", 0, &mut files);
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(files)
    }

    /// Everything in the tree, by its path.
    fn entries(&self) -> Result<BTreeMap<String, Entry>, String> {
        let listed = match &self.tree {
            Tree::Commit(id) => git(&self.repository, &["ls-tree", "-r", "-z", "--full-tree", id])?,
            Tree::Index(file) => {
                let mut command = command(&self.repository);
                command.args(["ls-files", "-s", "-z", "--full-name", "--", ":/"]);
                if let Some(file) = file {
                    command.env("GIT_INDEX_FILE", file);
                }
                run(command)?
            }
        };
        let mut entries = BTreeMap::new();
        for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            // `100644 blob 257cc5642cb1a054f08cc83f2d943e56fd3ebe99<tab>policies/docs.cedar`; in the index, `100644 257cc… 0<tab>…`
            let entry = String::from_utf8_lossy(entry);
            let unreadable = || "git lists files in a way that is not known".to_owned();
            let (about, path) = entry.split_once('\t').ok_or_else(unreadable)?;
            let about: Vec<&str> = about.split(' ').collect();
            let [mode, second, third] = about.as_slice() else { return Err(unreadable()) };
            let id = match &self.tree {
                Tree::Commit(_) => third,
                Tree::Index(_) if *third == "0" => second,
                Tree::Index(_) => return Err(format!("`{path}` has conflicts that are not resolved")),
            };
            entries.insert(path.to_owned(), Entry { mode: (*mode).to_owned(), id: (*id).to_owned() });
        }
        Ok(entries)
    }

    /// What stands in a file.
    pub(super) fn content(&self, blob: &Blob) -> Result<Vec<u8>, String> {
        self.blob(&blob.id)
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, String> {
        git(&self.repository, &["cat-file", "blob", id])
    }
}

impl std::fmt::Display for Commit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tree {
            Tree::Commit(id) => write!(formatter, "{} ({})", self.name, id.get(..12).unwrap_or(id)),
            Tree::Index(_) => formatter.write_str(&self.name),
        }
    }
}

/// A file, a link or a submodule of a tree.
struct Entry {
    mode: String,
    id: String,
}

impl Entry {
    fn is_link(&self) -> bool {
        self.mode == "120000"
    }
}

/// The links of a tree, which lead from one place of it to another.
struct Links<'a> {
    commit: &'a Commit,
    entries: &'a BTreeMap<String, Entry>,
}

/// So many links are followed for one path.
const MOST_LINKS: usize = 40;

/// So deep a store is looked into: what lies in a folder within one of its folders is not read.
const DEEPEST: usize = 3;

impl Links<'_> {
    /// The path without links that a path stands for; `None` where it leads out of the tree, or in a circle.
    fn followed(&self, path: &str) -> Option<String> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            // The first part of it that is a link.
            let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
            let link = ends
                .filter_map(|end| path.get(..end))
                .find(|start| self.entries.get(*start).is_some_and(Entry::is_link));
            let Some(link) = link.map(str::to_owned) else { return Some(path) };
            let target = String::from_utf8(self.commit.blob(&self.entries.get(&link)?.id).ok()?).ok()?;
            let holder = link.rsplit_once('/').map_or("", |(holder, _)| holder);
            let rest = path.get(link.len()..).unwrap_or_default().to_owned();
            path = within(holder, &format!("{target}{rest}")).filter(|_| !target.starts_with('/'))?;
        }
        None
    }

    /// Every file below a folder without links, by its path in the store.
    fn list(&self, folder: &str, shown: &str, depth: usize, files: &mut Vec<Blob>) {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below = self.entries.range(start.clone()..).take_while(|(path, _)| path.starts_with(&start));
        for (path, entry) in below {
            let inner = path.get(start.len()..).unwrap_or_default();
            let shown = if shown.is_empty() { inner.to_owned() } else { format!("{shown}/{inner}") };
            if !entry.is_link() {
                files.push(Blob { path: shown, id: entry.id.clone(), is_plain: entry.mode.starts_with("100") });
                continue;
            }
            let followed = self.followed(path);
            let found = followed.as_ref().and_then(|target| Some((target, self.entries.get(target)?)));
            match (found, &followed) {
                (Some((_, found)), _) => {
                    files.push(Blob { path: shown, id: found.id.clone(), is_plain: found.mode.starts_with("100") });
                }
                (None, Some(target)) if depth < DEEPEST && self.is_folder(target) => {
                    self.list(target, &shown, depth + 1, files);
                }
                _ => files.push(Blob { path: shown, id: entry.id.clone(), is_plain: false }),
            }
        }
    }

    fn is_folder(&self, path: &str) -> bool {
        let start = format!("{path}/");
        path.is_empty()
            || self.entries.range(start.clone()..).next().is_some_and(|(found, _)| found.starts_with(&start))
    }
}

/// A path from a folder, without `.` and `..`; `None` where it leads out of the root.
fn within(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The index that git names to a hook, if it is one of the repository of that folder: it holds what will be committed, which for
/// `git commit -a` is not yet what the usual one holds.
fn own_index(folder: &Path) -> Result<Option<PathBuf>, String> {
    let Some(named) = std::env::var_os("GIT_INDEX_FILE") else { return Ok(None) };
    let own = git(folder, &["rev-parse", "--absolute-git-dir"]).and_then(text)?;
    let (Ok(named), Ok(own)) = (std::fs::canonicalize(named), std::fs::canonicalize(own)) else { return Ok(None) };
    Ok((named.parent() == Some(&own)).then_some(named))
}

/// What git says to its hooks of the repository that they run for: it is not said of another, and of this one nothing is lost without.
const OF_ONE_REPOSITORY: [&str; 21] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_INDEX_VERSION",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_ATTR_SOURCE",
    "GIT_REFLOG_ACTION",
];

/// Where objects lie. What is pushed lies elsewhere until it is taken, which only git knows that names the place in this variable.
const OBJECTS: [&str; 2] = ["GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"];
const UNTIL_TAKEN: &str = "GIT_QUARANTINE_PATH";

fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    let is_until_taken = std::env::var_os(UNTIL_TAKEN).is_some();
    let objects = OBJECTS.iter().filter(|_| !is_until_taken);
    for name in OF_ONE_REPOSITORY.iter().chain(objects) {
        command.env_remove(name);
    }
    command.arg("-C").arg(folder).stdin(Stdio::null());
    command
}

/// What git prints, or what it says is wrong.
fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let mut command = command(folder);
    command.args(arguments);
    run(command)
}

fn run(mut command: Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|error| match error.kind() {
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
