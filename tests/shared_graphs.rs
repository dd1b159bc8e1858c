//! Searches over graphs that both sides of a question reach, on ways of different lengths: what is found is what single decisions allow.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[allow(dead_code, unreachable_pub)]
mod random;

use common::{decide, folder, snapshot_of, with};
use gatepost::engine::{Search, Snapshot, Target};
use gatepost::http::authzen;
use gatepost::request::Facts;
use gatepost::request::json::{DEEPEST, Json};
use gatepost::request::stored::StoredEntities;
use gatepost::store::SourceFile;
use random::Random;
use serde_json::{Map, Value, json};

/// What a search finds.
fn search(snapshot: &Snapshot, body: &Value, target: Target) -> Result<Vec<String>, String> {
    let text = body.to_string();
    let json = Json::parse(text.as_bytes(), DEEPEST).unwrap();
    let question = authzen::question(&json).unwrap();
    let search = snapshot.search(question, target, Facts::FromPlugins).map_err(|error| error.to_string())?;
    let candidates = (0..search.candidates()).filter_map(|place| search.candidate(place));
    Ok(candidates.filter(|id| search.allows(id)).map(str::to_owned).collect())
}

/// What single decisions allow; a question that is no request about a candidate does not allow it.
fn decisions(snapshot: &Snapshot, body: &Value, target: Target, ids: &[&str]) -> Vec<String> {
    let allowed = |id: &&&str| {
        let asked = with(body.clone(), json!({ part(target): { "id": id } }));
        decide(snapshot, &asked).is_ok_and(|decision| decision.allowed)
    };
    let mut found: Vec<String> = ids.iter().filter(allowed).map(|id| (*id).to_owned()).collect();
    found.sort();
    found
}

fn part(target: Target) -> &'static str {
    match target {
        Target::Principal => "subject",
        Target::Resource => "resource",
    }
}

/// A store of these entities, each an id, its attributes and its tags; all are nodes.
fn graph(policies: &str, entities: &Value) -> Snapshot {
    let schema = SCHEMA.replace("BODY", BODY);
    let entities = entities.to_string();
    let files = [
        ("schema/graph.cedarschema", &*schema),
        ("policies/graph.cedar", policies),
        ("entities/graph.json", &entities),
    ];
    snapshot_of(folder(files).path())
}

fn node(id: &str, attributes: Value) -> Value {
    json!({ "uid": { "type": "Node", "id": id }, "attrs": attributes })
}

fn asked(subject: &str, action: &str, resource: &str) -> Value {
    json!({ "subject": { "type": "Node", "id": subject }, "action": { "name": action }, "resource": { "type": "Node", "id": resource } })
}

const SCHEMA: &str = "entity Node in [Node] = BODY tags Node;\nentity Doc in [Node] = BODY tags Node;\n\
    type Context = { n?: Node, r?: { n?: Node } };\n\
    action go appliesTo { principal: Node, resource: Node, context: Context };\n\
    action see appliesTo { principal: Node, resource: Doc, context: Context };";
const BODY: &str = "{ n?: Node, m?: Node, r?: { n?: Node }, flag?: Bool, tier?: Long }";
const PERMIT: &str = "@id(\"all\") permit (principal, action, resource);\n";

/// "a graph that both sides reach at different distances: the decision denies, `search/resource` finds it": what was reached for the other
/// entity with no references left is opened for the candidate.
#[test]
fn what_the_other_entity_reaches_last_the_candidate_reads_on() {
    let forbid = "@id(\"no\") forbid (principal, action, resource) \
                  when { resource has n && resource.n has n && resource.n.n has flag && resource.n.n.flag };";
    let entities = json!([
        node("u", json!({ "m": "n1" })),
        node("n1", json!({ "n": "n2" })),
        node("n2", json!({ "n": "x" })),
        node("x", json!({ "n": "y" })),
        node("y", json!({ "flag": true })),
        node("d", json!({ "n": "x" })),
    ]);
    let snapshot = graph(&format!("{PERMIT}{forbid}"), &entities);
    let body = asked("u", "go", "");
    assert!(!decide(&snapshot, &asked("u", "go", "d")).unwrap().allowed);
    assert_eq!(search(&snapshot, &body, Target::Resource).unwrap(), ["n1", "u", "x", "y"]);
    // What is said of the candidates is no reason to read less.
    let said = with(body, json!({ "resource": { "properties": { "n": "x" } } }));
    assert_eq!(search(&snapshot, &said, Target::Resource).unwrap(), ["x"]);
}

