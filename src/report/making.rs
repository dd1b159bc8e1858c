//! Makes the document: judges what was found, and follows every citation both ways.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use super::claims::Words;
use super::document::{Clause, Decided, Document, Kind, OutsideLine, Policy, Provenance, Row, Verdict};
use super::shown::{counted, grouped, line, visible};
use super::{Example, Finding, Mark, Proofs, tables};
use crate::engine::Snapshot;
use crate::matrix::{Lines, RowResult};
use crate::plugin::PLUGINS;
use crate::prove::{self, Claim, Proof};
use crate::request::case::Case;
use crate::store::{Statement, Store, scope};

/// What a document is made of.
pub struct Findings<'a> {
    /// The revision that it is about.
    pub snapshot: &'a Snapshot,
    /// What exercising the rows showed ([`matrix::exercise`](crate::matrix::exercise)).
    pub results: &'a [RowResult],
    /// What no row decides ([`matrix::outside`](crate::matrix::outside())).
    pub outside: &'a [Lines<bool>],
    /// What was proven.
    pub proofs: &'a Proofs,
    /// Writes a request as callers send it.
    pub request: &'a dyn Fn(&Case) -> Json,
    /// When all this was found.
    pub date: DateTime<Utc>,
}

impl Document {
    /// The document on what was found.
    pub fn new(findings: &Findings<'_>) -> Self {
        let store = &findings.snapshot.store;
        let words = Words { store, proofs: findings.proofs, request: findings.request };
        let mut anchors = Anchors::default();
        let clauses = clauses(store, &mut anchors);
        let decided: Vec<Finding> = findings.results.iter().map(Finding::from).collect();
        let mut document = Self {
            title: store.clauses.as_ref().map(|clauses| line(&clauses.title)).unwrap_or_default(),
            verdict: Verdict::Unchecked,
            headline: String::new(),
            summary: Vec::new(),
            provenance: Provenance::new(findings),
            tables: tables(&store.rows, &decided),
            rows: Vec::new(),
            policies: policies(store, &clauses, &words, &mut anchors),
            kinds: kinds(findings, &words),
            clauses,
        };
        if document.title.is_empty() {
            document.title = "The permission matrix".to_owned();
        }
        document.rows = rows(findings, &document.clauses, &words, &mut anchors);
        document.link();
        document.judge(findings);
        document
    }

    /// Follows citations and decisions back.
    fn link(&mut self) {
        for (index, row) in self.rows.iter().enumerate() {
            for clause in &row.clauses {
                self.clauses.get_mut(*clause).into_iter().for_each(|clause| clause.rows.push(index));
            }
            for (policy, _) in &row.decided.policies {
                self.policies.get_mut(*policy).into_iter().for_each(|policy| policy.rows.push(index));
            }
        }
        for (index, policy) in self.policies.iter().enumerate() {
            for clause in &policy.clauses {
                self.clauses.get_mut(*clause).into_iter().for_each(|clause| clause.policies.push(index));
            }
        }
    }

    fn judge(&mut self, findings: &Findings<'_>) {
        let failing = self.failing().count();
        let undecided = self.rows.iter().filter(|row| row.proven.mark == Some(Mark::Undecided)).count();
        let erring = self.policies.iter().filter(|policy| policy.proven.mark == Some(Mark::Fails)).count();
        let open = match findings.proofs {
            Proofs::Asked { proofs, .. } => proofs.iter().any(Proof::is_undecided),
            Proofs::NotHere(_) => false,
        };
        let total = counted(self.rows.len(), "row");
        (self.verdict, self.headline) = match () {
            () if self.rows.is_empty() => (Verdict::Unchecked, "Nothing was checked: there is no matrix".to_owned()),
            () if failing > 0 => (Verdict::Fails, format!("{} of {total} do not hold", grouped(failing))),
            () if erring > 0 => {
                (Verdict::Fails, format!("{} cannot be evaluated for every request", counted(erring, "policy")))
            }
            () if undecided > 0 => {
                (Verdict::Undecided, format!("{} of {total} are not decided by the solver", grouped(undecided)))
            }
            () if open => (Verdict::Undecided, "Not all was decided by the solver".to_owned()),
            () if matches!(findings.proofs, Proofs::NotHere(_)) => {
                (Verdict::Holds, "Every row holds where it was tried; nothing was proven here".to_owned())
            }
            () => (Verdict::Holds, "Every row holds".to_owned()),
        };
        self.summary = [self.decided_in_words(), self.proven_in_words(findings.proofs), self.cited_in_words(findings)]
            .into_iter()
            .flatten()
            .chain([self.outside_in_words()])
            .collect();
    }

