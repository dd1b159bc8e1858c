//! Proofs: what must hold, asked of a solver for every possible request instead of tried on some.
//!
//! A `permit` row holds if the row, as a policy of its own, implies the policies; a `forbid` row, turned into a permit, if it is
//! disjoint from them (Cutler et al., "Cedar: A New Language for Expressive, Fast, Safe, and Analyzable Authorization",
//! OOPSLA 2024; `cedar-policy-symcc`). What is proven is proven for all requests that conform to the schema, under one
//! assumption ([`ASSUMPTION`]) that the engine and `check` see to.
//!
//! A counterexample is decided by the engine before it is shown: one that the engine decides otherwise is none. An answer that
//! the solver does not give is never a proof.

mod allowed;
mod bounded;
pub mod compare;
pub mod idle;
mod model;
mod shared;
mod shrink;
pub mod solver;
mod view;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use cedar_policy::{Effect, Policy, PolicySet, RequestEnv};
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet, Env};

use crate::engine::{Decision, Matcher, Outcome, Snapshot};
use crate::request::case::Case;
use crate::store::schema::{Environment, Types};
use crate::store::{Statement, Store, policy, scope};
use shrink::Kept;
use solver::{Asker, Solver};

/// What every proof takes for granted, as a sentence.
pub const ASSUMPTION: &str = "an entity that is referred to and not stored acts as one without parents, tags and optional attributes, \
    which the proofs include (where a policy reads a required attribute of one, the service denies); a request is denied besides where a \
    policy reads what only the store may say (`@stored`) of an entity that is not stored, and where an entity that must exist \
    (`@must_exist`) is not stored; each datetime of a request or an \
    entity is one that a string can say (-62167305540000 to 253402387139999 ms since 1970); facts are any value of their type, which \
    includes more than the plugins return";

/// What is asked of the solver, in one environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Every request that matches the row is decided as it says. Rows are counted through the matrix, and then through the
    /// invariants.
    RowHolds(usize),
    /// Some request matches the row.
    RowMatches(usize),
    /// The row can be evaluated for every request.
    RowNeverErrs(usize),
    /// The policy can be evaluated for every request.
    PolicyNeverErrs(usize),
    /// No request matches both rows, of which one permits and the other forbids. It is asked only where one of them does not
    /// hold: of two that hold it follows.
    RowsAgree(usize, usize),
    /// Every request is decided by some row of the matrix. That one is not is no failure.
    RowsDecideAll,
}

impl Claim {
    /// Whether the claim is about that row alone.
    pub fn is_about(self, row: usize) -> bool {
        matches!(self, Self::RowHolds(own) | Self::RowMatches(own) | Self::RowNeverErrs(own) if own == row)
    }
}

/// What the solver said.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It holds for every request.
    Proven,
    /// It does not; and a request that shows it, where there is one to show.
    Refuted(Option<Box<Counterexample>>),
    /// There is no answer, for this reason. This is never a proof.
    Undecided(String),
}

/// A request for which a claim does not hold, decided by the engine.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The request, and what is stored beside it.
    pub case: Case,
    /// What the engine decides.
    pub decision: Decision,
}

/// A claim, asked.
#[derive(Clone, Debug)]
pub struct Proof {
    /// What was asked.
    pub claim: Claim,
    /// In which environment: an index into [`Types::environments`](crate::store::schema::Types::environments).
    pub environment: usize,
    /// What the answer was.
    pub verdict: Verdict,
}

impl Proof {
    /// Whether it fails: the claim is refuted, and is not one that need not hold.
    pub fn fails(&self) -> bool {
        matches!(self.verdict, Verdict::Refuted(_))
            && !matches!(self.claim, Claim::RowsDecideAll | Claim::RowMatches(_))
    }

    /// Whether there is no answer.
    pub fn is_undecided(&self) -> bool {
        matches!(self.verdict, Verdict::Undecided(_))
    }
}

/// What all proofs together say about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowStatus {
    /// Some request matches it, every one of them is decided as it says, and it can be evaluated for every request.
    Proven,
    /// No request matches it in any environment.
    Unmatched,
    /// Some request is decided otherwise, or makes the row fail.
    Refuted,
    /// Something about it could not be decided.
    Undecided,
}