/// "no placeholder is an entity that can be named": what is said of the candidates is not said of an unstored `-`.
#[test]
fn what_is_said_of_candidates_is_said_of_nobody_else() {
    let policy = "@id(\"flagged\") permit (principal, action, resource) when { principal has flag && principal.flag };";
    let snapshot = graph(policy, &json!([node("a", json!({})), node("b", json!({}))]));
    for id in ["-", "--", "", "a"] {
        let body = with(asked(id, "go", ""), json!({ "resource": { "properties": { "flag": true } } }));
        let ids = ["a", "b"];
        let expected = decisions(&snapshot, &body, Target::Resource, &ids);
        assert_eq!(search(&snapshot, &body, Target::Resource).unwrap(), expected, "{id:?}");
    }
    // Nor does it contradict what is said of that one.
    let body = with(asked("-", "go", ""), json!({ "subject": { "properties": { "flag": true } } }));
    let body = with(body, json!({ "resource": { "properties": { "flag": false } } }));
    assert_eq!(search(&snapshot, &body, Target::Resource).unwrap(), ["a", "b"]);
}

/// Of an enumerated type on both sides, one of the ids stands for all: not the other entity's.
#[test]
fn enumerated_candidates_are_decided_each_by_itself() {
    let files = [
        (
            "schema/kinds.cedarschema",
            "entity Kind enum [\"a\", \"b\"];\naction go appliesTo { principal: Kind, resource: Kind };",
        ),
        ("policies/kinds.cedar", "@id(\"same\") permit (principal, action, resource) when { principal == resource };"),
    ];
    let snapshot = snapshot_of(folder(files).path());
    let body = json!({ "subject": { "type": "Kind", "id": "a" }, "action": { "name": "go" }, "resource": { "type": "Kind", "id": "" } });
    let body = with(body, json!({ "resource": { "properties": { "flag": true } } }));
    assert_eq!(search(&snapshot, &body, Target::Resource).unwrap(), ["a"]);
}

/// What only the store may say is there for each stored candidate: that the one that stands for all of them lacks it says nothing.
#[test]
fn candidates_whose_tags_and_parents_only_the_store_may_say_are_found() {
    let files = |condition: &str| {
        let policy = format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};");
        let entities = json!([
            { "uid": { "type": "Top", "id": "t" }, "attrs": {} },
            { "uid": { "type": "User", "id": "a" }, "attrs": {}, "tags": { "level": 3 }, "parents": [{ "type": "Top", "id": "t" }] },
            { "uid": { "type": "User", "id": "b" }, "attrs": {} },
        ]);
        [
            (
                "schema/users.cedarschema",
                "entity Top;\n@stored entity User in [Top] = { nick?: String } tags Long;\nentity Door enum [\"front\"];\n\
                 action enter appliesTo { principal: User, resource: Door };"
                    .to_owned(),
            ),
            ("policies/users.cedar", policy),
            ("entities/users.json", entities.to_string()),
        ]
    };
    let conditions = ["principal.hasTag(\"level\") && principal.getTag(\"level\") > 2", "principal in Top::\"t\""];
    for condition in conditions {
        let snapshot = snapshot_of(folder(files(condition)).path());
        let body = json!({ "subject": { "type": "User", "id": "" }, "action": { "name": "enter" }, "resource": { "type": "Door", "id": "front" } });
        assert_eq!(decisions(&snapshot, &body, Target::Principal, &["a", "b"]), ["a"]);
        assert_eq!(search(&snapshot, &body, Target::Principal).unwrap(), ["a"], "{condition}");
    }
}

/// A record said of the candidates keeps what only the store may say in it; where the store does not say what is required, the decision
/// denies, and so does the search.
#[test]
fn records_said_of_candidates_lack_what_only_the_store_may_say() {
    let entities = json!([
        { "uid": { "type": "User", "id": "a" }, "attrs": { "job": { "title": "x", "grade": 3 } } },
        { "uid": { "type": "User", "id": "b" }, "attrs": {} },
    ]);
    let files = [
        (
            "schema/users.cedarschema",
            "entity User = { job?: { title?: String, @stored grade: Long } };\nentity Door enum [\"front\"];\n\
             action enter appliesTo { principal: User, resource: Door };"
                .to_owned(),
        ),
        (
            "policies/users.cedar",
            "@id(\"p\") permit (principal, action, resource) when { principal has job };".to_owned(),
        ),
        ("entities/users.json", entities.to_string()),
    ];
    let snapshot = snapshot_of(folder(files).path());
    let body = json!({
        "subject": { "type": "User", "id": "", "properties": { "job": { "title": "y" } } },
        "action": { "name": "enter" },
        "resource": { "type": "Door", "id": "front" },
    });
    let expected = decisions(&snapshot, &body, Target::Principal, &["a", "b"]);
    assert_eq!(search(&snapshot, &body, Target::Principal).unwrap(), expected);
}

