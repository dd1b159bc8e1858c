//! From plain JSON values and a schema to a typed request.
//!
//! [`resolve`] takes what a caller says ([`Question`]), lays it over what is stored, has the plugins read the raw strings,
//! drops what the schema does not declare, and gives a [`TypedRequest`], in which nothing can be of a wrong type. A caller's
//! `__entity` and `__extn` are names like any other: values are typed by the schema, never by themselves.

pub mod case;
pub mod extension;
pub mod facts;
mod invalid;
pub mod json;
pub mod number;
mod overlay;
pub mod place;
mod said;
pub mod stored;
pub mod undeclared;
pub mod value;
pub mod words;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use smol_str::SmolStr;

use crate::store::schema::{EntityType, Environment, RecordShape, Shape, Types};
use facts::{Roots, read_facts};
pub use invalid::{Fault, InvalidRequest, Time};
use json::{Json, Members, member};
use overlay::Overlaid;
pub use overlay::overlaid;
use place::{Part, Participant, Place, Places, Way};
use said::Said;
use stored::StoredEntities;
use value::{Decoder, MaskedPlace, Record, Speaker, Value};

pub use value::Facts;

/// The member of the context that holds what the caller says of the action itself.
pub const ACTION_MEMBER: &str = "action";

/// What a caller asks, in plain values.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who acts.
    pub principal: Named<'a>,
    /// The id of the action, or its whole Cedar name.
    pub action: &'a str,
    /// What the caller says of the action; policies see it as `context.action`.
    pub action_attributes: Members<'a>,
    /// What is acted on.
    pub resource: Named<'a>,
    /// The circumstances.
    pub context: Members<'a>,
}

impl<'a> Question<'a> {
    /// Whether the caller says what stands at a place of the request, be it of the subject or of the resource where they are one entity.
    pub fn says(&self, place: &Place) -> bool {
        let Self { principal, resource, .. } = self;
        let are_one = (principal.type_name, principal.id) == (resource.type_name, resource.id);
        match place.part.participant() {
            Some(Participant::Principal) => principal.says(place) || (are_one && resource.says(place)),
            Some(Participant::Resource) => resource.says(place) || (are_one && principal.says(place)),
            None => true,
        }
    }

    /// The whole name of the action that it means, if it can be one alone.
    pub fn action_in<'t>(&self, types: &'t Types) -> Option<&'t SmolStr> {
        match find_environment(self, types) {
            Ok((_, environment)) => Some(&environment.action_name),
            Err(_) => types.whole_name_of(self.action),
        }
    }

    /// The same, with the types of its entities by their Cedar names, where it names them by aliases.
    #[must_use]
    pub fn by_cedar_names(self, types: &'a Types) -> Self {
        let named = |named: Named<'a>| Named { type_name: types.cedar_name(named.type_name), ..named };
        Self { principal: named(self.principal), resource: named(self.resource), ..self }
    }
}

/// An entity in plain values.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The full Cedar name of its type.
    pub type_name: &'a str,
    /// Its id: any string.
    pub id: &'a str,
    /// What the caller says of it.
    pub attributes: Members<'a>,
    /// What tags it has, as the caller says: laid over the stored ones, key by key.
    pub tags: Members<'a>,
    /// What it is in, as the caller says: added to what is stored.
    pub parents: &'a [Json<'a>],
}

impl<'a> Named<'a> {
    /// An entity of which the caller says nothing.
    pub fn new(type_name: &'a str, id: &'a str) -> Self {
        Self { type_name, id, attributes: &[], tags: &[], parents: &[] }
    }

    /// Whether the caller says nothing of it.
    pub fn says_nothing(&self) -> bool {
        self.attributes.is_empty() && self.tags.is_empty() && self.parents.is_empty()
    }

    /// Whether the caller says what stands at a place of it.
    fn says(&self, place: &Place) -> bool {
        let members = match place.part {
            Part::Principal | Part::Resource => self.attributes,
            Part::PrincipalTags | Part::ResourceTags => self.tags,
            _ => return true,
        };
        let names = place.names();
        let Some((first, rest)) = names.split_first() else { return !json::said(members).is_empty() };
        let said = |json: &&Json<'_>| **json != Json::Null;
        // Of an element of a set, the whole set is said.
        let is_set = |json: &Json<'_>| matches!(json, Json::Array(_));
        let mut json = member(members, first).filter(said);
        for name in rest {
            json = json.and_then(|json| if is_set(json) { Some(json) } else { json.get(name).filter(said) });
        }
        json.is_some()
    }
}

