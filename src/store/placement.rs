//! Where statements stand: rows of the matrix in `matrix/`, each in a cell of its own, and policies in `policies/`.

use std::collections::BTreeMap;

use unicode_security::confusable_detection::skeleton;

use super::covers::covers;
use super::policy::Statement;
use super::problem::Problem;

/// The annotations that say where a row stands in the tables.
const PLACE: [&str; 3] = ["table", "row", "column"];

/// The annotation with the text of the cell.
const CELL: &str = "cell";

/// Everything that stands where it would be taken for something else, or says something else than it shows.
pub(super) fn check(policies: &[Statement], rows: &[Statement]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = policies.iter().filter_map(row_among_policies).collect();
    problems.extend(rows.iter().flat_map(row));
    problems.extend(names_that_look_alike(rows));
    problems.extend(shared_cells(rows));
    problems
}

/// A row that was pasted among the policies would permit what it expects.
fn row_among_policies(policy: &Statement) -> Option<Problem> {
    let found = PLACE.into_iter().chain([CELL]).find(|name| policy.annotation(name).is_some())?;
    let why = format!("the policy `{}` has `@{found}`, which is for rows of the matrix: here it decides", policy.id);
    let problem = Problem::error(why).in_file(&policy.file).at(policy.find(&format!("@{found}")), "");
    Some(problem.with_help("move the row to `matrix/`; or take the annotation away, if it is a policy"))
}

fn row(row: &Statement) -> Vec<Problem> {
    let mut problems = Vec::new();
    let missing: Vec<String> = PLACE
        .into_iter()
        .filter(|name| row.annotation(name).is_none_or(|value| looks_like(value).is_empty()))
        .map(|name| format!("`@{name}`"))
        .collect();
    if !missing.is_empty() {
        let why = format!("the row `{}` does not say where it stands: it lacks {}", row.name(), missing.join(", "));
        problems.push(row.problem(Problem::error(why)).with_help(
            "a row has a `@table`, a `@row` and a `@column`; a policy belongs in `policies/`, where it decides",
        ));
    }
    let Some(cell) = row.annotation(CELL) else { return problems };
    let at_cell = |problem: Problem| problem.in_file(&row.file).at(row.find("@cell"), "");
    if looks_like(cell).is_empty() {
        problems.push(
            at_cell(Problem::error("the cell shows nothing"))
                .with_help("write what a reviewer reads there, or leave `@cell` out: then it is the effect"),
        );
    }
    if contradicts(cell, row.permits()) {
        let (effect, must) = if row.permits() { ("permit", "allowed") } else { ("forbid", "denied") };
        problems.push(
            at_cell(Problem::error(format!("the cell shows `{cell}`, but a `{effect}` says that it is {must}")))
                .with_help("change the one or the other"),
        );
    }
    problems
}

/// Whether a text begins with a word that says the opposite of the effect.
fn contradicts(cell: &str, permits: bool) -> bool {
    const YES: [&str; 8] = ["yes", "allow", "allowed", "permit", "permitted", "true", "✓", "✔"];
    const NO: [&str; 11] = ["no", "not", "never", "deny", "denied", "forbid", "forbidden", "false", "none", "✗", "✘"];
    let cell = looks_like(cell);
    let first = cell.split(|character: char| character.is_whitespace() || ",.;:".contains(character)).next();
    let opposite = if permits { NO.as_slice() } else { YES.as_slice() };
    first.is_some_and(|first| opposite.iter().any(|word| looks_like(word) == first))
}

/// Titles that a reader takes for one another.
fn names_that_look_alike(rows: &[Statement]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for annotation in PLACE {
        let mut seen: BTreeMap<String, (&str, &Statement)> = BTreeMap::new();
        for row in rows {
            let Some(name) = row.annotation(annotation) else { continue };
            let (first, other) = *seen.entry(looks_like(name)).or_insert((name, row));
            if first != name {
                let problem = Problem::error(format!("`@{annotation}({name:?})` looks like {first:?}, but is another"))
                    .in_file(&row.file)
                    .at(row.find(&format!("@{annotation}")), "")
                    .with_help(format!("{first:?} stands at {}:{}: write both alike", other.file.path, other.line()));
                problems.push(problem);
            }
        }
    }
    problems
}

/// A text without what a reader does not see: how much space there is, the case of letters, characters without a width, and which of those
/// that look alike (UTS #39) a letter is.
fn looks_like(text: &str) -> String {
    let seen: String =
        skeleton(&text.to_lowercase()).filter(|letter| letter.is_whitespace() || !letter.is_control()).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A cell is one row, or two under conditions that differ: one for what is allowed, and one for what is not.
fn shared_cells(rows: &[Statement]) -> Vec<Problem> {
    let mut cells: BTreeMap<[&str; 3], Vec<&Statement>> = BTreeMap::new();
    for row in rows {
        if let [Some(table), Some(name), Some(column)] = PLACE.map(|annotation| row.annotation(annotation)) {
            cells.entry([table, name, column]).or_default().push(row);
        }
    }
    let mut problems = Vec::new();
    for rows in cells.values() {
        let [first, others @ ..] = rows.as_slice() else { continue };
        let halves = matches!(others, [other] if other.permits() != first.permits());
        let at = |row: &Statement, message: String, help: &str| {
            row.problem(Problem::error(message)).with_help(format!(
                "the other stands at {}:{}; {help}",
                first.file.path,
                first.line()
            ))
        };
        problems.extend(others.iter().filter(|_| !halves).map(|row| {
            let message = format!("two rows are the cell {}", row.place());
            at(row, message, "a cell is one row, or a `permit` and a `forbid` under conditions")
        }));
        let whole = others.iter().filter(|other| halves && (covers(first, other) || covers(other, first)));
        problems.extend(whole.map(|row| {
            let message = format!(
                "the two halves of the cell {} are not apart: what the one says is allowed, the other says is denied",
                row.place()
            );
            at(row, message, "each half has a condition (`when`) of its own, under which the other does not apply")
        }));
    }
    problems
}