/// What is said of the candidates refers to what must be stored, and is not: no decision allows it, and no search finds it.
#[test]
fn candidates_that_are_said_to_refer_to_nothing_are_not_found() {
    let files = [
        (
            "schema/users.cedarschema",
            "entity Team;\nentity User = { @must_exist team?: Team };\nentity Door enum [\"front\"];\n\
             action enter appliesTo { principal: User, resource: Door };",
        ),
        ("policies/users.cedar", PERMIT),
        (
            "entities/users.json",
            r#"[{ "uid": { "type": "User", "id": "a" } }, { "uid": { "type": "Team", "id": "t" } }]"#,
        ),
    ];
    let snapshot = snapshot_of(folder(files).path());
    for (team, found) in [("t", vec!["a"]), ("u", vec![])] {
        let body = json!({
            "subject": { "type": "User", "id": "", "properties": { "team": team } },
            "action": { "name": "enter" },
            "resource": { "type": "Door", "id": "front" },
        });
        assert_eq!(decisions(&snapshot, &body, Target::Principal, &["a"]), found);
        assert_eq!(search(&snapshot, &body, Target::Principal).unwrap(), found, "{team}");
    }
}

/// Times that Cedar cannot tell apart are no request, so none that is allowed: for the candidate that has such a time alone.
#[test]
fn candidates_whose_times_cannot_be_told_apart_are_not_found() {
    let stored = |id: &str, at: &str| json!({ "uid": { "type": "User", "id": id }, "attrs": { "at": at } });
    let sent = "2026-01-01T00:00:00.0001Z";
    for (one, other) in [("2026-01-01T00:00:00.0002Z", sent), ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")] {
        let entities = json!([stored("a", one), stored("b", other)]);
        let files = [
            (
                "schema/users.cedarschema",
                "entity User = { at: datetime };\nentity Door enum [\"front\"];\n\
                 action enter, leave appliesTo { principal: User, resource: Door, context: { now?: datetime } };"
                    .to_owned(),
            ),
            ("policies/users.cedar", PERMIT.to_owned()),
            ("entities/users.json", entities.to_string()),
        ];
        let snapshot = snapshot_of(folder(files).path());
        let body = json!({
            "subject": { "type": "User", "id": "" },
            "action": { "name": "enter" },
            "resource": { "type": "Door", "id": "front" },
            "context": { "now": sent },
        });
        assert_eq!(decisions(&snapshot, &body, Target::Principal, &["a", "b"]), ["b"]);
        assert_eq!(search(&snapshot, &body, Target::Principal).unwrap(), ["b"], "{one}");
    }
}

const IDS: [&str; 8] = ["-", "--", "", "a", "b", "c", "d", "e"];
const STEPS: [&str; 4] = ["n", "m", "r", "tag"];

impl Random {
    /// A way through a graph from a root, each step guarded, and what is asked at its end.
    fn guarded_way(&mut self) -> String {
        let root =
            self.pick(&["principal", "resource", "resource", "principal", "context", "Node::\"-\"", "Node::\"a\""]);
        let mut guards = Vec::new();
        let mut path = root.to_owned();
        if root == "context" {
            guards.push("context has n".to_owned());
            path += ".n";
        }
        for _ in 0..self.below(6) {
            path = match self.pick(&STEPS) {
                "r" => {
                    guards.extend([format!("{path} has r"), format!("{path}.r has n")]);
                    format!("{path}.r.n")
                }
                "tag" => {
                    guards.push(format!("{path}.hasTag(\"t\")"));
                    format!("{path}.getTag(\"t\")")
                }
                name => {
                    guards.push(format!("{path} has {name}"));
                    format!("{path}.{name}")
                }
            };
        }
        let id = self.pick(&IDS);
        guards.push(match self.below(6) {
            0 | 1 => format!("{path} has flag && {path}.flag"),
            2 => format!("{path} has tier && {path}.tier < 2"),
            3 => format!("{path} in Node::{id:?}"),
            4 => format!("{path} == principal"),
            _ => format!("resource in {path}"),
        });
        guards.join(" && ")
    }

    fn rules(&mut self) -> String {
        let mut text = if self.chance(60) { PERMIT.to_owned() } else { String::new() };
        for index in 0..1 + self.below(4) {
            let effect = self.pick(&["permit", "forbid"]);
            let when = self.pick(&["when", "when", "unless"]);
            let mut condition = self.guarded_way();
            if self.chance(30) {
                condition = format!("({condition}) || ({})", self.guarded_way());
            }
            text += &format!("@id(\"p{index}\") {effect} (principal, action, resource) {when} {{ {condition} }};\n");
        }
        text
    }

