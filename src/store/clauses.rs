//! The clauses of the source document: `matrix/clauses.toml`.

use serde::Deserialize;

use super::problem::{Problem, SourceFile};

/// The statements of the source document, in its order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clauses {
    /// The title of the document.
    #[serde(default)]
    pub title: String,
    /// The clauses.
    #[serde(default, rename = "clause")]
    pub clauses: Vec<Clause>,
}

/// One statement of the source document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// What policies and rows cite it by.
    pub id: String,
    /// What it says, in our own words.
    pub text: String,
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
        let clauses: Self = toml::from_str(&file.text).map_err(|error| {
            let problem = Problem::error(error.message().trim().to_owned()).in_file(file).with_help(
                "the file holds a `title`, and for each clause a table `[[clause]]` with an `id` and a `text`",
            );
            vec![match error.span() {
                Some(span) => problem.at(span.into(), ""),
                None => problem,
            }]
        })?;
        let mut ids: Vec<&str> = clauses.clauses.iter().map(|clause| clause.id.as_str()).collect();
        ids.sort_unstable();
        let twice: Vec<Problem> = ids
            .windows(2)
            .filter_map(|pair| {
                if let [first, second] = pair
                    && first == second
                {
                    Some(*first)
                } else {
                    None
                }
            })
            .map(|id| {
                Problem::error(format!("two clauses have the id `{id}`")).in_file(file).at_text(&format!("\"{id}\""))
            })
            .collect();
        if twice.is_empty() { Ok(clauses) } else { Err(twice) }
    }
}
