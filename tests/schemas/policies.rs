//! Policies that pass the strict type check of a schema: every scope form, and conditions of typed expressions.

use std::collections::BTreeSet;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use gatepost::store::schema::{Environment, Extension, RecordShape, Shape};

use super::world::texts_of;
use super::{Model, literal, written};
use crate::random::Random;

/// Policies for the requests of a schema.
pub fn policies(random: &mut Random, model: &Model) -> String {
    let mut author = Author { random, model };
    let count = 1 + author.random.below(12);
    (0..count).map(|index| author.policy(index)).collect::<Vec<_>>().join("\n\n")
}

struct Author<'a> {
    random: &'a mut Random,
    model: &'a Model,
}

/// What a scope asks of the principal or of the resource, and the types for which it can hold.
struct Side {
    text: String,
    types: BTreeSet<EntityTypeName>,
}

/// What conditions of an environment can read.
#[derive(Clone)]
struct Path {
    expression: Expression,
    shape: Shape,
    /// The shape as it is written.
    kind: String,
    /// How many steps lead here.
    steps: usize,
}

/// An expression, and what must hold before it may be asked.
#[derive(Clone, Default)]
struct Expression {
    text: String,
    guards: Vec<String>,
}

impl Path {
    fn new(text: String, shape: Shape) -> Self {
        let kind = written(&shape);
        Self { expression: Expression { text, guards: Vec::new() }, shape, kind, steps: 0 }
    }

    /// One step further, which a guard may stand before.
    fn step(&self, text: String, guard: Option<String>, shape: &Shape) -> Self {
        let mut guards = self.expression.guards.clone();
        guards.extend(guard);
        let (shape, kind) = (shape.clone(), written(shape));
        Self { expression: Expression { text, guards }, shape, kind, steps: self.steps + 1 }
    }
}

impl Expression {
    fn of(parts: &[Self], text: String) -> Self {
        let mut guards: Vec<String> = Vec::new();
        for guard in parts.iter().flat_map(|part| &part.guards) {
            if !guards.contains(guard) {
                guards.push(guard.clone());
            }
        }
        Self { text, guards }
    }
}

impl From<String> for Expression {
    fn from(text: String) -> Self {
        Self { text, guards: Vec::new() }
    }
}

