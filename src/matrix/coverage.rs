//! Coverage: how well the rows of the matrix exercise the policies.
//!
//! The requests are the representative requests of the rows: those on which [`exercise`](super::exercise) decides. A policy
//! *fired* if its whole condition was true on some of them. Its *conditions* are what `&&`, `||` and `!` join, in its scope and in
//! its `when` and `unless`. A condition must be seen true and seen false *as the one that decided*: were its value the other, and
//! all else the same, the decision on that request would be the other too.
//!
//! That is modified condition/decision coverage (Hayhurst et al., "A Practical Tutorial on Modified Condition/Decision
//! Coverage", NASA/TM-2001-210876), with the decision on the request as the decision that is meant, and not only the outcome of
//! the policy. It asks for more: where a policy applies, but another decides the same, nothing was shown about the one. And it is
//! what a matrix is for: since a row says how its requests are decided, a condition that is covered both ways cannot become
//! always true or always false without a row that fails. All of it can be reached, but for a condition that never matters, because
//! other policies decide the same: which its author wants to know.
//!
//! A condition that cannot be evaluated, because one before it guards it (`resource has x && resource.x > 3`), is not seen. Where a
//! guard is false, what the policy would say otherwise cannot be known, so it does not decide; and where it is false only on such
//! requests, that it decides when false is not asked for: without it the policy would fail, and `check` mostly refuses it. Where a policy
//! errs the engine denies, whatever conditions there are, so on such a request none decides.

use std::collections::BTreeSet;

use miette::SourceSpan;

use crate::engine::{Decision, Formula, Snapshot};
use crate::request::case::Case;
use crate::store::schema::Environment;
use crate::store::{Statement, Store, scope};

/// How well rows exercise the policies of a store.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// One for each policy of the store, in their order.
    pub policies: Vec<PolicyCoverage>,
}

/// How well rows exercise a policy.
#[derive(Clone, Debug)]
pub struct PolicyCoverage {
    /// When its whole condition was true. It decided where without it the decision would have been the other.
    pub fired: Sightings,
    /// Its conditions, in the order in which they are written.
    pub conditions: Vec<ConditionCoverage>,
}

/// How well rows exercise a condition.
#[derive(Clone, Debug)]
pub struct ConditionCoverage {
    /// As it is written.
    pub text: String,
    /// Where it stands in the file; of the scope, where the entity stands that it names.
    pub span: Option<SourceSpan>,
    /// When it was true, as it is written: in an `unless` too.
    pub when_true: Sightings,
    /// When it was false.
    pub when_false: Sightings,
}

/// On how many requests something was seen. A request that several rows match counts for each of them.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    /// On how many at all.
    pub requests: usize,
    /// On how many of them it guards others: were its value the other, they could not be evaluated.
    pub guarded: usize,
    /// On how many of them the outcome of the policy depended on it.
    pub depended: usize,
    /// On how many of those the decision did.
    pub decided: usize,
    /// The rows whose requests these last are.
    pub rows: BTreeSet<usize>,
}

impl Coverage {
    /// What is to be covered, and how much of it is: that each policy fired, and each condition decided when it was true and when
    /// it was false.
    pub fn points(&self) -> Points {
        self.policies.iter().map(PolicyCoverage::points).fold(Points::default(), |sum, points| Points {
            covered: sum.covered + points.covered,
            total: sum.total + points.total,
        })
    }

    pub(super) fn none(store: &Store) -> Self {
        let policies = store.policies.iter().map(|policy| PolicyCoverage::none(&Formula::of(policy)));
        Self { policies: policies.collect() }
    }

    pub(super) fn add(&mut self, seen: &[(usize, PolicyCoverage)]) {
        for (policy, seen) in seen {
            self.policies.get_mut(*policy).into_iter().for_each(|own| own.add(seen));
        }
    }
}

impl PolicyCoverage {
    /// What is to be covered of the policy, and how much of it is.
    pub fn points(&self) -> Points {
        let conditions = self.conditions.iter().flat_map(|condition| [&condition.when_true, &condition.when_false]);
        let asked = conditions.filter(|seen| !seen.only_guards());
        let covered = asked.clone().filter(|seen| seen.decided > 0).count();
        Points { covered: covered + usize::from(self.fired.requests > 0), total: asked.count() + 1 }
    }

    fn none(formula: &Formula) -> Self {
        let conditions = formula.atoms.iter().map(|atom| ConditionCoverage {
            text: atom.text.clone(),
            span: atom.span,
            when_true: Sightings::default(),
            when_false: Sightings::default(),
        });
        Self { fired: Sightings::default(), conditions: conditions.collect() }
    }

    fn add(&mut self, other: &Self) {
        self.fired.add(&other.fired);
        for (own, other) in self.conditions.iter_mut().zip(&other.conditions) {
            own.when_true.add(&other.when_true);
            own.when_false.add(&other.when_false);
        }
    }
}

impl Sightings {
    /// Whether it was seen to guard others, and never to decide: whether it would cannot be seen.
    pub fn only_guards(&self) -> bool {
        self.guarded > 0 && self.decided == 0
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.guarded += other.guarded;
        self.depended += other.depended;
        self.decided += other.decided;
        self.rows.extend(&other.rows);
    }

