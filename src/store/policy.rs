//! The policies and the rows of a store: parsed, named, with what their annotations say.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use cedar_policy::{Effect, EntityUid, Policy, PolicyId, PolicySet};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, PatternElem};
use miette::SourceSpan;

use super::nesting::{Language, too_deep};
use super::problem::{Problem, SourceFile};

/// A policy of `policies/`, or a row of `matrix/`: both are Cedar.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The policy, under its own id.
    pub policy: Policy,
    /// The id: from `@id`, else made of the file's name and the position in it.
    pub id: String,
    /// The file in which it stands.
    pub file: SourceFile,
    /// Where it stands in that file, in bytes.
    pub span: SourceSpan,
    /// The clauses that it cites.
    pub sources: Vec<String>,
}

impl Statement {
    /// What an annotation says.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        annotation(&self.policy, name)
    }

    /// Whether it permits.
    pub fn permits(&self) -> bool {
        self.policy.effect() == Effect::Permit
    }

    /// `@reason`: the sentence for a person.
    pub fn reason(&self) -> Option<&str> {
        self.annotation("reason")
    }

    /// `@allow`: the names of the warnings that its author does not want of it.
    pub fn allowed_lints(&self) -> impl Iterator<Item = &str> {
        self.annotation("allow").into_iter().flat_map(|names| names.split(',')).map(str::trim)
    }

    /// Whether its author does not want that warning of it.
    pub fn allows_lint(&self, name: &str) -> bool {
        self.allowed_lints().any(|allowed| allowed == name)
    }

    /// The line in the file at which it starts, from 1.
    pub fn line(&self) -> usize {
        self.line_at(self.span)
    }

    /// The line in its file at which something starts, from 1.
    pub fn line_at(&self, span: SourceSpan) -> usize {
        self.file.line_at(span)
    }

    /// Its place in the tables of the matrix: `Who may read · Owners · Read`; empty where it has none.
    pub fn place(&self) -> String {
        let parts = ["table", "row", "column"].map(|name| self.annotation(name));
        parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    /// What a reviewer calls it: its place in the tables, else its id.
    pub fn name(&self) -> String {
        let place = self.place();
        if place.is_empty() { self.id.clone() } else { place }
    }

    /// The place in the store, and what a reviewer calls it: `matrix/docs.cedar:12 Who may read · Owners · Read`.
    pub fn described(&self) -> String {
        format!("{}:{} {}", self.file.path, self.line(), self.name())
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        self.file.text.get(self.span.offset()..self.span.offset() + self.span.len()).unwrap_or_default()
    }

    /// Where `text` stands in this statement; all of the statement where it does not.
    pub fn find(&self, text: &str) -> SourceSpan {
        match self.text().find(text) {
            Some(start) => (self.span.offset() + start, text.len()).into(),
            None => self.span,
        }
    }

    /// A problem with this statement, the whole of it underlined.
    pub fn problem(&self, problem: Problem) -> Problem {
        problem.in_file(&self.file).at(self.span, "")
    }
}

/// The annotation of that name. Cedar's own way to it parses the name each time, which costs more than to parse a policy.
fn annotation<'p>(policy: &'p Policy, name: &str) -> Option<&'p str> {
    policy.annotations().find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Whether both say the same, annotations included; how they are formatted says nothing.
pub fn same(left: &Statement, right: &Statement) -> bool {
    match (left.policy.to_json(), right.policy.to_json()) {
        (Ok(left), Ok(right)) => left == right,
        _ => left.text() == right.text(),
    }
}

/// A permit for all requests of which a condition holds.
///
/// # Errors
///
/// Why the condition is no Cedar expression.
pub fn permit_when(condition: &str) -> Result<Policy, String> {
    Policy::parse(None, format!("permit (principal, action, resource) when {{ {condition} }};"))
        .map_err(|error| error.to_string())
}

/// The entities that the conditions of a policy name. (What its scope names is compared, or an ancestor: nothing of it is
/// read.)
pub fn named_in_conditions(policy: &Policy) -> BTreeSet<EntityUid> {
    named_in(policy.as_ref().non_scope_constraints())
}

/// The entities that a policy names, in its scope or its conditions.
pub fn named_anywhere(policy: &Policy) -> BTreeSet<EntityUid> {
    named_in([&policy.as_ref().condition()])
}

/// The entities that a policy names to read an attribute or a tag of theirs.
pub fn named_and_read(policy: &Policy) -> BTreeSet<EntityUid> {
    let conditions = policy.as_ref().non_scope_constraints().into_iter();
    let read = conditions.flat_map(Expr::subexpressions).filter_map(|part| match part.expr_kind() {
        ExprKind::GetAttr { expr, .. } => Some(expr.as_ref()),
        ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, .. } => Some(arg1.as_ref()),
        _ => None,
    });
    named_in(read)
}

/// Whether a policy has such a character in a string, a pattern or an id.
pub fn has_character(policy: &Policy, is_wanted: fn(char) -> bool) -> bool {
    policy.as_ref().condition().subexpressions().any(|part| match part.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => text.chars().any(is_wanted),
        ExprKind::Lit(Literal::EntityUID(uid)) => {
            let id: &str = uid.eid().as_ref();
            id.chars().any(is_wanted)
        }
        ExprKind::Like { pattern, .. } => {
            pattern.iter().any(|part| matches!(part, PatternElem::Char(found) if is_wanted(*found)))
        }
        _ => false,
    })
}

