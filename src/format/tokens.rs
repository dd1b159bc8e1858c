//! The tokens of Cedar's texts, each with the comments that belong to it.

use crate::store::{Language, token};

/// A token, and what stands around it.
#[derive(Debug, Default)]
pub(super) struct Token<'t> {
    /// As it is written; empty at the end of the text.
    pub(super) text: &'t str,
    /// Where it begins, in bytes.
    pub(super) at: usize,
    /// The comments before it, each on a line of its own.
    pub(super) before: Vec<Comment<'t>>,
    /// The comment behind it, on its line.
    pub(super) after: Option<&'t str>,
    /// Whether an empty line stands before it, behind the comments before it.
    pub(super) follows_blank: bool,
    /// Whether what comes next stands on another line.
    pub(super) ends_line: bool,
}

/// A comment on a line of its own.
#[derive(Debug)]
pub(super) struct Comment<'t> {
    /// From its `//` on, without space at its end.
    pub(super) text: &'t str,
    /// Whether an empty line stands before it.
    pub(super) follows_blank: bool,
}

/// A token or a comment: where it begins, and how many line breaks stand before it.
struct Piece<'t> {
    at: usize,
    text: &'t str,
    breaks: usize,
}

/// What a text says: its tokens without commas that end a list, and its comments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said<'t> {
    pub(super) tokens: Vec<(usize, &'t str)>,
    pub(super) comments: Vec<(usize, &'t str)>,
}

/// The tokens of a text, in the form that does not depend on how it is laid out: a comma that ends a list is left out, and comments before
/// a comma, `&&` or `||` stand behind it. The last token is the end of the text.
pub(super) fn tokens(text: &str, language: Language) -> Vec<Token<'_>> {
    let mut all = with_comments(text, language);
    leave_out_last_commas(&mut all);
    move_comments_behind_separators(&mut all);
    for at in 1..all.len() {
        if let Some([previous, next]) = all.get_mut(at - 1..=at) {
            tidy(previous, next);
        }
    }
    if let Some(first) = all.first_mut() {
        *first.first_blank() = false;
    }
    all
}

/// What a text says, read off it as it is.
pub(super) fn said(text: &str, language: Language) -> Said<'_> {
    let all = pieces(text, language).map(|piece| (piece.at, piece.text));
    let (comments, mut tokens): (Vec<_>, Vec<_>) = all.partition(|(_, text)| is_comment(text));
    let ends_list: Vec<bool> = tokens
        .windows(2)
        .map(|pair| matches!(pair, [(_, comma), (_, closing)] if is_last_comma(comma, closing)))
        .chain([false])
        .collect();
    let mut ends_list = ends_list.into_iter();
    tokens.retain(|_| !ends_list.next().unwrap_or_default());
    Said { tokens, comments }
}

impl Token<'_> {
    /// Whether an empty line stands before all that belongs to it.
    fn first_blank(&mut self) -> &mut bool {
        match self.before.first_mut() {
            Some(comment) => &mut comment.follows_blank,
            None => &mut self.follows_blank,
        }
    }
}

fn is_comment(text: &str) -> bool {
    text.starts_with("//")
}

fn is_closing(text: &str) -> bool {
    matches!(text, ")" | "]" | "}")
}

/// Whether a comma may as well be left out: only the brackets end.
fn is_last_comma(text: &str, next: &str) -> bool {
    text == "," && is_closing(next)
}

fn pieces(text: &str, language: Language) -> impl Iterator<Item = Piece<'_>> {
    let (mut at, mut breaks) = (0, 0);
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let found = operator(rest, language).or_else(|| token(rest))?;
            let start = at;
            at += found.len();
            if found.trim().is_empty() {
                // `\r\n` is one line break.
                let is_break = found == "\n" || (found == "\r" && !rest.starts_with("\r\n"));
                breaks += usize::from(is_break);
                continue;
            }
            let text = if is_comment(found) { found.trim_end() } else { found };
            return Some(Piece { at: start, text, breaks: std::mem::take(&mut breaks) });
        }
    })
}

/// The operator of two characters with which a text begins.
fn operator(text: &str, language: Language) -> Option<&str> {
    const OF_POLICIES: [&str; 7] = ["::", "==", "!=", "<=", ">=", "||", "&&"];
    let operators = match language {
        Language::Policies => OF_POLICIES.as_slice(),
        Language::Schema => &["::"],
    };
    let found = text.get(..2)?;
    operators.contains(&found).then_some(found)
}