    fn decided_in_words(&self) -> Option<String> {
        let requests: usize = self.rows.iter().filter_map(|row| row.decided.finding.requests).sum();
        let wrong = self.rows.iter().filter(|row| row.decided.finding.mark != Mark::Holds).count();
        let tried =
            format!("{} tried on {}", counted(self.rows.len(), "row"), counted(requests, "representative request"));
        match (self.rows.len(), wrong) {
            (0, _) => None,
            (_, 0) => Some(format!("{tried}: all are decided as the document says.")),
            (_, wrong) => Some(format!("{tried}: {} of them do not hold there.", grouped(wrong))),
        }
    }

    fn proven_in_words(&self, proofs: &Proofs) -> Option<String> {
        let proven = self.rows.iter().filter(|row| row.proven.mark == Some(Mark::Holds)).count();
        match proofs {
            _ if self.rows.is_empty() => None,
            Proofs::NotHere(why) => Some(format!("Not proven here: {}.", line(why))),
            Proofs::Asked { solver, proofs } => {
                let mut said = format!(
                    "{} of {} proven for every request by {solver}",
                    grouped(proven),
                    counted(self.rows.len(), "row")
                );
                if proven == self.rows.len() {
                    said.push_str("; no two rows contradict each other");
                }
                let of_policies = |proof: &&Proof| matches!(proof.claim, Claim::PolicyNeverErrs(_));
                if proofs.iter().filter(of_policies).all(|proof| matches!(proof.verdict, prove::Verdict::Proven)) {
                    said.push_str("; no request makes a policy fail to evaluate");
                }
                Some(format!("{said}."))
            }
        }
    }

    fn cited_in_words(&self, findings: &Findings<'_>) -> Option<String> {
        if findings.snapshot.store.clauses.is_none() {
            return Some(
                "The store has no `matrix/clauses.toml`: what the source document says cannot be shown.".to_owned(),
            );
        }
        let cited = self.clauses.iter().filter(|clause| clause.is_cited()).count();
        let cited = format!("{} of {} cited", grouped(cited), counted(self.clauses.len(), "clause"));
        Some(match self.readings().count() {
            0 => format!("{cited}."),
            readings => format!("{cited}; {} of what the document leaves open.", counted(readings, "reading")),
        })
    }

    fn outside_in_words(&self) -> String {
        let open = self.kinds.iter().filter(|kind| kind.found > 0 || kind.proven.mark == Some(Mark::Unmatched)).count();
        let total = counted(self.kinds.len(), "kind");
        let proven = self.kinds.iter().all(|kind| kind.proven.mark == Some(Mark::Holds));
        match open {
            0 if proven => format!("Nothing lies outside the document: rows decide every request of {total}."),
            0 => format!("Of {total} of request, none was found to lie outside the document."),
            1 => format!("1 of {total} of request lies partly outside the document: no row decides all of it."),
            open => {
                let open = grouped(open);
                format!("{open} of {total} of request lie partly outside the document: no row decides all of them.")
            }
        }
    }
}

impl Provenance {
    fn new(findings: &Findings<'_>) -> Self {
        // The store may read by other data than are compiled in.
        let used = &findings.snapshot.store.types.plugins;
        let plugins = PLUGINS.iter().map(|plugin| {
            let own = used.iter().find(|own| own.name() == plugin.name());
            format!("{} {}", plugin.name(), own.map_or(plugin.version(), |own| own.version()))
        });
        Self {
            revision: findings.snapshot.revision().to_string(),
            date: findings.date,
            versions: format!(
                "gatepost {}, Cedar {} (cedar-policy {})",
                env!("CARGO_PKG_VERSION"),
                cedar_policy::get_lang_version(),
                cedar_policy::get_sdk_version()
            ),
            plugins: plugins.collect::<Vec<_>>().join(", "),
            solver: match findings.proofs {
                Proofs::Asked { solver, .. } => solver.clone(),
                Proofs::NotHere(why) => format!("none: {}", line(why)),
            },
        }
    }
}

