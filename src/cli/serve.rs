//! `gatepost serve`: the service. Exit 0 after it was told to stop, 2 if it cannot start.

mod banner;
mod following;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::config::Settings;
use super::environment;
use super::output::{self, Failure};
use super::report;
use crate::engine::Snapshot;
use crate::http::admin::{self, Admin};
use crate::http::authzen::Reasons;
use crate::http::body;
use crate::http::callers::Callers;
use crate::http::discovery::PublicUrl;
use crate::http::metrics::Metrics;
use crate::http::traces::{Collector, Traces};
use crate::http::{self, Operations, ReportPage, Service};
use crate::live::{Hooks, Live, Watcher};
use crate::log::Log;
use crate::store::{Origin, Source};
use banner::{Listening, banner};

#[derive(Debug, Default, Args)]
pub(super) struct Arguments {
    /// Take up an edit to the store within a second, if every row of the matrix holds by it
    #[arg(long)]
    watch: bool,
    /// Confirm a revision: take it up later although it may deny less than the one before; may be given more than once
    #[arg(long = "accept", value_name = "REVISION")]
    accepted: Vec<String>,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (address, limits) = (settings.address()?, settings.limits()?);
    let (public_url, capabilities) = (settings.public_url()?, settings.capabilities()?);
    let (bounds, collector) = (settings.bounds()?, settings.collector()?);
    settings.check_log()?;
    settings.begin_diagnostics();
    output::complain(&environment::warnings());
    let (callers, operators) = (settings.callers()?, settings.admin()?);
    let paging = settings.paging()?;
    let source = settings.source()?;
    let is_watching = arguments.watch || settings.watch();
    let watcher = is_watching.then(|| watcher(&source)).transpose()?;
    let page = Arc::new(ReportPage::default());
    let (reports, wanted) = following::reports();
    let (metrics, log) = (Arc::new(Metrics::default()), Arc::new(OnceLock::new()));
    let told = following::told(callers.clone(), reports, Arc::clone(&metrics), Arc::clone(&log));
    let hooks = Hooks { request: body::of_case, told: Box::new(told) };
    let live = Arc::new(begin(source, is_watching || operators.is_some(), hooks)?);
    arguments.accepted.iter().for_each(|revision| live.accept(revision));
    // Nothing holds on to a snapshot: it must go when another takes its place.
    let snapshot = || live.engine().snapshot();
    output::complain(&callers.warnings(&snapshot().store.types));
    metrics.know_actions(&snapshot().store.types);
    runtime()?.block_on(async {
        let (listener, operators) = listen(address, operators).await?;
        let stopping = stop_signal()?;
        let address = listener.local_addr().unwrap_or(address);
        let decision_log = settings.decision_log()?;
        decision_log.iter().for_each(|opened| begin_log(&opened.log, &snapshot(), &metrics, &log));
        let traces = traces(collector.as_ref())?;
        let service = Arc::new(Service {
            engine: live.engine().clone(),
            board: live.board().clone(),
            limits,
            paging,
            callers: callers.clone(),
            report: Arc::clone(&page),
            public_url: public_url.or_else(|| PublicUrl::of_loopback(address, callers.speak_tls())),
            capabilities,
            log: decision_log,
            operations: Operations::new(bounds, metrics, traces),
        });
        let known = [Some(&callers), operators.as_ref().map(|(_, tokens)| tokens)];
        following::follow(&live, watcher, known.into_iter().flatten().cloned().collect())?;
        let admin = operators.as_ref().and_then(|(listener, _)| listener.local_addr().ok());
        let unknown_attributes = limits.unknown_attributes;
        announce(&snapshot(), &callers, Listening { unknown_attributes, address, is_watching, admin })?;
        if limits.max_reasons >= Reasons::Admin {
            report::date()?;
            following::make_reports(live.engine().clone(), page, wanted)?;
        }
        let operating = operate(operators, &live, &service, until(stopping.clone()));
        tokio::join!(http::serve(listener, Arc::clone(&service), until(stopping)), operating);
        log.get().cloned().map_or(Ok(()), Log::close).map_err(|error| Failure::new(error.to_string()))?;
        tracing::info!("the service has stopped");
        Ok::<_, Failure>(())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new().map_err(|error| Failure::new(format!("the service cannot be started: {error}")))
}

/// Says that the service has started: to who reads its output, and to who reads its diagnostics.
fn announce(snapshot: &Snapshot, callers: &Callers, listening: Listening) -> Result<(), Failure> {
    let (address, revision) = (listening.address, snapshot.revision().as_str());
    output::print(&banner(snapshot, callers, listening))?;
    let unknown_attributes = listening.unknown_attributes.word();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), revision, %address, unknown_attributes, "the service has started");
    Ok(())
}

