//! The layout of policies and rows: that of Cedar's own formatter where there are no comments.

use super::cursor::{Cursor, INDENT, Laid, Unexpected};
use super::layout::Layout::{self, All, Break, BreakOrBlank, Line, Space};

const COMPARISONS: [&str; 7] = ["<", "<=", ">=", ">", "!=", "==", "in"];

/// Lays out all policies of a file, with its end.
pub(super) fn layout(cursor: &mut Cursor<'_, '_>) -> Laid {
    let mut all = Vec::new();
    while !cursor.next().is_empty() {
        all.extend([policy(cursor)?, BreakOrBlank]);
    }
    all.push(Layout::Token(cursor.at(), 0));
    Ok(All(all))
}

fn policy(cursor: &mut Cursor<'_, '_>) -> Laid {
    let mut all = Vec::new();
    cursor.annotations(|| Break, &mut all)?;
    all.extend([cursor.word()?, Space, scope(cursor)?]);
    while cursor.next() != ";" {
        all.extend([Break, condition(cursor)?]);
    }
    all.push(cursor.take()?);
    Ok(All(all))
}

/// On one line where it says nothing.
fn scope(cursor: &mut Cursor<'_, '_>) -> Laid {
    let open = cursor.expect("(")?;
    let is_plain = cursor.ahead(1) == "," && cursor.ahead(3) == "," && cursor.ahead(5) == ")";
    if is_plain && !cursor.has_comments_in_brackets() {
        let variables = separated(cursor, ")", || Space, variable)?;
        return Ok(All(vec![open, All(variables), cursor.close(")")?]));
    }
    let mut inner = vec![Break];
    inner.extend(separated(cursor, ")", || Break, variable)?);
    Ok(All(vec![open, Layout::nest(INDENT, inner), Break, cursor.close(")")?]))
}

/// What commas separate, up to a closing bracket.
fn separated(
    cursor: &mut Cursor<'_, '_>,
    end: &str,
    between: fn() -> Layout,
    one: fn(&mut Cursor<'_, '_>) -> Laid,
) -> Result<Vec<Layout>, Unexpected> {
    let mut all = Vec::new();
    while cursor.next() != end {
        if !all.is_empty() {
            all.extend([cursor.expect(",")?, between()]);
        }
        all.push(one(cursor)?);
    }
    Ok(all)
}

fn variable(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let mut left = vec![cursor.word()?];
    if cursor.next() == "is" {
        let is_at = cursor.at();
        let is = vec![Line(" "), cursor.take()?];
        let inner = vec![cursor.group(is_at, is), Line(" "), sum(cursor)?];
        left.push(cursor.group(is_at, vec![Layout::nest(INDENT, inner)]));
    }
    if !COMPARISONS.contains(&cursor.next()) {
        return Ok(All(left));
    }
    left.extend([Line(" "), cursor.take()?]);
    let left = cursor.group(from, left);
    let right = Layout::nest(INDENT, vec![Line(" "), expression(cursor)?]);
    Ok(cursor.group(from, vec![left, right]))
}

/// `when { … }`
fn condition(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let word = cursor.word()?;
    let brace_at = cursor.at();
    let open = cursor.expect("{")?;
    let inner_at = cursor.at();
    let inner = vec![expression(cursor)?];
    let inner = Layout::nest(INDENT, vec![Line(" "), cursor.group(inner_at, inner)]);
    let braces = vec![open, inner, Line(" "), cursor.close("}")?];
    Ok(cursor.group(from, vec![word, Line(" "), cursor.group(brace_at, braces)]))
}

fn expression(cursor: &mut Cursor<'_, '_>) -> Laid {
    if cursor.next() == "if" && cursor.ahead(1) != "::" {
        return if_then_else(cursor);
    }
    let mut all = vec![relation(cursor)?];
    while matches!(cursor.next(), "&&" | "||") {
        all.extend([Space, cursor.take()?, Line(" "), relation(cursor)?]);
    }
    Ok(All(all))
}

fn if_then_else(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let mut all = Vec::new();
    for word in ["if", "then", "else"] {
        if word != "if" {
            all.push(Line(" "));
        }
        let word = cursor.expect(word)?;
        all.extend([word, Layout::nest(INDENT, vec![Line(" "), expression(cursor)?])]);
    }
    Ok(cursor.group(from, all))
}

