//! A policy as one revision reads it, written for the schema that both share ([`shared`](super::shared)).
//!
//! What is written is for every request what the policy is for the engine of that revision: also where something that it reads is not
//! stored, which denies (it fails here too), or has no ancestors, tags or optional attributes (`in`, `hasTag` and `has` are false); and
//! where what it compares whole has members that only the other revision declares. What cannot be written so is refused, with its place.

use std::collections::BTreeSet;

use cedar_policy::{EntityTypeName, EntityUid, Policy};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};
use smol_str::SmolStr;

use super::shared::{
    Half, Presence, STORED, Slot, actions, differs, fields_of, hierarchy_above, plain_slot, slot, unsayable,
};
use crate::store::lint::{Typed, Typing};
use crate::store::schema::{EntityType, Environment, FieldShape, RecordShape, Shape};

/// What one of two revisions reads of a request that is written in the schema that both share.
pub(super) struct View<'a> {
    own: Typing<'a>,
    other: Typing<'a>,
    is_old: bool,
    /// What the action of the environment is in, and itself.
    action: BTreeSet<EntityUid>,
    /// Whether both revisions have the same actions, in the same groups.
    same_actions: bool,
}

/// What no schema declares.
const UNDECLARED: &str = "gatepost:undeclared";

/// What is never evaluated without an error.
fn failing() -> Expr {
    let too_much = Expr::binary_app(BinaryOp::Add, Expr::val(i64::MAX), Expr::val(1));
    Expr::is_eq(too_much, Expr::val(0))
}

fn all(conditions: impl IntoIterator<Item = Expr>) -> Expr {
    conditions.into_iter().reduce(Expr::and).unwrap_or_else(|| Expr::val(true))
}

/// Whether it is the principal or the resource, of which the request says all.
fn is_asked(expression: &Expr) -> bool {
    matches!(expression.expr_kind(), ExprKind::Var(Var::Principal | Var::Resource))
}

impl<'a> View<'a> {
    /// The view of the older or the newer revision on the requests of an environment.
    pub(super) fn new(own: Half<'a>, other: Half<'a>, is_old: bool) -> Self {
        let ((store, environment), (other, beside)) = (own, other);
        let (own_actions, other_actions) = (actions(store), actions(other));
        let mut action = own_actions.get(&environment.action).cloned().unwrap_or_default();
        action.insert(environment.action.clone());
        Self {
            own: Typing { types: &store.types, environment },
            other: Typing { types: &other.types, environment: beside },
            is_old,
            action,
            same_actions: own_actions == other_actions,
        }
    }

    /// The condition of a policy, its scope included.
    pub(super) fn policy(&self, policy: &Policy) -> Result<Expr, String> {
        let refused = |why| format!("of the {} policy `{}`: {why}", self.word(), policy.id());
        self.written(&policy.as_ref().condition()).map_err(refused)
    }

    /// Another condition, as a policy of this revision would read it.
    pub(super) fn condition(&self, condition: &Expr) -> Result<Expr, String> {
        self.written(condition)
    }

