//! The requests for decisions: one, and many at once (AuthZEN, sections 6 and 7).

use std::marker::PhantomData;

use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, SchemaType};

use super::reading::{
    At, FromMember, FromMembers, JsonObject, object, one_of, read_whole, two_of_one_name, without_repeated, wrong_type,
};
use super::{BadRequest, Reasons};
use crate::request::json::{Json, Members};
use crate::request::{Named, Question};

object! {
    /// A request for one decision (section 6.1).
    pub struct EvaluationRequest<'a> {
        /// Who acts.
        "subject" => pub subject: Entity<'a>,
        /// What is done.
        "action" => pub action: Action<'a>,
        /// What it is done to.
        "resource" => pub resource: Entity<'a>,
        /// The circumstances.
        #[schema(required = false)]
        "context" => pub context: JsonObject<'a>,
        /// How it is answered.
        #[schema(required = false)]
        "options" => pub options: Options,
    }
}

object! {
    /// A request for many decisions (section 7.1). Each part of an item is its own or that of the request, replaced whole and
    /// never merged; a part that no item uses is not looked at, so each is read only where it is used.
    pub struct EvaluationsRequest<'a> {
        /// Who acts, in items without a subject of their own.
        #[schema(required = false, schema_with = or_denied::<Entity>)]
        "subject" => pub subject: Shared<'a, Entity<'a>>,
        /// What is done, in items without an action of their own.
        #[schema(required = false, schema_with = or_denied::<Action>)]
        "action" => pub action: Shared<'a, Action<'a>>,
        /// What it is done to, in items without a resource of their own.
        #[schema(required = false, schema_with = or_denied::<Entity>)]
        "resource" => pub resource: Shared<'a, Entity<'a>>,
        /// The circumstances, in items without a context of their own.
        #[schema(required = false, schema_with = or_denied::<JsonObject>)]
        "context" => pub context: Shared<'a, JsonObject<'a>>,
        /// The items; without any, the request is one for a single decision. One that cannot be read is denied.
        #[schema(schema_with = items)]
        "evaluations" => pub evaluations: Items<'a>,
        /// How all of them are answered.
        #[schema(required = false)]
        "options" => pub options: Options,
    }
}

object! {
    /// An item of a request for many decisions: what it does not have is that of the request.
    pub struct Evaluation<'a> {
        /// Who acts.
        #[schema(required = false, value_type = Entity)]
        "subject" => pub subject: Unread<'a, Entity<'a>>,
        /// What is done.
        #[schema(required = false, value_type = Action)]
        "action" => pub action: Unread<'a, Action<'a>>,
        /// What it is done to.
        #[schema(required = false, value_type = Entity)]
        "resource" => pub resource: Unread<'a, Entity<'a>>,
        /// The circumstances.
        #[schema(required = false, value_type = JsonObject)]
        "context" => pub context: Unread<'a, JsonObject<'a>>,
    }
}

object! {
    /// An entity: a subject or a resource (sections 5.1 and 5.2).
    pub struct Entity<'a> {
        /// The name of its type. One that the schema does not know is denied.
        "type" => pub type_name: &'a str,
        /// Its id, unique among those of its type.
        "id" => pub id: &'a str,
        /// What the caller says of it: attribute by attribute, this stands over what is stored.
        #[schema(required = false)]
        "properties" => pub properties: JsonObject<'a>,
    }
}

object! {
    /// An action (section 5.3).
    pub struct Action<'a> {
        /// Its name. One that the schema does not know is denied.
        "name" => pub name: &'a str,
        /// What the caller says of it.
        #[schema(required = false)]
        "properties" => pub properties: JsonObject<'a>,
    }
}

impl<'a> EvaluationRequest<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// A member that is missing or of a wrong type, and two members of one name anywhere.
    pub fn read(body: Members<'a>) -> Result<Self, BadRequest> {
        read_whole(body)
    }

    /// What it asks.
    pub fn question(&self) -> Question<'a> {
        question(self.subject.named(), Some(self.action), self.resource.named(), self.context)
    }
}

impl<'a> EvaluationsRequest<'a> {
    /// Reads a body, but not what it asks: that is read with each item.
    ///
    /// # Errors
    ///
    /// `evaluations` that are no array, `options` that cannot be followed, and two members of one name in the body itself.
    pub fn read(body: Members<'a>) -> Result<Self, BadRequest> {
        without_repeated(body)?;
        Self::from_members(body, "")
    }
}

impl<'a> Evaluation<'a> {
    /// Reads an item, but not what it asks.
    ///
    /// # Errors
    ///
    /// Two members of one name anywhere.
    pub fn read(item: Members<'a>) -> Result<Self, BadRequest> {
        read_whole(item)
    }

