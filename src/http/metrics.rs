//! `/metrics`: what the service counts and measures, for Prometheus. Every set of labels is bounded; nothing here comes
//! from a caller.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hashbrown::HashMap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use smol_str::SmolStr;

use super::{Service, message, paths};
use crate::log::record::Verdict;
use crate::log::{Log, LogFigures};
use crate::plugin::{self, PLUGINS};
use crate::store::schema::Types;

/// Everything that is counted. To count takes no lock; to read it takes as long as it takes.
#[derive(Debug, Default)]
pub struct Metrics {
    endpoints: [EndpointFigures; paths::ALL.len() + 1],
    actions: Actions,
    dropped: DroppedCounts,
    rejected: [AtomicU64; Rejection::ALL.len()],
    requests_in_flight: AtomicI64,
    connections_open: AtomicI64,
    reloads: [AtomicU64; Reload::ALL.len()],
    last_reload: AtomicU64,
    store_rejected: AtomicBool,
    log: OnceLock<Log>,
    started: Started,
}

#[derive(Debug)]
struct Started(SystemTime);

impl Default for Started {
    fn default() -> Self {
        Self(SystemTime::now())
    }
}

/// Why a request, or a connection, was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// As many requests were being decided as may be.
    Concurrency,
    /// The head of the request did not come in time.
    HeaderTimeout,
    /// The body of the request did not come in time.
    BodyTimeout,
    /// The caller did not take the answer in time.
    AnswerTimeout,
    /// The handshake of TLS failed, or did not come in time.
    Handshake,
    /// The caller is not known.
    Unauthenticated,
    /// The caller may not ask that.
    Forbidden,
    /// The body is too large.
    TooLarge,
    /// The decision log cannot be written.
    LogUnwritable,
}

impl Rejection {
    const ALL: [(Self, &str); 9] = [
        (Self::Concurrency, "concurrency"),
        (Self::HeaderTimeout, "header_timeout"),
        (Self::BodyTimeout, "body_timeout"),
        (Self::AnswerTimeout, "answer_timeout"),
        (Self::Handshake, "handshake"),
        (Self::Unauthenticated, "unauthenticated"),
        (Self::Forbidden, "forbidden"),
        (Self::TooLarge, "too_large"),
        (Self::LogUnwritable, "log_unwritable"),
    ];

    /// The one that a status says; `None` where it says none, or might say several.
    fn of(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::REQUEST_TIMEOUT => Some(Self::BodyTimeout),
            StatusCode::UNAUTHORIZED => Some(Self::Unauthenticated),
            StatusCode::FORBIDDEN => Some(Self::Forbidden),
            StatusCode::PAYLOAD_TOO_LARGE => Some(Self::TooLarge),
            _ => None,
        }
    }
}

/// What became of an attempt to take up what is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It is in force.
    Replaced,
    /// It is what was in force already.
    Unchanged,
    /// It cannot be served; what was in force stays.
    Rejected,
}

impl Reload {
    const ALL: [(Self, &str); 3] =
        [(Self::Replaced, "replaced"), (Self::Unchanged, "unchanged"), (Self::Rejected, "rejected")];
}

/// One of [`paths::ALL`], or any other path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(usize);

impl Endpoint {
    /// What serves that path.
    pub(super) fn of(path: &str) -> Self {
        let below_discovery = |rest: &str| rest.starts_with('/');
        let known =
            if path.strip_prefix(paths::DISCOVERY).is_some_and(below_discovery) { paths::DISCOVERY } else { path };
        Self(paths::ALL.iter().position(|path| *path == known).unwrap_or(paths::ALL.len()))
    }

    pub(super) fn name(self) -> &'static str {
        paths::ALL.get(self.0).copied().unwrap_or("(other)")
    }
}

