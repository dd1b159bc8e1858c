//! All representative requests of an environment: a choice for each dimension that some statements read.

use std::collections::BTreeSet;

use super::domain::{Choice, Domains};
use super::reads::{Dimension, Reads};
use super::world::{self, Taken};
use crate::request::case::Case;
use crate::store::Statement;
use crate::store::schema::Types;

/// A choice for some of the dimensions: `None` where none is taken.
pub(super) type Assignment = Vec<Option<usize>>;

/// The dimensions of an environment, and the choices of each.
pub(super) struct Space<'a> {
    types: &'a Types,
    environment: usize,
    domains: Domains<'a>,
    dimensions: Vec<(Dimension, Vec<Choice>)>,
}

impl<'a> Space<'a> {
    /// The space in which everything that the statements read varies; and for each statement, in their order, the positions of
    /// the dimensions that it reads. `None` where there is no such environment.
    pub(super) fn of<'s>(
        types: &'a Types,
        environment: usize,
        statements: impl Iterator<Item = &'s Statement>,
    ) -> Option<(Self, Vec<Vec<usize>>)> {
        let mut reads = Reads::new(types, types.environments.get(environment)?);
        let read: Vec<BTreeSet<Dimension>> = statements.map(|statement| reads.add(statement)).collect();
        let domains = Domains::new(reads);
        let all: BTreeSet<Dimension> = read.iter().flatten().cloned().collect();
        let dimensions: Vec<(Dimension, Vec<Choice>)> =
            all.into_iter().map(|dimension| (dimension.clone(), domains.choices(&dimension))).collect();
        let positions = |wanted: &BTreeSet<Dimension>| {
            let numbered = dimensions.iter().enumerate();
            numbered.filter(|(_, (found, _))| wanted.contains(found)).map(|(position, _)| position).collect()
        };
        let positions = read.iter().map(positions).collect();
        Some((Self { types, environment, domains, dimensions }, positions))
    }

    /// What it means that a dimension has one of these choices, as a person reads it; `None` where they are all that it has.
    pub(super) fn condition(&self, position: usize, chosen: &[usize]) -> Option<String> {
        let (dimension, choices) = self.dimensions.get(position)?;
        if chosen.len() >= choices.len() {
            return None;
        }
        let verb = match dimension {
            Dimension::Value(_) => " is",
            Dimension::Parents(_) => "",
        };
        Some(format!("{dimension}{verb} {}", self.domains.described(choices, chosen)))
    }

    /// No choice for any of the dimensions.
    pub(super) fn nothing(&self) -> Assignment {
        vec![None; self.dimensions.len()]
    }

    /// The request that is made by these choices; `None` where they make none.
    pub(super) fn build(&self, assignment: &Assignment) -> Option<Case> {
        let taken = self.dimensions.iter().zip(assignment).filter_map(|((dimension, choices), index)| {
            let index = (*index)?;
            Some(Taken { dimension, index, choice: choices.get(index)? })
        });
        world::build(self.environment, &self.domains, self.types, taken)
    }

    /// How many choices a dimension has.
    pub(super) fn width(&self, position: usize) -> usize {
        self.dimensions.get(position).map_or(1, |(_, choices)| choices.len().max(1))
    }

    /// How many combinations of choices there are at these positions.
    pub(super) fn size(&self, positions: &[usize]) -> u128 {
        positions.iter().fold(1, |size: u128, position| size.saturating_mul(self.width(*position) as u128))
    }

    /// The combination of that number at these positions, over `base`.
    pub(super) fn assign(&self, base: &Assignment, positions: &[usize], mut number: u128) -> Assignment {
        let mut assignment = base.clone();
        for position in positions {
            let choices = self.width(*position) as u128;
            if let Some(slot) = assignment.get_mut(*position) {
                *slot = usize::try_from(number % choices).ok();
            }
            number /= choices;
        }
        assignment
    }
}
