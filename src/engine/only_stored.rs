//! What policies read that only the store may say (`@stored`).
//!
//! Of an entity that is not stored, all of that is absent, and absence may be what a `forbid` is silent on. So a request about such an
//! entity is denied as one that lacks what the schema requires, if any policy that can apply to it reads something of the kind of that
//! entity's type.

use std::collections::BTreeSet;

use cedar_policy::{EntityTypeName, Policy};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};
use smol_str::SmolStr;

use crate::request::place::{Participant, Place};
use crate::store::schema::{EntityType, Environment, FieldShape, RecordShape, Shape, Types};

/// What policies read of the principal and of the resource that only the store may say.
#[derive(Debug, Default)]
pub(super) struct OnlyStored {
    pub(super) principal: Vec<Place>,
    pub(super) resource: Vec<Place>,
}

/// Something of an entity type that only the store may say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Read {
    Attribute(EntityTypeName, Vec<SmolStr>),
    Tags(EntityTypeName),
    Parents(EntityTypeName),
}

impl OnlyStored {
    /// What these policies read in an environment.
    pub(super) fn of<'p>(
        policies: impl IntoIterator<Item = &'p Policy>,
        environment: &Environment,
        types: &Types,
    ) -> Self {
        let sides = [&environment.principal_type, &environment.resource_type];
        if !sides.iter().any(|side| side.has_only_stored()) {
            return Self::default();
        }
        let mut walk = Walk { environment, types, found: BTreeSet::new() };
        policies.into_iter().for_each(|policy| walk.visit(&policy.as_ref().condition()));
        let of = |name: &EntityTypeName, participant: Participant| {
            walk.found.iter().filter_map(|read| read.of(name, participant)).collect()
        };
        Self {
            principal: of(&environment.principal, Participant::Principal),
            resource: of(&environment.resource, Participant::Resource),
        }
    }
}

impl Read {
    /// Where it stands in a request, if it is something of that type.
    fn of(&self, name: &EntityTypeName, participant: Participant) -> Option<Place> {
        match self {
            Self::Attribute(of, path) if of == name => {
                Some(path.iter().fold(Place::new(participant.attributes()), |place, name| place.member(name)))
            }
            Self::Tags(of) if of == name => Some(Place::new(participant.tags())),
            Self::Parents(of) if of == name => Some(Place::new(participant.parents())),
            _ => None,
        }
    }
}

/// What an expression is, as far as it leads on to attributes.
enum Kind<'t> {
    Entity(&'t EntityType),
    /// A record, at that path in an entity type if it is in one.
    Record(&'t RecordShape, Option<(&'t EntityTypeName, Vec<SmolStr>)>),
    /// Nothing that has attributes.
    Plain,
    /// It cannot be said.
    Unknown,
}

struct Walk<'t> {
    environment: &'t Environment,
    types: &'t Types,
    found: BTreeSet<Read>,
}

impl<'t> Walk<'t> {
    fn visit(&mut self, condition: &Expr) {
        for part in condition.subexpressions() {
            match part.expr_kind() {
                ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => self.attributes(expr, &[attr]),
                ExprKind::ExtHasAttr { expr, attrs } => self.attributes(expr, &attrs.iter().collect::<Vec<_>>()),
                ExprKind::BinaryApp { op: BinaryOp::HasTag | BinaryOp::GetTag, arg1, .. } => {
                    self.whole_types(arg1, Read::Tags);
                }
                ExprKind::BinaryApp { op: BinaryOp::In, arg1, .. } => self.whole_types(arg1, Read::Parents),
                _ => {}
            }
        }
    }

    /// Takes up the attributes that are read one in the other.
    fn attributes(&mut self, of: &Expr, names: &[&SmolStr]) {
        let mut kind = self.kind(of);
        for name in names {
            if let Kind::Unknown = kind {
                self.named(name);
            }
            let field = match &kind {
                Kind::Entity(entity) => entity.attributes.0.get(*name),
                Kind::Record(record, _) => record.0.get(*name),
                Kind::Plain | Kind::Unknown => None,
            };
            let next = self.member(&kind, name);
            if field.is_some_and(|field| field.stored)
                && let Some((owner, path)) = path_of(&kind, name)
            {
                self.found.insert(Read::Attribute(owner.clone(), path));
            }
            kind = next;
        }
        // A record that is read whole may be compared whole.
        if let Kind::Record(record, Some((owner, path))) = kind {
            self.within(record, owner, &path);
        }
    }

