//! Random stores and questions on them: policies of every form that a search looks into, entities that refer to one another, and
//! callers who say something else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A small generator of random numbers (xorshift), so that a seed says all.
pub struct Random(u64);

/// A store, by its files and by its entities.
pub struct RandomStore {
    pub files: Vec<(String, String)>,
    pub entities: BTreeMap<String, BTreeMap<String, Value>>,
}

impl std::fmt::Debug for RandomStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.iter().try_for_each(|(path, text)| writeln!(formatter, "--- {path}\n{text}"))
    }
}

pub const ACTIONS: [&str; 3] = ["know", "see", "share"];

/// Both types have the same attributes, so that every condition can be asked of either.
const SCHEMA: &str = r#"
@parsed_by("phone")
type Phone = { valid: Bool, e164: String, region: String };
entity Kind enum ["a", "b", "c"];
entity Team in [Team];
entity User in [Team] = ATTRIBUTES tags String;
entity Doc in [Team] = ATTRIBUTES;
type Context = { level: Long, owner?: User, @market("resource.country") phone?: Phone, words: Set<String> };
action all;
action know in [all] appliesTo { principal: User, resource: User, context: Context };
action see, share in [all] appliesTo { principal: User, resource: Doc, context: Context };
"#;

const ATTRIBUTES: &str = r#"{
  age: Long, admin: Bool, kind: Kind, team: Team, country: String,
  name?: String, boss?: User, nicks: Set<String>, teams: Set<Team>, friends: Set<User>,
  home: { city: String, zip?: Long },
  @market("this.country") phone?: Phone,
  since: datetime,
}"#;

