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
use crate::http::printed::Printed;
use crate::matrix::{self, Lines, Outcomes, RowResult};
use crate::prove::compare::{self, Comparison, Found};
use crate::prove::solver::Solver;
use crate::store::changes::{self, Declaration, Rewritten};
use crate::store::known::{self, Known};
use crate::store::masks::{self, MaskChange};
use crate::store::renamed::{self, Renamed};
use crate::store::{Commit, Origin, Source, Statement};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The older revision: a folder, or a git revision of the folder of the store (`main`, `HEAD~1`, `main:stores/docs`) [default, with
    /// --staged: `HEAD`]
    #[arg(required_unless_present = "staged")]
    old: Option<String>,
    /// The newer revision, likewise [default: the store that is named; else, of a git revision, the same folder of the work tree]
    new: Option<String>,
    /// The newer revision is what is staged: what `git commit` would commit
    #[arg(long, conflicts_with = "new")]
    staged: bool,
    /// Fail if anything gains access, also requests that the older revision does not know; if it cannot be proven that nothing does; or if
    /// something is no longer masked in the decision log
    #[arg(long)]
    deny_wider: bool,
    /// With --deny-wider, let through what is allowed of an action or a type that the older revision does not have
    #[arg(long, requires = "deny_wider")]
    allow_new: bool,
    /// State that a value of an enumerated type has another name in the newer revision: `Level::"low"=Level::"minor"`
    #[arg(long, value_name = "OLD=NEW")]
    renamed: Vec<Renamed>,
    #[command(flatten)]
    solver: SolverArguments,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: DocumentFormat,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (old, new) = origins(settings, arguments)?;
    let (old, new) = (settings.source_at(old)?, settings.source_at(new)?);
    let (old, new) = (renamed(&old, &arguments.renamed)?, Snapshot::load_from(&new).map_err(Failure::Store)?);
    let solver = arguments.solver.find();
    let diff = Diff::between(&old, &new, arguments, solver.as_ref().ok())?;
    arguments.format.print(|| diff.as_blocks(), || diff.as_json())?;
    if let Err(failure) = &solver {
        failure.print();
    }
    Ok(ExitCode::from(if arguments.deny_wider && (diff.gains(arguments.allow_new) || diff.unmasks()) {
        1
    } else if diff.is_undecided() || (arguments.deny_wider && !diff.incomparable().is_empty()) {
        2
    } else {
        0
    }))
}

/// The older store, with the new names of what is renamed.
fn renamed(source: &Source, names: &[Renamed]) -> Result<Snapshot, Failure> {
    let files = source.read().map_err(Failure::Store)?;
    let store = source.store(files.clone()).map_err(Failure::Store)?;
    let store = match names {
        [] => store,
        names => {
            let files = renamed::renamed(files, &store, names).map_err(Failure::from)?;
            // Its signature was verified with the old names.
            Source { required_key: None, ..source.clone() }.store(files).map_err(Failure::Store)?
        }
    };
    Snapshot::build(store).map_err(Failure::Store)
}

fn origins(settings: &Settings, arguments: &Arguments) -> Result<(Origin, Origin), Failure> {
    let own = settings.store.as_deref();
    let named = |name: &str| {
        if Path::new(name).is_dir() {
            return Ok(Origin::Folder(name.into()));
        }
        Commit::find(name, own.unwrap_or(Path::new("."))).map(Origin::Commit).map_err(Failure::from)
    };
    let old = named(arguments.old.as_deref().unwrap_or("HEAD"))?;
    if arguments.staged {
        let folder = match (&old, own) {
            (Origin::Commit(commit), None) => commit.work_tree(),
            (_, own) => own,
        };
        let staged = Commit::staged(folder.unwrap_or(Path::new(".")));
        return Ok((old, staged.map(Origin::Commit).map_err(Failure::from)?));
    }
    let new = match (&arguments.new, own, &old) {
        (Some(name), ..) => named(name)?,
        // What a git revision is compared with is the work tree, not what was once compiled in.
        (None, None, Origin::Commit(commit)) => match commit.work_tree() {
            Some(folder) => Origin::Folder(folder.to_owned()),
            None => {
                return Err(Failure::new("name the newer revision too: a bare repository has no work tree".to_owned()));
            }
        },
        (None, ..) => settings.origin(),
    };
    Ok((old, new))
}

/// Everything that two revisions have differently.
struct Diff<'a> {
    old: &'a Snapshot,
    new: &'a Snapshot,
    /// What is renamed, as the author states.
    renamed: &'a [Renamed],
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
    fn between(
        old: &'a Snapshot,
        new: &'a Snapshot,
        arguments: &'a Arguments,
        solver: Option<&'a Solver>,
    ) -> Result<Self, Failure> {
        let bar = output::progress("comparing {msg} {wide_bar} {pos}/{len}");
        let advance = |done, total| output::advance(&bar, done, total);
        bar.set_message("rows");
        let rows = rows(old, new, &advance);
        bar.set_message("decisions");
        let moves = matrix::moves(old, new, &Printed, &advance);
        bar.set_message("all requests");
        let proven = solver.map(|solver| {
            let comparisons = compare::compare(old, new, solver, &Printed, &advance);
            let failed = |error| Failure::new(format!("the solver cannot be asked: {error}"));
            Ok::<_, Failure>(Proven { solver, comparisons: comparisons.map_err(failed)? })
        });
        bar.finish_and_clear();
        Ok(Self {
            old,
            new,
            renamed: &arguments.renamed,
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

    /// Whether some request gains access, also one that the older revision does not know; unless that is because its action or a type
    /// is new, and such requests are allowed to.
    fn gains(&self, allows_new: bool) -> bool {
        let environments = &self.new.store.types.environments;
        let is_let_through = |name: &str| {
            let mut alike = environments.iter().filter(|environment| environment.to_string() == name).peekable();
            allows_new
                && alike.peek().is_some()
                && alike.all(|environment| compare::has_new_names(environment, self.old))
        };
        let moves = self.moves.iter().filter(|moves| !is_let_through(&moves.environment));
        let comparisons = self.comparisons().iter().filter(|found| !(allows_new && found.is_of_new_names));
        moves.flat_map(|moves| &moves.tally).any(|(outcome, _)| outcome.gains())
            || comparisons.into_iter().any(|comparison| matches!(comparison.gains, Found::Request(_)))
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
        let environments = match &self.proven {
            Some(proven) => proven.comparisons.iter().filter_map(Comparison::not_compared).collect(),
            None => self.incomparable_cells(),
        };
        let readings = self.declarations.iter().filter(|found| found.is_read_otherwise()).map(|found| {
            (
                found.name.clone(),
                "what a plugin reads from the same string may be another: only facts are compared".to_owned(),
            )
        });
        let entities = (!self.old.entities.same(&self.new.entities))
            .then(|| ("entities".to_owned(), "any entities are compared, and not those that are stored".to_owned()));
        let speakers = changes::said_by_others(&self.old.store, &self.new.store).into_iter();
        let speakers = speakers
            .map(|name| (name, "who may say it is another: only what is said is compared, whoever says it".to_owned()));
        environments.into_iter().chain(readings).chain(speakers).chain(entities).collect()
    }

    /// The environments of which no cells are compared.
    fn incomparable_cells(&self) -> Vec<(String, String)> {
        let (old, new) = (&self.old.store.types, &self.new.store.types);
        let environments = new.environments.iter().filter_map(|environment| {
            let (Err(why) | Ok(Known::None(why))) = known::requests(environment, old, new) else { return None };
            Some((environment.to_string(), why))
        });
        environments.collect()
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