    fn word(&self) -> &'static str {
        if self.is_old { "older" } else { "newer" }
    }

    /// Which requests this revision has: those that it does not refuse, and of which nothing that it requires is missing.
    pub(super) fn known(&self) -> Result<Expr, String> {
        let Environment { principal_type, resource_type, context, .. } = self.own.environment;
        let mut conditions = Vec::new();
        for (variable, of) in [(Var::Principal, principal_type), (Var::Resource, resource_type)] {
            let asked = Expr::var(variable);
            if !self.is_enumerated(of) {
                conditions.push(Expr::get_attr(asked.clone(), STORED.into()));
            }
            conditions.extend(self.known_value(&asked, &of.full_name, &Shape::Entity(of.name.clone()), None, true)?);
            conditions.extend(self.known_entity(&asked, of)?);
        }
        let other = &self.other.environment.context;
        conditions.extend(self.known_record(&Expr::var(Var::Context), "context", context, Some(other), true)?);
        Ok(all(conditions))
    }

    /// Whether in the shared schema the type has no attributes.
    fn is_enumerated(&self, of: &EntityType) -> bool {
        of.ids.is_some() && self.other.types.entity_of(&of.name).is_none_or(|other| other.ids.is_some())
    }

    /// Of what is said or stored of an entity: whether this revision knows it.
    fn known_entity(&self, entity: &Expr, of: &EntityType) -> Result<Vec<Expr>, String> {
        let other = self.other.types.entity_of(&of.name);
        let tags = (of.tags.as_ref(), other.and_then(|other| other.tags.as_ref()));
        if let (Some(own), Some(other)) = tags
            && !self.known_value(entity, "", own, Some(other), true).is_ok_and(|known| known.is_empty())
        {
            return Err(unsayable(&format!("{} tags", of.full_name)));
        }
        self.known_record(entity, &of.full_name, &of.attributes, other.map(|other| &other.attributes), true)
    }

    fn known_record(
        &self,
        holder: &Expr,
        path: &str,
        own: &RecordShape,
        other: Option<&RecordShape>,
        with_stored: bool,
    ) -> Result<Vec<Expr>, String> {
        let mut conditions = Vec::new();
        for (name, field) in &own.0 {
            let beside = other.and_then(|other| other.0.get(name));
            let slot = self.slot(name, field, other);
            if let Some(instead) = &slot.instead {
                conditions.push(Expr::not(Expr::has_attr(holder.clone(), instead.clone())));
            }
            let value = Expr::get_attr(holder.clone(), slot.name.clone());
            let path = format!("{path}.{name}");
            let merged = beside.map(|beside| &beside.shape).filter(|_| slot.instead.is_none());
            let mut known = self.known_value(&value, &path, &field.shape, merged, with_stored)?;
            if field.must_exist && with_stored {
                known.extend(self.must_exist(&value, &path, &field.shape, beside)?);
            }
            match (slot.presence, field.required) {
                (Presence::Always, _) => conditions.extend(known),
                (Presence::Marker(marker), true) => {
                    conditions.push(Expr::get_attr(holder.clone(), marker));
                    conditions.extend(known);
                }
                _ if known.is_empty() => {}
                (Presence::Marker(marker), false) => {
                    let absent = Expr::not(Expr::get_attr(holder.clone(), marker));
                    conditions.push(Expr::or(absent, all(known)));
                }
                (Presence::Optional, _) => {
                    let there = Expr::has_attr(holder.clone(), slot.name);
                    conditions.push(Expr::ite(there, all(known), Expr::val(true)));
                }
            }
        }
        Ok(conditions)
    }

    /// What holds of a value that this revision knows.
    fn known_value(
        &self,
        value: &Expr,
        path: &str,
        own: &Shape,
        other: Option<&Shape>,
        with_stored: bool,
    ) -> Result<Vec<Expr>, String> {
        match own {
            Shape::Entity(name) => {
                Ok(self.ids(name).map(|ids| Expr::contains(ids, value.clone())).into_iter().collect())
            }
            Shape::Set(element) => match element.as_ref() {
                Shape::Entity(name) => {
                    Ok(self.ids(name).map(|ids| Expr::contains_all(ids, value.clone())).into_iter().collect())
                }
                element => match self.known_value(value, path, element, Some(element), with_stored) {
                    Ok(known) if known.is_empty() => Ok(known),
                    _ => Err(unsayable(path)),
                },
            },
            _ => match fields_of(own) {
                Some(record) => self.known_record(value, path, record, other.and_then(fields_of), with_stored),
                None => Ok(Vec::new()),
            },
        }
    }

    /// The ids of an enumerated type of this revision, where the shared schema has others too.
    fn ids(&self, name: &EntityTypeName) -> Option<Expr> {
        let own = self.own.types.entity_of(name)?.ids.as_ref()?;
        let other = self.other.types.entity_of(name)?;
        if other.ids.as_ref().is_some_and(|other| other.iter().all(|id| own.contains(id))) {
            return None;
        }
        let uid = |id: &SmolStr| EntityUid::from_type_name_and_id(name.clone(), cedar_policy::EntityId::new(id));
        Some(Expr::set(own.iter().map(|id| Expr::val(Literal::from(cedar_policy_core::ast::EntityUID::from(uid(id)))))))
    }

    /// What must be stored.
    fn must_exist(
        &self,
        value: &Expr,
        path: &str,
        shape: &Shape,
        other: Option<&FieldShape>,
    ) -> Result<Vec<Expr>, String> {
        if !self.stored_alike(shape, &mut BTreeSet::new()) {
            return Err(format!("what `{path}` refers to must be stored, and of that not all can be stored"));
        }
        let Environment { principal, resource, .. } = self.own.environment;
        match shape {
            // Of the principal and the resource it is not asked whether they are stored.
            Shape::Entity(name)
                if (name == principal || name == resource) && !other.is_some_and(|other| other.must_exist) =>
            {
                Err(format!(
                    "what `{path}` refers to must be stored for one schema only, also where it is what is asked about"
                ))
            }
            Shape::Entity(name) => {
                let own = self.own.types.entity_of(name).filter(|own| !self.is_enumerated(own));
                Ok(own.map(|_| Expr::get_attr(value.clone(), STORED.into())).into_iter().collect())
            }
            // What both deny makes no difference between them.
            _ if other.is_some_and(|other| other.must_exist) => Ok(Vec::new()),
            _ => Err(format!("what `{path}` refers to must be stored for one schema only, and Cedar cannot say that")),
        }
    }

    /// Whether what such a value refers to is stored wherever it is for the other revision.
    fn stored_alike(&self, shape: &Shape, seen: &mut BTreeSet<EntityTypeName>) -> bool {
        let name = match shape {
            Shape::Entity(name) => name,
            Shape::Set(element) => return self.stored_alike(element, seen),
            _ => return false,
        };
        let (Some(own), true) = (self.own.types.entity_of(name), seen.insert(name.clone())) else { return true };
        let other = self.other.types.entity_of(name).map(|other| &other.attributes);
        let known = self.known_record(&Expr::var(Var::Resource), name.basename(), &own.attributes, other, false);
        known.is_ok_and(|known| known.is_empty()) && self.must_exist_alike(&own.attributes, other, seen)
    }

    fn must_exist_alike(
        &self,
        own: &RecordShape,
        other: Option<&RecordShape>,
        seen: &mut BTreeSet<EntityTypeName>,
    ) -> bool {
        own.0.iter().all(|(name, field)| {
            let beside = other.map(|other| other.0.get(name));
            let is_alike =
                !field.must_exist || beside.is_none_or(|beside| beside.is_some_and(|found| found.must_exist));
            let inner = fields_of(&field.shape);
            let others = beside.flatten().and_then(|found| fields_of(&found.shape));
            is_alike
                && (!field.must_exist || self.stored_alike(&field.shape, seen))
                && inner.is_none_or(|inner| self.must_exist_alike(inner, others, seen))
        })
    }

    fn slot(&self, name: &SmolStr, own: &FieldShape, other: Option<&RecordShape>) -> Slot {
        match other {
            Some(other) => slot(name, own, other.0.get(name), self.is_old),
            None => plain_slot(name, own),
        }
    }

    /// What the holder of members declares, here and in the other revision.
    fn holder(&self, expression: &Expr) -> Option<(RecordShape, Option<RecordShape>)> {
        let typed = self.own.of(expression);
        let own = self.own.fields(&typed)?.clone();
        let other = match &typed {
            Typed::Shape(Shape::Entity(name)) => self.other.types.entity_of(name).map(|found| found.attributes.clone()),
            _ => self.other.fields(&self.other.of(expression)).cloned(),
        };
        Some((own, other.filter(|_| !matches!(expression.expr_kind(), ExprKind::Record(_)))))
    }

    /// The type of an expression that is an entity of which something can be stored.
    fn entity(&self, expression: &Expr) -> Option<&'a EntityType> {
        let Typed::Shape(Shape::Entity(name)) = self.own.of(expression) else { return None };
        self.own.types.entity_of(&name).filter(|found| found.ids.is_none())
    }

    /// Whether that entity, as it is written in the shared schema, is stored for this revision.
    fn is_stored(&self, written: &Expr, of: &EntityType) -> Result<Expr, String> {
        let stored = Expr::get_attr(written.clone(), STORED.into());
        Ok(all([stored].into_iter().chain(self.known_entity(written, of)?)))
    }

    fn written(&self, expression: &Expr) -> Result<Expr, String> {
        match expression.expr_kind() {
            ExprKind::Lit(_) | ExprKind::Var(_) => Ok(expression.clone()),
            ExprKind::Slot(_) | ExprKind::Unknown(_) => Err("it has parts that are not known".to_owned()),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                Ok(Expr::ite(self.written(test_expr)?, self.written(then_expr)?, self.written(else_expr)?))
            }
            ExprKind::And { left, right } => Ok(Expr::and(self.written(left)?, self.written(right)?)),
            ExprKind::Or { left, right } => Ok(Expr::or(self.written(left)?, self.written(right)?)),
            ExprKind::UnaryApp { op, arg } => Ok(Expr::unary_app(*op, self.written(arg)?)),
            ExprKind::BinaryApp { op, arg1, arg2 } => self.binary(*op, arg1, arg2),
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                let args = args.iter().map(|argument| self.written(argument)).collect::<Result<_, _>>()?;
                Ok(Expr::call_extension_fn(fn_name.clone(), args))
            }
            ExprKind::GetAttr { expr, attr } => self.attribute(expr, attr),
            ExprKind::HasAttr { expr, attr } => self.has(expr, attr),
            ExprKind::ExtHasAttr { expr, attrs } => {
                let mut conditions = Vec::new();
                let mut holder = expr.as_ref().clone();
                for attr in attrs {
                    conditions.push(self.has(&holder, attr)?);
                    holder = Expr::get_attr(holder, attr.clone());
                }
                Ok(all(conditions))
            }
            ExprKind::Like { expr, pattern } => Ok(Expr::like(self.written(expr)?, pattern.clone())),
            ExprKind::Is { expr, entity_type } => Ok(Expr::is_entity_type(self.written(expr)?, entity_type.clone())),
            ExprKind::Set(elements) => {
                let elements = elements.iter().map(|element| self.written(element));
                Ok(Expr::set(elements.collect::<Result<Vec<_>, _>>()?))
            }
            ExprKind::Record(fields) => {
                let fields = fields.iter().map(|(name, value)| Ok((name.clone(), self.written(value)?)));
                record(fields.collect::<Result<Vec<_>, String>>()?)
            }
            #[allow(unreachable_patterns, reason = "what a later Cedar can say is refused")]
            _ => Err("it says what this version cannot read".to_owned()),
        }
    }

    /// An attribute: of an entity that is not stored there is none.
    fn attribute(&self, holder: &Expr, name: &SmolStr) -> Result<Expr, String> {
        let written = self.written(holder)?;
        let Some((own, other)) = self.holder(holder) else { return Ok(Expr::get_attr(written, name.clone())) };
        // It stands behind a `has` that is false, and is never evaluated: else Cedar's own check would have refused it.
        let Some(field) = own.0.get(name) else { return Ok(Expr::get_attr(written, UNDECLARED.into())) };
        let slot = self.slot(name, field, other.as_ref());
        let value = Expr::get_attr(written.clone(), slot.name);
        match self.entity(holder).filter(|_| field.required && !is_asked(holder)) {
            Some(of) => {
                let stored = Expr::or(self.is_stored(&written, of)?, failing());
                let both = record(vec![("value".into(), value), ("stored".into(), stored)])?;
                Ok(Expr::get_attr(both, "value".into()))
            }
            None => Ok(value),
        }
    }

    fn has(&self, holder: &Expr, name: &SmolStr) -> Result<Expr, String> {
        let written = self.written(holder)?;
        let Some((own, other)) = self.holder(holder) else { return Ok(Expr::has_attr(written, name.clone())) };
        let Some(field) = own.0.get(name) else {
            // It is false, but for what fails before it.
            return Ok(Expr::and(Expr::is_eq(written.clone(), written), Expr::val(false)));
        };
        let slot = self.slot(name, field, other.as_ref());
        let there = match slot.presence {
            Presence::Always | Presence::Optional => Expr::has_attr(written.clone(), slot.name),
            Presence::Marker(marker) => Expr::get_attr(written.clone(), marker),
        };
        match self.entity(holder).filter(|_| !is_asked(holder)) {
            Some(of) => Ok(Expr::and(self.is_stored(&written, of)?, there)),
            None => Ok(there),
        }
    }

    fn binary(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<Expr, String> {
        match op {
            BinaryOp::In => return self.is_in(left, right),
            BinaryOp::HasTag => {
                let has = Expr::has_tag(self.written(left)?, self.written(right)?);
                return match self.entity(left).filter(|_| !is_asked(left)) {
                    Some(of) => Ok(Expr::and(self.is_stored(&self.written(left)?, of)?, has)),
                    None => Ok(has),
                };
            }
            BinaryOp::Eq if self.differs(left) || self.differs(right) => return self.equal_records(left, right),
            BinaryOp::Eq | BinaryOp::Contains | BinaryOp::ContainsAll | BinaryOp::ContainsAny
                if self.differs(left) || self.differs(right) =>
            {
                return Err("it compares whole what the schemas declare differently".to_owned());
            }
            _ => {}
        }
        Ok(Expr::binary_app(op, self.written(left)?, self.written(right)?))
    }

    /// Whether the other revision declares the value so that it is compared otherwise.
    fn differs(&self, expression: &Expr) -> bool {
        match expression.expr_kind() {
            ExprKind::If { then_expr, else_expr, .. } => self.differs(then_expr) || self.differs(else_expr),
            ExprKind::Set(elements) => elements.iter().any(|element| self.differs(element)),
            ExprKind::Record(fields) => fields.values().any(|value| self.differs(value)),
            ExprKind::GetAttr { .. } | ExprKind::BinaryApp { op: BinaryOp::GetTag, .. } => {
                match (self.own.of(expression), self.other.of(expression)) {
                    (Typed::Shape(own), Typed::Shape(other)) => differs(&own, &other),
                    _ => false,
                }
            }
            ExprKind::Var(Var::Context) => {
                let context = |typing: &Typing<'_>| Shape::Record(typing.environment.context.clone());
                differs(&context(&self.own), &context(&self.other))
            }
            _ => false,
        }
    }

    /// Two records are equal if all is that this revision declares of them.
    fn equal_records(&self, left: &Expr, right: &Expr) -> Result<Expr, String> {
        let refused = || "it compares whole what the schemas declare differently".to_owned();
        let is_plain = |side: &Expr| {
            matches!(side.expr_kind(), ExprKind::GetAttr { .. } | ExprKind::Record(_) | ExprKind::Var(Var::Context))
        };
        let (Some((own, _)), true, true) = (self.holder(left), is_plain(left), is_plain(right)) else {
            return Err(refused());
        };
        let Some((beside, _)) = self.holder(right) else { return Err(refused()) };
        let names: BTreeSet<&SmolStr> = own.0.keys().chain(beside.0.keys()).collect();
        let mut parts = Vec::new();
        for name in names {
            let side = |side: &Expr| Expr::get_attr(side.clone(), name.clone());
            let equal = Expr::is_eq(side(left), side(right));
            let has = |side: &Expr| Expr::has_attr(side.clone(), name.clone());
            let part = match (own.0.get(name), beside.0.get(name)) {
                (Some(own), Some(beside)) if own.required && beside.required => self.written(&equal)?,
                (Some(_), Some(_)) => Expr::ite(
                    self.has(left, name)?,
                    Expr::and(self.has(right, name)?, self.written(&equal)?),
                    Expr::not(self.has(right, name)?),
                ),
                (Some(_), None) => self.written(&Expr::not(has(left)))?,
                (None, _) => self.written(&Expr::not(has(right)))?,
            };
            parts.push(part);
        }
        if parts.is_empty() { Err(refused()) } else { Ok(all(parts)) }
    }

    /// What is not stored is in nothing but itself, and what is in something is in what is stored.
    fn is_in(&self, left: &Expr, right: &Expr) -> Result<Expr, String> {
        let Typed::Shape(Shape::Entity(name)) = self.own.of(left) else { return self.action_is_in(left, right) };
        let Some(of) = self.own.types.entities.get(name.to_string().as_str()) else {
            return self.action_is_in(left, right);
        };
        let own = hierarchy_above(&[self.own.types], &name);
        if own != hierarchy_above(&[self.own.types, self.other.types], &name) {
            return Err(format!("it asks what a `{name}` is in, which the schemas declare differently"));
        }
        self.stores_between(&own)?;
        let (written, above) = (self.written(left)?, self.written(right)?);
        let is_in = Expr::is_in(written.clone(), above.clone());
        if self.is_enumerated(of) {
            return Ok(is_in);
        }
        let (is_in, is_it) = match (self.own.of(right), right.expr_kind()) {
            (Typed::Shape(Shape::Entity(other)), _) => {
                if other != name && !own.iter().any(|(_, parent)| *parent == other) {
                    // What stands behind it may be of no type that it could have.
                    return Ok(Expr::and(Expr::is_eq(written.clone(), written), never(above)));
                }
                let is_it = if other == name { Expr::is_eq(written.clone(), above.clone()) } else { Expr::val(false) };
                let group = self.own.types.entity_of(&other).filter(|group| !self.is_enumerated(group));
                let stored = group.map(|group| self.is_stored(&above, group)).transpose()?;
                let is_there = stored.map(|stored| Expr::or(stored, is_it.clone()));
                (all([is_in].into_iter().chain(is_there)), is_it)
            }
            (_, ExprKind::Set(elements)) => {
                let plain = elements.iter().all(|element| matches!(element.expr_kind(), ExprKind::Lit(_)));
                if plain {
                    let each = elements.iter().map(|element| self.is_in(left, element));
                    let each = each.collect::<Result<Vec<_>, _>>()?.into_iter();
                    return Ok(each.reduce(Expr::or).unwrap_or(is_in));
                }
                let own = elements
                    .iter()
                    .all(|element| matches!(self.own.of(element), Typed::Shape(Shape::Entity(other)) if other == name));
                (is_in, if own { Expr::contains(above, written.clone()) } else { never(above) })
            }
            (Typed::Shape(Shape::Set(element)), _) => {
                let own = matches!(element.as_ref(), Shape::Entity(other) if *other == name);
                (is_in, if own { Expr::contains(above, written.clone()) } else { never(above) })
            }
            _ => return Err("it asks whether something is in what is not known".to_owned()),
        };
        match self.entity(left).filter(|_| !is_asked(left)) {
            Some(of) => Ok(Expr::ite(self.is_stored(&written, of)?, is_in, is_it)),
            None => Ok(is_in),
        }
    }

    /// What leads from one entity to another is stored wherever it is for the other revision: else it would be in less.
    fn stores_between(&self, hierarchy: &BTreeSet<(EntityTypeName, EntityTypeName)>) -> Result<(), String> {
        for (name, _) in hierarchy.iter().filter(|(name, _)| hierarchy.iter().any(|(_, parent)| parent == name)) {
            let Some(between) = self.own.types.entity_of(name) else { continue };
            if !self.known_entity(&Expr::var(Var::Resource), between)?.is_empty() {
                return Err(format!("it asks what is in something through a `{name}`, of which not all can be stored"));
            }
        }
        Ok(())
    }

    /// Of the action of the request it is known what it is in.
    fn action_is_in(&self, left: &Expr, right: &Expr) -> Result<Expr, String> {
        if matches!(left.expr_kind(), ExprKind::Var(Var::Action)) {
            let is_above = |group: &Expr| match group.expr_kind() {
                ExprKind::Lit(Literal::EntityUID(uid)) => {
                    Ok(self.action.contains(&EntityUid::from(uid.as_ref().clone())))
                }
                _ => Err("it asks whether the action is in what is not known".to_owned()),
            };
            let found = match right.expr_kind() {
                ExprKind::Set(groups) => groups.iter().map(is_above).collect::<Result<Vec<_>, _>>()?.contains(&true),
                _ => is_above(right)?,
            };
            return Ok(Expr::val(found));
        }
        if !self.same_actions {
            return Err("it asks what an action is in, which the schemas declare differently".to_owned());
        }
        Ok(Expr::is_in(self.written(left)?, self.written(right)?))
    }
}

/// False, but for what fails in it.
fn never(expression: Expr) -> Expr {
    Expr::and(Expr::is_eq(expression.clone(), expression), Expr::val(false))
}

fn record(fields: Vec<(SmolStr, Expr)>) -> Result<Expr, String> {
    Expr::record(fields).map_err(|error| error.to_string())
}
