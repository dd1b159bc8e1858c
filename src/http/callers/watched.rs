//! A value that is read from files, and read again when what is in them changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use crate::store::Problem;

/// A file, as it was found.
pub(super) struct Content {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// The value, and what it was read from. The files are looked up by their names each time: an editor may have put another
/// file in the place of the old one, and Kubernetes another folder.
#[derive(Debug)]
pub(in crate::http) struct Watched<T> {
    paths: Vec<PathBuf>,
    read: fn(&[Content]) -> Result<T, Vec<Problem>>,
    current: ArcSwap<T>,
    looks: Mutex<Looks>,
}

/// What was found at the last look, and what the value or its problems were read from.
#[derive(Debug)]
struct Looks {
    last: Found,
    judged: Found,
}

/// What is in the files (a digest of it: there are keys among them), or why that cannot be said.
type Found = Result<[u8; 32], String>;

impl<T> Watched<T> {
    pub(super) fn read(
        paths: Vec<PathBuf>,
        read: fn(&[Content]) -> Result<T, Vec<Problem>>,
    ) -> Result<Self, Vec<Problem>> {
        let contents = contents(&paths).map_err(|error| vec![Problem::error(error)])?;
        let found: Found = Ok(digest(&contents));
        let current = ArcSwap::from_pointee(read(&contents)?);
        Ok(Self { paths, read, current, looks: Mutex::new(Looks { last: found.clone(), judged: found }) })
    }

    /// The value that is in force.
    pub(in crate::http) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// The first of the files.
    pub(super) fn first_path(&self) -> Option<&Path> {
        self.paths.first().map(PathBuf::as_path)
    }

    /// See [`super::Callers::look_again`]. `in_force` says of a new value what it is, and what its author should look at.
    pub(super) fn look_again(
        &self,
        at_once: bool,
        in_force: impl FnOnce(&T) -> (String, Vec<Problem>),
    ) -> Vec<Problem> {
        let contents = contents(&self.paths);
        if !self.is_news(contents.as_deref().map(digest).map_err(Clone::clone), at_once) {
            return Vec::new();
        }
        let read = contents.map_err(|error| vec![Problem::error(error)]).and_then(|contents| (self.read)(&contents));
        let names: Vec<String> = self.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        let names = names.join(", ");
        match read {
            Ok(value) => {
                let (what, warnings) = in_force(&value);
                self.current.store(Arc::new(value));
                [vec![Problem::note(format!("{names} read again: {what}"))], warnings].concat()
            }
            Err(mut problems) => {
                problems.push(Problem::warning(format!("what was read before from {names} stays in force")));
                problems
            }
        }
    }

    /// Whether what was found is to be judged now: `at_once`, or because it is new and no longer changing.
    fn is_news(&self, found: Found, at_once: bool) -> bool {
        // What was found is replaced whole: what a panic has left is as good as any.
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = looks.last == found;
        looks.last.clone_from(&found);
        let is_news = at_once || (settled && looks.judged != found);
        if is_news {
            looks.judged = found;
        }
        is_news
    }
}

fn contents(paths: &[PathBuf]) -> Result<Vec<Content>, String> {
    paths.iter().map(|path| content(path)).collect()
}

fn content(path: &Path) -> Result<Content, String> {
    let path_shown = path.display().to_string();
    match crate::regular::read(path) {
        Ok(bytes) => Ok(Content { path: path_shown, bytes }),
        Err(error) => Err(format!("`{path_shown}` cannot be read: {error}")),
    }
}

fn digest(contents: &[Content]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for content in contents {
        hasher.update((content.bytes.len() as u64).to_le_bytes());
        hasher.update(&content.bytes);
    }
    hasher.finalize().into()
}
