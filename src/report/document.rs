//! What the reviewer's document says, whatever form it is written in.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::shown::{counted, grouped};
use super::{Cell, Example, Finding, Mark, Proven, Table};
use crate::prove::ASSUMPTION;

/// The reviewer's document. Its texts have no hidden characters; what stands in one line in all forms has no line breaks.
#[derive(Clone, Debug)]
pub struct Document {
    /// The title of the source document.
    pub title: String,
    /// Whether everything holds.
    pub verdict: Verdict,
    /// The verdict in a few words.
    pub headline: String,
    /// What it rests on, and what is missing, each a sentence.
    pub summary: Vec<String>,
    /// What it is about, and what it was made with.
    pub provenance: Provenance,
    /// The tables, as in the source document; their findings are what was decided.
    pub tables: Vec<Table>,
    /// The rows of the matrix, in its order.
    pub rows: Vec<Row>,
    /// The clauses of the source document, in its order.
    pub clauses: Vec<Clause>,
    /// The policies, in their order.
    pub policies: Vec<Policy>,
    /// Every kind of request, and what of it no row decides.
    pub kinds: Vec<Kind>,
}

/// Whether everything holds that the matrix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every row holds.
    Holds,
    /// Some row does not, or a policy cannot be evaluated for some request.
    Fails,
    /// The solver did not decide all that it was asked.
    Undecided,
    /// There is no matrix, so nothing was checked.
    Unchecked,
}

/// What a document is about, and what it was made with.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The digest of all that can change a decision.
    pub revision: String,
    /// When it was made.
    pub date: DateTime<Utc>,
    /// The versions of Gatepost and Cedar.
    pub versions: String,
    /// The plugins and their versions.
    pub plugins: String,
    /// The solver and its version, or why there is none.
    pub solver: String,
}

/// A row of the matrix.
#[derive(Clone, Debug)]
pub struct Row {
    /// What this document calls it: `R1`.
    pub name: String,
    /// Where a link to it leads.
    pub anchor: String,
    /// Its id in the store.
    pub id: String,
    /// `@table`, `@row`, `@column`: where it stands.
    pub position: [Option<String>; 3],
    /// The text of its cell.
    pub cell: String,
    /// Whether what matches it must be allowed.
    pub permits: bool,
    /// The file in which it stands.
    pub file: String,
    /// The line at which it starts.
    pub line: usize,
    /// What stands there, without the annotations.
    pub rule: String,
    /// The annotations that nothing else here says: their names and values.
    pub annotations: Vec<(String, String)>,
    /// The clauses that it cites, by their place in the document.
    pub clauses: Vec<usize>,
    /// What was decided.
    pub decided: Decided,
    /// What was proven.
    pub proven: Proven,
}

/// What was decided on the representative requests of a row.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Whether all of them were decided as the row says.
    pub finding: Finding,
    /// How many were decided otherwise.
    pub failures: usize,
    /// All that, as a sentence.
    pub said: String,
    /// The policies that determined these decisions, by their place in the document, and on how many requests.
    pub policies: Vec<(usize, usize)>,
    /// On how many requests nothing permits.
    pub unpermitted: usize,
    /// The permits for the actions of the row that then do not apply.
    pub permits: Vec<usize>,
    /// The smallest request that was decided otherwise.
    pub example: Option<Example>,
}

/// A statement of the source document.
#[derive(Clone, Debug)]
pub struct Clause {
    /// Where a link to it leads.
    pub anchor: String,
    /// What it is cited by.
    pub id: String,
    /// What it says; `None` where the store does not say.
    pub text: Option<String>,
    /// The policies that cite it.
    pub policies: Vec<usize>,
    /// The rows that cite it.
    pub rows: Vec<usize>,
}

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Where a link to it leads.
    pub anchor: String,
    /// Its id.
    pub id: String,
    /// Whether it permits.
    pub permits: bool,
    /// `@reason`.
    pub reason: Option<String>,
    /// `@reading`: how it reads what the source document leaves open.
    pub reading: Option<String>,
    /// The file and the line at which it starts.
    pub place: String,
    /// What stands there, without the annotations.
    pub rule: String,
    /// The annotations that nothing else here says: their names and values.
    pub annotations: Vec<(String, String)>,
    /// The clauses that it cites.
    pub clauses: Vec<usize>,
    /// The rows that it decides.
    pub rows: Vec<usize>,
    /// Whether it can be evaluated for every request.
    pub proven: Proven,
}

/// A kind of request: the types of principal and resource, and the action.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its name.
    pub name: String,
    /// How many representative requests there are of those of which some are decided by no row; else none.
    pub requests: usize,
    /// How many of them no row decides.
    pub found: usize,
    /// Whether there are more representative requests than were taken.
    pub sampled: bool,
    /// What they have in common, at most so many lines as one can read.
    pub lines: Vec<OutsideLine>,
    /// How many lines there are beyond these.
    pub more: usize,
    /// Whether it is proven that rows decide every request.
    pub proven: Proven,
}

/// Requests that no row decides.
#[derive(Clone, Debug)]
pub struct OutsideLine {
    /// What they have in common.
    pub conditions: Vec<String>,
    /// Whether they are allowed.
    pub allowed: bool,
    /// How many they are.
    pub requests: usize,
}

