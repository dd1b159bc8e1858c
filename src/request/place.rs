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
    /// The action's own attributes.
    Action,
    /// The id of the resource.
    ResourceId,
    /// An attribute of the resource.
    Resource,
    /// The context.
    Context,
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

    /// The element at that index.
    #[must_use]
    pub fn element(&self, index: usize) -> Self {
        Self { part: self.part, path: format_smolstr!("{}[{index}]", self.path) }
    }
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
            Part::Context => "context",
        };
        write!(formatter, "{part}{}", self.path)
    }
}