/// The most lines that are shown of the requests of a kind that no row decides.
const MOST_LINES: usize = 24;

fn clauses(store: &Store, anchors: &mut Anchors) -> Vec<Clause> {
    let mut known: Vec<(&str, Option<&str>)> = Vec::new();
    let listed = store.clauses.iter().flat_map(|clauses| &clauses.clauses);
    known.extend(listed.map(|clause| (clause.id.as_str(), Some(clause.text.as_str()))));
    for id in store.policies.iter().chain(&store.rows).flat_map(|statement| &statement.sources) {
        if !known.iter().any(|(known, _)| known == id) {
            known.push((id, None));
        }
    }
    let clause = |(id, text): (&str, Option<&str>)| Clause {
        anchor: anchors.anchor("clause", id),
        id: line(id),
        text: text.map(line),
        policies: Vec::new(),
        rows: Vec::new(),
    };
    known.into_iter().map(clause).collect()
}

fn cited(statement: &Statement, clauses: &[Clause]) -> Vec<usize> {
    let place = |id: &String| clauses.iter().position(|clause| clause.id == line(id));
    let mut seen = BTreeSet::new();
    statement.sources.iter().filter_map(place).filter(|place| seen.insert(*place)).collect()
}

/// The statement without its annotations: from where it first can begin, so that nothing of it is left out.
fn rule(statement: &Statement) -> String {
    let (start, length) = (statement.span.offset(), statement.span.len());
    let text = statement.file.text.get(start..start + length).unwrap_or_default();
    let effect = if statement.permits() { "permit" } else { "forbid" };
    let begins =
        |place: &usize| text.get(place + effect.len()..).is_some_and(|rest| rest.trim_start().starts_with('('));
    let start = text.match_indices(effect).map(|(place, _)| place).find(begins).unwrap_or_default();
    visible(text.get(start..).unwrap_or_default())
}

fn annotations(statement: &Statement) -> Vec<(String, String)> {
    const KNOWN: [&str; 8] = ["id", "source", "reason", "reading", "table", "row", "column", "cell"];
    let others = statement.policy.annotations().filter(|(name, _)| !KNOWN.contains(name));
    let mut others: Vec<_> = others.map(|(name, value)| (line(name), line(value))).collect();
    others.sort();
    others
}

fn policies(store: &Store, clauses: &[Clause], words: &Words<'_>, anchors: &mut Anchors) -> Vec<Policy> {
    let numbered = store.policies.iter().enumerate();
    let policies = numbered.map(|(index, policy)| Policy {
        anchor: anchors.anchor("policy", &policy.id),
        id: line(&policy.id),
        permits: policy.permits(),
        reason: policy.reason().map(line),
        reading: policy.annotation("reading").map(line),
        place: format!("{}:{}", line(&policy.file.path), policy.line()),
        rule: rule(policy),
        annotations: annotations(policy),
        clauses: cited(policy, clauses),
        rows: Vec::new(),
        proven: words.of_policy(index),
    });
    policies.collect()
}

fn rows(findings: &Findings<'_>, clauses: &[Clause], words: &Words<'_>, anchors: &mut Anchors) -> Vec<Row> {
    let store = &findings.snapshot.store;
    let tried = store.rows.iter().zip(findings.results).enumerate();
    let rows = tried.map(|(index, (row, result))| Row {
        name: format!("R{}", index + 1),
        anchor: anchors.anchor("row", &row.id),
        id: line(&row.id),
        position: ["table", "row", "column"].map(|name| row.annotation(name).map(line)),
        cell: line(row.annotation("cell").unwrap_or(if row.permits() { "Allow" } else { "Deny" })),
        permits: row.permits(),
        file: line(&row.file.path),
        line: row.line(),
        rule: rule(row),
        annotations: annotations(row),
        clauses: cited(row, clauses),
        decided: decided(findings, row, result),
        proven: words.of_row(index, row),
    });
    rows.collect()
}

