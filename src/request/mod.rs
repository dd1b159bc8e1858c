//! From plain JSON values and a schema to a typed request.
//!
//! [`resolve`] takes what a caller says ([`Question`]), lays it over what is stored, has the plugins read the raw strings,
//! drops what the schema does not declare, and gives a [`TypedRequest`], in which nothing can be of a wrong type. A caller's
//! `__entity` and `__extn` are names like any other: values are typed by the schema, never by themselves.

pub mod case;
pub mod facts;
pub mod json;
pub mod place;
pub mod stored;
pub mod value;

use std::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};

use crate::store::schema::{EntityType, Environment, RecordShape, Shape, Types};
use facts::{Roots, read_facts};
use json::Members;
use place::{Part, Place, Places};
use stored::{Stored, StoredEntities};
use value::{Decoder, Record, Value};

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

/// An entity in plain values.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The full Cedar name of its type.
    pub type_name: &'a str,
    /// Its id: any string.
    pub id: &'a str,
    /// What the caller says of it.
    pub attributes: Members<'a>,
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
    /// What the schema requires, but is neither sent nor stored. Such a request is denied.
    pub missing: Places,
    /// What was sent, but is not declared.
    pub dropped: Places,
}

/// The principal or the resource of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedEntity {
    /// Which entity.
    pub uid: EntityUid,
    /// Its attributes: the stored ones, and over them the caller's.
    pub attributes: Record,
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

/// A value that the schema declares, but of the wrong type: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{place}` must be {expected}, but is {found}")]
pub struct InvalidRequest {
    /// Where it stands.
    pub place: Place,
    /// What the schema expects.
    pub expected: String,
    /// What was sent.
    pub found: String,
}

impl InvalidRequest {
    fn new(place: &Place, expected: String, found: String) -> Self {
        Self { place: place.clone(), expected, found }
    }

    fn unknown_id(entity_type: &EntityType, id: &str, place: &Place) -> Self {
        Self::new(place, entity_type.expected(), format!("`{}`", value::shortened(id)))
    }
}

/// Makes a typed request of a question.
///
/// # Errors
///
/// A declared attribute of the wrong type, and an unknown id of an enumerated type.
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
    let entity_type = |named: &Named<'_>| types.entity(named.type_name);
    let (Some(principal_type), Some(resource_type)) =
        (entity_type(&question.principal), entity_type(&question.resource))
    else {
        return Ok(Resolved::Unknown(Unknown::NotApplicable));
    };
    let principal_uid = uid(&question.principal, principal_type, Part::PrincipalId)?;
    let resource_uid = uid(&question.resource, resource_type, Part::ResourceId)?;

    let mut decoder = Decoder::new(types, facts);
    let principal_place = Place::new(Part::Principal);
    let resource_place = Place::new(Part::Resource);
    let said = question.principal.attributes;
    let mut principal = decoder.members(&principal_type.attributes, said, &principal_place)?;
    let said = question.resource.attributes;
    let mut resource = decoder.members(&resource_type.attributes, said, &resource_place)?;
    if principal_uid == resource_uid {
        // One entity, said twice: what is said of the resource stands.
        principal.append(&mut resource);
        resource.clone_from(&principal);
    }
    let context = context(question, &environment.context, &mut decoder)?;
    let principal = Overlaid::new(principal_uid, principal, principal_type, stored);
    let resource = Overlaid::new(resource_uid, resource, resource_type, stored);
    decoder.require(&principal_type.attributes, &principal.raw, &principal_place);
    decoder.require(&resource_type.attributes, &resource.raw, &resource_place);

    let roots =
        Roots { principal: Some(&principal.raw), resource: Some(&resource.raw), context: Some(&context), this: None };
    let context = read_facts(&environment.context, &context, &roots);
    Ok(Resolved::Request(Box::new(TypedRequest {
        environment: index,
        principal: principal.read(),
        resource: resource.read(),
        context,
        missing: decoder.missing,
        dropped: decoder.dropped,
    })))
}

/// An entity of the request: what is stored, and over it, attribute by attribute, what the caller says.
struct Overlaid<'a> {
    uid: EntityUid,
    raw: Record,
    /// The stored attributes, already read, where the caller says nothing.
    stored: Option<Record>,
    entity_type: &'a EntityType,
}

impl<'a> Overlaid<'a> {
    fn new(uid: EntityUid, said: Record, entity_type: &'a EntityType, stored: &StoredEntities) -> Self {
        let entity = stored.get(&uid);
        let stored = entity.filter(|_| said.is_empty()).map(Stored::attributes);
        let mut raw = entity.map(Stored::raw).unwrap_or_default();
        raw.extend(said);
        Self { uid, raw, stored, entity_type }
    }

    fn read(self) -> TypedEntity {
        let attributes = match self.stored {
            Some(stored) => stored,
            None => read_facts(&self.entity_type.attributes, &self.raw, &Roots::of_entity(&self.raw)),
        };
        TypedEntity { uid: self.uid, attributes }
    }
}

fn find_environment<'a>(question: &Question<'_>, types: &'a Types) -> Result<(usize, &'a Environment), Unknown> {
    for (named, part) in [(&question.principal, Part::Principal), (&question.resource, Part::Resource)] {
        types.entity(named.type_name).ok_or(Unknown::Type(part))?;
    }
    types.environments_of(question.action).next().ok_or(Unknown::Action)?;
    let is = |name: &EntityTypeName, named: &Named<'_>| {
        EntityTypeName::from_str(named.type_name).is_ok_and(|asked| asked == *name)
    };
    let mut found = types
        .environments_of(question.action)
        .filter(|(_, found)| is(&found.principal, &question.principal) && is(&found.resource, &question.resource));
    let first = found.next().ok_or(Unknown::NotApplicable)?;
    if found.next().is_some() { Err(Unknown::Ambiguous) } else { Ok(first) }
}

fn uid(named: &Named<'_>, entity_type: &EntityType, part: Part) -> Result<EntityUid, InvalidRequest> {
    if !entity_type.has_id(named.id) {
        return Err(InvalidRequest::unknown_id(entity_type, named.id, &Place::new(part)));
    }
    Ok(EntityUid::from_type_name_and_id(entity_type.name.clone(), EntityId::new(named.id)))
}

/// The context: what the caller sends, and under the name `action` what it says of the action, and only that.
fn context(question: &Question<'_>, shape: &RecordShape, decoder: &mut Decoder<'_>) -> Result<Record, InvalidRequest> {
    let place = Place::new(Part::Context);
    let mut context = decoder.members_but(Some(ACTION_MEMBER), shape, question.context, &place)?;
    let action_place = Place::new(Part::Action);
    match shape.0.get(ACTION_MEMBER).map(|field| (&field.shape, field.required)) {
        Some((Shape::Record(action), required)) => {
            if required || !question.action_attributes.is_empty() {
                let said = decoder.members(action, question.action_attributes, &action_place)?;
                decoder.require(action, &said, &action_place);
                context.insert(ACTION_MEMBER.into(), Value::Record(said));
            }
        }
        _ => {
            let dropped = question.action_attributes;
            decoder.dropped.extend(dropped.len(), dropped.iter().map(|(name, _)| action_place.member(name)));
        }
    }
    decoder.require(shape, &context, &place);
    Ok(context)
}