impl RowStatus {
    /// The status of a row, counted as in [`Claim`].
    pub fn of(row: usize, proofs: &[Proof]) -> Self {
        let own = || proofs.iter().filter(|proof| proof.claim.is_about(row));
        let matched = |proof: &Proof| matches!((proof.claim, &proof.verdict), (Claim::RowMatches(_), Verdict::Proven));
        match () {
            () if own().any(Proof::fails) => Self::Refuted,
            () if own().any(Proof::is_undecided) => Self::Undecided,
            () if own().any(matched) => Self::Proven,
            () => Self::Unmatched,
        }
    }
}

/// Asks the solver every claim about the rows and policies of a store, and about `invariants`: further rows that stand outside
/// of it. The proofs come in the order of the environments and claims.
///
/// `progress` is called with how many questions are answered, and of how many.
///
/// # Errors
///
/// A thread that cannot be started.
pub fn prove(
    snapshot: &Snapshot,
    invariants: &[Statement],
    solver: &Solver,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> std::io::Result<Vec<Proof>> {
    let mut prover = Prover::new(snapshot, invariants);
    let mut proofs = prover.ask(&prover.about_policies(), solver, progress)?;
    prover.remember_what_errs(&proofs);
    proofs.extend(prover.ask(&prover.about_rows(), solver, progress)?);
    proofs.extend(prover.ask(&prover.about_contradictions(&proofs), solver, progress)?);
    proofs.sort_by_key(|proof| (proof.environment, proof.claim));
    Ok(proofs)
}

/// What a solver finds for a row in one environment.
#[derive(Clone, Debug)]
pub struct RowRequests {
    /// The row, counted through the matrix.
    pub row: usize,
    /// Requests that the row matches or that make it fail: one that is decided otherwise than it says, one on which it cannot be
    /// evaluated, one that it matches, as far as there are such; or why that is not known.
    pub cases: Result<Vec<Case>, String>,
}

/// Asks the solver for requests of some rows, of each kind that there can be.
///
/// `progress` is called with how many questions are answered, and of how many.
///
/// # Errors
///
/// A thread that cannot be started.
pub fn requests_of(
    snapshot: &Snapshot,
    rows: &BTreeSet<usize>,
    solver: &Solver,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> std::io::Result<Vec<RowRequests>> {
    let mut prover = Prover::new(snapshot, &[]);
    let asked: Vec<(usize, usize)> =
        prover.applying(prover.rows.iter().copied()).filter(|(_, row)| rows.contains(row)).collect();
    let environments: BTreeSet<usize> = asked.iter().map(|(environment, _)| *environment).collect();
    let policies: Vec<_> =
        prover.about_policies().into_iter().filter(|(environment, _)| environments.contains(environment)).collect();
    let proofs = prover.ask(&policies, solver, progress)?;
    prover.remember_what_errs(&proofs);
    solver::ask_all(&asked, solver, progress, |asker, &(environment, row)| {
        let cases = prover.at(environment).and_then(|at| at.requests_of(asker, prover.row(row)?));
        RowRequests { row, cases }
    })
}

/// What can be asked about a store.
struct Prover<'a> {
    snapshot: &'a Snapshot,
    rows: Vec<&'a Statement>,
    kept: Kept,
    environments: Vec<Compiled>,
    /// The policies, each in an environment, of which it is not proven that they can be evaluated for every request there.
    may_err: BTreeSet<(usize, usize)>,
}

/// What is compiled once for an environment, when it is first asked about.
#[derive(Default)]
struct Compiled {
    request: Option<RequestEnv>,
    policies: OnceLock<Result<CompiledPolicySet, String>>,
}

impl<'a> Prover<'a> {
    fn new(snapshot: &'a Snapshot, invariants: &'a [Statement]) -> Self {
        let store = &snapshot.store;
        let environments = store
            .types
            .environments
            .iter()
            .map(|environment| Compiled { request: request_of(environment, store).ok(), ..Compiled::default() });
        let rows: Vec<&Statement> = store.rows.iter().chain(invariants).collect();
        let statements = store.policies.iter().chain(rows.iter().copied());
        let kept = Kept::by(statements.map(|statement| &statement.policy));
        Self { snapshot, kept, environments: environments.collect(), rows, may_err: BTreeSet::new() }
    }

    fn ask(
        &self,
        questions: &[(usize, Claim)],
        solver: &Solver,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> std::io::Result<Vec<Proof>> {
        solver::ask_all(questions, solver, progress, |asker, &(environment, claim)| {
            let answer = self.answer(asker, environment, claim);
            let verdict = answer.unwrap_or_else(|why| Verdict::Undecided(self.explained(claim, why)));
            Proof { claim, environment, verdict }
        })
    }

    fn about_policies(&self) -> Vec<(usize, Claim)> {
        let policies = &self.snapshot.store.policies;
        self.applying(policies.iter())
            .map(|(environment, policy)| (environment, Claim::PolicyNeverErrs(policy)))
            .collect()
    }

    fn remember_what_errs(&mut self, proofs: &[Proof]) {
        for proof in proofs.iter().filter(|proof| !matches!(proof.verdict, Verdict::Proven)) {
            if let Claim::PolicyNeverErrs(policy) = proof.claim {
                self.may_err.insert((proof.environment, policy));
            }
        }
    }

    fn about_rows(&self) -> Vec<(usize, Claim)> {
        let claims = |row| [Claim::RowHolds(row), Claim::RowMatches(row), Claim::RowNeverErrs(row)];
        let rows = self.applying(self.rows.iter().copied());
        let rows = rows.flat_map(|(environment, row)| claims(row).map(|claim| (environment, claim)));
        let matrix = if self.snapshot.store.rows.is_empty() { 0 } else { self.environments.len() };
        rows.chain((0..matrix).map(|environment| (environment, Claim::RowsDecideAll))).collect()
    }

    /// For every row that is refuted, whether that is because another says the opposite.
    fn about_contradictions(&self, proofs: &[Proof]) -> Vec<(usize, Claim)> {
        let mut questions = BTreeSet::new();
        for proof in proofs.iter().filter(|proof| proof.fails()) {
            let Claim::RowHolds(row) = proof.claim else { continue };
            let permits = |row: usize| self.rows.get(row).map(|row| row.permits());
            let beside = proofs.iter().filter(|other| other.environment == proof.environment);
            let others = beside.filter_map(|other| match other.claim {
                Claim::RowHolds(other) if permits(other) != permits(row) => Some(other),
                _ => None,
            });
            questions.extend(others.map(|other| (proof.environment, Claim::RowsAgree(row.min(other), row.max(other)))));
        }
        questions.into_iter().collect()
    }

    /// Every environment, with the place of each statement whose scope can match there.
    fn applying<'s>(
        &self,
        statements: impl Iterator<Item = &'s Statement> + Clone,
    ) -> impl Iterator<Item = (usize, usize)> {
        let store = &self.snapshot.store;
        store.types.environments.iter().enumerate().flat_map(move |(index, environment)| {
            let numbered = statements.clone().enumerate();
            let applying = numbered.filter(|(_, found)| scope::can_match(&found.policy, environment, &store.schema));
            applying.map(move |(statement, _)| (index, statement))
        })
    }

    fn answer(&self, asker: &mut Asker<'_>, environment: usize, claim: Claim) -> Result<Verdict, String> {
        let at = self.at(environment)?;
        match claim {
            Claim::RowHolds(row) => at.row_holds(asker, self.row(row)?),
            Claim::RowMatches(row) => at.row_matches(asker, self.row(row)?),
            Claim::RowNeverErrs(row) => at.never_errs(asker, &self.row(row)?.policy),
            Claim::PolicyNeverErrs(policy) => at.never_errs(asker, self.policy(policy)?),
            Claim::RowsAgree(row, other) => at.rows_agree(asker, self.row(row)?, self.row(other)?),
            Claim::RowsDecideAll => at.rows_decide_all(asker),
        }
    }

    fn at(&self, environment: usize) -> Result<At<'_, 'a>, String> {
        Ok(At { prover: self, environment, request: self.request(environment)? })
    }

    /// Why there is no answer: where it is a character that the solver does not have, what has it.
    fn explained(&self, claim: Claim, why: String) -> String {
        if why != solver::beyond(solver::SOMETHING) {
            return why;
        }
        let policies = &self.snapshot.store.policies;
        let row = |row: usize| self.rows.get(row).copied().into_iter();
        let asked: Vec<&Statement> = match claim {
            Claim::RowHolds(own) => row(own).chain(policies).collect(),
            Claim::RowMatches(own) | Claim::RowNeverErrs(own) => row(own).collect(),
            Claim::RowsAgree(own, other) => row(own).chain(row(other)).collect(),
            Claim::PolicyNeverErrs(policy) => policies.get(policy).into_iter().collect(),
            Claim::RowsDecideAll => self.snapshot.store.rows.iter().collect(),
        };
        let found = asked.into_iter().find(|found| policy::has_character(&found.policy, |found| found > '\u{2ffff}'));
        let described = |found: &Statement| {
            let is_row = self.rows.iter().any(|row| std::ptr::eq(*row, found));
            format!("the {} `{}`", if is_row { "row" } else { "policy" }, found.name())
        };
        found.map_or(why, |found| solver::beyond(&described(found)))
    }

    fn row(&self, row: usize) -> Result<&'a Statement, String> {
        self.rows.get(row).copied().ok_or_else(|| "no such row".to_owned())
    }

    fn policy(&self, policy: usize) -> Result<&'a Policy, String> {
        self.snapshot.store.policies.get(policy).map(|policy| &policy.policy).ok_or_else(|| "no such policy".to_owned())
    }

    fn request(&self, environment: usize) -> Result<&RequestEnv, String> {
        let compiled = self.environments.get(environment).and_then(|compiled| compiled.request.as_ref());
        compiled.ok_or_else(|| "the schema has no such environment".to_owned())
    }
}

