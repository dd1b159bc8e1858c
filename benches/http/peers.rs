//! The peers that `scripts/peers` installs. Each has the policies of `world` as its documentation writes them, logs nothing, and is
//! asked with the same attributes.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::servers::{Setup, authzen};
use crate::world::{self, Asked};

/// Another engine in a program of ours.
pub fn in_process(engine: &str, policies: usize) -> Option<Setup> {
    let mut command = installed("gatepost-peers")?;
    command.args([engine, &policies.to_string()]);
    Some(authzen(command))
}

/// cedar-agent has Cedar 2.5, which reads no schema but in JSON, and takes one policy at a time. The entities come with the request:
/// where it has some stored, it copies them for each.
pub fn cedar_agent(folder: &Path, policies: usize) -> Option<Setup> {
    let mut command = installed("cedar-agent")?;
    let text = world::policies(policies);
    let policies = text.split_terminator("\n\n").enumerate();
    let policies: Value =
        policies.map(|(n, content)| json!({ "id": format!("team-{n}"), "content": content })).collect();
    std::fs::write(folder.join("policies.json"), policies.to_string()).unwrap();
    std::fs::write(folder.join("schema.json"), schema().to_string()).unwrap();
    let port = free_port();
    command.args(["--port", &port.to_string(), "--log-level", "off"]).env("ROCKET_LOG_LEVEL", "off");
    command.args(["--schema", "schema.json", "--policies", "policies.json"]).current_dir(folder);
    Some(Setup {
        command,
        address: Some(format!("127.0.0.1:{port}")),
        path: "/v1/is_authorized",
        body: call,
        right: r#""decision":"Allow""#,
        wrong: Some(r#""decision":"Deny""#),
        decisions: 1,
    })
}

/// `world::SCHEMA`, as it was written then.
fn schema() -> Value {
    let entity = |above: &[&str], attributes: Value| json!({ "memberOfTypes": above, "shape": { "type": "Record", "attributes": attributes } });
    let action = json!({
        "memberOf": [{ "id": "access" }],
        "appliesTo": {
            "principalTypes": ["User"],
            "resourceTypes": ["Doc"],
            "context": { "type": "Record", "attributes": { "secure": { "type": "Boolean" } } }
        }
    });
    json!({ "": {
        "entityTypes": {
            "Team": entity(&[], json!({})),
            "User": entity(&["Team"], json!({ "clearance": { "type": "Long" } })),
            "Folder": entity(&[], json!({})),
            "Doc": entity(&["Folder"], json!({ "level": { "type": "Long" }, "archived": { "type": "Boolean" } })),
        },
        "actions": { "access": { "appliesTo": null }, "read": action, "write": action },
    } })
}

/// A request as cedar-agent has it, with what the three are and are in. (As `additional_entities`, it would merge them with all that is
/// stored, which takes it longer.)
fn call(number: usize, of: fn(usize) -> Asked) -> String {
    let asked = of(number);
    let named = |kind: &str, id: &str| json!({ "type": kind, "id": id });
    let entity =
        |is: Value, attributes: Value, is_in: Value| json!({ "uid": is, "attrs": attributes, "parents": [is_in] });
    let [user, team] = ["u", "t"].map(|letter| format!("{letter}{}", asked.person));
    let [document, folder] = ["d", "f"].map(|letter| format!("{letter}{}", asked.document));
    let attributes = json!({ "level": asked.level, "archived": asked.archived });
    json!({
        "principal": format!("User::\"{user}\""),
        "action": format!("Action::\"{}\"", asked.action),
        "resource": format!("Doc::\"{document}\""),
        "context": { "secure": asked.secure },
        "entities": [
            entity(named("User", &user), json!({ "clearance": asked.clearance }), named("Team", &team)),
            entity(named("Action", asked.action), json!({}), named("Action", "access")),
            entity(named("Doc", &document), attributes, named("Folder", &folder)),
        ],
    })
    .to_string()
}

/// Cerbos stores no people and no documents: the team is a role of the person, the folder an attribute of the document. A policy is a
/// rule for a role.
pub fn cerbos(folder: &Path, policies: usize) -> Option<Setup> {
    let mut command = installed("cerbos")?;
    std::fs::create_dir(folder.join("policies")).unwrap();
    std::fs::write(folder.join("policies/documents.yaml"), rules(policies)).unwrap();
    let port = free_port();
    // It asks itself over gRPC, which a socket in the folder is good enough for.
    let settings = format!(
        "server: {{ httpListenAddr: '127.0.0.1:{port}', grpcListenAddr: 'unix:grpc', metricsEnabled: false }}\n\
         storage: {{ driver: disk, disk: {{ directory: policies, watchForChanges: false }} }}\n\
         telemetry: {{ disabled: true }}\n"
    );
    std::fs::write(folder.join("cerbos.yaml"), settings).unwrap();
    command.args(["server", "--config", "cerbos.yaml", "--log-level", "error"]).current_dir(folder);
    Some(Setup {
        command,
        address: Some(format!("127.0.0.1:{port}")),
        path: "/api/check/resources",
        body: check,
        right: r#""EFFECT_ALLOW""#,
        wrong: Some(r#""EFFECT_DENY""#),
        decisions: 1,
    })
}

fn rules(count: usize) -> String {
    let mut text =
        "apiVersion: api.cerbos.dev/v1\nresourcePolicy:\n  version: default\n  resource: Doc\n  rules:\n".to_owned();
    for team in world::teams(count) {
        write!(
            text,
            "  - name: team-{team}\n    actions: [read, write]\n    effect: EFFECT_ALLOW\n    roles: [t{team}]\n    condition:\n      match:\n        \
             expr: R.attr.folder == \"f{team}\" && P.attr.secure && R.attr.level <= P.attr.clearance && !R.attr.archived\n"
        )
        .unwrap();
    }
    text
}

/// A request as Cerbos has it.
fn check(number: usize, of: fn(usize) -> Asked) -> String {
    let asked = of(number);
    json!({
        "principal": {
            "id": format!("u{}", asked.person),
            "roles": [format!("t{}", asked.person)],
            "attr": { "clearance": asked.clearance, "secure": asked.secure }
        },
        "resources": [{
            "actions": [asked.action],
            "resource": {
                "kind": "Doc",
                "id": format!("d{}", asked.document),
                "attr": { "folder": format!("f{}", asked.document), "level": asked.level, "archived": asked.archived }
            }
        }]
    })
    .to_string()
}

/// A program of the peers; says how it is installed where it is not.
fn installed(name: &str) -> Option<Command> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("peers/bin").join(name);
    if !program.exists() {
        eprintln!("{name} is left out: `scripts/peers` installs it");
        return None;
    }
    Some(Command::new(program))
}

/// A port that nobody listens at, for who cannot look for one.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