    fn count(&mut self, row: usize, sight: Sight) {
        self.requests += 1;
        self.guarded += usize::from(sight == Sight::Guarded);
        self.depended += usize::from(sight >= Sight::Depended);
        if sight == Sight::Decided {
            self.decided += 1;
            self.rows.insert(row);
        }
    }
}

/// How much there is to be covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// How much is covered.
    pub covered: usize,
    /// How much there is.
    pub total: usize,
}

impl Points {
    /// Whether at least so much is covered, in percent.
    pub fn reach(self, percent: u8) -> bool {
        self.covered * 100 >= self.total * usize::from(percent)
    }

    /// How much is covered, in tenths of a percent, rounded down: a thousand is all.
    pub fn per_mille(self) -> usize {
        (self.covered * 1000).checked_div(self.total).unwrap_or(1000)
    }
}

/// How much something showed on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sight {
    Seen,
    Guarded,
    Depended,
    Decided,
}

/// What one request shows of a policy.
pub(super) struct Observed {
    fired: Option<Sight>,
    /// Of each condition: its value, and how much that showed; `None` where it could not be evaluated.
    conditions: Vec<Option<(bool, Sight)>>,
}

/// What watches the requests of an environment.
pub(super) struct Observer<'a> {
    policies: Vec<(&'a Statement, Formula)>,
    /// What was seen so far: each policy by its place in the store.
    pub(super) seen: Vec<(usize, PolicyCoverage)>,
}

impl<'a> Observer<'a> {
    /// An observer of all policies that can apply in an environment.
    pub(super) fn new(store: &'a Store, environment: &Environment) -> Self {
        let mut observer = Self { policies: Vec::new(), seen: Vec::new() };
        for (place, policy) in store.policies.iter().enumerate() {
            if scope::can_match(&policy.policy, environment, &store.schema) {
                let formula = Formula::of(policy);
                observer.seen.push((place, PolicyCoverage::none(&formula)));
                observer.policies.push((policy, formula));
            }
        }
        observer
    }

    /// What a request shows of each policy.
    pub(super) fn observe(&self, snapshot: &Snapshot, case: &Case, decision: &Decision) -> Vec<Observed> {
        let values = snapshot.values(self.policies.iter().map(|(_, formula)| formula), case);
        let errs = |policy: &Statement| {
            decision.errors().iter().any(|error| error.policy.as_ref().is_none_or(|note| note.id == policy.id))
        };
        let fired: Vec<bool> = self
            .policies
            .iter()
            .zip(&values)
            .map(|((policy, formula), values)| formula.holds(values) == Some(true) && !errs(policy))
            .collect();
        let count = |permits: bool| {
            let fired =
                self.policies.iter().zip(&fired).filter(|((policy, _), fired)| **fired && policy.permits() == permits);
            fired.count()
        };
        let (permits, forbids) = (count(true), count(false));
        let observed = self.policies.iter().zip(values).zip(fired).map(|(((policy, formula), mut values), fired)| {
            let own = usize::from(fired);
            // Whether the decision depends on the policy, the others being as they are.
            let decides = decision.errors().is_empty()
                && if policy.permits() { forbids == 0 && permits == own } else { forbids == own && permits > 0 };
            let depended = if decides { Sight::Decided } else { Sight::Depended };
            let outcome = formula.holds(&values).filter(|_| !errs(policy));
            let conditions = (0..values.len()).map(|index| {
                let value = *values.get(index)?.as_ref()?;
                let sight = match outcome.zip(otherwise(formula, &mut values, index, value)) {
                    Some((outcome, otherwise)) if outcome == otherwise => Sight::Seen,
                    Some(_) => depended,
                    None if outcome.is_some() => Sight::Guarded,
                    None => Sight::Seen,
                };
                Some((value, sight))
            });
            Observed { conditions: conditions.collect(), fired: fired.then_some(depended) }
        });
        observed.collect()
    }

    /// Counts what a request of a row showed.
    pub(super) fn count(&mut self, row: usize, observed: &[Observed]) {
        for ((_, seen), observed) in self.seen.iter_mut().zip(observed) {
            observed.fired.into_iter().for_each(|sight| seen.fired.count(row, sight));
            for (condition, observed) in seen.conditions.iter_mut().zip(&observed.conditions) {
                match observed {
                    Some((true, sight)) => condition.when_true.count(row, *sight),
                    Some((false, sight)) => condition.when_false.count(row, *sight),
                    None => {}
                }
            }
        }
    }
}

/// What the policy would say if that condition had the other value; `None` where that cannot be known.
fn otherwise(formula: &Formula, values: &mut [Option<bool>], index: usize, value: bool) -> Option<bool> {
    values.get_mut(index).into_iter().for_each(|slot| *slot = Some(!value));
    let otherwise = formula.holds(values);
    values.get_mut(index).into_iter().for_each(|slot| *slot = Some(value));
    otherwise
}
