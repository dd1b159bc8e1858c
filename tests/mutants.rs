//! "The mutants test: twenty or more deliberate, plausible mistakes in the support-contact policies …, each of which `test` and
//! `prove` must catch, generated and run by the suite."
//!
//! The mistakes are made from the policies' own syntax: whatever stands there is dropped, negated or replaced by what could stand
//! there as well. What no longer type-checks is caught by `check`. What is caught by nothing is in the snapshot, moves no cell of the
//! decision table, and is proven equivalent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use cedar_policy::{EntityUid, PolicySet};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal};
use gatepost::engine::{Formula, Snapshot};
use gatepost::http::printed::Printed;
use gatepost::matrix::{self, RowResult};
use gatepost::prove::compare::compare;
use gatepost::prove::solver::Solver;
use gatepost::prove::{Proof, RowStatus, prove};
use gatepost::store::schema::{RecordShape, Shape};
use gatepost::store::{Origin, Statement, Store, scope};
use regex::Regex;

#[test]
fn every_mistake_in_a_policy_is_caught_by_check_or_by_a_row() {
    let Tested { store, mutants, caught } = &*TESTED;
    let count = |is: fn(&Caught) -> bool| caught.iter().filter(|caught| is(caught)).count();
    let by_check = count(|caught| *caught == Caught::ByCheck);
    let by_rows = count(|caught| matches!(caught, Caught::ByRows(_)));
    let missed: Vec<&Mutant> = missed().collect();
    let (all, not) = (mutants.len(), missed.len());
    let mut table = format!("{all} mistakes: {by_check} caught by check, {by_rows} by rows, {not} not caught\n");
    for (mutant, caught) in mutants.iter().zip(caught) {
        let how = match caught {
            Caught::ByCheck => continue,
            Caught::ByRows(how) => how,
            Caught::Not => "NOT CAUGHT",
        };
        writeln!(table, "{}\n    {how}", mutant.described(store)).unwrap();
    }
    insta::assert_snapshot!("mutants", table);
    let described: Vec<String> = missed.iter().map(|mutant| mutant.described(store)).collect();
    insta::assert_snapshot!("not_caught", described.join("\n"));
    for mutant in missed {
        let moves = matrix::moves(store, &mutant.built(store).unwrap(), &Printed, &|_, _| {});
        assert!(moves.is_empty(), "{}: {moves:#?}", mutant.described(store));
    }
    assert!(by_rows >= 20);
}

/// What `prove` says of the mistakes.
#[test]
#[ignore = "needs cvc5"]
fn every_mistake_is_refuted_or_proven_to_change_nothing() {
    let Tested { store, mutants, caught } = &*TESTED;
    let solver = Solver::find(Path::new("cvc5"), Duration::from_secs(10)).unwrap();
    let refuted = |mutant: &Mutant| {
        let changed = mutant.built(store).unwrap();
        let proofs = prove(&changed, &[], &solver, &|_, _| {}).unwrap();
        assert!(!proofs.iter().any(Proof::is_undecided), "{}", mutant.described(store));
        (0..changed.store.rows.len()).any(|row| RowStatus::of(row, &proofs) == RowStatus::Refuted)
    };
    let mut asked = BTreeMap::<&str, usize>::new();
    for (mutant, _) in mutants.iter().zip(caught).filter(|(_, caught)| matches!(caught, Caught::ByRows(_))) {
        let of_kind = asked.entry(mutant.kind).or_default();
        *of_kind += 1;
        if *of_kind <= of_each_kind() {
            assert!(refuted(mutant), "{}", mutant.described(store));
        }
    }
    for mutant in missed() {
        assert!(!refuted(mutant), "a row says otherwise: {}", mutant.described(store));
        assert!(equivalent(store, mutant, &solver), "{}", mutant.described(store));
    }
}

/// So many mistakes of each kind are put to the solver; with `GATEPOST_ALL_MUTANTS` set, all.
fn of_each_kind() -> usize {
    if std::env::var_os("GATEPOST_ALL_MUTANTS").is_some() { usize::MAX } else { 4 }
}