    /// What only the store may say inside a record.
    fn within(&mut self, record: &RecordShape, owner: &EntityTypeName, path: &[SmolStr]) {
        for (name, field) in &record.0 {
            let path: Vec<SmolStr> = path.iter().chain([name]).cloned().collect();
            if field.stored {
                self.found.insert(Read::Attribute(owner.clone(), path));
            } else if let Shape::Record(inner) = &field.shape {
                self.within(inner, owner, &path);
            }
        }
    }

    /// Something by that name is read of nobody knows what: it may be of either side, at any depth.
    fn named(&mut self, name: &SmolStr) {
        for side in [&self.environment.principal_type, &self.environment.resource_type] {
            self.named_within(name, &side.attributes, &side.name, &[]);
        }
    }

    fn named_within(&mut self, wanted: &SmolStr, record: &'t RecordShape, owner: &EntityTypeName, path: &[SmolStr]) {
        for (name, field) in &record.0 {
            let path: Vec<SmolStr> = path.iter().chain([name]).cloned().collect();
            if name == wanted && field.stored {
                self.found.insert(Read::Attribute(owner.clone(), path));
            } else if let Shape::Record(inner) = &field.shape {
                if name == wanted {
                    self.within(inner, owner, &path);
                }
                self.named_within(wanted, inner, owner, &path);
            }
        }
    }

    /// Takes up the tags or the parents of what an expression is, if only the store may say them.
    fn whole_types(&mut self, of: &Expr, read: fn(EntityTypeName) -> Read) {
        let sides = [&self.environment.principal_type, &self.environment.resource_type].map(|side| &**side);
        let all: Vec<&EntityType> = match self.kind(of) {
            Kind::Entity(entity) => vec![entity],
            Kind::Unknown => sides.to_vec(),
            Kind::Record(..) | Kind::Plain => Vec::new(),
        };
        self.found.extend(all.into_iter().filter(|entity| entity.stored).map(|entity| read(entity.name.clone())));
    }

    fn kind(&self, expression: &Expr) -> Kind<'t> {
        match expression.expr_kind() {
            ExprKind::Var(Var::Principal) => Kind::Entity(&self.environment.principal_type),
            ExprKind::Var(Var::Resource) => Kind::Entity(&self.environment.resource_type),
            ExprKind::Var(Var::Context) => Kind::Record(&self.environment.context, None),
            ExprKind::Var(Var::Action) => Kind::Plain,
            ExprKind::Lit(Literal::EntityUID(uid)) => self.entity(&uid.entity_type().clone().into()),
            ExprKind::Lit(_) => Kind::Plain,
            ExprKind::GetAttr { expr, attr } => self.member(&self.kind(expr), attr),
            ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, .. } => match self.kind(arg1) {
                Kind::Entity(entity) => entity.tags.as_ref().map_or(Kind::Unknown, |tags| self.of_shape(tags, None)),
                _ => Kind::Unknown,
            },
            _ => Kind::Unknown,
        }
    }

    fn member(&self, kind: &Kind<'t>, name: &SmolStr) -> Kind<'t> {
        let field: Option<&'t FieldShape> = match kind {
            Kind::Entity(entity) => entity.attributes.0.get(name),
            Kind::Record(record, _) => record.0.get(name),
            Kind::Plain | Kind::Unknown => return Kind::Unknown,
        };
        field.map_or(Kind::Unknown, |field| self.of_shape(&field.shape, path_of(kind, name)))
    }

    fn of_shape(&self, shape: &'t Shape, path: Option<(&'t EntityTypeName, Vec<SmolStr>)>) -> Kind<'t> {
        match shape {
            Shape::Entity(name) => self.entity(name),
            Shape::Record(record) => Kind::Record(record, path),
            Shape::Parsed(parsed) => Kind::Record(&parsed.facts, path),
            _ => Kind::Plain,
        }
    }

    fn entity(&self, name: &EntityTypeName) -> Kind<'t> {
        self.types.entity_of(name).map_or(Kind::Unknown, Kind::Entity)
    }
}

/// The entity type in which a member lies, and the path that leads to it.
fn path_of<'t>(kind: &Kind<'t>, name: &SmolStr) -> Option<(&'t EntityTypeName, Vec<SmolStr>)> {
    match kind {
        Kind::Entity(entity) => Some((&entity.name, vec![name.clone()])),
        Kind::Record(_, Some((owner, path))) => Some((owner, path.iter().chain([name]).cloned().collect())),
        _ => None,
    }
}