impl Author<'_> {
    fn policy(&mut self, index: usize) -> String {
        let environment = &self.model.environments[self.random.below(self.model.environments.len())];
        let principal = self.side("principal", &environment.principal);
        let resource = self.side("resource", &environment.resource);
        let (action, actions) = self.action(&environment.action);
        let matching = self.model.environments.iter().filter(|other| {
            principal.types.contains(&other.principal)
                && resource.types.contains(&other.resource)
                && actions.contains(&other.action)
        });
        let matching: Vec<&Environment> = matching.collect();
        let effect = if self.random.chance(30) { "forbid" } else { "permit" };
        let clauses: Vec<String> = (0..self.random.below(3)).map(|_| self.clause(environment, &matching)).collect();
        let (principal, resource) = (principal.text, resource.text);
        let id = if self.random.chance(90) { format!("@id(\"p{index}\")\n") } else { String::new() };
        format!("{id}{effect} ({principal}, {action}, {resource})\n{};", clauses.join("\n"))
    }

    fn side(&mut self, name: &str, of: &EntityTypeName) -> Side {
        let above = self.model.above(of);
        let groups: Vec<&EntityTypeName> = above.iter().collect();
        let group = groups[self.random.below(groups.len())].clone();
        let below = self.model.entities.keys().filter(|kind| self.model.above(kind).contains(&group));
        let (only, below) = (BTreeSet::from([of.clone()]), below.cloned().collect());
        let all = self.model.entities.keys().cloned().collect();
        let (text, types) = match self.random.below(7) {
            0 | 1 => (name.to_owned(), all),
            2 => (format!("{name} == {}", self.entity(of)), only),
            3 => (format!("{name} in {}", self.entity(&group)), below),
            4 => (format!("{name} is {of} in {}", self.entity(&group)), only),
            _ => (format!("{name} is {of}"), only),
        };
        Side { text, types }
    }

    /// What a scope asks of the action, and of which actions it holds.
    fn action(&mut self, of: &EntityUid) -> (String, BTreeSet<EntityUid>) {
        let groups: Vec<&EntityUid> = self.model.actions[of].iter().collect();
        let group = self.random.pick(&groups);
        let of_one_type: Vec<&EntityUid> =
            self.model.actions.keys().filter(|other| other.type_name() == group.type_name()).collect();
        let other = self.random.pick(&of_one_type);
        let within = |groups: &[&EntityUid]| {
            let holds = |(_, within): &(_, &BTreeSet<EntityUid>)| groups.iter().any(|group| within.contains(*group));
            self.model.actions.iter().filter(holds).map(|(action, _)| action.clone()).collect()
        };
        match self.random.below(5) {
            0 => ("action".to_owned(), self.model.actions.keys().cloned().collect()),
            1 => (format!("action in {group}"), within(&[group])),
            2 => (format!("action in [{group}, {other}]"), within(&[group, other])),
            _ => (format!("action == {of}"), BTreeSet::from([of.clone()])),
        }
    }

    fn clause(&mut self, environment: &Environment, matching: &[&Environment]) -> String {
        let other = self.random.pick(matching);
        let mut condition = self.told_apart(environment, matching);
        if matching.len() > 1 && self.random.chance(50) {
            condition = format!("{condition} || {}", self.told_apart(other, matching));
        }
        format!("{} {{ {condition} }}", if self.random.chance(75) { "when" } else { "unless" })
    }

    /// A condition for the requests of one environment, behind what tells these from those of the others.
    fn told_apart(&mut self, environment: &Environment, matching: &[&Environment]) -> String {
        let differs = |is: &dyn Fn(&Environment) -> bool| !matching.iter().all(|other| is(other));
        let mut parts = Vec::new();
        if differs(&|other| other.principal == environment.principal) {
            parts.push(format!("principal is {}", environment.principal));
        }
        if differs(&|other| other.action == environment.action) {
            parts.push(format!("action == {}", environment.action));
        }
        if differs(&|other| other.resource == environment.resource) {
            parts.push(format!("resource is {}", environment.resource));
        }
        let paths = self.paths(environment);
        let mut conditions = Conditions { author: self, environment, paths };
        parts.push(conditions.condition(3));
        parts.join(" && ")
    }

    /// What can be read from the variables, and from two entities that are named.
    fn paths(&mut self, environment: &Environment) -> Vec<Path> {
        let mut paths = vec![
            Path::new("principal".to_owned(), Shape::Entity(environment.principal.clone())),
            Path::new("resource".to_owned(), Shape::Entity(environment.resource.clone())),
            Path::new("context".to_owned(), Shape::Record(environment.context.clone())),
            Path::new("action".to_owned(), Shape::Entity(environment.action.type_name().clone())),
        ];
        let types: Vec<&EntityTypeName> = self.model.entities.keys().collect();
        for _ in 0..2 {
            let name = self.random.pick(&types);
            paths.push(Path::new(self.entity(name), Shape::Entity(name.clone())));
        }
        let mut next = 0;
        while next < paths.len().min(100) {
            let path = paths[next].clone();
            if path.steps == 0 || path.steps < 4 && self.random.chance(60) {
                paths.extend(self.steps(&path));
            }
            next += 1;
        }
        paths
    }

    fn steps(&mut self, path: &Path) -> Vec<Path> {
        let fields = |author: &mut Self, fields: &RecordShape| {
            let steps = fields.0.iter().map(|(name, field)| {
                let mut step = path.step(author.attribute(&path.expression.text, name), None, &field.shape);
                if !field.required {
                    author.guard(&mut step, path, name);
                }
                step
            });
            steps.collect::<Vec<_>>()
        };
        match &path.shape {
            Shape::Record(record) => fields(self, record),
            Shape::Entity(name) => {
                let entity = &self.model.entities[name];
                let mut steps = fields(self, &entity.attributes);
                steps.extend(entity.tags.as_ref().map(|tags| self.tag(path, tags)));
                steps
            }
            _ => Vec::new(),
        }
    }

    fn tag(&mut self, path: &Path, tags: &Shape) -> Path {
        let (text, key) = (&path.expression.text, self.random.pick(&["\"k0\"", "\"k 1\""]));
        path.step(format!("{text}.getTag({key})"), Some(format!("{text}.hasTag({key})")), tags)
    }

    fn attribute(&mut self, holder: &str, name: &str) -> String {
        match is_identifier(name) && self.random.chance(90) {
            true => format!("{holder}.{name}"),
            false => format!("{holder}[{}]", literal(name)),
        }
    }

    /// Adds the guard of an optional attribute: by itself, or to that of the attribute that holds it.
    fn guard(&mut self, step: &mut Path, holder: &Path, name: &str) {
        let text = &holder.expression.text;
        let before = text.rsplit_once('.').map(|(before, last)| format!("{before} has {last}"));
        let guards = &mut step.expression.guards;
        match guards.last_mut().filter(|last| Some(&**last) == before.as_ref()) {
            Some(last) if is_identifier(name) && self.random.chance(50) => *last = format!("{last}.{name}"),
            _ => guards.push(has(text, name)),
        }
    }

    /// An entity of that type, which may not be stored.
    fn entity(&mut self, name: &EntityTypeName) -> String {
        let ids = &self.model.ids[name];
        let stored = self.model.entities[name].ids.is_some() || self.random.chance(95);
        let id = if stored { &ids[self.random.below(ids.len())] } else { "gone" };
        EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id)).to_string()
    }
}