// ---------------------------------------------------------------------------------------------------------------------
// What comes of a mistake
// ---------------------------------------------------------------------------------------------------------------------

#[derive(Debug, PartialEq)]
enum Caught {
    /// It is no store any more.
    ByCheck,
    /// The rows that fail, in words.
    ByRows(String),
    Not,
}

/// Every mistake, and what comes of it: found out once.
static TESTED: LazyLock<Tested> = LazyLock::new(|| {
    let store = common::built_in();
    let mutants = mutants(&store);
    let caught = on_all_processors(&mutants, |mutant| tested(&store, mutant));
    Tested { store, mutants, caught }
});

struct Tested {
    store: Snapshot,
    mutants: Vec<Mutant>,
    caught: Vec<Caught>,
}

fn tested(store: &Snapshot, mutant: &Mutant) -> Caught {
    let Some(changed) = mutant.built(store) else { return Caught::ByCheck };
    let results = matrix::exercise(&changed, &|_, _| {});
    let failing: Vec<(&Statement, &RowResult)> =
        changed.store.rows.iter().zip(&results).filter(|(_, result)| !result.holds()).collect();
    match failing.split_first() {
        None => Caught::Not,
        Some(((row, result), more)) => {
            let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
            Caught::ByRows(format!("{}: {} of {} requests{more}", row.id, result.failures, result.requests))
        }
    }
}

fn missed() -> impl Iterator<Item = &'static Mutant> {
    TESTED.mutants.iter().zip(&TESTED.caught).filter(|(_, caught)| **caught == Caught::Not).map(|(mutant, _)| mutant)
}

/// Whether the solver proves that every request is decided the same.
fn equivalent(store: &Snapshot, mutant: &Mutant, solver: &Solver) -> bool {
    let comparisons = compare(store, &mutant.built(store).unwrap(), solver, &Printed, &|_, _| {}).unwrap();
    comparisons.iter().all(|comparison| comparison.relation() == Some("equivalent"))
}

fn on_all_processors<T: Send>(mutants: &[Mutant], work: impl Fn(&Mutant) -> T + Sync) -> Vec<T> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|next| *next < mutants.len())
                {
                    let result = work(&mutants[number]);
                    found.lock().unwrap().push((number, result));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, result)| result).collect()
}

// ---------------------------------------------------------------------------------------------------------------------
// The mistakes
// ---------------------------------------------------------------------------------------------------------------------

/// A mistake in one policy.
struct Mutant {
    /// The place of the policy in the store.
    policy: usize,
    kind: &'static str,
    start: usize,
    length: usize,
    /// What stands there instead.
    text: String,
}

impl Mutant {
    fn described(&self, store: &Snapshot) -> String {
        let policy = &store.store.policies[self.policy];
        let line = policy.file.text[..self.start].matches('\n').count() + 1;
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let before = one_line(&policy.file.text[self.start..self.start + self.length]);
        let after = one_line(&self.text);
        let change = match (self.kind, after.is_empty()) {
            ("a policy dropped", _) => String::new(),
            (_, true) => format!(": {before}"),
            _ => format!(": {before}  →  {after}"),
        };
        format!("{}:{line} {} {}{change}", policy.file.path, policy.id, self.kind)
    }

    fn text(&self, store: &Store) -> String {
        let mut text = store.policies[self.policy].file.text.to_string();
        text.replace_range(self.start..self.start + self.length, &self.text);
        text
    }

