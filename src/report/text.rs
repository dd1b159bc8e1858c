//! The tables and the document as text, for a terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell as Shown, ContentArrangement};

use super::{Cell, Clause, Document, Example, Kind, Mark, Policy, Proven, Row, Table, Verdict, counted, grouped};

/// The tables as text, lines at most `width` characters wide.
pub fn text(tables: &[Table], width: u16) -> String {
    with_cells(tables, width, &cell_text)
}

fn with_cells(tables: &[Table], width: u16, cell: &dyn Fn(&Cell) -> String) -> String {
    let shown: Vec<String> = tables.iter().map(|table| one(table, width, cell)).collect();
    shown.join("\n\n")
}

fn one(table: &Table, width: u16, cell: &dyn Fn(&Cell) -> String) -> String {
    let mut shown = comfy_table::Table::new();
    shown.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let columns = table.columns.iter().map(Shown::new);
    shown.set_header(std::iter::once(Shown::new("")).chain(columns));
    for line in &table.lines {
        let cells = line.cells.iter().map(|found| found.as_ref().map_or_else(String::new, cell));
        shown.add_row(std::iter::once(line.title.clone()).chain(cells));
    }
    format!("{}\n{}", table.name(), shown.trim_fmt())
}

fn cell_text(cell: &Cell) -> String {
    let Cell { text, finding, .. } = cell;
    let sign = finding.mark.sign();
    let more = if finding.sampled { "+" } else { "" };
    match finding.requests {
        Some(requests) => format!("{sign} {text} · {}{more}", grouped(requests)),
        None => format!("{sign} {text}"),
    }
}

impl Document {
    /// The document as text, its tables at most `width` characters wide.
    pub fn as_text(&self, width: u16) -> String {
        Text(self).document(width)
    }
}

/// Writes a document.
struct Text<'d>(&'d Document);

