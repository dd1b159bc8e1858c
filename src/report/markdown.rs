//! The document as Markdown, to be pasted into a review as it is.
//!
//! It is kept short, because a comment holds 65,536 characters: of the rows it names the place, and does not quote them.

use super::{Cell, Clause, Document, Example, Kind, Mark, Policy, Row, Table, counted, grouped};

impl Document {
    /// The document as Markdown, as GitHub reads it.
    pub fn as_markdown(&self) -> String {
        Markdown(self).document()
    }
}

/// Writes a document.
struct Markdown<'d>(&'d Document);

impl Markdown<'_> {
    fn document(&self) -> String {
        let document = self.0;
        let mut text = format!("# {}\n\n", inline(&document.title));
        text.push_str(&format!("**{} {}.**\n\n", document.verdict.sign(), inline(&document.headline)));
        text.extend(document.summary.iter().map(|sentence| format!("- {}\n", inline(sentence))));
        text.push('\n');
        let entries = document.provenance.entries().into_iter().map(|(name, value)| [name.to_owned(), inline(&value)]);
        text.push_str(&grid(["", ""], entries));
        text.push_str("\n## The matrix\n\n");
        text.push_str(
            "The first mark says what is decided, the second what is proven: ✓ holds, ✗ does not, ∅ no request matches, \
             ? undecided, – not proven here.\n\n",
        );
        text.extend(document.tables.iter().map(|table| self.table(table)));
        text.extend(document.rows.iter().map(trouble));
        text.push_str("## Rows\n\n");
        text.extend(document.tables.iter().map(|table| self.rows(table)));
        text.push_str("## Clauses\n\n");
        let clauses = document.clauses.iter().enumerate().map(|(index, clause)| self.clause(index, clause));
        text.push_str(&grid(["", "clause", "policies", "rows"], clauses));
        text.push_str("\n## Policies\n\n");
        text.extend(document.policies.iter().enumerate().map(|(index, policy)| self.policy(index, policy)));
        text.push_str("## Outside the document\n\n");
        text.extend(document.kinds.iter().map(outside));
        text
    }

    fn table(&self, table: &Table) -> String {
        let lines = table.lines.iter().map(|line| {
            let cells = line.cells.iter().map(|cell| cell.as_ref().map(|cell| self.cell(cell)).unwrap_or_default());
            std::iter::once(inline(&line.title)).chain(cells)
        });
        let columns: Vec<String> = table.columns.iter().map(|column| inline(column)).collect();
        let titles = std::iter::once("").chain(columns.iter().map(String::as_str));
        format!("### {}\n\n{}\n", inline(table.name()), grid(titles, lines))
    }

    fn cell(&self, cell: &Cell) -> String {
        let (decided, proven) = (cell.finding.mark.sign(), Mark::sign_of(self.0.proven(cell)));
        format!("{decided}{proven} **{}** {}", inline(&cell.shown()), self.links_to_rows(&cell.rows))
    }

    fn rows(&self, table: &Table) -> String {
        let lines = self.0.rows_of(table).map(|row| self.row(row));
        let titles = ["", "row", "must", "decided", "proven", "clauses", "by", "place"];
        format!("### {}\n\n{}\n", inline(table.name()), grid(titles, lines))
    }

    fn row(&self, row: &Row) -> [String; 8] {
        let decided = &row.decided;
        let by = decided.policies.iter().map(|(policy, _)| self.link_to_policy(*policy));
        let nothing = (decided.unpermitted > 0).then(|| format!("nothing permits {}", grouped(decided.unpermitted)));
        [
            format!("<a id=\"{}\"></a>{}", row.name.to_lowercase(), row.name),
            inline(&row.title_in_table()),
            row.must().to_owned(),
            format!("{} {}", decided.finding.mark.sign(), grouped(decided.finding.requests.unwrap_or_default())),
            Mark::sign_of(row.proven.mark).to_owned(),
            self.links_to_clauses(&row.clauses),
            by.chain(nothing).collect::<Vec<_>>().join(", "),
            code(&format!("{}:{}", row.file, row.line)),
        ]
    }

    fn clause(&self, index: usize, clause: &Clause) -> [String; 4] {
        let policies: Vec<String> = clause.policies.iter().map(|policy| self.link_to_policy(*policy)).collect();
        let nothing = if clause.is_cited() { "" } else { " **Nothing cites it.**" };
        [
            format!("<a id=\"c{}\"></a>{}", index + 1, inline(&clause.id)),
            format!("{}{nothing}", inline(clause.said())),
            policies.join(", "),
            self.links_to_rows(&clause.rows),
        ]
    }

    fn policy(&self, index: usize, policy: &Policy) -> String {
        let anchor = format!("<a id=\"p{}\"></a>", index + 1);
        let mut text = format!("### {anchor}{} {}\n\n", policy.effect(), code(&policy.id));
        let reading = policy.reading.as_ref().map(|reading| format!("**Reading:** {}\n\n", inline(reading)));
        text.extend(policy.reason.iter().map(|reason| format!("{}\n\n", inline(reason))).chain(reading));
        let clauses =
            if policy.clauses.is_empty() { "none".to_owned() } else { self.links_to_clauses(&policy.clauses) };
        let decides = counted(policy.rows.len(), "row");
        text.push_str(&format!("Clauses: {clauses} · decides {decides} · {}\n\n", code(&policy.place)));
        text.push_str(&fenced("cedar", &policy.rule));
        text.extend(policy.proven.examples.iter().map(example));
        text
    }

    fn links_to_rows(&self, rows: &[usize]) -> String {
        let links = self.0.row_names(rows).map(|name| format!("[{name}](#{})", name.to_lowercase()));
        links.collect::<Vec<_>>().join(" ")
    }

    fn links_to_clauses(&self, clauses: &[usize]) -> String {
        let named = clauses.iter().filter_map(|place| Some((place + 1, self.0.clauses.get(*place)?)));
        let links = named.map(|(number, clause)| format!("[{}](#c{number})", inline(&clause.id)));
        links.collect::<Vec<_>>().join(", ")
    }

    fn link_to_policy(&self, place: usize) -> String {
        let policy = self.0.policies.get(place);
        policy.map(|policy| format!("[{}](#p{})", inline(&policy.id), place + 1)).unwrap_or_default()
    }
}

