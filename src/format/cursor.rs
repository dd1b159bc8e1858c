//! Where a reader stands among the tokens of a text.

use super::layout::Layout;
use super::tokens::Token;

/// The position of a token that cannot stand where it does.
#[derive(Debug)]
pub(super) struct Unexpected(pub(super) usize);

/// What a part of a text becomes.
pub(super) type Laid = Result<Layout, Unexpected>;

/// How far what is in brackets is indented.
pub(super) const INDENT: usize = 2;

pub(super) struct Cursor<'p, 't> {
    tokens: &'p [Token<'t>],
    at: usize,
}

impl<'p, 't> Cursor<'p, 't> {
    pub(super) fn new(tokens: &'p [Token<'t>]) -> Self {
        Self { tokens, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The token that comes next; empty at the end.
    pub(super) fn next(&self) -> &'t str {
        self.ahead(0)
    }

    /// The one so many tokens further.
    pub(super) fn ahead(&self, by: usize) -> &'t str {
        self.tokens.get(self.at + by).map_or("", |token| token.text)
    }

    pub(super) fn take(&mut self) -> Laid {
        if self.next().is_empty() {
            return Err(Unexpected(self.at));
        }
        self.at += 1;
        Ok(Layout::Token(self.at - 1, 0))
    }

    pub(super) fn expect(&mut self, text: &str) -> Laid {
        if self.next() == text { self.take() } else { Err(Unexpected(self.at)) }
    }

    /// A closing bracket: the comments before it are in the brackets.
    pub(super) fn close(&mut self, text: &str) -> Laid {
        self.expect(text)?;
        Ok(Layout::Token(self.at - 1, INDENT))
    }

    /// A name, a number or a string.
    pub(super) fn word(&mut self) -> Laid {
        let is_word = |first: char| first.is_alphanumeric() || first == '_' || first == '"';
        if self.next().starts_with(is_word) { self.take() } else { Err(Unexpected(self.at)) }
    }

    /// `@name("value")`, with what stands behind each.
    pub(super) fn annotations(&mut self, behind: fn() -> Layout, all: &mut Vec<Layout>) -> Result<(), Unexpected> {
        while self.next() == "@" {
            all.extend([self.take()?, self.word()?]);
            if self.next() == "(" {
                all.extend([self.take()?, self.word()?, self.expect(")")?]);
            }
            all.push(behind());
        }
        Ok(())
    }

    /// What has been read from a token on stands on one line where it fits and no comment is in it.
    pub(super) fn group(&self, from: usize, parts: Vec<Layout>) -> Layout {
        let inner = Layout::All(parts);
        let is_broken = inner.breaks() || self.has_comments(from, self.at);
        Layout::Group { is_broken, inner: Box::new(inner) }
    }

    /// Whether comments stand between the tokens from one position to another.
    pub(super) fn has_comments(&self, from: usize, to: usize) -> bool {
        let pairs = self.tokens.get(from..to).unwrap_or_default().windows(2);
        pairs.into_iter().any(|pair| matches!(pair, [left, right] if left.after.is_some() || !right.before.is_empty()))
    }

    /// Whether comments stand in the brackets that were just opened.
    pub(super) fn has_comments_in_brackets(&self) -> bool {
        let mut depth = 1_usize;
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|token| {
            match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        end.is_some_and(|end| self.has_comments(self.at.saturating_sub(1), self.at + end + 1))
    }

    /// Whether what comes next begins on another line than the token before it.
    pub(super) fn begins_line(&self) -> bool {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).is_some_and(|token| token.ends_line)
    }
}
