//! What entities are in: what is stored, and what a request says beside it.

use cedar_policy::EntityUid;
use hashbrown::HashSet;

use super::{Ancestors, Stored, StoredEntities};

/// The stored hierarchy, with the parents that a request adds to its principal and its resource.
#[derive(Clone, Debug)]
pub struct Hierarchy<'a> {
    /// What is stored.
    pub stored: &'a StoredEntities,
    said: [Option<(&'a EntityUid, &'a [EntityUid])>; 2],
}

impl<'a> Hierarchy<'a> {
    /// The hierarchy with these parents added, each entity with its own.
    pub fn new(stored: &'a StoredEntities, said: [(&'a EntityUid, &'a [EntityUid]); 2]) -> Self {
        Self { stored, said: said.map(|said| Some(said).filter(|(_, parents)| !parents.is_empty())) }
    }

    /// The hierarchy as it is stored.
    pub fn of_store(stored: &'a StoredEntities) -> Self {
        Self { stored, said: [None, None] }
    }

    /// Everything that an entity is in.
    pub fn ancestors(&self, uid: &EntityUid) -> Ancestors {
        if self.said.iter().all(Option::is_none) {
            return self.stored.ancestors(uid);
        }
        let mut found: Ancestors = self.parents(uid).into_iter().collect();
        let mut looked_at = 0;
        while let Some(next) = found.iter().nth(looked_at).cloned() {
            self.parents(&next).into_iter().for_each(|parent| found.insert(parent));
            looked_at += 1;
        }
        found
    }

    /// Whether an entity is another, or is in it. What was `looked_at` before, and did not lead there, is not looked at again.
    pub fn leads_to(&self, from: &EntityUid, to: &EntityUid, looked_at: &mut HashSet<EntityUid>) -> bool {
        let mut open = vec![from.clone()];
        while let Some(next) = open.pop() {
            if next == *to {
                return true;
            }
            if !looked_at.contains(&next) {
                open.extend(self.parents(&next));
                looked_at.insert(next);
            }
        }
        false
    }

    /// The direct parents of an entity.
    pub fn parents(&self, uid: &EntityUid) -> Vec<EntityUid> {
        let said = self.said.iter().flatten().filter(|(of, _)| *of == uid).flat_map(|(_, parents)| *parents);
        self.stored.get(uid).into_iter().flat_map(Stored::parents).chain(said.cloned()).collect()
    }
}
