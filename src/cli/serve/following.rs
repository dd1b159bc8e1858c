//! What follows changes while the service runs: of the store, of the callers' files, and of the report on what decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cli::output::{self, Failure};
use crate::cli::prove::SolverArguments;
use crate::cli::report;
use crate::engine::{Engine, Snapshot};
use crate::http::ReportPage;
use crate::http::callers::Callers;
use crate::http::metrics::{Metrics, Reload};
use crate::live::{Live, Outcome, Seen, Status, Watcher};
use crate::log::Log;
use crate::store::{Problem, Severity};

/// How often the files of the callers are looked at. What has changed is taken up at the second look.
const LOOK: Duration = Duration::from_millis(500);

/// How long to wait where there is nothing to look at.
const LONG: Duration = Duration::from_secs(3600);

/// Follows the files: the store's where there is a watcher of it, and those by which each of the callers is known; all of them
/// at once on SIGHUP. The threads end with the process: reading a file may take long.
pub(super) fn follow(live: &Arc<Live>, watcher: Option<Watcher>, known: Vec<Callers>) -> Result<(), Failure> {
    let (store_hang_up, store_hung_up) = channel();
    let (callers_hang_up, callers_hung_up) = channel();
    forward_hang_ups([callers_hang_up, store_hang_up])?;
    let of_store = Arc::clone(live);
    start("store", move || follow_store(&of_store, watcher, &store_hung_up))?;
    if known.iter().any(Callers::have_files) {
        let engine = live.engine().clone();
        start("callers", move || follow_callers(&known, &engine, &callers_hung_up))?;
    }
    Ok(())
}

fn follow_store(live: &Live, mut watcher: Option<Watcher>, hung_up: &Receiver<()>) {
    loop {
        match hung_up.recv_timeout(watcher.as_ref().map_or(LONG, Watcher::pause)) {
            Ok(()) => drop(live.reload()),
            Err(RecvTimeoutError::Timeout) => {
                if watcher.as_mut().is_some_and(|watcher| watcher.look() == Seen::Settled) {
                    live.follow();
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn follow_callers(known: &[Callers], engine: &Engine, hung_up: &Receiver<()>) {
    loop {
        let told = match hung_up.recv_timeout(LOOK) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let snapshot = engine.snapshot();
        known.iter().for_each(|callers| output::complain(&callers.look_again(told, &snapshot.store.types)));
    }
}

fn start(name: &str, follow: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(follow);
    thread.map(drop).map_err(|error| Failure::new(format!("the service cannot be started: {error}")))
}

#[cfg(unix)]
fn forward_hang_ups(to: [Sender<()>; 2]) -> Result<(), Failure> {
    let mut signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
        .map_err(|error| Failure::new(format!("the service cannot listen for SIGHUP: {error}")))?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            for listener in &to {
                // Where there are no files, nobody listens.
                let _ = listener.send(());
            }
        }
    });
    Ok(())
}

/// There is no such signal: the senders are kept for as long as the service runs, and say nothing.
#[cfg(not(unix))]
fn forward_hang_ups(to: [Sender<()>; 2]) -> Result<(), Failure> {
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(to);
    });
    Ok(())
}

/// Says what came of an attempt to take up a store, and has a report made on one that is in force.
///
/// The metrics count it, and the decision log, if there is one, notes by which revision is decided from here on.
pub(super) fn told(
    callers: Callers,
    reports: SyncSender<()>,
    metrics: Arc<Metrics>,
    log: Arc<OnceLock<Log>>,
) -> impl Fn(&Status, &Arc<Snapshot>) + Send + Sync {
    move |status, snapshot| {
        output::complain(&in_words(status, snapshot));
        metrics.reloaded(match status.attempt.outcome {
            Outcome::InForce => Reload::Replaced,
            Outcome::Unchanged => Reload::Unchanged,
            Outcome::Rejected => Reload::Rejected,
        });
        if status.attempt.outcome == Outcome::InForce {
            metrics.know_actions(&snapshot.store.types);
            if let Some(log) = log.get() {
                log.note_revision(snapshot.revision());
            }
            output::complain(&callers.warnings(&snapshot.store.types));
            // If one is asked for already, it will be on this revision; if none is made at all, nobody listens.
            let _ = reports.try_send(());
        }
    }
}

fn in_words(status: &Status, snapshot: &Snapshot) -> Vec<Problem> {
    let revision = &status.revision;
    let origin = &snapshot.store.origin;
    let note = |text: String| vec![Problem::note(text)];
    match status.attempt.outcome {
        Outcome::InForce => {
            let warnings = match status.attempt.problems.len() {
                0 => String::new(),
                _ => format!(" ({}: run `gatepost check`)", output::count(&status.attempt.problems, Severity::Warning)),
            };
            note(format!("{origin} read again: revision {revision} is in force{warnings}"))
        }
        Outcome::Unchanged => note(format!("{origin} read again: it is what is in force, revision {revision}")),
        Outcome::Rejected => {
            let stays = format!(
                "{origin} is not taken up as it is now: what was there before stays in force, revision {revision}"
            );
            [status.attempt.problems.clone(), vec![Problem::warning(stays)]].concat()
        }
    }
}

/// A way to ask for reports, and to hear of it. One that is asked for while another waits is the same.
pub(super) fn reports() -> (SyncSender<()>, Receiver<()>) {
    sync_channel(1)
}

/// Makes the page of `/report` beside the service, which does not wait for it: now, and each time that it is asked for, on what
/// decides then.
pub(super) fn make_reports(engine: Engine, page: Arc<ReportPage>, wanted: Receiver<()>) -> Result<(), Failure> {
    start("report", move || {
        loop {
            make_report(&engine.snapshot(), &page);
            if wanted.recv().is_err() {
                return;
            }
        }
    })
}

fn make_report(snapshot: &Snapshot, page: &ReportPage) {
    let made = catch_unwind(AssertUnwindSafe(|| {
        report::document(snapshot, &SolverArguments::default(), report::date()?, &|_, _| {})
            .map(|document| document.as_html())
    }));
    page.set(snapshot.revision(), made.ok().and_then(Result::ok));
}