/// The questions of one environment.
struct At<'p, 'a> {
    prover: &'p Prover<'a>,
    environment: usize,
    request: &'p RequestEnv,
}

impl At<'_, '_> {
    fn row_holds(&self, asker: &mut Asker<'_>, row: &Statement) -> Result<Verdict, String> {
        let policies = self.policies()?;
        let without_errors = self.compiled_set(&[self.without_errors(row)?])?;
        let model = asker.ask(async |compiler| {
            if row.permits() {
                compiler.check_implies_with_counterexample_opt(&without_errors, policies).await
            } else {
                compiler.check_disjoint_with_counterexample_opt(&without_errors, policies).await
            }
        })?;
        let snapshot = self.prover.snapshot;
        let matcher = Matcher::new(&row.policy, &snapshot.store.types);
        let shows = |case: &Case| {
            let decision = snapshot.decide_case(case);
            decision.allowed != row.permits() && by_policies(&decision) && snapshot.matches(&matcher, case) == Ok(true)
        };
        match model {
            Some(model) => self.refuted(&model, &shows),
            None if row.permits() => self.nothing_errs_within(asker, row),
            None => Ok(Verdict::Proven),
        }
    }

    /// The row as a permit that matches only where every policy can be evaluated: elsewhere the engine denies, and Cedar may not.
    fn without_errors(&self, row: &Statement) -> Result<Policy, String> {
        where_none_fails(&as_permit(&row.policy)?, &self.may_err()?)
    }

