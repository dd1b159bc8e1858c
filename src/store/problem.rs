//! What is wrong with a store: a sentence, the place, what to do.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode, SourceSpan};

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

impl fmt::Debug for SourceFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SourceFile({})", self.path)
    }
}

impl Problem {
    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), file: None, labels: Vec::new(), help: None }
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

    /// With what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
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
}

/// Whether the label lies in the file: a diagnostic from elsewhere must not break the output.
fn fits(label: &LabeledSpan, file: &SourceFile) -> bool {
    label.offset() + label.len() <= file.text.len()
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.labels.is_empty()) {
            (Some(file), true) => write!(formatter, "{}: {}", file.path, self.message),
            _ => formatter.write_str(&self.message),
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
        self.file.as_ref().filter(|_| !self.labels.is_empty()).map(|file| file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
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
