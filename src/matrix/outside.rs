//! What no row of the matrix decides: the document, as the matrix holds it, does not say; the policies decide it all the same.

use super::space::Space;
use super::table::{Lines, Table, on_all_processors};
use crate::engine::{Matcher, Snapshot};
use crate::store::{Statement, scope};

/// The representative requests that no row matches, and whether they are allowed; the environments in which there are some, in
/// the order of the schema.
///
/// `progress` is called with how many environments are done, and of how many.
pub fn outside(snapshot: &Snapshot, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<Lines<bool>> {
    let environments: Vec<usize> = (0..snapshot.store.types.environments.len()).collect();
    let found = on_all_processors(&environments, progress, |environment| of_environment(snapshot, *environment));
    found.into_iter().flatten().filter(|lines| lines.found > 0 || lines.sampled).collect()
}

fn of_environment(snapshot: &Snapshot, index: usize) -> Option<Lines<bool>> {
    let store = &snapshot.store;
    let environment = store.types.environments.get(index)?;
    let applies = |statement: &&Statement| scope::can_match(&statement.policy, environment, &store.schema);
    let rows: Vec<&Statement> = store.rows.iter().filter(applies).collect();
    let statements = store.policies.iter().filter(applies).chain(rows.iter().copied());
    let (space, _) = Space::of(&store.types, index, statements.map(|statement| &statement.policy))?;
    let rows = Matcher::of(rows.iter().copied(), &store.types);
    // `None` inside: a row decides it.
    let table = Table::new(&space, store.policies.len() + store.rows.len(), &|case| {
        let outside = !snapshot.matches_any(&rows, case);
        Some(outside.then(|| snapshot.decide_case(case).allowed))
    });
    Some(table.lines(environment.to_string(), &|outcome| *outcome))
}
