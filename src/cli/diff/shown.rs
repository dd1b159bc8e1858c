//! The differences as a document for a person, and as JSON for a program.

use serde_json::{Value as Json, json};
use similar::TextDiff;

use super::{Diff, Proven, RowChange};
use crate::cli::decide;
use crate::cli::output::{self, counted};
use crate::engine::{Decision, Snapshot};
use crate::http::body;
use crate::matrix::{Line as Moved, Lines, Outcomes, RowResult};
use crate::prove::ASSUMPTION;
use crate::prove::compare::{Comparison, Difference, Found, Side};
use crate::report::blocks::{Block, Line};
use crate::report::{Finding, grouped};
use crate::store::Statement;
use crate::store::changes::{Declaration, Rewritten};
use crate::store::masks::MaskChange;

impl Diff<'_> {
    pub(super) fn as_blocks(&self) -> Vec<Block> {
        let (old, new) = (&self.old.store, &self.new.store);
        let title = Line::text("Policy change: ").and_code(old.origin.to_string()).and_text(" → ");
        let mut blocks =
            vec![Block::Title(title.and_code(new.origin.to_string())), Block::Paragraph(Line::text(self.summary()))];
        blocks.extend(self.masks());
        blocks.extend(self.schema());
        if !self.clauses.is_empty() {
            blocks.push(Block::Heading(Line::text("Clauses of the source document")));
            blocks.push(Block::List(self.clauses.iter().map(declaration).collect()));
        }
        blocks.extend(self.policies());
        blocks.extend(self.rows());
        blocks.extend(self.moved());
        blocks.extend(self.proven.iter().flat_map(|proven| self.access(proven)));
        blocks.push(Block::Paragraph(Line::text(format!("revisions {} → {}", old.revision, new.revision))));
        blocks
    }

    fn summary(&self) -> String {
        let cells: usize = self.moves.iter().map(|moves| moves.found).sum();
        let changed = [
            (self.masks.len(), "mask"),
            (self.declarations.len(), "declaration"),
            (self.clauses.len(), "clause"),
            (self.policies.len(), "policy"),
            (self.rows.len(), "row"),
            (cells, "cell of the decision table"),
        ];
        let changed: Vec<String> = changed
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| match what.split_once(' ') {
                Some((what, more)) => format!("{} {more}", counted(count, what)),
                None => counted(count, what),
            })
            .collect();
        let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
        let incomparable = match self.incomparable().len() {
            0 => String::new(),
            count => format!("; {} could not be compared", counted(count, "thing")),
        };
        format!("{changed} changed{incomparable}; {}", self.verdict())
    }

    fn verdict(&self) -> String {
        let Some(proven) = &self.proven else {
            return "not proven: there is no solver".to_owned();
        };
        let relations = [EQUIVALENT, "only wider", "only narrower", "wider and narrower"];
        let count = |relation| proven.comparisons.iter().filter(|found| found.relation() == relation).count();
        let said = relations.iter().map(|relation| (count(Some(*relation)), *relation));
        let said = said.chain([(count(None), "undecided")]).filter(|(count, _)| *count > 0);
        let said: Vec<String> = said.map(|(count, relation)| format!("{relation} in {count}")).collect();
        format!("access is {} of {}", said.join(", "), counted(proven.comparisons.len(), "request environment"))
    }

    /// What the decision log shows and did not, or hides and did not: no request is decided otherwise by it.
    fn masks(&self) -> Vec<Block> {
        if self.masks.is_empty() {
            return Vec::new();
        }
        let line = |mask: &MaskChange| match mask.masked_now {
            true => Line::code(&mask.name).and_text(" is masked now"),
            false => Line::code(&mask.name).and_text(" is no longer masked: its value will stand in the decision log"),
        };
        vec![Block::Heading(Line::text("Masks")), Block::List(self.masks.iter().map(line).collect())]
    }

    fn schema(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        if !self.declarations.is_empty() {
            blocks.push(Block::Heading(Line::text("Schema")));
            blocks.push(Block::List(self.declarations.iter().map(declaration).collect()));
            blocks.push(Block::Paragraph(Line::text(
                "Each revision decides by its own schema: a request that one does not have is none that it allows. The solver asks about the requests of the newer schema.",
            )));
        }
        let incomparable = self.incomparable();
        if !incomparable.is_empty() {
            let lines = incomparable.into_iter();
            let lines = lines.map(|(what, why)| Line::marked(&format!("`{what}`: {why}")));
            blocks.push(Block::Heading(Line::text("Not compared")));
            blocks.push(Block::List(lines.collect()));
        }
        blocks
    }

    fn policies(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for policy in &self.policies {
            if blocks.is_empty() {
                blocks.push(Block::Heading(Line::text("Policies")));
            }
            let id = policy.new.or(policy.old).map(|statement| statement.id.clone()).unwrap_or_default();
            let what = match (policy.old, policy.new) {
                (None, _) => " added",
                (_, None) => " removed",
                _ if policy.only_annotations() => " changed in its annotations only",
                _ => " changed",
            };
            blocks.push(Block::Paragraph(Line::code(id).and_text(what)));
            blocks.push(Block::Code("diff", text_diff(policy)));
        }
        blocks
    }

    fn rows(&self) -> Vec<Block> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let header = ["Row", "Before", "After"].map(Line::text).to_vec();
        let rows = self.rows.iter().map(|RowChange { row, old, new }| {
            let name = row.new.or(row.old).map(Statement::name).unwrap_or_default();
            vec![Line::text(name), cell(row.old, old.as_ref()), cell(row.new, new.as_ref())]
        });
        vec![Block::Heading(Line::text("Rows of the matrix")), Block::Table(header, rows.collect())]
    }

    fn moved(&self) -> Vec<Block> {
        let (denied, moves): (Vec<_>, Vec<_>) = self
            .moves
            .iter()
            .partition(|moves| !moves.sampled && moves.tally.iter().all(|(outcome, _)| is_new_and_denied(outcome)));
        let mut blocks: Vec<Block> = moves.into_iter().flat_map(moved).collect();
        if !denied.is_empty() {
            let line = |moves: &&Lines<Outcomes>| {
                Line::marked(&format!("`{}`: {} cells", moves.environment, grouped(moves.found)))
            };
            blocks.push(Block::Heading(Line::text("Requests that are new, all of them denied")));
            blocks.push(Block::List(denied.iter().map(line).collect()));
        }
        blocks
    }

    fn access(&self, proven: &Proven<'_>) -> Vec<Block> {
        let mut relations: Vec<(String, Vec<&str>)> = Vec::new();
        for comparison in &proven.comparisons {
            let relation = relation(comparison);
            match relations.iter_mut().find(|(found, _)| *found == relation) {
                Some((_, environments)) => environments.push(&comparison.environment),
                None => relations.push((relation, vec![&comparison.environment])),
            }
        }
        // What is as before comes last.
        relations.sort_by_key(|(relation, _)| relation == EQUIVALENT);
        let line = |(relation, environments): &(String, Vec<&str>)| {
            let start = Line::marked(&format!("{relation}: "));
            let listed = environments.iter().enumerate();
            listed.fold(start, |line, (index, environment)| {
                line.and_text(if index == 0 { "" } else { ", " }).and_code(*environment)
            })
        };
        let mut blocks = vec![
            Block::Heading(Line::text("Access, for every request")),
            Block::List(relations.iter().map(line).collect()),
        ];
        for comparison in &proven.comparisons {
            blocks.extend(self.example(comparison, "gains", &comparison.gains));
            blocks.extend(self.example(comparison, "loses", &comparison.loses));
        }
        blocks.push(Block::Paragraph(Line::text(format!(
            "proven by cvc5 {}; assumed: {ASSUMPTION}",
            proven.solver.version
        ))));
        blocks
    }

    fn example(&self, comparison: &Comparison, verb: &str, found: &Found) -> Vec<Block> {
        let Found::Request(difference) = found else { return Vec::new() };
        let decided = |decision: &Option<Decision>| match decision {
            Some(decision) => decide::in_short(decision),
            None => "no such request".to_owned(),
        };
        let (before, after) = (decided(&difference.old), decided(&difference.new));
        let environment = &comparison.environment;
        vec![
            Block::Paragraph(Line::marked(&format!("`{environment}` {verb} access: before {before}; after {after}"))),
            Block::Folded(
                "the request, for gatepost decide --facts",
                "json",
                format!("{:#}", self.request(difference)),
            ),
        ]
    }

    fn request(&self, difference: &Difference) -> Json {
        let snapshot: &Snapshot = if difference.is_of_older { self.old } else { self.new };
        body::of_case(&difference.case, &snapshot.store.types)
    }

    pub(super) fn as_json(&self) -> Json {
        let store = |snapshot: &Snapshot| json!({ "store": snapshot.store.origin.to_string(), "revision": snapshot.revision().as_str() });
        let incomparable = self.incomparable();
        json!({
            "old": store(self.old),
            "new": store(self.new),
            "masks": self.masks.iter().map(|mask| json!({ "name": mask.name, "maskedNow": mask.masked_now })).collect::<Vec<_>>(),
            "schema": self.declarations.iter().map(|found| json!({ "name": found.name, "old": found.old, "new": found.new })).collect::<Vec<_>>(),
            "clauses": self.clauses.iter().map(|found| json!({ "id": found.name, "old": found.old, "new": found.new })).collect::<Vec<_>>(),
            "notCompared": incomparable.iter().map(|(what, why)| json!({ "what": what, "why": why })).collect::<Vec<_>>(),
            "policies": self.policies.iter().map(policy_as_json).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(row_as_json).collect::<Vec<_>>(),
            "moved": self.moves.iter().map(|moves| self.moves_as_json(moves)).collect::<Vec<_>>(),
            "solver": self.proven.as_ref().map(|proven| format!("cvc5 {}", proven.solver.version)),
            "assumption": ASSUMPTION,
            "access": self.comparisons().iter().map(|comparison| json!({
                "environment": comparison.environment,
                "of": match comparison.of { Side::Both => "both", Side::New => "new", Side::Old => "old" },
                "relation": comparison.relation(),
                "gains": self.found_as_json(&comparison.gains),
                "loses": self.found_as_json(&comparison.loses),
            })).collect::<Vec<_>>(),
        })
    }

    fn found_as_json(&self, found: &Found) -> Json {
        match found {
            Found::None => json!({ "verdict": "none" }),
            Found::Undecided(why) => json!({ "verdict": "undecided", "why": why }),
            Found::Request(difference) => {
                let decided = |decision: &Option<Decision>| decision.as_ref().map(|decision| word(decision.allowed));
                json!({
                    "verdict": "found",
                    "request": self.request(difference),
                    "old": decided(&difference.old),
                    "new": decided(&difference.new),
                })
            }
        }
    }

    fn moves_as_json(&self, moves: &Lines<Outcomes>) -> Json {
        let line = |line: &Moved<Outcomes>| {
            // A request that the newer revision has is written by its schema.
            let types = if line.outcome.new.is_some() { &self.new.store.types } else { &self.old.store.types };
            json!({
                "conditions": line.conditions,
                "cells": line.requests,
                "old": line.outcome.old.map(word),
                "new": line.outcome.new.map(word),
                "example": body::of_case(&line.example, types),
            })
        };
        json!({
            "environment": moves.environment,
            "cells": moves.requests,
            "moved": moves.found,
            "sampled": moves.sampled,
            "unlisted": moves.unlisted,
            "lines": moves.lines.iter().map(line).collect::<Vec<_>>(),
        })
    }
}

