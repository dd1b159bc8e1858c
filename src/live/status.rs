//! Which store is in force, and what came of the last attempt to take one up.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use serde_json::{Value as Json, json};

use crate::engine::Snapshot;
use crate::log::rfc3339;
use crate::store::{Problem, Revision};

/// Which store is in force, and what came of the last attempt to take one up.
#[derive(Clone, Debug)]
pub struct Status {
    /// The revision that decides.
    pub revision: Revision,
    /// Since when.
    pub since: SystemTime,
    /// How many times a store was put into force, the first included.
    pub loads: u64,
    /// The last attempt.
    pub attempt: Attempt,
}

/// An attempt to take up a store.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it was over.
    pub at: SystemTime,
    /// What came of it.
    pub outcome: Outcome,
    /// What its author should look at; what keeps it from being served, if it was rejected.
    pub problems: Vec<Problem>,
}

/// What came of an attempt to take up a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force.
    InForce,
    /// It is the one that was in force before.
    Unchanged,
    /// It cannot be served: what was in force stays so.
    Rejected,
}

impl Outcome {
    /// The word for it in every output.
    pub fn word(self) -> &'static str {
        match self {
            Self::InForce => "in-force",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

impl Status {
    /// A snapshot that is in force from now on.
    pub(super) fn first(snapshot: &Snapshot) -> Self {
        let now = SystemTime::now();
        let problems = snapshot.store.warnings.clone();
        let attempt = Attempt { at: now, outcome: Outcome::InForce, problems };
        Self { revision: snapshot.revision().clone(), since: now, loads: 1, attempt }
    }

    /// After another attempt; `snapshot` is in force.
    pub(super) fn after(&self, outcome: Outcome, problems: Vec<Problem>, snapshot: &Snapshot) -> Self {
        let attempt = Attempt { at: SystemTime::now(), outcome, problems };
        match outcome {
            Outcome::InForce => {
                Self { revision: snapshot.revision().clone(), since: attempt.at, loads: self.loads + 1, attempt }
            }
            Outcome::Unchanged | Outcome::Rejected => Self { attempt, ..self.clone() },
        }
    }

    /// Whether what decides is what the last attempt found.
    pub fn is_current(&self) -> bool {
        self.attempt.outcome != Outcome::Rejected
    }

    /// `current`, or `rejected` where the last attempt found what cannot be served.
    pub fn word(&self) -> &'static str {
        if self.is_current() { "current" } else { "rejected" }
    }

    /// All of it, for the operator: the problems as `gatepost check --format json` writes them, and as a person reads them.
    pub fn as_json(&self) -> Json {
        let problems = self.attempt.problems.iter().map(|problem| {
            let mut problem_as_json = problem.as_json();
            if let Some(members) = problem_as_json.as_object_mut() {
                members.insert("rendered".to_owned(), problem.rendered(COLUMNS, false).into());
            }
            problem_as_json
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "store": self.word(),
            "revision": self.revision.as_str(),
            "since": rfc3339(self.since),
            "loads": self.loads,
            "lastAttempt": {
                "at": rfc3339(self.attempt.at),
                "outcome": self.attempt.outcome.word(),
                "problems": problems.collect::<Vec<_>>(),
            },
        })
    }
}

/// The width of what is rendered for a terminal that is elsewhere.
const COLUMNS: usize = 110;

/// Where the status can be read while it changes; a clone is the same board.
#[derive(Clone, Debug)]
pub struct StatusBoard(Arc<ArcSwap<Status>>);

impl StatusBoard {
    /// That of a snapshot which is in force from now on.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Status::first(snapshot))))
    }

    /// The status now.
    pub fn status(&self) -> Arc<Status> {
        self.0.load_full()
    }

    pub(super) fn set(&self, status: Status) {
        self.0.store(Arc::new(status));
    }
}