impl Text<'_> {
    fn document(&self, width: u16) -> String {
        let mut text = format!("{}\n{}\n\n", self.0.title, "=".repeat(self.0.title.chars().count()));
        text.push_str(&format!("{} {}\n", self.0.verdict.sign(), self.0.headline));
        self.0.summary.iter().for_each(|sentence| text.push_str(&format!("  {sentence}\n")));
        text.push('\n');
        for (name, value) in self.0.provenance.entries() {
            text.push_str(&format!("{name:10}{value}\n"));
        }
        text.push_str(&heading("The matrix"));
        text.push_str(
            "The first mark says what is decided, the second what is proven; the number names the row below.\n",
        );
        text.push_str("✓ holds   ✗ does not   ∅ no request matches   ? undecided   – not proven here\n\n");
        text.push_str(&with_cells(&self.0.tables, width, &|cell| self.cell(cell)));
        text.push('\n');
        text.push_str(&heading("Rows"));
        self.0.rows.iter().for_each(|row| text.push_str(&self.row(row)));
        text.push_str(&heading("Clauses"));
        self.0.clauses.iter().for_each(|clause| text.push_str(&self.clause(clause)));
        text.push_str(&heading("Policies"));
        self.0.policies.iter().for_each(|policy| text.push_str(&self.policy(policy)));
        text.push_str(&heading("Readings"));
        self.0.policies.iter().for_each(|policy| text.push_str(&self.reading(policy)));
        text.push_str(&heading("Outside the document"));
        self.0.kinds.iter().for_each(|kind| text.push_str(&outside(kind)));
        text
    }

    fn cell(&self, cell: &Cell) -> String {
        let names: Vec<&str> = cell.rows.iter().filter_map(|row| Some(self.0.rows.get(*row)?.name.as_str())).collect();
        format!("{}{} {} {}", cell.finding.mark.sign(), Mark::sign_of(self.0.proven(cell)), cell.text, names.join(" "))
    }

    fn row(&self, row: &Row) -> String {
        let mut text = format!("{}  {}\n", row.name, row.title());
        text.push_str(&format!("    {}:{}\n", row.file, row.line));
        text.push_str(&format!("    expected  {}: {}\n", row.cell, row.must()));
        text.push_str(&format!("    decided   {} {}\n", row.decided.finding.mark.sign(), row.decided.said));
        for (policy, requests) in self.0.deciding(row) {
            let effect = policy.effect();
            text.push_str(&format!("              {effect} `{}` on {}\n", policy.id, grouped(requests)));
        }
        if row.decided.unpermitted > 0 {
            text.push_str(&format!("              {}\n", self.0.unpermitted(row)));
        }
        text.push_str(&proven(&row.proven));
        for clause in self.0.cited(&row.clauses) {
            text.push_str(&format!("    clause    [{}] {}\n", clause.id, clause.said()));
        }
        if row.clauses.is_empty() {
            text.push_str("    clause    none is cited\n");
        }
        row.decided.example.iter().chain(&row.proven.examples).for_each(|found| text.push_str(&example(found)));
        text.push('\n');
        text
    }

    fn clause(&self, clause: &Clause) -> String {
        let policies: Vec<&str> = self.0.named(&clause.policies).map(|policy| policy.id.as_str()).collect();
        let by = |label, names: Vec<&str>| match names.is_empty() {
            true => String::new(),
            false => format!("    {label:10}{}\n", names.join(", ")),
        };
        let nobody = if clause.is_cited() { "" } else { "    nothing cites it\n" };
        format!(
            "[{}]\n    {}\n{}{}{nobody}\n",
            clause.id,
            clause.said(),
            by("policies", policies),
            by("rows", self.0.row_names(&clause.rows).collect())
        )
    }

    fn policy(&self, policy: &Policy) -> String {
        let mut text = format!("{} `{}`\n    {}\n", policy.effect(), policy.id, policy.place);
        policy.reason.iter().for_each(|reason| text.push_str(&format!("    reason    {reason}\n")));
        let clauses: Vec<&str> = self.0.cited(&policy.clauses).map(|clause| clause.id.as_str()).collect();
        let rows: Vec<&str> = self.0.row_names(&policy.rows).collect();
        let none = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        text.push_str(&format!("    clauses   {}\n    decides   {}\n", none(clauses), none(rows)));
        text.push_str(&proven(&policy.proven));
        policy.proven.examples.iter().for_each(|found| text.push_str(&example(found)));
        policy.source.lines().for_each(|line| text.push_str(&format!("      {line}\n")));
        text.push('\n');
        text
    }

    fn reading(&self, policy: &Policy) -> String {
        let Some(reading) = &policy.reading else { return String::new() };
        let clauses: Vec<&str> = self.0.cited(&policy.clauses).map(|clause| clause.id.as_str()).collect();
        format!("`{}` [{}]\n    {reading}\n\n", policy.id, clauses.join(", "))
    }
}

impl Verdict {
    /// The sign for it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Holds => Mark::Holds.sign(),
            Self::Fails => Mark::Fails.sign(),
            Self::Undecided => Mark::Undecided.sign(),
            Self::Unchecked => Mark::Unmatched.sign(),
        }
    }
}

fn heading(title: &str) -> String {
    format!("\n\n{title}\n{}\n\n", "-".repeat(title.chars().count()))
}

fn proven(proven: &Proven) -> String {
    let sign = Mark::sign_of(proven.mark);
    let mut said: Vec<&str> = proven.said.iter().map(String::as_str).collect();
    said.extend(proven.examples.iter().map(|example| example.shows.as_str()));
    format!("    proven    {sign} {}\n", said.join(" "))
}

fn example(example: &Example) -> String {
    let request: String = example.request.lines().map(|line| format!("      {line}\n")).collect();
    format!("    {}, for `gatepost decide --facts`:\n{request}    {}\n", example.shows, example.decision)
}

fn outside(kind: &Kind) -> String {
    let mut text = format!("{}\n", kind.name);
    kind.proven.said.iter().for_each(|sentence| text.push_str(&format!("    {sentence}\n")));
    text.push_str(&format!("    {}\n", kind.said()));
    for line in &kind.lines {
        let effect = if line.allowed { "allowed" } else { "denied" };
        let requests = counted(line.requests, "request");
        text.push_str(&format!("    {effect}, {requests}: {}\n", line.in_words()));
    }
    if kind.more > 0 {
        text.push_str(&format!("    … and {} more\n", counted(kind.more, "line")));
    }
    text.push('\n');
    text
}