const EQUIVALENT: &str = "equivalent";

fn relation(comparison: &Comparison) -> String {
    let of = match comparison.of {
        Side::Both => "",
        Side::New => " (the older revision has no such requests)",
        Side::Old => " (the newer revision has no such requests)",
    };
    match (comparison.relation(), &comparison.gains, &comparison.loses) {
        (Some(relation), ..) => format!("{relation}{of}"),
        (None, Found::Undecided(why), _) | (None, _, Found::Undecided(why)) => format!("undecided, {why}{of}"),
        (None, ..) => format!("undecided{of}"),
    }
}

fn declaration(declaration: &Declaration) -> Line {
    let Declaration { name, old, new, .. } = declaration;
    match (old, new) {
        (None, _) => Line::text("added: ").and_code(name),
        (_, None) => Line::text("removed: ").and_code(name),
        (Some(old), Some(new)) => {
            Line::text("changed: ").and_code(name).and_text(" from ").and_code(old).and_text(" to ").and_code(new)
        }
    }
}

/// The lines of a policy that changed, as a unified diff.
fn text_diff(policy: &Rewritten<'_>) -> String {
    let text = |statement: Option<&Statement>| {
        statement.map(|statement| format!("{}\n", statement.text())).unwrap_or_default()
    };
    let (old, new) = (text(policy.old), text(policy.new));
    let diff = TextDiff::from_lines(&old, &new);
    diff.iter_all_changes().map(|change| format!("{}{}", change.tag(), change.value())).collect()
}

