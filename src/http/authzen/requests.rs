//! The requests for decisions: one, and many at once (AuthZEN, sections 6 and 7).

use std::marker::PhantomData;

use serde::Deserialize;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::reading::{
    At, FromMember, FromMembers, JsonObject, object, one_of, read_whole, shape, two_of_one_name, without_repeated,
    wrong_type,
};
use super::unread::UnreadMembers;
use super::{BadRequest, Reasons};
use crate::request::json::{Json, Members, member};
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
        #[schema(required = false, nullable)]
        "context" => pub context: JsonObject<'a>,
        /// How it is answered.
        #[schema(required = false, nullable)]
        "options" => pub options: Options,
    }
}

object! {
    /// A request for many decisions (section 7.1). Each part of an item is its own or that of the request, replaced whole and
    /// never merged; a part that no item uses is not looked at, so each is read only where it is used.
    pub struct EvaluationsRequest<'a> {
        /// Who acts, in items without a subject of their own.
        #[schema(required = false, value_type = Entity)]
        "subject" => pub subject: Shared<'a, Entity<'a>>,
        /// What is done, in items without an action of their own.
        #[schema(required = false, value_type = Action)]
        "action" => pub action: Shared<'a, Action<'a>>,
        /// What it is done to, in items without a resource of their own.
        #[schema(required = false, value_type = Entity)]
        "resource" => pub resource: Shared<'a, Entity<'a>>,
        /// The circumstances, in items without a context of their own.
        #[schema(required = false, nullable, value_type = JsonObject)]
        "context" => pub context: Shared<'a, JsonObject<'a>>,
        /// What is to be decided; without any, the request is one for a single decision. An item that cannot be read, or that uses a part
        /// that cannot, is denied, and the others are decided. How many are taken at most is for the operator to say.
        #[schema(value_type = Vec<Evaluation>, min_items = 1)]
        "evaluations" => pub evaluations: Items<'a>,
        /// How all of them are answered.
        #[schema(required = false, nullable)]
        "options" => pub options: Options,
    }
}

object! {
    /// An item of a request for many decisions: what it does not have is that of the request.
    pub struct Evaluation<'a> {
        /// Who acts.
        #[schema(required = false, value_type = Entity)]
        "subject" => pub subject: UnreadPart<'a, Entity<'a>>,
        /// What is done.
        #[schema(required = false, value_type = Action)]
        "action" => pub action: UnreadPart<'a, Action<'a>>,
        /// What it is done to.
        #[schema(required = false, value_type = Entity)]
        "resource" => pub resource: UnreadPart<'a, Entity<'a>>,
        /// The circumstances.
        #[schema(required = false, nullable, value_type = JsonObject)]
        "context" => pub context: UnreadPart<'a, JsonObject<'a>>,
        /// How it is answered, where that is more than the request says of all items.
        #[schema(required = false, nullable, value_type = ItemOptions)]
        "options" => pub options: UnreadPart<'a, ItemOptions>,
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
        #[schema(required = false, nullable)]
        "properties" => pub properties: JsonObject<'a>,
        /// Its tags: key by key, these stand over what is stored.
        #[schema(required = false, nullable)]
        "tags" => pub tags: JsonObject<'a>,
        /// What it is in, each as its type and id: of a stored entity beside what is stored, where its type takes that from a caller.
        #[schema(required = false, nullable)]
        "parents" => pub parents: Parents<'a>,
    }
}

object! {
    /// An action (section 5.3).
    pub struct Action<'a> {
        /// Its name. One that the schema does not know is denied.
        "name" => pub name: &'a str,
        /// What the caller says of it.
        #[schema(required = false, nullable)]
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

    /// The members of a body that are not read.
    pub fn unread(body: Members<'a>) -> UnreadMembers {
        UnreadMembers::of::<Self>(body)
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
        // What the items share is looked through when it is read.
        if let Some(Json::Object(options)) = member(body, "options") {
            without_repeated(options)?;
        }
        Self::from_members(body, "")
    }

