//! What is wrong with a store: a sentence, the place, what to do.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode, SourceSpan};
use serde_json::{Value as Json, json};

use super::nearest::nearest;

/// The longest line that is shown with a problem of data: files that programs write may have one line for everything.
pub const LONGEST_LINE: usize = 400;

/// One thing that is wrong with a store, as its author sees it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Whether the store can still be served.
    pub severity: Severity,
    /// What is wrong: lower case, no final period.
    pub message: String,
    /// The file, relative to the store; `None` where the store as a whole is meant.
    pub file: Option<SourceFile>,
    /// The places in that file, in bytes.
    pub labels: Vec<LabeledSpan>,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether the text around the place may be shown: not where it may hold what is `@sensitive`.
    pub shows_text: bool,
    /// A request that shows it, for `gatepost decide --facts`: it stands below everything else, as it is.
    pub request: Option<Box<Json>>,
}

/// Whether a problem keeps a store from being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The store cannot be served.
    Error,
    /// The store can be served, but its author should look.
    Warning,
    /// Nothing is wrong: a place is shown.
    Note,
}

impl Severity {
    /// The word for it in every output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A text file of a store.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path relative to the store, with `/` between its parts.
    pub path: Arc<str>,
    /// What stands in it.
    pub text: Arc<str>,
}

impl SourceFile {
    /// The line at which something starts, from 1.
    pub fn line_at(&self, span: SourceSpan) -> usize {
        self.text.bytes().take(span.offset()).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The character at a line and a column, both from 1, the column in bytes; at the end, nothing.
    fn span_at(&self, line: usize, column: usize) -> Option<SourceSpan> {
        let before: usize = self.text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
        let mut start = (before + column.saturating_sub(1)).min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let length = self.text.get(start..)?.chars().next().map_or(0, char::len_utf8);
        Some((start, length).into())
    }

    /// How long the line is in which something starts, in bytes.
    pub fn line_length(&self, offset: usize) -> usize {
        let (before, after) = self.text.split_at_checked(offset).unwrap_or((&self.text, ""));
        let part = |part: Option<&str>| part.map_or(0, str::len);
        part(before.rsplit('\n').next()) + part(after.split('\n').next())
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SourceFile({})", self.path)
    }
}

impl Problem {
    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            file: None,
            labels: Vec::new(),
            help: None,
            shows_text: true,
            request: None,
        }
    }

    /// A warning without a place.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// A note without a place.
    pub fn note(message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(message) }
    }

    /// In that file.
    #[must_use]
    pub fn in_file(mut self, file: &SourceFile) -> Self {
        self.file = Some(file.clone());
        self
    }

    /// With that place underlined, and `label` under it.
    #[must_use]
    pub fn at(mut self, span: SourceSpan, label: &str) -> Self {
        let text = (!label.is_empty()).then(|| label.to_owned());
        self.labels.push(LabeledSpan::new_with_span(text, span));
        self
    }

    /// With the first occurrence of `text` in the file underlined, if it occurs.
    #[must_use]
    pub fn at_text(self, text: &str) -> Self {
        let found = self.file.as_ref().and_then(|file| file.text.find(text));
        match found {
            Some(start) => self.at(SourceSpan::from((start, text.len())), ""),
            None => self,
        }
    }

    /// The same, without the text in which it stands: the place is said alone.
    #[must_use]
    pub fn without_text(self) -> Self {
        Self { shows_text: false, ..self }
    }

    /// With what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With a request that shows it.
    #[must_use]
    pub fn with_request(self, request: Json) -> Self {
        Self { request: Some(Box::new(request)), ..self }
    }

    /// What is no TOML of the form that is expected: `what` has the name of something there (a setting), and `help` says the form.
    pub fn from_toml(error: &toml::de::Error, file: &SourceFile, what: &str, help: &str) -> Self {
        let message = error.message().trim();
        let problem = match unknown_name(message) {
            Some((name, known)) => {
                let meant = nearest(name, known).map(|meant| format!("did you mean `{meant}`? "));
                let help = format!("{}{help}", meant.unwrap_or_default());
                Self::error(format!("there is no {what} `{name}`")).with_help(help)
            }
            None => {
                let meant = unknown_variant(message).and_then(|(name, known)| nearest(name, known));
                let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
                Self::error(in_plain_words(message)).with_help(format!("{meant}{help}"))
            }
        };
        let problem = problem.in_file(file);
        match error.span() {
            Some(span) => problem.at(span.into(), ""),
            None => problem,
        }
    }

    /// What is no JSON: the message of its reader, which ends with the place (`at line 4 column 3`), is shown there. `subject` says
    /// what it is: `the file`.
    pub fn not_json(subject: &str, message: &str, file: &SourceFile) -> Self {
        let placed = message.rsplit_once(" at line ").and_then(|(what, place)| {
            let (line, column) = place.split_once(" column ")?;
            Some((what, file.span_at(line.parse().ok()?, column.parse().ok()?)?))
        });
        match placed.filter(|(_, span)| file.line_length(span.offset()) <= LONGEST_LINE) {
            Some((what, span)) => Self::error(format!("{subject} is {what}")).in_file(file).at(span, ""),
            None => Self::error(format!("{subject} is {message}")).in_file(file),
        }
    }

    /// A diagnostic of Cedar, and all that it carries with it, as errors in `file`.
    pub fn from_cedar(diagnostic: &dyn Diagnostic, file: &SourceFile) -> Vec<Self> {
        let problem = Self {
            severity: Severity::Error,
            message: diagnostic.to_string(),
            file: Some(file.clone()),
            labels: diagnostic
                .labels()
                .map(|labels| labels.filter(|label| fits(label, file)).collect())
                .unwrap_or_default(),
            help: diagnostic.help().map(|help| help.to_string()),
            shows_text: true,
            request: None,
        };
        let related = diagnostic.related().into_iter().flatten().flat_map(|other| Self::from_cedar(other, file));
        std::iter::once(problem).chain(related).collect()
    }

    /// The line and the column of the first label, both from 1, the column in characters.
    pub fn position(&self) -> Option<(usize, usize)> {
        let text = &self.file.as_ref()?.text;
        let before = text.get(..self.labels.first()?.offset())?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some((before.matches('\n').count() + 1, before.get(line_start..)?.chars().count() + 1))
    }

    /// For a person: the place underlined, and what to do, in lines of about so many columns; `coloured` is for a terminal.
    pub fn rendered(&self, columns: usize, coloured: bool) -> String {
        let theme = if coloured { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler =
            GraphicalReportHandler::new_themed(theme).with_width(columns).with_links(false).with_break_words(false);
        let mut text = String::new();
        let rendered = match handler.render_report(&mut text, self) {
            Ok(()) => format!("{}\n", text.trim_end_matches('\n')),
            // Writing to a string does not fail; a place that cannot be shown is left out.
            Err(_) => format!("{self}\n"),
        };
        // Lines that are broken anew could not be pasted.
        self.request.as_ref().map_or(rendered.clone(), |request| format!("{rendered}{request:#}\n"))
    }

    /// For a program.
    pub fn as_json(&self) -> Json {
        let mut json = self.members_as_json();
        if let (Some(members), Some(request)) = (json.as_object_mut(), &self.request) {
            members.insert("request".to_owned(), (**request).clone());
        }
        json
    }

    fn members_as_json(&self) -> Json {
        let labels = self
            .labels
            .iter()
            .map(|label| json!({ "offset": label.offset(), "length": label.len(), "text": label.label() }));
        json!({
            "severity": self.severity.word(),
            "message": self.message,
            "file": self.file.as_ref().map(|file| &*file.path),
            "line": self.position().map(|(line, _)| line),
            "column": self.position().map(|(_, column)| column),
            "labels": labels.collect::<Vec<_>>(),
            "help": self.help,
        })
    }
}

