//! What the decision log costs: `cargo bench --bench log`.
//!
//! Issue 5: "`strict` at 32 connections reaches at least half the throughput of `off` in the same run; `buffered` at least 0.9", and
//! "every logged request decided again, at hundreds of thousands a second". The services are asked in turns; all share one core, the
//! clients have the other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "../tests/common/binary.rs"]
#[allow(dead_code)]
mod binary;
mod connection;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use binary::{Serving, command};
use connection::Connection;
use serde_json::json;

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const MODES: [&str; 4] = ["off", "lossy", "buffered", "strict"];

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // A service that is started on one core makes itself as many threads as that has use for.
    on_core(0);
    let services = MODES.map(|mode| start(folder.path(), mode));
    on_core(1);
    let mut rates = MODES.map(|_| Vec::new());
    let mut costs = MODES.map(|_| Vec::new());
    for round in 0..=ROUNDS {
        for (serving, (rates, costs)) in services.iter().zip(rates.iter_mut().zip(&mut costs)) {
            let before = ticks(serving);
            let rate = rate(serving);
            // In the first round everything is new.
            if round > 0 {
                rates.push(rate);
                costs.push((ticks(serving) - before) / TICKS / ROUND.as_secs_f64() / rate * 1e6);
            }
        }
    }
    let (medians, costs) = (rates.map(median), costs.map(median));
    println!("{CONNECTIONS} connections, {ROUNDS} rounds of {} s each, in turns; medians:", ROUND.as_secs());
    for ((mode, rate), cost) in MODES.iter().zip(medians).zip(costs) {
        let ratio = rate / medians[0];
        println!("  {mode:<8} {rate:>8.0} decisions a second, {ratio:.3} of off; {cost:>5.1} µs of the core for each");
    }
    services.into_iter().for_each(|serving| {
        serving.signal("TERM");
        assert_eq!(serving.end().0, Some(0));
    });
    for mode in ["buffered", "strict"] {
        for arguments in [["log", "verify", mode], ["replay", mode, "--format=json"]] {
            let ran = binary::gatepost(folder.path(), &arguments).with(0);
            match serde_json::from_str::<serde_json::Value>(&ran.out) {
                Ok(replay) => {
                    let (replayed, seconds) =
                        (replay["replayed"].as_f64().unwrap(), replay["seconds"].as_f64().unwrap());
                    println!(
                        "replay {mode}: {replayed} of {} requests, {:.0} a second, {} changed",
                        replay["records"],
                        replayed / seconds,
                        replay["changed"]
                    );
                }
                Err(_) => println!("{}", ran.out.trim()),
            }
        }
    }
}

fn start(folder: &Path, mode: &str) -> Serving {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log", mode, "--log-durability", mode];
    Serving::start(&mut command(folder, &arguments))
}

/// From now on, this process and those that it starts run on that core. Where there is no such program, they share all cores.
fn on_core(core: usize) {
    let _ = Command::new("taskset").args(["-apc", &core.to_string(), &std::process::id().to_string()]).output();
}

/// So many ticks of the clock of processes are a second, on every Linux.
const TICKS: f64 = 100.0;

/// The time that a service has run for (`proc_pid_stat(5)`: `utime` and `stime`), in ticks.
fn ticks(serving: &Serving) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", serving.id())).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum()
}

/// Decisions a second, on requests of 4,096 people about 512 accounts with as many phone numbers.
fn rate(serving: &Serving) -> f64 {
    let (stop, decided) = (AtomicBool::new(false), AtomicUsize::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (stop, decided) = (&stop, &decided);
            scope.spawn(move || {
                let bodies: Vec<String> = (0..128).map(|number| body(connection * 128 + number)).collect();
                let mut connection = Connection::to(serving.address());
                for body in bodies.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    assert_eq!(connection.post("/access/v1/evaluation", body), r#"{"decision":true}"#);
                    decided.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(ROUND);
        stop.store(true, Ordering::Relaxed);
    });
    decided.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn body(number: usize) -> String {
    let account = format!("account-{}", number % 512);
    json!({
        "subject": { "type": "User", "id": format!("user-{number}"), "properties": { "role": "companyAdmin", "account": account } },
        "action": { "name": "enterSupportContact" },
        "resource": { "type": "Account", "id": account, "properties": {
            "kind": "direct", "stage": "new", "supportedBy": "megaport", "provisionedServices": 0,
            "signUpEmail": format!("owner@{account}.example"), "billingMarket": "AU",
        } },
        "context": { "phone": format!("(02) 9300 {:04}", number), "email": format!("support@{account}.example") },
    })
    .to_string()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