fn is_identifier(name: &str) -> bool {
    name != "if" && name.chars().all(char::is_alphanumeric)
}

fn has(holder: &str, name: &str) -> String {
    if is_identifier(name) { format!("{holder} has {name}") } else { format!("{holder} has {}", literal(name)) }
}

/// Writes conditions for the requests of one environment.
struct Conditions<'c, 'a> {
    author: &'c mut Author<'a>,
    environment: &'c Environment,
    paths: Vec<Path>,
}

impl Conditions<'_, '_> {
    fn below(&mut self, limit: usize) -> usize {
        self.author.random.below(limit)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.author.random.chance(percent)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        self.author.random.pick(of)
    }

    /// A Boolean in brackets, which nothing needs to guard.
    fn condition(&mut self, depth: usize) -> String {
        if depth > 0 && self.chance(50) {
            let mut part = || self.condition(depth - 1);
            let (one, two, three) = (part(), part(), part());
            return match self.below(5) {
                0 => format!("!{one}"),
                1 => format!("(if {one} then {two} else {three})"),
                2 | 3 => format!("({one} || {two})"),
                _ => format!("({one} && {two})"),
            };
        }
        let atom = (0..10).find_map(|_| self.atom(depth)).unwrap_or_else(|| "true".to_owned().into());
        self.guarded(&atom)
    }

    fn guarded(&mut self, Expression { text, guards }: &Expression) -> String {
        match guards.join(" && ") {
            none if none.is_empty() => format!("({text})"),
            guards if self.chance(15) => format!("(if {guards} then {text} else {})", self.pick(&["true", "false"])),
            guards => format!("({guards} && {text})"),
        }
    }

    /// A Boolean that says something of a value; nothing where there is no such value.
    fn atom(&mut self, depth: usize) -> Option<Expression> {
        match self.below(14) {
            0 | 1 => self.equality(depth),
            2 | 3 => self.comparison(depth),
            4 => self.like(depth),
            5 => self.set(depth),
            6 | 7 => self.within(depth),
            8 => self.is(depth),
            9 => self.has(),
            10 => self.tagged(),
            11 => self.extension(depth),
            12 => Some(self.of_actions()),
            _ => self.value(&Shape::Bool, depth),
        }
    }

    /// Something that can be read, of the shapes that are asked for.
    fn path(&mut self, is: impl Fn(&Shape) -> bool) -> Option<Path> {
        let found: Vec<usize> = (0..self.paths.len()).filter(|index| is(&self.paths[*index].shape)).collect();
        (!found.is_empty()).then(|| self.paths[self.author.random.pick(&found)].clone())
    }

