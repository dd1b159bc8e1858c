//! Which requests of a newer schema are requests of an older one too.

use cedar_policy::Policy;

use super::schema::{Environment, RecordShape, Shape, Types};

/// Of the requests of an environment of the newer schema, those that the older knows, as far as the principal, the resource and
/// the context themselves say: a permit that matches just these; `None` where it knows them all.
///
/// # Errors
///
/// Why the two cannot be compared: the older knows none of them, or which ones cannot be said in Cedar.
pub fn requests(environment: &Environment, old: &Types, new: &Types) -> Result<Option<Policy>, String> {
    let schemas = Schemas { old, new };
    let mut conditions = Vec::new();
    let Some((_, older)) = old.environment_like(environment) else { return Ok(None) };
    for (variable, name) in [("principal", &environment.principal), ("resource", &environment.resource)] {
        let shape = Shape::Entity(name.clone());
        conditions.push(schemas.value(variable, &shape, &shape).map_err(Unknown::told)?);
        if let (Some(older), Some(newer)) = (old.entity(&name.to_string()), new.entity(&name.to_string())) {
            conditions.push(schemas.record(variable, &older.attributes, &newer.attributes).map_err(Unknown::told)?);
        }
    }
    conditions.push(schemas.record("context", &older.context, &environment.context).map_err(Unknown::told)?);
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    if conditions.is_empty() {
        return Ok(None);
    }
    let text = format!("permit (principal, action, resource) when {{ {} }};", conditions.join(" && "));
    let policy = Policy::parse(None, text);
    policy.map(Some).map_err(|error| format!("which requests the older schema knows cannot be said: {error}"))
}

/// A condition under which a value is known; `None` where it always is.
type Condition = Option<String>;

/// Why a value is not known, and where.
enum Unknown {
    /// No value of the newer type is one of the older.
    Never(String),
    /// Some are, but Cedar cannot say which.
    Unsayable(String),
}

impl Unknown {
    fn told(self) -> String {
        match self {
            Self::Never(path) => {
                format!("the older schema requires `{path}` in a way in which the newer does not declare it")
            }
            Self::Unsayable(path) => {
                format!("of `{path}` the older schema knows some values, and Cedar cannot say which")
            }
        }
    }
}

struct Schemas<'a> {
    old: &'a Types,
    new: &'a Types,
}

impl Schemas<'_> {
    /// Of a record: that there is in it what the older requires, and what both declare is known to the older. What only the newer
    /// declares the older passes over.
    fn record(&self, path: &str, older: &RecordShape, newer: &RecordShape) -> Result<Condition, Unknown> {
        let mut conditions = Vec::new();
        for (name, older) in &older.0 {
            let (inner, shown) = (format!("{path}[{name:?}]"), format!("{path}.{name}"));
            let Some(newer) = newer.0.get(name) else {
                if older.required {
                    return Err(Unknown::Never(shown));
                }
                continue;
            };
            let presence = format!("{path} has {name:?}");
            let known = match self.value(&inner, &older.shape, &newer.shape) {
                Err(Unknown::Never(_)) if !older.required && !newer.required => {
                    conditions.push(format!("!({presence})"));
                    continue;
                }
                Err(Unknown::Never(_)) => return Err(Unknown::Never(shown)),
                Err(Unknown::Unsayable(_)) => return Err(Unknown::Unsayable(shown)),
                Ok(known) => known,
            };
            match (known, newer.required, older.required) {
                (known, true, _) => conditions.extend(known),
                (None, false, true) => conditions.push(presence),
                (Some(known), false, true) => conditions.push(format!("({presence} && {known})")),
                (None, false, false) => {}
                (Some(known), false, false) => conditions.push(format!("(if {presence} then {known} else true)")),
            }
        }
        Ok((!conditions.is_empty()).then(|| format!("({})", conditions.join(" && "))))
    }

    fn value(&self, path: &str, older: &Shape, newer: &Shape) -> Result<Condition, Unknown> {
        let never = || Err(Unknown::Never(path.to_owned()));
        match (older, newer) {
            (Shape::Bool, Shape::Bool) | (Shape::Long, Shape::Long) | (Shape::String, Shape::String) => Ok(None),
            (Shape::Extension(older), Shape::Extension(newer)) if older == newer => Ok(None),
            (Shape::Entity(older), Shape::Entity(newer)) if older == newer => {
                Ok(self.ids(&newer.to_string()).map(|ids| match ids.as_str() {
                    // A set without elements has no type.
                    "" => "false".to_owned(),
                    ids => format!("[{ids}].contains({path})"),
                }))
            }
            (Shape::Set(older), Shape::Set(newer)) => match (older.as_ref(), newer.as_ref()) {
                (Shape::Entity(older), Shape::Entity(newer)) if older == newer => {
                    Ok(self.ids(&newer.to_string()).map(|ids| match ids.as_str() {
                        "" => format!("{path}.isEmpty()"),
                        ids => format!("[{ids}].containsAll({path})"),
                    }))
                }
                (older, newer) => match self.value(path, older, newer) {
                    Ok(None) => Ok(None),
                    Ok(Some(_)) | Err(Unknown::Unsayable(_)) => Err(Unknown::Unsayable(path.to_owned())),
                    Err(Unknown::Never(_)) => Ok(Some(format!("{path}.isEmpty()"))),
                },
            },
            (Shape::Record(older), Shape::Record(newer)) => self.record(path, older, newer),
            (Shape::Parsed(older), Shape::Parsed(newer)) => self.record(path, &older.facts, &newer.facts),
            // A caller sends the same string; but what is compared are facts.
            (Shape::String, Shape::Parsed(_)) | (Shape::Parsed(_), Shape::String) => {
                Err(Unknown::Unsayable(path.to_owned()))
            }
            _ => never(),
        }
    }

    /// The ids of an enumerated type of the older schema that the newer has too; `None` where the newer has no others.
    fn ids(&self, name: &str) -> Option<String> {
        let older = self.old.entity(name)?.ids.as_ref()?;
        let newer = self.new.entity(name).and_then(|found| found.ids.as_ref());
        if newer.is_some_and(|newer| newer.iter().all(|id| older.contains(id))) {
            return None;
        }
        let both = older.iter().filter(|id| newer.is_none_or(|newer| newer.contains(id)));
        Some(both.map(|id| format!("{name}::{id:?}")).collect::<Vec<_>>().join(", "))
    }
}
