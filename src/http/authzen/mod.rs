//! The OpenID AuthZEN Authorization API 1.0: what its bodies mean, and what is answered.
//!
//! Bodies are read by the types of requests (`reading`), each of which names its members once; answers are serialized from theirs, and the
//! OpenAPI document is made of both. Outside of this module, AuthZEN's names stand where bodies are written ([`super::body`]) and where
//! page tokens are bound to what a body says ([`super::paging`], `super::search`).

mod evaluation;
mod reading;
mod reasons;
mod requests;
mod search;
mod unread;

use serde::Deserialize;

use super::callers::Caller;
use crate::request::json::JsonError;
use crate::request::place::{Part, Place};
use crate::request::{InvalidRequest, Question};
use crate::store::schema::Types;

pub use evaluation::{
    Alone, BatchResponse, EvaluationResponse, EvaluationsResponse, evaluation, evaluations, question,
};
pub use reading::JsonObject;
pub(super) use reading::members;
pub(crate) use reasons::unknown_in_words;
pub use reasons::{About, ItemError, ReasonContext, Reasons, answer, missing_in_words};
pub(super) use reasons::{
    DROPPED, INVALID, MISSING, developer_reasons, dropped_in_words, nothing_in_words, search_context,
};
pub use requests::{
    Action, Entity, Evaluation, EvaluationRequest, EvaluationsRequest, ItemOptions, Items, Options, Parents, Semantic,
    Shared, UnreadPart,
};
pub use search::{
    ActionSearchRequest, FoundAction, FoundEntity, Limit, Page, PageResponse, ResourceSearchRequest, SearchOptions,
    SearchResponse, SubjectSearchRequest, Target, Token,
};
pub use unread::{Hints, Unread, UnreadMembers};

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
    /// What becomes of what is sent and not read.
    pub unknown_attributes: UnknownAttributes,
}

/// What becomes of what a caller sends and nobody reads: what the schema does not declare, members of AuthZEN's own objects that mean
/// nothing, and digits of a time that Cedar cannot say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownAttributes {
    /// It is dropped, and named in a header
    #[default]
    Drop,
    /// The request is refused with 400, an item of a batch is denied, and a search finds nothing
    Deny,
}

impl UnknownAttributes {
    /// The word for it in the settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Deny => "deny",
        }
    }
}

impl Limits {
    /// Whether what is sent and not read is refused: where the service is set so, its caller is, or the request asks for it.
    pub fn is_strict(&self, caller: &Caller, asked: Option<bool>) -> bool {
        self.unknown_attributes == UnknownAttributes::Deny || caller.is_strict() || asked == Some(true)
    }

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
            unknown_attributes: UnknownAttributes::Drop,
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
    /// Something that the request states cannot be meant.
    #[error("{}", .0.in_words(shown))]
    Invalid(#[from] InvalidRequest),
    /// Something is sent and not read, and that is refused.
    #[error("what is sent here must be read, and this is not: {0}")]
    Unread(String),
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
    /// Nothing, if the caller may ask that.
    ///
    /// # Errors
    ///
    /// That it may not.
    pub fn unless_allowed(caller: &Caller, question: &Question<'_>, types: &Types) -> Result<(), Self> {
        if caller.may_ask(question, types) { Ok(()) } else { Err(Self::NotAllowed) }
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Bad(_) => 400,
            Self::NotAllowed => 403,
            Self::Failed => 500,
        }
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
        Part::PrincipalTags => "subject.tags",
        Part::PrincipalParents => "subject.parents",
        Part::ResourceTags => "resource.tags",
        Part::ResourceParents => "resource.parents",
        Part::Context => "context",
    };
    format!("{part}{}", place.path)
}
