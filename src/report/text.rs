//! The tables as text, for a terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell as Shown, ContentArrangement};

use super::{Cell, Table};

/// The tables as text, lines at most `width` characters wide.
pub fn text(tables: &[Table], width: u16) -> String {
    let shown: Vec<String> = tables.iter().map(|table| one(table, width)).collect();
    shown.join("\n\n")
}

fn one(table: &Table, width: u16) -> String {
    let mut shown = comfy_table::Table::new();
    shown.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let columns = table.columns.iter().map(Shown::new);
    shown.set_header(std::iter::once(Shown::new("")).chain(columns));
    for line in &table.lines {
        let cells = line.cells.iter().map(|cell| cell.as_ref().map_or_else(String::new, cell_text));
        shown.add_row(std::iter::once(line.title.clone()).chain(cells));
    }
    let title = if table.title.is_empty() { "Rows without a table" } else { &table.title };
    format!("{title}\n{}", shown.trim_fmt())
}

fn cell_text(cell: &Cell) -> String {
    let Cell { text, finding } = cell;
    let sign = finding.mark.sign();
    let more = if finding.sampled { "+" } else { "" };
    match finding.requests {
        Some(requests) => format!("{sign} {text} · {}{more}", grouped(requests)),
        None => format!("{sign} {text}"),
    }
}

/// A number with its digits in groups of three: `12,345`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
