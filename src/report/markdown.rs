//! The document as Markdown, to be pasted into a review as it is.
//!
//! It is kept short, because a comment holds 65,536 characters: of the rows it names the place, and does not quote them.

use super::{Cell, Clause, Document, Example, Kind, Mark, Policy, Row, Table, counted, grouped};

impl Document {
    /// The document as Markdown (GitHub's).
    pub fn as_markdown(&self) -> String {
        Markdown(self).document()
    }
}

/// Writes a document.
struct Markdown<'d>(&'d Document);

impl Markdown<'_> {
    fn document(&self) -> String {
        let mut text = format!("# {}\n\n", inline(&self.0.title));
        text.push_str(&format!("**{} {}.**\n\n", self.0.verdict.sign(), inline(&self.0.headline)));
        text.extend(self.0.summary.iter().map(|sentence| format!("- {}\n", inline(sentence))));
        text.push('\n');
        let entries = self.0.provenance.entries().into_iter().map(|(name, value)| [name.to_owned(), inline(&value)]);
        text.push_str(&grid(["", ""].map(String::from), entries));
        text.push_str("\n## The matrix\n\n");
        text.push_str("The first mark says what is decided, the second what is proven: ✓ holds, ✗ does not, ∅ no request matches, ? undecided, – not proven here.\n\n");
        self.0.tables.iter().for_each(|table| text.push_str(&self.table(table)));
        self.0.failing().for_each(|row| text.push_str(&trouble(row)));
        text.push_str("## Rows\n\n");
        let titles = ["", "row", "must", "decided", "proven", "clauses", "decided by", "place"].map(String::from);
        text.push_str(&grid(titles, self.0.rows.iter().map(|row| self.row(row))));
        text.push_str("\n## Clauses\n\n");
        let titles = ["clause", "", "policies", "rows"].map(String::from);
        text.push_str(&grid(titles, self.0.clauses.iter().map(|clause| self.clause(clause))));
        text.push_str("\n## Policies\n\n");
        self.0.policies.iter().for_each(|policy| text.push_str(&self.policy(policy)));
        text.push_str("## Outside the document\n\n");
        self.0.kinds.iter().for_each(|kind| text.push_str(&outside(kind)));
        text
    }

    fn table(&self, table: &Table) -> String {
        let titles = std::iter::once(String::new()).chain(table.columns.iter().map(|title| inline(title)));
        let lines = table.lines.iter().map(|line| {
            let cells = line.cells.iter().map(|cell| cell.as_ref().map(|cell| self.cell(cell)).unwrap_or_default());
            std::iter::once(inline(&line.title)).chain(cells)
        });
        format!("### {}\n\n{}\n", inline(table.name()), grid(titles, lines))
    }

    fn cell(&self, cell: &Cell) -> String {
        let rows = cell.rows.iter().filter_map(|row| self.0.rows.get(*row));
        let links: Vec<String> = rows.map(|row| format!("[{}](#{})", row.name, row.anchor)).collect();
        let (decided, proven) = (cell.finding.mark.sign(), Mark::sign_of(self.0.proven(cell)));
        format!("{decided}{proven} **{}** {}", inline(&cell.text), links.join(" "))
    }

    fn row(&self, row: &Row) -> [String; 8] {
        let by =
            self.0.deciding(row).map(|(policy, requests)| format!("{} ({})", self.link(policy), grouped(requests)));
        let nothing =
            (row.decided.unpermitted > 0).then(|| format!("nothing permits {}", grouped(row.decided.unpermitted)));
        [
            format!("<a id=\"{}\"></a>{}", row.anchor, row.name),
            inline(&row.title()),
            row.must().to_owned(),
            format!(
                "{} {}",
                row.decided.finding.mark.sign(),
                grouped(row.decided.finding.requests.unwrap_or_default())
            ),
            Mark::sign_of(row.proven.mark).to_owned(),
            self.0.cited(&row.clauses).map(link_to_clause).collect::<Vec<_>>().join(" "),
            by.chain(nothing).collect::<Vec<_>>().join(", "),
            code(&format!("{}:{}", row.file, row.line)),
        ]
    }

    fn clause(&self, clause: &Clause) -> [String; 4] {
        let policies: Vec<String> = self.0.named(&clause.policies).map(|policy| self.link(policy)).collect();
        let rows: Vec<String> = clause
            .rows
            .iter()
            .filter_map(|row| self.0.rows.get(*row))
            .map(|row| format!("[{}](#{})", row.name, row.anchor))
            .collect();
        let nothing = if clause.is_cited() { "" } else { " **(nothing cites it)**" };
        [
            format!("<a id=\"{}\"></a>{}", clause.anchor, inline(&clause.id)),
            format!("{}{nothing}", inline(clause.said())),
            policies.join(" "),
            rows.join(" "),
        ]
    }

    fn policy(&self, policy: &Policy) -> String {
        let mut text = format!("### <a id=\"{}\"></a>{} {}\n\n", policy.anchor, policy.effect(), code(&policy.id));
        policy.reason.iter().for_each(|reason| text.push_str(&format!("{}\n\n", inline(reason))));
        policy.reading.iter().for_each(|reading| text.push_str(&format!("**Reading:** {}\n\n", inline(reading))));
        let clauses: Vec<String> = self.0.cited(&policy.clauses).map(link_to_clause).collect();
        let clauses = if clauses.is_empty() { "none".to_owned() } else { clauses.join(" ") };
        text.push_str(&format!(
            "Clauses: {clauses} · decides {} · {}",
            counted(policy.rows.len(), "row"),
            code(&policy.place)
        ));
        text.push_str(&format!("\n\n{}", fenced("cedar", &policy.source)));
        policy.proven.examples.iter().for_each(|found| text.push_str(&example(found)));
        text
    }

    fn link(&self, policy: &Policy) -> String {
        format!("[{}](#{})", inline(&policy.id), policy.anchor)
    }
}