    /// What its items share, read once and not for each of them.
    pub(super) fn shared(&self, body: Members<'a>) -> SharedParts<'a> {
        SharedParts {
            unread: UnreadMembers::of::<Self>(body),
            subject: self.subject.part(),
            action: self.action.part(),
            resource: self.resource.part(),
            context: self.context.part(),
        }
    }

    /// What a body may be, for the OpenAPI document: a request with items, or one for a single decision.
    pub fn body_schema() -> AnyOfBuilder {
        let (many, one) = (Self::name(), EvaluationRequest::name());
        AnyOfBuilder::new().item(Ref::from_schema_name(many)).item(Ref::from_schema_name(one))
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

    /// How it is answered.
    ///
    /// # Errors
    ///
    /// Options that cannot be followed.
    pub(super) fn options(&self) -> Result<ItemOptions, BadRequest> {
        self.options.read()
    }

    /// The members that are not read: those of the batch, its own, and those of the parts that it takes from the batch.
    pub(super) fn unread(&self, item: Members<'a>, batch: &SharedParts<'a>) -> UnreadMembers {
        let mut unread = batch.unread.clone();
        <Self as FromMembers>::note_unread(item, "", &mut unread);
        let taken = [
            (self.subject.json, &batch.subject.unread),
            (self.action.json, &batch.action.unread),
            (self.resource.json, &batch.resource.unread),
        ];
        taken.into_iter().filter(|(own, _)| own.is_none()).for_each(|(_, shared)| unread.add(shared));
        unread
    }

    /// The name of the action that it asks about as an item of that batch, where that can be read.
    pub(super) fn action_in(&self, batch: &SharedParts<'a>) -> Option<&'a str> {
        batch.action.under(&self.action).ok().map(|action| action.name)
    }

    /// What it asks as an item of that batch.
    ///
    /// # Errors
    ///
    /// A part that neither has, or that cannot be read.
    pub(super) fn question_in(&self, batch: &SharedParts<'a>) -> Result<Question<'a>, BadRequest> {
        let (subject, action) = (batch.subject.under(&self.subject)?, batch.action.under(&self.action)?);
        let (resource, context) = (batch.resource.under(&self.resource)?, batch.context.under(&self.context)?);
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
        Named {
            type_name: self.type_name,
            id: self.id,
            attributes: self.properties.0,
            tags: self.tags.0,
            parents: self.parents.0,
        }
    }
}

/// What an entity is in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parents<'a>(
    /// Each as it was sent.
    pub &'a [Json<'a>],
);

impl<'a> FromMember<'a> for Parents<'a> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        let Json::Array(parents) = json else { return Err(wrong_type(at, "an array", json)) };
        match parents.iter().position(|parent| !is_reference(parent)) {
            Some(place) => Err(shape(format!(
                "`{}.{}[{place}]` must be an id, or an object with the strings `type` and `id`",
                at.object, at.name
            ))),
            None => Ok(Self(parents)),
        }
    }

    fn absent(_: At) -> Result<Self, BadRequest> {
        Ok(Self::default())
    }
}

/// Whether it can name an entity: which one, and whether there can be one, is for the schema to say.
fn is_reference(json: &Json<'_>) -> bool {
    let has_text = |name: &str| json.get(name).is_some_and(|member| member.as_str().is_some());
    json.as_str().is_some() || (has_text("type") && has_text("id"))
}

impl PartialSchema for Parents<'_> {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let entity =
            ObjectBuilder::new().property("type", text()).property("id", text()).required("type").required("id");
        let id = text().description(Some("The id, where there is one type of parents."));
        ArrayBuilder::new().items(AnyOfBuilder::new().item(entity).item(id)).into()
    }
}

impl ToSchema for Parents<'_> {}

/// What the items of a batch share.
#[derive(Clone, Debug)]
pub(super) struct SharedParts<'a> {
    /// The members of the body itself and of its options that are not read.
    pub(super) unread: UnreadMembers,
    subject: SharedPart<Entity<'a>>,
    action: SharedPart<Action<'a>>,
    resource: SharedPart<Entity<'a>>,
    context: SharedPart<JsonObject<'a>>,
}

impl SharedParts<'_> {
    /// The members that are not read where there are no items.
    pub(super) fn unread_of_single(&self) -> UnreadMembers {
        let mut unread = self.unread.clone();
        for part in [&self.subject.unread, &self.action.unread, &self.resource.unread] {
            unread.add(part);
        }
        unread
    }
}

