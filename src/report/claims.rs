//! What the proofs say, in words.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::shown::{decided_by, line, visible};
use super::{Finding, Mark};
use crate::engine::Decision;
use crate::prove::{Claim, Proof, RowStatus, Verdict};
use crate::request::case::Case;
use crate::store::{Statement, Store};

/// What it means that a row is proven.
pub const PROVEN_MEANS: &str = "proven means: for every request that conforms to the schema and matches the row, the decision is \
    the one that the row names";

/// What a counterexample to a claim shows; `permits` says whether the row does that it is about.
pub fn refuted(claim: Claim, permits: bool) -> &'static str {
    match claim {
        Claim::RowHolds(_) if permits => "must be allowed, but this request is denied",
        Claim::RowHolds(_) => "must be denied, but this request is allowed",
        Claim::RowNeverErrs(_) => "cannot be evaluated for this request, and so says nothing about it",
        Claim::PolicyNeverErrs(_) => "cannot be evaluated for this request, which is denied for that reason",
        Claim::RowsAgree(..) => "contradict each other: both match this request",
        Claim::RowMatches(_) | Claim::RowsDecideAll => "does not hold for this request",
    }
}

/// The proofs, or why there are none.
#[derive(Clone, Debug)]
pub enum Proofs {
    /// What was asked of a solver, and what it said.
    Asked {
        /// The name and the version of the solver.
        solver: String,
        /// The proofs.
        proofs: Vec<Proof>,
    },
    /// Nothing was proven here, for this reason.
    NotHere(String),
}

/// What is proven of a row, a policy or a kind of request.
#[derive(Clone, Debug, Default)]
pub struct Proven {
    /// Whether it is; `None` where nothing was proven here.
    pub mark: Option<Mark>,
    /// What was proven and what was not, each a sentence.
    pub said: Vec<String>,
    /// The requests that show what does not hold.
    pub examples: Vec<Example>,
}

/// A request that shows something.
#[derive(Clone, Debug)]
pub struct Example {
    /// What it shows.
    pub shows: String,
    /// The request, as `gatepost decide --facts` takes it.
    pub request: String,
    /// What is decided, and by what.
    pub decision: String,
}

impl Example {
    pub(super) fn new(shows: String, request: &Json, decision: &Decision) -> Self {
        let effect = if decision.allowed { "Allowed" } else { "Denied" };
        let decision = line(&format!("{effect} {}.", decided_by(decision)));
        Self { shows, request: visible(&format!("{request:#}")), decision }
    }
}

/// Puts proofs into words.
pub(super) struct Words<'a> {
    pub(super) store: &'a Store,
    pub(super) proofs: &'a Proofs,
    /// Writes a request as callers send it.
    pub(super) request: &'a dyn Fn(&Case) -> Json,
}

