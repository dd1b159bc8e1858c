//! The revision: a digest of everything that can change a decision.

use std::fmt;

use sha2::{Digest, Sha256};

use super::files::StoreFiles;
use crate::plugin::PLUGINS;

/// The SHA-256 of a store's schema, policies, matrix, entities and clauses, and of the plugins' names and versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// The revision of these files, with the plugins of this build.
    pub fn of(files: &StoreFiles) -> Self {
        let mut hasher = of_files(files);
        for plugin in PLUGINS {
            add(&mut hasher, plugin.name());
            add(&mut hasher, plugin.version());
        }
        Self(hex::encode(hasher.finalize()))
    }

    /// The digest, as 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A digest of all in these files that can change a decision, to which more can be added.
pub(super) fn of_files(files: &StoreFiles) -> Sha256 {
    let mut hasher = Sha256::new();
    for file in files.deciding() {
        add(&mut hasher, &file.path);
        add(&mut hasher, &file.text);
    }
    // Where these lie is no part of it: replicas may have them in other places. No file of a store has such a path.
    for file in &files.further_entities {
        add(&mut hasher, "further entities");
        add(&mut hasher, &file.text);
    }
    hasher
}

/// Every part is preceded by its length, so that no two stores give the same bytes.
fn add(hasher: &mut Sha256, part: &str) {
    hasher.update((part.len() as u64).to_le_bytes());
    hasher.update(part.as_bytes());
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