    /// No policy fails for a request of a `permit` row, which the engine would deny.
    fn nothing_errs_within(&self, asker: &mut Asker<'_>, row: &Statement) -> Result<Verdict, String> {
        let snapshot = self.prover.snapshot;
        let matcher = Matcher::new(&row.policy, &snapshot.store.types);
        let shows = |case: &Case| {
            let decision = snapshot.decide_case(case);
            !decision.allowed && !decision.errors().is_empty() && snapshot.matches(&matcher, case) == Ok(true)
        };
        let compiled = self.compiled(&row.policy)?;
        for policy in self.may_err()? {
            // Where the row itself fails, it does not match.
            let evaluated = self.compiled(&policy::permit_when(&true_or_failing(policy))?)?;
            let found = asker.ask(async |compiler| {
                compiler.check_matches_implies_with_counterexample_opt(&compiled, &evaluated).await
            })?;
            if let Some(model) = found {
                return self.refuted(&model, &shows);
            }
        }
        Ok(Verdict::Proven)
    }

    /// The policies that may fail here.
    fn may_err(&self) -> Result<Vec<&Policy>, String> {
        let here = (self.environment, 0)..=(self.environment, usize::MAX);
        self.prover.may_err.range(here).map(|(_, policy)| self.prover.policy(*policy)).collect()
    }

