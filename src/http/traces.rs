//! Traces for OpenTelemetry: one span for each request, in the trace of its caller (W3C Trace Context), sent by OTLP
//! over HTTP.
//!
//! Spans are queued and sent by a thread of their own. What does not fit into the queue is dropped: no request waits
//! for a collector.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan,
};
use rustls::{ClientConfig, RootCertStore};

use super::journal::TRACEPARENT;
use super::metrics::Endpoint;
use super::rarely::Rarely;

/// How long the collector may take for one batch.
const EXPORT: Duration = Duration::from_secs(5);

/// How long the last spans may take when the service ends.
const FLUSH: Duration = Duration::from_secs(5);

/// How many spans wait for the collector; further ones are dropped.
const QUEUE: usize = 8192;

/// The largest answer of a collector that is read.
const MOST_ANSWER_BYTES: usize = 1 << 20;

/// The collector to which traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector(Uri);

/// What is no URL of a collector.
#[derive(Debug, thiserror::Error)]
#[error("an http or https URL with a host is needed")]
pub struct CollectorError;

impl FromStr for Collector {
    type Err = CollectorError;

    /// Reads the base URL of a collector. Traces go to `/v1/traces` below it, as OTLP says (OTLP 1.x, "OTLP/HTTP
    /// Request").
    fn from_str(text: &str) -> Result<Self, CollectorError> {
        let base = text.trim_end_matches('/');
        let path = if base.ends_with("/v1/traces") { "" } else { "/v1/traces" };
        let uri: Uri = format!("{base}{path}").parse().map_err(|_| CollectorError)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if is_http && uri.host().is_some_and(|host| !host.is_empty()) { Ok(Self(uri)) } else { Err(CollectorError) }
    }
}

/// What makes the spans, and sends them.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Traces for that collector. Of the requests whose caller has not decided it, that share is traced (0 to 1). It
    /// must be called in a Tokio runtime, in which the traces are sent.
    ///
    /// # Errors
    ///
    /// That the certificates of the system cannot be read, for an https URL.
    pub fn to(collector: &Collector, share: f64) -> Result<Self, String> {
        let client = CollectorClient::new(collector)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(collector.0.to_string())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT)
            .with_retry_policy(RetryPolicy::default().with_max_retries(0))
            .build()
            .map_err(|error| error.to_string())?;
        let queue = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue).build();
        let resource = Resource::builder()
            .with_service_name("gatepost")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("gatepost");
        Ok(Self { provider, tracer })
    }

    /// The span of a request, in the trace of its caller, or in a new one.
    pub(super) fn begin(&self, method: &'static str, endpoint: Endpoint, caller: &CallersSpan) -> Span {
        let CallersSpan(parent) = caller;
        let attributes = [KeyValue::new("http.request.method", method), KeyValue::new("http.route", endpoint.name())];
        let builder = self.tracer.span_builder(format!("{method} {}", endpoint.name()));
        Span(builder.with_kind(SpanKind::Server).with_attributes(attributes).start_with_context(&self.tracer, parent))
    }

    /// Sends what is queued, for a few seconds at most. Afterwards nothing is sent any more.
    pub async fn finish(&self) {
        let provider = self.provider.clone();
        // That the collector did not take it has been said.
        let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH)).await;
    }
}

/// The span of a caller, if it names one as W3C Trace Context has it.
pub(super) struct CallersSpan(Context);

impl CallersSpan {
    /// The one that the headers of a request name.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(TraceContextPropagator::new().extract_with_context(&Context::new(), &Parent(headers)))
    }

    /// Has the headers of a request name the span that was made for it, if it is kept, so that whoever finds it in a log finds its trace;
    /// else the one of the caller, and none where what the caller says is no span.
    pub(super) fn give_way(&self, made: Option<&Span>, headers: &mut HeaderMap) {
        let kept = made.map(|Span(span)| span.span_context()).filter(|span| span.is_sampled());
        let named = kept.map(|span| format!("00-{}-{}-01", span.trace_id(), span.span_id()));
        match named.and_then(|text| HeaderValue::from_str(&text).ok()) {
            Some(named) => drop(headers.insert(TRACEPARENT, named)),
            None if self.0.span().span_context().is_valid() => {}
            None => drop(headers.remove(TRACEPARENT)),
        }
    }
}

/// The head of a request, of which the ids and the flags are read. What else a caller can say of it (`tracestate`) is not read:
/// it would go to the collector as it is, whoever sent it.
struct Parent<'a>(&'a HeaderMap);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).filter(|_| key == TRACEPARENT)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// The span of one request.
pub(super) struct Span(SdkSpan);

impl Span {
    /// Says how the request was answered, and ends the span.
    pub(super) fn end(
        mut self,
        status: StatusCode,
        request_id: &HeaderValue,
        revision: Option<&HeaderValue>,
        decision: Option<bool>,
    ) {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        self.0.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        self.0.set_attribute(KeyValue::new("gatepost.request_id", text(request_id)));
        if let Some(revision) = revision {
            self.0.set_attribute(KeyValue::new("gatepost.revision", text(revision)));
        }
        if let Some(allowed) = decision {
            self.0.set_attribute(KeyValue::new("gatepost.decision", if allowed { "allow" } else { "deny" }));
        }
        // Semantic conventions for HTTP: of a server's spans, only what is its own fault is an error.
        if status.is_server_error() {
            self.0.set_status(Status::error(""));
        }
        self.0.end();
    }
}

/// The name of a method, or `_OTHER` for what is none that the service has or refuses by name (a caller can send any
/// word).
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

/// Sends the batches: on the runtime of the service, for whichever thread asks.
#[derive(Debug)]
struct CollectorClient {
    runtime: tokio::runtime::Handle,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl CollectorClient {
    fn new(collector: &Collector) -> Result<Self, String> {
        let builder = HttpsConnectorBuilder::new();
        let connector = if collector.0.scheme_str() == Some("https") {
            builder.with_native_roots().map_err(|error| error.to_string())?
        } else {
            // No certificate is looked at; the system needs to have none.
            let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
            builder.with_tls_config(config.with_no_client_auth())
        };
        let connector = connector.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { runtime: tokio::runtime::Handle::current(), client })
    }
}

impl HttpClient for CollectorClient {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        static FAILING: Rarely = Rarely::new();
        let sent = send(self.client.clone(), request.map(Full::new));
        let sent = self.runtime.spawn(async { tokio::time::timeout(EXPORT, sent).await });
        Box::pin(async {
            let answer = match sent.await? {
                Ok(answer) => answer,
                Err(_) => Err("no answer in time".into()),
            };
            let problem = match &answer {
                Ok(response) if response.status().is_success() => None,
                Ok(response) => Some(format!("it answers {}", response.status())),
                Err(error) => Some(with_causes(&**error)),
            };
            if let Some(problem) = problem
                && FAILING.count().is_some()
            {
                tracing::warn!(problem, "the traces cannot be sent to the collector; those of this batch are lost");
            }
            answer
        })
    }
}

async fn send(
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = client.request(request).await?.into_parts();
    let body = Limited::new(body, MOST_ANSWER_BYTES).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// An error with what is behind it: the first says no more than that something failed.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
