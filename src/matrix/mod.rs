//! The matrix: every row is exercised on the representative requests that match it.
//!
//! What a row says can depend only on what the row and the policies read. So the representative requests of a row are all
//! combinations of the values that can make a difference there: enumerated types and Booleans in full, optional attributes
//! present and absent, Longs and Strings at the boundaries of the literals that they are compared with and beyond, entities
//! equal and different, related and not. Facts are taken as they are, without plugins. Where the combinations are more than
//! [`MOST_REQUESTS`], that many are taken, evenly spread, and the result says so.

mod boundaries;
mod domain;
mod moves;
mod outside;
mod reads;
mod space;
mod table;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub use moves::{Outcomes, moves};
pub use outside::outside;
use space::{Assignment, Space};
use table::on_all_processors;
pub use table::{Line, Lines};

use crate::engine::{Decision, Matcher, Snapshot};
use crate::request::case::Case;
use crate::store::{Statement, scope};

/// The most requests that a row is exercised on in one environment.
pub const MOST_REQUESTS: usize = 200_000;

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
    let mut results = vec![RowResult::default(); snapshot.store.rows.len()];
    let found = on_all_processors(&environments, progress, |environment| exercise_environment(snapshot, *environment));
    for (row, result) in found.into_iter().flatten() {
        results.get_mut(row).into_iter().for_each(|row| row.add(result.clone()));
    }
    results
}

fn exercise_environment(snapshot: &Snapshot, index: usize) -> Vec<(usize, RowResult)> {
    let store = &snapshot.store;
    let Some(environment) = store.types.environments.get(index) else { return Vec::new() };
    let applies = |statement: &&Statement| scope::can_match(&statement.policy, environment, &store.schema);
    let rows: Vec<(usize, &Statement)> = store.rows.iter().enumerate().filter(|(_, row)| applies(row)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let policies = store.policies.iter().filter(applies);
    let statements = policies.chain(rows.iter().map(|(_, row)| *row)).map(|statement| &statement.policy);
    let Some((space, positions)) = Space::of(&store.types, index, statements) else { return Vec::new() };
    let (by_policies, by_rows) = positions.split_at(positions.len() - rows.len());
    let by_policies: BTreeSet<usize> = by_policies.iter().flatten().copied().collect();
    let by_policies = by_policies.into_iter().collect();
    let mut field = Field { snapshot, space, by_policies, known: HashMap::new() };
    rows.iter().zip(by_rows).map(|((row, statement), positions)| (*row, field.exercise(statement, positions))).collect()
}

/// What is kept of a decision.
struct Decided {
    allowed: bool,
    /// The ids of the determining policies.
    policies: Vec<String>,
    unpermitted: bool,
}

/// The requests of one environment.
struct Field<'a> {
    snapshot: &'a Snapshot,
    space: Space<'a>,
    /// The dimensions that the policies read: equal choices there are decided equally.
    by_policies: Vec<usize>,
    known: HashMap<Assignment, Arc<Decided>>,
}

impl Field<'_> {
    fn exercise(&mut self, row: &Statement, by_row: &[usize]) -> RowResult {
        let matcher = Matcher::new(&row.policy, &self.snapshot.store.types);
        let nothing = self.space.nothing();
        let (indices, mut sampled) = spread(self.space.size(by_row));
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
        let (indices, more) = spread(inner.saturating_mul(matching.len() as u128));
        sampled |= more;
        let mut result = RowResult { sampled, ..RowResult::default() };
        let mut worst: Option<(usize, Assignment)> = None;
        for index in indices {
            let Some(matched) = usize::try_from(index / inner).ok().and_then(|index| matching.get(index)) else {
                break;
            };
            let assignment = self.space.assign(matched, &rest, index % inner);
            let Some(decided) = self.decide(&assignment) else { continue };
            result.requests += 1;
            decided.policies.iter().for_each(|policy| *result.policies.entry(policy.clone()).or_default() += 1);
            result.unpermitted += usize::from(decided.unpermitted);
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
        let read = self.by_policies.iter().map(|position| assignment.get(*position).copied().flatten()).collect();
        let decide = || {
            let decision = self.snapshot.decide_case(&case);
            let determining = decision.determining().iter();
            Arc::new(Decided {
                allowed: decision.allowed,
                policies: determining.map(|note| note.id.clone()).collect(),
                unpermitted: !decision.allowed && decision.determining().is_empty() && decision.errors().is_empty(),
            })
        };
        Some(Arc::clone(self.known.entry(read).or_insert_with(decide)))
    }
}

/// All numbers below `size`, or [`MOST_REQUESTS`] of them, spread over all; and whether there are more.
fn spread(size: u128) -> (impl Iterator<Item = u128>, bool) {
    // A prime that divides no product of numbers of choices: its multiples are all different, and near in no dimension.
    const STRIDE: u128 = (1 << 61) - 1;
    let sampled = size > MOST_REQUESTS as u128;
    let (count, stride) = if sampled { (MOST_REQUESTS as u128, STRIDE) } else { (size, 1) };
    ((0..count).map(move |number| number * stride % size), sampled)
}
