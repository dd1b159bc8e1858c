//! The complete decision table of an environment: a cell for each representative request, and what is alike in one line.
//!
//! The representative requests are all combinations of what the statements of the table's space can tell apart. Where they are
//! too many, so many are taken, evenly spread, as can be decided in a while, and each of them is a line of its own.

use std::cell::Cell as StdCell;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::space::{Assignment, Space};
use super::{MOST_REQUESTS, spread};
use crate::request::case::Case;

/// Lines of the decision table of an environment.
#[derive(Clone, Debug)]
pub struct Lines<T> {
    /// The environment, as a person reads it.
    pub environment: String,
    /// How many cells the table has.
    pub requests: usize,
    /// How many of them the lines are about.
    pub found: usize,
    /// The same, outcome by outcome.
    pub tally: Vec<(T, usize)>,
    /// Whether there are more representative requests than were taken.
    pub sampled: bool,
    /// The lines: together all of these cells but for [`unlisted`](Self::unlisted).
    pub lines: Vec<Line<T>>,
    /// How many of these cells are in no line, because there are lines enough.
    pub unlisted: usize,
}

/// The most lines: nobody reads more.
const MOST_LINES: usize = 500;

/// Cells with the same outcome that can be said in one line. A cell may stand in more than one.
#[derive(Clone, Debug)]
pub struct Line<T> {
    /// What the requests have in common, as a person reads it: a condition on each thing that is not arbitrary.
    pub conditions: Vec<String>,
    /// What came of all of them.
    pub outcome: T,
    /// How many cells these are.
    pub requests: usize,
    /// The plainest of these requests.
    pub example: Case,
}

/// The decision table of an environment: what came of each cell.
pub(super) struct Table<'s, 'a, T> {
    space: &'s Space<'a>,
    positions: Vec<usize>,
    /// By the number of the combination; `None` where the combination makes no request, or the same as another.
    cells: Vec<Option<T>>,
    /// For each cell the one that makes the same request ([`Space::in_order`]); itself where it is the first.
    first: Vec<usize>,
    /// The numbers that were taken, where not all were.
    sample: Option<Vec<u128>>,
    /// How many more cells may be looked at to make lines wide.
    left: StdCell<usize>,
}

/// So often a policy is asked for a table, and so many cells are looked at to make its lines wide: a few seconds each.
const MOST_ASKED: usize = 3_000_000;
const MOST_LOOKS: usize = 100_000_000;

impl<'s, 'a, T: PartialEq> Table<'s, 'a, T> {
    /// The table of what `outcome` says of each representative request, for which it asks so many policies; `None` for one that
    /// is none of the table's.
    pub(super) fn new(space: &'s Space<'a>, policies: usize, outcome: &dyn Fn(&Case) -> Option<T>) -> Self {
        let positions: Vec<usize> = (0..space.nothing().len()).collect();
        let most = (MOST_ASKED / policies.max(1)).min(MOST_REQUESTS);
        let (numbers, sampled) = spread(space.size(&positions), most);
        let numbers: Vec<u128> = numbers.collect();
        let nothing = space.nothing();
        let mut first = Vec::with_capacity(numbers.len());
        let cells = numbers.iter().enumerate().map(|(cell, number)| {
            let assignment = space.assign(&nothing, &positions, *number);
            let case = space.build(&assignment);
            // Only what is a request is the same as another.
            let other = space.in_order(&assignment).filter(|other| !sampled && case.is_some() && *other != assignment);
            let other = other.filter(|other| space.build(other).is_some());
            let other = other.and_then(|other| space.number(&other));
            first.push(other.unwrap_or(cell));
            if other.is_some() { None } else { outcome(&case?) }
        });
        let cells = cells.collect();
        Self { space, positions, cells, first, sample: sampled.then_some(numbers), left: StdCell::new(MOST_LOOKS) }
    }

    /// The lines of the cells that are wanted, and what to say of each.
    pub(super) fn lines<U: PartialEq>(&self, environment: String, wanted: &dyn Fn(&T) -> Option<U>) -> Lines<U> {
        let is_wanted = |cell: &T| wanted(cell).is_some();
        let mut open: Vec<bool> = self.cells.iter().map(|cell| cell.as_ref().is_some_and(is_wanted)).collect();
        let mut tally: Vec<(U, usize)> = Vec::new();
        for outcome in self.cells.iter().flatten().filter_map(wanted) {
            match tally.iter_mut().find(|(known, _)| *known == outcome) {
                Some((_, count)) => *count += 1,
                None => tally.push((outcome, 1)),
            }
        }
        let found = tally.iter().map(|(_, count)| count).sum();
        let mut lines = Vec::new();
        for cell in 0..open.len() {
            if open.get(cell) == Some(&true) && lines.len() < MOST_LINES {
                lines.extend(self.line(cell, wanted, &mut open));
            }
        }
        let requests = self.cells.iter().flatten().count();
        let unlisted = open.into_iter().filter(|open| *open).count();
        Lines { environment, requests, found, tally, sampled: self.sample.is_some(), lines, unlisted }
    }

