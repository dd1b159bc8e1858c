//! One form for the files of policies, rows and schemas: the same tokens and the same comments, laid out anew.
//!
//! A text is read as tokens, each with the comments that belong to it; where a comment belongs does not depend on the layout. From the
//! tokens a layout is made, in which a comment always ends its line. So nothing is lost, and what is laid out once stays as it is; that,
//! and that Cedar reads the same, is checked of every text before it is given out.

mod cursor;
mod layout;
mod policies;
mod schema;
mod tokens;

use miette::SourceSpan;

use crate::store::{Language, Problem, SourceFile, policy, schema_fragment};
use cursor::{Cursor, Unexpected};
use layout::print;
use tokens::{said, tokens};

/// A file of policies or rows in its form.
///
/// # Errors
///
/// What keeps the file from being read, or that it would not say the same.
pub fn policies(file: &SourceFile) -> Result<String, Vec<Problem>> {
    formatted(file, Language::Policies)
}

/// A file of a schema in its form.
///
/// # Errors
///
/// The same.
pub fn schema(file: &SourceFile) -> Result<String, Vec<Problem>> {
    formatted(file, Language::Schema)
}

fn formatted(file: &SourceFile, language: Language) -> Result<String, Vec<Problem>> {
    let problems = unread(file, language);
    if !problems.is_empty() {
        return Err(problems);
    }
    let text = laid_out(file, language)?;
    verify(file, &text, language).map_err(|problem| vec![problem])?;
    Ok(text)
}

/// The problems for which a file is not read.
fn unread(file: &SourceFile, language: Language) -> Vec<Problem> {
    match language {
        Language::Policies => policy::read(std::slice::from_ref(file)).1,
        Language::Schema => schema_fragment(file).err().unwrap_or_default(),
    }
}

fn laid_out(file: &SourceFile, language: Language) -> Result<String, Vec<Problem>> {
    let tokens = tokens(&file.text, language);
    let mut cursor = Cursor::new(&tokens);
    // The declarations of a schema are the wider.
    let (layout, width) = match language {
        Language::Policies => (policies::layout(&mut cursor), 80),
        Language::Schema => (schema::layout(&mut cursor), 100),
    };
    let layout = layout.map_err(|Unexpected(at)| {
        let place = tokens.get(at).map_or((0, 0), |token| (token.at, token.text.len()));
        vec![refused("this cannot stand here", file, place.into())]
    })?;
    Ok(print(&layout, &tokens, width))
}

/// Whether a text says what the file says, to the reader and to Cedar, and would be left as it is.
fn verify(file: &SourceFile, text: &str, language: Language) -> Result<(), Problem> {
    let (before, after) = (said(&file.text, language), said(text, language));
    for (before, after, what) in [
        (&before.tokens, &after.tokens, "it would not be the same policies or declarations"),
        (&before.comments, &after.comments, "it would not have the same comments"),
    ] {
        if let Some(place) = first_difference(before, after, file.text.len()) {
            return Err(refused(what, file, place));
        }
    }
    let whole = SourceSpan::from((0, file.text.len()));
    let new = SourceFile { path: file.path.clone(), text: text.into() };
    if !reads_the_same(file, &new, language) {
        return Err(refused("Cedar would not read the same", file, whole));
    }
    match laid_out(&new, language) {
        Ok(again) if again == text => Ok(()),
        _ => Err(refused("it would not stay so when it is formatted again", file, whole)),
    }
}

/// Where the first of two lists says something that the second does not; the end where the second says more.
fn first_difference(before: &[(usize, &str)], after: &[(usize, &str)], end: usize) -> Option<SourceSpan> {
    let differs = |at: &usize| before.get(*at).map(|(_, text)| text) != after.get(*at).map(|(_, text)| text);
    let at = (0..before.len().max(after.len())).find(differs)?;
    Some(before.get(at).map_or((end, 0), |(at, text)| (*at, text.len())).into())
}

fn reads_the_same(before: &SourceFile, after: &SourceFile, language: Language) -> bool {
    match language {
        Language::Policies => {
            let [(before, _), (after, problems)] = [before, after].map(|file| policy::read(std::slice::from_ref(file)));
            problems.is_empty()
                && before.len() == after.len()
                && before.iter().zip(&after).all(|(before, after)| policy::same(before, after))
        }
        Language::Schema => {
            let read = |file| schema_fragment(file).ok()?.to_json_value().ok();
            read(before).is_some_and(|before| Some(before) == read(after))
        }
    }
}

fn refused(why: &str, file: &SourceFile, place: SourceSpan) -> Problem {
    let problem = Problem::error(format!("the file cannot be formatted: {why}")).in_file(file).at(place, "");
    problem.with_help("it is left as it is; this is a fault of Gatepost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: "policies/p.cedar".into(), text: text.into() }
    }

    #[test]
    fn what_would_lose_change_or_move_anything_is_refused_at_its_place() {
        let file = file("// one\npermit (principal, action, resource); // two\n");
        let refused = |text: &str| verify(&file, text, Language::Policies).err().map(|problem| problem.to_string());
        let why = |text: &str| refused(text).unwrap_or_default();
        assert_eq!(refused(&file.text), None);
        assert!(why("// one\npermit (principal, action, resource);\n").contains("the same comments"));
        assert!(why("permit (principal, action, resource); // two\n// one\n").contains("the same comments"));
        assert!(why("// one\nforbid (principal, action, resource); // two\n").contains("the same policies"));
        assert!(why("// one\npermit (principal, action, resource);; // two\n").contains("the same policies"));
        assert!(why("// one\npermit(principal, action, resource); // two\n").contains("formatted again"));
        let problem = verify(&file, "// one\n", Language::Policies).unwrap_err();
        assert_eq!(problem.position(), Some((2, 1)));
    }
}
