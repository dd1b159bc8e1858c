//! The matrix as a reviewer reads it: tables whose cells say what must hold, whether it does, and on how many requests.

mod text;

pub use text::{grouped, text};

use crate::matrix::RowResult;
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
    /// The worst of what its rows showed.
    pub mark: Mark,
    /// How many requests stand behind the mark.
    pub requests: usize,
    /// Whether there are more representative requests than were taken.
    pub sampled: bool,
}

/// What exercising a cell showed; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Every request was decided as the row says.
    Holds,
    /// No request matches the row.
    Unmatched,
    /// Some request was decided otherwise.
    Fails,
}

impl Mark {
    /// What a result means.
    pub fn of(result: &RowResult) -> Self {
        match result {
            result if result.failures > 0 => Self::Fails,
            result if result.requests == 0 => Self::Unmatched,
            _ => Self::Holds,
        }
    }

    /// The sign for it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Holds => "✓",
            Self::Unmatched => "∅",
            Self::Fails => "✗",
        }
    }
}

/// The tables of the matrix, in the order in which its rows name them; `results` has one result for each row.
pub fn tables(rows: &[Statement], results: &[RowResult]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for (row, result) in rows.iter().zip(results) {
        let title = row.annotation("table").unwrap_or_default();
        let table = entry(&mut tables, |table| table.title == title, || Table::new(title));
        table.add(row, result);
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

    fn add(&mut self, row: &Statement, result: &RowResult) {
        let effect = if row.permits() { "Allow" } else { "Deny" };
        let column = row.annotation("column").unwrap_or("Decision");
        let title = row.annotation("row").unwrap_or(&row.id);
        let place = self.columns.iter().position(|known| known == column).unwrap_or_else(|| {
            self.columns.push(column.to_owned());
            self.columns.len() - 1
        });
        let line = entry(&mut self.lines, |line| line.title == title, || Line::new(title));
        line.cells.resize(line.cells.len().max(place + 1), None);
        if let Some(cell) = line.cells.get_mut(place) {
            cell.get_or_insert_with(|| Cell::new(row.annotation("cell").unwrap_or(effect))).add(result);
        }
    }
}

impl Line {
    fn new(title: &str) -> Self {
        Self { title: title.to_owned(), cells: Vec::new() }
    }
}

impl Cell {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), mark: Mark::Holds, requests: 0, sampled: false }
    }

    fn add(&mut self, result: &RowResult) {
        self.mark = self.mark.max(Mark::of(result));
        self.requests += result.requests;
        self.sampled |= result.sampled;
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
