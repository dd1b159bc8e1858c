//! What a request says and nobody reads: members of AuthZEN's own objects that mean nothing, and what the schema does not declare.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smol_str::SmolStr;

use crate::request::json::Members;
use crate::request::nearest::nearest;
use crate::request::place::{Part, Place, Places};
use crate::request::undeclared::Undeclared;
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

    /// Notes the members of an object that have none of these names.
    pub(super) fn note(
        &mut self,
        members: Members<'_>,
        object: &'static str,
        known: &'static [&'static str],
        passed_over: &[&str],
    ) {
        for (name, _) in members {
            if known.contains(&name.as_ref()) || passed_over.contains(&name.as_ref()) {
                continue;
            }
            if self.named.len() == NAMED {
                self.more += 1;
                continue;
            }
            let name = beginning(name);
            let place = format!("{object}{}", Place::new(Part::Context).member(name).path);
            let place = place.strip_prefix('.').unwrap_or(&place).into();
            self.named.push(UnreadMember { place, name: name.into(), known });
        }
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

/// So many names are looked for in one body at most.
const LOOKED_FOR: usize = 1000;

/// What there is to say of names in one body: of a batch, it is found out once of each, and only of so many.
#[derive(Debug, Default)]
pub struct Hints(Mutex<HashMap<(usize, SmolStr), SmolStr>>);

impl Hints {
    /// What there is to say of the name at a place, where `known` would be read.
    fn told<K: ?Sized>(&self, known: &K, place: SmolStr, words: impl FnOnce(&str) -> String) -> SmolStr {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = hints.len() >= LOOKED_FOR;
        match hints.entry((std::ptr::from_ref(known).addr(), place)) {
            Entry::Occupied(told) => told.get().clone(),
            Entry::Vacant(vacant) if is_full => with_hint(vacant.key().1.as_str(), None).into(),
            Entry::Vacant(vacant) => {
                let words = words(vacant.key().1.as_str()).into();
                vacant.insert(words).clone()
            }
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
            let words = |place: &str| with_hint(place, nearest(name, known.iter().copied()));
            self.hints.told(*known, place.clone(), words)
        });
        let of_schema = self.undeclared.named.iter().map(|place| match environment {
            Some(environment) => {
                self.hints.told(environment, shown(place).into(), |shown| match Undeclared::at(place, environment) {
                    Undeclared::Unknown { nearest } => with_hint(shown, nearest),
                    Undeclared::TooFine => format!("`{shown}` (times are read to the millisecond)"),
                })
            }
            None => with_hint(&shown(place), None).into(),
        });
        let mut words = of_members.chain(of_schema).collect::<Vec<_>>().join(", ");
        if self.more() > 0 {
            words.push_str(&format!(" and {} more", self.more()));
        }
        words
    }
}

fn with_hint(place: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("`{place}` (did you mean `{meant}`?)"),
        None => format!("`{place}`"),
    }
}