impl Metrics {
    /// Counts a decision on the action of that whole Cedar name; see [`Metrics::know_actions`].
    pub fn decided(&self, action: &str, verdict: Verdict) {
        if let Some(count) = self.actions.of(action).get(verdict as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Takes the names of the schema's actions for labels. Over all schemas, the first 1,000 have a label of their own;
    /// further ones are `(other)`, and what no schema knows is `(unknown)`.
    pub fn know_actions(&self, types: &Types) {
        self.actions.know(types);
        self.dropped.know(types);
    }

    /// Counts a decision, or a search, on a request of which something was not read, by the Cedar names of the types of its subject and its
    /// resource, where the schema knows them.
    pub(super) fn dropped(&self, types: &[SmolStr; 2]) {
        self.dropped.of(types).fetch_add(1, Relaxed);
    }

    /// Counts an attempt to take up what is on disk. After a rejected one the store counts as rejected, until another is not.
    pub fn reloaded(&self, outcome: Reload) {
        increment(&self.reloads, outcome as usize);
        self.store_rejected.store(outcome == Reload::Rejected, Relaxed);
        if outcome != Reload::Rejected {
            self.last_reload.store(seconds_of(SystemTime::now()), Relaxed);
        }
    }

    /// Takes the figures of a decision log, at each scrape. Only those of the first one.
    pub fn log_from(&self, log: Log) {
        // A second log would be a mistake of the caller's, and no reason to stop.
        let _ = self.log.set(log);
    }

    /// Counts a request, or a connection, that was not served.
    pub fn rejected(&self, reason: Rejection) {
        increment(&self.rejected, reason as usize);
    }

    /// Counts an answer.
    pub(super) fn answered(&self, endpoint: Endpoint, status: StatusCode, duration: Duration) {
        if let Some(figures) = self.endpoints.get(endpoint.0) {
            figures.count(status);
            figures.durations.observe(duration);
        }
        if let Some(reason) = Rejection::of(status) {
            self.rejected(reason);
        }
    }

    /// Counts a request as in flight for as long as what is given is held.
    pub(super) fn request(&self) -> Held<'_> {
        Held::new(&self.requests_in_flight)
    }

    /// Counts a connection as open for as long as what is given is held.
    pub(super) fn connection(&self) -> Held<'_> {
        Held::new(&self.connections_open)
    }
}

fn increment(counts: &[AtomicU64], index: usize) {
    if let Some(count) = counts.get(index) {
        count.fetch_add(1, Relaxed);
    }
}

fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Something that is going on.
pub(super) struct Held<'a>(&'a AtomicI64);

