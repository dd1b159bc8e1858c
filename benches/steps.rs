//! Where the time of a decision goes, step by step: `cargo bench --bench steps`.
//!
//! Issue 6: "`cargo bench` (criterion) for … each step of the request path, for both plugins". The request is one of a portal of the
//! built-in store: a person enters a support contact, with a phone number and an e-mail address.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use gatepost::engine::Snapshot;
use gatepost::http::authzen::{self, Limits};
use gatepost::http::callers::Caller;
use gatepost::http::journal::Journal;
use gatepost::log::Entries;
use gatepost::log::mask::{Links, Mask};
use gatepost::log::record::{Endpoint, Heading, Recorder, Told};
use gatepost::plugin;
use gatepost::request::Facts;
use gatepost::request::json::Json;
use gatepost::store::Origin;
use serde_json::json;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

fn steps(criterion: &mut Criterion) {
    let snapshot = Snapshot::load(Origin::BuiltIn).unwrap();
    let limits = Limits::default();
    let body = json!({
        "subject": { "type": "User", "id": "user-7", "properties": { "role": "companyAdmin", "account": "account-7" } },
        "action": { "name": "enterSupportContact" },
        "resource": { "type": "Account", "id": "account-7", "properties": {
            "kind": "direct", "stage": "new", "supportedBy": "megaport", "provisionedServices": 0,
            "signUpEmail": "owner@account-7.example", "billingMarket": "AU",
        } },
        "context": { "phone": "(02) 9300 0007", "email": "support@account-7.example" },
    })
    .to_string();
    let body = body.as_bytes();
    let recorder = Recorder { mask: Mask::new(b"a key", Links::Auto).ok() };
    let heading = Heading {
        request_id: "0f6f2c1e-6a1c-4a55-9d0e-6e6a2f1f8a11",
        trace_id: None,
        caller: Some("portal"),
        endpoint: Endpoint::Evaluation,
        snapshot: &snapshot,
    };

    let parsed = Json::parse(body, limits.depth).unwrap();
    let question = authzen::question(&parsed).unwrap();
    let resolved = snapshot.resolve(&question, Facts::FromPlugins).unwrap();
    let decision = snapshot.decide_resolved(&resolved, &snapshot.entities);
    assert!(decision.allowed);

    let mut group = criterion.benchmark_group("steps");
    group.bench_function("decode", |bencher| bencher.iter(|| Json::parse(black_box(body), limits.depth).unwrap()));
    group.bench_function("read", |bencher| bencher.iter(|| authzen::question(black_box(&parsed)).unwrap()));
    group.bench_function("resolve", |bencher| {
        bencher.iter(|| snapshot.resolve(black_box(&question), Facts::FromPlugins).unwrap());
    });
    group.bench_function("decide", |bencher| {
        bencher.iter(|| snapshot.decide_resolved(black_box(&resolved), &snapshot.entities));
    });
    group.bench_function("record", |bencher| {
        bencher.iter(|| {
            let (told, mut entries) = (
                Told { item: None, time: SystemTime::now(), took: Duration::ZERO, unread: (&[], 0) },
                Entries::default(),
            );
            recorder.decision(&heading, told, &question, &resolved, black_box(&decision), &mut entries);
            entries
        });
    });
    group.bench_function("all without a record", |bencher| {
        bencher.iter(|| {
            authzen::evaluation(&snapshot, &limits, &Caller::anonymous(), black_box(body), &mut Journal::none())
                .unwrap()
        });
    });
    group.bench_function("all with a record", |bencher| {
        bencher.iter(|| {
            let mut journal = Journal::new(&recorder, heading);
            authzen::evaluation(&snapshot, &limits, &Caller::anonymous(), black_box(body), &mut journal).unwrap();
            journal
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("plugins");
    for (name, raw, arguments) in
        [("email", "support@account-7.example", &[][..]), ("phone", "(02) 9300 0007", &[Some("AU")][..])]
    {
        let plugin = plugin::find(name).unwrap();
        group.bench_function(name, |bencher| bencher.iter(|| plugin::read(plugin, black_box(raw), arguments)));
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
