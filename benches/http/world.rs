//! What is decided: people of teams read and write documents in the folders of their teams.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

/// So many requests are asked in turn over each connection.
pub const REQUESTS: usize = 64;

/// So many are in a batch.
pub const BATCH: usize = 100;

/// The people who ask, each of a team of their own.
pub const PEOPLE: usize = 10;

pub const SCHEMA: &str = r#"
entity Team;
entity User in [Team] = { clearance: Long };
entity Folder;
entity Doc in [Folder] = { level: Long, archived: Bool };
action access;
action read, write in [access] appliesTo { principal: User, resource: Doc, context: { secure: Bool } };
"#;

/// The teams that have policies, in the order in which these stand: those who ask are spread evenly among the others, so that a server
/// that stops at the first policy that allows looks at half of them.
pub fn teams(policies: usize) -> impl Iterator<Item = usize> {
    let others = policies.div_ceil(PEOPLE);
    (0..policies).map(move |place| place % others * PEOPLE + place / others)
}

/// So many policies, a multiple of [`PEOPLE`], each of a team and its folder.
pub fn policies(count: usize) -> String {
    let mut text = String::new();
    for team in teams(count) {
        write!(
            text,
            "@id(\"team-{team}\")\npermit (principal in Team::\"t{team}\", action in Action::\"access\", resource in Folder::\"f{team}\")\n\
             when {{ context.secure && resource.level <= principal.clearance && !resource.archived }};\n\n"
        )
        .unwrap();
    }
    text
}

/// The people and documents of the teams that ask, with what they are in; the attributes come with the requests.
pub fn entities() -> Value {
    let of = |kind: &str, id: String| json!({ "type": kind, "id": id });
    let people = (0..PEOPLE).map(|n| {
        json!({
            "uid": of("User", format!("u{n}")), "attrs": { "clearance": 3 }, "parents": [of("Team", format!("t{n}"))]
        })
    });
    let docs = (0..PEOPLE).map(|n| json!({
        "uid": of("Doc", format!("d{n}")), "attrs": { "level": 2, "archived": false }, "parents": [of("Folder", format!("f{n}"))]
    }));
    let above = (0..PEOPLE).flat_map(|n| {
        [("Team", format!("t{n}")), ("Folder", format!("f{n}"))]
            .map(|(kind, id)| json!({ "uid": of(kind, id), "attrs": {}, "parents": [] }))
    });
    people.chain(docs).chain(above).collect()
}

/// Writes the store that holds all of this into a folder.
pub fn write(folder: &Path, count: usize) {
    for (name, text) in [
        ("schema/documents.cedarschema", SCHEMA.to_owned()),
        ("policies/teams.cedar", policies(count)),
        ("entities/all.json", entities().to_string()),
    ] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// What a request says: person N, who is in team N, asks for document N, which is in folder N.
pub struct Asked {
    pub person: usize,
    pub document: usize,
    pub action: &'static str,
    pub clearance: i64,
    pub level: i64,
    pub archived: bool,
    pub secure: bool,
}

/// Requests of which all are allowed.
pub fn allowed(number: usize) -> Asked {
    Asked {
        person: number % PEOPLE,
        document: number % PEOPLE,
        action: if number.is_multiple_of(3) { "write" } else { "read" },
        clearance: 3,
        level: 2,
        archived: false,
        secure: true,
    }
}

/// So many reasons there are to deny.
pub const REASONS: usize = 4;

/// Requests of which each is denied, for each of the reasons in turn.
pub fn denied(number: usize) -> Asked {
    let asked = allowed(number);
    match number % REASONS {
        0 => Asked { secure: false, ..asked },
        1 => Asked { document: (asked.document + 1) % PEOPLE, ..asked },
        2 => Asked { level: asked.clearance + 1, ..asked },
        _ => Asked { archived: true, ..asked },
    }
}

/// A request as AuthZEN has it.
pub fn authzen(number: usize, of: fn(usize) -> Asked) -> String {
    let asked = of(number);
    json!({
        "subject": {
            "type": "User", "id": format!("u{}", asked.person), "properties": { "clearance": asked.clearance }
        },
        "action": { "name": asked.action },
        "resource": {
            "type": "Doc",
            "id": format!("d{}", asked.document),
            "properties": { "level": asked.level, "archived": asked.archived }
        },
        "context": { "secure": asked.secure },
    })
    .to_string()
}

/// Many of them in one.
pub fn batch(number: usize, of: fn(usize) -> Asked) -> String {
    let items: Vec<Value> = (0..BATCH).map(|item| serde_json::from_str(&authzen(number + item, of)).unwrap()).collect();
    json!({ "evaluations": items }).to_string()
}