impl<'a> Held<'a> {
    fn new(count: &'a AtomicI64) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The statuses that the service gives; any other would be a mistake, and is counted as such.
const STATUSES: [(u16, &str); 14] = [
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (413, "413"),
    (415, "415"),
    (421, "421"),
    (422, "422"),
    (500, "500"),
    (503, "503"),
    (0, "(other)"),
];

#[derive(Debug, Default)]
struct EndpointFigures {
    statuses: [AtomicU64; STATUSES.len()],
    durations: Durations,
}

impl EndpointFigures {
    fn count(&self, status: StatusCode) {
        let place = STATUSES.iter().position(|(known, _)| *known == status.as_u16());
        increment(&self.statuses, place.unwrap_or(STATUSES.len() - 1));
    }
}

/// The upper bounds of the buckets, in seconds.
const BUCKETS: [f64; 17] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A histogram of atomics: that of the crate has a lock.
#[derive(Debug, Default)]
struct Durations {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Durations {
    fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        increment(&self.buckets, BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len()));
        self.nanoseconds.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn any(&self) -> bool {
        self.buckets.iter().any(|count| count.load(Relaxed) > 0)
    }

    fn write(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

/// So many actions have a label of their own.
const MOST_ACTIONS: usize = 1_000;

type Counts = [AtomicU64; Verdict::ALL.len()];

/// The decisions by action: all that ever had a label, and those that can be asked about now by their whole names.
#[derive(Debug, Default)]
struct Actions {
    labelled: Mutex<Vec<(String, Arc<Counts>)>>,
    by_name: ArcSwap<HashMap<String, Arc<Counts>>>,
    unknown: Arc<Counts>,
    other: Arc<Counts>,
}

impl Actions {
    fn of(&self, action: &str) -> Arc<Counts> {
        Arc::clone(self.by_name.load().get(action).unwrap_or(&self.unknown))
    }

    fn know(&self, types: &Types) {
        // What is there is only added to: what a panic has left is as good as any.
        let mut labelled = self.labelled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_name = HashMap::new();
        for environment in &types.environments {
            let whole_name = environment.action.to_string();
            if by_name.contains_key(&whole_name) {
                continue;
            }
            let label = types.name_of_action(environment);
            let counts = match labelled.iter().find(|(known, _)| *known == label) {
                Some((_, counts)) => Arc::clone(counts),
                None if labelled.len() < MOST_ACTIONS => {
                    let counts = Arc::<Counts>::default();
                    labelled.push((label.clone(), Arc::clone(&counts)));
                    counts
                }
                None => Arc::clone(&self.other),
            };
            by_name.insert(whole_name, counts);
        }
        self.by_name.store(Arc::new(by_name));
    }

    fn all(&self) -> Vec<(String, Arc<Counts>)> {
        let mut all = self.labelled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.push(("(other)".to_owned(), Arc::clone(&self.other)));
        all.push(("(unknown)".to_owned(), Arc::clone(&self.unknown)));
        all
    }
}

/// So many pairs of types have labels of their own.
const MOST_PAIRS: usize = 1_000;

/// The requests of which something was not read, by the types of their subjects and resources: all that ever had a label, and those that
/// can be asked about now.
#[derive(Debug, Default)]
struct DroppedCounts {
    labelled: Mutex<Vec<([SmolStr; 2], Arc<AtomicU64>)>>,
    by_types: ArcSwap<HashMap<[SmolStr; 2], Arc<AtomicU64>>>,
    unknown: Arc<AtomicU64>,
    other: Arc<AtomicU64>,
}

impl DroppedCounts {
    fn of(&self, types: &[SmolStr; 2]) -> Arc<AtomicU64> {
        Arc::clone(self.by_types.load().get(types).unwrap_or(&self.unknown))
    }

    fn know(&self, types: &Types) {
        let mut labelled = self.labelled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_types = HashMap::new();
        for environment in &types.environments {
            let pair = [&environment.principal_type, &environment.resource_type].map(|found| found.full_name.clone());
            if by_types.contains_key(&pair) {
                continue;
            }
            let count = match labelled.iter().find(|(known, _)| *known == pair) {
                Some((_, count)) => Arc::clone(count),
                None if labelled.len() < MOST_PAIRS => {
                    let count = Arc::<AtomicU64>::default();
                    labelled.push((pair.clone(), Arc::clone(&count)));
                    count
                }
                None => Arc::clone(&self.other),
            };
            by_types.insert(pair, count);
        }
        self.by_types.store(Arc::new(by_types));
    }

    fn all(&self) -> Vec<([SmolStr; 2], Arc<AtomicU64>)> {
        let mut all = self.labelled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let both = |word: &'static str| [SmolStr::new_static(word), SmolStr::new_static(word)];
        all.push((both("(other)"), Arc::clone(&self.other)));
        all.push((both("(unknown)"), Arc::clone(&self.unknown)));
        all
    }
}

/// The metrics of a service at this moment, in the text format of Prometheus (version 0.0.4).
pub(super) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let revision = service.engine.snapshot().revision().as_str().to_owned();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { metrics: Arc::clone(&service.operations.metrics), revision }));
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => {
            let content_type = HeaderValue::from_static(prometheus_text::CONTENT_TYPE);
            (StatusCode::OK, [(CONTENT_TYPE, content_type)], text).into_response()
        }
        // Writing to a string does not fail.
        Err(fmt::Error) => message(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"),
    }
}

/// What is written at one scrape.
#[derive(Debug)]
struct Scrape {
    metrics: Arc<Metrics>,
    revision: String,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &*self.metrics;
        let mut page = Page(encoder);
        page.requests(metrics)?;
        page.decisions(metrics)?;
        page.store(metrics, &self.revision)?;
        if let Some(log) = metrics.log.get() {
            page.log(&log.figures())?;
        }
        page.process(metrics)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn requests(&mut self, metrics: &Metrics) -> fmt::Result {
        let endpoints = || (0..).map(|place| Endpoint(place).name()).zip(&metrics.endpoints);
        let answered = endpoints().flat_map(|(endpoint, figures)| {
            let counted = STATUSES.iter().zip(&figures.statuses);
            counted.map(move |((_, status), count)| ([("endpoint", endpoint), ("status", *status)], count))
        });
        let answered = answered.filter(|(_, count)| count.load(Relaxed) > 0);
        self.counters("gatepost_requests", "Requests that were answered", answered)?;
        let help = "From the head of a request to the answer";
        let mut family =
            self.0.encode_descriptor("gatepost_request_duration_seconds", help, None, MetricType::Histogram)?;
        for (endpoint, figures) in endpoints().filter(|(_, figures)| figures.durations.any()) {
            figures.durations.write(&mut family.encode_family(&[("endpoint", endpoint)])?)?;
        }
        let rejected =
            Rejection::ALL.iter().zip(&metrics.rejected).map(|((_, reason), count)| ([("reason", *reason)], count));
        self.counters("gatepost_rejected", "Requests and connections that were not served", rejected)?;
        let in_flight = metrics.requests_in_flight.load(Relaxed);
        self.gauge("gatepost_requests_in_flight", "Requests that are not answered yet", &in_flight)?;
        let open = metrics.connections_open.load(Relaxed);
        self.gauge("gatepost_connections_open", "Connections that are open", &open)
    }

