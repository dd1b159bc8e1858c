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
    let (text, finding) = (cell.shown(), cell.finding);
    let sign = finding.mark.sign();
    let more = if finding.sampled { "+" } else { "" };
    match finding.requests {
        Some(requests) => format!("{sign} {text} · {}{more}", grouped(requests)),
        None => format!("{sign} {text}"),
    }
}

impl Document {
    /// The document as text, its lines at most `width` characters wide; code and requests as wide as they are.
    pub fn as_text(&self, width: u16) -> String {
        Text { document: self, width }.written()
    }
}

/// Writes a document.
struct Text<'d> {
    document: &'d Document,
    width: u16,
}

impl Text<'_> {
    fn written(&self) -> String {
        let document = self.document;
        let mut text = format!("{}\n\n", underlined(&document.title, "="));
        text.push_str(&format!("{} {}\n", document.verdict.sign(), document.headline));
        text.extend(document.summary.iter().map(|sentence| wrapped("  ", "  ", sentence, self.width)));
        text.push('\n');
        text.extend(document.provenance.entries().iter().map(|(name, value)| self.entry(name, "", value)));
        text.push_str(&format!("\n\n{}\n\n", underlined("The matrix", "-")));
        text.push_str(
            "The first mark says what is decided, the second what is proven; the name is that of the row below.\n",
        );
        text.push_str("✓ holds   ✗ does not   ∅ no request matches   ? undecided   – not proven here\n\n");
        text.push_str(&with_cells(&document.tables, self.width, &|cell| self.cell(cell)));
        let parts: [(&str, Vec<String>); 5] = [
            ("Rows", document.rows.iter().map(|row| self.row(row)).collect()),
            ("Clauses", document.clauses.iter().map(|clause| self.clause(clause)).collect()),
            ("Policies", document.policies.iter().map(|policy| self.policy(policy)).collect()),
            ("Readings", document.policies.iter().filter_map(|policy| self.reading(policy)).collect()),
            ("Outside the document", document.kinds.iter().map(|kind| self.kind(kind)).collect()),
        ];
        for (title, entries) in parts {
            let entries = if entries.is_empty() { "none\n".to_owned() } else { entries.join("\n") };
            text.push_str(&format!("\n\n{}\n\n{entries}", underlined(title, "-")));
        }
        text
    }

    fn cell(&self, cell: &Cell) -> String {
        let names = self.document.row_names(&cell.rows).collect::<Vec<_>>().join(" ");
        let (decided, proven) = (cell.finding.mark.sign(), Mark::sign_of(self.document.proven(cell)));
        format!("{decided}{proven} {} {names}", cell.shown())
    }

    fn row(&self, row: &Row) -> String {
        let document = self.document;
        let mut text = self.title(&format!("{}  {}", row.name, row.title()));
        text.push_str(&self.entry("place", "", &format!("{}:{}", row.file, row.line)));
        text.extend(row.annotations.iter().map(|(name, value)| self.entry(&format!("@{name}"), "", value)));
        text.push_str(&self.entry("expected", "", &format!("{}: {}", row.cell, row.must())));
        text.push_str(&self.entry("decided", row.decided.finding.mark.sign(), &row.decided.said));
        for (policy, requests) in document.deciding(row) {
            let sentence = format!("{} `{}` on {}", policy.effect(), policy.id, grouped(requests));
            text.push_str(&self.entry("", "", &sentence));
        }
        if row.decided.unpermitted > 0 {
            text.push_str(&self.entry("", "", &document.unpermitted(row)));
        }
        text.push_str(&self.proven(&row.proven));
        let clauses = document.cited(&row.clauses).map(|clause| format!("[{}] {}", clause.id, clause.said()));
        text.extend(clauses.map(|clause| self.entry("clause", "", &clause)));
        if row.clauses.is_empty() {
            text.push_str(&self.entry("clause", "", "it cites none"));
        }
        text.extend(row.decided.example.iter().chain(&row.proven.examples).map(|found| self.example(found)));
        text
    }

    fn clause(&self, clause: &Clause) -> String {
        let document = self.document;
        let mut text = self.title(&format!("[{}] {}", clause.id, clause.said()));
        let policies = document.named(&clause.policies).map(|policy| policy.id.as_str());
        text.push_str(&self.entry("policies", "", &listed(policies)));
        text.push_str(&self.entry("rows", "", &listed(document.row_names(&clause.rows))));
        if !clause.is_cited() {
            text.push_str(&self.entry("", "", "Nothing cites it."));
        }
        text
    }

    fn policy(&self, policy: &Policy) -> String {
        let document = self.document;
        let mut text = self.title(&format!("{} `{}`", policy.effect(), policy.id));
        text.push_str(&self.entry("place", "", &policy.place));
        text.extend(policy.reason.iter().map(|reason| self.entry("reason", "", reason)));
        text.extend(policy.annotations.iter().map(|(name, value)| self.entry(&format!("@{name}"), "", value)));
        let clauses = document.cited(&policy.clauses).map(|clause| clause.id.as_str());
        text.push_str(&self.entry("clauses", "", &listed(clauses)));
        text.push_str(&self.entry("decides", "", &listed(document.row_names(&policy.rows))));
        text.push_str(&self.proven(&policy.proven));
        text.extend(policy.proven.examples.iter().map(|found| self.example(found)));
        text.extend(policy.rule.lines().map(|line| format!("      {line}\n")));
        text
    }

    fn reading(&self, policy: &Policy) -> Option<String> {
        let reading = policy.reading.as_ref()?;
        let clauses = self.document.cited(&policy.clauses).map(|clause| clause.id.as_str());
        let mut text = self.title(reading);
        text.push_str(&self.entry("policy", "", &policy.id));
        text.push_str(&self.entry("clauses", "", &listed(clauses)));
        Some(text)
    }

    fn kind(&self, kind: &Kind) -> String {
        let mut text = self.title(&kind.name);
        text.push_str(&wrapped("    ", "    ", &kind.said(), self.width));
        for line in &kind.lines {
            let effect = if line.allowed { "allowed" } else { "denied" };
            let sentence = format!("{}: {}", counted(line.requests, "request"), line.in_words());
            text.push_str(&self.entry(effect, "", &sentence));
        }
        if kind.more > 0 {
            text.push_str(&self.entry("…", "", &format!("and {} more", counted(kind.more, "line"))));
        }
        text
    }

    fn proven(&self, proven: &Proven) -> String {
        let shown = proven.examples.iter().map(|example| format!("{}.", example.shows));
        let said: Vec<String> = proven.said.iter().cloned().chain(shown).collect();
        self.entry("proven", Mark::sign_of(proven.mark), &said.join(" "))
    }

    fn example(&self, example: &Example) -> String {
        let mut text = format!("    {}, for `gatepost decide --facts`:\n", example.shows);
        text.extend(example.request.lines().map(|line| format!("      {line}\n")));
        text.push_str(&format!("    {}\n", example.decision));
        text
    }

    fn title(&self, text: &str) -> String {
        wrapped("", "    ", text, self.width)
    }

    /// A line with a name before it; further lines stand under the text.
    fn entry(&self, name: &str, sign: &str, text: &str) -> String {
        let first = if sign.is_empty() { format!("    {name:10}") } else { format!("    {name:10}{sign} ") };
        let rest = " ".repeat(first.chars().count());
        wrapped(&first, &rest, text, self.width)
    }
}

/// A text in lines of at most `width` characters, but for words that are longer; `first` stands before the first line, `rest`
/// before each other.
fn wrapped(first: &str, rest: &str, text: &str, width: u16) -> String {
    let mut wrapped = String::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > usize::from(width) {
            wrapped.push_str(&format!("{}\n", line.trim_end()));
            line = rest.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    format!("{wrapped}{}\n", line.trim_end())
}

fn underlined(title: &str, with: &str) -> String {
    format!("{title}\n{}", with.repeat(title.chars().count()))
}

fn listed<'t>(names: impl Iterator<Item = &'t str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
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
