//! `gatepost serve`: the service. Exit 0 after it was told to stop, 2 if it cannot start.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::config::Settings;
use super::output::{self, Failure};
use super::prove::SolverArguments;
use super::report;
use crate::engine::{Engine, Snapshot};
use crate::http::authzen::Reasons;
use crate::http::discovery::PublicUrl;
use crate::http::{self, ReportPage, Service, body};
use crate::store::{Severity, Store};

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let (address, limits, public_url) = (settings.address()?, settings.limits()?, settings.public_url()?);
    let snapshot = settings.snapshot()?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(format!("the service cannot be started: {error}")))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(|error| taken(address, &error))?;
        let stop = stop_signal()?;
        let address = listener.local_addr().unwrap_or(address);
        output::print(&banner(&snapshot, address))?;
        let public_url = public_url.or_else(|| PublicUrl::of_loopback(address, false));
        let service = Service { engine: Engine::new(snapshot), limits, report: Arc::default(), public_url };
        if limits.max_reasons >= Reasons::Admin {
            make_report(service.engine.snapshot(), Arc::clone(&service.report))?;
        }
        http::serve(listener, service, stop)
            .await
            .map_err(|error| Failure::new(format!("the service had to stop: {error}")))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the page of `/report` beside the service, which does not wait for it.
fn make_report(snapshot: Arc<Snapshot>, page: Arc<ReportPage>) -> Result<(), Failure> {
    let date = report::date()?;
    let make = move || {
        let made = catch_unwind(AssertUnwindSafe(|| {
            report::document(&snapshot, &SolverArguments::default(), date, &|_, _| {})
                .map(|document| document.as_html())
        }));
        page.set(snapshot.revision(), made.ok().and_then(Result::ok));
    };
    let thread = std::thread::Builder::new().name("report".to_owned()).spawn(make);
    thread.map(drop).map_err(|error| Failure::new(format!("the report cannot be made: {error}")))
}

fn taken(address: SocketAddr, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::new(format!("`{address}` is taken by another process"))
            .with_help("stop that process (it may be another gatepost), or choose another address with `--listen`"),
        _ => Failure::new(format!("the service cannot listen on `{address}`: {error}"))
            .with_help("choose another address with `--listen`"),
    }
}

/// Done when the process is told to stop: by SIGTERM, or from the keyboard.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| Failure::new(format!("the service cannot listen for SIGTERM: {error}")))?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

fn banner(snapshot: &Snapshot, address: SocketAddr) -> String {
    let store = &snapshot.store;
    let warnings = match store.warnings.len() {
        0 => String::new(),
        _ => format!(" ({}: run `gatepost check`)", output::count(&store.warnings, Severity::Warning)),
    };
    format!(
        "gatepost {} decides by {}{warnings}\nrevision {}\nlistening on http://{address}\n\nA request to try:\n\n{}\n",
        env!("CARGO_PKG_VERSION"),
        store.origin,
        store.revision,
        command(store, address)
    )
}

/// A command that can be pasted into a shell.
fn command(store: &Store, address: SocketAddr) -> String {
    let body = match store.files.requests.first() {
        Some(file) => file.text.trim().to_owned(),
        None => format!("{:#}", body::sample(&store.types)),
    };
    format!(
        "curl -sS http://{address}/access/v1/evaluation -H 'Content-Type: application/json' --data-binary {}",
        output::quoted(&body)
    )
}
