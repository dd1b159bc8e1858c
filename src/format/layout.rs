//! How tokens are laid out in lines: what fits stands on one line, else every break of its group is taken (Wadler, "A prettier printer").
//!
//! A comment ends its line, whatever was to follow: no layout can lose one, or what stands behind it.

use unicode_width::UnicodeWidthStr;

use super::tokens::Token;

/// What may stand on one line, or not.
#[derive(Debug)]
pub(super) enum Layout {
    /// A token by its position; the comments before it are indented by so much more.
    Token(usize, usize),
    Space,
    /// A break, or that text where its group stands on one line.
    Line(&'static str),
    /// The same; an empty line that was there is kept.
    LineOrBlank(&'static str),
    /// A break.
    Break,
    /// The same; an empty line that was there is kept.
    BreakOrBlank,
    /// A text where the group does not stand on one line.
    IfBroken(&'static str),
    All(Vec<Layout>),
    /// Indented by so much.
    Nest(usize, Box<Layout>),
    /// Stands on one line where it fits, unless it holds something that keeps it from it.
    Group {
        is_broken: bool,
        inner: Box<Layout>,
    },
}

impl Layout {
    pub(super) fn nest(by: usize, inner: Vec<Self>) -> Self {
        Self::Nest(by, Box::new(Self::All(inner)))
    }

    /// Whether something in it is never on one line.
    pub(super) fn breaks(&self) -> bool {
        match self {
            Self::Break | Self::BreakOrBlank => true,
            Self::Group { is_broken, .. } => *is_broken,
            Self::All(parts) => parts.iter().any(Self::breaks),
            Self::Nest(_, inner) => inner.breaks(),
            Self::Token(..) | Self::Space | Self::Line(_) | Self::LineOrBlank(_) | Self::IfBroken(_) => false,
        }
    }

    fn first_token(&self) -> Option<usize> {
        match self {
            Self::Token(at, _) => Some(*at),
            Self::All(parts) => parts.iter().find_map(Self::first_token),
            Self::Nest(_, inner) | Self::Group { inner, .. } => inner.first_token(),
            _ => None,
        }
    }
}

/// Writes tokens as they are laid out, in lines of so many columns, where they can be.
pub(super) fn print(layout: &Layout, tokens: &[Token<'_>], width: usize) -> String {
    let mut printer =
        Printer { tokens, width, text: String::new(), column: 0, gap: Gap::LineOrBlank, indent: None, comment: None };
    let mut todo = vec![(0, true, layout)];
    while let Some((indent, is_broken, next)) = todo.pop() {
        match next {
            Layout::Token(at, more) => printer.token(*at, indent, *more),
            Layout::Space => printer.gap = printer.gap.max(Gap::Space),
            Layout::Break => printer.line(Gap::Line, indent),
            Layout::BreakOrBlank => printer.line(Gap::LineOrBlank, indent),
            Layout::Line(_) if is_broken => printer.line(Gap::Line, indent),
            Layout::LineOrBlank(_) if is_broken => printer.line(Gap::LineOrBlank, indent),
            Layout::Line(text) | Layout::LineOrBlank(text) => {
                printer.gap = printer.gap.max(if text.is_empty() { Gap::Nothing } else { Gap::Space });
            }
            Layout::IfBroken(text) => printer.write(if is_broken { text } else { "" }),
            Layout::All(parts) => todo.extend(parts.iter().rev().map(|part| (indent, is_broken, part))),
            Layout::Nest(by, inner) => todo.push((indent + by, is_broken, inner)),
            Layout::Group { is_broken, inner } => {
                let is_broken = *is_broken || !printer.fits(inner, indent, &todo);
                todo.push((indent, is_broken, inner));
            }
        }
    }
    printer.end()
}

/// What stands between two tokens, the later ones instead of the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    Nothing,
    Space,
    Line,
    LineOrBlank,
}

struct Printer<'p, 't> {
    tokens: &'p [Token<'t>],
    width: usize,
    text: String,
    column: usize,
    /// What comes before the next token.
    gap: Gap,
    /// How far the next line is indented, if the layout says so.
    indent: Option<usize>,
    /// The comment at the end of this line.
    comment: Option<&'t str>,
}

impl Printer<'_, '_> {
    fn line(&mut self, gap: Gap, indent: usize) {
        self.gap = self.gap.max(gap);
        self.indent = Some(indent);
    }

    fn token(&mut self, at: usize, indent: usize, more: usize) {
        let Some(token) = self.tokens.get(at) else { return };
        self.end_comment();
        let indent = self.indent.take().unwrap_or(indent);
        for comment in &token.before {
            self.break_line(comment.follows_blank, indent + more);
            self.write(comment.text);
            self.gap = self.gap.max(Gap::Line);
        }
        if token.text.is_empty() {
            return;
        }
        match self.gap {
            Gap::Nothing => {}
            Gap::Space => self.write(" "),
            Gap::Line | Gap::LineOrBlank => self.break_line(token.follows_blank, indent),
        }
        self.gap = Gap::Nothing;
        self.write(token.text);
        self.comment = token.after;
    }

    /// Writes the comment that ends this line.
    fn end_comment(&mut self) {
        if let Some(comment) = self.comment.take() {
            self.write(" ");
            self.write(comment);
            self.gap = self.gap.max(Gap::Line);
        }
    }

    fn break_line(&mut self, follows_blank: bool, indent: usize) {
        let has_blank = follows_blank && self.gap == Gap::LineOrBlank;
        if !self.text.is_empty() {
            self.text.push_str(if has_blank { "\n\n" } else { "\n" });
        }
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.width();
    }

    fn end(mut self) -> String {
        self.end_comment();
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text
    }

    /// Whether a group, and what stands behind it on its line, fits on the line.
    fn fits(&self, group: &Layout, indent: usize, behind: &[(usize, bool, &Layout)]) -> bool {
        let first = group.first_token();
        let begins_line = self.gap >= Gap::Line
            || self.comment.is_some()
            || first.and_then(|at| self.tokens.get(at)).is_some_and(|token| !token.before.is_empty());
        let mut column =
            if begins_line { self.indent.unwrap_or(indent) } else { self.column + usize::from(self.gap == Gap::Space) };
        let mut behind = behind.iter().rev();
        let (mut todo, mut is_broken) = (vec![group], false);
        while column <= self.width {
            let Some(next) = todo.pop() else {
                let Some((_, _, next)) = behind.next() else { return true };
                is_broken = true;
                todo.push(next);
                continue;
            };
            match next {
                Layout::Token(at, _) => {
                    let Some(token) = self.tokens.get(*at) else { return true };
                    if first != Some(*at) && !token.before.is_empty() {
                        return true;
                    }
                    column += token.text.width();
                    if token.after.is_some() {
                        return column <= self.width;
                    }
                }
                Layout::Space => column += 1,
                Layout::Break | Layout::BreakOrBlank => return true,
                Layout::Line(_) | Layout::LineOrBlank(_) if is_broken => return true,
                Layout::Line(text) | Layout::LineOrBlank(text) => column += text.len(),
                Layout::IfBroken(text) => column += if is_broken { text.len() } else { 0 },
                Layout::All(parts) => todo.extend(parts.iter().rev()),
                Layout::Nest(_, inner) | Layout::Group { inner, .. } => todo.push(inner),
            }
        }
        false
    }
}
