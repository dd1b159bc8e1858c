//! What changed between two stores as they are written: the declarations of the schema, the policies, the rows.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy_core::ast::{BinaryOp, ExprKind};
use smol_str::SmolStr;

use super::policy::Statement;
use super::schema::{RecordShape, Shape};
use super::{Store, policy, schema};

/// A declaration of the schema that one store has otherwise than another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// What is declared: `entity Account`, `Account.kind`, `action view: User · Account`.
    pub name: String,
    /// How the older store declares it; `None` where it does not.
    pub old: Option<String>,
    /// How the newer store declares it; `None` where it does not.
    pub new: Option<String>,
    /// What a policy would have to ask for to see the difference.
    pub seen_by: SeenBy,
}

/// What a policy that type-checks under two schemas can ask for that is there under one of them only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeenBy {
    /// `has` on an attribute of that name.
    Has(SmolStr),
    /// `hasTag`.
    HasTag,
    /// `in`.
    In,
    /// Nothing.
    Nothing,
}

impl Declaration {
    /// Whether it is a string in both, and another plugin reads it, or the same with other parameters.
    pub fn is_read_otherwise(&self) -> bool {
        let read = |text: &Option<String>| text.as_ref().is_some_and(|text| text.starts_with(schema::READ));
        read(&self.old) && read(&self.new)
    }

    /// Whether a policy asks for it without having to know it.
    pub fn is_asked_for_by(&self, statement: &Statement) -> bool {
        statement.policy.as_ref().condition().subexpressions().any(|part| match (part.expr_kind(), &self.seen_by) {
            (ExprKind::HasAttr { attr, .. }, SeenBy::Has(name)) => attr == name,
            (ExprKind::ExtHasAttr { attrs, .. }, SeenBy::Has(name)) => attrs.iter().any(|attr| attr == name),
            (ExprKind::BinaryApp { op: BinaryOp::HasTag, .. }, SeenBy::HasTag) => true,
            (ExprKind::BinaryApp { op: BinaryOp::In, .. }, SeenBy::In) => true,
            _ => false,
        })
    }
}

/// A policy or row that one store has otherwise than another: added where there is no older one, removed where there is no newer.
#[derive(Clone, Copy, Debug)]
pub struct Rewritten<'a> {
    /// As it stands in the older store.
    pub old: Option<&'a Statement>,
    /// As it stands in the newer store.
    pub new: Option<&'a Statement>,
}

impl Rewritten<'_> {
    /// Whether only annotations differ, which decide nothing.
    pub fn only_annotations(&self) -> bool {
        let bare = |statement: Option<&Statement>| {
            let mut json = statement?.policy.to_json().ok()?;
            json.as_object_mut()?.remove("annotations");
            Some(json)
        };
        bare(self.old).is_some() && bare(self.old) == bare(self.new)
    }
}

/// The declarations that differ, in the order of their names.
pub fn declarations(old: &Store, new: &Store) -> Vec<Declaration> {
    differing(&Declared::by(old).0, &Declared::by(new).0)
}

/// The clauses of the source document that differ, in the order of their ids.
pub fn clauses(old: &Store, new: &Store) -> Vec<Declaration> {
    let texts = |store: &Store| -> BTreeMap<String, (String, SeenBy)> {
        let clauses = store.clauses.iter().flat_map(|clauses| &clauses.clauses);
        clauses.map(|clause| (clause.id.clone(), (clause.text.clone(), SeenBy::Nothing))).collect()
    };
    differing(&texts(old), &texts(new))
}

fn differing(old: &BTreeMap<String, (String, SeenBy)>, new: &BTreeMap<String, (String, SeenBy)>) -> Vec<Declaration> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let all = names.into_iter().filter_map(|name| {
        let (old, new) = (old.get(name), new.get(name));
        let (_, seen_by) = old.or(new)?;
        let text = |found: Option<&(String, SeenBy)>| found.map(|(text, _)| text.clone());
        Some(Declaration { name: name.clone(), old: text(old), new: text(new), seen_by: seen_by.clone() })
    });
    all.filter(|declaration| declaration.old != declaration.new).collect()
}

/// The policies that differ, by their ids: those of the newer store in its order, then those that are gone.
pub fn policies<'a>(old: &'a Store, new: &'a Store) -> Vec<Rewritten<'a>> {
    let key = |policy: &Statement| policy.annotation("id").map_or_else(|| policy.file.path.to_string(), str::to_owned);
    let pairs = paired(&old.policies, &new.policies, key).into_iter();
    pairs.filter(|pair| !same(pair)).collect()
}