/// A name that is none of those that can stand there, and those: what the reader of TOML says of it.
fn unknown_name(message: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    of_those(message.strip_prefix("unknown field `")?)
}

/// The same of a value that is none of those that can stand there.
fn unknown_variant(message: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    of_those(message.strip_prefix("unknown variant `")?)
}

fn of_those(message: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let (name, known) = message.split_once("`, expected ")?;
    Some((name, known.split('`').skip(1).step_by(2)))
}

/// The same without the names of types that only programmers know.
fn in_plain_words(message: &str) -> String {
    match message.rsplit_once("expected ") {
        Some((what, "usize" | "u64" | "u32" | "u16" | "i64")) => format!("{what}expected a whole number"),
        Some((what, "f64")) => format!("{what}expected a number"),
        _ => message.to_owned(),
    }
}

/// Whether the label lies in the file: a diagnostic from elsewhere must not break the output.
fn fits(label: &LabeledSpan, file: &SourceFile) -> bool {
    label.offset() + label.len() <= file.text.len()
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_shown = self.shows_text && !self.labels.is_empty();
        match (self.file.as_ref().filter(|_| !is_shown), self.position()) {
            (Some(file), Some((line, column))) => write!(formatter, "{}:{line}:{column}: {}", file.path, self.message),
            (Some(file), None) => write!(formatter, "{}: {}", file.path, self.message),
            (None, _) => formatter.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.file.as_ref().filter(|_| self.shows_text && !self.labels.is_empty()).map(|file| file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (self.shows_text && !self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

impl SourceCode for SourceFile {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let contents = self.text.as_ref().read_span(span, context_lines_before, context_lines_after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.path.to_string(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

/// All that is wrong with a store; never empty.
#[derive(Debug, thiserror::Error)]
#[error("the store has {} error(s)", .0.iter().filter(|problem| problem.severity == Severity::Error).count())]
pub struct StoreError(
    /// The problems, errors and warnings, in the order in which they were found.
    pub Vec<Problem>,
);

impl StoreError {
    /// The problem alone.
    pub fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
