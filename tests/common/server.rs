//! The service on a port of its own, and a client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use gatepost::engine::{Engine, Snapshot};
use gatepost::http::authzen::Limits;
use gatepost::http::callers::Callers;
use gatepost::http::discovery::PublicUrl;
use gatepost::http::paging::Paging;
use gatepost::http::{Operations, ReportPage, Service, serve};
use gatepost::live::StatusBoard;
use serde_json::Value;
use tokio::sync::oneshot;
use ureq::tls::TlsConfig;

/// A running service. It stops when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

/// What the service answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A client of a service, whose connections are kept alive.
pub struct Client {
    url: String,
    agent: ureq::Agent,
}

impl Client {
    /// A client of the service at that URL; `tls` says whom it trusts, and who it is.
    pub fn new(url: &str, tls: TlsConfig) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(20)))
            .tls_config(tls)
            .build()
            .new_agent();
        Self { url: url.to_owned(), agent }
    }

    /// Sends a request with these headers.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.as_ref().to_vec())?;
        let request = self.agent.configure_request(request).allow_non_standard_methods(true).build();
        let mut response = self.agent.run(request)?;
        let text = response.body_mut().read_to_string()?;
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), text })
    }
}

impl Server {
    pub fn start(snapshot: Snapshot, limits: Limits) -> Self {
        Self::with_report(snapshot, limits, Arc::default())
    }

    /// With that page as its report, which the test makes.
    pub fn with_report(snapshot: Snapshot, limits: Limits, report: Arc<ReportPage>) -> Self {
        Self::of(|address| {
            let public_url = PublicUrl::of_loopback(address, false);
            Service {
                board: StatusBoard::of(&snapshot),
                engine: Engine::new(snapshot),
                limits,
                paging: Paging::random().unwrap(),
                callers: Callers::default(),
                report,
                public_url,
                capabilities: Vec::new(),
                log: None,
                operations: Operations::default(),
            }
        })
    }

    /// Of the service that is made for the address.
    pub fn of(service: impl FnOnce(SocketAddr) -> Service) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let service = service(address);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            tokio::runtime::Runtime::new()?.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                serve(listener, service, async { drop(stopped.await) }).await;
                Ok(())
            })
        });
        let client = Client::new(&format!("http://{address}"), TlsConfig::default());
        Self { address, client, stop: Some(stop), thread: Some(thread) }
    }

    /// Sends a request with these headers.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        self.client.send(method, path, headers, body).unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// Posts JSON text.
    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body)
    }

    pub fn evaluation(&self, body: &Value) -> Answer {
        self.post("/access/v1/evaluation", body.to_string())
    }

    pub fn evaluations(&self, body: &Value) -> Answer {
        self.post("/access/v1/evaluations", body.to_string())
    }

    /// A connection on which anything can be written.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Tells the service to stop, without waiting for it.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for the service to end.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Tests are often still connected: the thread ends with the process.
        self.stop();
    }
}

/// Writes `bytes`, and reads to the end of what comes back. A connection that is reset gives what came before.
pub fn exchange(mut stream: TcpStream, bytes: &[u8]) -> String {
    // A service that refuses early closes while more is written: its answer counts.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