fn decided(findings: &Findings<'_>, row: &Statement, result: &RowResult) -> Decided {
    let store = &findings.snapshot.store;
    let finding = Finding::from(result);
    let place = |id: &str| store.policies.iter().position(|policy| policy.id == id);
    let policies = result.policies.iter().filter_map(|(id, requests)| Some((place(id)?, *requests)));
    let (must, was) = if row.permits() { ("allowed", "denied") } else { ("denied", "allowed") };
    let requests = counted(result.requests, "representative request");
    let said = match finding.mark {
        Mark::Fails if result.failures == 0 => {
            let unevaluated = counted(result.unevaluated, "representative request");
            format!("The row cannot be evaluated on {unevaluated}, and so says nothing about them.")
        }
        Mark::Fails => {
            let was = if row.permits() { "Denied" } else { "Allowed" };
            format!("{was}, not {must}: {} of {requests}.", grouped(result.failures))
        }
        Mark::Unmatched => "No representative request matches this row, so it says nothing.".to_owned(),
        Mark::Undecided => "No representative request matches this row; others may.".to_owned(),
        Mark::Holds if result.sampled => format!("All {requests} that were tried are {must}; there are more."),
        Mark::Holds if !result.is_exhaustive() => {
            format!("All {requests} are {must}; they do not exhaust every comparison.")
        }
        Mark::Holds if result.requests == 1 => format!("The one representative request is {must}."),
        Mark::Holds => format!("All {requests} are {must}."),
    };
    let example = result.counterexample.as_ref().map(|example| {
        let shows = format!("The smallest request that is {was}");
        Example::new(shows, &(findings.request)(&example.case), &example.decision)
    });
    let permits = if result.unpermitted > 0 { permits_beside(store, row) } else { Vec::new() };
    Decided {
        finding,
        failures: result.failures,
        said,
        policies: policies.collect(),
        unpermitted: result.unpermitted,
        permits,
        example,
    }
}

/// The permits that could apply to requests of a row, by their types and action.
fn permits_beside(store: &Store, row: &Statement) -> Vec<usize> {
    let applies = |statement: &Statement, environment| scope::can_match(&statement.policy, environment, &store.schema);
    let numbered = store.policies.iter().enumerate().filter(|(_, policy)| policy.permits());
    let beside = numbered.filter(|(_, policy)| {
        store.types.environments.iter().any(|environment| applies(row, environment) && applies(policy, environment))
    });
    beside.map(|(index, _)| index).collect()
}

fn kinds(findings: &Findings<'_>, words: &Words<'_>) -> Vec<Kind> {
    let environments = findings.snapshot.store.types.environments.iter().enumerate();
    let kinds = environments.map(|(index, environment)| {
        let is_own = |lines: &&Lines<bool>| {
            let example = lines.lines.first().map(|line| line.example.request.environment);
            example.map_or(lines.environment == environment.to_string(), |environment| environment == index)
        };
        let own = findings.outside.iter().find(is_own);
        let lines = own.map(|own| own.lines.as_slice()).unwrap_or_default();
        let shown = lines.iter().take(MOST_LINES).map(|found| OutsideLine {
            conditions: found.conditions.iter().map(|condition| line(condition)).collect(),
            allowed: found.outcome,
            requests: found.requests,
        });
        Kind {
            name: line(&environment.to_string()),
            requests: own.map_or(0, |own| own.requests),
            found: own.map_or(0, |own| own.found),
            sampled: own.is_some_and(|own| own.sampled),
            lines: shown.collect(),
            more: lines.len().saturating_sub(MOST_LINES),
            proven: words.of_environment(index),
        }
    });
    kinds.collect()
}

/// Names that links lead to: each made of a text, and none twice.
#[derive(Default)]
struct Anchors(HashSet<String>);

impl Anchors {
    fn anchor(&mut self, kind: &str, text: &str) -> String {
        let plain =
            |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
        let text: String = text.chars().take(MOST_CHARACTERS).map(plain).collect();
        let first = format!("{kind}-{}", text.trim_matches('-'));
        let mut anchor = first.clone();
        let mut number = 2;
        while !self.0.insert(anchor.clone()) {
            anchor = format!("{first}-{number}");
            number += 1;
        }
        anchor
    }
}

/// An anchor takes so many characters of a text.
const MOST_CHARACTERS: usize = 60;
