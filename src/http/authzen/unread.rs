//! What a request says and nobody reads: members of AuthZEN's own objects that mean nothing, and what the schema does not declare.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

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
    place: String,
    name: String,
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
            let place = Place::new(Part::Context).member(name).path;
            let place = format!("{object}{place}");
            let place = place.strip_prefix('.').unwrap_or(&place).to_owned();
            self.named.push(UnreadMember { place, name: name.as_ref().to_owned(), known });
        }
    }

    /// Leaves out a member of the body, which something else reads.
    pub(super) fn but(mut self, name: &str) -> Self {
        self.named.retain(|member| member.place != name);
        self
    }

    /// Where each stands that is named, and how many more there are.
    pub fn places(&self) -> (Vec<String>, usize) {
        (self.named.iter().map(|member| member.place.clone()).collect(), self.more)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

/// So many names are looked for in one body at most.
const LOOKED_FOR: usize = 1000;

/// The names that were probably meant in one body: of a batch, each is looked for once, and only so many are.
#[derive(Debug, Default)]
pub struct Hints(Mutex<HashMap<(usize, Place), String>>);

impl Hints {
    /// What is the matter with what was dropped at a place, in words.
    fn told(&self, place: &Place, environment: &Environment) -> String {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (std::ptr::from_ref(environment).addr(), place.clone());
        let is_full = hints.len() >= LOOKED_FOR;
        let told = match hints.entry(key) {
            Entry::Occupied(told) => told.into_mut(),
            Entry::Vacant(_) if is_full => return with_hint(&shown(place), None),
            Entry::Vacant(vacant) => vacant.insert(match Undeclared::at(place, environment) {
                Undeclared::Unknown { nearest } => with_hint(&shown(place), nearest),
                Undeclared::TooFine => format!("`{}` (times are read to the millisecond)", shown(place)),
            }),
        };
        told.clone()
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
        let members = self.members.named.iter().map(|member| member.place.clone());
        members.chain(self.undeclared.named.iter().map(shown))
    }

    /// How many there are that are not named.
    pub fn more(&self) -> usize {
        self.members.more + self.undeclared.more
    }

    /// Each with the name that was probably meant, and how many more there are; `environment` is that of the request.
    pub fn in_words(&self, environment: Option<&Environment>) -> String {
        let of_members = self.members.named.iter().map(|member| {
            let meant = nearest(&member.name, member.known.iter().copied());
            with_hint(&member.place, meant)
        });
        let of_schema = self.undeclared.named.iter().map(|place| match environment {
            Some(environment) => self.hints.told(place, environment),
            None => with_hint(&shown(place), None),
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
