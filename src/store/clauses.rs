//! The clauses of the source document: `matrix/clauses.toml`.

use miette::SourceSpan;
use serde::Deserialize;
use toml::Spanned;

use super::duplicates;
use super::problem::{Problem, SourceFile};
use super::written::Word;

/// The statements of the source document, in its order.
#[derive(Clone, Debug, Default)]
pub struct Clauses {
    /// The title of the document.
    pub title: String,
    /// The clauses.
    pub clauses: Vec<Clause>,
}

/// One statement of the source document.
#[derive(Clone, Debug)]
pub struct Clause {
    /// What policies and rows cite it by.
    pub id: String,
    /// What it says, in our own words.
    pub text: String,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    title: String,
    #[serde(default)]
    clause: Vec<WrittenClause>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenClause {
    id: Spanned<String>,
    text: String,
}

fn span(id: &Spanned<String>) -> SourceSpan {
    id.span().into()
}

impl Clauses {
    /// The clause of that id.
    pub fn get(&self, id: &str) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == id)
    }

    /// Reads `clauses.toml`.
    ///
    /// # Errors
    ///
    /// What is no TOML of this form, and an id that two clauses have.
    pub fn read(file: &SourceFile) -> Result<Self, Vec<Problem>> {
        let written: Written = toml::from_str(&file.text).map_err(|error| {
            let help = "the file holds a `title`, and for each clause a table `[[clause]]` with an `id` and a `text`";
            vec![Problem::from_toml(&error, file, "member", help)]
        })?;
        let ids =
            written.clause.iter().map(|clause| Word { text: clause.id.get_ref().clone(), span: span(&clause.id) });
        let ids: Vec<Word> = ids.collect();
        let twice =
            duplicates::twice(file, "clause", "keep one of the two, or give one of them another id", ids.iter());
        let clauses = written.clause.into_iter().map(|clause| Clause { id: clause.id.into_inner(), text: clause.text });
        let clauses = Self { title: written.title, clauses: clauses.collect() };
        if twice.is_empty() { Ok(clauses) } else { Err(twice) }
    }
}
