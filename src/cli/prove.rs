//! `gatepost prove`: asks a solver whether every row holds for every request, and whether every policy can be evaluated. Exit 0
//! if all is proven, 1 if something is refuted, else 2 if something is undecided or there is no solver.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};

use super::Format;
use super::config::Settings;
use super::decide;
use super::output::{self, Failure, counted};
use super::units::Time;
use super::watch::{Found, Output, WatchArguments};
use crate::engine::Snapshot;
use crate::http::body;
use crate::prove::solver::{NoSolver, Solver};
use crate::prove::{ASSUMPTION, Claim, Counterexample, Proof, RowStatus, Verdict};
use crate::report::{self, Finding, Mark, PROVEN_MEANS};
use crate::request::words::in_words;
use crate::store::{SourceFile, Statement, plain};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Further rows that must hold, which stand outside of the store; may be given more than once
    #[arg(long = "invariant", value_name = "FILE")]
    invariants: Vec<PathBuf>,
    #[command(flatten)]
    solver: SolverArguments,
    #[command(flatten)]
    watch: WatchArguments,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The program, and how long it may take for a question, where nothing else is said.
const SOLVER: &str = "cvc5";
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Which solver, and how patiently.
#[derive(Debug, Args)]
pub(super) struct SolverArguments {
    /// The program cvc5, at least 1.0.3
    #[arg(long, value_name = "PATH", env = "CVC5", default_value = SOLVER)]
    solver: PathBuf,
    /// How long the solver may take for one question, as `30s` or `2m`: from 1 second to 1 hour
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time_limit)]
    time_limit: Duration,
}

fn time_limit(text: &str) -> Result<Duration, String> {
    let Time(time) = text.parse()?;
    let is_allowed = (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&time);
    if is_allowed { Ok(time) } else { Err("it is at least 1 second and at most 1 hour".to_owned()) }
}

impl Default for SolverArguments {
    /// What the command line says where it says nothing.
    fn default() -> Self {
        let solver = std::env::var_os("CVC5").map_or_else(|| SOLVER.into(), PathBuf::from);
        Self { solver, time_limit: TIME_LIMIT }
    }
}

impl SolverArguments {
    /// The solver, tried.
    pub(super) fn try_find(&self) -> Result<Solver, NoSolver> {
        Solver::find(&self.solver, self.time_limit)
    }

    /// The solver, without which nothing can be done.
    pub(super) fn find(&self) -> Result<Solver, Failure> {
        self.try_find().map_err(|error| {
            let help = match &error {
                NoSolver::NotFound(_) => {
                    "install it with `apt-get install cvc5`, or say where it is with `--solver PATH`"
                }
                NoSolver::Unusable(..) => "name another with `--solver PATH`; `apt-get install cvc5` installs one",
            };
            Failure::new(error.to_string()).with_help(help)
        })
    }
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.watch.run(settings, &arguments.invariants, arguments.format, || prove(settings, arguments))
}

fn prove(settings: &Settings, arguments: &Arguments) -> Result<Found, Failure> {
    let snapshot = settings.snapshot()?;
    let invariants = snapshot.store.further_rows(&read(&arguments.invariants)?).map_err(Failure::Rows)?;
    if snapshot.store.rows.is_empty() && invariants.is_empty() {
        return Err(Failure::new(format!("{} has no matrix", snapshot.store.origin))
            .with_help("write what must hold into matrix/*.cedar, row by row"));
    }
    let solver = arguments.solver.find()?;
    let bar = output::progress("proving {wide_bar} {pos}/{len}");
    let proofs =
        crate::prove::prove(&snapshot, &invariants, &solver, &|done, total| output::advance(&bar, done, total))
            .map_err(|error| Failure::new(format!("the solver cannot be asked: {error}")))?;
    bar.finish_and_clear();
    let outcome = Outcome { snapshot: &snapshot, invariants: &invariants, solver: &solver, proofs: &proofs };
    let output = match arguments.format {
        Format::Json => Output::Json(outcome.as_json()),
        Format::Text => Output::Text(outcome.as_text()),
    };
    Ok(Found { output, status: outcome.exit() })
}

fn read(paths: &[PathBuf]) -> Result<Vec<SourceFile>, Failure> {
    let files = paths.iter().map(|path| {
        let shown = path.display();
        let text = crate::regular::read_to_string(path)
            .map_err(|error| Failure::new(format!("the rows in `{shown}` cannot be read: {error}")))?;
        Ok(SourceFile { path: shown.to_string().into(), text: plain(&text).into() })
    });
    files.collect()
}

