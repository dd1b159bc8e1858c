//! `gatepost diff`: what changes from one revision of a store to another, and who gains or loses access. Exit 0; 1 with
//! `--deny-wider` if anything gains access, or is no longer masked in the decision log; 2 if what is to be proven could not be.

mod shown;

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::config::Settings;
use super::output::{self, DocumentFormat, Failure};
use super::prove::SolverArguments;
use crate::engine::Snapshot;
use crate::matrix::{self, Lines, Outcomes, RowResult};
use crate::prove::compare::{self, Comparison, Found};
use crate::prove::solver::Solver;
use crate::store::changes::{self, Declaration, Rewritten};
use crate::store::known::{self, Known};
use crate::store::masks::{self, MaskChange};
use crate::store::{Commit, Origin, Statement};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The older revision: a folder, or a git revision of the folder of the store (`main`, `HEAD~1`, `main:stores/docs`)
    old: String,
    /// The newer revision, likewise [default: the store that is named; else, of a git revision, the same folder of the work tree]
    new: Option<String>,
    /// Fail if anything gains access, if it cannot be proven that nothing does, or if something is no longer masked in the decision log
    #[arg(long)]
    deny_wider: bool,
    #[command(flatten)]
    solver: SolverArguments,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: DocumentFormat,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (old, new) = origins(settings, arguments)?;
    let load = |origin| Snapshot::load_from(&settings.source_at(origin)?).map_err(Failure::Store);
    let (old, new) = (load(old)?, load(new)?);
    let solver = arguments.solver.find();
    let diff = Diff::between(&old, &new, solver.as_ref().ok())?;
    arguments.format.print(|| diff.as_blocks(), || diff.as_json())?;
    if let Err(failure) = &solver {
        failure.print();
    }
    Ok(ExitCode::from(if arguments.deny_wider && (diff.gains() || diff.unmasks()) {
        1
    } else if diff.is_undecided() || (arguments.deny_wider && !diff.incomparable().is_empty()) {
        2
    } else {
        0
    }))
}

fn origins(settings: &Settings, arguments: &Arguments) -> Result<(Origin, Origin), Failure> {
    let own = settings.store.as_deref();
    let named = |name: &str| {
        if Path::new(name).is_dir() {
            return Ok(Origin::Folder(name.into()));
        }
        Commit::find(name, own.unwrap_or(Path::new("."))).map(Origin::Commit).map_err(Failure::from)
    };
    let old = named(&arguments.old)?;
    let new = match (&arguments.new, own, &old) {
        (Some(name), ..) => named(name)?,
        // What a git revision is compared with is the work tree, not what was once compiled in.
        (None, None, Origin::Commit(commit)) => Origin::Folder(commit.work_tree().to_owned()),
        (None, ..) => settings.origin(),
    };
    Ok((old, new))
}

/// Everything that two revisions have differently.
struct Diff<'a> {
    old: &'a Snapshot,
    new: &'a Snapshot,
    masks: Vec<MaskChange>,
    declarations: Vec<Declaration>,
    clauses: Vec<Declaration>,
    policies: Vec<Rewritten<'a>>,
    rows: Vec<RowChange<'a>>,
    moves: Vec<Lines<Outcomes>>,
    /// `None` without a solver.
    proven: Option<Proven<'a>>,
}

/// A row that is written otherwise, or whose outcome is another.
struct RowChange<'a> {
    row: Rewritten<'a>,
    old: Option<RowResult>,
    new: Option<RowResult>,
}

struct Proven<'a> {
    solver: &'a Solver,
    comparisons: Vec<Comparison>,
}

impl<'a> Diff<'a> {
    fn between(old: &'a Snapshot, new: &'a Snapshot, solver: Option<&'a Solver>) -> Result<Self, Failure> {
        let bar = output::progress("comparing {msg} {wide_bar} {pos}/{len}");
        let advance = |done, total| output::advance(&bar, done, total);
        bar.set_message("rows");
        let rows = rows(old, new, &advance);
        bar.set_message("decisions");
        let moves = matrix::moves(old, new, &advance);
        bar.set_message("all requests");
        let proven = solver.map(|solver| {
            let comparisons = compare::compare(old, new, solver, &advance);
            let failed = |error| Failure::new(format!("the solver cannot be asked: {error}"));
            Ok::<_, Failure>(Proven { solver, comparisons: comparisons.map_err(failed)? })
        });
        bar.finish_and_clear();
        Ok(Self {
            old,
            new,
            masks: masks::changes(&old.store, &new.store),
            declarations: changes::declarations(&old.store, &new.store),
            clauses: changes::clauses(&old.store, &new.store),
            policies: changes::policies(&old.store, &new.store),
            rows,
            moves,
            proven: proven.transpose()?,
        })
    }

    fn comparisons(&self) -> &[Comparison] {
        self.proven.as_ref().map(|proven| proven.comparisons.as_slice()).unwrap_or_default()
    }

    /// Whether some request gains access.
    fn gains(&self) -> bool {
        self.moves.iter().flat_map(|moves| &moves.tally).any(|(outcome, _)| outcome.gains())
            || self.comparisons().iter().any(|comparison| matches!(comparison.gains, Found::Request(_)))
    }

    /// Whether something is no longer masked, so that more can be read in the decision log.
    fn unmasks(&self) -> bool {
        self.masks.iter().any(|mask| !mask.masked_now)
    }

    fn is_undecided(&self) -> bool {
        self.proven.is_none() || self.comparisons().iter().any(|comparison| comparison.relation().is_none())
    }

    /// What cannot be compared, and why.
    fn incomparable(&self) -> Vec<(String, String)> {
        let (old, new) = (&self.old.store, &self.new.store);
        let environments = new.types.environments.iter().filter_map(|environment| {
            let known = known::requests(environment, &old.types, &new.types);
            let (Err(why) | Ok(Known::None(why))) = known else { return None };
            Some((environment.to_string(), why))
        });
        let readings = self.declarations.iter().filter(|found| found.is_read_otherwise()).map(|found| {
            (
                found.name.clone(),
                "what a plugin reads from the same string may be another: only facts are compared".to_owned(),
            )
        });
        let entities = (!self.old.entities.same(&self.new.entities))
            .then(|| ("entities".to_owned(), "any entities are compared, and not those that are stored".to_owned()));
        environments.chain(readings).chain(entities).collect()
    }
}

/// The rows of both revisions that changed, each exercised by the revision in which it stands.
fn rows<'a>(old: &'a Snapshot, new: &'a Snapshot, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<RowChange<'a>> {
    let results = |snapshot: &Snapshot| -> HashMap<String, RowResult> {
        let ids = snapshot.store.rows.iter().map(|row| row.id.clone());
        ids.zip(matrix::exercise(snapshot, progress)).collect()
    };
    let (of_old, of_new) = (results(old), results(new));
    let result = |results: &HashMap<String, RowResult>, row: Option<&Statement>| results.get(&row?.id).cloned();
    let rows = changes::rows(&old.store, &new.store).into_iter().map(|row| RowChange {
        old: result(&of_old, row.old),
        new: result(&of_new, row.new),
        row,
    });
    let holds = |result: &Option<RowResult>| result.as_ref().map(RowResult::holds);
    rows.filter(|change| !changes::same(&change.row) || holds(&change.old) != holds(&change.new)).collect()
}
