//! Facts: every raw string is read by the plugin that the schema binds its type to.

use smol_str::SmolStr;

use super::value::{Record, Value};
use crate::plugin;
use crate::store::schema::{AttributePath, Parsed, PathRoot, RecordShape, Shape};

/// What the paths of a plugin's parameters start from.
#[derive(Clone, Copy, Default)]
pub struct Roots<'a> {
    /// The attributes of the principal.
    pub principal: Option<&'a Record>,
    /// The attributes of the resource.
    pub resource: Option<&'a Record>,
    /// The context.
    pub context: Option<&'a Record>,
    /// The attributes of the entity that holds the raw string.
    pub this: Option<&'a Record>,
}

impl<'a> Roots<'a> {
    /// The roots for the attributes of one entity.
    pub fn of_entity(attributes: &'a Record) -> Self {
        Self { this: Some(attributes), ..Self::default() }
    }

    /// The String at the end of the path; `None` where an attribute on the way is absent.
    fn text(&self, path: &AttributePath) -> Option<&'a SmolStr> {
        let start = match path.root {
            PathRoot::Principal => self.principal,
            PathRoot::Resource => self.resource,
            PathRoot::Context => self.context,
            PathRoot::This => self.this,
        };
        let (last, before) = path.attributes.split_last()?;
        let record = before.iter().try_fold(start?, |record, attribute| match record.get(attribute)? {
            Value::Record(inner) => Some(inner),
            _ => None,
        })?;
        match record.get(last)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// The record, with the facts that its plugin reads in place of every raw string, at any depth.
pub fn read_facts(shape: &RecordShape, record: &Record, roots: &Roots<'_>) -> Record {
    let read = |(name, value): (&SmolStr, &Value)| {
        let read = shape.0.get(name).map_or_else(|| value.clone(), |field| read_value(&field.shape, value, roots));
        (name.clone(), read)
    };
    record.iter().map(read).collect()
}

/// The tags, with the facts that their plugin reads in place of every raw string.
pub fn read_tags(shape: &Shape, tags: &Record, roots: &Roots<'_>) -> Record {
    tags.iter().map(|(key, value)| (key.clone(), read_value(shape, value, roots))).collect()
}

fn read_value(shape: &Shape, value: &Value, roots: &Roots<'_>) -> Value {
    match (shape, value) {
        (Shape::Parsed(parsed), Value::Raw(raw)) => Value::Record(facts(parsed, raw, roots)),
        (Shape::Record(shape), Value::Record(record)) => Value::Record(read_facts(shape, record, roots)),
        (Shape::Set(element), Value::Set(values)) => {
            Value::Set(values.iter().map(|value| read_value(element, value, roots)).collect())
        }
        _ => value.clone(),
    }
}

fn facts(parsed: &Parsed, raw: &str, roots: &Roots<'_>) -> Record {
    let arguments: Vec<Option<&str>> = parsed
        .arguments
        .iter()
        .map(|path| path.as_ref().and_then(|path| roots.text(path)).map(SmolStr::as_str))
        .collect();
    let facts = plugin::read(parsed.plugin, raw, &arguments);
    facts.into_iter().map(|(name, fact)| (SmolStr::new_static(name), Value::from(fact))).collect()
}