    /// The widest line that begins at a cell: as many dimensions as can be are any, of the others as many choices as can be.
    fn line<U>(&self, cell: usize, wanted: &dyn Fn(&T) -> Option<U>, open: &mut [bool]) -> Option<Line<U>> {
        let outcome = self.cells.get(cell)?.as_ref()?;
        let start = self.assignment(cell)?;
        let mut region: Vec<Vec<usize>> = start.iter().map(|choice| choice.iter().copied().collect()).collect();
        // Of a sample each cell is a line of its own.
        let cells = if self.sample.is_some() {
            vec![cell]
        } else {
            self.widen(&mut region, outcome);
            self.cells_of(&region).collect()
        };
        let cells: BTreeSet<usize> = cells.iter().filter_map(|cell| self.first.get(*cell).copied()).collect();
        let requests = cells.iter().filter(|cell| matches!(self.cells.get(**cell), Some(Some(_)))).count();
        for cell in cells {
            *open.get_mut(cell)? = false;
        }
        let conditions = self.space.conditions(&region);
        Some(Line { conditions, outcome: wanted(outcome)?, requests, example: self.space.build(&start)? })
    }

    fn widen(&self, region: &mut [Vec<usize>], outcome: &T) {
        for position in 0..region.len() {
            let all: Vec<usize> = (0..self.space.width(position)).collect();
            if self.widened(region, position, all.clone(), outcome) {
                continue;
            }
            for choice in all {
                let own = region.get(position).cloned().unwrap_or_default();
                if !own.contains(&choice) {
                    let wider = own.into_iter().chain([choice]).collect();
                    self.widened(region, position, wider, outcome);
                }
            }
        }
    }

    /// Takes more choices for a dimension if every request that this adds has the same outcome.
    fn widened(&self, region: &mut [Vec<usize>], position: usize, choices: Vec<usize>, outcome: &T) -> bool {
        let Some(slot) = region.get_mut(position) else { return false };
        let before = std::mem::replace(slot, choices);
        let same = |cell: usize| match self.first.get(cell).and_then(|first| self.cells.get(*first)) {
            Some(Some(found)) => found == outcome,
            // What makes no request is in nobody's way.
            _ => true,
        };
        let looks = region.iter().map(Vec::len).product();
        let left = self.left.get().checked_sub(looks);
        self.left.set(left.unwrap_or_default());
        // A line that is not the widest is still true.
        let holds = left.is_some() && self.cells_of(region).all(same);
        if !holds && let Some(slot) = region.get_mut(position) {
            *slot = before;
        }
        holds
    }

    fn assignment(&self, cell: usize) -> Option<Assignment> {
        let number = match &self.sample {
            Some(numbers) => *numbers.get(cell)?,
            None => cell as u128,
        };
        Some(self.space.assign(&self.space.nothing(), &self.positions, number))
    }

    /// The numbers of the cells of a region of the whole table.
    fn cells_of<'r>(&self, region: &'r [Vec<usize>]) -> impl Iterator<Item = usize> + use<'r, T> {
        let widths: Vec<usize> = (0..region.len()).map(|position| self.space.width(position)).collect();
        let total: usize = region.iter().map(Vec::len).product();
        (0..total).map(move |mut number| {
            let (mut cell, mut stride) = (0, 1);
            for (choices, width) in region.iter().zip(&widths) {
                cell += stride * choices.get(number % choices.len().max(1)).copied().unwrap_or_default();
                number /= choices.len().max(1);
                stride *= width;
            }
            cell
        })
    }
}

/// What `work` makes of each task, in the order of the tasks, on all processors; `progress` is called with how many are done, and
/// of how many.
pub(super) fn on_all_processors<T: Sync, R: Send>(
    tasks: &[T],
    progress: &(dyn Fn(usize, usize) + Sync),
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let found = Mutex::new(Vec::with_capacity(tasks.len()));
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    progress(0, tasks.len());
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(tasks.len()) {
            threads.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(task) = tasks.get(number) else { break };
                    let result = work(task);
                    // A poisoned lock means that another thread panicked, which the scope passes on.
                    if let Ok(mut found) = found.lock() {
                        found.push((number, result));
                    }
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, tasks.len());
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, result)| result).collect()
}