fn cell(row: Option<&Statement>, result: Option<&RowResult>) -> Line {
    let (Some(row), Some(result)) = (row, result) else { return Line::text("–") };
    let effect = if row.permits() { "Allow" } else { "Deny" };
    let text = row.annotation("cell").unwrap_or(effect);
    Line::text(format!("{} {text} · {}", Finding::from(result).mark.sign(), grouped(result.requests)))
}

fn moved(moves: &Lines<Outcomes>) -> Vec<Block> {
    let heading = format!("Decisions that moved: {}", moves.environment);
    let what =
        if moves.sampled { "representative requests that were tried, of more" } else { "representative requests" };
    let overlap = if moves.lines.len() > 1 { "; one can be in more than one line" } else { "" };
    let count = format!("{} of {} {what}{overlap}", grouped(moves.found), grouped(moves.requests));
    let mut blocks = vec![Block::Heading(Line::text(heading)), Block::Paragraph(Line::text(count))];
    let header = ["Requests", "Before", "After", "Cells"].map(Line::text).to_vec();
    let outcome = |decided: Option<bool>| Line::text(decided.map_or("no such request", word));
    let line = |line: &Moved<Outcomes>| {
        let conditions = if line.conditions.is_empty() { "any".to_owned() } else { line.conditions.join(", ") };
        let (old, new) = (outcome(line.outcome.old), outcome(line.outcome.new));
        vec![Line::text(conditions), old, new, Line::text(grouped(line.requests))]
    };
    let lines: Vec<&Moved<Outcomes>> = moves.lines.iter().filter(|line| !is_new_and_denied(&line.outcome)).collect();
    let mut rows: Vec<Vec<Line>> = lines.iter().take(MOST_LINES).map(|moved| line(moved)).collect();
    if let Some((_, count)) = moves.tally.iter().find(|(outcome, _)| is_new_and_denied(outcome)) {
        rows.push(vec![
            Line::text("all others that are new"),
            outcome(None),
            outcome(Some(false)),
            Line::text(grouped(*count)),
        ]);
    }
    if !rows.is_empty() {
        blocks.push(Block::Table(header, rows));
    }
    let more = lines.len().saturating_sub(MOST_LINES);
    if more > 0 || moves.unlisted > 0 {
        let beyond = format!("{} more, and {} cells that are in none", counted(more, "line"), grouped(moves.unlisted));
        blocks.push(Block::Paragraph(Line::text(beyond)));
    }
    blocks
}