impl Document {
    /// The rows that do not hold.
    pub fn failing(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.fails())
    }

    /// What is proven of the rows of a cell, taken together.
    pub fn proven(&self, cell: &Cell) -> Option<Mark> {
        cell.rows.iter().filter_map(|row| self.rows.get(*row)?.proven.mark).max()
    }

    /// The policies that decide a row, and on how many requests.
    pub fn deciding<'d>(&'d self, row: &'d Row) -> impl Iterator<Item = (&'d Policy, usize)> {
        row.decided.policies.iter().filter_map(|(policy, requests)| Some((self.policies.get(*policy)?, *requests)))
    }

    /// The policies at these places.
    pub fn named<'d>(&'d self, policies: &'d [usize]) -> impl Iterator<Item = &'d Policy> {
        policies.iter().filter_map(|policy| self.policies.get(*policy))
    }

    /// The clauses at these places.
    pub fn cited<'d>(&'d self, clauses: &'d [usize]) -> impl Iterator<Item = &'d Clause> {
        clauses.iter().filter_map(|clause| self.clauses.get(*clause))
    }

    /// The rows at these places.
    pub fn rows_at<'d>(&'d self, rows: &'d [usize]) -> impl Iterator<Item = &'d Row> {
        rows.iter().filter_map(|row| self.rows.get(*row))
    }

    /// The rows of a table, in the order of the matrix.
    pub fn rows_of(&self, table: &Table) -> impl Iterator<Item = &Row> {
        let cells = table.lines.iter().flat_map(|line| line.cells.iter().flatten());
        let places: BTreeSet<usize> = cells.flat_map(|cell| cell.rows.iter().copied()).collect();
        places.into_iter().filter_map(|place| self.rows.get(place))
    }

    /// The policies that read what the source document leaves open, and how.
    pub fn readings(&self) -> impl Iterator<Item = (&Policy, &str)> {
        self.policies.iter().filter_map(|policy| Some((policy, policy.reading.as_deref()?)))
    }

    /// The names of the rows at these places.
    pub fn row_names<'d>(&'d self, rows: &'d [usize]) -> impl Iterator<Item = &'d str> {
        self.rows_at(rows).map(|row| row.name.as_str())
    }

    /// That nothing permits requests of a row, as a sentence: which permits do not apply to them.
    pub fn unpermitted(&self, row: &Row) -> String {
        let permits: Vec<String> = self.named(&row.decided.permits).map(|policy| format!("`{}`", policy.id)).collect();
        let nothing = format!("nothing permits {} of them", grouped(row.decided.unpermitted));
        match permits.as_slice() {
            [] => format!("{nothing}: no policy permits this action"),
            [one] => format!("{nothing}: {one} does not apply"),
            more => format!("{nothing}: {} do not apply", more.join(", ")),
        }
    }
}

impl Row {
    /// Whether it does not hold: decided otherwise, refuted, or no request matches it.
    pub fn fails(&self) -> bool {
        let fails = |mark: Mark| matches!(mark, Mark::Fails | Mark::Unmatched);
        fails(self.decided.finding.mark) || self.proven.mark.is_some_and(fails)
    }

    /// What a reviewer calls it: `Who may read · Owners · Read`; its id where it says nothing of that.
    pub fn title(&self) -> String {
        let parts: Vec<&str> = self.position.iter().flatten().map(String::as_str).collect();
        if parts.is_empty() { self.id.clone() } else { parts.join(" · ") }
    }

    /// The same, to one who reads it under the title of its table.
    pub fn title_in_table(&self) -> String {
        let parts: Vec<&str> = self.position.iter().skip(1).flatten().map(String::as_str).collect();
        if parts.is_empty() { self.id.clone() } else { parts.join(" · ") }
    }

    /// `allow` or `deny`.
    pub fn must(&self) -> &'static str {
        if self.permits { "allow" } else { "deny" }
    }
}

impl Clause {
    /// Whether something cites it.
    pub fn is_cited(&self) -> bool {
        !self.policies.is_empty() || !self.rows.is_empty()
    }

    /// What it says, or that this is not known.
    pub fn said(&self) -> &str {
        self.text.as_deref().unwrap_or("(the store does not hold the text of this clause)")
    }
}

impl Kind {
    /// How many of its requests no row decides.
    pub fn said(&self) -> String {
        let tried = counted(self.requests, "representative request");
        let (found, proven) = (grouped(self.found), self.proven.said.join(" "));
        match (self.found, self.sampled) {
            (0, _) if self.proven.mark.is_some() => proven,
            (0, _) => format!("No representative request was found that no row decides. {proven}"),
            (_, false) => format!("No row decides {found} of {tried}."),
            (_, true) => format!("No row decides {found} of {tried} that were tried; there are more."),
        }
    }
}

impl OutsideLine {
    /// What the requests have in common.
    pub fn in_words(&self) -> String {
        match self.conditions.is_empty() {
            true => "every request".to_owned(),
            false => self.conditions.join(", "),
        }
    }
}

impl Policy {
    /// `permit` or `forbid`.
    pub fn effect(&self) -> &'static str {
        if self.permits { "permit" } else { "forbid" }
    }
}

impl Provenance {
    /// All of it: what it is called, and what it is.
    pub fn entries(&self) -> [(&'static str, String); 6] {
        [
            ("Revision", self.revision.clone()),
            ("Date", self.shown_date()),
            ("Made with", self.versions.clone()),
            ("Plugins", self.plugins.clone()),
            ("Solver", self.solver.clone()),
            ("Assumed", ASSUMPTION.to_owned()),
        ]
    }

    /// The date for a person.
    pub fn shown_date(&self) -> String {
        self.date.format("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}
