//! Two revisions, compared by the solver: whether some request gains access, and whether some loses it.
//!
//! Both are asked about in one schema, in which each reads what it declares itself ([`shared`](super::shared)), of entities that may be
//! stored or not. What cannot stand in one schema, or cannot be read there as a policy reads it, keeps an environment from being
//! compared. A request that gains or loses access is decided by both engines, as it is printed, before it is shown.

use std::cell::RefCell;

use cedar_policy_symcc::{CompiledPolicy, Env};
use serde_json::Value as Json;

use super::allowed::Side as Allowing;
use super::model;
use super::shared::{Half, Shared, apart};
use super::shrink::{self, Kept};
use super::solver::{Asker, Solver, ask_all};
use crate::engine::{Decision, Print, Snapshot, need_stored};
use crate::request::case::Case;
use crate::store::schema::Environment;

/// What every comparison takes for granted, as a sentence.
pub const ASSUMPTION: &str = "each revision decides by its own schema on the same request, over the same entities, of which each has stored \
    what it declares; an entity that is referred to is stored or not, and where it is not, it acts as one without parents, tags and optional \
    attributes, and reading a required attribute of it denies; where a policy reads what only the store may say (`@stored`), the principal \
    and the resource are stored; a member that only one revision declares is of the type that it declares; each datetime of a request or an \
    entity is one that a string can say (-62167305540000 to 253402387139999 ms since 1970); facts are any value of their type, which \
    includes more than the plugins return";

/// What the solver says about two revisions in one environment.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The environment, as a person reads it.
    pub environment: String,
    /// Which revision has such requests.
    pub of: Side,
    /// Whether the older revision does not have the action, or one of the types.
    pub is_of_new_names: bool,
    /// Whether the newer revision allows a request that the older does not.
    pub gains: Found,
    /// Whether the older revision allows a request that the newer does not.
    pub loses: Found,
}

/// Which revisions have the requests of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Both.
    Both,
    /// Only the newer: the older allows none of them.
    New,
    /// Only the older: the newer allows none of them.
    Old,
}

/// The answer to whether there is such a request.
#[derive(Clone, Debug)]
pub enum Found {
    /// There is none: proven.
    None,
    /// There is one.
    Request(Box<Difference>),
    /// There is no answer, for this reason.
    Undecided(String),
}

/// A request that two revisions decide differently.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The request, and what is stored beside it, as `gatepost decide --facts` takes it.
    pub request: Json,
    /// What the older revision decides; `None` where it has no such request.
    pub old: Option<Decision>,
    /// What the newer revision decides; `None` where it has no such request.
    pub new: Option<Decision>,
}

impl Comparison {
    /// The environment, and why it was not compared, if it was not.
    pub fn not_compared(&self) -> Option<(String, String)> {
        let (Found::Undecided(why), Found::Undecided(_)) = (&self.gains, &self.loses) else { return None };
        Some((self.environment.clone(), why.strip_prefix(NOT_COMPARED)?.to_owned()))
    }

    /// The relation in a word; `None` where it is not decided.
    pub fn relation(&self) -> Option<&'static str> {
        match (&self.gains, &self.loses) {
            (Found::Undecided(_), _) | (_, Found::Undecided(_)) => None,
            (Found::None, Found::None) => Some("equivalent"),
            (Found::Request(_), Found::None) => Some("only wider"),
            (Found::None, Found::Request(_)) => Some("only narrower"),
            (Found::Request(_), Found::Request(_)) => Some("wider and narrower"),
        }
    }
}

/// Asks the solver of each environment of either revision whether some request gains access, and whether some loses it.
///
/// `progress` is called with how many environments are done, and of how many.
///
/// # Errors
///
/// A thread that cannot be started.
pub fn compare(
    old: &Snapshot,
    new: &Snapshot,
    solver: &Solver,
    print: &dyn Print,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> std::io::Result<Vec<Comparison>> {
    let policies = old.store.policies.iter().chain(&new.store.policies);
    let both = Both { old, new, print, kept: Kept::by(policies.map(|statement| &statement.policy)) };
    let of_new = new.store.types.environments.iter().map(|environment| {
        let side = if old.store.types.environment_like(environment).is_some() { Side::Both } else { Side::New };
        (side, environment)
    });
    let of_old = old.store.types.environments.iter().map(|environment| (Side::Old, environment));
    let of_old = of_old.filter(|(_, environment)| new.store.types.environment_like(environment).is_none());
    let questions: Vec<(Side, &Environment)> = of_new.chain(of_old).collect();
    ask_all(&questions, solver, progress, |asker, (side, environment)| both.compared(asker, *side, environment))
}

struct Both<'a> {
    old: &'a Snapshot,
    new: &'a Snapshot,
    print: &'a dyn Print,
    kept: Kept,
}

