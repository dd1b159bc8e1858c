//! Requests that are written down, and decided as they are written.

use serde_json::Value as Json;

use super::{Decision, Snapshot};
use crate::request::case::Case;

/// How requests are written down, and decided as they are written: two revisions may read one text differently.
pub trait Print: Sync {
    /// The request of a case of a snapshot, and what is stored beside it.
    fn print(&self, case: &Case, of: &Snapshot) -> Json;

    /// What a snapshot decides on a request that was written down; `None` where it has no such request. Of what is stored beside it,
    /// it reads what it declares.
    fn decide(&self, request: &Json, snapshot: &Snapshot) -> Option<Decision>;
}
