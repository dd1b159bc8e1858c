//! `gatepost serve`: the service. Exit 0 after it was told to stop, 2 if it cannot start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::net::TcpListener;

use super::config::Settings;
use super::output::{self, Failure};
use super::prove::SolverArguments;
use super::report;
use crate::engine::{Engine, Snapshot};
use crate::http::authzen::Reasons;
use crate::http::callers::Callers;
use crate::http::{self, ReportPage, Service, body};
use crate::store::{Severity, Store};

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let (address, limits) = (settings.address()?, settings.limits()?);
    let snapshot = settings.snapshot()?;
    let callers = settings.callers()?;
    let paging = settings.paging()?;
    output::complain(&callers.warnings(&snapshot.store.types));
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(format!("the service cannot be started: {error}")))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(|error| taken(address, &error))?;
        let stop = stop_signal()?;
        let address = listener.local_addr().unwrap_or(address);
        output::print(&banner(&snapshot, &callers, address))?;
        let service =
            Service { engine: Engine::new(snapshot), limits, paging, callers: callers.clone(), report: Arc::default() };
        watch(callers, service.engine.snapshot())?;
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

/// How often the files of the callers are looked at. What has changed is taken up at the second look.
const LOOK: Duration = Duration::from_millis(500);

/// Takes up what changes in the files of the callers: by itself, and at once on SIGHUP.
fn watch(callers: Callers, snapshot: Arc<Snapshot>) -> Result<(), Failure> {
    if !callers.have_files() {
        return Ok(());
    }
    let (hang_up, hung_up) = std::sync::mpsc::channel::<()>();
    forward_hang_ups(hang_up)?;
    // A thread of its own, which ends with the process: reading a file may take long.
    let look = move || loop {
        let told = match hung_up.recv_timeout(LOOK) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        output::complain(&callers.look_again(told, &snapshot.store.types));
    };
    let thread = std::thread::Builder::new().name("callers".to_owned()).spawn(look);
    thread.map(drop).map_err(|error| Failure::new(format!("the files of the callers cannot be watched: {error}")))
}

#[cfg(unix)]
fn forward_hang_ups(to: Sender<()>) -> Result<(), Failure> {
    let mut signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
        .map_err(|error| Failure::new(format!("the service cannot listen for SIGHUP: {error}")))?;
    tokio::spawn(async move { while signals.recv().await.is_some() && to.send(()).is_ok() {} });
    Ok(())
}

/// There is no such signal: the sender is kept for as long as the service runs, and says nothing.
#[cfg(not(unix))]
fn forward_hang_ups(to: Sender<()>) -> Result<(), Failure> {
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(to);
    });
    Ok(())
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

fn banner(snapshot: &Snapshot, callers: &Callers, address: SocketAddr) -> String {
    let store = &snapshot.store;
    let warnings = match store.warnings.len() {
        0 => String::new(),
        _ => format!(" ({}: run `gatepost check`)", output::count(&store.warnings, Severity::Warning)),
    };
    format!(
        "gatepost {} decides by {}{warnings}\nrevision {}\nlistening on {}://{address}\n{}\nA request to try:\n\n{}\n",
        env!("CARGO_PKG_VERSION"),
        store.origin,
        store.revision,
        scheme(callers),
        who_may_ask(callers, address),
        command(store, callers, address)
    )
}

fn scheme(callers: &Callers) -> &'static str {
    if callers.speak_tls() { "https" } else { "http" }
}

/// A line on who may ask, and one on what is wrong with that; nothing where it is the usual.
fn who_may_ask(callers: &Callers, address: SocketAddr) -> String {
    let line = match (callers.have_tokens(), callers.have_certificates()) {
        (true, true) => "each request needs a token, and each connection a client certificate\n",
        (true, false) => "each request needs a token\n",
        (false, true) => "each connection needs a client certificate\n",
        (false, false) if address.ip().is_loopback() => "",
        (false, false) => "warning: anybody who can reach this address may ask\n",
    };
    let in_the_clear = callers.have_tokens() && !callers.speak_tls() && !address.ip().is_loopback();
    let warning =
        "warning: tokens are sent in the clear; use TLS here (--tls-cert, --tls-key) or in a proxy before it\n";
    format!("{line}{}", if in_the_clear { warning } else { "" })
}

/// A command that can be pasted into a shell; what is secret is left to variables of it.
fn command(store: &Store, callers: &Callers, address: SocketAddr) -> String {
    let body = match store.files.requests.first() {
        Some(file) => file.text.trim().to_owned(),
        None => format!("{:#}", body::sample(&store.types)),
    };
    let mut address = address;
    // What listens on every address is reached on this machine's own.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let scheme = scheme(callers);
    let mut words = match callers.host_instead_of(address.ip()) {
        Some(host) => {
            let port = address.port();
            format!("{scheme}://{host}:{port}/access/v1/evaluation --connect-to {host}:{port}:{address}")
        }
        None => format!("{scheme}://{address}/access/v1/evaluation"),
    };
    if let Some(certificate) = callers.certificate() {
        words += &format!(" --cacert {}", output::quoted(&certificate.display().to_string()));
    }
    if callers.have_certificates() {
        words += r#" --cert "$CLIENT_CERT" --key "$CLIENT_KEY""#;
    }
    if callers.have_tokens() {
        words += r#" -H "Authorization: Bearer $TOKEN""#;
    }
    format!("curl -sS {words} -H 'Content-Type: application/json' --data-binary {}", output::quoted(&body))
}