/// A request that conforms to the schema, but for what is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedRequest {
    /// The environment: an index into [`Types::environments`].
    pub environment: usize,
    /// The principal.
    pub principal: TypedEntity,
    /// The resource.
    pub resource: TypedEntity,
    /// The context.
    pub context: Record,
    /// The context as it came: with the raw strings that plugins read. Empty where facts came, or where plugins read nothing in it.
    pub raw_context: Record,
    /// What the schema requires, but is neither sent nor stored. Such a request is denied.
    pub missing: Places,
    /// Of that, what is there, but refers to what must be stored and is not: where, and the type of that.
    pub lost: Vec<(Place, EntityTypeName)>,
    /// Of that, what only the store may say, of an entity that is not stored.
    pub untold: Vec<Place>,
    /// What was sent, but is not declared.
    pub dropped: Places,
    /// Where any value stands for one that the decision log masks.
    pub masked: Vec<MaskedPlace>,
    /// Where times were sent that say more than Cedar's milliseconds. They stand among what was dropped too.
    pub floored: Vec<Place>,
}

/// The principal or the resource of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedEntity {
    /// Which entity.
    pub uid: EntityUid,
    /// Its attributes: the stored ones, and over them the caller's.
    pub attributes: Record,
    /// The same as they came: with the raw strings that plugins read. Empty where facts came, or where plugins read none of them.
    pub raw: Record,
    /// Its tags, where they are not those that are stored.
    pub tags: Option<Box<Tags>>,
    /// The parents that it has beside the stored ones.
    pub parents: Vec<EntityUid>,
}

/// The tags of an entity of which the caller says some.
#[derive(Clone, Debug, PartialEq)]
pub struct Tags {
    /// All of them: the stored ones, and over them the caller's.
    pub all: Record,
    /// Those that the caller says.
    pub said: Record,
    /// The same as they came: with the raw strings that plugins read.
    pub said_raw: Record,
}

impl TypedRequest {
    /// Every parent that the principal or the resource has beside those that are stored.
    pub fn parents(&self) -> impl Iterator<Item = &EntityUid> {
        self.principal.parents.iter().chain(&self.resource.parents)
    }

    /// The parents that the principal and the resource have beside those that are stored.
    pub fn said_parents(&self) -> [(&EntityUid, &[EntityUid]); 2] {
        [&self.principal, &self.resource].map(|entity| (&entity.uid, entity.parents.as_slice()))
    }
}

/// What resolving a question gives.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// A request that can be decided.
    Request(Box<TypedRequest>),
    /// The schema knows nothing that this asks about: a denial.
    Unknown(Unknown),
}

/// Why a question is about nothing that the schema knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No such entity type.
    #[error("the schema has no entity type of the name that the {} has", match .0 { Part::Principal => "principal", _ => "resource" })]
    Type(Part),
    /// The type is enumerated, and has no such id.
    #[error("the enumerated type of the {} has no entity of that id", match .0 { Part::PrincipalId => "principal", _ => "resource" })]
    Id(Part),
    /// No such action.
    #[error("the schema has no action of that name")]
    Action,
    /// The id is that of actions in several namespaces.
    #[error("several actions have that id: name the whole action, as in `Docs::Action::\"read\"`")]
    Ambiguous,
    /// The action is for other types.
    #[error("the action does not apply to a principal and a resource of these types")]
    NotApplicable,
}

/// Makes a typed request of a question.
///
/// # Errors
///
/// What the request states and cannot mean: see [`Fault`].
pub fn resolve(
    question: &Question<'_>,
    types: &Types,
    stored: &StoredEntities,
    facts: Facts,
) -> Result<Resolved, InvalidRequest> {
    let (index, environment) = match find_environment(question, types) {
        Ok(found) => found,
        Err(unknown) => return Ok(Resolved::Unknown(unknown)),
    };
    let Environment { principal_type, resource_type, .. } = environment;
    let principal_uid = uid(&question.principal, principal_type);
    let resource_uid = uid(&question.resource, resource_type);
    if let Some(part) = unknown_id(question, environment) {
        return Ok(Resolved::Unknown(Unknown::Id(part)));
    }

    let mut decoder = Decoder::new(types, facts, Speaker::Caller);
    let mut principal = Said::read(&question.principal, principal_type, Participant::Principal, &mut decoder)?;
    let mut resource = Said::read(&question.resource, resource_type, Participant::Resource, &mut decoder)?;
    if principal_uid == resource_uid {
        // One entity, said twice.
        principal.merge(&resource)?;
        resource = principal.clone();
    }
    let context = context(question, &environment.context, &mut decoder)?;
    if !principal.parents.is_empty() || !resource.parents.is_empty() {
        said::check_parents([(&principal_uid, &principal.parents), (&resource_uid, &resource.parents)], types, stored)?;
    }
    let principal = Overlaid::new(principal_uid, principal, principal_type, stored);
    let resource = Overlaid::new(resource_uid, resource, resource_type, stored);
    principal.require(&mut decoder, stored, Participant::Principal);
    resource.require(&mut decoder, stored, Participant::Resource);
    if environment.context.has_must_exist() {
        decoder.require_referred(&environment.context, &context, stored, &Way::Part(Part::Context));
    }
    let roots =
        Roots { principal: Some(&principal.raw), resource: Some(&resource.raw), context: Some(&context), this: None };
    let (context, raw_context) = match environment.context_has_raw {
        true => (read_facts(&environment.context, &context, &roots), context),
        false => (context, Record::default()),
    };
    Ok(Resolved::Request(Box::new(TypedRequest {
        environment: index,
        principal: principal.read(),
        resource: resource.read(),
        context,
        raw_context,
        missing: decoder.missing,
        lost: decoder.lost,
        untold: Vec::new(),
        dropped: decoder.dropped,
        floored: decoder.floored,
        masked: decoder.masked,
    })))
}

