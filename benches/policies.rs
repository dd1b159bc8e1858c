//! What a decision costs among 10 to 100,000 policies, beside plain Cedar: `cargo bench --bench policies`.
//!
//! Issue 6: "`cargo bench` (criterion) for a decision at 10, 100, 1,000, 10,000 and 100,000 policies"; "10,000 policies: at most 1.2 times the
//! cost of 10 …; load time and memory reported, and load under a second". Each team has one policy for its folder; a request is
//! about one of ten teams, so that one policy is evaluated, however many there are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs
)]

#[path = "http/world.rs"]
#[allow(dead_code)]
mod world;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use cedar_policy::{Authorizer, Context, Decision, Entities, PolicySet, Request, RestrictedExpression, Schema};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gatepost::engine::Snapshot;
use gatepost::http::authzen::{self, Limits};
use gatepost::http::callers::Caller;
use gatepost::http::journal::Journal;
use gatepost::request::Facts;
use gatepost::request::json::Json;
use gatepost::store::Origin;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

fn decisions(criterion: &mut Criterion) {
    let limits = Limits::default();
    let bodies: Vec<String> = (0..world::REQUESTS).map(|number| world::authzen(number, world::allowed)).collect();
    for policies in [10, 100, 1_000, 10_000, 100_000] {
        let (resident, began) = (resident(), Instant::now());
        let snapshot = loaded(policies);
        let took = began.elapsed();
        println!(
            "\n{policies} policies: loaded in {:.3} s, {:.1} MB more of memory",
            took.as_secs_f64(),
            (self::resident() - resident) / 1e6
        );
        let mut group = criterion.benchmark_group("policies");
        let mut turn = bodies.iter().cycle();
        group.bench_function(BenchmarkId::new("evaluation", policies), |bencher| {
            bencher.iter(|| {
                let body = turn.next().unwrap().as_bytes();
                authzen::evaluation(&snapshot, &limits, &Caller::anonymous(), black_box(body), &mut Journal::none())
                    .unwrap()
            });
        });
        let parsed = Json::parse(bodies[0].as_bytes(), limits.depth).unwrap();
        let question = authzen::question(&parsed).unwrap();
        let resolved = snapshot.resolve(&question, Facts::FromPlugins).unwrap();
        assert!(snapshot.decide_resolved(&resolved, &snapshot.entities).allowed);
        group.bench_function(BenchmarkId::new("decide", policies), |bencher| {
            bencher.iter(|| snapshot.decide_resolved(black_box(&resolved), &snapshot.entities));
        });
        group.sample_size(10);
        let plain = Plain::new(policies);
        assert!(plain.allows());
        group.bench_function(BenchmarkId::new("plain Cedar", policies), |bencher| bencher.iter(|| plain.allows()));
        group.finish();
    }
}

fn loaded(policies: usize) -> Arc<Snapshot> {
    let folder = tempfile::tempdir().unwrap();
    world::write(folder.path(), policies);
    Arc::new(Snapshot::load(Origin::Folder(folder.path().to_owned())).unwrap())
}

/// What decides with Cedar's own functions, for a request that is made already.
struct Plain {
    policies: PolicySet,
    entities: Entities,
    request: Request,
}

impl Plain {
    fn new(policies: usize) -> Self {
        let (schema, _) = Schema::from_cedarschema_str(world::SCHEMA).unwrap();
        let context = Context::from_pairs([("secure".to_owned(), RestrictedExpression::new_bool(true))]).unwrap();
        let [principal, action, resource] =
            ["User::\"u0\"", "Action::\"read\"", "Doc::\"d0\""].map(|uid| uid.parse().unwrap());
        Self {
            policies: world::policies(policies).parse().unwrap(),
            entities: Entities::from_json_value(world::entities(), Some(&schema)).unwrap(),
            request: Request::new(principal, action, resource, context, Some(&schema)).unwrap(),
        }
    }

    fn allows(&self) -> bool {
        let response = Authorizer::new().is_authorized(black_box(&self.request), &self.policies, &self.entities);
        response.decision() == Decision::Allow
    }
}

/// The memory of this process (`proc_pid_status(5)`: `VmRSS`), in bytes; 0 where there is no such file.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kilobytes.map_or(0.0, |kilobytes| kilobytes.parse::<f64>().unwrap() * 1024.0)
}

criterion_group!(benches, decisions);
criterion_main!(benches);
