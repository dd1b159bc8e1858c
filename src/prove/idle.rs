//! What does nothing in a store: policies that can never change a decision, conditions that are always true or always false.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use cedar_policy::{Effect, Policy, RequestEnv};
use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet};

use super::solver::{Asker, Solver, ask_all};
use super::{as_decided, as_permit, can_fail, request_of, unsupported};
use crate::engine::{Part, Snapshot, parts};
use crate::store::{Problem, Statement, lint, policy, scope};

/// What was found, and what was not decided.
#[derive(Clone, Debug, Default)]
pub struct Idle {
    /// A warning for each policy that never changes a decision, and for each condition that is always true or always false.
    pub problems: Vec<Problem>,
    /// What the solver did not decide, and why.
    pub undecided: Vec<String>,
}

/// Asks the solver about each policy of a store whether any decision depends on it, and about each of its conditions whether it
/// can be true and can be false where it is asked.
///
/// `progress` is called with how many questions are answered, and of how many.
///
/// # Errors
///
/// A thread that cannot be started.
pub fn idle(snapshot: &Snapshot, solver: &Solver, progress: &(dyn Fn(usize, usize) + Sync)) -> std::io::Result<Idle> {
    let places = match Place::all(snapshot) {
        Ok(places) => places,
        Err(why) => return Ok(Idle { undecided: vec![why], ..Idle::default() }),
    };
    let policies = snapshot.store.policies.iter();
    let questions: Vec<(&Statement, Topic)> =
        policies.flat_map(|policy| [(policy, Topic::Policy), (policy, Topic::Conditions)]).collect();
    let answers = ask_all(&questions, solver, progress, |asker, (policy, topic)| {
        let about = About { snapshot, policy, places: &places };
        match topic {
            Topic::Policy => about.shadowed(asker),
            Topic::Conditions => about.constant(asker),
        }
    })?;
    let mut idle = Idle::default();
    let mut undecided: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for ((policy, _), answer) in questions.into_iter().zip(answers) {
        match answer {
            Ok(found) => idle.problems.extend(found),
            Err(why) => undecided.entry(why).or_default().push(&policy.id),
        }
    }
    for policy in &snapshot.store.policies {
        if parts(&policy.policy).len() > MOST_PARTS && !policy.allows_lint(lint::CONSTANT) {
            let why =
                format!("whether a condition after the first {MOST_PARTS} is always true or always false is not asked");
            undecided.entry(why).or_default().push(&policy.id);
        }
    }
    idle.undecided = undecided.into_iter().map(|(why, ids)| format!("{}: {why}", listed(&ids))).collect();
    Ok(idle)
}

/// Beyond so many in one environment, what depends on each of them is not asked: it takes the square of their number.
const MOST_POLICIES: usize = 100;

/// Beyond so many parts of one policy, it is not asked of a part whether it is constant: to the solver, that takes the square of their
/// number.
const MOST_PARTS: usize = 50;

/// A few of them, and how many more there are.
fn listed(ids: &[&str]) -> String {
    const MOST: usize = 3;
    let shown: Vec<String> = ids.iter().take(MOST).map(|id| format!("`{id}`")).collect();
    match ids.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[derive(Clone, Copy)]
enum Topic {
    Policy,
    Conditions,
}

/// An environment, and what is asked once about it.
struct Place<'a> {
    request: RequestEnv,
    policies: Vec<&'a Policy>,
    can_fail: OnceLock<Result<Vec<&'a Policy>, String>>,
    decided: OnceLock<Result<CompiledPolicySet, String>>,
}

impl<'a> Place<'a> {
    /// Every environment: without one of them, a policy could seem never to change a decision.
    fn all(snapshot: &'a Snapshot) -> Result<Vec<Self>, String> {
        let store = &snapshot.store;
        let places = store.types.environments.iter().map(|environment| {
            let policies = store.policies.iter().map(|policy| &policy.policy);
            Ok(Self {
                request: request_of(environment, store)?,
                policies: policies.filter(|policy| scope::can_match(policy, environment, &store.schema)).collect(),
                can_fail: OnceLock::new(),
                decided: OnceLock::new(),
            })
        });
        places.collect()
    }

    fn has(&self, policy: &Policy) -> bool {
        self.policies.iter().any(|own| own.id() == policy.id())
    }
}

