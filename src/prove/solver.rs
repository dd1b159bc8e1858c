//! The solver: cvc5, a program of its own, found, tried and kept in check.
//!
//! An answer that comes too late must never be taken for the answer to the next question: a process that failed, or that
//! took too long, is thrown away.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cedar_policy_symcc::err::{CompileError, EncodeError, Error};
use cedar_policy_symcc::solver::{Decision, DecisionWithModel, LocalSolver, Solver as _};
use cedar_policy_symcc::{CedarSymCompiler, SmtLibScript as _};
use regex::Regex;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::runtime::Runtime;

use super::bounded::Bounded;

/// The oldest version that is known to answer rightly.
const OLDEST: [u32; 3] = [1, 0, 3];

/// How much longer than its own limit the solver may take before it is taken for dead.
const GRACE: Duration = Duration::from_secs(2);

/// How long the solver may take to say its version, and to answer the questions whose answers are known.
const TRIAL: Duration = Duration::from_secs(10);

/// A solver that was tried.
#[derive(Clone, Debug)]
pub struct Solver {
    program: PathBuf,
    /// Its version, as it says it.
    pub version: String,
    /// How long it may take for one question, once the question is put.
    pub limit: Duration,
}

/// Why there is no solver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSolver {
    /// There is no such program.
    #[error("there is no solver: the program `{0}` was not found")]
    NotFound(String),
    /// There is one, but it cannot be relied upon.
    #[error("`{0}` cannot be used as the solver: {1}")]
    Unusable(String, String),
}

impl Solver {
    /// Tries the program of that path or, where it has no `/`, of that name on the `PATH`: whether it is cvc5, recent enough,
    /// and answers one question that has a model and one that has none.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn find(program: &Path, limit: Duration) -> Result<Self, NoSolver> {
        let unusable = |why: String| NoSolver::Unusable(program.display().to_string(), why);
        let mut solver = Self { program: program.to_owned(), version: String::new(), limit };
        let runtime = runtime().map_err(|error| unusable(error.to_string()))?;
        let trial = async {
            solver.version = solver.read_version().await?;
            solver.answers_what_is_known().await.map_err(unusable)?;
            Ok(solver)
        };
        let in_time = runtime.block_on(async { tokio::time::timeout(TRIAL, trial).await });
        in_time.unwrap_or_else(|_| Err(unusable(format!("it did not answer within {} s", TRIAL.as_secs()))))
    }

    async fn read_version(&self) -> Result<String, NoSolver> {
        let shown = self.program.display().to_string();
        let output =
            Command::new(&self.program).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => NoSolver::NotFound(shown.clone()),
            _ => NoSolver::Unusable(shown.clone(), error.to_string()),
        })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match version_in(&text) {
            Some(version) if version >= OLDEST => Ok(in_words(version)),
            Some(version) => {
                let why = format!("it is version {}, and at least {} is needed", in_words(version), in_words(OLDEST));
                Err(NoSolver::Unusable(shown, why))
            }
            None => Err(NoSolver::Unusable(shown, "it does not say that it is cvc5".to_owned())),
        }
    }

    async fn answers_what_is_known(&self) -> Result<(), String> {
        const WRONG: &str = "it answers a question wrongly whose answer is known";
        let mut solver = self.start().map_err(|error| error.to_string())?;
        let failed = |error: &dyn std::fmt::Display| format!("it failed on a question whose answer is known: {error}");
        solver.enable_models().await.map_err(|error| failed(&error))?;
        write(&mut solver, "(set-logic ALL)(declare-const x Int)(assert (< 2 x 4))").await?;
        match solver.check_sat_with_model().await.map_err(|error| failed(&error))? {
            DecisionWithModel::Sat { model } if model.contains("x () Int 3") => {}
            _ => return Err(WRONG.to_owned()),
        }
        solver.smtlib_input().reset().await.map_err(|error| failed(&error))?;
        write(&mut solver, "(set-logic ALL)(declare-const x Int)(assert (< 2 x 3))").await?;
        match solver.check_sat().await.map_err(|error| failed(&error))? {
            Decision::Unsat => Ok(()),
            _ => Err(WRONG.to_owned()),
        }
    }

    fn start(&self) -> Result<LocalSolver, cedar_policy_symcc::solver::SolverError> {
        let limit = format!("--tlimit-per={}", self.limit.as_millis());
        LocalSolver::from_command(
            Command::new(&self.program).args(["--lang", "smt", "--strings-exp", &limit]).kill_on_drop(true),
        )
    }
}

