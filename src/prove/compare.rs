//! Two revisions, compared by the solver: whether some request gains access, and whether some loses it.
//!
//! The policies of both are asked about under one schema, the newer one (of an environment that only the older has, the older
//! one); and whether the older allows what the newer does not know, under the older. What the older policies could see of a
//! difference between the schemas keeps an environment from being compared.

use cedar_policy::{Policy, RequestEnv};
use cedar_policy_symcc::{CompiledPolicySet, Env};

use super::shrink::Kept;
use super::solver::{Asker, Solver, ask_all};
use super::{as_decided, can_fail, confirmed, member_of, request_of};
use crate::engine::{Decision, Snapshot};
use crate::request::case::Case;
use crate::store::known::{self, Known};
use crate::store::schema::Environment;
use crate::store::{changes, policy};

/// What the solver says about two revisions in one environment.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The environment, as a person reads it.
    pub environment: String,
    /// Which revision has such requests.
    pub of: Side,
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
    /// The request, and what is stored beside it.
    pub case: Case,
    /// Whether it is a request of the older schema, which the newer does not have.
    pub is_of_older: bool,
    /// What the older revision decides; `None` where it has no such request.
    pub old: Option<Decision>,
    /// What the newer revision decides; `None` where it has no such request.
    pub new: Option<Decision>,
}

impl Comparison {
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
    progress: &(dyn Fn(usize, usize) + Sync),
) -> std::io::Result<Vec<Comparison>> {
    let both = Both::new(old, new);
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
    declarations: Vec<changes::Declaration>,
    kept: Kept,
}

impl<'a> Both<'a> {
    fn new(old: &'a Snapshot, new: &'a Snapshot) -> Self {
        let policies = old.store.policies.iter().chain(&new.store.policies);
        let declarations = changes::declarations(&old.store, &new.store);
        Self { old, new, declarations, kept: Kept::by(policies.map(|statement| &statement.policy)) }
    }

    fn compared(&self, asker: &mut Asker<'_>, of: Side, environment: &Environment) -> Comparison {
        let asked = self.asked(asker, of, environment);
        let (gains, loses) = asked.unwrap_or_else(|why| (Found::Undecided(why.clone()), Found::Undecided(why)));
        Comparison { environment: environment.to_string(), of, gains, loses }
    }

    fn asked(&self, asker: &mut Asker<'_>, of: Side, environment: &Environment) -> Result<(Found, Found), String> {
        let own = if of == Side::Old { self.old } else { self.new };
        let at = At::new(self, of, own, environment)?;
        let (mut known, mut old, mut new) = (None, Vec::new(), Vec::new());
        if of == Side::Both {
            // A request that the older revision does not know it does not allow.
            known = match known::requests(environment, &self.old.store.types, &self.new.store.types) {
                Ok(Known::All) => None,
                Ok(Known::These(known)) => Some(known),
                Ok(Known::None(why)) | Err(why) => return Err(format!("not compared: {why}")),
            };
            old = self.comparable(environment)?;
        }
        if of == Side::Old {
            old = self.old.store.policies_in(environment).map(|policy| policy.policy.clone()).collect();
        } else {
            new = self.new.store.policies_in(environment).map(|policy| policy.policy.clone()).collect();
        }
        let older = at.compiled(asker, &old, known.as_deref());
        let older = match of {
            Side::Both => {
                older.map_err(|why| format!("not compared: of the older policies, under the newer schema: {why}"))?
            }
            Side::New | Side::Old => older?,
        };
        let newer = at.compiled(asker, &new, None)?;
        let answered = |answer: Result<Found, String>| answer.unwrap_or_else(Found::Undecided);
        let gains = answered(at.beyond(asker, &newer, &older, true));
        let loses = match answered(at.beyond(asker, &older, &newer, false)) {
            Found::None if of == Side::Both => answered(self.vanished(asker, environment)),
            found => found,
        };
        Ok((gains, loses))
    }

    /// The older policies of an environment, for any action, if they mean the same under the newer schema.
    fn comparable(&self, environment: &Environment) -> Result<Vec<Policy>, String> {
        let mut policies = Vec::new();
        for policy in self.old.store.policies_in(environment) {
            if let Some(declaration) = self.declarations.iter().find(|declaration| declaration.is_asked_for_by(policy))
            {
                return Err(format!(
                    "not compared: the older policy `{}` asks for what the schemas declare differently, `{}`",
                    policy.id, declaration.name
                ));
            }
            policies.push(for_any_action(&policy.policy)?);
        }
        Ok(policies)
    }