impl Words<'_> {
    /// What is proven of a row.
    pub(super) fn of_row(&self, index: usize, row: &Statement) -> Proven {
        let (solver, proofs) = match self.proofs {
            Proofs::Asked { solver, proofs } => (solver, proofs),
            Proofs::NotHere(why) => return not_here(why),
        };
        let status = RowStatus::of(index, proofs);
        let mut proven = Proven { mark: Some(Finding::from(status).mark), ..Proven::default() };
        match status {
            RowStatus::Proven => proven.said = self.proven(index, row, solver, proofs),
            RowStatus::Unmatched => proven.said.push("No request matches this row, so it says nothing.".to_owned()),
            RowStatus::Refuted | RowStatus::Undecided => {
                let about = |claim: Claim| match claim {
                    Claim::RowsAgree(one, other) => one == index || other == index,
                    claim => claim.is_about(index),
                };
                self.tell(&mut proven, proofs.iter().filter(|proof| about(proof.claim)), row.permits());
            }
        }
        proven
    }

    /// The claims that together make a row proven, and where.
    fn proven(&self, index: usize, row: &Statement, solver: &str, proofs: &[Proof]) -> Vec<String> {
        let kinds = |matched: bool| {
            let asked = proofs.iter().filter(|proof| proof.claim == Claim::RowMatches(index));
            let found = asked.filter(|proof| matches!(proof.verdict, Verdict::Proven) == matched);
            let kinds: BTreeSet<String> = found.map(|proof| self.kind(proof.environment)).collect();
            kinds.into_iter().collect::<Vec<_>>().join(", ")
        };
        let (effect, matching, others) = (if row.permits() { "allowed" } else { "denied" }, kinds(true), kinds(false));
        let mut said = vec![format!(
            "By {solver}, for {matching}: every request that conforms to the schema and matches this row is {effect}; some match \
             it; none makes the row fail to evaluate."
        )];
        if !others.is_empty() {
            said.push(format!("No request of {others} matches it."));
        }
        said
    }

    /// Whether a policy can be evaluated for every request.
    pub(super) fn of_policy(&self, index: usize) -> Proven {
        let (solver, proofs) = match self.proofs {
            Proofs::Asked { solver, proofs } => (solver, proofs),
            Proofs::NotHere(why) => return not_here(why),
        };
        let own = || proofs.iter().filter(|proof| proof.claim == Claim::PolicyNeverErrs(index));
        let mut proven = Proven::default();
        self.tell(&mut proven, own(), true);
        let mark = match () {
            () if own().any(Proof::fails) => Mark::Fails,
            () if own().any(Proof::is_undecided) => Mark::Undecided,
            () if own().next().is_none() => Mark::Unmatched,
            () => Mark::Holds,
        };
        match mark {
            Mark::Holds => proven.said.push(format!("It can be evaluated for every request. Proven by {solver}.")),
            Mark::Unmatched => proven.said.push("It applies to no request that the schema knows.".to_owned()),
            Mark::Fails | Mark::Undecided => {}
        }
        Proven { mark: Some(mark), ..proven }
    }

    /// Whether rows decide every request of an environment. That they do not is no failure.
    pub(super) fn of_environment(&self, index: usize) -> Proven {
        let (solver, proofs) = match self.proofs {
            Proofs::Asked { solver, proofs } => (solver, proofs),
            Proofs::NotHere(why) => return not_here(why),
        };
        let own = proofs.iter().find(|proof| (proof.environment, proof.claim) == (index, Claim::RowsDecideAll));
        let (mark, said) = match own.map(|proof| &proof.verdict) {
            Some(Verdict::Proven) => (Mark::Holds, format!("Rows decide every request. Proven by {solver}.")),
            Some(Verdict::Undecided(why)) => {
                (Mark::Undecided, format!("Whether rows decide every request is not decided: {}.", line(why)))
            }
            Some(Verdict::Refuted(_)) => (Mark::Unmatched, "There are requests that no row decides.".to_owned()),
            None => (Mark::Unmatched, "There is no matrix: no row decides anything.".to_owned()),
        };
        Proven { mark: Some(mark), said: vec![said], examples: Vec::new() }
    }

    /// What does not hold, and what is not decided.
    fn tell<'p>(&self, proven: &mut Proven, proofs: impl Iterator<Item = &'p Proof>, permits: bool) {
        for proof in proofs {
            match &proof.verdict {
                Verdict::Undecided(why) => {
                    let kind = self.kind(proof.environment);
                    proven.said.push(format!("Not decided for requests of {kind}: {}.", line(why)));
                }
                Verdict::Refuted(Some(found)) if proof.fails() => {
                    let shows = shows(proof.claim, permits);
                    proven.examples.push(Example::new(shows, &(self.request)(&found.case), &found.decision));
                }
                _ => {}
            }
        }
    }

    fn kind(&self, environment: usize) -> String {
        let found = self.store.types.environments.get(environment);
        found.map(|environment| line(&environment.to_string())).unwrap_or_default()
    }
}

fn shows(claim: Claim, permits: bool) -> String {
    let sentence = refuted(claim, permits);
    match claim {
        Claim::RowsAgree(one, other) => format!("R{} and R{} {sentence}", one + 1, other + 1),
        Claim::PolicyNeverErrs(_) => format!("The policy {sentence}"),
        Claim::RowHolds(_) => format!("What matches the row {sentence}"),
        _ => format!("The row {sentence}"),
    }
}

fn not_here(why: &str) -> Proven {
    Proven { mark: None, said: vec![format!("Not proven here: {}.", line(why))], examples: Vec::new() }
}