    fn row_matches(&self, asker: &mut Asker<'_>, row: &Statement) -> Result<Verdict, String> {
        let row = self.compiled(&row.policy)?;
        let never = asker.ask(async |compiler| compiler.check_never_matches_opt(&row).await)?;
        Ok(if never { Verdict::Refuted(None) } else { Verdict::Proven })
    }

    fn requests_of(&self, asker: &mut Asker<'_>, row: &Statement) -> Result<Vec<Case>, String> {
        let mut cases = Vec::new();
        for verdict in [self.row_holds(asker, row)?, self.never_errs(asker, &row.policy)?] {
            match verdict {
                Verdict::Refuted(Some(example)) => cases.push(example.case),
                Verdict::Refuted(None) | Verdict::Proven => {}
                Verdict::Undecided(why) => return Err(why),
            }
        }
        let compiled = self.compiled(&row.policy)?;
        let found =
            asker.ask(async |compiler| compiler.check_never_matches_with_counterexample_opt(&compiled).await)?;
        if let Some(model) = found {
            let snapshot = self.prover.snapshot;
            let matcher = Matcher::new(&row.policy, &snapshot.store.types);
            let shows = |case: &Case| snapshot.matches(&matcher, case) == Ok(true);
            cases.push(confirmed(&model, self.environment, &snapshot.store.types, &self.prover.kept, &shows)?);
        }
        Ok(cases)
    }

    fn rows_agree(&self, asker: &mut Asker<'_>, row: &Statement, other: &Statement) -> Result<Verdict, String> {
        let (row, other) = (&row.policy, &other.policy);
        let compiled = (self.compiled(row)?, self.compiled(other)?);
        let found = asker.ask(async |compiler| {
            compiler.check_matches_disjoint_with_counterexample_opt(&compiled.0, &compiled.1).await
        })?;
        let Some(model) = found else { return Ok(Verdict::Proven) };
        let snapshot = self.prover.snapshot;
        let matchers = [row, other].map(|row| Matcher::new(row, &snapshot.store.types));
        self.refuted(&model, &|case| matchers.iter().all(|matcher| snapshot.matches(matcher, case) == Ok(true)))
    }

    fn never_errs(&self, asker: &mut Asker<'_>, policy: &Policy) -> Result<Verdict, String> {
        let snapshot = self.prover.snapshot;
        let matcher = Matcher::new(policy, &snapshot.store.types);
        self.errs(asker, policy, &|case| snapshot.matches(&matcher, case).is_err())
    }

    /// Proven if the policy can be evaluated for every request, refuted if not for one that `shows` it.
    fn errs(&self, asker: &mut Asker<'_>, policy: &Policy, shows: &dyn Fn(&Case) -> bool) -> Result<Verdict, String> {
        let compiled = self.compiled(policy)?;
        let found = asker.ask(async |compiler| compiler.check_never_errors_with_counterexample_opt(&compiled).await)?;
        match found {
            Some(model) => self.refuted(&model, shows),
            None => Ok(Verdict::Proven),
        }
    }

    fn rows_decide_all(&self, asker: &mut Asker<'_>) -> Result<Verdict, String> {
        let snapshot = self.prover.snapshot;
        let rows = &snapshot.store.rows;
        let permits = rows.iter().map(|row| as_permit(&row.policy)).collect::<Result<Vec<_>, _>>()?;
        let set = self.compiled_set(&permits)?;
        let found = asker.ask(async |compiler| compiler.check_always_allows_with_counterexample_opt(&set).await)?;
        let Some(model) = found else { return Ok(Verdict::Proven) };
        let matchers: Vec<Matcher> = rows.iter().map(|row| Matcher::new(&row.policy, &snapshot.store.types)).collect();
        self.refuted(&model, &|case| matchers.iter().all(|matcher| snapshot.matches(matcher, case) != Ok(true)))
    }

