//! The layout of schemas: a record that its author began on a line of its own stays in lines.

use super::cursor::{Cursor, INDENT, Laid};
use super::layout::Layout::{self, All, Break, BreakOrBlank, IfBroken, Line, LineOrBlank, Space};

/// Lays out all declarations of a file, with its end.
pub(super) fn layout(cursor: &mut Cursor<'_, '_>) -> Laid {
    let mut all = Vec::new();
    while !cursor.next().is_empty() {
        all.extend([declaration(cursor)?, BreakOrBlank]);
    }
    all.push(Layout::Token(cursor.at(), 0));
    Ok(All(all))
}

fn declaration(cursor: &mut Cursor<'_, '_>) -> Laid {
    let mut all = Vec::new();
    cursor.annotations(|| Break, &mut all)?;
    if cursor.next() == "namespace" {
        all.push(namespace(cursor)?);
        return Ok(All(all));
    }
    all.push(cursor.word()?);
    while cursor.next() != ";" {
        let next = match cursor.next() {
            "=" => cursor.take()?,
            "{" | "[" => kind(cursor)?,
            _ => names(cursor)?,
        };
        all.extend([Space, next]);
    }
    all.push(cursor.take()?);
    Ok(All(all))
}

fn namespace(cursor: &mut Cursor<'_, '_>) -> Laid {
    let head = [cursor.take()?, Space, name(cursor)?, Space];
    let open = cursor.expect("{")?;
    if cursor.next() == "}" && !cursor.has_comments_in_brackets() {
        return Ok(All(head.into_iter().chain([open, cursor.close("}")?]).collect()));
    }
    let mut inner = Vec::new();
    while cursor.next() != "}" {
        inner.extend([BreakOrBlank, declaration(cursor)?]);
    }
    let braces = [open, Layout::nest(INDENT, inner), BreakOrBlank, cursor.close("}")?];
    Ok(All(head.into_iter().chain(braces).collect()))
}

/// Names with commas between them, in lines where they do not fit on one.
fn names(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let mut all = vec![name(cursor)?];
    while cursor.next() == "," {
        all.extend([cursor.take()?, Line(" "), name(cursor)?]);
    }
    Ok(cursor.group(from, vec![Layout::nest(INDENT, all)]))
}

/// `N::Name`, `N::Action::"id"`, `Set<…>`
fn name(cursor: &mut Cursor<'_, '_>) -> Laid {
    let mut all = vec![cursor.word()?];
    while cursor.next() == "::" {
        all.extend([cursor.take()?, cursor.word()?]);
    }
    if cursor.next() == "<" {
        all.extend([cursor.take()?, kind(cursor)?, cursor.expect(">")?]);
    }
    Ok(All(all))
}

fn kind(cursor: &mut Cursor<'_, '_>) -> Laid {
    match cursor.next() {
        "{" => record(cursor),
        "[" => list(cursor),
        _ => name(cursor),
    }
}

/// A comma at its end is not allowed in every list, so there is none.
fn list(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let open = cursor.expect("[")?;
    let mut inner = Vec::new();
    while cursor.next() != "]" {
        if inner.is_empty() {
            inner.push(Line(""));
        } else {
            inner.extend([cursor.expect(",")?, Line(" ")]);
        }
        inner.push(name(cursor)?);
    }
    let end = if inner.is_empty() { All(Vec::new()) } else { Line("") };
    let all = vec![open, Layout::nest(INDENT, inner), end, cursor.close("]")?];
    Ok(cursor.group(from, all))
}

fn record(cursor: &mut Cursor<'_, '_>) -> Laid {
    let from = cursor.at();
    let open = cursor.expect("{")?;
    if cursor.next() == "}" {
        let all = vec![open, cursor.close("}")?];
        return Ok(cursor.group(from, all));
    }
    let stays_broken = cursor.begins_line();
    let mut inner = Vec::new();
    while cursor.next() != "}" {
        if !inner.is_empty() {
            inner.push(cursor.expect(",")?);
        }
        inner.extend([LineOrBlank(" "), member(cursor)?]);
    }
    inner.push(IfBroken(","));
    let all = vec![open, Layout::nest(INDENT, inner), LineOrBlank(" "), cursor.close("}")?];
    let inner = Box::new(All(all));
    Ok(Layout::Group { is_broken: stays_broken || inner.breaks() || cursor.has_comments(from, cursor.at()), inner })
}

fn member(cursor: &mut Cursor<'_, '_>) -> Laid {
    let mut all = Vec::new();
    cursor.annotations(|| Line(" "), &mut all)?;
    all.push(cursor.word()?);
    if cursor.next() == "?" {
        all.push(cursor.take()?);
    }
    all.extend([cursor.expect(":")?, Space, kind(cursor)?]);
    Ok(All(all))
}
