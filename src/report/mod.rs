//! The matrix as a reviewer reads it: tables whose cells say what must hold, and whether it does.

pub mod blocks;
mod text;

pub use text::{grouped, text};

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
    /// `@cell`, or what the effect of the row means.
    pub text: String,
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

/// The tables of the matrix, in the order in which its rows name them; `findings` has one for each row.
pub fn tables(rows: &[Statement], findings: &[Finding]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for (row, finding) in rows.iter().zip(findings) {
        let title = row.annotation("table").unwrap_or_default();
        let table = entry(&mut tables, |table| table.title == title, || Table::new(title));
        table.add(row, *finding);
    }
    for table in &mut tables {
        let width = table.columns.len();
        table.lines.iter_mut().for_each(|line| line.cells.resize(width, None));
    }
    tables
}

impl Table {
    fn new(title: &str) -> Self {
        Self { title: title.to_owned(), columns: Vec::new(), lines: Vec::new() }
    }

    fn add(&mut self, row: &Statement, finding: Finding) {
        let effect = if row.permits() { "Allow" } else { "Deny" };
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
            Some(cell) => cell.finding = cell.finding.and(finding),
            None => *cell = Some(Cell { text: row.annotation("cell").unwrap_or(effect).to_owned(), finding }),
        }
    }
}

impl Line {
    fn new(title: &str) -> Self {
        Self { title: title.to_owned(), cells: Vec::new() }
    }
}

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