    fn pair(&mut self, shape: &Shape, depth: usize) -> Option<[Expression; 2]> {
        Some([self.value(shape, depth)?, self.value(shape, depth)?])
    }

    fn operation(&mut self, shape: &Shape, operator: &str, depth: usize) -> Option<Expression> {
        let [left, right] = self.pair(shape, depth)?;
        let text = format!("{} {operator} {}", left.text, right.text);
        Some(Expression::of(&[left, right], text))
    }

    fn method(&mut self, [of, argument]: [Expression; 2], name: &str) -> Expression {
        let text = format!("{}.{name}({})", of.text, argument.text);
        Expression::of(&[of, argument], text)
    }

    fn equality(&mut self, depth: usize) -> Option<Expression> {
        let shape = self.path(|_| true)?.shape;
        let operator = self.pick(&["==", "==", "!="]);
        self.operation(&shape, operator, depth)
    }

    fn comparison(&mut self, depth: usize) -> Option<Expression> {
        let operator = self.pick(&["<", "<=", ">", ">="]);
        let times = [Shape::Extension(Extension::Datetime), Shape::Extension(Extension::Duration)];
        let shape = if self.chance(70) { &Shape::Long } else { &times[self.below(2)] };
        self.operation(shape, operator, depth)
    }

    fn like(&mut self, depth: usize) -> Option<Expression> {
        let value = self.value(&Shape::String, depth)?;
        let pattern = self.pick(&["*", "a*", "*b*", "b\\*", "", "k?", "*é*"]);
        let text = format!("{} like \"{pattern}\"", value.text);
        Some(Expression::of(&[value], text))
    }

    fn set(&mut self, depth: usize) -> Option<Expression> {
        let shape = self.path(|shape| matches!(shape, Shape::Set(_)))?.shape;
        let Shape::Set(element) = &shape else { return None };
        match self.below(5) {
            0 => {
                let set = self.value(&shape, depth)?;
                let text = format!("{}.isEmpty()", set.text);
                Some(Expression::of(&[set], text))
            }
            1 | 2 => {
                let parts = [self.value(&shape, depth)?, self.value(element, depth)?];
                Some(self.method(parts, "contains"))
            }
            way => {
                let parts = self.pair(&shape, depth)?;
                Some(self.method(parts, if way == 3 { "containsAll" } else { "containsAny" }))
            }
        }
    }

    fn entity_type(&mut self) -> Option<EntityTypeName> {
        match self.path(|shape| matches!(shape, Shape::Entity(_)))?.shape {
            Shape::Entity(name) => Some(name),
            _ => None,
        }
    }

    fn within(&mut self, depth: usize) -> Option<Expression> {
        let name = self.entity_type()?;
        let above: Vec<_> = self.author.model.above(&name).into_iter().collect();
        let group = Shape::Entity(above[self.below(above.len())].clone());
        let group = if self.chance(35) { Shape::Set(Box::new(group)) } else { group };
        let name = Shape::Entity(name);
        let [one, group] = [self.value(&name, depth)?, self.value(&group, depth)?];
        let text = format!("{} in {}", one.text, group.text);
        Some(Expression::of(&[one, group], text))
    }

    fn is(&mut self, depth: usize) -> Option<Expression> {
        let name = self.entity_type()?;
        let one = self.value(&Shape::Entity(name.clone()), depth)?;
        let all: Vec<&EntityTypeName> = self.author.model.entities.keys().collect();
        let other = self.pick(&all);
        if self.chance(50) {
            let text = format!("{} is {other}", one.text);
            return Some(Expression::of(&[one], text));
        }
        let group = self.value(&Shape::Entity(name.clone()), depth)?;
        let text = format!("{} is {name} in {}", one.text, group.text);
        Some(Expression::of(&[one, group], text))
    }

