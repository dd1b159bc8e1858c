//! The decision log.

pub mod mask;
pub mod record;

use record::Recorder;

/// TEMPORARY until the log's storage is merged.
#[derive(Debug)]
pub struct DecisionLog {
    /// Writes records.
    pub recorder: Recorder,
}

impl DecisionLog {
    /// .
    ///
    /// # Errors
    ///
    /// .
    pub async fn append(&self, _: Vec<Vec<u8>>) -> Result<(), ()> {
        Ok(())
    }
}
