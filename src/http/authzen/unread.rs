//! What a request says and nobody reads: members of AuthZEN's own objects that mean nothing, and what the schema does not declare.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smol_str::SmolStr;

use crate::request::json::Members;
use crate::request::place::{Part, Place, Places};
use crate::request::undeclared::Undeclared;
use crate::store::nearest::nearest;
use crate::store::schema::Environment;

use super::reading::FromMembers;
use super::{BadRequest, shown};

/// So many are kept at most: how many there are is the caller's choice.
const NAMED: usize = 20;

/// The members of AuthZEN's own objects that are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadMembers {
    named: Vec<UnreadMember>,
    more: usize,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnreadMember {
    /// Where it stands: `options.at_leest`.
    place: SmolStr,
    /// Its name, as much of it as can be like another.
    name: SmolStr,
    /// The names that would be read there.
    known: &'static [&'static str],
}

impl UnreadMembers {
    pub(super) fn of<'a, T: FromMembers<'a>>(members: Members<'a>) -> Self {
        let mut unread = Self::default();
        T::note_unread(members, "", &mut unread);
        unread
    }

    /// Notes a member of an object whose name is none of those that are known.
    pub(super) fn note(&mut self, name: &str, object: &'static str, known: &'static [&'static str]) {
        if self.named.len() == NAMED {
            self.more += 1;
            return;
        }
        let name = beginning(name);
        let place = format!("{object}{}", Place::new(Part::Context).member(name).path);
        let place = place.strip_prefix('.').unwrap_or(&place).into();
        self.named.push(UnreadMember { place, name: name.into(), known });
    }

    /// Notes those that stand elsewhere in the same body.
    pub(super) fn add(&mut self, others: &Self) {
        let room = NAMED - self.named.len().min(NAMED);
        let (named, rest) = others.named.split_at(room.min(others.named.len()));
        self.named.extend_from_slice(named);
        self.more += rest.len() + others.more;
    }

    /// Leaves out a member of the body, which something else reads.
    pub(super) fn but(mut self, name: &str) -> Self {
        self.named.retain(|member| member.place != name);
        self
    }

    /// Where each stands that is named, and how many more there are.
    pub fn places(&self) -> (Vec<String>, usize) {
        (self.named.iter().map(|member| member.place.to_string()).collect(), self.more)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

/// So many characters of a name are looked at: how long it is, is the caller's choice.
const LONGEST: usize = 250;

fn beginning(name: &str) -> &str {
    name.char_indices().nth(LONGEST).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// With so many names those of one body are compared at most, to find what was meant: how many there are is the caller's choice.
const COMPARED: usize = 50_000;

/// One that is looked for counts as so many comparisons at least.
const LOOKED_FOR: usize = 50;

/// What was probably meant in one body: of a batch, it is found out once of each name, and only of so many.
#[derive(Debug)]
pub struct Hints(Mutex<Found>);

#[derive(Debug)]
struct Found {
    told: HashMap<(usize, SmolStr), SmolStr>,
    left: usize,
}

impl Default for Hints {
    fn default() -> Self {
        Self(Mutex::new(Found { told: HashMap::new(), left: COMPARED }))
    }
}

impl Hints {
    /// What there is to say of a name that is not one of those of `known`, of which there are `count`; nothing where too many were compared
    /// before.
    pub(super) fn of<K: ?Sized>(
        &self,
        known: &K,
        count: usize,
        name: &str,
        words: impl FnOnce() -> Option<String>,
    ) -> SmolStr {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Found { told, left } = &mut *found;
        match told.entry((std::ptr::from_ref(known).addr(), beginning(name).into())) {
            Entry::Occupied(told) => told.get().clone(),
            Entry::Vacant(vacant) => match left.checked_sub(count.max(LOOKED_FOR)) {
                Some(rest) => {
                    *left = rest;
                    vacant.insert(words().unwrap_or_default().into()).clone()
                }
                None => SmolStr::default(),
            },
        }
    }
}

/// All that a request says and nobody reads.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'a> {
    /// Members of AuthZEN's own objects.
    pub members: &'a UnreadMembers,
    /// What the schema does not declare.
    pub undeclared: &'a Places,
    /// The names that were probably meant.
    pub hints: &'a Hints,
}

impl Unread<'_> {
    /// Whether there is nothing of that kind.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.undeclared.is_empty()
    }

    /// Refuses what is not read, where a request is strict; `environment` is that of the request.
    ///
    /// # Errors
    ///
    /// All of it.
    pub fn unless_strict(&self, strict: bool, environment: Option<&Environment>) -> Result<(), BadRequest> {
        if strict && !self.is_empty() { Err(BadRequest::Unread(self.in_words(environment))) } else { Ok(()) }
    }

    /// Where each stands that is named.
    pub fn places(&self) -> impl Iterator<Item = String> {
        let members = self.members.named.iter().map(|member| member.place.to_string());
        members.chain(self.undeclared.named.iter().map(shown))
    }

    /// How many there are that are not named.
    pub fn more(&self) -> usize {
        self.members.more + self.undeclared.more
    }

    /// Each with the name that was probably meant, and how many more there are; `environment` is that of the request.
    pub fn in_words(&self, environment: Option<&Environment>) -> String {
        let of_members = self.members.named.iter().map(|UnreadMember { place, name, known }| {
            let hint = || nearest(name, known.iter().copied()).map(meant);
            format!("`{place}`{}", self.hints.of(*known, known.len(), place, hint))
        });
        let of_schema = self.undeclared.named.iter().map(|place| {
            let hint = |environment: &Environment| match Undeclared::at(place, environment) {
                Undeclared::Unknown { nearest } => nearest.map(meant),
                Undeclared::TooFine => Some(" (times are read to the millisecond)".to_owned()),
            };
            let place = shown(place);
            let hint = environment
                .map(|environment| self.hints.of(environment, declared(environment), &place, || hint(environment)));
            format!("`{place}`{}", hint.unwrap_or_default())
        });
        let mut words = of_members.chain(of_schema).collect::<Vec<_>>().join(", ");
        if self.more() > 0 {
            words.push_str(&format!(" and {} more", self.more()));
        }
        words
    }
}

fn meant(nearest: &str) -> String {
    format!(" (did you mean `{nearest}`?)")
}

/// How many names stand in what a request of that environment may say.
fn declared(environment: &Environment) -> usize {
    let Environment { principal_type, resource_type, context, .. } = environment;
    principal_type.attributes.0.len() + resource_type.attributes.0.len() + context.0.len()
}
