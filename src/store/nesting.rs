//! How deeply Cedar's texts may be nested.
//!
//! Cedar reads what is nested by calling itself, without an end: some hundred parentheses in one another use up the stack of a
//! thread, which ends the process. Before that, its type check gives up without saying so. So what is nested more deeply than
//! anything that a person reads is refused before Cedar sees it.

use super::problem::{Problem, SourceFile};

/// What a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// `<` and `>` compare.
    Policies,
    /// `<` and `>` are brackets.
    Schema,
}

/// The most weight that may be in one another. A thread of 2 MiB holds, and has type-checked, twice as much even where
/// little is optimised.
pub(super) const MOST: usize = 4_000;

/// The weight of a pair of brackets, as each takes of the stack.
pub(super) const BRACKETS: usize = 80;

/// That of an attribute, a sum or an `if`; of a type, that of a name that stands for it.
pub(super) const LINK: usize = 20;

/// That of an `&&` or `||`, and of a `when` or `unless`: all of a policy must hold.
const CONNECTIVE: usize = 10;

/// The problem that a text is nested too deeply, if it is.
pub(super) fn too_deep(file: &SourceFile, language: Language) -> Option<Problem> {
    let mut levels = Levels::default();
    let mut rest: &str = &file.text;
    while let Some(token) = token(rest) {
        levels.take(token, language);
        if levels.weight() > MOST {
            let problem = Problem::error("this is nested too deeply to be read").in_file(file);
            return Some(problem.at((file.text.len() - rest.len(), token.len()).into(), "").with_help(format!(
                "at most {} brackets may be in one another, and at most {} attributes, sums or `if`s or {} `&&`, `||` or `when`s in a row",
                MOST / BRACKETS,
                MOST / LINK,
                MOST / CONNECTIVE
            )));
        }
        rest = rest.get(token.len()..).unwrap_or_default();
    }
    None
}

/// The word, the string, the comment or the single character with which a text begins; `None` at its end.
pub(super) fn token(text: &str) -> Option<&str> {
    let is_of_a_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let first = text.chars().next()?;
    let end = match first {
        '"' => end_of_string(text),
        // Cedar ends a comment at either.
        '/' if text.starts_with("//") => text.find(['\n', '\r']),
        _ if is_of_a_word(first) => text.find(|letter| !is_of_a_word(letter)),
        _ => Some(first.len_utf8()),
    };
    text.get(..end.unwrap_or(text.len()))
}

fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    let closing = text.char_indices().skip(1).find(|(_, letter)| {
        let closes = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        closes
    });
    closing.map(|(place, _)| place + 1)
}

/// The brackets that are open, the text outside of them first.
struct Levels(Vec<Level>);

/// What is in a row in one pair of brackets.
#[derive(Default)]
struct Level {
    /// Attributes, calls, sums and products.
    operators: usize,
    /// `if`s, the later of which are in the earlier.
    conditions: usize,
    /// Halves of `&&` and `||`.
    connectives: usize,
}

impl Default for Levels {
    fn default() -> Self {
        Self(vec![Level::default()])
    }
}

impl Levels {
    fn take(&mut self, token: &str, language: Language) {
        match token {
            "<" | ">" if language == Language::Policies => {}
            "(" | "[" | "{" | "<" => self.0.push(Level::default()),
            ")" | "]" | "}" | ">" => {
                // What closes more than was opened is Cedar's to refuse.
                if self.0.len() > 1 {
                    self.0.pop();
                }
                // What closes may have been an attribute in brackets.
                let is_attribute = token == "]" && language == Language::Policies;
                self.0.last_mut().into_iter().for_each(|level| level.operators += usize::from(is_attribute));
            }
            "when" | "unless" if language == Language::Policies => {
                self.0.last_mut().into_iter().for_each(|level| level.connectives += 2);
            }
            _ => self.0.last_mut().into_iter().for_each(|level| level.take(token)),
        }
    }

    fn weight(&self) -> usize {
        self.0.iter().map(Level::weight).sum::<usize>() + BRACKETS * self.0.len().saturating_sub(1)
    }
}

impl Level {
    fn take(&mut self, token: &str) {
        match token {
            "," | ";" => *self = Self::default(),
            // What stands on either side of these is beside the other, not in it.
            "=" | "then" | "else" => self.operators = 0,
            "&" | "|" => {
                self.operators = 0;
                self.connectives += 1;
            }
            "." | "+" | "-" | "*" => self.operators += 1,
            "if" => self.conditions += 1,
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        LINK * (self.operators + self.conditions) + self.connectives * CONNECTIVE / 2
    }
}