/// How many attributes and tags a policy reads at most one through the other: two for `principal.account.kind`. So many references
/// away from where it begins lies the farthest entity of which it can read anything.
pub fn accesses(policy: &Policy) -> usize {
    policy.as_ref().non_scope_constraints().map_or(0, accesses_in)
}

fn accesses_in(expression: &Expr) -> usize {
    let deepest = |parts: &[&Expr]| parts.iter().map(|part| accesses_in(part)).max().unwrap_or(0);
    match expression.expr_kind() {
        ExprKind::GetAttr { expr, .. } => 1 + accesses_in(expr),
        ExprKind::ExtHasAttr { expr, attrs } => attrs.len() + accesses_in(expr),
        ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, arg2 } => 1 + deepest(&[arg1, arg2]),
        ExprKind::BinaryApp { arg1, arg2, .. } => deepest(&[arg1, arg2]),
        ExprKind::And { left, right } | ExprKind::Or { left, right } => deepest(&[left, right]),
        ExprKind::If { test_expr, then_expr, else_expr } => deepest(&[test_expr, then_expr, else_expr]),
        ExprKind::UnaryApp { arg, .. } => accesses_in(arg),
        ExprKind::HasAttr { expr, .. } | ExprKind::Like { expr, .. } | ExprKind::Is { expr, .. } => accesses_in(expr),
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().map(accesses_in).max().unwrap_or(0),
        ExprKind::Set(elements) => elements.iter().map(accesses_in).max().unwrap_or(0),
        ExprKind::Record(fields) => fields.values().map(accesses_in).max().unwrap_or(0),
        _ => 0,
    }
}

fn named_in<'a>(expressions: impl IntoIterator<Item = &'a Expr>) -> BTreeSet<EntityUid> {
    let parts = expressions.into_iter().flat_map(Expr::subexpressions);
    let named = parts.filter_map(|part| match part.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => Some(EntityUid::from(uid.as_ref().clone())),
        _ => None,
    });
    named.collect()
}

/// Parses every policy of `files`, in the order of the files and in the order in which they stand there.
///
/// Beside them stand the problems: what does not parse or is nested too deeply, templates, and an id that two have. The policies
/// are those of the files that parse, the first of each id.
pub fn read(files: &[SourceFile]) -> (Vec<Statement>, Vec<Problem>) {
    let mut statements = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        if let Some(problem) = too_deep(file, Language::Policies) {
            problems.push(problem);
            continue;
        }
        match PolicySet::from_str(&file.text) {
            Ok(set) => {
                problems.extend(templates(&set, file));
                statements.extend(in_order(&set, file));
            }
            Err(errors) => problems.extend(Problem::from_cedar(&errors, file)),
        }
    }
    problems.extend(same_ids(&statements));
    let mut seen = BTreeSet::new();
    statements.retain(|statement| seen.insert(statement.id.clone()));
    (statements, problems)
}

/// A policy set of statements, which have ids of their own.
#[expect(
    clippy::expect_used,
    reason = "ids are unique, and there are no templates: the only two reasons for which Cedar refuses"
)]
pub fn set_of<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> PolicySet {
    PolicySet::from_policies(statements.into_iter().map(|statement| statement.policy.clone()))
        .expect("every statement has an id of its own")
}

fn templates<'a>(set: &'a PolicySet, file: &'a SourceFile) -> impl Iterator<Item = Problem> + 'a {
    set.templates().map(|template| {
        let problem = Problem::error("a template is not a policy: its slots are never filled")
            .in_file(file)
            .with_help("write the policy out, with an entity in place of the slot");
        match template.as_ref().loc() {
            Some(location) => problem.at(location.span, ""),
            None => problem,
        }
    })
}

fn in_order(set: &PolicySet, file: &SourceFile) -> Vec<Statement> {
    let mut policies: Vec<_> = set
        .policies()
        .map(|policy| {
            let span = policy.as_ref().loc().map_or(SourceSpan::from((0, 0)), |location| location.span);
            (span, policy)
        })
        .collect();
    policies.sort_by_key(|(span, _)| span.offset());
    let stem = file.path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
    let numbered = policies.into_iter().enumerate();
    numbered
        .map(|(index, (span, policy))| {
            let id = annotation(policy, "id").map_or_else(|| format!("{stem}:{}", index + 1), str::to_owned);
            let sources = annotation(policy, "source").into_iter().flat_map(|sources| sources.split(','));
            Statement {
                policy: policy.new_id(PolicyId::new(&id)),
                sources: sources.map(|source| source.trim().to_owned()).filter(|source| !source.is_empty()).collect(),
                id,
                file: file.clone(),
                span,
            }
        })
        .collect()
}

fn same_ids(statements: &[Statement]) -> Vec<Problem> {
    let mut seen: BTreeMap<&str, &Statement> = BTreeMap::new();
    let mut problems = Vec::new();
    for statement in statements {
        if let Some(first) = seen.insert(&statement.id, statement) {
            let place = format!("{}:{}", first.file.path, first.line());
            let quoted = format!("\"{}\"", statement.id);
            let problem = Problem::error(format!("the id `{}` is used twice", statement.id));
            let problem = problem.in_file(&statement.file).at(statement.find(&quoted), "again");
            let problem = if first.file == statement.file { problem.at(first.find(&quoted), "first") } else { problem };
            problems
                .push(problem.with_help(format!("it is the id of the policy at {place}; every @id must be unique")));
        }
    }
    problems
}