    /// What it asks by itself.
    ///
    /// # Errors
    ///
    /// A part that is missing or cannot be read.
    pub fn question(&self) -> Result<Question<'a>, BadRequest> {
        let (subject, action) = (self.subject.read()?, self.action.read()?);
        Ok(question(subject.named(), Some(action), self.resource.read()?.named(), self.context.read()?))
    }

    /// What it asks as an item of that request.
    ///
    /// # Errors
    ///
    /// A part that neither has, or that cannot be read.
    pub fn question_in(&self, request: &EvaluationsRequest<'a>) -> Result<Question<'a>, BadRequest> {
        let (subject, action) = (request.subject.under(&self.subject)?, request.action.under(&self.action)?);
        let (resource, context) = (request.resource.under(&self.resource)?, request.context.under(&self.context)?);
        Ok(question(subject.named(), Some(action), resource.named(), context))
    }
}

/// What is asked; without an action, of any.
pub(super) fn question<'a>(
    principal: Named<'a>,
    action: Option<Action<'a>>,
    resource: Named<'a>,
    context: JsonObject<'a>,
) -> Question<'a> {
    Question {
        principal,
        action: action.map(|action| action.name).unwrap_or_default(),
        action_attributes: action.map(|action| action.properties.0).unwrap_or_default(),
        resource,
        context: context.0,
    }
}

impl<'a> Entity<'a> {
    /// The entity, in the words of the engine.
    pub fn named(&self) -> Named<'a> {
        Named { type_name: self.type_name, id: self.id, attributes: self.properties.0 }
    }
}

/// A part of an item, which is read only where it is used.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'a, T> {
    json: Option<&'a Json<'a>>,
    at: At,
    part: PhantomData<T>,
}

impl<'a, T> Unread<'a, T> {
    fn read(&self) -> Result<T, BadRequest>
    where
        T: FromMember<'a>,
    {
        self.json.map_or_else(|| T::absent(self.at), |json| T::from_member(json, self.at))
    }
}

impl<'a, T> FromMember<'a> for Unread<'a, T> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        Ok(Self { json: Some(json), at, part: PhantomData })
    }

    fn absent(at: At) -> Result<Self, BadRequest> {
        Ok(Self { json: None, at, part: PhantomData })
    }
}

/// A part that items share, each of which may have its own instead.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a, T> {
    unread: Unread<'a, T>,
    /// Whether an object in it has two members of one name: looked for once, and not for each item.
    flawed: bool,
}

impl<'a, T> Shared<'a, T> {
    fn under(&self, own: &Unread<'a, T>) -> Result<T, BadRequest>
    where
        T: FromMember<'a>,
    {
        match (own.json, self.flawed) {
            (Some(_), _) => own.read(),
            (None, false) => self.unread.read(),
            (None, true) => Err(two_of_one_name(self.unread.at.name)),
        }
    }
}

impl<'a, T> FromMember<'a> for Shared<'a, T> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        Ok(Self { unread: Unread::from_member(json, at)?, flawed: json.has_duplicates() })
    }

    fn absent(at: At) -> Result<Self, BadRequest> {
        Ok(Self { unread: Unread::absent(at)?, flawed: false })
    }
}

/// What a part is read as; or anything else, which is no error.
fn or_denied<T: ToSchema>() -> AnyOfBuilder {
    let other = ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(
        "Anything else is no error: an item that it is, or that uses it, is denied, and the others are decided.",
    ));
    AnyOfBuilder::new().item(Ref::from_schema_name(T::name())).item(other)
}

/// The items of a request for many decisions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Items<'a>(
    /// As they were sent: an item that is none does not break the others.
    pub &'a [Json<'a>],
);

impl<'a> FromMember<'a> for Items<'a> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        match json {
            Json::Array(items) => Ok(Self(items)),
            other => Err(wrong_type(at, "an array", other)),
        }
    }

    fn absent(_: At) -> Result<Self, BadRequest> {
        Ok(Self::default())
    }
}

fn items() -> ArrayBuilder {
    ArrayBuilder::new().items(or_denied::<Evaluation<'_>>()).min_items(Some(1))
}

object! {
    /// The options that mean something here; all others are ignored (section 7.1.2, and this service's own).
    #[derive(Default)]
    pub struct Options {
        /// How much of the reasons is told, as far as the operator allows it.
        #[schema(nullable = false)]
        "reasons" => pub reasons: Option<Reasons>,
        /// Which decision cuts a batch short: right after the item that it is made on.
        #[schema(required = false)]
        "evaluations_semantic" => pub semantic: Semantic,
    }
}

/// Which decision cuts a batch short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Semantic {
    /// None does.
    #[default]
    ExecuteAll,
    /// The first deny.
    DenyOnFirstDeny,
    /// The first permit.
    PermitOnFirstPermit,
}

impl Semantic {
    /// Whether nothing is decided after that decision.
    pub fn stops_at(self, decision: bool) -> bool {
        matches!((self, decision), (Self::DenyOnFirstDeny, false) | (Self::PermitOnFirstPermit, true))
    }
}

impl<'a> FromMember<'a> for Semantic {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        one_of(json, at)
    }

    fn absent(_: At) -> Result<Self, BadRequest> {
        Ok(Self::default())
    }
}

impl<'a> FromMember<'a> for Reasons {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        one_of(json, at)
    }
}
