//! What Cedar's own checks do not see: `has` on what is always there, citations, and what nothing cites.

use std::collections::BTreeSet;

use cedar_policy::EntityTypeName;
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};
use smol_str::SmolStr;

use super::nearest::nearest;
use super::policy::Statement;
use super::presence::PRESENCE;
use super::problem::{Problem, SourceFile};
use super::reserved::RESERVED;
use super::schema::{Environment, FieldShape, RecordShape, Shape, Types};
use super::{Store, addresses, presence, scope};

/// In `@allow`: the policy may be one that never changes a decision.
pub const SHADOWED: &str = "shadowed";

/// In `@allow`: conditions of the policy may be always true or always false.
pub const CONSTANT: &str = "constant";

/// In `@allow`: the policy may read what the decision log masks.
pub const MASKED: &str = "masked";

/// Every warning that a policy can allow.
const ALLOWABLE: [&str; 4] = [SHADOWED, CONSTANT, MASKED, PRESENCE];

/// Every problem beyond parsing and types.
pub(super) fn lint(store: &Store) -> Vec<Problem> {
    let mut problems = Vec::new();
    for statement in store.policies.iter().chain(&store.rows) {
        problems.extend(of_statement(statement, store));
    }
    problems.extend(store.policies.iter().flat_map(|policy| presence::hanging(policy, store)));
    problems.extend(actions_of_other_types(&store.types));
    problems.extend(unknown_lints(store));
    problems.extend(reserved_ids(store));
    problems.extend(citations(store));
    problems.extend(documentation(store));
    problems
}

/// What is wrong with one statement by itself.
pub(super) fn of_statement(statement: &Statement, store: &Store) -> Vec<Problem> {
    [required_has(statement, store), addresses::mapped_literals(statement)].concat()
}

/// Actions whose context has an `action` that is no record: nothing can take what a caller says of the action.
fn actions_of_other_types(types: &Types) -> Vec<Problem> {
    let other = types.environments.iter().filter_map(|environment| {
        let field = environment.context.0.get("action")?;
        (!matches!(field.shape, Shape::Record(_))).then(|| (&environment.action_name, field.shape.to_string()))
    });
    let problems = other.collect::<BTreeSet<_>>().into_iter().map(|(action, shape)| {
        Problem::warning(format!(
            "`context.action` of the action `{action}` is {shape}, which takes no `action.properties`"
        ))
        .with_help(
            "declare it as a record, whose fields a caller may say as `action.properties`; or give it another name",
        )
    });
    problems.collect()
}

/// `has` on a required attribute: on an entity that is not there it is false without an error, so a `forbid` behind it would
/// not fire; the solver takes it for true. On anything else it says nothing.
fn required_has(statement: &Statement, store: &Store) -> Vec<Problem> {
    let Some(condition) = statement.policy.as_ref().non_scope_constraints() else { return Vec::new() };
    let mut found: Vec<(String, (usize, usize), String)> = Vec::new();
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
                let advice = advice(holder, &attributes, &required, &statement.file);
                found.extend(required.into_iter().map(|attribute| (attribute.to_string(), span, advice.clone())));
            });
        }
    }
    found.sort();
    found.dedup_by(|(name, span, _), (other, place, _)| (name, span) == (other, place));
    found
        .into_iter()
        .map(|(attribute, span, advice)| {
            Problem::error(format!("`has {attribute}` asks for a required attribute"))
                .in_file(&statement.file)
                .at(span.into(), "always there, except on an entity that is not")
                .with_help(format!(
                    "{advice}: a request that lacks a required attribute is denied before any policy is asked; to tell types apart, use `is`",
                ))
        })
        .collect()
}

/// What to write instead of a `has` that asks for required attributes: the question without them, `context.req has c` for
/// `context has req.c`.
fn advice(holder: &Expr, asked: &[&SmolStr], required: &[&SmolStr], file: &SourceFile) -> String {
    let text = holder.source_loc().and_then(|loc| file.text.get(loc.span.offset()..loc.span.offset() + loc.span.len()));
    let Some(text) = text.filter(|_| asked.len() > required.len()) else { return "remove the test".to_owned() };
    // What is no plain path is not written with a `.` behind it.
    let is_path = text.chars().all(|letter| letter.is_alphanumeric() || "._".contains(letter));
    let mut holder = if is_path { text.to_owned() } else { format!("({text})") };
    let (mut tests, mut test) = (Vec::new(), Vec::<&str>::new());
    for attribute in asked {
        if required.iter().any(|required| std::ptr::eq(*required, *attribute)) {
            if !test.is_empty() {
                tests.push(format!("{holder} has {}", test.join(".")));
                holder = format!("{holder}.{}", test.join("."));
                test.clear();
            }
            holder = format!("{holder}.{attribute}");
        } else {
            test.push(attribute);
        }
    }
    if !test.is_empty() {
        tests.push(format!("{holder} has {}", test.join(".")));
    }
    format!("write `{}`", tests.join(" && "))
}

fn visit<'a>(expression: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    for part in expression.subexpressions() {
        see(part);
    }
}

/// The types of expressions in one environment, as far as `has` needs them: Cedar's validator has checked the rest.
pub(crate) struct Typing<'a> {
    pub(crate) types: &'a Types,
    pub(crate) environment: &'a Environment,
}

/// What an expression is.
pub(crate) enum Typed {
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

    pub(crate) fn of(&self, expression: &Expr) -> Typed {
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
                    let tags = self.types.entity_of(&name).and_then(|entity| entity.tags.clone());
                    tags.map_or(Typed::Unknown, Typed::Shape)
                }
                _ => Typed::Unknown,
            },
            ExprKind::Record(fields) => {
                let known = fields.iter().filter_map(|(name, value)| match self.of(value) {
                    Typed::Shape(shape) => Some((
                        name.clone(),
                        FieldShape { required: true, sensitive: false, stored: false, must_exist: false, shape },
                    )),
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

    pub(crate) fn fields<'t>(&'t self, holder: &'t Typed) -> Option<&'t RecordShape> {
        match holder {
            Typed::Context => Some(&self.environment.context),
            Typed::Shape(Shape::Entity(name)) => Some(&self.types.entity_of(name)?.attributes),
            Typed::Shape(Shape::Record(record)) => Some(record),
            Typed::Shape(Shape::Parsed(parsed)) => Some(&parsed.facts),
            _ => None,
        }
    }
}

/// What `@allow` names, but no warning is called.
fn unknown_lints(store: &Store) -> impl Iterator<Item = Problem> + '_ {
    store.policies.iter().flat_map(|policy| {
        let unknown = policy.allowed_lints().filter(|name| !ALLOWABLE.contains(name));
        unknown.map(move |name| {
            let problem = Problem::warning(format!("`{}` allows `{name}`, which is the name of no warning", policy.id));
            let problem = problem.in_file(&policy.file).at(policy.find(name), "");
            let meant = nearest(name, ALLOWABLE).map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
            problem.with_help(format!("{meant}what can be allowed is `{}`", ALLOWABLE.join("`, `")))
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
            let ids = clauses.clauses.iter().map(|clause| clause.id.as_str());
            let meant = nearest(source, ids).map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
            problems.push(
                Problem::error(format!("`{}` cites the clause `{source}`, which does not exist", statement.name()))
                    .in_file(&statement.file)
                    .at(statement.find(&quoted), "")
                    .with_help(format!("{meant}the clauses stand in matrix/clauses.toml")),
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
                    .problem(Problem::warning(format!("`{}` cites no clause", statement.name())))
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