/// What is wrong with a row; nothing where it holds.
fn trouble(row: &Row) -> String {
    if !row.fails() && row.proven.mark != Some(Mark::Undecided) {
        return String::new();
    }
    let sentences = std::iter::once(&row.decided.said).chain(&row.proven.said).map(|sentence| inline(sentence));
    let sentences = sentences.collect::<Vec<_>>().join(" ");
    let mut text = format!("**{} {}**: {sentences}\n\n", row.name, inline(&row.title()));
    text.extend(row.decided.example.iter().chain(&row.proven.examples).map(example));
    text
}

fn example(found: &Example) -> String {
    let (shows, request) = (inline(&found.shows), fenced("json", &found.request));
    format!("{shows}, for `gatepost decide --facts`:\n\n{request}{}\n\n", inline(&found.decision))
}

fn outside(kind: &Kind) -> String {
    let mut text = format!("**{}**: {}\n\n", inline(&kind.name), inline(&kind.said()));
    let lines = kind.lines.iter().map(|line| {
        let effect = if line.allowed { "allowed" } else { "denied" };
        [inline(&line.in_words()), effect.to_owned(), grouped(line.requests)]
    });
    if !kind.lines.is_empty() {
        text.push_str(&grid(["requests", "decided", "how many"], lines));
        text.push('\n');
    }
    if kind.more > 0 {
        text.push_str(&format!("… and {} more\n\n", counted(kind.more, "line")));
    }
    text
}

/// A table; its texts are Markdown already.
pub(super) fn grid<'t, L: IntoIterator<Item = String>>(
    titles: impl IntoIterator<Item = &'t str>,
    lines: impl Iterator<Item = L>,
) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let titles: Vec<String> = titles.into_iter().map(str::to_owned).collect();
    let rule = titles.iter().map(|_| "---".to_owned()).collect();
    let mut text = line(titles) + &line(rule);
    text.extend(lines.map(|cells| line(cells.into_iter().collect())));
    text
}

/// A text of which nothing is taken for Markdown, for HTML, or for somebody's name or the number of an issue.
pub(super) fn inline(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' | '#' => escaped.push_str(&format!("{character}<!-- -->")),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => escaped.extend(['\\', character]),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A text as code, inside a line or a table.
pub(super) fn code(text: &str) -> String {
    // A table ends its cell at every `|`, in code too, unless it is escaped; code knows no other escape.
    let text = text.replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A block of code.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}\n\n", text.trim_end())
}

/// The most backticks that stand beside each other.
fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or_default()
}
