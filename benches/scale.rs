//! What 100,000 stored accounts and as many users cost: `cargo bench --bench scale`.
//!
//! It compares services that differ in nothing but how much they store, in one run, asked in turns. Issue 4: "an evaluation costs
//! within 10 % of what it costs with ten; a resource search returns its first page of 100 in under 50 ms while evaluations keep
//! flowing; memory per stored entity is reported and under 1 kB for the support-contact account". And issue 6: "idle service: under
//! 30 MB resident; … start to ready under 100 ms".

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "../tests/common/binary.rs"]
#[allow(dead_code)]
mod binary;
mod connection;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use binary::{Serving, command};
use connection::Connection;
use serde_json::{Value, json};

const FEW: usize = 10;
const MANY: usize = 100_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    idle(folder.path());
    let start = |name: &str, accounts: usize, users: usize| {
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(&file, entities(accounts, users).to_string()).unwrap();
        let begun = Instant::now();
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--entities", file.to_str().unwrap()];
        let serving = Serving::start(&mut command(folder.path(), &arguments));
        println!("{accounts:>7} accounts, {users:>7} users: ready after {:.2} s", begun.elapsed().as_secs_f64());
        serving
    };
    let few = start("few", FEW, FEW);
    let [accounts, users] = [("accounts", MANY, FEW), ("users", FEW, MANY)].map(|(name, accounts, users)| {
        let serving = start(name, accounts, users);
        (resident_bytes(&serving) - resident_bytes(&few)) as f64 / (MANY - FEW) as f64
    });
    let many = start("many", MANY, MANY);
    let both = (resident_bytes(&many) - resident_bytes(&few)) as f64 / (MANY - FEW) as f64;
    println!(
        "resident memory for each stored account: {accounts:.0} bytes, for each user: {users:.0}, for one of each: {both:.0}"
    );

    evaluations(&few, &many);
    searches(&many);
}

/// The service without anything stored.
fn idle(folder: &Path) {
    let mut readied: Vec<(Duration, usize)> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            let serving = Serving::start(&mut command(folder, &["serve", "--listen", "127.0.0.1:0"]));
            Connection::to(serving.address()).post("/access/v1/evaluation", &view(0, 0));
            let ready = begun.elapsed();
            std::thread::sleep(Duration::from_secs(1));
            (ready, resident_bytes(&serving))
        })
        .collect();
    readied.sort();
    let ((ready, _), resident) =
        (readied[readied.len() / 2], readied.iter().map(|(_, resident)| resident).max().unwrap());
    println!(
        "the built-in store: from start to the first answer {:.0} ms (median of {}), then idle in at most {:.1} MB",
        micros(ready) / 1e3,
        readied.len(),
        *resident as f64 / 1e6
    );
}

/// The same question in turns to both services, each time about other entities: the processor time that each service takes. (How long
/// its answer takes depends more on which thread sleeps on which core.)
fn evaluations(few: &Serving, many: &Serving) {
    const REQUESTS: usize = 20_000;
    let mut services = [(few, FEW, 0.0), (many, MANY, 0.0)]
        .map(|(serving, stored, before)| (serving, Connection::to(serving.address()), stored, before));
    for measured in [false, true] {
        for (serving, _, _, before) in &mut services {
            *before = processor_micros(serving);
        }
        for index in 0..if measured { REQUESTS } else { REQUESTS / 10 } {
            for (_, connection, stored, _) in &mut services {
                // Far from one another, so that the many do not lie in the cache.
                let index = index * 7_919 % *stored;
                timed(connection, "/access/v1/evaluation", &view(index, index));
            }
        }
    }
    let [few, many] = services.map(|(serving, _, _, before)| (processor_micros(serving) - before) / REQUESTS as f64);
    println!(
        "evaluation over HTTP, processor time: {few:.1} µs with {FEW} of each, {many:.1} µs with {MANY}: {:.3} times",
        many / few
    );
}