/// Whose id there is not among those of an enumerated type.
fn unknown_id(question: &Question<'_>, environment: &Environment) -> Option<Part> {
    let asked = [
        (&question.principal, &environment.principal_type, Part::PrincipalId),
        (&question.resource, &environment.resource_type, Part::ResourceId),
    ];
    asked.into_iter().find(|(named, entity_type, _)| !entity_type.has_id(named.id)).map(|(_, _, part)| part)
}

/// The environment that a question is of.
///
/// # Errors
///
/// Why there is none.
pub fn find_environment<'a>(question: &Question<'_>, types: &'a Types) -> Result<(usize, &'a Environment), Unknown> {
    let is = |of_type: &EntityType, named: &Named<'_>| of_type.full_name == named.type_name;
    let mut found = types.environments_of(question.action).filter(|(_, found)| {
        is(&found.principal_type, &question.principal) && is(&found.resource_type, &question.resource)
    });
    let first = found.next().ok_or_else(|| why_not(question, types))?;
    if found.next().is_some() { Err(Unknown::Ambiguous) } else { Ok(first) }
}

/// Why there is no environment for it.
fn why_not(question: &Question<'_>, types: &Types) -> Unknown {
    if types.entity(question.principal.type_name).is_none() {
        Unknown::Type(Part::Principal)
    } else if types.entity(question.resource.type_name).is_none() {
        Unknown::Type(Part::Resource)
    } else if types.environments_of(question.action).next().is_none() {
        Unknown::Action
    } else {
        Unknown::NotApplicable
    }
}

fn uid(named: &Named<'_>, entity_type: &EntityType) -> EntityUid {
    EntityUid::from_type_name_and_id(entity_type.name.clone(), EntityId::new(named.id))
}

/// The context: what the caller sends, and under the name `action`, where that is a record, over it what it says of the action.
fn context(question: &Question<'_>, shape: &RecordShape, decoder: &mut Decoder<'_>) -> Result<Record, InvalidRequest> {
    let (way, of_action) = (Way::Part(Part::Context), Way::Part(Part::Action));
    let (sent, said) = (question.context, json::said(question.action_attributes));
    let context = match shape.0.get(ACTION_MEMBER).map(|field| (&field.shape, field.required)) {
        Some((Shape::Record(action), required)) => {
            let mut context = decoder.members_but(Some(ACTION_MEMBER), shape, sent, &way)?;
            if let Some(record) = action_record(action, required, question, decoder)? {
                context.insert(ACTION_MEMBER.into(), Value::Record(record));
            }
            context
        }
        _ => {
            decoder.dropped.extend(said.len(), said.iter().map(|(name, _)| Way::Member(&of_action, name).place()));
            decoder.members(shape, sent, &way)?
        }
    };
    decoder.require(shape, &context, &way);
    Ok(context)
}

/// What the context says of the action, and over it what the action's own attributes are; nothing where neither says anything and
/// nothing is required.
fn action_record(
    shape: &RecordShape,
    is_required: bool,
    question: &Question<'_>,
    decoder: &mut Decoder<'_>,
) -> Result<Option<Record>, InvalidRequest> {
    let (of_context, of_action) = (Way::Part(Part::Context), Way::Part(Part::Action));
    let in_context = Way::Member(&of_context, ACTION_MEMBER);
    let sent = match member(question.context, ACTION_MEMBER) {
        None | Some(Json::Null) => None,
        // The log holds both laid over one another, and may have masked them whole.
        Some(logged) if decoder.facts == Facts::Logged => {
            return match decoder.value(&Shape::Record(shape.clone()), logged, &in_context)? {
                Value::Record(record) => Ok(Some(record)),
                _ => Err(InvalidRequest::new(&in_context, "an object".to_owned(), "none".to_owned())),
            };
        }
        Some(Json::Object(members)) => Some(decoder.members(shape, members, &in_context)?),
        Some(other) => return decoder.value(&Shape::Record(shape.clone()), other, &in_context).map(|_| None),
    };
    let said = decoder.members(shape, question.action_attributes, &of_action)?;
    if sent.is_none() && said.is_empty() && !is_required {
        return Ok(None);
    }
    let place = if sent.is_some() && said.is_empty() { in_context } else { of_action };
    let record = said::merged(sent.unwrap_or_default(), &in_context, &said, &of_action)?;
    decoder.require(shape, &record, &place);
    Ok(Some(record))
}
