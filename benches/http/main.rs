//! How fast the service decides beside others: `cargo bench --bench http`.
//!
//! Issue 6: "starts the release binary, the bare axum echo, plain axum + Cedar, and the peers …, pins server and client to different
//! cores, alternates the runs, checks that every answer is the right one, and prints medians and ratios". All servers share one core,
//! the client has another. A server that is this program itself is started as `http --serve NAME`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs
)]

mod client;
mod servers;
mod world;

use std::process::Command;
use std::time::Duration;

use client::{Client, Sample};
use servers::{Server, Started};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--serve") {
        return servers::serve(&arguments[place + 1], arguments.get(place + 2).map(String::as_str));
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // What is started on one core makes itself as many threads as that has use for.
    on_core(0);
    let started: Vec<Started> = Server::all().into_iter().filter_map(|server| server.start(folder.path())).collect();
    on_core(1);
    let mut samples: Vec<Vec<Sample>> = started.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for (server, samples) in started.iter().zip(&mut samples) {
            let before = ticks(server.process);
            let mut sample = Client::to(server).run(ROUND);
            sample.core = (ticks(server.process) - before) / sample.answers as f64;
            // In the first round everything is new.
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    println!(
        "{} connections, {ROUNDS} rounds of {} s each, in turns, one core for the servers and one for the client; medians:\n",
        client::CONNECTIONS,
        ROUND.as_secs()
    );
    println!(
        "| | requests a second | of the echo | µs of the core | p50 µs | p99 µs |\n|---|---:|---:|---:|---:|---:|"
    );
    let echo = median(samples[0].iter().map(|sample| sample.rate));
    for (server, samples) in started.iter().zip(&samples) {
        let of = |what: fn(&Sample) -> f64| median(samples.iter().map(what));
        println!(
            "| {} | {:.0} | {:.2} | {:.1} | {:.0} | {:.0} |",
            server.name,
            of(|sample| sample.rate),
            of(|sample| sample.rate) / echo,
            of(|sample| sample.core * 1e6),
            of(|sample| sample.p50 * 1e6),
            of(|sample| sample.p99 * 1e6),
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// From now on, this process and those that it starts run on that core. Where there is no such program, they share all cores.
fn on_core(core: usize) {
    let _ = Command::new("taskset").args(["-apc", &core.to_string(), &std::process::id().to_string()]).output();
}

/// The time that a process has run for (`proc_pid_stat(5)`: `utime` and `stime`), in seconds; its ticks are hundredths on every Linux.
fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}