/// The questions about one policy.
#[derive(Clone, Copy)]
struct About<'s, 'a> {
    snapshot: &'s Snapshot,
    policy: &'s Statement,
    places: &'s [Place<'a>],
}

impl<'a> About<'_, 'a> {
    fn places(&self) -> impl Iterator<Item = &Place<'a>> {
        self.places.iter().filter(|place| place.has(&self.policy.policy))
    }

    /// Whether every decision is the same without the policy. (One that can fail denies where it does.)
    fn shadowed(&self, asker: &mut Asker<'_>) -> Result<Vec<Problem>, String> {
        // Of a policy that never applies, the condition that keeps it from it says so.
        let whole = self.policy.policy.as_ref().condition().to_string();
        if self.policy.allows_lint(lint::SHADOWED) || !self.can_match(asker, &[], &whole)? {
            return Ok(Vec::new());
        }
        if let Some(place) = self.places().find(|place| place.policies.len() > MOST_POLICIES) {
            let count = place.policies.len();
            return Err(format!(
                "whether a decision depends on it is not asked where {count} policies apply to one request"
            ));
        }
        for place in self.places() {
            let others = place.policies.iter().copied().filter(|other| other.id() != self.policy.policy.id()).collect();
            let (with, without) = (self.decided(asker, place)?, self.decided_by(asker, place, others)?);
            if !asker.ask(async |compiler| compiler.check_equivalent_opt(with, &without).await)? {
                return Ok(Vec::new());
            }
        }
        let id = &self.policy.id;
        let Some(why) = self.reason(asker)? else { return Ok(Vec::new()) };
        let problem = Problem::warning(format!("`{id}` never changes a decision: {why}"));
        Ok(vec![self.policy.problem(problem).with_help(format!(
            "remove it (and then ask again: what nothing depended on may matter now); or if it stands against policies that are to come, say so: @allow(\"{}\")",
            lint::SHADOWED
        ))])
    }

    /// Why no decision depends on it; `None` of the first of two that say the same, because of the other it will be said.
    fn reason(&self, asker: &mut Asker<'_>) -> Result<Option<String>, String> {
        let own = &self.policy.policy;
        if self.is_in_vain(asker)? {
            return Ok(Some(match own.effect() {
                Effect::Permit => "all that it permits is forbidden".to_owned(),
                Effect::Forbid => "nothing allows what it forbids".to_owned(),
            }));
        }
        let mut is_later = false;
        for other in &self.snapshot.store.policies {
            if other.id == self.policy.id {
                is_later = true;
            } else if other.permits() == self.policy.permits() && self.is_within(asker, other)? {
                let twin = About { policy: other, ..*self };
                let said_of_the_other = is_later && twin.is_within(asker, self.policy)?;
                let why = format!("it says nothing that `{}` does not say", other.id);
                return Ok((!said_of_the_other).then_some(why));
            }
        }
        Ok(Some("the other policies together decide as it does".to_owned()))
    }

    /// Whether of what the policy is about nothing would be allowed without it, as far as policies of the other effect go.
    fn is_in_vain(&self, asker: &mut Asker<'_>) -> Result<bool, String> {
        let own = &self.policy.policy;
        for place in self.places() {
            let others = place.policies.iter().copied().filter(|other| other.effect() != own.effect());
            let others = match own.effect() {
                Effect::Permit => others.chain([own]).collect(),
                Effect::Forbid => others.collect(),
            };
            let others = self.decided_by(asker, place, others)?;
            let own = self.decided_by(asker, place, vec![&as_permit(own)?])?;
            if !asker.ask(async |compiler| compiler.check_disjoint_opt(&own, &others).await)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether another policy matches wherever this one does.
    fn is_within(&self, asker: &mut Asker<'_>, other: &Statement) -> Result<bool, String> {
        let other = &other.policy;
        for place in self.places() {
            if !place.has(other) {
                return Ok(false);
            }
            let (own, other) = (self.compiled(place, &self.policy.policy)?, self.compiled(place, other)?);
            if !asker.ask(async |compiler| compiler.check_matches_implies_opt(&own, &other).await)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A warning for each condition that is always true or always false where those before it hold, and can be evaluated there.
    fn constant(&self, asker: &mut Asker<'_>) -> Result<Vec<Problem>, String> {
        let mut problems = Vec::new();
        if self.policy.allows_lint(lint::CONSTANT) {
            return Ok(problems);
        }
        let parts: Vec<Part> = parts(&self.policy.policy).into_iter().take(MOST_PARTS).collect();
        let all: Vec<String> = parts.iter().map(Part::as_cedar).collect();
        let holding = self.holding(asker, &all)?;
        for (index, (part, holds)) in parts.iter().zip(&all).enumerate() {
            let ((before, _), (with, _)) = (all.split_at(index), all.split_at(index + 1));
            let is_always = match (index < holding, self.can_match(asker, before, &format!("!({holds})"))?) {
                (true, true) => None,
                (true, false) => Some(!part.negated),
                (false, true) => Some(part.negated),
                // Neither: Cedar's own check says so.
                (false, false) => break,
            };
            if let Some(always) = is_always.filter(|_| part.in_conditions())
                && self.never_fails(asker, with)?
            {
                problems.push(self.always(part, always));
            }
            if index >= holding {
                // What comes before the next can never hold: that has been said.
                break;
            }
        }
        Ok(problems)
    }

    fn always(&self, part: &Part, value: bool) -> Problem {
        let (span, text) = part.written(&self.policy.file);
        let problem = Problem::warning(format!("a condition of `{}` is always {value}", self.policy.id));
        let applies = if value == part.negated { "so the policy never applies" } else { "so it decides nothing" };
        let problem = problem.in_file(&self.policy.file).at(span.unwrap_or(self.policy.span), applies);
        problem.with_help(format!("where all conditions before it hold, `{text}` is {value} for every request"))
    }

    /// How many of the conditions, from the first, can hold together.
    fn holding(&self, asker: &mut Asker<'_>, conditions: &[String]) -> Result<usize, String> {
        let (mut holding, mut failing) = (0, conditions.len() + 1);
        // Mostly all of them can, so that is asked first.
        let mut next = conditions.len();
        while holding + 1 < failing {
            let can_hold = match conditions.split_at(next).0.split_last() {
                Some((last, before)) => self.can_match(asker, before, last)?,
                None => true,
            };
            *(if can_hold { &mut holding } else { &mut failing }) = next;
            next = usize::midpoint(holding, failing);
        }
        Ok(holding)
    }

    fn can_match(&self, asker: &mut Asker<'_>, before: &[String], last: &str) -> Result<bool, String> {
        let policy = conjunction(before.iter().map(String::as_str).chain([last]))?;
        for place in self.places() {
            let compiled = self.compiled(place, &policy)?;
            if !asker.ask(async |compiler| compiler.check_never_matches_opt(&compiled).await)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn never_fails(&self, asker: &mut Asker<'_>, conditions: &[String]) -> Result<bool, String> {
        let policy = conjunction(conditions.iter().map(String::as_str))?;
        for place in self.places() {
            let compiled = self.compiled(place, &policy)?;
            if !asker.ask(async |compiler| compiler.check_never_errors_opt(&compiled).await)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All policies of a place, as the engine decides by them.
    fn decided<'p>(&self, asker: &mut Asker<'_>, place: &'p Place<'a>) -> Result<&'p CompiledPolicySet, String> {
        let compile = || self.decided_by(asker, place, place.policies.clone());
        place.decided.get_or_init(compile).as_ref().map_err(Clone::clone)
    }

    fn decided_by(
        &self,
        asker: &mut Asker<'_>,
        place: &Place<'_>,
        policies: Vec<&Policy>,
    ) -> Result<CompiledPolicySet, String> {
        let schema = &self.snapshot.store.schema;
        let find = || can_fail(asker, &place.policies, &place.request, schema);
        let fail = place.can_fail.get_or_init(find).as_ref().map_err(Clone::clone)?;
        let fail = fail.iter().copied().filter(|policy| policies.iter().any(|own| own.id() == policy.id()));
        as_decided(&policies, &fail.collect::<Vec<_>>(), None, &place.request, schema)
    }

    fn compiled(&self, place: &Place<'_>, policy: &Policy) -> Result<CompiledPolicy, String> {
        CompiledPolicy::compile(policy, &place.request, &self.snapshot.store.schema).map_err(unsupported)
    }
}

fn conjunction<'c>(conditions: impl Iterator<Item = &'c str>) -> Result<Policy, String> {
    let conditions: Vec<String> = conditions.map(|condition| format!("({condition})")).collect();
    policy::permit_when(&conditions.join(" && "))
}
