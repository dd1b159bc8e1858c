//! What statements read of a request: the places whose value, presence or ancestry can change what they say.
//!
//! Everything else in a request cannot matter to them, so representative requests vary only here. The walk is over Cedar's
//! own syntax tree, scope included.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cedar_policy::{EntityTypeName, EntityUid, Policy};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Pattern, UnaryOp, Var};
use smol_str::SmolStr;

use super::boundaries;
use crate::store::schema::{Environment, Extension, RecordShape, Shape, Types};

/// A place in a request, and in the entities that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) root: Root,
    pub(super) steps: Vec<Step>,
}

/// Where a [`Slot`] starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Root {
    Principal,
    Resource,
    Context,
    Entity(EntityUid),
}

/// One step of a [`Slot`]; from a reference to an entity it leads into that entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Attribute(SmolStr),
    Tag(SmolStr),
}

/// What representative requests vary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dimension {
    /// The value at a place, and whether there is one.
    Value(Slot),
    /// The parents of the entity that stands at a place.
    Parents(Slot),
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Principal => formatter.write_str("principal")?,
            Root::Resource => formatter.write_str("resource")?,
            Root::Context => formatter.write_str("context")?,
            Root::Entity(uid) => write!(formatter, "{uid}")?,
        }
        self.steps.iter().try_for_each(|step| match step {
            Step::Attribute(name) => write!(formatter, ".{name}"),
            Step::Tag(key) => write!(formatter, ".getTag({key:?})"),
        })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(slot) => write!(formatter, "{slot}"),
            Self::Parents(slot) => write!(formatter, "{slot} in"),
        }
    }
}

/// A declaration of the schema: an attribute of a type, or a member of the context, whichever way a slot leads there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Field {
    /// The type; `None` for a member of the context.
    pub(super) owner: Option<EntityTypeName>,
    pub(super) steps: Vec<Step>,
}

/// What the schema says about a slot.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) shape: Shape,
    pub(super) optional: bool,
    pub(super) field: Field,
}

/// The literals that values are compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Literals {
    pub(super) longs: BTreeSet<i64>,
    pub(super) strings: BTreeSet<SmolStr>,
    pub(super) extensions: BTreeSet<(Extension, SmolStr)>,
}

/// Fields that are compared with each other, and the literals that they are compared with.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    pub(super) fields: BTreeSet<Field>,
    pub(super) literals: Literals,
    /// What `like` compares them with.
    pub(super) patterns: Vec<Pattern>,
}

/// What all statements of an environment read.
#[derive(Debug)]
pub(super) struct Reads<'a> {
    pub(super) types: &'a Types,
    pub(super) environment: &'a Environment,
    /// Places whose value is read, not only whether there is one.
    pub(super) values: BTreeSet<Slot>,
    /// Places that stand in some dimension.
    pub(super) declared: BTreeMap<Slot, Declared>,
    /// For places that hold entities whose ancestors are asked for: the types of those.
    pub(super) ancestors: BTreeMap<Slot, BTreeSet<EntityTypeName>>,
    /// Disjoint groups of fields.
    pub(super) comparisons: Vec<Comparison>,
    /// Every entity that a statement names.
    pub(super) named: BTreeSet<EntityUid>,
    /// Fields whose strings are the keys of tags.
    pub(super) keys: BTreeSet<Field>,
    /// Places that hold numbers which are added, subtracted or multiplied: their boundaries are not where they are compared.
    pub(super) reckoned: BTreeSet<Slot>,
}

/// The key under which a tag with a computed name is tried.
pub(super) const COMPUTED_TAG: &str = "other-1";

impl<'a> Reads<'a> {
    pub(super) fn new(types: &'a Types, environment: &'a Environment) -> Self {
        Self {
            types,
            environment,
            values: BTreeSet::new(),
            declared: BTreeMap::new(),
            ancestors: BTreeMap::new(),
            comparisons: Vec::new(),
            named: BTreeSet::new(),
            keys: BTreeSet::new(),
            reckoned: BTreeSet::new(),
        }
    }

    /// Adds what a policy reads, and says which dimensions those are.
    pub(super) fn add(&mut self, policy: &Policy) -> BTreeSet<Dimension> {
        let mut dimensions = BTreeSet::new();
        Walk { reads: self, dimensions: &mut dimensions }.visit(&policy.as_ref().condition(), true);
        dimensions
    }