    /// The store with the mistake; `None` where `check` refuses it. Only those rows are in it that are about the actions that
    /// the policy is about, or was: all others are decided as before.
    fn built(&self, store: &Snapshot) -> Option<Snapshot> {
        let mut files = store.store.files.clone();
        let own = &store.store.policies[self.policy];
        let text = self.text(&store.store);
        text.parse::<PolicySet>().unwrap_or_else(|error| panic!("{}: {error}", self.described(store)));
        files.policies.iter_mut().find(|file| file.path == own.file.path).unwrap().text = text.into();
        let mut changed = Store::from_files(Origin::BuiltIn, files).ok()?;
        let policies: Vec<Statement> = changed
            .policies
            .iter()
            .chain(&store.store.policies)
            .filter(|policy| policy.id == own.id)
            .cloned()
            .collect();
        let (environments, schema) = (&changed.types.environments, &changed.schema);
        let can = |statement: &Statement, environment| scope::can_match(&statement.policy, environment, schema);
        let touched: Vec<_> =
            environments.iter().filter(|environment| policies.iter().any(|policy| can(policy, environment))).collect();
        changed.rows.retain(|row| touched.iter().any(|environment| can(row, environment)));
        Some(Snapshot::build(changed).unwrap())
    }
}

/// Every mistake, in the order of the policies; no two make the same text.
fn mutants(store: &Snapshot) -> Vec<Mutant> {
    let mut found = Vec::new();
    for place in 0..store.store.policies.len() {
        let mut maker = Maker { store: &store.store, policy: place, found: Vec::new() };
        maker.of_the_whole();
        maker.of_the_scope();
        maker.of_the_conditions();
        found.append(&mut maker.found);
    }
    let mut seen = BTreeSet::new();
    found.retain(|mutant| {
        seen.insert((store.store.policies[mutant.policy].file.path.clone(), mutant.text(&store.store)))
    });
    found
}

struct Maker<'a> {
    store: &'a Store,
    policy: usize,
    found: Vec<Mutant>,
}