impl Both<'_> {
    fn compared(&self, asker: &mut Asker<'_>, of: Side, environment: &Environment) -> Comparison {
        let asked = self.asked(asker, of, environment);
        let (gains, loses) = asked.unwrap_or_else(|why| (Found::Undecided(why.clone()), Found::Undecided(why)));
        let is_of_new_names = of == Side::New && has_new_names(environment, self.old);
        Comparison { environment: environment.to_string(), of, is_of_new_names, gains, loses }
    }

    fn asked(&self, asker: &mut Asker<'_>, of: Side, environment: &Environment) -> Result<(Found, Found), String> {
        let not_compared = |why: String| if of == Side::Both { format!("{NOT_COMPARED}{why}") } else { why };
        let half =
            |snapshot: &'_ Snapshot| -> Option<usize> { Some(snapshot.store.types.environment_like(environment)?.0) };
        let (old, new) = match of {
            Side::Both => (self.old, self.new),
            Side::New => (self.new, self.new),
            Side::Old => (self.old, self.old),
        };
        let (of_old, of_new) = (half_of(old, half(old))?, half_of(new, half(new))?);
        let shared = Shared::new(of_old, of_new).map_err(not_compared)?;
        let older = Allowing::new(&shared, of_old, of_new, true);
        let newer = Allowing::new(&shared, of_new, of_old, false);
        let allowed = |asker: &mut Asker<'_>, side: &Allowing<'_>, (store, environment): Half<'_>| {
            let read = store.policies_in(environment).map(|policy| side.read(asker, &policy.policy));
            let read = read.collect::<Result<Vec<_>, _>>()?;
            side.allowed(read.iter())
        };
        let nothing = |side: &Allowing<'_>| side.compiled_text(&["false".to_owned()]);
        let these = match of {
            Side::New => nothing(&older)?,
            _ => allowed(asker, &older, of_old).map_err(not_compared)?,
        };
        let those = match of {
            Side::Old => nothing(&newer)?,
            _ => allowed(asker, &newer, of_new).map_err(not_compared)?,
        };
        let answered = |answer: Result<Found, String>| answer.unwrap_or_else(Found::Undecided);
        let gains = answered(self.beyond(asker, &those, &these, environment, true));
        let loses = answered(self.beyond(asker, &these, &those, environment, false));
        let of_both = |found: Found, denies: [bool; 2], beside: [bool; 2]| match found {
            Found::None if denies.iter().zip(beside).any(|(denies, beside)| *denies && !beside) => {
                Found::Undecided(ONLY_STORED.to_owned())
            }
            found => found,
        };
        let (old, new) = (needed(of_old), needed(of_new));
        Ok((of_both(gains, old, new), of_both(loses, new, old)))
    }

    /// A request that `these` allow and `those` do not.
    fn beyond(
        &self,
        asker: &mut Asker<'_>,
        these: &CompiledPolicy,
        those: &CompiledPolicy,
        environment: &Environment,
        gains: bool,
    ) -> Result<Found, String> {
        let found =
            asker.ask(async |compiler| compiler.check_matches_implies_with_counterexample_opt(these, those).await)?;
        found.map_or(Ok(Found::None), |model| self.found(&model, environment, gains))
    }

    /// The request that a model stands for, if the engines decide it differently as it is printed.
    fn found(&self, model: &Env, environment: &Environment, gains: bool) -> Result<Found, String> {
        let case = |snapshot: &Snapshot, is_old| {
            let (index, _) = snapshot.store.types.environment_like(environment)?;
            model::case_of(model, index, &snapshot.store.types, apart(is_old))
        };
        let (own, other) = if gains { (self.new, self.old) } else { (self.old, self.new) };
        let allowed = case(own, !gains).ok_or("the solver found a request that cannot be written down")?;
        let shown = RefCell::new(None);
        let shows = |case: &Case| {
            let difference = self.difference(self.print.print(case, own), gains);
            let is_one = difference.is_some();
            if is_one {
                *shown.borrow_mut() = difference;
            }
            is_one
        };
        if shows(&allowed) {
            shrink::shrink(allowed, &own.store.types, &self.kept, &shows);
        } else if let Some(beside) = case(other, gains) {
            // What only the other revision reads is said beside it.
            let mut request = self.print.print(&allowed, own);
            lay_under(&mut request, &self.print.print(&beside, other), true);
            *shown.borrow_mut() = self.difference(request, gains);
        }
        let shown = shown.into_inner();
        let difference =
            shown.ok_or("the solver found a request that the engines decide alike, as it can be written down")?;
        Ok(Found::Request(Box::new(difference)))
    }

    fn difference(&self, request: Json, gains: bool) -> Option<Difference> {
        let decided = |snapshot| self.print.decide(&request, snapshot);
        let (old, new) = (decided(self.old), decided(self.new));
        let allows = |decision: &Option<Decision>| decision.as_ref().is_some_and(|decision| decision.allowed);
        ((allows(&old), allows(&new)) == (!gains, gains)).then_some(Difference { request, old, new })
    }
}

/// What stands before the reason for which nothing was asked.
const NOT_COMPARED: &str = "not compared: ";

const ONLY_STORED: &str = "of a principal or a resource that is not stored, the policies of one revision read what only the store may \
                           say, which denies, and those of the other do not";

/// Of which of the principal and the resource the policies read what only the store may say.
fn needed((store, environment): Half<'_>) -> [bool; 2] {
    need_stored(store.policies_in(environment).map(|policy| &policy.policy), environment, &store.types)
}

/// Whether the older revision does not have the action of an environment, or one of its types.
pub fn has_new_names(environment: &Environment, old: &Snapshot) -> bool {
    let types = &old.store.types;
    let has_action = types.environments.iter().any(|other| other.action == environment.action);
    let names = [&environment.principal, &environment.resource];
    !has_action || !names.into_iter().all(|name| types.entity_of(name).is_some())
}

fn half_of(snapshot: &Snapshot, index: Option<usize>) -> Result<Half<'_>, String> {
    let environment = index.and_then(|index| snapshot.store.types.environments.get(index));
    Ok((&snapshot.store, environment.ok_or("the schema has no such environment")?))
}

/// Adds to an object what another has beside, and so on in the objects in it; arrays stay as they are.
fn lay_under(request: &mut Json, more: &Json, is_whole: bool) {
    let (Json::Object(members), Json::Object(more)) = (request, more) else { return };
    for (name, value) in more {
        // What is stored is not what a caller says.
        if is_whole && name == "entities" && members.contains_key(name) {
            continue;
        }
        match members.get_mut(name) {
            Some(member) => lay_under(member, value, false),
            None => drop(members.insert(name.clone(), value.clone())),
        }
    }
}
