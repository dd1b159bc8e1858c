//! The document as one page, for a browser and for paper: no script, and nothing that is fetched.
//!
//! What is said by a sign or a colour is said in words too. A cell links to its row, which quotes the clause.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    Cell, Clause, Document, Example, Kind, Mark, OutsideLine, Policy, Proven, Row, Table, Verdict, counted, grouped,
};

/// What the page may load: nothing but the style that it brings along.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("style.css");

impl Document {
    /// The document as a page of HTML.
    pub fn as_html(&self) -> String {
        Page(self).whole().into_string()
    }
}

/// Writes a document.
struct Page<'d>(&'d Document);

impl Page<'_> {
    fn whole(&self) -> Markup {
        let document = self.0;
        // The revision is a number: nothing in it ends the style.
        let revision = document.provenance.revision.get(..12).unwrap_or_default();
        let footer = format!("@page {{ @bottom-left {{ content: \"Revision {revision}\"; font: 8pt sans-serif }} }}");
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(CONTENT_SECURITY_POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (document.title) " – " (document.headline) }
                    style { (PreEscaped(STYLE)) (PreEscaped(footer)) }
                }
                body {
                    a.skip href="#matrix" { "Skip to the matrix" }
                    (self.opening())
                    (self.contents())
                    main {
                        (self.matrix())
                        (self.rows())
                        (self.clauses())
                        (self.policies())
                        (self.readings())
                        (self.outside())
                    }
                }
            }
        }
    }

    fn opening(&self) -> Markup {
        let document = self.0;
        html! {
            header.opening id="top" {
                p.kind { "Permission matrix" }
                h1 { (document.title) }
                section.verdict.(verdict_class(document.verdict)) aria-labelledby="verdict" {
                    p.headline id="verdict" {
                        span.sign aria-hidden="true" { (document.verdict.sign()) } " " (document.headline)
                    }
                    ul { @for sentence in &document.summary { li { (sentence) } } }
                    (self.failing())
                }
                dl.provenance {
                    @for (name, value) in document.provenance.entries() {
                        div { dt { (name) } dd { @if name == "Date" { (self.date()) } @else { (value) } } }
                    }
                }
                (signature())
            }
        }
    }

    fn failing(&self) -> Markup {
        let rows: Vec<&Row> = self.0.failing().collect();
        let policies = self.0.policies.iter().filter(|policy| policy.proven.mark == Some(Mark::Fails));
        let policies: Vec<&Policy> = policies.collect();
        html! {
            @if !rows.is_empty() || !policies.is_empty() {
                p { "What does not hold:" }
                ul {
                    @for row in rows { li { (link_to_row(row)) " " (row.title()) } }
                    @for policy in policies { li { (link_to_policy(policy)) " cannot be evaluated for every request" } }
                }
            }
        }
    }

    fn date(&self) -> Markup {
        let provenance = &self.0.provenance;
        let exact = provenance.date.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        html! { time datetime=(exact) { (provenance.shown_date()) } }
    }

    fn contents(&self) -> Markup {
        let document = self.0;
        html! {
            nav.contents aria-label="Contents" {
                ol {
                    li {
                        a href="#matrix" { "The matrix" }
                        ol {
                            @for (index, table) in document.tables.iter().enumerate() {
                                li { a href=(format!("#table-{}", index + 1)) { (table.name()) } }
                            }
                        }
                    }
                    li { a href="#rows" { "Row by row" } " " (count(document.rows.len())) }
                    li { a href="#clauses" { "Clauses" } " " (count(document.clauses.len())) }
                    li { a href="#policies" { "Policies" } " " (count(document.policies.len())) }
                    li { a href="#readings" { "Readings" } " " (count(document.readings().count())) }
                    li { a href="#outside" { "Outside the document" } }
                }
            }
        }
    }

    fn matrix(&self) -> Markup {
        html! {
            section id="matrix" aria-labelledby="matrix-title" {
                h2 id="matrix-title" { "The matrix" }
                p.lead {
                    "Each cell says what the document says, and below it whether it is " strong { "decided" }
                    " so, on how many requests that was tried, and whether it is " strong { "proven" }
                    " for every possible request. It leads to its row, which is named beside it: the clause, the policies and the proof."
                }
                @if self.0.tables.is_empty() {
                    p.none {
                        "The store has no matrix: write what must hold into " code { "matrix/*.cedar" } ", row by row."
                    }
                }
                @for (index, table) in self.0.tables.iter().enumerate() { (self.table(index, table)) }
            }
        }
    }

    fn table(&self, index: usize, table: &Table) -> Markup {
        let id = format!("table-{}", index + 1);
        let title = format!("{id}-title");
        let cells = || table.lines.iter().flat_map(|line| line.cells.iter().flatten());
        let rows: usize = cells().map(|cell| cell.rows.len()).sum();
        html! {
            section.table id=(id) aria-labelledby=(title) {
                h3 id=(title) { (table.name()) }
                div.scroll.wide[table.columns.len() > MOST_COLUMNS] {
                    table aria-labelledby=(title) {
                        caption { span { (counted(rows, "row")) ": " (self.in_short(table)) } }
                        thead {
                            tr { td {} @for column in &table.columns { th scope="col" { (column) } } }
                        }
                        tbody {
                            @for line in &table.lines {
                                tr {
                                    th scope="row" { (line.title) }
                                    @for cell in &line.cells { (self.cell(cell.as_ref())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// What the marks of a table come to.
    fn in_short(&self, table: &Table) -> String {
        let cells = || table.lines.iter().flat_map(|line| line.cells.iter().flatten());
        let decided = cells().map(|cell| Some(cell.finding.mark)).max().flatten();
        let proven: Vec<Option<Mark>> = cells().map(|cell| self.0.proven(cell)).collect();
        let proven = if proven.contains(&None) { None } else { proven.into_iter().max().flatten() };
        let decided = match decided {
            Some(Mark::Holds) => "all decided as the document says",
            _ => "not all decided as the document says",
        };
        match proven {
            None => format!("{decided}, not proven here"),
            Some(Mark::Holds) => format!("{decided}, all proven"),
            Some(_) => format!("{decided}, not all proven"),
        }
    }

    fn cell(&self, cell: Option<&Cell>) -> Markup {
        let Some(cell) = cell else {
            return html! {
                td.empty { span aria-hidden="true" { "–" } span.unseen { "the document says nothing here" } }
            };
        };
        let rows: Vec<&Row> = cell.rows.iter().filter_map(|row| self.0.rows.get(*row)).collect();
        let (proven, musts) = (self.0.proven(cell), musts(&rows));
        let class = row_class(rows.iter().any(|row| row.fails()), proven == Some(Mark::Undecided));
        html! {
            td.(class) id=[rows.first().map(|row| cell_anchor(row))] {
                @for (index, row) in rows.iter().enumerate() {
                    @if index == 0 {
                        a.cell href=(format!("#{}", row.anchor)) {
                            span.says { (cell.text) }
                            @if !cell.text.eq_ignore_ascii_case(&musts) { " " span.must { (musts) } }
                            " " span.name { (row.name) }
                            span.marks { (decided_mark(cell, &rows)) (proven_mark(proven)) }
                        }
                    } @else { a.name id=(cell_anchor(row)) href=(format!("#{}", row.anchor)) { (row.name) } }
                }
            }
        }
    }

    fn rows(&self) -> Markup {
        html! {
            section id="rows" aria-labelledby="rows-title" {
                h2 id="rows-title" { "Row by row" }
                @if self.0.rows.is_empty() { p.none { "There are none." } }
                @for table in &self.0.tables {
                    h3 { (table.name()) }
                    @for row in self.0.rows_of(table) { (self.row(row)) }
                }
            }
        }
    }

    fn row(&self, row: &Row) -> Markup {
        let title = format!("{}-title", row.anchor);
        let class = row_class(row.fails(), row.proven.mark == Some(Mark::Undecided));
        let effect = if row.permits { "allowed" } else { "denied" };
        html! {
            article.row.(class) id=(row.anchor) aria-labelledby=(title) {
                h4 id=(title) { span.name { (row.name) } " " (row.title_in_table()) }
                p.place {
                    code { (row.file) ":" (row.line) } " " a href=(format!("#{}", cell_anchor(row))) { "Back to the table" }
                }
                div.said {
                    (self.quoted(&row.clauses))
                    dl.findings {
                        div { dt { "Expected" } dd { strong { (row.cell) } ": what matches is " (effect) "." } }
                        div {
                            dt { "Decided" }
                            dd { (sign(Some(row.decided.finding.mark))) " " (row.decided.said) (self.decided(row)) }
                        }
                        div { dt { "Proven" } dd { (sign(row.proven.mark)) " " (said(&row.proven)) } }
                        (annotations(&row.annotations))
                    }
                    @for found in row.decided.example.iter().chain(&row.proven.examples) { (example(found)) }
                }
                pre { code { (row.rule) } }
            }
        }
    }

    /// The policies that decide a row, or those that would have to.
    fn decided(&self, row: &Row) -> Markup {
        let decided = &row.decided;
        html! {
            @if !decided.policies.is_empty() || decided.unpermitted > 0 {
                ul {
                    @for (policy, requests) in self.0.deciding(row) {
                        li {
                            (policy.effect()) " " (link_to_policy(policy)) " on " (grouped(requests))
                            @if let Some(reason) = &policy.reason { ": " q { (reason) } }
                        }
                    }
                    @if decided.unpermitted > 0 {
                        li {
                            "nothing permits " (grouped(decided.unpermitted)) " of them: "
                            @if decided.permits.is_empty() { "no policy permits this action" }
                            @for (index, policy) in self.0.named(&decided.permits).enumerate() {
                                @if index > 0 { ", " } (link_to_policy(policy))
                            }
                            @if decided.permits.len() == 1 { " does not apply" }
                            @else if !decided.permits.is_empty() { " do not apply" }
                        }
                    }
                }
            }
        }
    }

    fn quoted(&self, clauses: &[usize]) -> Markup {
        html! {
            @if clauses.is_empty() { p.none { "It cites no clause." } }
            @for clause in self.0.cited(clauses) {
                blockquote.clause { p { (clause.said()) } footer { (link_to_clause(clause)) } }
            }
        }
    }

    fn clauses(&self) -> Markup {
        let document = self.0;
        html! {
            section id="clauses" aria-labelledby="clauses-title" {
                h2 id="clauses-title" { "Clauses" }
                p.lead {
                    "The statements of the source document, each with the policies that carry it out and the rows that hold it true."
                }
                @if document.clauses.is_empty() {
                    p.none { "There are none: write them into " code { "matrix/clauses.toml" } "." }
                }
                @for clause in &document.clauses { (self.clause(clause)) }
                (self.uncited())
            }
        }
    }

    fn clause(&self, clause: &Clause) -> Markup {
        html! {
            article.entry.fails[!clause.is_cited()] id=(clause.anchor) {
                h3 { code { (clause.id) } }
                blockquote.clause { p { (clause.said()) } }
                dl.findings {
                    div { dt { "Policies" } dd { (links(self.0.named(&clause.policies).map(link_to_policy))) } }
                    div { dt { "Rows" } dd { (links(self.0.rows_at(&clause.rows).map(link_to_row))) } }
                }
                @if !clause.is_cited() { p { (sign(Some(Mark::Fails))) " Nothing cites it." } }
            }
        }
    }

    /// What cites no clause.
    fn uncited(&self) -> Markup {
        let policies: Vec<&Policy> = self.0.policies.iter().filter(|policy| policy.clauses.is_empty()).collect();
        let rows: Vec<&Row> = self.0.rows.iter().filter(|row| row.clauses.is_empty()).collect();
        html! {
            @if policies.is_empty() && rows.is_empty() { p { "Every policy and every row cites a clause." } }
            @else {
                h3 { "What cites no clause" }
                dl.findings {
                    div { dt { "Policies" } dd { (links(policies.into_iter().map(link_to_policy))) } }
                    div { dt { "Rows" } dd { (links(rows.into_iter().map(link_to_row))) } }
                }
            }
        }
    }

    fn policies(&self) -> Markup {
        html! {
            section id="policies" aria-labelledby="policies-title" {
                h2 id="policies-title" { "Policies" }
                p.lead {
                    "What decides: a request is allowed if some " code { "permit" } " applies and no " code { "forbid" } " does."
                }
                @for policy in &self.0.policies { (self.policy(policy)) }
            }
        }
    }

    fn policy(&self, policy: &Policy) -> Markup {
        let mark = policy.proven.mark;
        let class = row_class(mark == Some(Mark::Fails), mark == Some(Mark::Undecided));
        html! {
            article.row.(class) id=(policy.anchor) {
                h3 { span.must { (policy.effect()) } " " code { (policy.id) } }
                p.place { code { (policy.place) } }
                div.said {
                    @if let Some(reason) = &policy.reason { p { q { (reason) } } }
                    dl.findings {
                        @if let Some(reading) = &policy.reading { div { dt { "Reading" } dd { (reading) } } }
                        div { dt { "Clauses" } dd { (links(self.0.cited(&policy.clauses).map(link_to_clause))) } }
                        div { dt { "Decides" } dd { (links(self.0.rows_at(&policy.rows).map(link_to_row))) } }
                        div { dt { "Proven" } dd { (sign(policy.proven.mark)) " " (said(&policy.proven)) } }
                        (annotations(&policy.annotations))
                    }
                    @for found in &policy.proven.examples { (example(found)) }
                }
                pre { code { (policy.rule) } }
            }
        }
    }

    fn readings(&self) -> Markup {
        html! {
            section id="readings" aria-labelledby="readings-title" {
                h2 id="readings-title" { "Readings" }
                p.lead { "How the policies read what the document leaves open. Whoever signs agrees to these too." }
                @if self.0.readings().next().is_none() { p.none { "There are none." } }
                ol.readings {
                    @for (policy, reading) in self.0.readings() {
                        li {
                            p { (reading) }
                            p.place {
                                (link_to_policy(policy)) " · " (links(self.0.cited(&policy.clauses).map(link_to_clause)))
                            }
                        }
                    }
                }
            }
        }
    }

    fn outside(&self) -> Markup {
        html! {
            section id="outside" aria-labelledby="outside-title" {
                h2 id="outside-title" { "Outside the document" }
                p.lead {
                    "Requests that no row decides: the document does not say, and the policies decide all the same. "
                    "By principal, action and resource; a request may stand in more than one line."
                }
                @for kind in &self.0.kinds { (outside(kind)) }
            }
        }
    }
}

/// A table with more columns scrolls on every screen.
const MOST_COLUMNS: usize = 6;

/// What a person signs; on paper only.
fn signature() -> Markup {
    html! {
        div.signature aria-hidden="true" {
            @for label in ["Reviewed by", "Role", "Date", "Signature"] { div { span { (label) } } }
        }
    }
}

fn outside(kind: &Kind) -> Markup {
    html! {
        article.entry {
            h3 { (kind.name) }
            p {
                @if matches!(kind.proven.mark, Some(Mark::Holds | Mark::Undecided)) { (sign(kind.proven.mark)) " " }
                (kind.said())
            }
            @if !kind.lines.is_empty() {
                div.scroll {
                    table.lines {
                        caption { span { "Requests of " (kind.name) " that no row decides" } }
                        thead {
                            tr { @for title in ["What they have in common", "Decided", "Requests"] { th scope="col" { (title) } } }
                        }
                        tbody { @for line in &kind.lines { (outside_line(line)) } }
                    }
                }
            }
            @if kind.more > 0 { p.none { "… and " (counted(kind.more, "line")) " more" } }
        }
    }
}

fn outside_line(line: &OutsideLine) -> Markup {
    html! {
        tr {
            td {
                @if line.conditions.is_empty() { "every request" }
                @else { ul { @for condition in &line.conditions { li { (condition) } } } }
            }
            td { strong { (if line.allowed { "allowed" } else { "denied" }) } }
            td.number { (grouped(line.requests)) }
        }
    }
}

fn example(found: &Example) -> Markup {
    html! {
        div.example {
            p { (found.shows) ", for " code { "gatepost decide --facts" } ":" }
            pre { code { (found.request) } }
            p { (found.decision) }
        }
    }
}

fn said(proven: &Proven) -> Markup {
    html! { @for sentence in &proven.said { (sentence) " " } @for found in &proven.examples { (found.shows) ". " } }
}

fn annotations(annotations: &[(String, String)]) -> Markup {
    html! { @for (name, value) in annotations { div { dt { code { "@" (name) } } dd { (value) } } } }
}

fn sign(mark: Option<Mark>) -> Markup {
    html! { span.sign.(mark_class(mark)) aria-hidden="true" { (Mark::sign_of(mark)) } }
}

fn decided_mark(cell: &Cell, rows: &[&Row]) -> Markup {
    let (mark, requests) = (cell.finding.mark, cell.finding.requests.unwrap_or_default());
    let failures: usize = rows.iter().map(|row| row.decided.failures).sum();
    let more = if cell.finding.more { "+" } else { "" };
    let word = match mark {
        Mark::Holds => "decided",
        Mark::Fails => "decided otherwise",
        Mark::Unmatched | Mark::Undecided => "no request",
    };
    html! {
        span.mark.(mark_class(Some(mark))) {
            span aria-hidden="true" { (mark.sign()) } " " (word) span.unseen { ", tried on requests:" } " "
            span.number { @if failures > 0 { (grouped(failures)) " of " } (grouped(requests)) (more) }
        }
    }
}

fn proven_mark(mark: Option<Mark>) -> Markup {
    let word = match mark {
        Some(Mark::Holds) => "proven",
        Some(Mark::Fails) => "refuted",
        Some(Mark::Unmatched) => "no request",
        Some(Mark::Undecided) => "undecided",
        None => "not proven here",
    };
    html! { span.mark.(mark_class(mark)) { span aria-hidden="true" { (Mark::sign_of(mark)) } " " (word) } }
}

fn mark_class(mark: Option<Mark>) -> &'static str {
    match mark {
        Some(Mark::Holds) => "holds",
        Some(Mark::Fails | Mark::Unmatched) => "fails",
        Some(Mark::Undecided) => "open",
        None => "absent",
    }
}

fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Fails => "fails",
        Verdict::Undecided | Verdict::Unchecked => "open",
    }
}

fn row_class(fails: bool, is_open: bool) -> &'static str {
    match (fails, is_open) {
        (true, _) => "fails",
        (false, true) => "open",
        (false, false) => "holds",
    }
}

fn cell_anchor(row: &Row) -> String {
    format!("cell-{}", row.name)
}

/// What the rows of a cell ask for.
fn musts(rows: &[&Row]) -> String {
    let mut musts: Vec<&str> = rows.iter().map(|row| row.must()).collect();
    musts.dedup();
    musts.join(", ")
}

fn count(count: usize) -> Markup {
    html! { span.count { (grouped(count)) } }
}

fn link_to_row(row: &Row) -> Markup {
    html! { a.name href=(format!("#{}", row.anchor)) { (row.name) } }
}

fn link_to_clause(clause: &Clause) -> Markup {
    html! { a.reference href=(format!("#{}", clause.anchor)) { (clause.id) } }
}

fn link_to_policy(policy: &Policy) -> Markup {
    html! { a.reference href=(format!("#{}", policy.anchor)) { (policy.id) } }
}

fn links(links: impl Iterator<Item = Markup>) -> Markup {
    let links: Vec<Markup> = links.collect();
    html! { @if links.is_empty() { span.none { "none" } } @for link in links { (link) " " } }
}
