//! Requests with much to decide let others in.

use std::time::{Duration, Instant};

/// How long one request decides without letting others in.
const SLICE: Duration = Duration::from_millis(2);

/// The time for which a request has decided in one go.
pub(super) struct Slice(Instant);

impl Slice {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Lets other requests in, if it is their turn; gives the time at which this one goes on.
    pub(super) async fn let_others_in(&mut self) -> Instant {
        let now = Instant::now();
        if now - self.0 <= SLICE {
            return now;
        }
        tokio::task::yield_now().await;
        self.0 = Instant::now();
        self.0
    }
}
