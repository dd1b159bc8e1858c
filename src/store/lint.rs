//! What Cedar's own checks do not see: `has` on what is always there, citations, and what nothing cites.

use std::collections::BTreeSet;

use cedar_policy::EntityTypeName;
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};
use smol_str::SmolStr;

use super::policy::Statement;
use super::problem::Problem;
use super::schema::{Environment, FieldShape, RecordShape, Shape, Types};
use super::{Store, scope};

/// In `@allow`: the policy may be one that never changes a decision.
pub const SHADOWED: &str = "shadowed";

/// In `@allow`: conditions of the policy may be always true or always false.
pub const CONSTANT: &str = "constant";

/// Every problem beyond parsing and types.
pub(super) fn lint(store: &Store) -> Vec<Problem> {
    let mut problems = Vec::new();
    for statement in store.policies.iter().chain(&store.rows) {
        problems.extend(required_has(statement, store));
    }
    problems.extend(unknown_lints(store));
    problems.extend(reserved_ids(store));
    problems.extend(citations(store));
    problems.extend(documentation(store));
    problems
}

/// `has` on a required attribute: on an entity that is not there it is false without an error, so a `forbid` behind it would
/// not fire; the solver takes it for true. On anything else it says nothing.
pub(super) fn required_has(statement: &Statement, store: &Store) -> Vec<Problem> {
    let Some(condition) = statement.policy.as_ref().non_scope_constraints() else { return Vec::new() };
    let mut found: Vec<(String, (usize, usize))> = Vec::new();
    for environment in &store.types.environments {
        if scope::can_match(&statement.policy, environment, &store.schema) {
            let typing = Typing { types: &store.types, environment };
            visit(condition, &mut |expression| {
                let (holder, attributes): (_, Vec<&SmolStr>) = match expression.expr_kind() {
                    ExprKind::HasAttr { expr, attr } => (expr, vec![attr]),
                    ExprKind::ExtHasAttr { expr, attrs } => (expr, attrs.iter().collect()),
                    _ => return,
                };
                let span = expression.source_loc().map_or((0, 0), |loc| (loc.span.offset(), loc.span.len()));
                let required = typing.required(holder, &attributes);
                found.extend(required.into_iter().map(|attribute| (attribute.to_string(), span)));
            });
        }
    }
    found.sort();
    found.dedup();
    found
        .into_iter()
        .map(|(attribute, span)| {
            Problem::error(format!("`has {attribute}` asks for a required attribute"))
                .in_file(&statement.file)
                .at(span.into(), "always there, except on an entity that is not")
                .with_help(
                    "remove the test: a request that lacks a required attribute is denied before any policy is asked; to tell types apart, use `is`",
                )
        })
        .collect()
}

fn visit<'a>(expression: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    for part in expression.subexpressions() {
        see(part);
    }
}

/// The types of expressions in one environment, as far as `has` needs them: Cedar's validator has checked the rest.
struct Typing<'a> {
    types: &'a Types,
    environment: &'a Environment,
}

/// What an expression is.
enum Typed {
    /// The context: what is required there is promised by the schema, not by the value.
    Context,
    /// A value of that shape. What is required of an entity is only promised too; a record is what it is.
    Shape(Shape),
    /// An action, which has no attributes.
    Action,
    /// Something else.
    Unknown,
}

impl Typing<'_> {
    /// Those of the attributes, each asked of the one before, that are always there.
    fn required<'b>(&self, holder: &Expr, attributes: &[&'b SmolStr]) -> Vec<&'b SmolStr> {
        let mut required = Vec::new();
        let mut holder = self.of(holder);
        for attribute in attributes {
            let is_required = match &holder {
                Typed::Context | Typed::Shape(Shape::Entity(_)) => {
                    self.fields(&holder).and_then(|record| record.0.get(*attribute)).is_some_and(|field| field.required)
                }
                Typed::Shape(_) | Typed::Action => false,
                // What is not known is refused where it could be an entity.
                Typed::Unknown => self.is_required_somewhere(attribute),
            };
            if is_required {
                required.push(*attribute);
            }
            holder = self.attribute(&holder, attribute);
        }
        required
    }

    fn is_required_somewhere(&self, attribute: &str) -> bool {
        let mut entities = self.types.entities.values();
        entities.any(|entity| entity.attributes.0.get(attribute).is_some_and(|field| field.required))
    }

    fn of(&self, expression: &Expr) -> Typed {
        match expression.expr_kind() {
            ExprKind::Var(Var::Principal) => Typed::Shape(Shape::Entity(self.environment.principal.clone())),
            ExprKind::Var(Var::Resource) => Typed::Shape(Shape::Entity(self.environment.resource.clone())),
            ExprKind::Var(Var::Context) => Typed::Context,
            ExprKind::Var(Var::Action) => Typed::Action,
            ExprKind::Lit(Literal::EntityUID(uid)) if uid.is_action() => Typed::Action,
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                Typed::Shape(Shape::Entity(EntityTypeName::from(uid.entity_type().clone())))
            }
            ExprKind::If { then_expr, else_expr, .. } => match self.of(then_expr) {
                Typed::Unknown => self.of(else_expr),
                found => found,
            },
            ExprKind::GetAttr { expr, attr } => self.attribute(&self.of(expr), attr),
            ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, .. } => match self.of(arg1) {
                Typed::Shape(Shape::Entity(name)) => {
                    let tags = self.types.entity(&name.to_string()).and_then(|entity| entity.tags.clone());
                    tags.map_or(Typed::Unknown, Typed::Shape)
                }
                _ => Typed::Unknown,
            },
            ExprKind::Record(fields) => {
                let known = fields.iter().filter_map(|(name, value)| match self.of(value) {
                    Typed::Shape(shape) => Some((name.clone(), FieldShape { required: true, shape })),
                    _ => None,
                });
                Typed::Shape(Shape::Record(RecordShape(known.collect())))
            }
            _ => Typed::Unknown,
        }
    }

    fn attribute(&self, holder: &Typed, attribute: &str) -> Typed {
        let field = self.fields(holder).and_then(|record| record.0.get(attribute));
        field.map_or(Typed::Unknown, |field| Typed::Shape(field.shape.clone()))
    }

    fn fields<'t>(&'t self, holder: &'t Typed) -> Option<&'t RecordShape> {
        match holder {
            Typed::Context => Some(&self.environment.context),
            Typed::Shape(Shape::Entity(name)) => Some(&self.types.entity(&name.to_string())?.attributes),
            Typed::Shape(Shape::Record(record)) => Some(record),
            Typed::Shape(Shape::Parsed(parsed)) => Some(&parsed.facts),
            _ => None,
        }
    }
}

