//! What a decision says: yes or no, by which policies, and what stood in the way.

use std::sync::Arc;

use cedar_policy_core::evaluator::EvaluationError;

use super::cedar::CedarRequest;
use super::direct::View;
use super::index::Candidate;
use crate::request::place::Places;
use crate::request::{TypedRequest, Unknown};
use crate::store::{Clauses, Statement};

/// A decision, with everything that determined it.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// How it came about.
    pub outcome: Outcome,
    /// What the caller sent, but the schema does not declare.
    pub dropped: Places,
}

/// How a decision came about.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The policies were evaluated.
    Evaluated {
        /// The satisfied permits of an allow, the satisfied forbids of a deny; in the order of their ids.
        determining: Vec<Arc<PolicyNote>>,
        /// What went wrong. A decision with errors is a deny.
        errors: Vec<PolicyError>,
        /// On a deny in which no forbid is satisfied and nothing went wrong: the permits that could have allowed it.
        not_permitted: Arc<[Arc<PolicyNote>]>,
    },
    /// What the schema requires of the principal, the resource or the context is not there: a deny.
    Missing(Places),
    /// The schema knows nothing that was asked about: a deny.
    Unknown(Unknown),
    /// The request could not be evaluated at all: a deny.
    Failed(String),
}

/// An error that a policy raised.
#[derive(Clone, Debug)]
pub struct PolicyError {
    /// The policy.
    pub policy: Option<Arc<PolicyNote>>,
    /// What kind of error it is; it holds nothing of the request.
    pub kind: &'static str,
    /// What went wrong, in Cedar's words, which may hold values of the request; of what is `@sensitive`, only the kind.
    pub message: String,
}

/// What came of the policies whose scope holds for a request.
#[derive(Default)]
pub(super) struct Evaluated {
    /// The permits that are satisfied.
    permits: Vec<Arc<PolicyNote>>,
    /// The forbids that are satisfied.
    forbids: Vec<Arc<PolicyNote>>,
    errors: Vec<PolicyError>,
}

impl Evaluated {
    /// What can be told without Cedar, and the policies that are left to it.
    pub(super) fn directly<'p>(policies: Vec<&'p Candidate>, view: &View<'_>) -> (Self, Vec<&'p Candidate>) {
        let (mut evaluated, mut left) = (Self::default(), Vec::new());
        for policy in policies {
            match policy.direct.holds(view) {
                Some(holds) => evaluated.take(policy, holds),
                None => left.push(policy),
            }
        }
        (evaluated, left)
    }

    /// Takes up what Cedar says of these policies.
    pub(super) fn ask(&mut self, policies: &[&Candidate], cedar: &CedarRequest) {
        let evaluator = cedar.evaluator();
        for policy in policies {
            match evaluator.holds(&policy.rule) {
                Ok(holds) => self.take(policy, holds),
                Err(error) => {
                    let kind = kind_of(&error);
                    // Cedar's words may hold what the policy read.
                    let why = if policy.reads_sensitive { kind.to_owned() } else { error.to_string() };
                    let message = format!("error while evaluating policy `{}`: {why}", policy.note.id);
                    self.errors.push(PolicyError { policy: Some(Arc::clone(&policy.note)), kind, message });
                }
            }
        }
    }

    fn take(&mut self, policy: &Candidate, holds: bool) {
        let satisfied = if policy.note.permits { &mut self.permits } else { &mut self.forbids };
        satisfied.extend(holds.then(|| Arc::clone(&policy.note)));
    }

    /// Whether it is an allow: with an error, none is.
    pub(super) fn allows(&self) -> bool {
        self.errors.is_empty() && self.forbids.is_empty() && !self.permits.is_empty()
    }
}