/// What all threads of a service have taken.
fn processor_micros(serving: &Serving) -> f64 {
    let tasks = std::fs::read_dir(Path::new("/proc").join(serving.id().to_string()).join("task")).unwrap();
    let nanos = tasks.map(|task| {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    nanos.sum::<f64>() / 1e3
}

/// First pages of 100, while evaluations go on.
fn searches(many: &Serving) {
    let searches = [
        ("dense: the portal, whose accounts to show the contact of", portal()),
        ("sparse: a Company Admin, whose account is one of all", with_role("companyAdmin", MANY / 2)),
        ("none: an account user of an account that is not there", with_role("accountUser", MANY)),
    ];
    let mut connection = Connection::to(many.address());
    let quiet: Vec<Duration> =
        (0..2_000).map(|index| timed(&mut connection, "/access/v1/evaluation", &view(index, index))).collect();
    println!("evaluations alone: {}", quantiles(quiet));
    for (name, body) in searches {
        let done = AtomicBool::new(false);
        let (times, results, meanwhile) = std::thread::scope(|scope| {
            let evaluating = scope.spawn(|| {
                let (mut connection, mut times) = (Connection::to(many.address()), Vec::new());
                while !done.load(Ordering::Relaxed) {
                    times.push(timed(&mut connection, "/access/v1/evaluation", &view(times.len(), times.len())));
                }
                times
            });
            let mut connection = Connection::to(many.address());
            let mut results = 0;
            let times: Vec<Duration> = (0..200)
                .map(|_| {
                    let begun = Instant::now();
                    let answer = connection.post("/access/v1/search/resource", &body);
                    let time = begun.elapsed();
                    let answer: Value = serde_json::from_str(&answer).unwrap();
                    results = answer["results"].as_array().unwrap().len();
                    time
                })
                .collect();
            done.store(true, Ordering::Relaxed);
            (times, results, evaluating.join().unwrap())
        });
        println!("search, {name}: {results} results, {}", quantiles(times));
        println!("  evaluations meanwhile: {}", quantiles(meanwhile));
    }
}

fn entities(accounts: usize, users: usize) -> Value {
    let account = |index: usize| {
        json!({
            "uid": { "type": "Account", "id": format!("account-{index:06}") },
            "attrs": {
                "kind": (["direct", "partner", "managed"][index % 3]),
                "stage": (["new", "existing"][index % 2]),
                "supportedBy": (["megaport", "partner"][index / 2 % 2]),
                "provisionedServices": index % 5,
                "signUpEmail": format!("owner@account-{index:06}.example.com"),
                "billingMarket": "AU",
                "supportContact": {
                    "phone": format!("(02) 9{:03} {:04}", 300 + index / 10_000 % 100, index % 10_000),
                    "email": format!("support@account-{index:06}.example.com"),
                },
            },
        })
    };
    let user = |index: usize| {
        json!({
            "uid": { "type": "User", "id": format!("user-{index:06}") },
            "attrs": { "role": (["companyAdmin", "salesTeam", "accountUser"][index % 3]), "account": format!("account-{index:06}") },
        })
    };
    (0..accounts).map(account).chain((0..users).map(user)).collect()
}

fn view(user: usize, account: usize) -> String {
    json!({
        "subject": { "type": "User", "id": format!("user-{user:06}") },
        "action": { "name": "viewSupportContact" },
        "resource": { "type": "Account", "id": format!("account-{account:06}") },
    })
    .to_string()
}

fn with_role(role: &str, account: usize) -> String {
    json!({
        "subject": { "type": "User", "id": "somebody", "properties": { "role": role, "account": format!("account-{account:06}") } },
        "action": { "name": "viewSupportContact" },
        "resource": { "type": "Account" },
        "page": { "limit": 100 },
    })
    .to_string()
}

fn portal() -> String {
    json!({
        "subject": { "type": "Portal", "id": "portal" },
        "action": { "name": "displaySupportContact" },
        "resource": { "type": "Account" },
        "page": { "limit": 100 },
    })
    .to_string()
}

fn timed(connection: &mut Connection, path: &str, body: &str) -> Duration {
    let begun = Instant::now();
    let answer = connection.post(path, body);
    let time = begun.elapsed();
    assert!(answer.starts_with("{\"decision\":"), "{answer}");
    time
}

fn resident_bytes(serving: &Serving) -> usize {
    let status = std::fs::read_to_string(Path::new("/proc").join(serving.id().to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn quantile(mut times: Vec<Duration>, part: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * part) as usize]
}

fn quantiles(times: Vec<Duration>) -> String {
    let at = |part| micros(quantile(times.clone(), part)) / 1e3;
    format!("median {:.2} ms, p99 {:.2} ms, longest {:.2} ms ({} requests)", at(0.5), at(0.99), at(1.0), times.len())
}