/// What `@allow` names, but no warning is called.
fn unknown_lints(store: &Store) -> impl Iterator<Item = Problem> + '_ {
    store.policies.iter().flat_map(|policy| {
        let unknown = policy.allowed_lints().filter(|name| ![SHADOWED, CONSTANT].contains(name));
        unknown.map(move |name| {
            let problem = Problem::warning(format!("`{}` allows `{name}`, which is the name of no warning", policy.id));
            let problem = problem.in_file(&policy.file).at(policy.find(name), "");
            problem.with_help(format!("what can be allowed is `{SHADOWED}` and `{CONSTANT}`"))
        })
    })
}

/// Ids that stand for something else among the reasons of a decision.
fn reserved_ids(store: &Store) -> impl Iterator<Item = Problem> + '_ {
    let reserved = store.policies.iter().filter(|policy| policy.id.starts_with(RESERVED));
    reserved.map(|policy| {
        let problem = Problem::error(format!("the id `{}` is reserved", policy.id));
        policy.problem(problem).with_help(format!("choose one that does not start with `{RESERVED}`"))
    })
}

/// How the keys of reasons start that are no ids of policies.
const RESERVED: &str = "gatepost:";

/// Citations of clauses that do not exist, and clauses that nothing cites.
fn citations(store: &Store) -> Vec<Problem> {
    let Some(clauses) = &store.clauses else { return Vec::new() };
    let mut problems = Vec::new();
    let mut cited: BTreeSet<&str> = BTreeSet::new();
    for statement in store.policies.iter().chain(&store.rows) {
        for source in &statement.sources {
            if clauses.get(source).is_some() {
                cited.insert(source);
                continue;
            }
            let quoted = statement.annotation("source").map(|text| format!("\"{text}\"")).unwrap_or_default();
            problems.push(
                Problem::error(format!("`{}` cites the clause `{source}`, which does not exist", statement.id))
                    .in_file(&statement.file)
                    .at(statement.find(&quoted), "")
                    .with_help("the clauses stand in matrix/clauses.toml"),
            );
        }
    }
    let file = store.files.clauses.as_ref();
    for clause in clauses.clauses.iter().filter(|clause| !cited.contains(clause.id.as_str())) {
        let problem = Problem::warning(format!("nothing cites the clause `{}`", clause.id))
            .with_help("cite it in the @source of a row or a policy that it is the reason for");
        problems.push(match file {
            Some(file) => problem.in_file(file).at_text(&format!("\"{}\"", clause.id)),
            None => problem,
        });
    }
    problems
}

/// What a reviewer will miss: ids, sources, a matrix, clauses.
fn documentation(store: &Store) -> Vec<Problem> {
    let mut problems = Vec::new();
    for policy in &store.policies {
        if policy.annotation("id").is_none() {
            problems.push(
                policy
                    .problem(Problem::warning("the policy has no @id"))
                    .with_help(format!("it is called `{}`, which changes with the file; give it an id", policy.id)),
            );
        }
    }
    if store.clauses.is_none() {
        problems.push(
            Problem::warning("the store has no clauses")
                .with_help("put the statements of the source document into matrix/clauses.toml"),
        );
    } else {
        let statements = store.policies.iter().chain(&store.rows);
        for statement in statements.filter(|statement| statement.sources.is_empty()) {
            problems.push(
                statement
                    .problem(Problem::warning(format!("`{}` cites no clause", statement.id)))
                    .with_help("say in @source(\"…\") which clause of matrix/clauses.toml it comes from"),
            );
        }
    }
    if store.rows.is_empty() {
        problems.push(
            Problem::warning("the store has no matrix")
                .with_help("write what must hold into matrix/*.cedar, row by row"),
        );
    }
    problems
}
