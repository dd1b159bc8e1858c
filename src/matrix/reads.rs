//! What statements read of a request: the places whose value, presence or ancestry can change what they say.
//!
//! Everything else in a request cannot matter to them, so representative requests vary only here. The walk is over Cedar's
//! own syntax tree, scope included.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cedar_policy::{EntityTypeName, EntityUid, Policy};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Pattern, UnaryOp, Var};
use smol_str::{SmolStr, format_smolstr};

use super::boundaries;
use super::domain::MOST_FRESH;
use super::parts::{self, Passes, TimePart};
use crate::request::value::Value;
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
    /// Records, where sets of records are compared with them.
    pub(super) records: Vec<Value>,
    /// The times of day that times are asked for, in milliseconds.
    pub(super) times_of_day: BTreeSet<i64>,
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
    /// The keys of tags that policies write out.
    pub(super) written_keys: BTreeSet<SmolStr>,
    /// The keys under which a tag with a computed key is tried.
    pub(super) computed_keys: BTreeSet<SmolStr>,
    /// Places that hold numbers which are added, subtracted or multiplied: their boundaries are not where they are compared.
    pub(super) reckoned: BTreeSet<Slot>,
}

/// The key under which a tag with a computed key is tried, where nothing else is known.
const COMPUTED_TAG: &str = "other-1";

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
            written_keys: BTreeSet::new(),
            computed_keys: BTreeSet::from([SmolStr::new_static(COMPUTED_TAG)]),
            reckoned: BTreeSet::new(),
        }
    }

    /// What all these policies read, and for each of them, in their order, which dimensions those are.
    pub(super) fn of(
        types: &'a Types,
        environment: &'a Environment,
        policies: &[&Policy],
    ) -> (Self, Vec<BTreeSet<Dimension>>) {
        let read = |mut reads: Self| {
            let dimensions = policies.iter().map(|policy| reads.add(policy)).collect();
            (reads, dimensions)
        };
        let (reads, dimensions) = read(Self::new(types, environment));
        if reads.keys.is_empty() {
            return (reads, dimensions);
        }
        // Which keys a computed one can be told from is known only when all have been read.
        let computed_keys = reads.keys_to_try();
        read(Self { computed_keys, ..Self::new(types, environment) })
    }

    /// The keys of tags that policies write out or compare computed ones with, and for each place of a computed one another.
    fn keys_to_try(&self) -> BTreeSet<SmolStr> {
        let compared = self.comparisons.iter().filter(|comparison| !comparison.fields.is_disjoint(&self.keys));
        let compared = compared.flat_map(|comparison| &comparison.literals.strings);
        let named: BTreeSet<SmolStr> = self.written_keys.iter().chain(compared).cloned().collect();
        let places = self.declared.values().filter(|declared| self.keys.contains(&declared.field)).count();
        let others = (1..).map(|number| format_smolstr!("other-{number}")).filter(|key| !named.contains(key));
        others.take(places.clamp(1, MOST_FRESH)).chain(named.iter().cloned()).collect()
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

    /// The slots that an expression can stand for: none if it is no path, several if it is an `if`.
    pub(super) fn slots(&self, expression: &Expr) -> Vec<Slot> {
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
            ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, arg2 } => self.tags(arg1, arg2),
            ExprKind::If { then_expr, else_expr, .. } => {
                self.slots(then_expr).into_iter().chain(self.slots(else_expr)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The tags that an entity may be asked for by a key.
    fn tags(&self, entity: &Expr, key: &Expr) -> Vec<Slot> {
        let written = written_keys(key);
        let computed = !is_written(key);
        let keys: BTreeSet<&SmolStr> = written.iter().chain(self.computed_keys.iter().filter(|_| computed)).collect();
        let of =
            |slot: Slot| keys.iter().map(move |key| slot.clone().then(Step::Tag((*key).clone()))).collect::<Vec<_>>();
        self.slots(entity).into_iter().flat_map(of).collect()
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
            merged.literals.records.extend(other.literals.records);
            merged.literals.times_of_day.extend(other.literals.times_of_day);
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
                    for slot in self.reads.tags(arg1, arg2) {
                        self.note(&slot, false);
                    }
                }
                self.reads.written_keys.extend(written_keys(arg2));
                let keys =
                    self.reads.slots(arg2).into_iter().filter_map(|slot| Some(self.reads.declaration(&slot)?.field));
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
                    let slots = [arg1, arg2].into_iter().flat_map(|side| self.reads.slots(side));
                    self.reads.reckoned.extend(slots.collect::<Vec<_>>());
                }
                self.compared(&[arg1, arg2], None);
                self.visit(arg1, true);
                self.visit(arg2, true);
            }
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                self.compared(&args.iter().collect::<Vec<_>>(), None);
                self.kinds_of_addresses(&fn_name.to_string(), args);
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
        for slot in self.reads.slots(expression) {
            self.note(&slot, whole);
        }
    }

    fn presence(&mut self, holder: &Expr, attributes: &[&SmolStr]) {
        for slot in self.reads.slots(holder) {
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
        for slot in self.reads.slots(descendant) {
            let Some(Declared { shape: Shape::Entity(_), .. }) = self.reads.declaration(&slot) else { continue };
            self.reads.ancestors.entry(slot.clone()).or_default().extend(names.iter().cloned());
            self.dimensions.insert(Dimension::Parents(slot));
        }
    }

    fn entity_types(&self, expression: &Expr, found: &mut BTreeSet<EntityTypeName>) {
        if let ExprKind::Lit(Literal::EntityUID(uid)) = expression.expr_kind() {
            found.insert(EntityTypeName::from(uid.entity_type().clone()));
        }
        for declared in self.reads.slots(expression).iter().filter_map(|slot| self.reads.declaration(slot)) {
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

    /// To be asked for the kind of an address is to be asked whether it lies in the ranges of that kind (RFC 1122, section 3.2.1.3;
    /// RFC 5771; RFC 4291, section 2.4).
    fn kinds_of_addresses(&mut self, function: &str, arguments: &[Expr]) {
        let ranges = match function {
            "isIpv4" | "isIpv6" => ["0.0.0.0/0", "::/0"],
            "isLoopback" => ["127.0.0.0/8", "::1"],
            "isMulticast" => ["224.0.0.0/4", "ff00::/8"],
            _ => return,
        };
        let mut comparison = Comparison::default();
        comparison.literals.extensions.extend(ranges.map(|range| (Extension::Ip, SmolStr::new_static(range))));
        arguments.iter().for_each(|argument| self.operand(argument, &mut comparison));
        self.reads.compare(comparison);
    }

    /// A part of a time or a duration, compared with a number: where the whole passes it.
    fn part_compared(&mut self, part: &TimePart<'_>, with: i64) {
        let mut comparison = Comparison::default();
        self.operand(part.whole, &mut comparison);
        match part.passes(with) {
            Some(Passes::At(values)) => {
                let written = values.into_iter().filter_map(|value| boundaries::written(part.extension, value));
                comparison.literals.extensions.extend(written.map(|literal| (part.extension, literal)));
            }
            Some(Passes::EachDayAt(times)) => comparison.literals.times_of_day.extend(times),
            None => {}
        }
        self.reads.compare(comparison);
    }

    fn compared(&mut self, operands: &[&Expr], pattern: Option<&Pattern>) {
        if let [left, right] = operands {
            for (part, with) in [(left, right), (right, left)] {
                if let (Some(part), Some(with)) = (TimePart::of(part), parts::number(with)) {
                    return self.part_compared(&part, with);
                }
            }
        }
        let mut comparison = Comparison::default();
        for operand in operands {
            self.operand(operand, &mut comparison);
        }
        if let Some(pattern) = pattern {
            comparison.patterns.push(pattern.clone());
        }
        if !comparison.fields.is_empty() {
            self.reads.compare(comparison);
        }
    }

    fn operand(&self, expression: &Expr, comparison: &mut Comparison) {
        if let ExprKind::If { then_expr, else_expr, .. } = expression.expr_kind() {
            self.operand(then_expr, comparison);
            return self.operand(else_expr, comparison);
        }
        let slots = self.reads.slots(expression);
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
            ExprKind::Record(_) => {
                literals.records.extend(constant(expression));
                children(expression).into_iter().for_each(|child| self.operand(child, comparison));
            }
            _ => children(expression).into_iter().for_each(|child| self.operand(child, comparison)),
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

/// The strings that a key can be, where they are written out.
fn written_keys(key: &Expr) -> Vec<SmolStr> {
    match key.expr_kind() {
        ExprKind::Lit(Literal::String(key)) => vec![key.clone()],
        ExprKind::If { then_expr, else_expr, .. } => {
            [then_expr, else_expr].into_iter().flat_map(|key| written_keys(key)).collect()
        }
        _ => Vec::new(),
    }
}

fn is_written(key: &Expr) -> bool {
    match key.expr_kind() {
        ExprKind::Lit(_) => true,
        ExprKind::If { then_expr, else_expr, .. } => is_written(then_expr) && is_written(else_expr),
        _ => false,
    }
}

/// The value of what is written out; `None` where something in it is not.
pub(super) fn constant(expression: &Expr) -> Option<Value> {
    match expression.expr_kind() {
        ExprKind::Lit(Literal::Bool(value)) => Some(Value::Bool(*value)),
        ExprKind::Lit(Literal::Long(value)) => Some(Value::Long(*value)),
        ExprKind::Lit(Literal::String(text)) => Some(Value::String(text.clone())),
        ExprKind::Lit(Literal::EntityUID(uid)) => Some(Value::Entity(EntityUid::from(uid.as_ref().clone()))),
        ExprKind::UnaryApp { op: UnaryOp::Neg, arg } => match constant(arg)? {
            Value::Long(value) => Some(Value::Long(value.checked_neg()?)),
            _ => None,
        },
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            extension_literal(&fn_name.to_string(), args).map(|(extension, text)| Value::Extension(extension, text))
        }
        ExprKind::Set(elements) => elements.iter().map(constant).collect::<Option<_>>().map(Value::Set),
        ExprKind::Record(fields) => {
            let fields = fields.iter().map(|(name, value)| Some((name.clone(), constant(value)?)));
            fields.collect::<Option<_>>().map(Value::Record)
        }
        _ => None,
    }
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

pub(super) fn extension_literal(function: &str, arguments: &[Expr]) -> Option<(Extension, SmolStr)> {
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
