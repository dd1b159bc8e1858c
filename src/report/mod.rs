//! The matrix as a reviewer reads it: tables whose cells say what must hold, and whether it does; and the document that a
//! reviewer signs.
//!
//! A [`Document`] says the same in every form: it is made once, and text, Markdown, CSV and HTML only write it.

pub mod blocks;
mod claims;
mod csv;
mod document;
mod html;
mod making;
mod markdown;
mod shown;
mod text;

pub use claims::{Example, PROVEN_MEANS, Proofs, Proven, refuted};
pub use document::{Clause, Decided, Document, Kind, OutsideLine, Policy, Provenance, Row, Verdict};
pub use making::Findings;
pub use shown::{counted, decided_by, grouped, visible};
pub use text::text;

use crate::matrix::RowResult;
use crate::prove::RowStatus;
use crate::store::Statement;

/// A table of the matrix.
#[derive(Clone, Debug)]
pub struct Table {
    /// `@table`; empty for the rows that name none.
    pub title: String,
    /// `@column`, in the order in which rows name them first.
    pub columns: Vec<String>,
    /// The lines, in the order in which rows name them first.
    pub lines: Vec<Line>,
}

/// A line of a table.
#[derive(Clone, Debug)]
pub struct Line {
    /// `@row`.
    pub title: String,
    /// One for each column; `None` where no row says anything.
    pub cells: Vec<Option<Cell>>,
}

/// A cell of a table: what one row says, or several that name the same cell.
#[derive(Clone, Debug)]
pub struct Cell {
    /// `@cell`, or what the effect of the row means; all that its rows say, where they say different things.
    pub text: String,
    /// What its rows say must be: allowed, denied, or each under conditions.
    pub effects: Vec<&'static str>,
    /// The rows that name it, by their place in the matrix.
    pub rows: Vec<usize>,
    /// What was found out about its rows, taken together.
    pub finding: Finding,
}

/// What was found out about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it holds.
    pub mark: Mark,
    /// On how many requests that was tried; `None` where it was asked for all of them.
    pub requests: Option<usize>,
    /// Whether there are more representative requests than were taken.
    pub sampled: bool,
}

/// Whether a row holds; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Every request is decided as the row says.
    Holds,
    /// That could not be found out.
    Undecided,
    /// No request matches the row.
    Unmatched,
    /// Some request is decided otherwise.
    Fails,
}

impl Mark {
    /// The sign for it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Holds => "✓",
            Self::Undecided => "?",
            Self::Unmatched => "∅",
            Self::Fails => "✗",
        }
    }
}

impl Mark {
    /// The sign for one; a dash where nothing was found out here.
    fn sign_of(mark: Option<Self>) -> &'static str {
        mark.map_or("–", Self::sign)
    }
}

impl From<&RowResult> for Finding {
    fn from(result: &RowResult) -> Self {
        let mark = match result {
            result if result.failures > 0 => Mark::Fails,
            result if result.requests == 0 => Mark::Unmatched,
            _ => Mark::Holds,
        };
        Self { mark, requests: Some(result.requests), sampled: result.sampled }
    }
}

impl From<RowStatus> for Finding {
    fn from(status: RowStatus) -> Self {
        let mark = match status {
            RowStatus::Proven => Mark::Holds,
            RowStatus::Undecided => Mark::Undecided,
            RowStatus::Unmatched => Mark::Unmatched,
            RowStatus::Refuted => Mark::Fails,
        };
        Self { mark, requests: None, sampled: false }
    }
}

impl Finding {
    /// What two rows of one cell show together.
    fn and(self, other: Self) -> Self {
        Self {
            mark: self.mark.max(other.mark),
            requests: self.requests.zip(other.requests).map(|(own, others)| own + others),
            sampled: self.sampled || other.sampled,
        }
    }
}

/// The tables of the matrix, in the order in which its rows name them; `findings` has one for each row. Their texts can be shown
/// as they are.
pub fn tables(rows: &[Statement], findings: &[Finding]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for (index, (row, finding)) in rows.iter().zip(findings).enumerate() {
        let title = row.annotation("table").unwrap_or_default();
        let table = entry(&mut tables, |table| table.title == title, || Table::new(title));
        table.add(index, row, *finding);
    }
    for table in &mut tables {
        let width = table.columns.len();
        table.lines.iter_mut().for_each(|line| line.cells.resize(width, None));
        table.texts().for_each(|text| *text = shown::line(text));
    }
    tables
}

impl Table {
    fn new(title: &str) -> Self {
        Self { title: title.to_owned(), columns: Vec::new(), lines: Vec::new() }
    }

    /// Its title, or what it is called without one.
    pub fn name(&self) -> &str {
        if self.title.is_empty() { "Rows without a table" } else { &self.title }
    }

    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let lines = self.lines.iter_mut().flat_map(|line| {
            let cells = line.cells.iter_mut().flatten().map(|cell| &mut cell.text);
            std::iter::once(&mut line.title).chain(cells)
        });
        std::iter::once(&mut self.title).chain(&mut self.columns).chain(lines)
    }

    fn add(&mut self, index: usize, row: &Statement, finding: Finding) {
        let effect = if row.permits() { "Allow" } else { "Deny" };
        let text = row.annotation("cell").unwrap_or(effect);
        let column = row.annotation("column").unwrap_or("Decision");
        let title = row.annotation("row").unwrap_or(&row.id);
        let place = self.columns.iter().position(|known| known == column).unwrap_or_else(|| {
            self.columns.push(column.to_owned());
            self.columns.len() - 1
        });
        let line = entry(&mut self.lines, |line| line.title == title, || Line::new(title));
        line.cells.resize(line.cells.len().max(place + 1), None);
        let Some(cell) = line.cells.get_mut(place) else { return };
        match cell {
            Some(cell) => cell.and(index, text, effect, finding),
            None => *cell = Some(Cell { text: text.to_owned(), effects: vec![effect], rows: vec![index], finding }),
        }
    }
}

impl Line {
    fn new(title: &str) -> Self {
        Self { title: title.to_owned(), cells: Vec::new() }
    }
}

impl Cell {
    /// Its text, and behind it what must be, where the text is not that.
    pub fn shown(&self) -> String {
        let effects = self.effects.join(OTHERWISE);
        if self.text.eq_ignore_ascii_case(&effects) {
            return self.text.clone();
        }
        format!("{} ({})", self.text, effects.to_lowercase())
    }

    /// Takes another row that names it.
    fn and(&mut self, index: usize, text: &str, effect: &'static str, finding: Finding) {
        self.finding = self.finding.and(finding);
        self.rows.push(index);
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
        if !self.text.split(OTHERWISE).any(|known| known == text) {
            self.text.push_str(OTHERWISE);
            self.text.push_str(text);
        }
    }
}

/// What stands between the texts of a cell of which rows say different things.
const OTHERWISE: &str = " / ";

/// The element that is looked for, or a new one at the end.
fn entry<T>(list: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let place = list.iter().position(is).unwrap_or(list.len());
    if place == list.len() {
        list.push(new());
    }
    // The place is that of an element that was found, or of the one that was just put there.
    #[allow(clippy::indexing_slicing)]
    &mut list[place]
}
