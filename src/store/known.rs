//! Which requests of a newer schema are requests of an older one too.

use cedar_policy::Policy;

use super::policy::permit_when;
use super::schema::{Environment, RecordShape, Shape, Types};

/// Which of the requests of one schema another knows.
#[derive(Clone, Debug)]
pub enum Known {
    /// All.
    All,
    /// Those that this permit matches.
    These(Box<Policy>),
    /// None, for this reason.
    None(String),
}

/// Of the requests of an environment of the newer schema, those that the older knows, as far as the principal, the resource and
/// the context themselves say. (Each can be the newer one.)
///
/// # Errors
///
/// Why that cannot be said.
pub fn requests(environment: &Environment, old: &Types, new: &Types) -> Result<Known, String> {
    let schemas = Schemas { old, new };
    let Some((_, older)) = old.environment_like(environment) else { return Ok(Known::All) };
    let conditions = match schemas.request(older, environment) {
        Ok(conditions) => conditions,
        Err(Unknown::Never(path)) => {
            return Ok(Known::None(format!(
                "one schema requires `{path}` in a way in which the other does not declare it"
            )));
        }
        Err(Unknown::Unsayable(path)) => {
            return Err(format!("of `{path}` one schema knows some values of the other, and Cedar cannot say which"));
        }
    };
    if conditions.is_empty() {
        return Ok(Known::All);
    }
    let known = permit_when(&conditions.join(" && "));
    known
        .map(|known| Known::These(Box::new(known)))
        .map_err(|why| format!("which requests it knows cannot be said: {why}"))
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

struct Schemas<'a> {
    old: &'a Types,
    new: &'a Types,
}

impl Schemas<'_> {
    fn request(&self, older: &Environment, newer: &Environment) -> Result<Vec<String>, Unknown> {
        let mut conditions = Vec::new();
        for (variable, name) in [("principal", &newer.principal), ("resource", &newer.resource)] {
            let shape = Shape::Entity(name.clone());
            conditions.push(self.value(variable, &shape, &shape)?);
            let name = name.to_string();
            let (Some(older), Some(newer)) = (self.old.entity(&name), self.new.entity(&name)) else { continue };
            conditions.push(self.record(variable, &older.attributes, &newer.attributes)?);
            if let (Some(older), Some(newer)) = (&older.tags, &newer.tags)
                && !matches!(self.value(variable, older, newer), Ok(None))
            {
                return Err(Unknown::Unsayable(format!("{variable}.getTag(…)")));
            }
        }
        conditions.push(self.record("context", &older.context, &newer.context)?);
        Ok(conditions.into_iter().flatten().collect())
    }

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
            _ => Err(Unknown::Never(path.to_owned())),
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
