//! The built-in store and the oracle agree on every case: issue 2, "all decisions of the cross product … agree with an
//! independent oracle written from the document".

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "oracle/mod.rs"]
#[allow(unreachable_pub)]
mod oracle;

use std::sync::atomic::{AtomicUsize, Ordering};

use gatepost::http::authzen::{Limits, evaluation};
use gatepost::http::callers::Caller;
use gatepost::http::journal::Journal;
use oracle::Case;

#[test]
fn every_decision_of_the_cross_product_agrees_with_the_document() {
    let snapshot = common::built_in();
    let limits = Limits::default();
    let cases: Vec<Case> = oracle::cases().collect();
    let allowed = AtomicUsize::new(0);
    let decide = |case: &Case| {
        let expected = oracle::expected(case);
        allowed.fetch_add(usize::from(expected), Ordering::Relaxed);
        let body = oracle::request(case).to_string();
        let decided = evaluation(&snapshot, &limits, &Caller::anonymous(), body.as_bytes(), &mut Journal::none())
            .map(|answer| answer.decision);
        (decided != Ok(expected)).then(|| format!("expected {expected}, decided {decided:?}\n{body}"))
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let differences: Vec<String> = std::thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(cores));
        let threads: Vec<_> =
            parts.map(|part| scope.spawn(|| part.iter().filter_map(&decide).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let first: Vec<_> = differences.iter().take(5).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), cases.len(), first.join("\n"));
    let counts = (cases.len(), allowed.into_inner());
    println!("{} cases, {} of them allowed", counts.0, counts.1);
    assert_eq!(counts, (298_988, 6_354));
}