/// A request that is new and denied is denied as before: how many there are will do.
fn is_new_and_denied(outcome: &Outcomes) -> bool {
    *outcome == Outcomes { old: None, new: Some(false) }
}

/// What a person reads of one environment.
const MOST_LINES: usize = 40;

fn word(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

fn policy_as_json(policy: &Rewritten<'_>) -> Json {
    json!({
        "id": policy.new.or(policy.old).map(|statement| statement.id.as_str()),
        "change": change(policy),
        "onlyAnnotations": policy.only_annotations(),
        "old": policy.old.map(Statement::text),
        "new": policy.new.map(Statement::text),
    })
}

fn row_as_json(change: &RowChange<'_>) -> Json {
    let side = |row: Option<&Statement>, result: Option<&RowResult>| {
        let (row, result) = (row?, result?);
        let mut members = output::row_as_json(row);
        members.insert("holds".to_owned(), result.holds().into());
        members.insert("requests".to_owned(), result.requests.into());
        Some(members)
    };
    json!({
        "name": change.row.new.or(change.row.old).map(Statement::name),
        "change": self::change(&change.row),
        "old": side(change.row.old, change.old.as_ref()),
        "new": side(change.row.new, change.new.as_ref()),
    })
}

fn change(pair: &Rewritten<'_>) -> &'static str {
    match (pair.old, pair.new) {
        (None, _) => "added",
        (_, None) => "removed",
        _ if crate::store::changes::same(pair) => "outcome",
        _ => "changed",
    }
}
