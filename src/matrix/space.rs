//! All representative requests of an environment: a choice for each dimension that some statements read.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Policy;

use super::domain::{Choice, Domains};
use super::reads::{Dimension, Reads};
use super::world::{self, Taken};
use crate::request::case::Case;
use crate::store::schema::Types;

/// A choice for some of the dimensions: `None` where none is taken.
pub(super) type Assignment = Vec<Option<usize>>;

/// The dimensions of an environment, and the choices of each.
pub(super) struct Space<'a> {
    types: &'a Types,
    environment: usize,
    domains: Domains<'a>,
    dimensions: Vec<(Dimension, Vec<Choice>)>,
    /// For each dimension of strings, the group of those that it is compared with; `None` where others are compared with them.
    groups: Vec<Option<usize>>,
    /// For each dimension and choice, the number of the string if no policy names it.
    numbers: Vec<Vec<Option<usize>>>,
    /// For each dimension, whether policies name other strings.
    named: Vec<bool>,
}

impl<'a> Space<'a> {
    /// The space in which everything that the policies read varies; and for each policy, in their order, the positions of the
    /// dimensions that it reads. `None` where there is no such environment.
    pub(super) fn of<'s>(
        types: &'a Types,
        environment: usize,
        policies: impl Iterator<Item = &'s Policy>,
    ) -> Option<(Self, Vec<Vec<usize>>)> {
        let mut reads = Reads::new(types, types.environments.get(environment)?);
        let read: Vec<BTreeSet<Dimension>> = policies.map(|policy| reads.add(policy)).collect();
        let domains = Domains::new(reads);
        let all: BTreeSet<Dimension> = read.iter().flatten().cloned().collect();
        let dimensions: Vec<(Dimension, Vec<Choice>)> =
            all.into_iter().map(|dimension| (dimension.clone(), domains.choices(&dimension))).collect();
        let positions = |wanted: &BTreeSet<Dimension>| {
            let numbered = dimensions.iter().enumerate();
            numbered.filter(|(_, (found, _))| wanted.contains(found)).map(|(position, _)| position).collect()
        };
        let positions = read.iter().map(positions).collect();
        let groups: Vec<Option<usize>> = dimensions.iter().map(|(dimension, _)| domains.group(dimension)).collect();
        let numbers = groups.iter().zip(&dimensions).map(|(group, (_, choices))| match group {
            Some(group) => domains.numbers(*group, choices),
            None => (vec![None; choices.len()], false),
        });
        let (numbers, named) = numbers.unzip();
        Some((Self { types, environment, domains, dimensions, groups, numbers, named }, positions))
    }

    /// What a region is about, as a person reads it: a condition on each dimension of which it does not have all choices.
    pub(super) fn conditions(&self, region: &[Vec<usize>]) -> Vec<String> {
        let conditions = (0..region.len()).filter_map(|position| self.condition(position, region));
        conditions.collect()
    }

    fn condition(&self, position: usize, region: &[Vec<usize>]) -> Option<String> {
        let (dimension, choices) = self.dimensions.get(position)?;
        let chosen = region.get(position)?;
        if chosen.len() >= choices.len() {
            return None;
        }
        let verb = match dimension {
            Dimension::Value(_) => " is",
            Dimension::Parents(_) => "",
        };
        // Which string it is that no policy names says nothing; whether it is the same as another does.
        let group = self.groups.get(position).copied().flatten();
        let beside = |other: &usize| group.is_some() && self.groups.get(*other).copied().flatten() == group;
        let singles =
            (0..region.len()).filter(beside).filter_map(|other| Some((other, self.fresh(other, region.get(other)?)?)));
        let singles: Vec<(usize, usize)> = singles.collect();
        let words = match singles.first() {
            Some((first, _)) if *first == position && self.named.get(position) == Some(&false) => {
                let absent = choices.contains(&Choice::Absent);
                return absent.then(|| format!("{dimension} is present"));
            }
            Some((first, _)) if *first != position => {
                let mut before: Vec<(usize, usize)> =
                    singles.iter().copied().filter(|(other, _)| *other < position).collect();
                if before.is_empty() {
                    before.extend(singles.first());
                }
                let mut words: Vec<String> =
                    chosen.iter().map(|choice| self.compared(position, *choice, &before)).collect();
                words.dedup();
                words.join(" or ")
            }
            _ => self.domains.described(dimension, choices, chosen),
        };
        Some(format!("{dimension}{verb} {words}"))
    }

    /// A choice, compared with the strings that no policy names which other dimensions have: their positions and numbers.
    fn compared(&self, position: usize, choice: usize, others: &[(usize, usize)]) -> String {
        let name =
            |position: &usize| self.dimensions.get(*position).map(|(name, _)| name.to_string()).unwrap_or_default();
        let Some(number) = self.fresh(position, &[choice]) else {
            let found = self.dimensions.get(position);
            return found.map(|(name, choices)| self.domains.described(name, choices, &[choice])).unwrap_or_default();
        };
        match others.iter().find(|(_, other)| *other == number) {
            Some((other, _)) => format!("the same as {}", name(other)),
            None => {
                let mut seen = BTreeSet::new();
                let others = others.iter().filter(|(_, other)| seen.insert(*other)).map(|(other, _)| name(other));
                format!("another than {}", others.collect::<Vec<_>>().join(" and "))
            }
        }
    }

    /// The number of the only choice, if that is a string that no policy names.
    fn fresh(&self, position: usize, chosen: &[usize]) -> Option<usize> {
        let [choice] = chosen else { return None };
        *self.numbers.get(position)?.get(*choice)?
    }

    /// The choices in which strings that no policy names are taken in the order of their numbers: another order makes the same
    /// request, but for their names. `None` where a dimension does not have all of them.
    pub(super) fn in_order(&self, assignment: &Assignment) -> Option<Assignment> {
        let mut renamed: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        let in_order = assignment.iter().enumerate().map(|(position, choice)| {
            let chosen = (*choice)?;
            let (Some(group), Some(number)) =
                (self.groups.get(position).copied().flatten(), self.fresh(position, &[chosen]))
            else {
                return Some(Some(chosen));
            };
            let count = counts.entry(group).or_default();
            let other = *renamed.entry((group, number)).or_insert_with(|| {
                *count += 1;
                *count - 1
            });
            Some(Some(self.numbers.get(position)?.iter().position(|number| *number == Some(other))?))
        });
        in_order.collect()
    }

    /// The number of a combination of choices at all positions; [`Space::assign`] is the way back. `None` where it lacks a choice.
    pub(super) fn number(&self, assignment: &Assignment) -> Option<usize> {
        let strides = (0..assignment.len()).scan(1, |stride, position| {
            let own = *stride;
            *stride *= self.width(position);
            Some(own)
        });
        assignment.iter().zip(strides).map(|(choice, stride)| Some((*choice)? * stride)).sum()
    }

    /// No choice for any of the dimensions.
    pub(super) fn nothing(&self) -> Assignment {
        vec![None; self.dimensions.len()]
    }

    /// The request that is made by these choices; `None` where they make none.
    pub(super) fn build(&self, assignment: &Assignment) -> Option<Case> {
        let chosen = self.dimensions.iter().zip(assignment).filter_map(|(all, index)| Some((all, (*index)?)));
        let taken = chosen.map(|((dimension, choices), index)| {
            let choice = choices.get(index)?;
            Some(Taken { dimension, index, choice })
        });
        // A choice that there is not makes no request, not another one.
        let taken: Vec<Taken<'_>> = taken.collect::<Option<_>>()?;
        world::build(self.environment, &self.domains, self.types, taken.into_iter())
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