async fn write(solver: &mut LocalSolver, script: &str) -> Result<(), String> {
    let written = solver.smtlib_input().write_all(script.as_bytes()).await;
    written.map_err(|error| format!("it does not take questions: {error}"))
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn version_in(text: &str) -> Option<[u32; 3]> {
    let pattern = Regex::new(r"This is cvc5 version (\d+)\.(\d+)(?:\.(\d+))?").ok()?;
    let found = pattern.captures(text)?;
    let part = |index| found.get(index).map_or(Some(0), |part| part.as_str().parse().ok());
    Some([part(1)?, part(2)?, part(3)?])
}

fn in_words([major, minor, patch]: [u32; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

/// The stack of a thread that puts questions: the encoder goes as deep as the policies are many.
const STACK: usize = 512 << 20;

/// Puts questions to several solvers at once; the answers come in the order of the questions. `progress` is called with how many
/// are answered, and of how many.
pub(super) fn ask_all<Q: Sync, A: Send>(
    questions: &[Q],
    solver: &Solver,
    progress: &(dyn Fn(usize, usize) + Sync),
    answer: impl Fn(&mut Asker<'_>, &Q) -> A + Sync,
) -> std::io::Result<Vec<A>> {
    let answers = Mutex::new(Vec::with_capacity(questions.len()));
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || -> std::io::Result<()> {
        let mut asker = Asker::new(solver)?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(question) = questions.get(number) else { return Ok(()) };
            let answer = answer(&mut asker, question);
            answers.lock().unwrap_or_else(PoisonError::into_inner).push((number, answer));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, questions.len());
        }
    };
    std::thread::scope(|threads| {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(questions.len());
        let workers = (0..count).map(|_| std::thread::Builder::new().stack_size(STACK).spawn_scoped(threads, work));
        let workers = workers.collect::<Result<Vec<_>, _>>()?;
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(number, _)| *number);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// What asks the solver: one question after the other, in one process for as long as that is well.
pub(super) struct Asker<'a> {
    solver: &'a Solver,
    runtime: Runtime,
    process: Option<CedarSymCompiler<Bounded>>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(solver: &'a Solver) -> std::io::Result<Self> {
        Ok(Self { solver, runtime: runtime()?, process: None })
    }

    /// The answer to a question, or why there is none.
    #[expect(clippy::result_large_err, reason = "Cedar's error is put into a sentence at once")]
    pub(super) fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut CedarSymCompiler<Bounded>) -> Result<T, Error>,
    ) -> Result<T, String> {
        let _context = self.runtime.enter();
        // Taken out, so that only an answer puts it back.
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self
                .solver
                .start()
                .map_err(Error::from)
                .and_then(|solver| CedarSymCompiler::new(Bounded::new(solver)))
                .map_err(|error| format!("the solver cannot be started: {error}"))?,
        };
        let limit = self.solver.limit;
        let start = Instant::now();
        let (runtime, asked) =
            (&self.runtime, async { tokio::time::timeout(limit + GRACE, question(&mut process)).await });
        // An encoder that panics has decided nothing.
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(asked)));
        match answer {
            Ok(Ok(Ok(answer))) => {
                self.process = Some(process);
                Ok(answer)
            }
            Ok(Ok(Err(Error::SolverUnknown))) | Ok(Err(_)) => Err(too_late(limit)),
            // Where it is interrupted by its own limit while it reads the question, it says nothing and ends.
            Ok(Ok(Err(Error::SolverError(_)))) if start.elapsed() >= limit => Err(too_late(limit)),
            Ok(Ok(Err(error))) => Err(in_a_sentence(&error)),
            Err(_) => Err("the question could not be put to the solver".to_owned()),
        }
    }
}

fn too_late(limit: Duration) -> String {
    format!("the solver did not decide it within {} s", limit.as_secs_f32())
}

/// Why there is no answer, for who wrote the policies: nothing of how questions are written.
pub(super) fn in_a_sentence(error: &Error) -> String {
    const BEYOND: &str = "the solver's strings have no character above U+2FFFF, and one of the policies, or an id in the schema, has: \
                          what it is compared with cannot be proven";
    const UNWRITABLE: &str = "the solver found a counterexample that cannot be written down";
    match error {
        Error::EncodeError(EncodeError::EncodeStringFailed(_) | EncodeError::EncodePatternFailed(_)) => {
            BEYOND.to_owned()
        }
        Error::DecodeModel(_) | Error::ConcretizeError(_) | Error::ModelInvalid { .. } => UNWRITABLE.to_owned(),
        Error::SolverError(_) | Error::SolverUnknown => "the solver failed on the question".to_owned(),
        Error::IncompleteSchema(_) | Error::ActionNotInSchema(_) | Error::NoPolicies => {
            format!("the question cannot be put to the solver: {error}")
        }
        Error::CompileError(CompileError::UnsupportedFeature(feature)) => {
            format!("it cannot be put to the solver: {feature}")
        }
        Error::CompileError(_) | Error::EncodeError(_) => "it cannot be put to the solver".to_owned(),
        Error::PolicyNotWellTyped { errs } => {
            let errors: Vec<String> = errs.iter().map(ToString::to_string).collect();
            format!("it cannot be put to the solver: {}", errors.join("; "))
        }
    }
}