fn relation(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let mut all = vec![sum(cursor)?];
    match cursor.next() {
        "has" | "like" => {
            all.extend([Line(" "), cursor.take()?, Line(" "), Layout::nest(INDENT, vec![sum(cursor)?])]);
            Ok(cursor.group(from, all))
        }
        "is" => {
            all.extend([Space, cursor.take()?, Space, Layout::nest(INDENT, vec![sum(cursor)?])]);
            if cursor.next() == "in" {
                all.extend([Line(" "), cursor.take()?, Space, Layout::nest(INDENT, vec![sum(cursor)?])]);
            }
            Ok(cursor.group(from, all))
        }
        _ => {
            while COMPARISONS.contains(&cursor.next()) {
                all.extend([Space, cursor.take()?, Space, sum(cursor)?]);
            }
            Ok(All(all))
        }
    }
}

fn sum(cursor: &mut Cursor<'_, '_>) -> Laid {
    operators(cursor, &["+", "-"], |cursor| operators(cursor, &["*", "/", "%"], negation))
}

fn operators(cursor: &mut Cursor<'_, '_>, known: &[&str], operand: fn(&mut Cursor<'_, '_>) -> Laid) -> Laid {
    let from = cursor.at();
    let mut all = vec![operand(cursor)?];
    while known.contains(&cursor.next()) {
        all.extend([Space, cursor.take()?, Line(" "), operand(cursor)?]);
    }
    Ok(cursor.group(from, all))
}

fn negation(cursor: &mut Cursor<'_, '_>) -> Laid {
    let mut all = Vec::new();
    while matches!(cursor.next(), "!" | "-") {
        all.push(cursor.take()?);
    }
    all.push(member(cursor)?);
    Ok(All(all))
}

/// An operand with the attributes that are read of it, and the calls.
fn member(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let operand = operand(cursor)?;
    let mut accesses = Vec::new();
    let mut last = "";
    loop {
        let next = cursor.next();
        let access = match next {
            "." => vec![cursor.take()?, cursor.word()?],
            "(" => call(cursor)?,
            "[" => vec![cursor.take()?, expression(cursor)?, cursor.close("]")?],
            _ => break,
        };
        // What is called stands with what it is called with.
        if !accesses.is_empty() && (last, next) != (".", "(") {
            accesses.push(Line(""));
        }
        accesses.extend(access);
        last = next;
    }
    Ok(cursor.group(from, vec![operand, Layout::nest(INDENT, accesses)]))
}

fn call(cursor: &mut Cursor<'_, '_>) -> Result<Vec<Layout>, Unexpected> {
    let open = cursor.expect("(")?;
    if cursor.next() == ")" {
        return Ok(vec![open, cursor.close(")")?]);
    }
    let mut inner = vec![Line("")];
    inner.extend(separated(cursor, ")", || Line(" "), expression)?);
    Ok(vec![open, Layout::nest(INDENT, inner), Line(""), cursor.close(")")?])
}

fn operand(cursor: &mut Cursor<'_, '_>) -> Laid {
    match cursor.next() {
        "(" => {
            let from = cursor.at();
            let inner = vec![cursor.take()?, Layout::nest(1, vec![expression(cursor)?]), cursor.close(")")?];
            Ok(cursor.group(from, inner))
        }
        "[" => set(cursor),
        "{" => record(cursor),
        _ => {
            let mut all = vec![cursor.word()?];
            while cursor.next() == "::" {
                all.extend([cursor.take()?, cursor.word()?]);
            }
            Ok(All(all))
        }
    }
}

/// Aligned behind the bracket; with comments in it, each element on a line of its own.
fn set(cursor: &mut Cursor<'_, '_>) -> Laid {
    let open = cursor.expect("[")?;
    if !cursor.has_comments_in_brackets() {
        let elements = separated(cursor, "]", || Line(" "), expression)?;
        return Ok(All(vec![open, Layout::nest(1, elements), cursor.close("]")?]));
    }
    let mut inner = vec![Break];
    inner.extend(separated(cursor, "]", || Break, expression)?);
    Ok(All(vec![open, Layout::nest(INDENT, inner), Break, cursor.close("]")?]))
}

fn record(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let open = cursor.expect("{")?;
    if cursor.next() == "}" {
        return Ok(All(vec![open, cursor.close("}")?]));
    }
    let mut inner = vec![Line(" ")];
    inner.extend(separated(cursor, "}", || Line(" "), field)?);
    let all = vec![open, Layout::nest(INDENT, inner), Line(" "), cursor.close("}")?];
    Ok(cursor.group(from, all))
}

fn field(cursor: &mut Cursor<'_, '_>) -> Laid {
    // A keyword is a name there.
    let name = if cursor.ahead(1) == ":" { cursor.word()? } else { expression(cursor)? };
    Ok(All(vec![name, cursor.expect(":")?, Space, expression(cursor)?]))
}
