//! What the tests share: stores, decisions in process, and a service that really listens.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod binary;
pub mod browser;
pub mod collector;
pub mod keys;
pub mod server;

use std::path::{Path, PathBuf};

use gatepost::engine::{Decision, Snapshot};
use gatepost::http::authzen::{self, Limits, Reasons};
use gatepost::http::callers::Caller;
use gatepost::http::journal::Journal;
use gatepost::request::Facts;
use gatepost::request::json::{DEEPEST, Json};
use gatepost::store::{Origin, Problem, Severity, Store, StoreError};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The limits of a service that tells its callers everything.
pub fn open_limits() -> Limits {
    Limits { max_reasons: Reasons::Admin, ..Limits::default() }
}

/// The store that is compiled into the binary.
pub fn built_in() -> Snapshot {
    Snapshot::load(Origin::BuiltIn).unwrap_or_else(|error| panic!("{}", told(&error)))
}

/// The store of that name in `tests/stores/`.
pub fn store(name: &str) -> Snapshot {
    snapshot_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores").join(name))
}

/// The store in that folder, which must be without errors.
pub fn snapshot_of(folder: &Path) -> Snapshot {
    Snapshot::load(Origin::Folder(folder.to_owned())).unwrap_or_else(|error| panic!("{}", told(&error)))
}

/// What loading the store in that folder says: all of its problems, whether it can be served or not.
pub fn problems_of(folder: &Path) -> Vec<Problem> {
    match Store::load(Origin::Folder(folder.to_owned())).and_then(Snapshot::build) {
        Ok(snapshot) => snapshot.store.warnings,
        Err(StoreError(problems)) => problems,
    }
}

/// A folder that holds these files.
pub fn folder<P: AsRef<str>, C: AsRef<[u8]>>(files: impl IntoIterator<Item = (P, C)>) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, content) in files {
        write(folder.path(), path.as_ref(), content.as_ref());
    }
    folder
}

/// Rows that each begin a line, each with a place of its own in a table.
pub fn placed(rows: &str) -> String {
    let mut row = 0;
    let placed = |line: &str| {
        if !["permit", "forbid"].iter().any(|effect| line.starts_with(effect)) {
            return line.to_owned();
        }
        row += 1;
        format!("@table(\"Rows\") @row(\"{row}\") @column(\"Holds\") {line}")
    };
    rows.split_inclusive('\n').map(placed).collect()
}

/// Writes one file of a store.
pub fn write(folder: &Path, path: &str, content: &[u8]) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Changes one file of a store.
pub fn edit(store: &TempDir, path: &str, from: &str, to: &str) {
    let path = store.path().join(path);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// A copy of the store that is compiled in, to be edited.
pub fn copy_of_built_in() -> TempDir {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let files = ["schema", "policies", "matrix", "requests"].into_iter().flat_map(|name| {
        std::fs::read_dir(root.join(name)).unwrap().map(move |entry| {
            let path = entry.unwrap().path();
            (format!("{name}/{}", path.file_name().unwrap().to_str().unwrap()), std::fs::read(&path).unwrap())
        })
    });
    folder(files)
}

/// The problems of a store, as its author reads them: where, what, and what to do.
pub fn told(error: &StoreError) -> String {
    error.0.iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// A problem in one line, and its help in the next.
pub fn shown(problem: &Problem) -> String {
    let place = match (&problem.file, problem.position()) {
        (Some(file), Some((line, column))) => format!("{}:{line}:{column}: ", file.path),
        _ => String::new(),
    };
    let help = problem.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
    format!("{}: {place}{problem}{help}", problem.severity.word())
}

/// Whether a problem keeps the store from being served.
pub fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}

/// What the service would answer to `body`, with the status that it would give.
pub fn evaluate(snapshot: &Snapshot, limits: &Limits, body: &Value) -> Result<Value, String> {
    match authzen::evaluation(snapshot, limits, &Caller::anonymous(), body.to_string().as_bytes(), &mut Journal::none())
    {
        Ok(answer) => Ok(serde_json::to_value(answer).unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

/// The decision on `body`, with all that the engine knows of it.
pub fn decide(snapshot: &Snapshot, body: &Value) -> Result<Decision, String> {
    let text = body.to_string();
    let json = Json::parse(text.as_bytes(), DEEPEST).map_err(|error| error.to_string())?;
    let question = authzen::question(&json).map_err(|error| error.to_string())?;
    snapshot.decide(&question, Facts::FromPlugins).map_err(|error| error.to_string())
}

/// The ids of the policies that determined a decision.
pub fn determining(decision: &Decision) -> Vec<&str> {
    decision.determining().iter().map(|note| note.id.as_str()).collect()
}

/// A request that asks whether the subject may do that to the resource; each is written `Type::id`.
pub fn ask(subject: &str, action: &str, resource: &str) -> Value {
    json!({ "subject": named(subject), "action": { "name": action }, "resource": named(resource), "context": {} })
}

fn named(entity: &str) -> Value {
    let (type_name, id) = entity.rsplit_once("::").unwrap();
    json!({ "type": type_name, "id": id, "properties": {} })
}

/// `body` with `changes` laid over it: objects member by member, anything else replaced, and removed where it is the string
/// [`REMOVE`].
pub fn with(mut body: Value, changes: Value) -> Value {
    lay_over(&mut body, changes);
    body
}

/// What [`with`] removes.
pub const REMOVE: &str = "<remove>";

fn lay_over(base: &mut Value, changes: Value) {
    match changes {
        Value::Object(changes) => {
            if !base.is_object() {
                *base = Value::Object(Map::new());
            }
            for (name, change) in changes {
                if change == REMOVE {
                    base.as_object_mut().unwrap().remove(&name);
                } else {
                    lay_over(&mut base[name], change);
                }
            }
        }
        other => *base = other,
    }
}

/// The request that the built-in store comes with: a Company Admin enters the support contact.
pub fn enter() -> Value {
    serde_json::from_str(include_str!("../../requests/enter-support-contact.json")).unwrap()
}
