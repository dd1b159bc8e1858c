//! Rows, exercised: each on all of its representative requests, by a snapshot.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::coverage::{Coverage, Observed, Observer};
use super::space::{Assignment, Space};
use super::table::on_all_processors;
use super::{MOST_REQUESTS, spread};
use crate::engine::{Decision, Matcher, Snapshot};
use crate::request::case::Case;
use crate::store::{Statement, scope};

/// What exercising a row showed.
#[derive(Clone, Debug, Default)]
pub struct RowResult {
    /// How many representative requests matched the row.
    pub requests: usize,
    /// How many of them were decided otherwise than the row says.
    pub failures: usize,
    /// Whether there are more representative requests than were taken.
    pub sampled: bool,
    /// The smallest request that was decided otherwise.
    pub counterexample: Option<Box<Example>>,
    /// The policies that determined these decisions, by their ids, and on how many of the requests each did.
    pub policies: BTreeMap<String, usize>,
    /// How many of the requests were denied because nothing permits them.
    pub unpermitted: usize,
}

/// A representative request.
#[derive(Clone, Debug)]
pub struct Example {
    /// The request, and what is stored beside it.
    pub case: Case,
    /// What was decided.
    pub decision: Decision,
    /// How far it is from the plainest request: the smaller of two is the one to show.
    weight: usize,
}

impl RowResult {
    /// Whether some request matched the row, and all of them were decided as it says.
    pub fn holds(&self) -> bool {
        self.failures == 0 && self.requests > 0
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.sampled |= other.sampled;
        other.policies.into_iter().for_each(|(policy, requests)| *self.policies.entry(policy).or_default() += requests);
        self.unpermitted += other.unpermitted;
        let both = [self.counterexample.take(), other.counterexample];
        self.counterexample = both.into_iter().flatten().min_by_key(|example| example.weight);
    }
}

/// Exercises every row of the matrix by this snapshot; one result for each row, in their order.
///
/// `progress` is called with how many environments are done, and of how many.
pub fn exercise(snapshot: &Snapshot, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<RowResult> {
    let environments: Vec<usize> = (0..snapshot.store.types.environments.len()).collect();
    let found = on_all_processors(&environments, progress, |environment| {
        Field::of(snapshot, *environment).map(|(mut field, rows)| field.exercise_all(&rows)).unwrap_or_default()
    });
    together(snapshot, found.into_iter().flatten())
}

/// Exercises every row, as [`exercise`] does, and watches how well the rows exercise the policies.
pub fn exercise_with_coverage(
    snapshot: &Snapshot,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> (Vec<RowResult>, Coverage) {
    let environments: Vec<usize> = (0..snapshot.store.types.environments.len()).collect();
    let found = on_all_processors(&environments, progress, |environment| {
        let (mut field, rows) = Field::of(snapshot, *environment)?;
        let store = &snapshot.store;
        field.observer =
            store.types.environments.get(*environment).map(|environment| Observer::new(store, environment));
        let results = field.exercise_all(&rows);
        Some((results, field.observer.map(|observer| observer.seen).unwrap_or_default()))
    });
    let mut coverage = Coverage::none(&snapshot.store);
    found.iter().flatten().for_each(|(_, seen)| coverage.add(seen));
    (together(snapshot, found.into_iter().flatten().flat_map(|(results, _)| results)), coverage)
}

/// What was found in all environments: one result for each row.
#[expect(clippy::expect_used, reason = "each result is of a row of this very store: none may be lost")]
fn together(snapshot: &Snapshot, found: impl Iterator<Item = (usize, RowResult)>) -> Vec<RowResult> {
    let mut results = vec![RowResult::default(); snapshot.store.rows.len()];
    for (row, result) in found {
        results.get_mut(row).expect("a row of the store").add(result);
    }
    results
}

/// The assignment of that number, which is below their count: without one of them, a row would hold on fewer requests than are counted.
#[expect(clippy::expect_used, reason = "the numbers are those of `spread`, over as many as there are")]
fn matched_by(matching: &[Assignment], number: u128) -> &Assignment {
    usize::try_from(number).ok().and_then(|number| matching.get(number)).expect("a number below the count")
}

/// What is kept of a decision.
struct Decided {
    allowed: bool,
    /// The ids of the determining policies.
    policies: Vec<String>,
    unpermitted: bool,
    /// What the request shows of each policy, where that is watched.
    observed: Vec<Observed>,
}

/// A row that applies in an environment.
struct Applying<'a> {
    /// Its place in the matrix.
    row: usize,
    statement: &'a Statement,
    /// The dimensions that it reads.
    reads: Vec<usize>,
}

/// The requests of one environment.
struct Field<'a> {
    snapshot: &'a Snapshot,
    space: Space<'a>,
    /// The dimensions that the policies read.
    by_policies: Vec<usize>,
    known: HashMap<Assignment, Arc<Decided>>,
    /// What watches the requests, if anything does.
    observer: Option<Observer<'a>>,
}

