//! Where all of a store comes from, and whose signature it must have.

use std::path::PathBuf;

use super::files::{Origin, StoreFiles};
use super::keys::VerifyingKey;
use super::problem::StoreError;
use super::{Store, signature};

/// Where all of a store comes from, and whose signature it must have. What is read from it is never a store without having been
/// verified.
#[derive(Clone, Debug)]
pub struct Source {
    /// The store itself.
    pub origin: Origin,
    /// Files of stored entities beside those of the store.
    pub entities: Vec<PathBuf>,
    /// The key with which the store must be signed; `None` where it need not be.
    pub required_key: Option<VerifyingKey>,
    /// The settings of the service that change decisions, each with its value: they are part of the revision.
    pub modes: Vec<(&'static str, &'static str)>,
}

impl Source {
    /// Reads every file, once.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub fn read(&self) -> Result<StoreFiles, StoreError> {
        let mut files = StoreFiles::read(&self.origin)?;
        files.add_entities(&self.entities)?;
        files.modes.clone_from(&self.modes);
        Ok(files)
    }

    /// Checks what was read from here: first its signature, if it must have one, then all that a store is checked for.
    ///
    /// # Errors
    ///
    /// A signature that is missing or not valid, and everything that is wrong with the store.
    pub fn store(&self, files: StoreFiles) -> Result<Store, StoreError> {
        if let Some(key) = &self.required_key {
            signature::verify(&self.origin, &files, key).map_err(StoreError::one)?;
        }
        Store::from_files(self.origin.clone(), files)
    }

    /// Reads and checks the store.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Store, StoreError> {
        self.store(self.read()?)
    }
}