    fn has(&mut self) -> Option<Expression> {
        let path = self.path(|shape| matches!(shape, Shape::Entity(_) | Shape::Record(_)))?;
        let fields = match &path.shape {
            Shape::Record(record) => record,
            Shape::Entity(name) => &self.author.model.entities[name].attributes,
            _ => return None,
        };
        let optional: Vec<&str> =
            fields.0.iter().filter(|(_, field)| !field.required).map(|(name, _)| name.as_str()).collect();
        let name = if optional.is_empty() || self.chance(5) { "undeclared" } else { self.pick(&optional) };
        let text = has(&path.expression.text, name);
        Some(Expression::of(&[path.expression], text))
    }

    fn tagged(&mut self) -> Option<Expression> {
        let model = self.author.model;
        let tags = |shape: &Shape| match shape {
            Shape::Entity(name) => model.entities[name].tags.is_some(),
            _ => false,
        };
        let holder = self.path(tags)?.expression;
        let key = self.value(&Shape::String, 0)?;
        Some(self.method([holder, key], "hasTag"))
    }

    fn extension(&mut self, depth: usize) -> Option<Expression> {
        if self.chance(40) {
            let methods = ["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"];
            let (parts, name) = (self.pair(&Shape::Extension(Extension::Decimal), depth)?, self.pick(&methods));
            return Some(self.method(parts, name));
        }
        let ip = Shape::Extension(Extension::Ip);
        if self.chance(50) {
            let parts = self.pair(&ip, depth)?;
            return Some(self.method(parts, "isInRange"));
        }
        let (ip, name) = (self.value(&ip, depth)?, self.pick(&["isIpv4", "isIpv6", "isLoopback", "isMulticast"]));
        let text = format!("{}.{name}()", ip.text);
        Some(Expression::of(&[ip], text))
    }

    /// Of the action of the request, or of one that is named.
    fn of_actions(&mut self) -> Expression {
        let kind = self.environment.action.type_name();
        let actions: Vec<&EntityUid> =
            self.author.model.actions.keys().filter(|action| action.type_name() == kind).collect();
        let (one, two, three) = (self.pick(&actions), self.pick(&actions), self.pick(&actions));
        let one = if self.chance(50) { "action".to_owned() } else { one.to_string() };
        let text = match self.below(4) {
            0 => format!("{one} == {two}"),
            1 => format!("{one} in [{two}, {three}]"),
            _ => format!("{one} in {two}"),
        };
        text.into()
    }

    /// An expression of that type; nothing where none can be written.
    fn value(&mut self, shape: &Shape, depth: usize) -> Option<Expression> {
        let kind = written(shape);
        let read: Vec<usize> = (0..self.paths.len()).filter(|index| self.paths[*index].kind == kind).collect();
        if !read.is_empty() && self.chance(60) {
            let found = self.pick(&read);
            return Some(self.paths[found].expression.clone());
        }
        if depth > 0 && self.chance(20) {
            return self.chosen(shape, depth - 1);
        }
        if depth > 0 && self.chance(20) {
            return self.attribute_of_any(shape, depth - 1);
        }
        self.made(shape, depth)
    }

    fn chosen(&mut self, shape: &Shape, depth: usize) -> Option<Expression> {
        let condition = self.condition(depth);
        let [one, other] = self.pair(shape, depth)?;
        let text = format!("(if {condition} then {} else {})", one.text, other.text);
        Some(Expression::of(&[one, other], text))
    }

    /// An attribute of that type of an expression, not only of what a path leads to.
    fn attribute_of_any(&mut self, shape: &Shape, depth: usize) -> Option<Expression> {
        if self.chance(30) {
            let value = self.value(shape, depth)?;
            let text = format!("{{ \"r0\": {}, \"o0\": true }}.r0", value.text);
            return Some(Expression::of(&[value], text));
        }
        let (model, kind) = (self.author.model, written(shape));
        let fields = model.entities.iter().flat_map(|(name, entity)| {
            let fields =
                entity.attributes.0.iter().filter(|(_, field)| field.required && written(&field.shape) == kind);
            fields.map(move |(field, _)| (name, field))
        });
        let fields: Vec<_> = fields.collect();
        if fields.is_empty() {
            return None;
        }
        let (name, field) = self.pick(&fields);
        let holder = self.value(&Shape::Entity(name.clone()), depth)?;
        let text = self.author.attribute(&holder.text, field);
        Some(Expression::of(&[holder], text))
    }