impl<'a> Field<'a> {
    /// The requests of an environment, and the rows that apply there; `None` where none do.
    fn of(snapshot: &'a Snapshot, index: usize) -> Option<(Self, Vec<Applying<'a>>)> {
        let store = &snapshot.store;
        let environment = store.types.environments.get(index)?;
        let applies = |statement: &&Statement| scope::can_match(&statement.policy, environment, &store.schema);
        let rows: Vec<(usize, &Statement)> = store.rows.iter().enumerate().filter(|(_, row)| applies(row)).collect();
        if rows.is_empty() {
            return None;
        }
        let statements = store.policies.iter().filter(applies).chain(rows.iter().map(|(_, row)| *row));
        let (space, positions) = Space::of(&store.types, index, statements.map(|statement| &statement.policy))?;
        let (by_policies, by_rows) = positions.split_at(positions.len() - rows.len());
        let by_policies: BTreeSet<usize> = by_policies.iter().flatten().copied().collect();
        let by_policies = by_policies.into_iter().collect();
        let rows = rows.into_iter().zip(by_rows);
        let rows = rows.map(|((row, statement), reads)| Applying { row, statement, reads: reads.clone() }).collect();
        Some((Self { snapshot, space, by_policies, known: HashMap::new(), observer: None }, rows))
    }

    fn exercise_all(&mut self, rows: &[Applying<'_>]) -> Vec<(usize, RowResult)> {
        rows.iter().map(|applying| (applying.row, self.exercise(applying))).collect()
    }

    fn exercise(&mut self, Applying { row: place, statement: row, reads: by_row }: &Applying<'_>) -> RowResult {
        let matcher = Matcher::new(&row.policy, &self.snapshot.store.types);
        let nothing = self.space.nothing();
        let (indices, mut sampled) = spread(self.space.size(by_row), MOST_REQUESTS);
        let matching: Vec<Assignment> = indices
            .map(|index| self.space.assign(&nothing, by_row, index))
            .filter(|assignment| {
                // A row that cannot be evaluated does not match.
                let case = self.space.build(assignment);
                case.is_some_and(|case| self.snapshot.matches(&matcher, &case).unwrap_or(false))
            })
            .collect();
        let rest: Vec<usize> = self.by_policies.iter().filter(|position| !by_row.contains(position)).copied().collect();
        let inner = self.space.size(&rest);
        let (indices, more) = spread(inner.saturating_mul(matching.len() as u128), MOST_REQUESTS);
        sampled |= more;
        let mut result = RowResult { sampled, ..RowResult::default() };
        let mut worst: Option<(usize, Assignment)> = None;
        for index in indices {
            let assignment = self.space.assign(matched_by(&matching, index / inner), &rest, index % inner);
            let Some(decided) = self.decide(&assignment) else { continue };
            result.requests += 1;
            decided.policies.iter().for_each(|policy| *result.policies.entry(policy.clone()).or_default() += 1);
            result.unpermitted += usize::from(decided.unpermitted);
            self.observer.iter_mut().for_each(|observer| observer.count(*place, &decided.observed));
            if decided.allowed != row.permits() {
                result.failures += 1;
                let weight = assignment.iter().flatten().sum();
                if worst.as_ref().is_none_or(|(least, _)| weight < *least) {
                    worst = Some((weight, assignment));
                }
            }
        }
        result.counterexample = worst.and_then(|(weight, assignment)| {
            let case = self.space.build(&assignment)?;
            let decision = self.snapshot.decide_case(&case);
            Some(Box::new(Example { case, decision, weight }))
        });
        result
    }

    /// What is decided; `None` where the choices make no request.
    fn decide(&mut self, assignment: &Assignment) -> Option<Arc<Decided>> {
        let case = self.space.build(assignment)?;
        let observer = self.observer.as_ref();
        let decide = || {
            let decision = self.snapshot.decide_case(&case);
            let determining = decision.determining().iter();
            Arc::new(Decided {
                allowed: decision.allowed,
                policies: determining.map(|note| note.id.clone()).collect(),
                unpermitted: !decision.allowed && decision.determining().is_empty() && decision.errors().is_empty(),
                observed: observer
                    .map(|observer| observer.observe(self.snapshot, &case, &decision))
                    .unwrap_or_default(),
            })
        };
        // By all of it: what a row sets up beside what the policies read may lead to what they read, as a group that is in another does.
        Some(Arc::clone(self.known.entry(assignment.clone()).or_insert_with(decide)))
    }
}
