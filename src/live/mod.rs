//! The store while it is served: an edit is taken up, if it holds what the matrix says, and else what was in force stays so.
//!
//! [`Live`] builds another snapshot beside the one that decides, tries every row on that very snapshot, and puts it into force
//! whole. A [`Watcher`] says when to try; somebody who asks for it may also ([`Live::reload`]).

mod look;
mod status;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::engine::{Engine, Snapshot};
use crate::matrix::{self, RowResult};
use crate::request::case::Case;
use crate::request::words::in_words;
use crate::store::schema::Types;
use crate::store::{Problem, Source, Statement, Store, StoreError, StoreFiles, losses, signature};
use look::{Look, SETTLE};
pub use look::{Seen, Watcher};
pub use status::{Attempt, Outcome, Status, StatusBoard};

/// A store that can change while it is served.
pub struct Live {
    /// Where the store comes from.
    source: Source,
    engine: Engine,
    board: StatusBoard,
    hooks: Hooks,
    /// What the last attempt was made on. Whoever holds it builds; others wait for what comes of it.
    judged: Mutex<Found>,
    /// The revisions that somebody has confirmed, whatever they have lost, until they are taken up.
    accepted: Mutex<BTreeSet<String>>,
}

/// What is above this module, and is called from it.
pub struct Hooks {
    /// Writes a request as callers send it.
    pub request: fn(&Case, &Types) -> Json,
    /// Is told what came of each attempt, one after the other, and by which snapshot is decided now.
    pub told: Box<Told>,
}

/// Hears of an attempt.
pub type Told = dyn Fn(&Status, &Arc<Snapshot>) + Send + Sync;

/// What is in the files (a digest of it), or why they cannot be read.
type Found = Result<[u8; 32], String>;

/// How often the files are read, at most, if they change each time.
const READINGS: usize = 20;

impl Live {
    /// Reads and checks the store with which the service begins; `with_rows`, if it must hold every row as any later one must.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn open(source: Source, with_rows: bool, hooks: Hooks) -> Result<Self, StoreError> {
        let read = read_whole(&source);
        let found = found(&source, &read);
        let snapshot = Snapshot::build(source.store(read?)?)?;
        snapshot.store.types.plugins.iter().for_each(|plugin| plugin.prepare());
        if with_rows {
            hold(&snapshot, hooks.request)?;
        }
        allocator::give_back();
        let board = StatusBoard::of(&snapshot);
        Ok(Self {
            source,
            engine: Engine::new(snapshot),
            board,
            hooks,
            judged: Mutex::new(found),
            accepted: Mutex::default(),
        })
    }

    /// What decides by the store that is in force.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where the status can be read at any time.
    pub fn board(&self) -> &StatusBoard {
        &self.board
    }

    /// Takes up what is in the files now, and says what came of it, also if that was said before. Whoever asks while another
    /// attempt is made waits for it.
    pub fn reload(&self) -> Arc<Status> {
        let judged = self.judged();
        let read = read_whole(&self.source);
        let found = found(&self.source, &read);
        if *judged == found {
            let Attempt { outcome, problems, .. } = self.board.status().attempt.clone();
            let outcome = if outcome == Outcome::Rejected { outcome } else { Outcome::Unchanged };
            self.conclude(outcome, problems);
        } else {
            self.attempt(judged, found, read);
        }
        self.board.status()
    }

    /// Confirms a revision: it may be taken up, once, although it has lost something of the one in force ([`losses::lost`]).
    pub fn accept(&self, revision: &str) {
        self.accepted().insert(revision.to_owned());
        // What was rejected is looked at again.
        *self.judged() = Err(String::new());
    }

    fn accepted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what is in the files now, if that is not what the last attempt was made on.
    pub fn follow(&self) {
        let judged = self.judged();
        let read = read_whole(&self.source);
        let found = found(&self.source, &read);
        if *judged != found {
            self.attempt(judged, found, read);
        }
    }

    fn judged(&self) -> MutexGuard<'_, Found> {
        // It is replaced whole: what a panic has left is as good as any.
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self, mut judged: MutexGuard<'_, Found>, found: Found, read: Result<StoreFiles, StoreError>) {
        *judged = found;
        // Nothing that an author can write should make this panic; if something does, the service goes on.
        let built = catch_unwind(AssertUnwindSafe(|| self.build(read?))).unwrap_or_else(|_| Err(failed()));
        match built {
            Ok(Some(snapshot)) => {
                let warnings = snapshot.store.warnings.clone();
                // Whoever wants it again after another has to look at it again.
                self.accepted().remove(snapshot.revision().as_str());
                self.engine.replace(snapshot);
                self.conclude(Outcome::InForce, warnings);
            }
            Ok(None) => self.conclude(Outcome::Unchanged, self.engine.snapshot().store.warnings.clone()),
            Err(StoreError(problems)) => self.conclude(Outcome::Rejected, problems),
        }
        allocator::give_back();
    }

    /// The snapshot of these files, every row tried on it; `None` where they are those of the one in force.
    fn build(&self, files: StoreFiles) -> Result<Option<Snapshot>, StoreError> {
        let store = self.source.store(files)?;
        if store.revision == *self.engine.snapshot().revision() {
            self.accepted().remove(store.revision.as_str());
            return Ok(None);
        }
        let snapshot = Snapshot::build(store)?;
        snapshot.store.types.plugins.iter().for_each(|plugin| plugin.prepare());
        hold(&snapshot, self.hooks.request)?;
        self.lose_nothing(&snapshot.store)?;
        Ok(Some(snapshot))
    }

    /// # Errors
    ///
    /// What the store has lost of the one in force, where nobody has confirmed that: neither its signature nor somebody who names it.
    fn lose_nothing(&self, store: &Store) -> Result<(), StoreError> {
        if self.source.required_key.is_some() || self.accepted().contains(store.revision.as_str()) {
            return Ok(());
        }
        let mut lost = losses::lost(&self.engine.snapshot().store, store);
        let Some(first) = lost.first_mut() else { return Ok(()) };
        *first = first.clone().with_help(format!(
            "if that is meant, confirm this revision: `POST /reload` with {{\"accept\":\"{0}\"}}, or `gatepost serve --accept {0}`",
            store.revision
        ));
        Err(StoreError([store.warnings.clone(), lost].concat()))
    }

    fn conclude(&self, outcome: Outcome, problems: Vec<Problem>) {
        let snapshot = self.engine.snapshot();
        let status = self.board.status().after(outcome, problems, &snapshot);
        self.board.set(status.clone());
        (self.hooks.told)(&status, &snapshot);
    }
}

