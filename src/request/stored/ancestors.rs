//! What an entity is in.

use cedar_policy::EntityUid;
use hashbrown::HashSet;

/// Entities that another is in, each once, in the order in which they were found.
#[derive(Clone, Debug, Default)]
pub struct Ancestors {
    all: Vec<EntityUid>,
    /// The same, where they are many.
    hashed: HashSet<EntityUid>,
}

/// So many are looked through, which is faster than to find one by its hash.
const FEW: usize = 8;

impl Ancestors {
    /// Adds one, unless it is there.
    pub fn insert(&mut self, uid: EntityUid) {
        if self.contains(&uid) {
            return;
        }
        if self.all.len() == FEW {
            self.hashed.extend(self.all.iter().cloned());
        }
        if self.all.len() >= FEW {
            self.hashed.insert(uid.clone());
        }
        self.all.push(uid);
    }

    /// Whether that one is there.
    pub fn contains(&self, uid: &EntityUid) -> bool {
        if self.all.len() > FEW { self.hashed.contains(uid) } else { self.all.contains(uid) }
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, EntityUid> {
        self.all.iter()
    }
}

impl FromIterator<EntityUid> for Ancestors {
    fn from_iter<I: IntoIterator<Item = EntityUid>>(uids: I) -> Self {
        let mut all = Self::default();
        uids.into_iter().for_each(|uid| all.insert(uid));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{Ancestors, EntityUid, FEW};

    #[test]
    fn few_and_many_are_there_once_each() {
        let uid = |number: usize| -> EntityUid { format!("Group::\"{number}\"").parse().unwrap() };
        for count in 0..3 * FEW {
            let found: Ancestors = (0..count).chain(0..count).map(uid).collect();
            assert!(found.iter().cloned().eq((0..count).map(uid)), "{count}");
            assert!((0..3 * FEW).all(|number| found.contains(&uid(number)) == (number < count)), "{count}");
        }
    }
}