fn with_comments(text: &str, language: Language) -> Vec<Token<'_>> {
    let mut all: Vec<Token<'_>> = Vec::new();
    let mut before = Vec::new();
    let end = [Piece { at: text.len(), text: "", breaks: 0 }];
    for piece in pieces(text, language).chain(end) {
        let follows_blank = piece.breaks > 1;
        let previous = all.last_mut().filter(|_| before.is_empty());
        match previous {
            Some(token) if is_comment(piece.text) && piece.breaks == 0 => token.after = Some(piece.text),
            previous => {
                previous.into_iter().for_each(|token| token.ends_line |= piece.breaks > 0);
                if is_comment(piece.text) {
                    before.push(Comment { text: piece.text, follows_blank });
                } else {
                    let before = std::mem::take(&mut before);
                    all.push(Token { text: piece.text, at: piece.at, before, follows_blank, ..Token::default() });
                }
            }
        }
    }
    all
}

/// Leaves out commas that end a list. What stands behind such a comma stands behind what it follows, or before what closes the list.
fn leave_out_last_commas(all: &mut Vec<Token<'_>>) {
    let mut kept: Vec<Token<'_>> = Vec::with_capacity(all.len());
    let mut left_out: Option<Token<'_>> = None;
    for mut token in all.drain(..) {
        if let Some(comma) = left_out.take() {
            if is_last_comma(comma.text, token.text) {
                leave_out(comma, kept.last_mut(), &mut token);
            } else {
                kept.push(comma);
            }
        }
        if token.text == "," {
            left_out = Some(token);
        } else {
            kept.push(token);
        }
    }
    *all = kept;
}

fn leave_out<'t>(mut comma: Token<'t>, previous: Option<&mut Token<'t>>, next: &mut Token<'t>) {
    match previous {
        Some(previous) if comma.before.is_empty() && previous.after.is_none() => previous.after = comma.after,
        _ => {
            let after = comma.after.map(|text| Comment { text, follows_blank: false });
            comma.before.extend(after);
            next.before.splice(..0, comma.before);
        }
    }
}

/// Moves comments from before a comma, `&&` or `||` behind it: there is the end of the line.
fn move_comments_behind_separators(all: &mut [Token<'_>]) {
    for at in 1..all.len() {
        let Some([previous, token, rest @ ..]) = all.get_mut(at - 1..) else { return };
        let (true, Some(next)) = (matches!(token.text, "," | "&&" | "||"), rest.first_mut()) else { continue };
        if previous.after.is_none() && token.before.is_empty() {
            continue;
        }
        let mut moved = std::mem::take(&mut token.before);
        let after = std::mem::replace(&mut token.after, previous.after.take());
        moved.extend(after.map(|text| Comment { text, follows_blank: false }));
        next.before.splice(..0, moved);
    }
}

/// What two tokens side by side say of how they are laid out.
fn tidy<'t>(previous: &mut Token<'t>, next: &mut Token<'t>) {
    if next.text == ";" && next.before.is_empty() && next.after.is_none() {
        next.after = previous.after.take();
    }
    if is_closing(next.text) {
        next.follows_blank = false;
    }
    if matches!(previous.text, "(" | "[" | "{") {
        *next.first_blank() = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let one = |token: &Token<'_>| {
            let before: String = token.before.iter().map(|comment| format!("<{}>", &comment.text[2..])).collect();
            let after = token.after.map(|text| format!("({})", &text[2..])).unwrap_or_default();
            format!("{before}{}{after}", token.text)
        };
        tokens(text, Language::Policies).iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_comment_belongs_to_the_token_on_its_line_or_to_the_next_one() {
        assert_eq!(shown("//a\r\nx //b\r\n//c\r\n== \"//\r\n\"//d"), "<a>x(b) <c>== \"//\r\n\"(d) ");
        // Cedar ends a comment at either character of a line break.
        assert_eq!(shown("x //a\r//b\rz //c"), "x(a) <b>z(c) ");
    }

    #[test]
    fn comments_of_a_separator_stand_behind_it() {
        assert_eq!(shown("x //a\n//b\n|| //c\ny"), "x ||(a) <b><c>y ");
        assert_eq!(shown("[x //a\n//b\n, //c\n]"), "[ x(a) <b><c>] ");
        assert_eq!(shown("[x, //c\n]"), "[ x(c) ] ");
        assert_eq!(shown("} //c\n;"), "} ;(c) ");
    }
}