const SIDES: [&str; 2] = ["principal", "resource"];

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = random.next());
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub fn store(&mut self) -> RandomStore {
        let mut entities: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        let mut uids = Vec::new();
        // A team is in teams of a higher number only: no cycle.
        for team in 0..4 {
            let above: Vec<usize> = (team + 1..4).filter(|_| self.chance(40)).collect();
            entities.entry("Team".to_owned()).or_default().insert(format!("t{team}"), Value::Null);
            let parents: Vec<Value> = above.iter().map(|team| uid("Team", &format!("t{team}"))).collect();
            uids.push(json!({ "uid": uid("Team", &format!("t{team}")), "parents": parents }));
        }
        for (kind, prefix) in [("User", "u"), ("Doc", "d")] {
            for index in 0..10 {
                let id = format!("{prefix}{index}");
                let attributes = self.attributes(100);
                let parents: Vec<Value> =
                    (0..4).filter(|_| self.chance(25)).map(|team| uid("Team", &format!("t{team}"))).collect();
                let mut entity = json!({ "uid": uid(kind, &id), "attrs": attributes, "parents": parents });
                if kind == "User" && self.chance(30) {
                    entity["tags"] = json!({ "x": self.pick(&["n0", "n1"]) });
                }
                entities.entry(kind.to_owned()).or_default().insert(id, attributes);
                uids.push(entity);
            }
        }
        let policies: Vec<String> = (0..self.below(5) + 1).map(|index| self.policy(index)).collect();
        let files = [
            ("schema/random.cedarschema", SCHEMA.replace("ATTRIBUTES", ATTRIBUTES)),
            ("policies/random.cedar", policies.join("\n\n")),
            ("entities/random.json", Value::from(uids).to_string()),
        ];
        RandomStore { files: files.map(|(path, text)| (path.to_owned(), text)).to_vec(), entities }
    }

    /// Attributes, each with that chance, in percent, where it could be left out by a caller.
    fn attributes(&mut self, percent: usize) -> Value {
        let number = |random: &mut Self, limit| random.below(limit);
        let mut all = json!({
            "age": if self.chance(3) { json!(i64::MAX) } else { json!(number(self, 6)) },
            "admin": self.chance(50),
            "kind": self.pick(&["a", "b", "c"]),
            "team": format!("t{}", number(self, 5)),
            "country": self.pick(&["AU", "US", ""]),
            "nicks": (0..3).filter(|_| self.chance(40)).map(|index| format!("n{index}")).collect::<Vec<_>>(),
            "teams": (0..4).filter(|_| self.chance(40)).map(|index| format!("t{index}")).collect::<Vec<_>>(),
            "friends": (0..11).filter(|_| self.chance(30)).map(|index| format!("u{index}")).collect::<Vec<_>>(),
            "home": if self.chance(50) { json!({ "city": "c1", "zip": number(self, 4) }) } else { json!({ "city": "c2" }) },
            "since": self.pick(&["2024-01-01", "2025-06-01"]),
        });
        let members = all.as_object_mut().unwrap();
        if self.chance(60) {
            members.insert("name".to_owned(), format!("n{}", number(self, 3)).into());
        }
        if self.chance(60) {
            members.insert("boss".to_owned(), format!("u{}", number(self, 11)).into());
        }
        if self.chance(60) {
            members.insert("phone".to_owned(), self.pick(&["0293744000", "+16502530000", "911"]).into());
        }
        let kept: Map<String, Value> = members.clone().into_iter().filter(|_| self.chance(percent)).collect();
        kept.into()
    }

    /// A question with a subject, an action and a resource, of which any may be searched.
    pub fn question(&mut self, store: &RandomStore) -> Value {
        let action = self.pick(&ACTIONS);
        let resource = if action == "know" { ("User", "u") } else { ("Doc", "d") };
        let mut entity = |(kind, prefix): (&str, &str)| {
            // One in eleven is not stored.
            let id = format!("{prefix}{}", self.below(11));
            let said = match self.below(10) {
                0..5 => json!({}),
                5..8 => self.attributes(20),
                8 => json!({ "undeclared": 1, "age": Value::Null }),
                _ => self.attributes(100),
            };
            let mut said = said;
            if self.chance(2) {
                said["age"] = json!("wrong");
            }
            if self.chance(3) {
                // A record that lacks what it requires.
                said["home"] = json!({});
            }
            json!({ "type": kind, "id": id, "properties": said })
        };
        let (subject, resource) = (entity(("User", "u")), entity(resource));
        assert!(store.entities.contains_key("User"));
        let mut context = json!({ "level": self.below(6), "words": ["n0", "n2"] });
        if self.chance(50) {
            context["owner"] = format!("u{}", self.below(11)).into();
        }
        if self.chance(50) {
            context["phone"] = self.pick(&["0293744000", "+16502530000"]).into();
        }
        if self.chance(3) {
            context["level"] = Value::Null;
        }
        json!({ "subject": subject, "action": { "name": action, "properties": {} }, "resource": resource, "context": context })
    }

    fn policy(&mut self, index: usize) -> String {
        let (action, kind) = self.pick(&[("know", "User"), ("see", "Doc"), ("share", "Doc"), ("see", "Doc")]);
        let effect = if index > 0 && self.chance(25) { "forbid" } else { "permit" };
        let principal = match self.below(8) {
            0 => "principal in Team::\"t1\"".to_owned(),
            1 => format!("principal == User::\"u{}\"", self.below(10)),
            2 => "principal is User in Team::\"t2\"".to_owned(),
            _ => "principal is User".to_owned(),
        };
        let resource = match self.below(8) {
            0 => "resource in Team::\"t3\"".to_owned(),
            1 => format!("resource == {kind}::\"{}{}\"", kind[..1].to_lowercase(), self.below(10)),
            2 => format!("resource is {kind} in Team::\"t3\""),
            _ => format!("resource is {kind}"),
        };
        let action = match self.below(8) {
            // Of a resource of no type, a condition may ask what only one type has.
            0..=2 if resource.starts_with("resource in") => format!("action == Action::\"{action}\""),
            0 => "action".to_owned(),
            1 => "action in Action::\"all\"".to_owned(),
            2 => format!("action in [Action::\"{action}\", Action::\"share\"]"),
            _ => format!("action == Action::\"{action}\""),
        };
        let conditions: Vec<String> = (0..self.below(3))
            .map(|_| format!("{} {{ {} }}", self.pick(&["when", "unless"]), self.condition(kind, 3)))
            .collect();
        format!("@id(\"p{index}\")\n{effect} ({principal}, {action}, {resource})\n{};", conditions.join("\n"))
    }

    fn condition(&mut self, kind: &str, depth: usize) -> String {
        if depth > 0 && self.chance(60) {
            let mut part = || self.condition(kind, depth - 1);
            let (one, two, three) = (part(), part(), part());
            return match self.below(5) {
                0 => format!("!({one})"),
                1 => format!("(if {one} then {two} else {three})"),
                2 => format!("({one} || {two})"),
                _ => format!("({one} && {two})"),
            };
        }
        self.atom(kind)
    }

    fn atom(&mut self, kind: &str) -> String {
        let side = self.pick(&SIDES);
        let other = if side == "principal" { "resource" } else { "principal" };
        let (number, team, user) = (self.below(6), self.below(5), self.below(11));
        let nick = self.below(3);
        let atoms = [
            format!("{side}.admin"),
            format!("{side}.age < {number}"),
            format!("{side}.age >= {number}"),
            format!("{side}.age <= {other}.age"),
            format!("{side}.age + 9223372036854775803 > {number}"),
            format!("{side}.age * {other}.age == {number}"),
            format!("{side}.kind == Kind::\"a\""),
            format!("{side}.kind == {other}.kind"),
            format!("[Kind::\"a\", Kind::\"c\"].contains({side}.kind)"),
            format!("{side}.team == Team::\"t{team}\""),
            format!("{side} in Team::\"t{team}\""),
            format!("{side} in [Team::\"t{team}\", Team::\"t0\"]"),
            format!("{side}.team in Team::\"t{team}\""),
            format!("{side} in {other}.team"),
            format!("{side} in {other}.teams"),
            format!("{side} in {side}.team"),
            format!("{side}.teams.contains(Team::\"t{team}\")"),
            format!("{side}.teams.contains({other}.team)"),
            format!("{side}.teams.containsAny({other}.teams)"),
            format!("{side}.nicks.contains(\"n{nick}\")"),
            format!("{side}.nicks.isEmpty()"),
            format!("context.words.contains({side}.home.city)"),
            format!("({side} has name && {side}.name == \"n{nick}\")"),
            format!("({side} has name && {side}.name like \"*{nick}\")"),
            format!("({side} has name && {other}.nicks.contains({side}.name))"),
            format!("{side} has name"),
            format!("{side} has boss.name"),
            format!("({side} has boss && {side}.boss == User::\"u{user}\")"),
            format!("({side} has boss && {side}.boss == {})", if kind == "User" { other } else { "principal" }),
            format!("({side} has boss && {side}.boss.age < {number})"),
            format!("({side} has boss && {side}.boss has boss && {side}.boss.boss.age < {number})"),
            format!("({side} has boss.boss.boss && {side}.boss.boss.boss.admin)"),
            format!("({side} has boss && {side}.boss in {other}.team)"),
            format!("({side} has boss && {side}.boss.team in Team::\"t{team}\")"),
            format!("({side} has boss && {side}.boss.hasTag(\"x\") && {side}.boss.getTag(\"x\") == \"n0\")"),
            format!("User::\"u{user}\".admin"),
            format!("(User::\"u{user}\" has boss && User::\"u{user}\".boss in {side}.team)"),
            format!("{side}.friends.contains(principal)"),
            format!("{side}.home.city == \"c1\""),
            format!("({side}.home has zip && {side}.home.zip < {number})"),
            format!("{side}.home has zip"),
            format!("{side}.since < datetime(\"2025-01-01\")"),
            format!("{side}.since == datetime(\"2024-01-01\")"),
            format!("({side} has phone && {side}.phone.valid)"),
            format!("({side} has phone && {side}.phone.region == \"AU\")"),
            "(context has phone && context.phone.valid && context.phone.region == \"AU\")".to_owned(),
            format!("context.level < {side}.age"),
            format!("context.level == {number}"),
            "(context has owner && context.owner == principal)".to_owned(),
            format!("(context has owner && context.owner.age < {side}.age)"),
            "(context has owner && context.owner in resource.team)".to_owned(),
            "(principal.hasTag(\"x\") && principal.getTag(\"x\") == \"n0\")".to_owned(),
            if kind == "User" { "principal == resource".to_owned() } else { format!("resource == Doc::\"d{number}\"") },
            format!("principal == User::\"u{user}\""),
            "true".to_owned(),
        ];
        atoms[self.below(atoms.len())].clone()
    }
}

fn uid(kind: &str, id: &str) -> Value {
    json!({ "type": kind, "id": id })
}