/// Every row with its counterpart, by its place in the tables: those of the newer store in its order, then those that are gone.
pub fn rows<'a>(old: &'a Store, new: &'a Store) -> Vec<Rewritten<'a>> {
    paired(&old.rows, &new.rows, |row| match row.place() {
        place if place.is_empty() => row.file.path.to_string(),
        place => place,
    })
}

/// Whether both are there and say the same.
pub fn same(pair: &Rewritten<'_>) -> bool {
    matches!(pair, Rewritten { old: Some(old), new: Some(new) } if policy::same(old, new))
}

/// Statements of the same key belong together: first those that say the same, then the others in their order.
fn paired<'a>(old: &'a [Statement], new: &'a [Statement], key: impl Fn(&Statement) -> String) -> Vec<Rewritten<'a>> {
    let mut left: BTreeMap<String, Vec<&Statement>> = BTreeMap::new();
    old.iter().for_each(|statement| left.entry(key(statement)).or_default().push(statement));
    let mut pairs: Vec<Rewritten<'_>> = new.iter().map(|new| Rewritten { old: None, new: Some(new) }).collect();
    for only_same in [true, false] {
        for pair in pairs.iter_mut().filter(|pair| pair.old.is_none()) {
            let Some(new) = pair.new else { continue };
            let Some(candidates) = left.get_mut(&key(new)) else { continue };
            let place = candidates.iter().position(|old| !only_same || policy::same(old, new));
            pair.old = place.map(|place| candidates.remove(place));
        }
    }
    let gone = old
        .iter()
        .filter(|old| left.get(&key(old)).is_some_and(|left| left.iter().any(|other| std::ptr::eq(*other, *old))));
    let gone = gone.map(|old| Rewritten { old: Some(old), new: None });
    pairs.into_iter().chain(gone).collect()
}

/// The actions of a store and what they are in.
#[expect(clippy::expect_used, reason = "a schema whose action hierarchy cannot be built was refused when it was read")]
fn actions_of(store: &Store) -> cedar_policy::Entities {
    store.schema.action_entities().expect("the actions of a schema that was read are a hierarchy")
}

/// What a schema declares: how, by name.
#[derive(Default)]
struct Declared(BTreeMap<String, (String, SeenBy)>);

impl Declared {
    fn by(store: &Store) -> Self {
        let mut declared = Self::default();
        for entity in store.types.entities.values() {
            let name = &entity.name;
            declared.note(format!("entity {name}"), SeenBy::Nothing);
            entity.ids.iter().flatten().for_each(|id| declared.note(format!("{name}::{id:?}"), SeenBy::Nothing));
            entity.parents.iter().for_each(|parent| declared.note(format!("{name} in {parent}"), SeenBy::In));
            if let Some(tags) = &entity.tags {
                declared.shape(&format!("{name} tags"), tags, "", SeenBy::HasTag);
            }
            declared.fields(&name.to_string(), &entity.attributes);
        }
        for environment in &store.types.environments {
            let action = &environment.action;
            declared.note(
                format!("action {action}: {} · {}", environment.principal, environment.resource),
                SeenBy::Nothing,
            );
            declared.fields(&format!("action {action}: context"), &environment.context);
        }
        let actions = actions_of(store);
        for action in actions.iter().map(cedar_policy::Entity::uid) {
            for group in actions.ancestors(&action).into_iter().flatten() {
                declared.note(format!("action {action} in {group}"), SeenBy::In);
            }
        }
        declared
    }

    fn note(&mut self, name: String, seen_by: SeenBy) {
        self.0.insert(name, ("declared".to_owned(), seen_by));
    }

    fn fields(&mut self, of: &str, record: &RecordShape) {
        for (name, field) in &record.0 {
            let more = if field.required { "" } else { ", optional" };
            self.shape(&format!("{of}.{name}"), &field.shape, more, SeenBy::Has(name.clone()));
        }
    }

    fn shape(&mut self, name: &str, shape: &Shape, more: &str, seen_by: SeenBy) {
        self.0.insert(name.to_owned(), (format!("{shape}{more}"), seen_by));
        let mut inner = shape;
        while let Shape::Set(element) = inner {
            inner = element;
        }
        match inner {
            Shape::Record(record) => self.fields(name, record),
            Shape::Parsed(parsed) => self.fields(name, &parsed.facts),
            _ => {}
        }
    }
}