    fn decisions(&mut self, metrics: &Metrics) -> fmt::Result {
        let actions = metrics.actions.all();
        let decided = actions.iter().flat_map(|(action, counts)| {
            let counted = Verdict::ALL.iter().zip(&**counts);
            counted.map(move |(verdict, count)| ([("action", action.as_str()), ("outcome", verdict.word())], count))
        });
        let decided = decided.filter(|(_, count)| count.load(Relaxed) > 0);
        self.counters("gatepost_decisions", "Decisions, the items of batches included", decided)?;
        let dropped = metrics.dropped.all();
        let dropped = dropped.iter().map(|([subject, resource], count)| {
            ([("subject", subject.as_str()), ("resource", resource.as_str())], &**count)
        });
        let dropped = dropped.filter(|(_, count)| count.load(Relaxed) > 0);
        self.counters(
            "gatepost_dropped",
            "Decisions and searches on requests of which something was not read",
            dropped,
        )?;
        let plugins = || PLUGINS.iter().map(|plugin| plugin.name()).zip(plugin::figures());
        let reads = plugins().flat_map(|(plugin, figures)| {
            [("valid", &figures.valid), ("invalid", &figures.invalid)]
                .map(|(outcome, count)| ([("plugin", plugin), ("outcome", outcome)], count))
        });
        self.counters("gatepost_plugin_reads", "Strings that plugins have read", reads)?;
        let failures = plugins().map(|(plugin, figures)| ([("plugin", plugin)], &figures.failures));
        self.counters(
            "gatepost_plugin_failures",
            "Panics of plugins, which count as a string that is not valid",
            failures,
        )
    }

    fn store(&mut self, metrics: &Metrics, revision: &str) -> fmt::Result {
        let reloads =
            Reload::ALL.iter().zip(&metrics.reloads).map(|((_, outcome), count)| ([("outcome", *outcome)], count));
        self.counters("gatepost_reloads", "Attempts to take up what is on disk", reloads)?;
        let last = metrics.last_reload.load(Relaxed);
        if last > 0 {
            let help = "When what is on disk was last taken up, or found in force, since the start";
            self.gauge("gatepost_reload_last_success_timestamp_seconds", help, &last)?;
        }
        let rejected = i64::from(metrics.store_rejected.load(Relaxed));
        self.gauge("gatepost_store_rejected", "1 while what is on disk cannot be served", &rejected)?;
        let help = "1 for the revision of the store in force";
        let mut family = self.0.encode_descriptor("gatepost_revision_info", help, None, MetricType::Gauge)?;
        family.encode_family(&[("revision", revision)])?.encode_gauge(&1_i64)
    }

    fn log(&mut self, log: &LogFigures) -> fmt::Result {
        self.gauge("gatepost_log_queued", "Records of the decision log that wait to be written", &log.queued)?;
        self.gauge("gatepost_log_queued_bytes", "Their bytes", &log.queued_bytes)?;
        self.counter("gatepost_log_written", "Records of the decision log that were written", log.written)?;
        self.counter("gatepost_log_dropped", "Records that were dropped, because the queue was full", log.dropped)?;
        self.counter(
            "gatepost_log_refused",
            "Requests that were refused, because the log could not be written",
            log.refused,
        )?;
        self.gauge(
            "gatepost_log_failing",
            "1 while the decision log cannot be written",
            &i64::from(log.failing.is_some()),
        )?;
        match log.last_sync {
            Some(time) => {
                let help = "When the decision log was last known to be on disk";
                self.gauge("gatepost_log_last_sync_timestamp_seconds", help, &seconds_of(time))
            }
            None => Ok(()),
        }
    }

    /// What other exporters say of a process too, under the names that they have for it; only what this system tells.
    fn process(&mut self, metrics: &Metrics) -> fmt::Result {
        self.gauge("process_start_time_seconds", "When the process started", &seconds_of(metrics.started.0))?;
        if let Some(bytes) = resident_bytes() {
            self.gauge("process_resident_memory_bytes", "The memory that the process has in use", &bytes)?;
        }
        match std::fs::read_dir("/proc/self/fd") {
            Ok(files) => self.gauge("process_open_fds", "The files that the process has open", &(files.count() as u64)),
            Err(_) => Ok(()),
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: &impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// The name is without the `_total` at its end.
    fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl Iterator<Item = ([(&'a str, &'a str); N], &'a AtomicU64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in counts {
            let mut sample = family.encode_family(&labels)?;
            sample.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