    /// What the schema says about a slot; `None` where it leads nowhere.
    pub(super) fn declaration(&self, slot: &Slot) -> Option<Declared> {
        let entity = |name: &EntityTypeName| Shape::Entity(name.clone());
        let mut declared = Declared {
            shape: match &slot.root {
                Root::Principal => entity(&self.environment.principal),
                Root::Resource => entity(&self.environment.resource),
                Root::Entity(uid) => entity(uid.type_name()),
                Root::Context => Shape::Record(self.environment.context.clone()),
            },
            optional: false,
            field: Field { owner: None, steps: Vec::new() },
        };
        for step in &slot.steps {
            declared = self.step(&declared, step)?;
        }
        Some(declared)
    }

    fn step(&self, from: &Declared, step: &Step) -> Option<Declared> {
        let (record, field) = match &from.shape {
            Shape::Record(record) => (record, from.field.clone()),
            Shape::Parsed(parsed) => (&parsed.facts, from.field.clone()),
            Shape::Entity(name) => {
                let entity = self.types.entity_of(name)?;
                let field = Field { owner: Some(name.clone()), steps: vec![step.clone()] };
                if let Step::Tag(_) = step {
                    return Some(Declared { shape: entity.tags.clone()?, optional: true, field });
                }
                (&entity.attributes, Field { steps: Vec::new(), ..field })
            }
            _ => return None,
        };
        let Step::Attribute(name) = step else { return None };
        let found = record.0.get(name)?;
        let steps = field.steps.into_iter().chain([step.clone()]).collect();
        Some(Declared { shape: found.shape.clone(), optional: !found.required, field: Field { steps, ..field } })
    }

    fn compare(&mut self, compared: Comparison) {
        let mut merged = compared;
        let touches = |other: &Comparison, merged: &Comparison| !other.fields.is_disjoint(&merged.fields);
        while let Some(index) = self.comparisons.iter().position(|other| touches(other, &merged)) {
            let other = self.comparisons.swap_remove(index);
            merged.fields.extend(other.fields);
            merged.literals.longs.extend(other.literals.longs);
            merged.literals.strings.extend(other.literals.strings);
            merged.literals.extensions.extend(other.literals.extensions);
            merged.patterns.extend(other.patterns);
        }
        self.comparisons.push(merged);
    }
}

/// One statement's expressions.
struct Walk<'r, 'a> {
    reads: &'r mut Reads<'a>,
    dimensions: &'r mut BTreeSet<Dimension>,
}

