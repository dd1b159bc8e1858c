//! What a change moves: the cells of the complete decision table that two revisions decide differently.

use super::space::Space;
use super::table::{Lines, Table, on_all_processors};
use crate::engine::{Print, Snapshot};
use crate::request::case::Case;
use crate::store::changes;
use crate::store::known::{self, Known};
use crate::store::schema::Environment;

/// Whether two revisions allow a request; `None` for the one that has no such request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// What the older revision decides.
    pub old: Option<bool>,
    /// What the newer revision decides.
    pub new: Option<bool>,
}

impl Outcomes {
    /// Whether it is allowed now, and was not before.
    pub fn gains(self) -> bool {
        self.new == Some(true) && self.old != Some(true)
    }

    /// Whether it was allowed before, and is not now.
    pub fn loses(self) -> bool {
        self.old == Some(true) && self.new != Some(true)
    }
}

/// Compares two revisions on every representative request of either; the environments in which cells moved or could not all
/// be compared, in the order of the newer schema, then of the older. An example is a request of the newer schema; where it has
/// none, of the older. Left out are environments that cannot be compared ([`known::requests`]).
///
/// `progress` is called with how many environments are done, and of how many.
pub fn moves(
    old: &Snapshot,
    new: &Snapshot,
    print: &dyn Print,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Vec<Lines<Outcomes>> {
    let is_of_one_schema = changes::declarations(&old.store, &new.store).is_empty();
    let both = Revisions { old, new, print, is_of_one_schema };
    let tasks: Vec<(Side, usize)> = [(Side::New, new), (Side::Old, old)]
        .into_iter()
        .flat_map(|(side, of)| (0..of.store.types.environments.len()).map(move |index| (side, index)))
        .collect();
    let found = on_all_processors(&tasks, progress, |(side, environment)| both.compare(*side, *environment));
    found.into_iter().flatten().filter(|moves| moves.found > 0 || moves.sampled).collect()
}

/// Whose schema the requests are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    New,
    /// Of these, only those count that the newer schema does not have.
    Old,
}

struct Revisions<'a> {
    old: &'a Snapshot,
    new: &'a Snapshot,
    print: &'a dyn Print,
    is_of_one_schema: bool,
}

impl Revisions<'_> {
    fn compare(&self, side: Side, index: usize) -> Option<Lines<Outcomes>> {
        let own = match side {
            Side::New => self.new,
            Side::Old => self.old,
        };
        let environment = own.store.types.environments.get(index)?;
        let other = if side == Side::New { self.old } else { self.new };
        if self.cannot_be_compared(environment) {
            return None;
        }
        // Whether the other schema knows a request is a difference too.
        let known = match known::requests(environment, &other.store.types, &own.store.types) {
            Ok(Known::These(known)) => Some(known),
            _ => None,
        };
        let policies = [self.new, self.old].into_iter().flat_map(|revision| revision.store.policies_in(environment));
        let (space, _) =
            Space::of(&own.store.types, index, policies.map(|policy| &policy.policy).chain(known.as_deref()))?;
        let table = Table::new(&space, self.policies(), &|case| Some(self.outcomes(side, case)));
        let moved = |outcomes: &Outcomes| match side {
            Side::New => outcomes.old != outcomes.new,
            Side::Old => outcomes.new.is_none(),
        };
        Some(table.lines(environment.to_string(), &|outcomes| moved(outcomes).then_some(*outcomes)))
    }

    fn outcomes(&self, side: Side, case: &Case) -> Outcomes {
        let (own, other) = match side {
            Side::New => (self.new, self.old),
            Side::Old => (self.old, self.new),
        };
        // The other reads the same text by its own schema.
        let beside = match self.is_of_one_schema {
            true => Some(other.decide_case(case)),
            false => self.print.decide(&self.print.print(case, own), other),
        };
        let (own, beside) = (Some(own.decide_case(case).allowed), beside.map(|decision| decision.allowed));
        match side {
            Side::New => Outcomes { old: beside, new: own },
            Side::Old => Outcomes { old: own, new: beside },
        }
    }

    fn cannot_be_compared(&self, environment: &Environment) -> bool {
        let (old, new) = (&self.old.store.types, &self.new.store.types);
        let newer = new.environment_like(environment).map(|(_, newer)| known::requests(newer, old, new));
        matches!(newer, Some(Err(_) | Ok(Known::None(_))))
    }

    /// How many policies are asked for one cell.
    fn policies(&self) -> usize {
        self.old.store.policies.len() + self.new.store.policies.len()
    }
}
