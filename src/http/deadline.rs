//! A stream whose other end must send the head of a request, and take what it is sent, within a time; and which ends when nothing comes for
//! long.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long the other end may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// For the head of a request: from its first byte, and on a new connection from its beginning.
    pub(super) head: Duration,
    /// For the next request to begin.
    pub(super) idle: Duration,
    /// For taking what is written.
    pub(super) take: Duration,
}

/// Whose turn it is on a connection, as its stream and its service know it.
#[derive(Debug, Default)]
pub(super) struct Turn {
    phase: AtomicU8,
    /// Whether the connection has ended because a head came too slowly.
    slow_head: AtomicBool,
}

/// Nothing has come yet.
const NEW: u8 = 0;
/// A head is coming.
const HEAD: u8 = 1;
/// A request is being answered; whatever of it is still to come has a time of its own.
const ANSWERING: u8 = 2;
/// The last request is answered.
const IDLE: u8 = 3;

impl Turn {
    /// A request has come as far as its head.
    pub(super) fn begin(&self) {
        self.phase.store(ANSWERING, Relaxed);
    }

    /// It is answered.
    pub(super) fn end(&self) {
        self.phase.store(IDLE, Relaxed);
    }

    /// Whether the connection has ended because a head came too slowly.
    pub(super) fn had_slow_head(&self) -> bool {
        self.slow_head.load(Relaxed)
    }
}

/// The stream. What it is written must be taken in a time that begins when something has to wait, and ends when all of it is written; if it
/// runs out, whatever is written is an error of the kind [`ErrorKind::TimedOut`]. So is whatever is read when a head comes too slowly; where
/// none begins to come, the stream ends.
pub(super) struct Deadline<S> {
    stream: S,
    times: Times,
    turn: Arc<Turn>,
    writing: Option<Pin<Box<Sleep>>>,
    reading: Reading,
}

/// Until when what is awaited must come.
struct Reading {
    /// The phase to which the time belongs.
    phase: u8,
    until: Instant,
    /// It is set anew only when it goes off, or would go off too late: with most requests it is not touched.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S> Deadline<S> {
    pub(super) fn new(stream: S, times: Times, turn: Arc<Turn>) -> Self {
        let reading = Reading { phase: NEW, until: Instant::now() + times.head, sleep: None };
        Self { stream, times, turn, writing: None, reading }
    }

    /// What came of a write, unless the time has run out.
    fn in_time<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            let time = self.times.take;
            let writing = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
            ready!(writing.as_mut().poll(context));
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        written
    }

    /// Something has come.
    fn heard(&mut self) {
        if matches!(self.turn.phase.load(Relaxed), NEW | IDLE) {
            self.turn.phase.store(HEAD, Relaxed);
            self.reading.phase = HEAD;
            self.reading.until = Instant::now() + self.times.head;
        }
    }

    /// Nothing has come: pending, until the time for it has run out.
    fn awaited(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let phase = self.turn.phase.load(Relaxed);
        if phase == ANSWERING {
            return Poll::Pending;
        }
        if phase == IDLE && self.reading.phase != IDLE {
            self.reading.until = Instant::now() + self.times.idle;
        }
        self.reading.phase = phase;
        ready!(self.reading.run_out(context));
        if phase == HEAD {
            self.turn.slow_head.store(true, Relaxed);
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl Reading {
    fn run_out(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() >= until {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(until);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            return self.awaited(context);
        }
        if buffer.filled().len() > before {
            self.heard();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadline<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// All of it is written when this is done: it is asked for after the last byte.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.writing = None;
        }
        self.in_time(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.in_time(context, ended)
    }
}
