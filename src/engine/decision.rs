//! What a decision says: yes or no, by which policies, and what stood in the way.

use std::sync::Arc;

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
        not_permitted: Vec<Arc<PolicyNote>>,
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
    /// What went wrong, in Cedar's words.
    pub message: String,
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

    pub(super) fn evaluated(
        request: &TypedRequest,
        allowed: bool,
        mut determining: Vec<Arc<PolicyNote>>,
        mut errors: Vec<PolicyError>,
        permits: &[Arc<PolicyNote>],
    ) -> Self {
        determining.sort();
        errors.sort_by(|left, right| (&left.policy, &left.message).cmp(&(&right.policy, &right.message)));
        let unsatisfied = !allowed && determining.is_empty() && errors.is_empty();
        let not_permitted = if unsatisfied { permits.to_vec() } else { Vec::new() };
        Self {
            allowed: allowed && errors.is_empty(),
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
                (determining.as_slice(), errors.as_slice(), not_permitted.as_slice())
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
