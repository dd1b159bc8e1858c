//! The matrix: every row is exercised on the representative requests that match it.
//!
//! What a row says can depend only on what the row and the policies read. So the representative requests of a row are all
//! combinations of the values that can make a difference there: enumerated types and Booleans in full, optional attributes
//! present and absent, Longs and Strings at the boundaries of the literals that they are compared with and beyond, entities
//! equal and different, related and not. Facts are taken as they are, without plugins. Where the combinations are more than
//! [`MOST_REQUESTS`], that many are taken, evenly spread, and the result says so.

mod boundaries;
mod domain;
mod reads;
mod world;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{Choice, Domains};
use reads::{Dimension, Reads};
use world::Taken;

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
        let both = [self.counterexample.take(), other.counterexample];
        self.counterexample = both.into_iter().flatten().min_by_key(|example| example.weight);
    }
}

/// Exercises every row of the matrix by this snapshot; one result for each row, in their order.
///
/// `progress` is called with how many environments are done, and of how many.
pub fn exercise(snapshot: &Snapshot, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<RowResult> {
    let rows = &snapshot.store.rows;
    let total = snapshot.store.types.environments.len();
    let results = Mutex::new(vec![RowResult::default(); rows.len()]);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    progress(0, total);
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(total) {
            threads.spawn(|| {
                loop {
                    let environment = next.fetch_add(1, Ordering::Relaxed);
                    if environment >= total {
                        break;
                    }
                    let found = exercise_environment(snapshot, environment);
                    // A poisoned lock means that another thread panicked, which the scope passes on.
                    if let Ok(mut results) = results.lock() {
                        for (row, result) in found {
                            results.get_mut(row).into_iter().for_each(|row| row.add(result.clone()));
                        }
                    }
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                }
            });
        }
    });
    results.into_inner().unwrap_or_default()
}

fn exercise_environment(snapshot: &Snapshot, index: usize) -> Vec<(usize, RowResult)> {
    let store = &snapshot.store;
    let Some(environment) = store.types.environments.get(index) else { return Vec::new() };
    let applies = |statement: &&Statement| scope::can_match(&statement.policy, environment, &store.schema);
    let rows: Vec<(usize, &Statement)> = store.rows.iter().enumerate().filter(|(_, row)| applies(row)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut reads = Reads::new(&store.types, environment);
    let by_policies: BTreeSet<Dimension> =
        store.policies.iter().filter(applies).flat_map(|policy| reads.add(policy)).collect();
    let by_rows: Vec<BTreeSet<Dimension>> = rows.iter().map(|(_, row)| reads.add(row)).collect();
    let all: BTreeSet<Dimension> = by_policies.iter().chain(by_rows.iter().flatten()).cloned().collect();
    let domains = Domains::new(&reads);
    let space: Vec<(Dimension, Vec<Choice>)> =
        all.into_iter().map(|dimension| (dimension.clone(), domains.choices(&dimension))).collect();
    let positions = |wanted: &BTreeSet<Dimension>| -> Vec<usize> {
        (0..space.len()).filter(|index| space.get(*index).is_some_and(|(found, _)| wanted.contains(found))).collect()
    };
    let by_policies = positions(&by_policies);
    let mut field =
        Field { snapshot, environment: index, domains: &domains, space: &space, by_policies, known: HashMap::new() };
    rows.iter()
        .zip(&by_rows)
        .map(|((row, statement), dimensions)| (*row, field.exercise(statement, &positions(dimensions))))
        .collect()
}

/// A choice for some of the dimensions: `None` where none is taken.
type Assignment = Vec<Option<usize>>;

/// The requests of one environment.
struct Field<'a> {
    snapshot: &'a Snapshot,
    environment: usize,
    domains: &'a Domains<'a, 'a>,
    space: &'a [(Dimension, Vec<Choice>)],
    /// The dimensions that the policies read: equal choices there are decided equally.
    by_policies: Vec<usize>,
    known: HashMap<Assignment, bool>,
}

impl Field<'_> {
    fn exercise(&mut self, row: &Statement, by_row: &[usize]) -> RowResult {
        let matcher = Matcher::new(&row.policy, &self.snapshot.store.types);
        let nothing: Assignment = vec![None; self.space.len()];
        let (indices, mut sampled) = spread(self.size(by_row));
        let matching: Vec<Assignment> = indices
            .map(|index| self.assign(&nothing, by_row, index))
            .filter(|assignment| {
                // A row that cannot be evaluated does not match.
                self.build(assignment).is_some_and(|case| self.snapshot.matches(&matcher, &case).unwrap_or(false))
            })
            .collect();
        let rest: Vec<usize> = self.by_policies.iter().filter(|position| !by_row.contains(position)).copied().collect();
        let inner = self.size(&rest);
        let (indices, more) = spread(inner.saturating_mul(matching.len() as u128));
        sampled |= more;
        let mut result = RowResult { sampled, ..RowResult::default() };
        let mut worst: Option<(usize, Assignment)> = None;
        for index in indices {
            let Some(matched) = usize::try_from(index / inner).ok().and_then(|index| matching.get(index)) else {
                break;
            };
            let assignment = self.assign(matched, &rest, index % inner);
            let Some(allowed) = self.decide(&assignment) else { continue };
            result.requests += 1;
            if allowed != row.permits() {
                result.failures += 1;
                let weight = assignment.iter().flatten().sum();
                if worst.as_ref().is_none_or(|(least, _)| weight < *least) {
                    worst = Some((weight, assignment));
                }
            }
        }
        result.counterexample = worst.and_then(|(weight, assignment)| {
            let case = self.build(&assignment)?;
            let decision = self.snapshot.decide_case(&case);
            Some(Box::new(Example { case, decision, weight }))
        });
        result
    }

    /// Whether the request is allowed; `None` where the choices make no request.
    fn decide(&mut self, assignment: &Assignment) -> Option<bool> {
        let case = self.build(assignment)?;
        let read = self.by_policies.iter().map(|position| assignment.get(*position).copied().flatten()).collect();
        let decide = || self.snapshot.decide_case(&case).allowed;
        Some(*self.known.entry(read).or_insert_with(decide))
    }

    fn build(&self, assignment: &Assignment) -> Option<Case> {
        let taken = self.space.iter().zip(assignment).filter_map(|((dimension, choices), index)| {
            let index = (*index)?;
            Some(Taken { dimension, index, choice: choices.get(index)? })
        });
        world::build(self.environment, self.domains, &self.snapshot.store.types, taken)
    }

    fn choices(&self, position: usize) -> usize {
        self.space.get(position).map_or(1, |(_, choices)| choices.len().max(1))
    }

    /// How many combinations of choices there are at these positions.
    fn size(&self, positions: &[usize]) -> u128 {
        positions.iter().fold(1, |size: u128, position| size.saturating_mul(self.choices(*position) as u128))
    }

    /// The combination of that number at these positions, over `base`.
    fn assign(&self, base: &Assignment, positions: &[usize], mut number: u128) -> Assignment {
        let mut assignment = base.clone();
        for position in positions {
            let choices = self.choices(*position) as u128;
            if let Some(slot) = assignment.get_mut(*position) {
                *slot = usize::try_from(number % choices).ok();
            }
            number /= choices;
        }
        assignment
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