/// The store with which the service begins. What is taken up later must hold every row; where that is asked for, so must this one: else
/// a service that is started again would decide by what the one before has refused.
fn begin(source: Source, with_rows: bool, hooks: Hooks) -> Result<Live, Failure> {
    Live::open(source, with_rows, hooks).map_err(Failure::Store)
}

/// Listens to callers, and to operators, if there are any.
async fn listen(
    address: SocketAddr,
    operators: Option<(SocketAddr, Callers)>,
) -> Result<(TcpListener, Option<(TcpListener, Callers)>), Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| taken(address, "--listen", &error))?;
    let Some((address, tokens)) = operators else { return Ok((listener, None)) };
    let operated = TcpListener::bind(address).await.map_err(|error| taken(address, "--admin-listen", &error))?;
    Ok((listener, Some((operated, tokens))))
}

/// Has the log say by which revision is decided, the metrics say how it is doing, and whoever takes up stores know it.
fn begin_log(opened: &Log, snapshot: &Snapshot, metrics: &Metrics, log: &OnceLock<Log>) {
    opened.note_revision(snapshot.revision());
    metrics.log_from(opened.clone());
    // It is set here alone.
    let _ = log.set(opened.clone());
}

/// Where traces go, if they are to go anywhere.
fn traces(collector: Option<&(Collector, f64)>) -> Result<Option<Traces>, Failure> {
    let traces = collector.map(|(collector, share)| Traces::to(collector, *share)).transpose();
    traces.map_err(|error| Failure::new(format!("traces cannot be sent: {error}")))
}

/// What looks for edits to the store.
fn watcher(source: &Source) -> Result<Watcher, Failure> {
    if source.origin == Origin::BuiltIn && source.entities.is_empty() && source.phone_metadata.is_none() {
        return Err(Failure::new("watch is set, but the store that is compiled in does not change")
            .with_help("`--store DIR` names a store that can"));
    }
    Ok(Watcher::new(source))
}

/// Listens to operators, if there are any, until `shutdown` is done.
async fn operate(
    operators: Option<(TcpListener, Callers)>,
    live: &Arc<Live>,
    service: &Arc<Service>,
    shutdown: impl Future<Output = ()>,
) {
    if let Some((listener, tokens)) = operators {
        let callers = tokens.on_connections_of(&service.callers);
        let admin = Admin { live: Arc::clone(live), callers, service: Arc::clone(service) };
        admin::serve(listener, admin, shutdown).await;
    }
}

fn taken(address: SocketAddr, setting: &str, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::new(format!("`{address}` is taken by another process")).with_help(
            &format!("stop that process (it may be another gatepost), or choose another address with `{setting}`"),
        ),
        _ => Failure::new(format!("the service cannot listen on `{address}`: {error}"))
            .with_help(&format!("choose another address with `{setting}`")),
    }
}

/// Turns true when the process is told to stop: by SIGTERM, or from the keyboard.
fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| Failure::new(format!("the service cannot listen for SIGTERM: {error}")))?;
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        tracing::info!("the service is told to stop: running requests finish");
        stop.send_replace(true);
    });
    Ok(stopping)
}

async fn until(mut stopping: watch::Receiver<bool>) {
    // The sender is gone only after it has said so.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