    /// A request that the older revision allows, and the newer does not know.
    fn vanished(&self, asker: &mut Asker<'_>, environment: &Environment) -> Result<Found, String> {
        let (_, older) =
            self.old.store.types.environment_like(environment).ok_or("the older schema has no such environment")?;
        let known = match known::requests(older, &self.new.store.types, &self.old.store.types)? {
            Known::All => return Ok(Found::None),
            Known::These(known) => Some(policy::permit_when(&format!("!({})", known.as_ref().as_ref().condition()))?),
            Known::None(_) => None,
        };
        let at = At::new(self, Side::Old, self.old, older)?;
        let policies: Vec<Policy> = self.old.store.policies_in(older).map(|policy| policy.policy.clone()).collect();
        let allowed = at.compiled(asker, &policies, known.as_ref())?;
        let found = asker.ask(async |compiler| compiler.check_always_denies_with_counterexample_opt(&allowed).await)?;
        let Some(model) = found else { return Ok(Found::None) };
        let (old, new) = (&self.old.store.types, &self.new.store.types);
        at.found(&model, &|case| self.old.decide_case(case).allowed && case.under(old, new).is_none())
    }

    /// What both revisions decide on a request of the newer schema, or of the older.
    fn decided(&self, of: Side, case: &Case) -> (Option<Decision>, Option<Decision>) {
        let (old, new) = (&self.old.store.types, &self.new.store.types);
        match of {
            Side::Old => (Some(self.old.decide_case(case)), None),
            Side::New => (None, Some(self.new.decide_case(case))),
            Side::Both => {
                (case.under(new, old).map(|case| self.old.decide_case(&case)), Some(self.new.decide_case(case)))
            }
        }
    }
}

/// The policy without what its scope says of the action: which actions there are beside, and of which groups, may have changed.
fn for_any_action(policy: &Policy) -> Result<Policy, String> {
    let mut json = policy.to_json().map_err(|error| error.to_string())?;
    *member_of(&mut json, "action")? = serde_json::json!({ "op": "All" });
    Policy::from_json(Some(policy.id().clone()), json).map_err(|error| error.to_string())
}

/// The questions of one environment.
struct At<'b, 'a> {
    both: &'b Both<'a>,
    of: Side,
    own: &'b Snapshot,
    environment: &'b Environment,
    request: RequestEnv,
}

impl<'b, 'a> At<'b, 'a> {
    fn new(both: &'b Both<'a>, of: Side, own: &'b Snapshot, environment: &'b Environment) -> Result<Self, String> {
        Ok(Self { both, of, own, environment, request: request_of(environment, &own.store)? })
    }

    /// The policies, as the engine decides by them; nothing is permitted where `known` does not match.
    fn compiled(
        &self,
        asker: &mut Asker<'_>,
        policies: &[Policy],
        known: Option<&Policy>,
    ) -> Result<CompiledPolicySet, String> {
        let schema = &self.own.store.schema;
        let policies: Vec<&Policy> = policies.iter().collect();
        let can_fail = can_fail(asker, &policies, &self.request, schema)?;
        as_decided(&policies, &can_fail, known, &self.request, schema)
    }

    /// A request that `these` allow and `those` do not.
    fn beyond(
        &self,
        asker: &mut Asker<'_>,
        these: &CompiledPolicySet,
        those: &CompiledPolicySet,
        gains: bool,
    ) -> Result<Found, String> {
        let model = asker.ask(async |compiler| compiler.check_implies_with_counterexample_opt(these, those).await)?;
        let Some(model) = model else { return Ok(Found::None) };
        let allows = |decision: Option<Decision>| decision.is_some_and(|decision| decision.allowed);
        self.found(&model, &|case| {
            let (old, new) = self.both.decided(self.of, case);
            (allows(old), allows(new)) == (!gains, gains)
        })
    }

    fn found(&self, model: &Env, shows: &dyn Fn(&Case) -> bool) -> Result<Found, String> {
        let types = &self.own.store.types;
        let (index, _) = types.environment_like(self.environment).ok_or("no such environment")?;
        let case = confirmed(model, index, types, &self.both.kept, shows)?;
        let (old, new) = self.both.decided(self.of, &case);
        Ok(Found::Request(Box::new(Difference { case, is_of_older: self.of == Side::Old, old, new })))
    }
}