/// What was proven and what was not.
struct Outcome<'a> {
    snapshot: &'a Snapshot,
    invariants: &'a [Statement],
    solver: &'a Solver,
    proofs: &'a [Proof],
}

impl Outcome<'_> {
    fn rows(&self) -> impl Iterator<Item = (&Statement, RowStatus)> {
        let rows = self.snapshot.store.rows.iter().chain(self.invariants);
        rows.enumerate().map(|(index, row)| (row, RowStatus::of(index, self.proofs)))
    }

    fn count(&self, status: RowStatus) -> usize {
        self.rows().filter(|(_, found)| *found == status).count()
    }

    fn exit(&self) -> u8 {
        let refuted = self.proofs.iter().any(Proof::fails) || self.count(RowStatus::Unmatched) > 0;
        let undecided = self.proofs.iter().any(Proof::is_undecided);
        if refuted {
            1
        } else if undecided {
            2
        } else {
            0
        }
    }

    fn as_text(&self) -> String {
        let store = &self.snapshot.store;
        let findings: Vec<Finding> = self.rows().map(|(_, status)| Finding::from(status)).collect();
        let mut text = report::text(&report::tables(&store.rows, &findings), output::width());
        text.push_str("\n\n");
        for (row, status) in self.rows().filter(|(_, status)| *status == RowStatus::Unmatched) {
            let sign = Finding::from(status).mark.sign();
            text.push_str(&format!(
                "{sign} {}\n  no request matches this row, so it says nothing\n\n",
                row.described()
            ));
        }
        let mut proofs: Vec<&Proof> = self.proofs.iter().collect();
        proofs.sort_by_key(|proof| (proof.claim, proof.environment));
        // What is the same for several questions about a row is said once.
        let mut told = BTreeSet::new();
        let troubles = proofs.into_iter().map(|proof| self.trouble(proof));
        text.extend(troubles.filter(|trouble| told.insert(trouble.clone())));
        text.push_str("✓ proven for every request   ✗ refuted   ∅ no request matches   ? undecided\n");
        text.push_str(&self.summary());
        text
    }

    /// What a proof that is none has to say; nothing for one that is.
    fn trouble(&self, proof: &Proof) -> String {
        let sign = if proof.is_undecided() { Mark::Undecided.sign() } else { Mark::Fails.sign() };
        let head = format!("{sign} {}\n  ", self.subject(proof));
        match &proof.verdict {
            Verdict::Undecided(why) => format!("{head}not decided: {why}\n\n"),
            Verdict::Refuted(Some(example)) if proof.fails() => {
                format!(
                    "{head}{}: {};\n  as JSON, for `gatepost decide --facts`:\n{}\n",
                    self.refuted(proof.claim),
                    in_words(&self.request(example)),
                    self.shown(example)
                )
            }
            _ => String::new(),
        }
    }

    fn subject(&self, proof: &Proof) -> String {
        let environment = self.snapshot.store.types.environments.get(proof.environment);
        let environment = environment.map(ToString::to_string).unwrap_or_default();
        match proof.claim {
            Claim::RowHolds(row) | Claim::RowMatches(row) | Claim::RowNeverErrs(row) => self.row(row),
            Claim::RowsAgree(row, other) => format!("{}\n  {}", self.row(row), self.row(other)),
            Claim::PolicyNeverErrs(policy) => {
                let policy = self.snapshot.store.policies.get(policy);
                policy.map(|policy| format!("{}:{} {}", policy.file.path, policy.line(), policy.id)).unwrap_or_default()
            }
            Claim::RowsDecideAll => environment,
        }
    }

    fn row(&self, index: usize) -> String {
        self.rows().nth(index).map(|(row, _)| row.described()).unwrap_or_default()
    }

    fn refuted(&self, claim: Claim) -> &'static str {
        let permits = |row| self.rows().nth(row).is_some_and(|(row, _)| row.permits());
        report::refuted(claim, matches!(claim, Claim::RowHolds(row) if permits(row)))
    }

    fn shown(&self, example: &Counterexample) -> String {
        let decision = decide::as_text(&example.decision, None);
        let decision: String = decision.lines().map(|line| format!("  {line}\n")).collect();
        format!("{:#}\n{decision}", self.request(example))
    }

    fn request(&self, example: &Counterexample) -> Json {
        body::of_case(&example.case, &self.snapshot.store.types)
    }

    fn summary(&self) -> String {
        let store = &self.snapshot.store;
        let total = store.rows.len() + self.invariants.len();
        let mut text = format!("{} of {} proven", self.count(RowStatus::Proven), counted(total, "row"));
        let others = [
            (RowStatus::Refuted, "refuted"),
            (RowStatus::Unmatched, "without a request"),
            (RowStatus::Undecided, "undecided"),
        ];
        for (status, word) in others {
            let count = self.count(status);
            if count > 0 {
                text.push_str(&format!(", {count} {word}"));
            }
        }
        text.push_str(&format!("\n{PROVEN_MEANS}\n"));
        if self.count(RowStatus::Proven) == total {
            text.push_str("no two rows contradict each other\n");
        }
        let of_policies = || self.proofs.iter().filter(|proof| matches!(proof.claim, Claim::PolicyNeverErrs(_)));
        if of_policies().all(|proof| matches!(proof.verdict, Verdict::Proven)) {
            text.push_str(&format!(
                "no request makes any of {} fail to evaluate\n",
                counted(store.policies.len(), "policy")
            ));
        }
        text.push_str(&self.completeness());
        text.push_str(&format!(
            "assumed: {ASSUMPTION}\nsolver: cvc5 {}; revision {}\n",
            self.solver.version, store.revision
        ));
        text
    }

    /// Whether rows decide everything; where not, that is no failure.
    fn completeness(&self) -> String {
        let mut whole: BTreeMap<String, bool> = BTreeMap::new();
        let mut gaps = String::new();
        for proof in self.proofs.iter().filter(|proof| proof.claim == Claim::RowsDecideAll) {
            let environment = self.snapshot.store.types.environments.get(proof.environment);
            let action = environment.map(|environment| environment.action.to_string()).unwrap_or_default();
            *whole.entry(action).or_insert(true) &= matches!(proof.verdict, Verdict::Proven);
            if let Verdict::Refuted(Some(example)) = &proof.verdict {
                let effect = if example.decision.allowed { "allowed" } else { "denied" };
                gaps.push_str(&format!("  {}, {effect}: {}\n", self.subject(proof), self.request(example)));
            }
        }
        let count = whole.values().filter(|whole| **whole).count();
        let mut text = match whole.len() {
            0 => String::new(),
            actions => format!("rows decide every request of {count} of {}\n", counted(actions, "action")),
        };
        if !gaps.is_empty() {
            text.push_str(&format!("requests that no row decides, for example:\n{gaps}"));
        }
        text
    }

    fn as_json(&self) -> Json {
        let store = &self.snapshot.store;
        let rows = self.rows().enumerate().map(|(index, (row, status))| {
            let word = match status {
                RowStatus::Proven => "proven",
                RowStatus::Refuted => "refuted",
                RowStatus::Unmatched => "unmatched",
                RowStatus::Undecided => "undecided",
            };
            let mut members = output::row_as_json(row);
            members.insert("invariant".to_owned(), (index >= store.rows.len()).into());
            members.insert("status".to_owned(), word.into());
            members
        });
        json!({
            "revision": store.revision.as_str(),
            "solver": format!("cvc5 {}", self.solver.version),
            "assumption": ASSUMPTION,
            "rows": rows.collect::<Vec<_>>(),
            "proofs": self.proofs.iter().map(|proof| self.proof_as_json(proof)).collect::<Vec<_>>(),
        })
    }

    fn proof_as_json(&self, proof: &Proof) -> Json {
        let rows: Vec<&Statement> = self.rows().map(|(row, _)| row).collect();
        let id = |index: usize| rows.get(index).map(|row| row.id.as_str());
        let (claim, about) = match proof.claim {
            Claim::RowHolds(row) => ("row-holds", vec![id(row)]),
            Claim::RowMatches(row) => ("row-matches", vec![id(row)]),
            Claim::RowNeverErrs(row) => ("row-never-errs", vec![id(row)]),
            Claim::RowsAgree(row, other) => ("rows-agree", vec![id(row), id(other)]),
            Claim::PolicyNeverErrs(policy) => {
                ("policy-never-errs", vec![self.snapshot.store.policies.get(policy).map(|policy| policy.id.as_str())])
            }
            Claim::RowsDecideAll => ("rows-decide-all", Vec::new()),
        };
        let (verdict, why, example) = match &proof.verdict {
            Verdict::Proven => ("proven", None, None),
            Verdict::Refuted(example) => ("refuted", None, example.as_ref()),
            Verdict::Undecided(why) => ("undecided", Some(why), None),
        };
        let environment = self.snapshot.store.types.environments.get(proof.environment);
        json!({
            "claim": claim,
            "about": about,
            "environment": environment.map(|found| json!({
                "principal": found.principal.to_string(),
                "action": found.action.to_string(),
                "resource": found.resource.to_string(),
            })),
            "verdict": verdict,
            "why": why,
            "counterexample": example.map(|example| self.request(example)),
            "decision": example.map(|example| if example.decision.allowed { "allow" } else { "deny" }),
        })
    }
}
