//! Connections: taken up to a limit, each with deadlines for what its caller sends and takes, and ended in good order.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::callers::{Caller, Peer, Rights, Tls, Watched, name_of};
use super::deadline::{Deadline, Times, Turn};
use super::front::Front;
use super::metrics::{Metrics, Rejection};
use super::operations::{Bounds, Operations};
use super::rarely::Rarely;

/// How long running requests may take to finish once the service is told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long nothing is taken after the system could give no connection.
const BACK_OFF: Duration = Duration::from_millis(200);

/// The largest head of a request, and what is read or written at once, in bytes: all that a connection costs whose
/// caller is not known.
const BUFFER: usize = 64 << 10;

/// What every connection needs.
struct Connections {
    front: Front,
    tls: Option<Arc<Watched<Tls>>>,
    bounds: Bounds,
    metrics: Arc<Metrics>,
}

/// Serves what is behind the listener, over TLS if there is any, until `shutdown` is done: then no new connection is taken, and running
/// requests finish (for at most 30 seconds).
pub(super) async fn serve(listener: TcpListener, front: Front, shutdown: impl Future<Output = ()>) {
    let Operations { bounds, metrics, .. } = &front.service.operations;
    let (bounds, metrics, tls) = (*bounds, Arc::clone(metrics), front.callers.tls.clone());
    let connections = Arc::new(Connections { front, tls, bounds, metrics });
    let places = Arc::new(Semaphore::new(bounds.connections.min(Semaphore::MAX_PERMITS)));
    let (stop, stopping) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, address, place) = tokio::select! {
            () = &mut shutdown => break,
            taken = next(&listener, &places) => taken,
        };
        let (connections, stopping) = (Arc::clone(&connections), stopping.clone());
        tokio::spawn(async move {
            let _open = connections.metrics.connection();
            connections.serve(stream, address, stopping).await;
            drop(place);
        });
    }
    drop((listener, stopping));
    // That nobody is connected any more is fine.
    let _ = stop.send(());
    let _ = tokio::time::timeout(GRACE, stop.closed()).await;
}

/// The next connection, once there is a place for it. Until then it waits in the system's queue: a caller who waits for
/// a moment is better served than one who is turned away.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    static FULL: Rarely = Rarely::new();
    static FAILING: Rarely = Rarely::new();
    if places.available_permits() == 0 && FULL.count().is_some() {
        tracing::warn!("as many connections are open as may be (--max-connections); further callers wait");
    }
    let Ok(place) = Arc::clone(places).acquire_owned().await else {
        // The semaphore is never closed.
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, place),
            // One that ended before it was taken.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                if let Some(count) = FAILING.count() {
                    tracing::error!(%error, count, "the system gives no connection; the service tries again");
                }
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

impl Connections {
    async fn serve(&self, stream: TcpStream, address: SocketAddr, mut stopping: watch::Receiver<()>) {
        // Answers are small and each waits for the one before: Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.speak(stream, Peer { caller: None, address }, stopping).await;
        };
        // With the certificate that is in force when the handshake begins.
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.current().config));
        let done = tokio::select! {
            done = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)) => done,
            _ = stopping.changed() => return,
        };
        match done.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                let peer = Peer { caller: certified(&stream), address };
                self.speak(stream, peer, stopping).await;
            }
            Err(error) => self.handshake_failed(address, &error),
        }
    }

    fn handshake_failed(&self, address: SocketAddr, error: &io::Error) {
        static FAILED: Rarely = Rarely::new();
        self.metrics.rejected(Rejection::Handshake);
        if let Some(count) = FAILED.count() {
            tracing::info!(%address, %error, count, "a handshake of TLS came to nothing");
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: Peer, mut stopping: watch::Receiver<()>) {
        let turn = Arc::new(Turn::default());
        let Bounds { header_time: head, idle_time: idle, body_time: take, .. } = self.bounds;
        let stream = Deadline::new(stream, Times { head, idle, take }, Arc::clone(&turn));
        let service = service_fn(|request: Request<Incoming>| {
            let (turn, peer) = (&turn, &peer);
            async move {
                turn.begin();
                let answer = self.front.answer(request.map(Body::new), Some(peer)).await;
                turn.end();
                Ok::<_, Infallible>(answer)
            }
        });
        let mut http = http1::Builder::new();
        // Who has sent all of a request may say so by closing its half of the connection: the answer goes out all the same.
        http.half_close(true);
        // The stream itself tells slow heads from connections on which nothing comes.
        http.header_read_timeout(None).max_buf_size(BUFFER);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = stopping.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // Whatever else ended it is the caller's affair: there is nobody to tell.
        if let Err(error) = ended
            && let Some(reason) = rejection(&error, &turn)
        {
            self.metrics.rejected(reason);
        }
    }
}

/// What a connection was ended for, if it was by the service: a head that came too slowly, or an answer that was taken too slowly.
fn rejection(error: &hyper::Error, turn: &Turn) -> Option<Rejection> {
    if turn.had_slow_head() {
        return Some(Rejection::HeaderTimeout);
    }
    let cause = std::error::Error::source(error)?.downcast_ref::<io::Error>()?;
    (cause.kind() == ErrorKind::TimedOut).then_some(Rejection::AnswerTimeout)
}

/// The caller that the client certificate of a connection names.
fn certified(stream: &TlsStream<TcpStream>) -> Option<Caller> {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first)?;
    Some(Caller::new(name_of(certificate), Rights { metrics: true, ..Rights::default() }))
}
