//! `gatepost serve`: the service. Exit 0 after it was told to stop, 2 if it cannot start.

mod banner;
mod following;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::config::Settings;
use super::output::{self, Failure};
use super::report;
use crate::http::admin::{self, Admin};
use crate::http::authzen::Reasons;
use crate::http::body;
use crate::http::callers::Callers;
use crate::http::discovery::PublicUrl;
use crate::http::{self, ReportPage, Service};
use crate::live::{Hooks, Live, Watcher};
use crate::store::{Origin, Source};
use banner::{Listening, banner};

#[derive(Debug, Default, Args)]
pub(super) struct Arguments {
    /// Take up an edit to the store within a second, if every row of the matrix holds by it
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (address, limits) = (settings.address()?, settings.limits()?);
    let (public_url, capabilities) = (settings.public_url()?, settings.capabilities()?);
    let (callers, operators) = (settings.callers()?, settings.admin()?);
    let paging = settings.paging()?;
    let source = settings.source()?;
    let is_watching = arguments.watch || settings.watch();
    let watcher = is_watching.then(|| watcher(&source)).transpose()?;
    let page = Arc::new(ReportPage::default());
    let (reports, wanted) = following::reports();
    let told = following::told(callers.clone(), reports);
    let hooks = Hooks { request: body::of_case, told: Box::new(told) };
    // What is taken up later must hold every row; where that is asked for, so must what it begins with: else a service that is
    // started again would decide by what the one before has refused.
    let live = Live::open(source, is_watching || operators.is_some(), hooks).map_err(Failure::Store)?;
    let live = Arc::new(live);
    output::complain(&callers.warnings(&live.engine().snapshot().store.types));
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(format!("the service cannot be started: {error}")))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(|error| taken(address, "--listen", &error))?;
        let operators = match operators {
            Some((address, tokens)) => {
                let bound = TcpListener::bind(address).await;
                Some((bound.map_err(|error| taken(address, "--admin-listener", &error))?, tokens))
            }
            None => None,
        };
        let stopping = stop_signal()?;
        let address = listener.local_addr().unwrap_or(address);
        let service = Service {
            engine: live.engine().clone(),
            board: live.board().clone(),
            limits,
            paging,
            callers: callers.clone(),
            report: Arc::clone(&page),
            public_url: public_url.or_else(|| PublicUrl::of_loopback(address, callers.speak_tls())),
            capabilities,
        };
        let known = [Some(&callers), operators.as_ref().map(|(_, tokens)| tokens)];
        following::follow(&live, watcher, known.into_iter().flatten().cloned().collect())?;
        let admin = operators.as_ref().and_then(|(listener, _)| listener.local_addr().ok());
        output::print(&banner(&live.engine().snapshot(), &callers, Listening { address, is_watching, admin }))?;
        if limits.max_reasons >= Reasons::Admin {
            report::date()?;
            following::make_reports(live.engine().clone(), page, wanted)?;
        }
        let operating = operate(operators, &live, &callers, until(stopping.clone()));
        let served = tokio::try_join!(http::serve(listener, service, until(stopping)), operating);
        served.map_err(|error| Failure::new(format!("the service had to stop: {error}")))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What looks for edits to the store.
fn watcher(source: &Source) -> Result<Watcher, Failure> {
    if source.origin == Origin::BuiltIn && source.entities.is_empty() {
        return Err(Failure::new("watch is set, but the store that is compiled in does not change")
            .with_help("`--store DIR` names a store that can"));
    }
    Ok(Watcher::new(source))
}

/// Listens to operators, if there are any, until `shutdown` is done.
async fn operate(
    operators: Option<(TcpListener, Callers)>,
    live: &Arc<Live>,
    callers: &Callers,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let Some((listener, tokens)) = operators else { return Ok(()) };
    let callers = tokens.on_connections_of(callers);
    admin::serve(listener, Admin { live: Arc::clone(live), callers, further: Router::new() }, shutdown).await
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
        stop.send_replace(true);
    });
    Ok(stopping)
}

async fn until(mut stopping: watch::Receiver<bool>) {
    // The sender is gone only after it has said so.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
