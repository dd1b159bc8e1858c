//! What may happen thousands of times a second is said once a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// When a thing was last said, and how often it has happened since without being said.
#[derive(Debug)]
pub(super) struct Rarely {
    second: AtomicU64,
    unsaid: AtomicU64,
}

impl Rarely {
    pub(super) const fn new() -> Self {
        Self { second: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// How often it has happened, this time included, since it was last said; `None` if it was said in this very second.
    pub(super) fn count(&self) -> Option<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let said = self.second.swap(now, Ordering::Relaxed);
        if said == now {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.unsaid.swap(0, Ordering::Relaxed) + 1)
    }
}
