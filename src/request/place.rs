//! Where in a request something stands.

use std::fmt::{self, Write as _};

use smol_str::{SmolStr, format_smolstr};

/// A place in a request: what is asked about, and the way from there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// What it lies in.
    pub part: Part,
    /// The names and indices that lead to it, as they are written behind the part: `.name`, `[0]`.
    pub path: SmolStr,
}

/// The parts of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The id of the principal.
    PrincipalId,
    /// An attribute of the principal.
    Principal,
    /// A tag of the principal.
    PrincipalTags,
    /// A parent of the principal.
    PrincipalParents,
    /// The action's own attributes.
    Action,
    /// The id of the resource.
    ResourceId,
    /// An attribute of the resource.
    Resource,
    /// A tag of the resource.
    ResourceTags,
    /// A parent of the resource.
    ResourceParents,
    /// The context.
    Context,
}

impl Part {
    /// The entity of which it is a part.
    pub const fn participant(self) -> Option<Participant> {
        match self {
            Self::PrincipalId | Self::Principal | Self::PrincipalTags | Self::PrincipalParents => {
                Some(Participant::Principal)
            }
            Self::ResourceId | Self::Resource | Self::ResourceTags | Self::ResourceParents => {
                Some(Participant::Resource)
            }
            Self::Action | Self::Context => None,
        }
    }
}

/// One of the two entities of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Participant {
    /// The principal.
    Principal,
    /// The resource.
    Resource,
}

impl Participant {
    /// Its attributes.
    pub const fn attributes(self) -> Part {
        match self {
            Self::Principal => Part::Principal,
            Self::Resource => Part::Resource,
        }
    }

    /// Its tags.
    pub const fn tags(self) -> Part {
        match self {
            Self::Principal => Part::PrincipalTags,
            Self::Resource => Part::ResourceTags,
        }
    }

    /// Its parents.
    pub const fn parents(self) -> Part {
        match self {
            Self::Principal => Part::PrincipalParents,
            Self::Resource => Part::ResourceParents,
        }
    }
}

/// The way to a place, while it is walked: it costs nothing until somebody wants to know the place.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// A part of a request.
    Part(Part),
    /// A member of what lies at the end of that way.
    Member(&'a Way<'a>, &'a str),
    /// An element of what lies at the end of that way.
    Element(&'a Way<'a>, usize),
}

impl Way<'_> {
    /// Where it leads to.
    pub fn place(&self) -> Place {
        match self {
            Self::Part(part) => Place::new(*part),
            Self::Member(way, name) => way.place().member(name),
            Self::Element(way, index) => way.place().element(*index),
        }
    }
}

/// The longest path that is kept: names come from callers.
const LONGEST: usize = 200;

impl Place {
    /// The part itself.
    pub const fn new(part: Part) -> Self {
        Self { part, path: SmolStr::new_static("") }
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        // No more of it is looked at than can be kept.
        let end = name.char_indices().nth(LONGEST).map_or(name.len(), |(end, _)| end);
        let name = name.get(..end).unwrap_or_default();
        let plain = !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || character == '_');
        let mut path = String::from(self.path.as_str());
        // Writing to a string does not fail.
        let _ = if plain { write!(path, ".{name}") } else { write!(path, "[{name:?}]") };
        if let Some((end, _)) = path.char_indices().nth(LONGEST) {
            path.truncate(end);
            path.push('…');
        }
        Self { part: self.part, path: path.into() }
    }

    /// The path, with the elements of sets taken for the sets.
    pub fn path_without_elements(&self) -> String {
        let mut path = String::new();
        let mut rest = self.path.as_str();
        while let Some(start) = rest.find('[') {
            let (before, after) = rest.split_at(start);
            path.push_str(before);
            let index = after.strip_prefix('[').and_then(|after| after.split_once(']'));
            rest = match index {
                Some((index, behind)) if index.bytes().all(|byte| byte.is_ascii_digit()) => behind,
                // A name in quotation marks: what is in it is no index.
                _ => {
                    let end = quoted_end(after);
                    let (name, behind) = after.split_at(end);
                    path.push_str(name);
                    behind
                }
            };
        }
        path.push_str(rest);
        path
    }

    /// The names that lead to it, without the indices of elements.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut rest = self.path.as_str();
        while !rest.is_empty() {
            let end = match rest.strip_prefix('[') {
                Some(inner) if inner.starts_with('"') => {
                    let end = quoted_end(rest);
                    names.extend(rest.get(2..end.saturating_sub(2)).map(str::to_owned));
                    end
                }
                Some(inner) => inner.find(']').map_or(rest.len(), |end| end + 2),
                None => {
                    let name = rest.strip_prefix('.').unwrap_or(rest);
                    let length = name.find(['.', '[']).unwrap_or(name.len());
                    names.extend(name.get(..length).map(str::to_owned));
                    rest.len() - name.len() + length
                }
            };
            rest = rest.get(end..).unwrap_or_default();
        }
        names
    }

    /// The element at that index.
    #[must_use]
    pub fn element(&self, index: usize) -> Self {
        Self { part: self.part, path: format_smolstr!("{}[{index}]", self.path) }
    }
}

/// Whether a path is another, or leads on from it.
pub fn leads_into(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Where a name in quotation marks and brackets ends, as [`Place::member`] writes it.
fn quoted_end(text: &str) -> usize {
    let mut escaped = false;
    for (index, character) in text.char_indices().skip(2) {
        match character {
            '"' if !escaped => return (index + 2).min(text.len()),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// So many places are named at most: how many there are is the caller's choice.
const NAMED: usize = 20;

/// Places, of which the first are named and the others counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Those that are named.
    pub named: Vec<Place>,
    /// How many more there are.
    pub more: usize,
}

impl Places {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Adds `count` places, of which `places` gives the first; it is asked for no more than are named.
    pub fn extend(&mut self, count: usize, places: impl IntoIterator<Item = Place>) {
        let before = self.named.len();
        self.named.extend(places.into_iter().take(count.min(NAMED - before)));
        self.more += count - (self.named.len() - before);
    }

    /// Adds those of `places` that are not named already.
    pub fn include(&mut self, places: &[Place]) {
        let others: Vec<_> = places.iter().filter(|place| !self.named.contains(place)).cloned().collect();
        self.extend(others.len(), others);
    }

    /// Each of them in words, and how many more there are.
    pub fn listed(&self, in_words: impl Fn(&Place) -> String) -> String {
        let names: Vec<_> = self.named.iter().map(|place| format!("`{}`", in_words(place))).collect();
        if self.more == 0 { names.join(", ") } else { format!("{} and {} more", names.join(", "), self.more) }
    }
}

/// In the words of the policies; the HTTP layer has words of its own.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::PrincipalId | Part::Principal => "principal",
            Part::Action => "context.action",
            Part::ResourceId | Part::Resource => "resource",
            Part::PrincipalTags => "principal.tags",
            Part::PrincipalParents => "principal.parents",
            Part::ResourceTags => "resource.tags",
            Part::ResourceParents => "resource.parents",
            Part::Context => "context",
        };
        write!(formatter, "{part}{}", self.path)
    }
}
