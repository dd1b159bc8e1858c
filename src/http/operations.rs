//! What an operator sets and sees: bounds on what callers can use up, what is counted, and where traces go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::metrics::Metrics;
use super::traces::Traces;

/// What callers can use up.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long a caller may take for the head of a request: from its first byte, and on a new connection from its beginning.
    pub header_time: Duration,
    /// How long a connection is kept on which nothing comes after an answer.
    pub idle_time: Duration,
    /// How long a caller may take for the whole body of a request, and for taking the whole answer.
    pub body_time: Duration,
    /// How many connections are open at once; others wait in the system's queue until one ends.
    pub connections: usize,
    /// How many requests are decided at once; others get 503.
    pub concurrent: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            body_time: Duration::from_secs(30),
            connections: 4096,
            concurrent: 1024,
        }
    }
}

/// The operator's part of a service. The default has the default bounds, and sends no traces.
#[derive(Debug)]
pub struct Operations {
    /// What callers can use up.
    pub bounds: Bounds,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// Where traces go, if they go anywhere.
    pub traces: Option<Traces>,
    places: Semaphore,
}

impl Operations {
    /// With these bounds, metrics and traces.
    pub fn new(bounds: Bounds, metrics: Arc<Metrics>, traces: Option<Traces>) -> Self {
        let places = Semaphore::new(bounds.concurrent.min(Semaphore::MAX_PERMITS));
        Self { bounds, metrics, traces, places }
    }

    /// Leave to decide, for as long as it is held; `None` if too many hold it already.
    pub(super) fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.try_acquire().ok()
    }
}

impl Default for Operations {
    fn default() -> Self {
        Self::new(Bounds::default(), Arc::default(), None)
    }
}