    /// A literal, or what a function gives.
    fn made(&mut self, shape: &Shape, depth: usize) -> Option<Expression> {
        match shape {
            Shape::Long => self.number(depth),
            Shape::Bool if depth > 0 => Some(self.condition(depth - 1).into()),
            Shape::Bool => Some(self.pick(&["true", "false"]).to_owned().into()),
            Shape::String => {
                let strings = &self.author.model.strings;
                Some(literal(&strings[self.author.random.below(strings.len())]).into())
            }
            Shape::Entity(name) => Some(self.author.entity(name).into()),
            Shape::Extension(extension) => self.extension_value(*extension, depth),
            Shape::Set(element) => {
                let parts: Vec<_> =
                    (0..1 + self.below(3)).map(|_| self.value(element, depth.min(1))).collect::<Option<_>>()?;
                let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
                Some(Expression::of(&parts, format!("[{}]", texts.join(", "))))
            }
            Shape::Record(record) => self.record(record, depth),
            Shape::Parsed(_) => None,
        }
    }

    fn number(&mut self, depth: usize) -> Option<Expression> {
        if depth == 0 || self.chance(50) {
            let numbers = ["0", "1", "2", "3", "5", "-1", "-9223372036854775808", "9223372036854775806"];
            let of = if self.chance(85) { &numbers[..6] } else { &numbers };
            return Some(self.pick(of).to_owned().into());
        }
        match self.below(6) {
            0 => {
                let value = self.value(&Shape::Long, depth - 1)?;
                let text = format!("-({})", value.text);
                Some(Expression::of(&[value], text))
            }
            1 => {
                let value = self.value(&Shape::Extension(Extension::Duration), depth - 1)?;
                let unit = self.pick(&["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"]);
                let text = format!("{}.{unit}()", value.text);
                Some(Expression::of(&[value], text))
            }
            _ => {
                let operator = self.pick(&["+", "-", "*"]);
                let sum = self.operation(&Shape::Long, operator, depth - 1)?;
                let text = format!("({})", sum.text);
                Some(Expression::of(&[sum], text))
            }
        }
    }

    fn extension_value(&mut self, extension: Extension, depth: usize) -> Option<Expression> {
        let is_time = matches!(extension, Extension::Datetime | Extension::Duration);
        if depth > 0 && is_time && self.chance(50) {
            return self.time(extension, depth - 1);
        }
        let function = if extension == Extension::Ip { "ip" } else { extension.cedar_name() };
        Some(format!("{function}({})", literal(self.pick(texts_of(extension)))).into())
    }

    fn time(&mut self, extension: Extension, depth: usize) -> Option<Expression> {
        let [datetime, duration] = [Extension::Datetime, Extension::Duration].map(Shape::Extension);
        let one = self.value(&datetime, depth)?;
        match (extension, self.chance(50)) {
            (Extension::Datetime, true) => {
                let by = self.value(&duration, depth)?;
                Some(self.method([one, by], "offset"))
            }
            (_, true) => {
                let other = self.value(&datetime, depth)?;
                Some(self.method([one, other], "durationSince"))
            }
            (of, false) => {
                let text = format!("{}.{}()", one.text, if of == Extension::Datetime { "toDate" } else { "toTime" });
                Some(Expression::of(&[one], text))
            }
        }
    }

    /// A record has the type of one without optional fields only.
    fn record(&mut self, RecordShape(fields): &RecordShape, depth: usize) -> Option<Expression> {
        if fields.values().any(|field| !field.required) {
            return None;
        }
        let mut parts = Vec::new();
        let mut texts = Vec::new();
        for (name, field) in fields {
            let value = self.value(&field.shape, depth.min(1))?;
            texts.push(format!("{}: {}", literal(name), value.text));
            parts.push(value);
        }
        Some(Expression::of(&parts, format!("{{ {} }}", texts.join(", "))))
    }
}