    /// The counterexample, if the engine agrees that it is one.
    fn refuted(&self, model: &Env, shows: &dyn Fn(&Case) -> bool) -> Result<Verdict, String> {
        let snapshot = self.prover.snapshot;
        let case = confirmed(model, self.environment, &snapshot.store.types, &self.prover.kept, shows)?;
        let decision = snapshot.decide_case(&case);
        Ok(Verdict::Refuted(Some(Box::new(Counterexample { case, decision }))))
    }

    fn policies(&self) -> Result<&CompiledPolicySet, String> {
        let compiled = self.prover.environments.get(self.environment).ok_or("no such environment")?;
        let policies = || self.prover.snapshot.store.policies.iter().map(|statement| &statement.policy);
        let compile = || self.compiled_set(policies());
        compiled.policies.get_or_init(compile).as_ref().map_err(Clone::clone)
    }

    fn compiled(&self, policy: &Policy) -> Result<CompiledPolicy, String> {
        CompiledPolicy::compile(policy, self.request, &self.prover.snapshot.store.schema).map_err(unsupported)
    }

    fn compiled_set<'p>(&self, policies: impl IntoIterator<Item = &'p Policy>) -> Result<CompiledPolicySet, String> {
        let set = PolicySet::from_policies(policies.into_iter().cloned()).map_err(|error| error.to_string())?;
        CompiledPolicySet::compile(&set, self.request, &self.prover.snapshot.store.schema).map_err(unsupported)
    }
}

/// What the solver found, as a small case: if it shows, decided by the engine, what was asked for.
fn confirmed(
    model: &Env,
    environment: usize,
    types: &Types,
    kept: &Kept,
    shows: &dyn Fn(&Case) -> bool,
) -> Result<Case, String> {
    let case = model::case_of(model, environment, types, shared::apart(false));
    let case = case.ok_or("the solver found a counterexample that cannot be written down")?;
    if !shows(&case) {
        return Err("the solver found a counterexample that the engine does not confirm".to_owned());
    }
    Ok(shrink::shrink(case, types, kept, shows))
}

fn unsupported(error: Error) -> String {
    solver::in_a_sentence(&error)
}

/// A denial because something is missing, unknown or in error is none that policies make.
fn by_policies(decision: &Decision) -> bool {
    matches!(&decision.outcome, Outcome::Evaluated { errors, .. } if errors.is_empty())
}

/// The permit, made to fail wherever one of these policies does, so that it permits nothing there.
fn where_none_fails(permit: &Policy, can_fail: &[&Policy]) -> Result<Policy, String> {
    narrowed(permit, can_fail.iter().map(|policy| true_or_failing(policy)))
}

/// A condition that holds wherever a policy can be evaluated, and fails elsewhere.
fn true_or_failing(policy: &Policy) -> String {
    let condition = policy.as_ref().condition();
    format!("({condition}) == ({condition})")
}

/// The permit where these conditions hold.
fn narrowed(permit: &Policy, conditions: impl Iterator<Item = String>) -> Result<Policy, String> {
    let mut conditions = conditions.peekable();
    if conditions.peek().is_none() {
        return Ok(permit.clone());
    }
    let own = format!("({})", permit.as_ref().condition());
    let all = conditions.fold(own, |all, condition| format!("{all} && ({condition})"));
    Ok(policy::permit_when(&all)?.new_id(permit.id().clone()))
}

/// Cedar's environment of a store: only one that its schema has, for of one that does not exist everything could be proven.
fn request_of(environment: &Environment, store: &Store) -> Result<RequestEnv, String> {
    let found = store.schema.request_envs().find(|known| environment.is_that_of(known));
    found.ok_or_else(|| "the schema has no such environment".to_owned())
}

/// The row as a permit: a `forbid` row says of which requests none may be allowed.
fn as_permit(row: &Policy) -> Result<Policy, String> {
    if row.effect() == Effect::Permit {
        return Ok(row.clone());
    }
    let mut json = row.to_json().map_err(|error| error.to_string())?;
    *member_of(&mut json, "effect")? = "permit".into();
    Policy::from_json(Some(row.id().clone()), json).map_err(|error| error.to_string())
}

/// That member of a policy, which every policy has.
fn member_of<'j>(policy: &'j mut serde_json::Value, name: &str) -> Result<&'j mut serde_json::Value, String> {
    policy.get_mut(name).ok_or_else(|| format!("a policy is written without its {name}"))
}
