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
    /// On how many representative requests the row itself cannot be evaluated, so that it says nothing about them.
    pub unevaluated: usize,
    /// The first of these.
    pub unevaluable: Option<Box<Example>>,
    /// Whether there are more representative requests than were taken.
    pub sampled: bool,
    /// The comparisons, of the row and of the policies, that the representative requests do not exhaust: what may be decided otherwise
    /// on others.
    pub open: BTreeSet<OpenComparison>,
    /// Whether a solver was asked for requests beyond these, and all that it found were tried.
    pub settled: bool,
    /// The smallest request that was decided otherwise.
    pub counterexample: Option<Box<Example>>,
    /// The policies that determined these decisions, by their ids, and on how many of the requests each did.
    pub policies: BTreeMap<String, usize>,
    /// How many of the requests were denied because nothing permits them.
    pub unpermitted: usize,
}

/// A comparison, in a row or a policy, that the representative requests do not exhaust.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenComparison {
    /// The id of the row or the policy.
    pub statement: String,
    /// The comparison, as it is written.
    pub text: String,
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
    /// Whether some request matched the row, all of them were decided as it says, and the row can be evaluated on all that were tried.
    pub fn holds(&self) -> bool {
        self.requests > 0 && !self.disagrees()
    }

    /// Whether some request is decided otherwise than the row says, or makes the row fail.
    pub fn disagrees(&self) -> bool {
        self.failures > 0 || self.unevaluated > 0
    }

    /// Whether no other request is decided otherwise than those that were tried.
    pub fn is_exhaustive(&self) -> bool {
        self.settled || (!self.sampled && self.open.is_empty())
    }

    /// Tries the row on a further request, one that a solver found, and counts what comes of it.
    pub fn try_on(&mut self, snapshot: &Snapshot, row: &Statement, case: Case) {
        let matcher = Matcher::new(&row.policy, &snapshot.store.types);
        let matches = snapshot.matches(&matcher, &case);
        if matches == Ok(false) {
            return;
        }
        let decision = snapshot.decide_case(&case);
        let decided = Decided::of(&decision);
        let example = Some(Box::new(Example { case, decision, weight: usize::MAX }));
        if matches.is_err() {
            self.unevaluated += 1;
            self.unevaluable = self.unevaluable.take().or(example);
        } else if self.count(&decided, row) {
            self.counterexample = self.counterexample.take().or(example);
        }
    }

    /// Counts a request that the row matches; whether it is decided otherwise than the row says.
    fn count(&mut self, decided: &Decided, row: &Statement) -> bool {
        let fails = decided.allowed != row.permits();
        self.requests += 1;
        self.failures += usize::from(fails);
        self.unpermitted += usize::from(decided.unpermitted);
        decided.policies.iter().for_each(|policy| *self.policies.entry(policy.clone()).or_default() += 1);
        fails
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.unevaluated += other.unevaluated;
        self.sampled |= other.sampled;
        self.open.extend(other.open);
        self.settled |= other.settled;
        other.policies.into_iter().for_each(|(policy, requests)| *self.policies.entry(policy).or_default() += requests);
        self.unpermitted += other.unpermitted;
        self.unevaluable = self.unevaluable.take().or(other.unevaluable);
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

impl Decided {
    fn of(decision: &Decision) -> Self {
        let determining = decision.determining();
        Self {
            allowed: decision.allowed,
            policies: determining.iter().map(|note| note.id.clone()).collect(),
            unpermitted: !decision.allowed && determining.is_empty() && decision.errors().is_empty(),
            observed: Vec::new(),
        }
    }
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
    /// The comparisons of the policies that the requests do not exhaust.
    open: BTreeSet<OpenComparison>,
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
        let policies = store.policies.iter().filter(applies);
        let open = policies.flat_map(|policy| open(&space, policy)).collect();
        let rows = rows.into_iter().zip(by_rows);
        let rows = rows.map(|((row, statement), reads)| Applying { row, statement, reads: reads.clone() }).collect();
        Some((Self { snapshot, space, by_policies, open, known: HashMap::new(), observer: None }, rows))
    }

    fn exercise_all(&mut self, rows: &[Applying<'_>]) -> Vec<(usize, RowResult)> {
        rows.iter().map(|applying| (applying.row, self.exercise(applying))).collect()
    }

    fn exercise(&mut self, applying: &Applying<'_>) -> RowResult {
        let Applying { row: place, statement: row, reads: by_row } = applying;
        let (matching, mut result) = self.matching(applying);
        let rest: Vec<usize> = self.by_policies.iter().filter(|position| !by_row.contains(position)).copied().collect();
        let inner = self.space.size(&rest);
        let (indices, more) = spread(inner.saturating_mul(matching.len() as u128), MOST_REQUESTS);
        result.sampled |= more;
        let mut worst: Option<(usize, Assignment)> = None;
        for index in indices {
            let assignment = self.space.assign(matched_by(&matching, index / inner), &rest, index % inner);
            let Some(decided) = self.decide(&assignment) else { continue };
            self.observer.iter_mut().for_each(|observer| observer.count(*place, &decided.observed));
            if result.count(&decided, row) {
                let weight = weight(&assignment);
                if worst.as_ref().is_none_or(|(least, _)| weight < *least) {
                    worst = Some((weight, assignment));
                }
            }
        }
        result.counterexample = worst.and_then(|(_, assignment)| self.example(&assignment));
        result
    }

    /// The choices, of those that a row reads, with which it matches; and what is to be said of it before anything is decided.
    fn matching(&self, Applying { statement: row, reads, .. }: &Applying<'_>) -> (Vec<Assignment>, RowResult) {
        let matcher = Matcher::new(&row.policy, &self.snapshot.store.types);
        let nothing = self.space.nothing();
        let (indices, sampled) = spread(self.space.size(reads), MOST_REQUESTS);
        let open = self.open.iter().cloned().chain(open(&self.space, row)).collect();
        let mut result = RowResult { sampled, open, ..RowResult::default() };
        let mut matching = Vec::new();
        for assignment in indices.map(|index| self.space.assign(&nothing, reads, index)) {
            let Some(case) = self.space.build(&assignment) else { continue };
            match self.snapshot.matches(&matcher, &case) {
                Ok(true) => matching.push(assignment),
                Ok(false) => {}
                Err(_) => {
                    result.unevaluated += 1;
                    result.unevaluable = result.unevaluable.or_else(|| self.example(&assignment));
                }
            }
        }
        (matching, result)
    }

    fn example(&self, assignment: &Assignment) -> Option<Box<Example>> {
        let case = self.space.build(assignment)?;
        let decision = self.snapshot.decide_case(&case);
        Some(Box::new(Example { case, decision, weight: weight(assignment) }))
    }

    /// What is decided; `None` where the choices make no request.
    fn decide(&mut self, assignment: &Assignment) -> Option<Arc<Decided>> {
        let case = self.space.build(assignment)?;
        let observer = self.observer.as_ref();
        let decide = || {
            let decision = self.snapshot.decide_case(&case);
            let observed = observer.map(|observer| observer.observe(self.snapshot, &case, &decision));
            Arc::new(Decided { observed: observed.unwrap_or_default(), ..Decided::of(&decision) })
        };
        // By all of it: what a row sets up beside what the policies read may lead to what they read, as a group that is in another does.
        Some(Arc::clone(self.known.entry(assignment.clone()).or_insert_with(decide)))
    }
}

/// How far a request is from the plainest one.
fn weight(assignment: &Assignment) -> usize {
    assignment.iter().flatten().sum()
}

/// The comparisons of a statement that the requests do not exhaust.
fn open(space: &Space<'_>, statement: &Statement) -> BTreeSet<OpenComparison> {
    let texts = space.not_exhausted(&statement.policy).into_iter();
    texts.map(|text| OpenComparison { statement: statement.id.clone(), text }).collect()
}