fn link_to_clause(clause: &Clause) -> String {
    format!("[{}](#{})", inline(&clause.id), clause.anchor)
}

/// What is wrong with a row.
fn trouble(row: &Row) -> String {
    let sentences = std::iter::once(&row.decided.said).chain(&row.proven.said).map(|sentence| inline(sentence));
    let mut text =
        format!("**{} {}**: {}\n\n", row.name, inline(&row.title()), sentences.collect::<Vec<_>>().join(" "));
    row.decided.example.iter().chain(&row.proven.examples).for_each(|found| text.push_str(&example(found)));
    text
}

fn example(found: &Example) -> String {
    let (shows, request) = (inline(&found.shows), fenced("json", &found.request));
    format!("{shows}, for `gatepost decide --facts`:\n\n{request}{}\n\n", inline(&found.decision))
}

fn outside(kind: &Kind) -> String {
    let said = kind
        .proven
        .said
        .iter()
        .chain(std::iter::once(&kind.said()))
        .map(|sentence| inline(sentence))
        .collect::<Vec<_>>();
    let mut text = format!("**{}**: {}\n\n", inline(&kind.name), said.join(" "));
    let lines = kind.lines.iter().map(|line| {
        let effect = if line.allowed { "allowed" } else { "denied" };
        [inline(&line.in_words()), effect.to_owned(), grouped(line.requests)]
    });
    if !kind.lines.is_empty() {
        text.push_str(&grid(["requests", "decided", "how many"].map(String::from), lines));
        text.push('\n');
    }
    if kind.more > 0 {
        text.push_str(&format!("… and {} more\n\n", counted(kind.more, "line")));
    }
    text
}

/// A table; its texts are Markdown already.
fn grid<L: IntoIterator<Item = String>>(
    titles: impl IntoIterator<Item = String>,
    lines: impl Iterator<Item = L>,
) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let titles: Vec<String> = titles.into_iter().collect();
    let rule = titles.iter().map(|_| "---".to_owned()).collect();
    let mut text = line(titles) + &line(rule);
    lines.for_each(|cells| text.push_str(&line(cells.into_iter().collect())));
    text
}

/// A text of which nothing is taken for Markdown, for HTML, or for somebody's name or the number of an issue.
fn inline(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' | '#' => escaped.push_str(&format!("{character}<!-- -->")),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// A text as code, inside a line or a table.
fn code(text: &str) -> String {
    // A table ends its cell at every `|`, in code too, unless it is escaped; and code knows no escape but that one.
    let text = text.replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A block of code.
fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}\n\n", text.trim_end())
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or_default()
}