impl Walk<'_, '_> {
    /// `whole`: whether the value itself is used, and not only something in it.
    fn visit(&mut self, expression: &Expr, whole: bool) {
        self.read(expression, whole);
        match expression.expr_kind() {
            ExprKind::GetAttr { expr, .. } => self.visit(expr, false),
            ExprKind::HasAttr { expr, attr } => self.presence(expr, &[attr]),
            ExprKind::ExtHasAttr { expr, attrs } => self.presence(expr, &attrs.iter().collect::<Vec<_>>()),
            ExprKind::BinaryApp { op: BinaryOp::GetTag | BinaryOp::HasTag, arg1, arg2 } => {
                if let ExprKind::BinaryApp { op: BinaryOp::HasTag, .. } = expression.expr_kind() {
                    let tags = self.slots(arg1).into_iter().map(|slot| slot.then(tag_step(arg2)));
                    for slot in tags.collect::<Vec<_>>() {
                        self.note(&slot, false);
                    }
                }
                let keys = self.slots(arg2).into_iter().filter_map(|slot| Some(self.reads.declaration(&slot)?.field));
                let keys: Vec<Field> = keys.collect();
                self.reads.keys.extend(keys);
                self.visit(arg1, false);
                self.visit(arg2, true);
            }
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                if *op == BinaryOp::In {
                    self.ancestry(arg1, arg2);
                }
                if matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul) {
                    let slots = [arg1, arg2].into_iter().flat_map(|side| self.slots(side));
                    self.reads.reckoned.extend(slots.collect::<Vec<_>>());
                }
                self.compared(&[arg1, arg2], None);
                self.visit(arg1, true);
                self.visit(arg2, true);
            }
            ExprKind::ExtensionFunctionApp { args, .. } => {
                self.compared(&args.iter().collect::<Vec<_>>(), None);
                args.iter().for_each(|argument| self.visit(argument, true));
            }
            ExprKind::Like { expr, pattern } => {
                self.compared(&[expr], Some(pattern));
                self.visit(expr, true);
            }
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                self.reads.named.insert(EntityUid::from(uid.as_ref().clone()));
            }
            _ => children(expression).into_iter().for_each(|child| self.visit(child, true)),
        }
    }

    fn read(&mut self, expression: &Expr, whole: bool) {
        for slot in self.slots(expression) {
            self.note(&slot, whole);
        }
    }

    fn presence(&mut self, holder: &Expr, attributes: &[&SmolStr]) {
        for slot in self.slots(holder) {
            let steps = attributes.iter().map(|name| Step::Attribute((*name).clone()));
            let slot = steps.fold(slot, Slot::then);
            self.note(&slot, false);
        }
        self.visit(holder, false);
    }

    /// Takes up a slot, and whatever must be chosen before there is one.
    fn note(&mut self, slot: &Slot, whole: bool) {
        for length in 0..=slot.steps.len() {
            let steps = slot.steps.iter().take(length).cloned().collect();
            let prefix = Slot { root: slot.root.clone(), steps };
            let Some(declared) = self.reads.declaration(&prefix) else { return };
            let fixed = matches!(prefix.root, Root::Entity(_) | Root::Context) && length == 0;
            let entity = matches!(declared.shape, Shape::Entity(_));
            if whole && length == slot.steps.len() {
                self.note_value(&prefix, &declared);
            } else if !fixed && (entity || declared.optional) {
                if entity && length < slot.steps.len() {
                    self.reads.values.insert(prefix.clone());
                }
                self.dimension(prefix, declared);
            }
        }
    }

    /// Takes up the value of a slot: of a record, that of every field in it.
    fn note_value(&mut self, slot: &Slot, declared: &Declared) {
        let fields: Option<&RecordShape> = match &declared.shape {
            Shape::Record(record) => Some(record),
            Shape::Parsed(parsed) => Some(&parsed.facts),
            _ => None,
        };
        if let Some(record) = fields {
            if declared.optional {
                self.dimension(slot.clone(), declared.clone());
            }
            for name in record.0.keys() {
                self.note(&slot.clone().then(Step::Attribute(name.clone())), true);
            }
        } else if !(matches!(slot.root, Root::Entity(_)) && slot.steps.is_empty()) {
            self.reads.values.insert(slot.clone());
            self.dimension(slot.clone(), declared.clone());
        }
    }

    fn dimension(&mut self, slot: Slot, declared: Declared) {
        self.dimensions.insert(Dimension::Value(slot.clone()));
        self.reads.declared.insert(slot, declared);
    }

    fn ancestry(&mut self, descendant: &Expr, ancestors: &Expr) {
        let mut names = BTreeSet::new();
        self.entity_types(ancestors, &mut names);
        for slot in self.slots(descendant) {
            let Some(Declared { shape: Shape::Entity(_), .. }) = self.reads.declaration(&slot) else { continue };
            self.reads.ancestors.entry(slot.clone()).or_default().extend(names.iter().cloned());
            self.dimensions.insert(Dimension::Parents(slot));
        }
    }

    fn entity_types(&self, expression: &Expr, found: &mut BTreeSet<EntityTypeName>) {
        if let ExprKind::Lit(Literal::EntityUID(uid)) = expression.expr_kind() {
            found.insert(EntityTypeName::from(uid.entity_type().clone()));
        }
        for declared in self.slots(expression).iter().filter_map(|slot| self.reads.declaration(slot)) {
            match declared.shape {
                Shape::Entity(name) => drop(found.insert(name)),
                Shape::Set(element) => {
                    if let Shape::Entity(name) = *element {
                        found.insert(name);
                    }
                }
                _ => {}
            }
        }
        if let ExprKind::Set(_) | ExprKind::If { .. } = expression.expr_kind() {
            children(expression).into_iter().for_each(|child| self.entity_types(child, found));
        }
    }

    fn compared(&mut self, operands: &[&Expr], pattern: Option<&Pattern>) {
        let mut comparison = Comparison::default();
        for operand in operands {
            self.operand(operand, &mut comparison);
        }
        if let Some(pattern) = pattern {
            comparison.literals.strings.extend(boundaries::of_pattern(pattern.get_elems()));
            comparison.patterns.push(pattern.clone());
        }
        if !comparison.fields.is_empty() {
            self.reads.compare(comparison);
        }
    }

    fn operand(&self, expression: &Expr, comparison: &mut Comparison) {
        let slots = self.slots(expression);
        if !slots.is_empty() {
            for declared in slots.iter().filter_map(|slot| self.reads.declaration(slot)) {
                fields_of(&declared, &mut comparison.fields);
            }
            return;
        }
        let literals = &mut comparison.literals;
        match expression.expr_kind() {
            ExprKind::Lit(Literal::Long(value)) => drop(literals.longs.insert(*value)),
            ExprKind::Lit(Literal::String(text)) => drop(literals.strings.insert(text.clone())),
            ExprKind::UnaryApp { op: UnaryOp::Neg, arg } => match arg.expr_kind() {
                ExprKind::Lit(Literal::Long(value)) => drop(literals.longs.insert(value.wrapping_neg())),
                _ => self.operand(arg, comparison),
            },
            ExprKind::ExtensionFunctionApp { fn_name, args } => match extension_literal(&fn_name.to_string(), args) {
                Some(literal) => drop(literals.extensions.insert(literal)),
                None => args.iter().for_each(|argument| self.operand(argument, comparison)),
            },
            _ => children(expression).into_iter().for_each(|child| self.operand(child, comparison)),
        }
    }

    /// The slots that an expression can stand for: none if it is no path, several if it is an `if`.
    fn slots(&self, expression: &Expr) -> Vec<Slot> {
        let root = |root| vec![Slot { root, steps: Vec::new() }];
        match expression.expr_kind() {
            ExprKind::Var(Var::Principal) => root(Root::Principal),
            ExprKind::Var(Var::Resource) => root(Root::Resource),
            ExprKind::Var(Var::Context) => root(Root::Context),
            ExprKind::Lit(Literal::EntityUID(uid)) if !uid.entity_type().is_action() => {
                root(Root::Entity(EntityUid::from(uid.as_ref().clone())))
            }
            ExprKind::GetAttr { expr, attr } => {
                self.slots(expr).into_iter().map(|slot| slot.then(Step::Attribute(attr.clone()))).collect()
            }
            ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, arg2 } => {
                self.slots(arg1).into_iter().map(|slot| slot.then(tag_step(arg2))).collect()
            }
            ExprKind::If { then_expr, else_expr, .. } => {
                self.slots(then_expr).into_iter().chain(self.slots(else_expr)).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Slot {
    pub(super) fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// Whether an expression leads somewhere that can be said: a variable, an entity, and attributes and tags of these.
pub(super) fn is_path(expression: &Expr) -> bool {
    match expression.expr_kind() {
        ExprKind::Var(_) | ExprKind::Lit(Literal::EntityUID(_)) => true,
        ExprKind::GetAttr { expr, .. } => is_path(expr),
        ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, .. } => is_path(arg1),
        ExprKind::If { then_expr, else_expr, .. } => is_path(then_expr) && is_path(else_expr),
        _ => false,
    }
}

fn tag_step(key: &Expr) -> Step {
    Step::Tag(match key.expr_kind() {
        ExprKind::Lit(Literal::String(key)) => key.clone(),
        _ => SmolStr::new_static(COMPUTED_TAG),
    })
}

/// The fields whose values are compared when this one is: of a record, all in it.
fn fields_of(declared: &Declared, found: &mut BTreeSet<Field>) {
    let record = match &declared.shape {
        Shape::Record(record) => record,
        Shape::Parsed(parsed) => &parsed.facts,
        _ => {
            found.insert(declared.field.clone());
            return;
        }
    };
    for (name, inner) in &record.0 {
        let mut field = declared.field.clone();
        field.steps.push(Step::Attribute(name.clone()));
        fields_of(&Declared { shape: inner.shape.clone(), optional: !inner.required, field }, found);
    }
}

fn extension_literal(function: &str, arguments: &[Expr]) -> Option<(Extension, SmolStr)> {
    let extension = match function {
        "ip" => Extension::Ip,
        "decimal" => Extension::Decimal,
        "datetime" => Extension::Datetime,
        "duration" => Extension::Duration,
        _ => return None,
    };
    match arguments.first()?.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => Some((extension, text.clone())),
        _ => None,
    }
}

/// The expressions directly inside one that is neither a path nor a comparison.
fn children(expression: &Expr) -> Vec<&Expr> {
    match expression.expr_kind() {
        ExprKind::If { test_expr, then_expr, else_expr } => vec![test_expr, then_expr, else_expr],
        ExprKind::And { left, right } | ExprKind::Or { left, right } => vec![left, right],
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::UnaryApp { arg, .. } => vec![arg],
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().collect(),
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::Set(elements) => elements.iter().collect(),
        ExprKind::Record(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}
