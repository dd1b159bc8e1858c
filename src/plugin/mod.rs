//! Plugins: what reads a raw string and returns facts.
//!
//! A plugin never allows or denies. It turns one raw string, which a person typed, into a record of typed facts, and the
//! policies decide on the facts alone. Which values a plugin reads is said in the schema: a common type that is annotated
//! `@parsed_by("<name of the plugin>")` is filled by it wherever that type stands.
//!
//! To add a plugin: one file beside this one that implements [`Plugin`], and one line in [`PLUGINS`].

mod email;
mod phone;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

pub use email::EmailPlugin;
pub use phone::PhonePlugin;

/// Every plugin of this build, by the order of their names.
pub const PLUGINS: &[&dyn Plugin] = &[&EmailPlugin, &PhonePlugin];

/// The one fact that every plugin fills: whether the raw string could be read.
pub const VALID: &str = "valid";

/// Reads one kind of raw string.
///
/// An implementation must hold three promises: it never panics, its time is bounded on any input (refuse what is longer
/// than anything real before looking at it), and equal input gives equal facts for one [`version`](Plugin::version).
pub trait Plugin: Send + Sync {
    /// The name that `@parsed_by` uses in a schema.
    fn name(&self) -> &'static str;

    /// Changes whenever the facts of any input may change; part of a store's revision.
    fn version(&self) -> &'static str;

    /// One sentence for an author: what is read, and what the facts are.
    fn about(&self) -> &'static str;

    /// The facts beside [`VALID`], in the order in which [`parse`](Plugin::parse) returns them.
    ///
    /// The bound type in the schema must have exactly these fields, and `valid: Bool`.
    fn facts(&self) -> &'static [FactField];

    /// What else the plugin needs to know: names of annotations on the attribute, each of which names a path to a String.
    fn parameters(&self) -> &'static [&'static str];

    /// Reads `raw`. `arguments` holds one entry for each of [`parameters`](Plugin::parameters), in that order; `None` where
    /// the path ends at an absent attribute.
    ///
    /// Returns one fact for each of [`facts`](Plugin::facts), in that order, or `None` if `raw` is not valid.
    fn parse(&self, raw: &str, arguments: &[Option<&str>]) -> Option<Vec<Fact>>;
}

impl std::fmt::Debug for dyn Plugin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A field of the record that a plugin fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactField {
    /// The field's name in the schema.
    pub name: &'static str,
    /// The field's type in the schema.
    pub kind: FactKind,
    /// Whether the fact repeats what was read, so that who may not see the one may not see the other.
    pub repeats: bool,
}

impl FactField {
    /// A fact that says something about what was read.
    pub const fn about(name: &'static str, kind: FactKind) -> Self {
        Self { name, kind, repeats: false }
    }

    /// A fact that repeats what was read.
    pub const fn repeating(name: &'static str, kind: FactKind) -> Self {
        Self { name, kind, repeats: true }
    }
}

/// The type of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// Cedar's `Bool`.
    Bool,
    /// Cedar's `Long`.
    Long,
    /// Cedar's `String`.
    String,
}

impl FactKind {
    /// The name of the type in a Cedar schema.
    pub fn cedar_name(self) -> &'static str {
        match self {
            Self::Bool => "Bool",
            Self::Long => "Long",
            Self::String => "String",
        }
    }

    /// The fact of this type that a string which does not parse has.
    fn empty(self) -> Fact {
        match self {
            Self::Bool => Fact::Bool(false),
            Self::Long => Fact::Long(0),
            Self::String => Fact::String(String::new()),
        }
    }
}

/// One thing that a plugin read out of a raw string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A text.
    String(String),
}

impl Fact {
    fn kind(&self) -> FactKind {
        match self {
            Self::Bool(_) => FactKind::Bool,
            Self::Long(_) => FactKind::Long,
            Self::String(_) => FactKind::String,
        }
    }
}

/// The plugin of that name.
pub fn find(name: &str) -> Option<&'static dyn Plugin> {
    PLUGINS.iter().copied().find(|plugin| plugin.name() == name)
}

/// What a plugin has read since the process began.
#[derive(Debug)]
pub struct Figures {
    /// Strings that were valid.
    pub valid: AtomicU64,
    /// Strings that were not.
    pub invalid: AtomicU64,
    /// Times that it broke its promise: panics, and facts of other types than it declares.
    pub failures: AtomicU64,
}

impl Figures {
    const fn none() -> Self {
        Self { valid: AtomicU64::new(0), invalid: AtomicU64::new(0), failures: AtomicU64::new(0) }
    }
}

/// The figures of all plugins, in the order of [`PLUGINS`].
pub fn figures() -> &'static [Figures] {
    static FIGURES: [Figures; PLUGINS.len()] = [const { Figures::none() }; PLUGINS.len()];
    &FIGURES
}

/// The whole record of facts for `raw`: every field of [`Plugin::facts`] and [`VALID`].
///
/// This is the only way in which a plugin is called. A string that is not valid gives `valid: false` and empty facts; so
/// does a plugin that breaks its promise (panics, or returns other facts than it declares), because a denial is the safe
/// answer to facts that are not there.
pub fn read(plugin: &dyn Plugin, raw: &str, arguments: &[Option<&str>]) -> Vec<(&'static str, Fact)> {
    let fields = plugin.facts();
    let is_kept = |facts: &Vec<Fact>| facts.iter().map(Fact::kind).eq(fields.iter().map(|field| field.kind));
    let parsed = catch_unwind(AssertUnwindSafe(|| plugin.parse(raw, arguments)));
    let failed = parsed.as_ref().map_or(true, |parsed| parsed.as_ref().is_some_and(|facts| !is_kept(facts)));
    let parsed = parsed.ok().flatten().filter(is_kept);
    let valid = parsed.is_some();
    let place = PLUGINS.iter().position(|known| known.name() == plugin.name());
    if let Some(figures) = place.and_then(|place| figures().get(place)) {
        let count = |figure: &AtomicU64| {
            figure.fetch_add(1, Ordering::Relaxed);
        };
        count(if valid { &figures.valid } else { &figures.invalid });
        if failed {
            count(&figures.failures);
        }
    }
    let facts = parsed.unwrap_or_else(|| fields.iter().map(|field| field.kind.empty()).collect());
    let mut record = vec![(VALID, Fact::Bool(valid))];
    record.extend(fields.iter().map(|field| field.name).zip(facts));
    record
}
