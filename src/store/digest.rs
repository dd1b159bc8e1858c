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
        let mut hasher = Sha256::new();
        // Every part is preceded by its length, so that no two stores give the same bytes.
        let mut part = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for file in files.deciding() {
            part(&file.path);
            part(&file.text);
        }
        // Where these lie is no part of the revision: replicas may have them in other places.
        for file in &files.further_entities {
            part("further entities");
            part(&file.text);
        }
        for plugin in PLUGINS {
            part(plugin.name());
            part(plugin.version());
        }
        Self(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digest, as 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
