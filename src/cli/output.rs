//! What commands print, and how they fail.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::diagnostics;
use crate::report::blocks::{self, Block};
pub(super) use crate::report::counted;
use crate::store::{Problem, Severity, Statement, StoreError};

/// Why a command could not do what it is for: exit status 2.
#[derive(Debug)]
pub(super) enum Failure {
    /// A problem, perhaps with its place.
    Problem(Box<Problem>),
    /// Several problems, each with what to do.
    Problems(Vec<Problem>),
    /// A store that has errors.
    Store(StoreError),
    /// Rows outside of a store that have errors.
    Rows(StoreError),
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::from(Problem::error(message))
    }

    pub(super) fn with_help(self, help: &str) -> Self {
        match self {
            Self::Problem(problem) => Self::from(problem.with_help(help)),
            Self::Problems(_) | Self::Store(_) | Self::Rows(_) => self,
        }
    }

    pub(super) fn print(&self) {
        let text = match self {
            Self::Problem(problem) => rendered(problem),
            Self::Problems(problems) => all_rendered(problems),
            Self::Store(StoreError(problems)) => {
                format!("{}{}\n", all_rendered(problems), "the store cannot be used; `gatepost check` says more")
            }
            Self::Rows(StoreError(problems)) => format!("{}the rows cannot be proven\n", all_rendered(problems)),
        };
        // There is nowhere left to say that this failed.
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// The problems, as `gatepost check --format json` writes them.
    pub(super) fn problems_as_json(&self) -> serde_json::Value {
        match self {
            Self::Problem(problem) => vec![problem.as_json()],
            Self::Problems(problems) | Self::Store(StoreError(problems)) | Self::Rows(StoreError(problems)) => {
                problems.iter().map(Problem::as_json).collect()
            }
        }
        .into()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem(problem) => match &problem.help {
                Some(help) => write!(formatter, "{problem} ({help})"),
                None => write!(formatter, "{problem}"),
            },
            Self::Problems(problems) => write!(formatter, "{}", all_rendered(problems)),
            Self::Store(error) | Self::Rows(error) => write!(formatter, "{error}"),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("the output could not be written: {error}"))
    }
}

/// Writes to standard output; that nobody reads it any more is no error.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes problems to standard error, beside what a command goes on doing.
pub(super) fn complain(problems: &[Problem]) {
    if diagnostics::tell(problems) {
        return;
    }
    // There is nowhere left to say that this failed.
    let _ = anstream::stderr().write_all(all_rendered(problems).as_bytes());
}

/// Writes a value as JSON to standard output.
pub(super) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DocumentFormat {
    /// For a terminal
    #[default]
    Text,
    /// To be pasted into a review
    Markdown,
    /// For a program
    Json,
}

impl DocumentFormat {
    /// Writes a document to standard output: its blocks, or for a program its data.
    pub(super) fn print(
        self,
        blocks: impl FnOnce() -> Vec<Block>,
        data: impl FnOnce() -> serde_json::Value,
    ) -> Result<(), Failure> {
        match self {
            Self::Text => print(&blocks::as_text(&blocks(), width())),
            Self::Markdown => print(&blocks::as_markdown(&blocks())),
            Self::Json => print_json(&data()),
        }
    }
}

/// A bar that shows how far long work is, where a terminal watches.
pub(super) fn progress(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(&format!("{{spinner}} {template}")) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Shows that so many parts of the work are done.
pub(super) fn advance(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    bar.set_position(done as u64);
}

/// Every problem, with its place underlined and what to do.
pub(super) fn all_rendered(problems: &[Problem]) -> String {
    problems.iter().map(rendered).collect()
}

/// A problem, with its place underlined and what to do.
pub(super) fn rendered(problem: &Problem) -> String {
    problem.rendered(width().into(), true)
}

/// The width of the terminal, in columns; where there is none, one that most have.
pub(super) fn width() -> u16 {
    terminal_size::terminal_size().map_or(110, |(width, _)| width.0.clamp(60, 140))
}

/// What identifies a row, and what it says: the part that all lists of rows have in common.
pub(super) fn row_as_json(row: &Statement) -> serde_json::Map<String, serde_json::Value> {
    let mut members = serde_json::Map::new();
    let mut add = |name: &str, value: serde_json::Value| drop(members.insert(name.to_owned(), value));
    add("id", row.id.as_str().into());
    add("file", (*row.file.path).into());
    add("line", row.line().into());
    for name in ["table", "row", "column", "cell"] {
        add(name, row.annotation(name).into());
    }
    add("sources", row.sources.as_slice().into());
    add("must", if row.permits() { "allow" } else { "deny" }.into());
    members
}

/// Where on this machine that is reached which listens on an address: what listens on every one, on the machine's own.
pub(super) fn reached(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// A word as a shell reads it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// How many problems of that severity there are, in words.
pub(super) fn count(problems: &[Problem], severity: Severity) -> String {
    let count = problems.iter().filter(|problem| problem.severity == severity).count();
    counted(count, severity.word())
}