/// The kind of an error of Cedar.
fn kind_of(error: &EvaluationError) -> &'static str {
    match error {
        EvaluationError::EntityDoesNotExist(_) => "the entity does not exist",
        EvaluationError::EntityAttrDoesNotExist(_) => "the entity does not have the attribute or tag",
        EvaluationError::RecordAttrDoesNotExist(_) => "the record does not have the attribute",
        EvaluationError::TypeError(_) => "a value is of the wrong type",
        EvaluationError::IntegerOverflow(_) => "the number is beyond 64 bits",
        EvaluationError::FailedExtensionFunctionExecution(_) => "an extension function failed",
        EvaluationError::RecursionLimit(_) => "the expression is nested too deeply",
        _ => "it cannot be evaluated",
    }
}

/// What there is to say about a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyNote {
    /// Its id.
    pub id: String,
    /// Whether it permits.
    pub permits: bool,
    /// `@reason`: the sentence for a person.
    pub reason: Option<String>,
    /// The clauses that it cites: their ids and texts.
    pub clauses: Vec<(String, String)>,
}

impl PolicyNote {
    pub(super) fn new(policy: &Statement, clauses: Option<&Clauses>) -> Self {
        let text = |id: &String| {
            let clause = clauses.and_then(|clauses| clauses.get(id));
            (id.clone(), clause.map(|clause| clause.text.clone()).unwrap_or_default())
        };
        Self {
            id: policy.id.clone(),
            permits: policy.permits(),
            reason: policy.reason().map(str::to_owned),
            clauses: policy.sources.iter().map(text).collect(),
        }
    }
}

impl Decision {
    pub(super) fn unknown(unknown: Unknown) -> Self {
        Self { allowed: false, outcome: Outcome::Unknown(unknown), dropped: Places::default() }
    }

    pub(super) fn missing(request: &TypedRequest) -> Self {
        let outcome = Outcome::Missing(request.missing.clone());
        Self { allowed: false, outcome, dropped: request.dropped.clone() }
    }

    pub(super) fn failed(request: &TypedRequest, message: &str) -> Self {
        let outcome = Outcome::Failed(message.to_owned());
        Self { allowed: false, outcome, dropped: request.dropped.clone() }
    }

    pub(super) fn evaluated(request: &TypedRequest, evaluated: Evaluated, permits: &Arc<[Arc<PolicyNote>]>) -> Self {
        let allowed = evaluated.allows();
        let Evaluated { permits: satisfied, forbids, mut errors } = evaluated;
        let mut determining = if forbids.is_empty() { satisfied } else { forbids };
        determining.sort();
        errors.sort_by(|left, right| (&left.policy, &left.message).cmp(&(&right.policy, &right.message)));
        let unsatisfied = determining.is_empty() && errors.is_empty();
        let not_permitted = if unsatisfied { Arc::clone(permits) } else { Arc::default() };
        Self {
            allowed,
            outcome: Outcome::Evaluated { determining, errors, not_permitted },
            dropped: request.dropped.clone(),
        }
    }

    /// The policies that determined the decision; none where no policy was asked.
    pub fn determining(&self) -> &[Arc<PolicyNote>] {
        match &self.outcome {
            Outcome::Evaluated { determining, .. } => determining,
            _ => &[],
        }
    }

    /// Every policy that there is something to say about: those that determined the decision, those that failed, and those that
    /// could have permitted.
    pub fn spoken_of(&self) -> impl Iterator<Item = &Arc<PolicyNote>> {
        let (determining, errors, not_permitted) = match &self.outcome {
            Outcome::Evaluated { determining, errors, not_permitted } => {
                (determining.as_slice(), errors.as_slice(), &not_permitted[..])
            }
            _ => (&[][..], &[][..], &[][..]),
        };
        errors.iter().filter_map(|error| error.policy.as_ref()).chain(determining).chain(not_permitted)
    }

    /// The errors that policies raised.
    pub fn errors(&self) -> &[PolicyError] {
        match &self.outcome {
            Outcome::Evaluated { errors, .. } => errors,
            _ => &[],
        }
    }
}