/// Reads the files of a store, all as they are at one time: where they look otherwise afterwards, they are read again.
fn read_whole(source: &Source) -> Result<StoreFiles, StoreError> {
    for _ in 0..READINGS {
        let before = Look::at(source);
        let read = source.read();
        if Look::at(source).is_like(&before) {
            return read;
        }
        std::thread::sleep(SETTLE);
    }
    Err(StoreError::one(
        Problem::error(format!("{} changes again and again while it is read", source.origin))
            .with_help("write its files elsewhere and put them in their place at once, with a link to the folder, say"),
    ))
}

fn found(source: &Source, read: &Result<StoreFiles, StoreError>) -> Found {
    let files = match read {
        Ok(files) => files,
        Err(StoreError(problems)) => {
            return Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
    };
    let signature = files.signature.as_ref().filter(|_| source.required_key.is_some());
    let mut hasher = Sha256::new();
    hasher.update(signature::digest(files));
    hasher.update(signature.map(|file| file.text.as_bytes()).unwrap_or_default());
    Ok(hasher.finalize().into())
}

/// Tries every row on the snapshot.
///
/// # Errors
///
/// The rows that do not hold, and those that no request matches, with the warnings of the store before them.
fn hold(snapshot: &Snapshot, request: fn(&Case, &Types) -> Json) -> Result<(), StoreError> {
    let results = matrix::exercise(snapshot, &|_, _| {});
    let rows = || snapshot.store.rows.iter().zip(&results);
    // Of a row that no request is known to match nothing is known to be wrong.
    let is_wrong = |result: &RowResult| !result.holds() && (result.disagrees() || result.is_exhaustive());
    let failing = rows().filter(|(_, result)| is_wrong(result));
    let failing: Vec<Problem> = failing.map(|(row, result)| trouble(snapshot, row, result, request)).collect();
    if !failing.is_empty() {
        return Err(StoreError([snapshot.store.warnings.clone(), failing].concat()));
    }
    let open = rows().filter(|(_, result)| !result.is_exhaustive()).count();
    if open > 0 {
        let rows = snapshot.store.rows.len();
        tracing::warn!(
            "{open} of {rows} rows hold on their representative requests, which do not exhaust every comparison: `gatepost test` names \
             them, `gatepost prove` asks for every request"
        );
    }
    Ok(())
}

/// What is wrong with a row that does not hold.
fn trouble(snapshot: &Snapshot, row: &Statement, result: &RowResult, request: fn(&Case, &Types) -> Json) -> Problem {
    let name = row.name();
    let (must, was) = if row.permits() { ("allowed", "denied") } else { ("denied", "allowed") };
    let (why, example) = if result.failures > 0 {
        let (failures, requests) = (result.failures, result.requests);
        (
            format!("does not hold: {failures} of {requests} requests that must be {must} are {was}"),
            &result.counterexample,
        )
    } else if result.unevaluated > 0 {
        (format!("cannot be evaluated on {} representative requests", result.unevaluated), &result.unevaluable)
    } else {
        ("says nothing: no representative request matches it".to_owned(), &None)
    };
    let problem = row.problem(Problem::error(format!("the row `{name}` {why}")));
    match example {
        Some(example) => {
            let request = request(&example.case, &snapshot.store.types);
            let words = in_words(&request);
            problem
                .with_help(format!("the smallest of them: {words}; as JSON, for `gatepost decide --facts`, it follows"))
                .with_request(request)
        }
        None => problem,
    }
}

fn failed() -> StoreError {
    StoreError::one(
        Problem::error("the store could not be checked: Gatepost made a mistake").with_help(
            "`gatepost check` and `gatepost test` may say more; please report it, with the store if you can",
        ),
    )
}