impl<'a> Maker<'a> {
    fn statement(&self) -> &'a Statement {
        &self.store.policies[self.policy]
    }

    fn file(&self) -> &'a str {
        &self.statement().file.text
    }

    fn replace(&mut self, kind: &'static str, start: usize, end: usize, text: impl Into<String>) {
        self.found.push(Mutant { policy: self.policy, kind, start, length: end - start, text: text.into() });
    }

    /// What a pattern matches in the text of the policy: where, and the text.
    fn matches(&self, pattern: &str) -> Vec<(usize, usize, &'a str)> {
        let (start, length) = (self.statement().span.offset(), self.statement().span.len());
        let found = Regex::new(pattern).unwrap();
        let own = &self.file()[start..start + length];
        found.find_iter(own).map(|found| (start + found.start(), start + found.end(), found.as_str())).collect()
    }

    fn of_the_whole(&mut self) {
        let span = self.statement().span;
        self.replace("a policy dropped", span.offset(), span.offset() + span.len(), "");
        for (start, end, effect) in self.matches(r"(?m)^(permit|forbid)\b") {
            self.replace("the other effect", start, end, if effect == "permit" { "forbid" } else { "permit" });
        }
        for (start, end, clause) in self.matches(r"(?m)^(when|unless)\s*\{[^{}]*\}") {
            self.replace("a clause dropped", start, end, "");
            let (keyword, other) = if clause.starts_with("when") { ("when", "unless") } else { ("unless", "when") };
            self.replace("when for unless", start, start + keyword.len(), other);
        }
    }

    fn of_the_scope(&mut self) {
        let actions: BTreeSet<&EntityUid> = self.store.types.environments.iter().map(|found| &found.action).collect();
        for (start, end, own) in self.matches(r#"Action::"\w+""#) {
            // The next one, in the order of their names: all of them are too many.
            let place = actions.iter().position(|action| action.to_string() == own).unwrap();
            let next = actions.iter().cycle().nth(place + 1).unwrap();
            self.replace("another action", start, end, next.to_string());
        }
        for (start, end, list) in self.matches(r"\[[^\]]*\]") {
            let named: Vec<&str> = list[1..list.len() - 1].split(',').map(str::trim).collect();
            for dropped in &named {
                let others: Vec<&str> = named.iter().filter(|name| *name != dropped).copied().collect();
                self.replace("an action dropped", start, end, format!("[{}]", others.join(", ")));
            }
        }
    }

    fn of_the_conditions(&mut self) {
        let statement = self.statement();
        for expression in statement.policy.as_ref().non_scope_constraints().into_iter().flat_map(Expr::subexpressions) {
            self.of_an_expression(expression);
        }
        for atom in Formula::of(statement).atoms {
            let (start, length) = atom.span.map(|span| (span.offset(), span.len())).unwrap();
            let text = &self.file()[start..start + length];
            self.replace("a condition negated", start, start + length, format!("!({text})"));
            self.replace("a condition that always holds", start, start + length, "true");
            self.replace("a condition that never holds", start, start + length, "false");
        }
    }

    fn of_an_expression(&mut self, expression: &Expr) {
        let Some((start, end)) = place(expression) else { return };
        match expression.expr_kind() {
            ExprKind::And { left, right } => self.joined(left, right, "&&", "||"),
            ExprKind::Or { left, right } => self.joined(left, right, "||", "&&"),
            ExprKind::BinaryApp { op: BinaryOp::Less, arg1, arg2 } => {
                for other in ["<=", ">", ">="] {
                    self.between(arg1, arg2, "another comparison", "<", other);
                }
            }
            ExprKind::Lit(Literal::Long(value)) => {
                for other in [value - 1, value + 1] {
                    self.replace("another number", start, end, other.to_string());
                }
            }
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                let uid = EntityUid::from(uid.as_ref().clone());
                let declared = self.store.types.entity(&uid.type_name().to_string()).unwrap();
                let own: &str = uid.id().as_ref();
                for other in declared.ids.iter().flatten().filter(|id| *id != own) {
                    self.replace("another value", start, end, format!("{}::{other:?}", uid.type_name()));
                }
            }
            ExprKind::GetAttr { attr, .. } | ExprKind::HasAttr { attr, .. } => {
                for other in self.beside(attr) {
                    self.replace("another attribute", end - attr.len(), end, other);
                }
            }
            _ => {}
        }
    }

    fn joined(&mut self, left: &Expr, right: &Expr, operator: &str, other: &str) {
        // Two clauses are joined too, but not by an operator.
        if self.between(left, right, "another operator", operator, other) {
            for (start, end) in [left, right].into_iter().filter_map(place) {
                self.replace("a condition dropped", start, end, if operator == "&&" { "true" } else { "false" });
            }
        }
    }

    /// Replaces the operator that stands between two expressions, if it does.
    fn between(&mut self, left: &Expr, right: &Expr, kind: &'static str, operator: &str, other: &str) -> bool {
        let (Some((_, start)), Some((end, _))) = (place(left), place(right)) else { return false };
        let found = self.file().get(start..end).and_then(|between| between.find(operator));
        if let Some(found) = found {
            self.replace(kind, start + found, start + found + operator.len(), other);
        }
        found.is_some()
    }

    /// The attributes that are declared beside one of that name, wherever there is one.
    fn beside(&self, name: &str) -> BTreeSet<String> {
        let types = &self.store.types;
        let mut open: Vec<&RecordShape> = types.entities.values().map(|entity| &entity.attributes).collect();
        open.extend(types.environments.iter().map(|environment| &environment.context));
        let mut found = BTreeSet::new();
        while let Some(record) = open.pop() {
            if record.0.contains_key(name) {
                found.extend(record.0.keys().map(ToString::to_string).filter(|other| other != name));
            }
            open.extend(record.0.values().filter_map(|field| match &field.shape {
                Shape::Record(inner) => Some(inner),
                Shape::Parsed(parsed) => Some(&parsed.facts),
                _ => None,
            }));
        }
        found
    }
}

/// Where an expression stands, from its first to after its last byte.
fn place(expression: &Expr) -> Option<(usize, usize)> {
    let span = expression.source_loc()?.span;
    Some((span.offset(), span.offset() + span.len()))
}
