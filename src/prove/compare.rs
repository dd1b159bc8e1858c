//! Two revisions, compared by the solver: whether some request gains access, and whether some loses it.
//!
//! The policies of both are asked about under one schema, the newer one (of an environment that only the older has, the older
//! one). What the older policies could see of a difference between the schemas keeps an environment from being compared.

use cedar_policy::{Policy, RequestEnv};
use cedar_policy_symcc::CompiledPolicySet;

use super::shrink::Kept;
use super::solver::{Asker, Solver, ask_all};
use super::{as_decided, can_fail, confirmed, request_of};
use crate::engine::{Decision, Snapshot};
use crate::request::case::Case;
use crate::store::schema::Environment;
use crate::store::{Statement, changes, known, scope};

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
    /// The request, and what is stored beside it; it is one of the newer schema, in an environment that only the older has of that.
    pub case: Case,
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
    /// The older policies that type-check under the newer schema.
    fit: Vec<Statement>,
    /// Those that do not.
    unfit: Vec<Statement>,
    declarations: Vec<changes::Declaration>,
    kept: Kept,
}

impl<'a> Both<'a> {
    fn new(old: &'a Snapshot, new: &'a Snapshot) -> Self {
        let (fit, unfit) = old.store.policies_under(&new.store);
        let policies = old.store.policies.iter().chain(&new.store.policies);
        let declarations = changes::declarations(&old.store, &new.store);
        Self { old, new, fit, unfit, declarations, kept: Kept::by(policies.map(|policy| &policy.policy)) }
    }

    fn compared(&self, asker: &mut Asker<'_>, of: Side, environment: &Environment) -> Comparison {
        let asked = self.asked(asker, of, environment);
        let (gains, loses) = asked.unwrap_or_else(|why| (Found::Undecided(why.clone()), Found::Undecided(why)));
        Comparison { environment: environment.to_string(), of, gains, loses }
    }

    fn asked(&self, asker: &mut Asker<'_>, of: Side, environment: &Environment) -> Result<(Found, Found), String> {
        let own = if of == Side::Old { self.old } else { self.new };
        let at = At { both: self, of, own, environment, request: request_of(environment, &own.store)? };
        let none: &[Statement] = &[];
        let (old, new) = match of {
            Side::Both => (self.comparable(environment)?, self.new.store.policies.as_slice()),
            Side::New => (none, self.new.store.policies.as_slice()),
            Side::Old => (self.old.store.policies.as_slice(), none),
        };
        // A request that the older revision does not know it does not allow.
        let known = match of {
            Side::Both => known::requests(environment, &self.old.store.types, &self.new.store.types)
                .map_err(|why| format!("not compared: {why}"))?,
            Side::New | Side::Old => None,
        };
        let (old, new) = (at.compiled(asker, old, known.as_ref())?, at.compiled(asker, new, None)?);
        let answered = |answer: Result<Found, String>| answer.unwrap_or_else(Found::Undecided);
        Ok((answered(at.beyond(asker, &new, &old, true)), answered(at.beyond(asker, &old, &new, false))))
    }

    /// The older policies, if they mean the same under the newer schema in an environment.
    fn comparable(&self, environment: &Environment) -> Result<&[Statement], String> {
        let schema = &self.new.store.schema;
        let applies = |policy: &&Statement| {
            let own = self.old.store.types.environment_like(environment);
            scope::can_match(&policy.policy, environment, schema)
                || own.is_some_and(|(_, own)| scope::can_match(&policy.policy, own, &self.old.store.schema))
        };
        if let Some(policy) = self.unfit.iter().find(applies) {
            return Err(format!(
                "not compared: the older policy `{}` does not type-check under the newer schema",
                policy.id
            ));
        }
        for policy in self.fit.iter().filter(applies) {
            if let Some(declaration) = self.declarations.iter().find(|declaration| declaration.is_asked_for_by(policy))
            {
                return Err(format!(
                    "not compared: the older policy `{}` asks for what the schemas declare differently, `{}`",
                    policy.id, declaration.name
                ));
            }
        }
        Ok(&self.fit)
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

/// The questions of one environment.
struct At<'b, 'a> {
    both: &'b Both<'a>,
    of: Side,
    own: &'b Snapshot,
    environment: &'b Environment,
    request: RequestEnv,
}

impl At<'_, '_> {
    /// The policies that apply, as the engine decides by them; nothing is permitted where `known` does not match.
    fn compiled(
        &self,
        asker: &mut Asker<'_>,
        policies: &[Statement],
        known: Option<&Policy>,
    ) -> Result<CompiledPolicySet, String> {
        let schema = &self.own.store.schema;
        let applying = policies.iter().filter(|policy| scope::can_match(&policy.policy, self.environment, schema));
        let applying: Vec<&Policy> = applying.map(|policy| &policy.policy).collect();
        let can_fail = can_fail(asker, &applying, &self.request, schema)?;
        as_decided(&applying, &can_fail, known, &self.request, schema)
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
        let shows = |case: &Case| {
            let (old, new) = self.both.decided(self.of, case);
            (allows(old), allows(new)) == (!gains, gains)
        };
        let types = &self.own.store.types;
        let (index, _) = types.environment_like(self.environment).ok_or("no such environment")?;
        let case = confirmed(&model, index, types, &self.both.kept, &shows)?;
        let (old, new) = self.both.decided(self.of, &case);
        Ok(Found::Request(Box::new(Difference { case, old, new })))
    }
}
