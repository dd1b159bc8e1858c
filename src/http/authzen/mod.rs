//! The OpenID AuthZEN Authorization API 1.0: what its bodies mean, and what is answered.
//!
//! Nothing else in the project knows AuthZEN's field names. Each is written once, in the type that has the field: requests are
//! read by their types (`reading`), answers are serialized from theirs, and the OpenAPI document is made of both.

mod evaluation;
mod reading;
mod reasons;
mod requests;
mod search;

use super::callers::Caller;
use crate::request::InvalidRequest;
use crate::request::json::JsonError;
use crate::request::place::{Part, Place};

pub(super) use evaluation::Slice;
pub use evaluation::{EvaluationResponse, EvaluationsResponse, evaluation, evaluations, question};
pub use reading::JsonObject;
pub(super) use reading::members;
pub use reasons::{ReasonContext, Reasons, answer};
pub use requests::{
    Action, Entity, Evaluation, EvaluationRequest, EvaluationsRequest, Items, Options, Semantic, Shared, Unread,
};
pub use search::{
    ActionSearchRequest, FoundAction, FoundEntity, Limit, Page, PageResponse, ResourceSearchRequest, SearchResponse,
    SubjectSearchRequest, Target, Token,
};

/// What a service allows its callers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The most items of a batch.
    pub batch_items: usize,
    /// The deepest nesting of a body, in levels of arrays and objects.
    pub depth: usize,
    /// The most results of a page of a search.
    pub page_results: usize,
    /// The reasons that a caller gets who asks for nothing.
    pub reasons: Reasons,
    /// The most reasons that a caller can get.
    pub max_reasons: Reasons,
}

impl Limits {
    /// The reasons that a caller gets who asks for these.
    pub fn reasons_for(&self, asked: Option<Reasons>) -> Reasons {
        asked.unwrap_or(self.reasons).min(self.max_reasons)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            batch_items: 1000,
            depth: 64,
            page_results: 1000,
            reasons: Reasons::None,
            max_reasons: Reasons::User,
        }
    }
}

/// Why a body cannot be answered with a decision: status 400, with this as its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not JSON, or nested too deeply.
    #[error("the body is {0}")]
    Json(#[from] JsonError),
    /// Not of the shape that AuthZEN gives the body.
    #[error("{0}")]
    Shape(String),
    /// A value of another type than the schema declares.
    #[error("`{}` must be {}, but is {}", shown(&.0.place), .0.expected, .0.found)]
    Invalid(#[from] InvalidRequest),
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be: status 400.
    #[error(transparent)]
    Bad(#[from] BadRequest),
    /// Its caller may not ask it: status 403.
    #[error("the caller may not ask about this action and these types")]
    NotAllowed,
    /// The service cannot: status 500.
    #[error("the search cannot be continued: no token for the next page can be made")]
    Failed,
}

impl Refusal {
    /// Nothing, if the caller may ask about that action and these types.
    ///
    /// # Errors
    ///
    /// That it may not.
    pub fn unless_allowed(caller: &Caller, action: &str, types: [&str; 2]) -> Result<(), Self> {
        if caller.may_ask(action, types) { Ok(()) } else { Err(Self::NotAllowed) }
    }
}

impl From<InvalidRequest> for Refusal {
    fn from(error: InvalidRequest) -> Self {
        Self::Bad(error.into())
    }
}

impl From<JsonError> for Refusal {
    fn from(error: JsonError) -> Self {
        Self::Bad(error.into())
    }
}

/// A place in AuthZEN's words.
pub fn shown(place: &Place) -> String {
    let part = match place.part {
        Part::PrincipalId => "subject.id",
        Part::Principal => "subject.properties",
        Part::Action => "action.properties",
        Part::ResourceId => "resource.id",
        Part::Resource => "resource.properties",
        Part::Context => "context",
    };
    format!("{part}{}", place.path)
}
