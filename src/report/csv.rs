//! The rows of the document as CSV (RFC 4180), for a program or a spreadsheet.

use std::borrow::Cow;

use super::{Document, Mark, Row};

/// The first line.
const COLUMNS: [&str; 24] = [
    "row_number",
    "table",
    "row",
    "column",
    "cell",
    "must",
    "decided",
    "requests",
    "failures",
    "sampled",
    "proven",
    "proof",
    "clauses",
    "clause_texts",
    "policies",
    "unpermitted",
    "readings",
    "id",
    "file",
    "line",
    "revision",
    "made_with",
    "solver",
    "date",
];

impl Document {
    /// The rows as CSV: a line with the names of the columns, then one for each row. Where a field holds several things, they
    /// stand on lines of their own.
    pub fn as_csv(&self) -> String {
        let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
        // Writing to memory does not fail, and all records have as many fields.
        let _ = writer.write_record(COLUMNS);
        for row in &self.rows {
            let fields = self.fields(row);
            let _ = writer.write_record(fields.iter().map(|field| guarded(field).into_owned()));
        }
        writer.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn fields(&self, row: &Row) -> [String; COLUMNS.len()] {
        let [table, title, column] = row.position.clone().map(Option::unwrap_or_default);
        let lines = |parts: Vec<String>| parts.join("\n");
        let decided = &row.decided;
        [
            row.name.clone(),
            table,
            title,
            column,
            row.cell.clone(),
            row.must().to_owned(),
            self::decided(decided.finding.mark).to_owned(),
            decided.finding.requests.unwrap_or_default().to_string(),
            decided.failures.to_string(),
            decided.finding.more.to_string(),
            proven(row.proven.mark).to_owned(),
            lines(row.proven.said.clone()),
            lines(self.cited(&row.clauses).map(|clause| clause.id.clone()).collect()),
            lines(self.cited(&row.clauses).filter_map(|clause| clause.text.clone()).collect()),
            lines(self.deciding(row).map(|(policy, requests)| format!("{} ({requests})", policy.id)).collect()),
            decided.unpermitted.to_string(),
            lines(self.deciding(row).filter_map(|(policy, _)| policy.reading.clone()).collect()),
            row.id.clone(),
            row.file.clone(),
            row.line.to_string(),
            self.provenance.revision.clone(),
            self.provenance.versions.clone(),
            self.provenance.solver.clone(),
            self.provenance.date.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        ]
    }
}

fn decided(mark: Mark) -> &'static str {
    match mark {
        Mark::Holds => "as the row says",
        Mark::Undecided | Mark::Unmatched => "unmatched",
        Mark::Fails => "otherwise",
    }
}

fn proven(mark: Option<Mark>) -> &'static str {
    match mark {
        Some(Mark::Holds) => "proven",
        Some(Mark::Undecided) => "undecided",
        Some(Mark::Unmatched) => "unmatched",
        Some(Mark::Fails) => "refuted",
        None => "not proven here",
    }
}

/// A field that a spreadsheet does not take for a formula: what begins like one gets an apostrophe before it, which a spreadsheet
/// takes for "this is text". (OWASP, "CSV Injection".)
fn guarded(field: &str) -> Cow<'_, str> {
    if field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{field}"))
    } else {
        Cow::Borrowed(field)
    }
}
