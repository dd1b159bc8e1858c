//! The revision: a digest of everything that can change a decision.

use std::fmt;

use sha2::{Digest, Sha256};

use super::files::StoreFiles;
use crate::plugin::PLUGINS;

/// The number of the rules by which requests and stored entities are read: what one JSON value means under a schema, what is refused, what is
/// laid over what (`docs/requests.md`). **Whoever changes one counts on**: under an unchanged store, requests are then decided otherwise,
/// which page tokens, replays and other replicas have to know.
pub const READING_RULES: u32 = 2;

/// The SHA-256 of a store's schema, policies, matrix, entities and clauses, of the plugins' names and versions, of the number of the rules by
/// which requests are read, and of the modes of the service that change decisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// The revision of these files, with the plugins and the reading rules of this build.
    pub fn of(files: &StoreFiles) -> Self {
        let mut hasher = of_files(files);
        for plugin in PLUGINS {
            add(&mut hasher, plugin.name());
            add(&mut hasher, plugin.version());
        }
        add(&mut hasher, "reading rules");
        add(&mut hasher, &READING_RULES.to_string());
        for (name, value) in &files.modes {
            add(&mut hasher, name);
            add(&mut hasher, value);
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

#[cfg(test)]
mod tests {
    use super::Revision;
    use crate::store::StoreFiles;

    /// "The modes (`--unknown-attributes`) in the revision": the same files under another mode decide otherwise.
    #[test]
    fn modes_are_part_of_the_revision() {
        let of = |modes: &[(&'static str, &'static str)]| {
            Revision::of(&StoreFiles { modes: modes.to_vec(), ..StoreFiles::default() })
        };
        let (drop, deny) = (of(&[("unknown-attributes", "drop")]), of(&[("unknown-attributes", "deny")]));
        assert_ne!(drop, deny);
        assert_ne!(of(&[]), drop);
        assert_eq!(drop, of(&[("unknown-attributes", "drop")]));
    }
}