    fn links(&mut self, often: usize) -> Value {
        let mut attributes = Map::new();
        for name in ["n", "m"] {
            if self.chance(often) {
                attributes.insert(name.to_owned(), self.pick(&IDS).into());
            }
        }
        if self.chance(often / 2) {
            let inner = if self.chance(80) { json!({ "n": self.pick(&IDS) }) } else { json!({}) };
            attributes.insert("r".to_owned(), inner);
        }
        if self.chance(50) {
            attributes.insert("flag".to_owned(), self.chance(60).into());
        }
        if self.chance(30) {
            attributes.insert("tier".to_owned(), self.below(4).into());
        }
        attributes.into()
    }

    /// Entities of one type; each is in some of those that come before it.
    fn nodes(&mut self, type_name: &str, ids: &[&str], above: &[&str]) -> Vec<Value> {
        let mut entities = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let above = if type_name == "Node" { &ids[..index] } else { above };
            let parents: Vec<Value> =
                above.iter().filter(|_| self.chance(15)).map(|id| json!({ "type": "Node", "id": id })).collect();
            let tags = if self.chance(40) { json!({ "t": self.pick(&IDS) }) } else { json!({}) };
            let uid = json!({ "type": type_name, "id": id });
            entities.push(json!({ "uid": uid, "attrs": self.links(70), "parents": parents, "tags": tags }));
        }
        entities
    }

    fn some_ids(&mut self) -> Vec<&'static str> {
        IDS.into_iter().filter(|_| self.chance(75)).collect()
    }

    /// A question, and which part of it is searched.
    fn search_of(&mut self) -> (Value, Target) {
        let target = self.pick(&[Target::Principal, Target::Resource]);
        let resource = self.pick(&["Node", "Node", "Doc"]);
        let mut body = json!({
            "subject": { "type": "Node", "id": self.pick(&IDS) },
            "action": { "name": if resource == "Doc" { "see" } else { "go" } },
            "resource": { "type": resource, "id": self.pick(&IDS) },
        });
        for part in ["subject", "resource"] {
            if self.chance(30) {
                body[part]["properties"] = self.links(30);
            }
            if self.chance(10) {
                body[part]["tags"] = json!({ "t": self.pick(&IDS) });
            }
        }
        if self.chance(40) {
            body["context"] = json!({ "n": self.pick(&IDS) });
        }
        body[part(target)]["id"] = "".into();
        (body, target)
    }
}

/// So many graphs are tried.
fn graphs() -> u64 {
    std::env::var("SHARED_GRAPHS").map_or(2_000, |count| count.parse().unwrap())
}

const GRAPHS_OF_A_STORE: u64 = 20;

/// "search = decision, always; a property test with shared graphs of depth 3 and more, one type on both sides, ids from `-`, `--`, the
/// empty one, attributes said of candidates".
#[test]
fn every_search_of_a_shared_graph_finds_what_single_decisions_allow() {
    let (mut candidates, mut found) = (0, 0);
    for seed in 0..graphs().div_ceil(GRAPHS_OF_A_STORE) {
        let mut random = Random::new(seed);
        let policies = random.rules();
        let mut snapshot = graph(&policies, &json!([]));
        for _ in 0..GRAPHS_OF_A_STORE {
            let (nodes, docs) = (random.some_ids(), random.some_ids());
            let mut entities = random.nodes("Node", &nodes, &[]);
            entities.extend(random.nodes("Doc", &docs, &nodes));
            let text = Value::from(entities).to_string();
            let file = SourceFile { path: "entities/graph.json".into(), text: text.as_str().into() };
            snapshot.entities = StoredEntities::read([&file], &snapshot.store.types).unwrap();
            for _ in 0..2 {
                let (body, target) = random.search_of();
                let ids = if body[part(target)]["type"] == "Doc" { &docs } else { &nodes };
                let expected = decisions(&snapshot, &body, target, ids);
                let actual = search(&snapshot, &body, target).unwrap_or_default();
                assert_eq!(actual, expected, "seed {seed}, {target:?}: {body}\n{policies}\n{text}");
                candidates += ids.len();
                found += expected.len();
            }
        }
    }
    println!("{} graphs; of {candidates} candidates {found} are allowed", graphs());
    assert!(found * 10 > candidates && found * 10 < candidates * 9, "{found} of {candidates}");
}
