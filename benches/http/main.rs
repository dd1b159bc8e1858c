//! How fast the service decides beside others: `cargo bench --bench http`.
//!
//! Issue 6: "starts the release binary, the bare axum echo, plain axum + Cedar, and the peers …, pins server and client to different
//! cores, alternates the runs, checks that every answer is the right one, and prints medians and ratios and a chart". All servers share
//! one core, the client has another. A server that is this program itself is started as `http --serve NAME`; the peers are those that
//! `scripts/peers` has installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs
)]

mod chart;
mod client;
mod peers;
mod servers;
mod service;
mod world;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chart::Bar;
use clap::Parser;
use client::{Client, Sample};
use servers::{Server, Started};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

/// How fast the service decides beside others.
#[derive(Parser)]
struct Arguments {
    /// How often each server is measured
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// For how many seconds each time
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only the echo, and the servers whose names contain this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    only: String,
    /// Write a chart there, too
    #[arg(long, value_name = "SVG")]
    chart: Option<PathBuf>,
    /// Be a server of this name
    #[arg(long, num_args = 1..=2, hide = true)]
    serve: Vec<String>,
    /// What `cargo bench` says to all benchmarks
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(name) = arguments.serve.first() {
        return servers::serve(name, arguments.serve.get(1).map(String::as_str));
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // What is started on one core makes itself as many threads as that has use for.
    let apart = on_core(0);
    let wanted = |(place, server): &(usize, Server)| *place == 0 || server.name.contains(&arguments.only);
    let servers = Server::all().into_iter().enumerate().filter(wanted);
    let started: Vec<Started> = servers.filter_map(|(_, server)| server.start(folder.path())).collect();
    let apart = apart && on_core(1);
    let samples = measure(&started, &arguments);
    print(&started, &samples, &arguments, apart);
    if let Some(path) = &arguments.chart {
        draw(&started, &samples, path);
    }
}

/// What each server did in each round, of those in turns.
fn measure(started: &[Started], arguments: &Arguments) -> Vec<Vec<Sample>> {
    let mut samples: Vec<Vec<Sample>> = started.iter().map(|_| Vec::new()).collect();
    for round in 0..=arguments.rounds {
        for (server, samples) in started.iter().zip(&mut samples) {
            let before = ticks(server.process);
            let mut sample = Client::to(server).run(Duration::from_secs_f64(arguments.seconds));
            sample.rate *= server.decisions as f64;
            sample.core = (ticks(server.process) - before) / (sample.answers * server.decisions) as f64;
            // In the first round everything is new.
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    samples
}

fn print(started: &[Started], samples: &[Vec<Sample>], arguments: &Arguments, apart: bool) {
    println!(
        "{} connections, {} rounds of {} s each, in turns, {}; medians:\n",
        client::CONNECTIONS,
        arguments.rounds,
        arguments.seconds,
        match apart {
            true => "one core for the servers and one for the client",
            false =>
                "SERVERS AND CLIENT ON THE SAME CORES (without `taskset` and two cores): not to be compared with other runs",
        }
    );
    println!(
        "| | decisions a second | of the echo | µs of the core | p50 µs | p99 µs | ready after | resident |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|"
    );
    let echo = median(samples[0].iter().map(|sample| sample.rate));
    for (server, samples) in started.iter().zip(samples) {
        let of = |what: fn(&Sample) -> f64| median(samples.iter().map(what));
        println!(
            "| {} | {:.0} | {:.2} | {:.1} | {:.0} | {:.0} | {:.2} s | {:.0} MB |",
            server.name,
            of(|sample| sample.rate),
            of(|sample| sample.rate) / echo,
            of(|sample| sample.core * 1e6),
            of(|sample| sample.p50 * 1e6),
            of(|sample| sample.p99 * 1e6),
            server.ready.as_secs_f64(),
            resident(server.process) / 1e6,
        );
    }
}

fn draw(started: &[Started], samples: &[Vec<Sample>], path: &Path) {
    let rates: Vec<f64> = samples.iter().map(|samples| median(samples.iter().map(|sample| sample.rate))).collect();
    let bars = started.iter().zip(&rates);
    let bars = bars.map(|(server, rate)| Bar { name: &server.name, rate: *rate, of_echo: rate / rates[0] });
    std::fs::write(path, chart::svg(&bars.collect::<Vec<_>>())).unwrap();
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// From now on, this process and those that it starts run on that core: whether it is so.
fn on_core(core: usize) -> bool {
    let output = Command::new("taskset").args(["-apc", &core.to_string(), &std::process::id().to_string()]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The memory that a process holds after all rounds (`proc_pid_status(5)`: `VmRSS`), in bytes.
fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() * 1024.0
}

/// The time that a process has run for (`proc_pid_stat(5)`: `utime` and `stime`), in seconds; its ticks are hundredths on every Linux.
fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}