/// A part for the items that have none of their own.
#[derive(Clone, Debug)]
struct SharedPart<T> {
    /// The part; or what is wrong with it, which only matters where an item takes it.
    read: Result<T, BadRequest>,
    /// The members in it that are not read.
    unread: UnreadMembers,
}

impl<T: Copy> SharedPart<T> {
    fn under<'a>(&self, own: &UnreadPart<'a, T>) -> Result<T, BadRequest>
    where
        T: FromMember<'a>,
    {
        if own.json.is_some() { own.read() } else { self.read.clone() }
    }
}

/// A part of an item, which is read only where it is used.
#[derive(Clone, Copy, Debug)]
pub struct UnreadPart<'a, T> {
    json: Option<&'a Json<'a>>,
    at: At,
    part: PhantomData<T>,
}

impl<'a, T> UnreadPart<'a, T> {
    fn read(&self) -> Result<T, BadRequest>
    where
        T: FromMember<'a>,
    {
        self.json.map_or_else(|| T::absent(self.at), |json| T::from_member(json, self.at))
    }
}

impl<'a, T: FromMember<'a>> FromMember<'a> for UnreadPart<'a, T> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        Ok(Self { json: Some(json), at, part: PhantomData })
    }

    /// A null stands for nothing where the part may be absent altogether; else it is read, and is wrong.
    fn from_null(null: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        Ok(Self { json: T::absent(at).is_err().then_some(null), at, part: PhantomData })
    }

    fn note_unread_in(json: &'a Json<'a>, name: &'static str, unread: &mut UnreadMembers) {
        T::note_unread_in(json, name, unread);
    }

    fn absent(at: At) -> Result<Self, BadRequest> {
        Ok(Self { json: None, at, part: PhantomData })
    }
}

/// A part that items share, each of which may have its own instead.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a, T> {
    unread: UnreadPart<'a, T>,
    /// Whether an object in it has two members of one name.
    flawed: bool,
}

impl<'a, T> Shared<'a, T> {
    fn part(&self) -> SharedPart<T>
    where
        T: FromMember<'a>,
    {
        let Self { unread: part, flawed } = self;
        let read = if *flawed { Err(two_of_one_name(part.at.name)) } else { part.read() };
        let mut unread = UnreadMembers::default();
        if let Some(json) = part.json {
            T::note_unread_in(json, part.at.name, &mut unread);
        }
        SharedPart { read, unread }
    }
}

impl<'a, T: FromMember<'a>> FromMember<'a> for Shared<'a, T> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        Ok(Self { unread: UnreadPart::from_member(json, at)?, flawed: json.has_duplicates() })
    }

    fn from_null(null: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        Ok(Self { unread: UnreadPart::from_null(null, at)?, flawed: false })
    }

    fn absent(at: At) -> Result<Self, BadRequest> {
        Ok(Self { unread: UnreadPart::absent(at)?, flawed: false })
    }
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

object! {
    /// The options that mean something here; all others are not read (section 7.1.2, and this service's own).
    #[derive(Default)]
    pub struct Options {
        /// How much of the reasons is told, as far as the operator allows it.
        #[schema(required = false)]
        "reasons" => pub reasons: Option<Reasons>,
        /// Which decision cuts a batch short: right after the item that it is made on.
        #[schema(required = false, nullable)]
        "evaluations_semantic" => pub semantic: Semantic,
        /// Whether a member that is not read is refused: with 400, in a batch by denying the item.
        #[schema(required = false)]
        "strict" => pub strict: Option<bool>,
    }
}

object! {
    /// The options of an item of a batch that mean something; all others are not read.
    #[derive(Default)]
    pub struct ItemOptions {
        /// How much of the reasons is told of this item, as far as the operator allows it.
        #[schema(required = false)]
        "reasons" => pub reasons: Option<Reasons>,
        /// Whether the item is denied where a member is sent that is not read. An item of a strict request is strict, whatever it says.
        #[schema(required = false)]
        "strict" => pub strict: Option<bool>,
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
