//! Where connections come from: plain ones, and those of TLS on which the handshake is done.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::callers::{Caller, Peer, Tls, Watched, name_of};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Plain TCP.
pub(super) struct PlainListener(pub(super) TcpListener);

impl Listener for PlainListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        without_delay(&stream);
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Gives a connection on once the handshake is done, with the certificate that is in force when it begins. Nobody waits for the
/// handshake of another.
pub(super) struct TlsListener {
    tcp: TcpListener,
    tls: Arc<Watched<Tls>>,
    handshakes: JoinSet<Option<Connection>>,
}

type Connection = (TlsStream<TcpStream>, SocketAddr);

impl TlsListener {
    pub(super) fn new(tcp: TcpListener, tls: Arc<Watched<Tls>>) -> Self {
        Self { tcp, tls, handshakes: JoinSet::new() }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        loop {
            tokio::select! {
                (stream, address) = Listener::accept(&mut self.tcp) => {
                    let acceptor = TlsAcceptor::from(Arc::clone(&self.tls.current().config));
                    self.handshakes.spawn(handshake(acceptor, stream, address));
                }
                // One that failed is over: there is nobody to tell.
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

async fn handshake(acceptor: TlsAcceptor, stream: TcpStream, address: SocketAddr) -> Option<Connection> {
    without_delay(&stream);
    let done = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
    Some((done.ok()?.ok()?, address))
}

/// Answers are small and each waits for the one before: Nagle's algorithm would only delay them.
fn without_delay(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

impl Connected<IncomingStream<'_, PlainListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, PlainListener>) -> Self {
        Self(None)
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        let (_, session) = stream.io().get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        Self(certificate.map(|certificate| Caller::new(name_of(certificate), None, None)))
    }
}
