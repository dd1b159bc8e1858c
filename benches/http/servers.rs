//! The servers that are compared.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression, Schema,
};
use serde::{Deserialize, Serialize};

use crate::world;

/// One of the servers.
pub struct Server {
    name: String,
    kind: Kind,
}

enum Kind {
    /// This program, started as `--serve`.
    Own(&'static str, usize),
    /// The service, with so many policies, and that durability of its log.
    Gatepost { policies: usize, durability: &'static str, batch: bool },
}

/// A server that runs, until it is dropped.
pub struct Started {
    pub name: String,
    pub address: String,
    pub path: &'static str,
    pub body: fn(usize) -> String,
    /// What stands in every answer.
    pub right: &'static [u8],
    pub process: u32,
    child: Child,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// All of them; the first is the one that the others are compared to.
    pub fn all() -> Vec<Self> {
        let own = |name: &str, serves, policies| Self { name: name.to_owned(), kind: Kind::Own(serves, policies) };
        let gatepost = |policies, durability: &'static str, batch| Self {
            name: format!(
                "Gatepost, {policies} policies, log {durability}{}",
                if batch { ", batches of 100" } else { "" }
            ),
            kind: Kind::Gatepost { policies, durability, batch },
        };
        vec![
            own("axum and serde, which decides nothing", "echo", 0),
            own("axum and Cedar, 10 policies", "cedar", 10),
            own("axum and Cedar, 1,000 policies", "cedar", 1000),
            gatepost(10, "off", false),
            gatepost(10, "buffered", false),
            gatepost(10_000, "buffered", false),
            gatepost(10, "buffered", true),
        ]
    }

    /// Starts it in a folder of its own; `None` where it is not installed.
    pub fn start(self, folder: &Path) -> Option<Started> {
        let folder = folder.join(self.name.replace(|letter: char| !letter.is_alphanumeric(), "-"));
        std::fs::create_dir_all(&folder).unwrap();
        let (mut command, path, body): (_, _, fn(usize) -> String) = match self.kind {
            Kind::Own(serves, policies) => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["--serve", serves, &policies.to_string()]);
                (command, "/access/v1/evaluation", world::authzen)
            }
            Kind::Gatepost { policies, durability, batch } => {
                world::write(&folder, policies);
                let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
                command.args(["serve", "--listen", "127.0.0.1:0", "--store", "."]);
                command.args(["--log", "log", "--log-durability", durability]).current_dir(&folder);
                match batch {
                    false => (command, "/access/v1/evaluation", world::authzen),
                    true => (command, "/access/v1/evaluations", world::batch),
                }
            }
        };
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "{} did not start", self.name);
            if let Some(address) = line.trim().strip_prefix("listening on http://") {
                break address.to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let right = br#"{"decision":true}"#;
        Some(Started { name: self.name, address, path, body, right, process: child.id(), child })
    }
}

/// Serves what `--serve` names.
pub fn serve(name: &str, policies: Option<&str>) {
    let routes = match name {
        "echo" => Router::new().route("/access/v1/evaluation", post(echo)),
        "cedar" => {
            let cedar = Cedar::new(policies.and_then(|count| count.parse().ok()).unwrap());
            Router::new().route("/access/v1/evaluation", post(decide)).with_state(Arc::new(cedar))
        }
        other => panic!("there is no server `{other}`"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        axum::serve(listener, routes).await.unwrap();
    });
}

#[derive(Deserialize)]
struct Question {
    subject: Named<Subject>,
    action: Action,
    resource: Named<Resource>,
    context: Circumstances,
}

#[derive(Deserialize)]
struct Named<P> {
    r#type: String,
    id: String,
    properties: P,
}

#[derive(Deserialize)]
struct Subject {
    clearance: i64,
}

#[derive(Deserialize)]
struct Resource {
    level: i64,
    archived: bool,
}

#[derive(Deserialize)]
struct Action {
    name: String,
}

#[derive(Deserialize)]
struct Circumstances {
    secure: bool,
}

#[derive(Serialize)]
struct Answer {
    decision: bool,
}

async fn echo(Json(question): Json<Question>) -> Json<Answer> {
    Json(Answer {
        decision: question.context.secure && !question.action.name.is_empty() && !question.subject.id.is_empty(),
    })
}

struct Cedar {
    policies: PolicySet,
    entities: Entities,
    schema: Schema,
}

impl Cedar {
    fn new(policies: usize) -> Self {
        let (schema, _) = Schema::from_cedarschema_str(world::SCHEMA).unwrap();
        Self {
            policies: PolicySet::from_str(&world::policies(policies)).unwrap(),
            entities: Entities::from_json_value(world::entities(), Some(&schema)).unwrap(),
            schema,
        }
    }
}

/// As a program does that uses Cedar as its documentation shows: what is stored, and over it what the request says.
async fn decide(State(cedar): State<Arc<Cedar>>, Json(question): Json<Question>) -> Json<Answer> {
    let uid = |kind: &str, id: &str| {
        EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind).unwrap(), EntityId::new(id))
    };
    let long = RestrictedExpression::new_long;
    let (subject, resource) = (&question.subject, &question.resource);
    let principal = uid(&subject.r#type, &subject.id);
    let on = uid(&resource.r#type, &resource.id);
    let parents = |uid: &EntityUid| cedar.entities.ancestors(uid).unwrap().cloned().collect();
    let said = [
        Entity::new(
            principal.clone(),
            [("clearance".to_owned(), long(subject.properties.clearance))].into(),
            parents(&principal),
        ),
        Entity::new(
            on.clone(),
            [
                ("level".to_owned(), long(resource.properties.level)),
                ("archived".to_owned(), RestrictedExpression::new_bool(resource.properties.archived)),
            ]
            .into(),
            parents(&on),
        ),
    ];
    let entities = cedar.entities.clone().upsert_entities(said.map(Result::unwrap), Some(&cedar.schema)).unwrap();
    let context = [("secure".to_owned(), RestrictedExpression::new_bool(question.context.secure))];
    let context = Context::from_pairs(context).unwrap();
    let request =
        Request::new(principal, uid("Action", &question.action.name), on, context, Some(&cedar.schema)).unwrap();
    let response = Authorizer::new().is_authorized(&request, &cedar.policies, &entities);
    Json(Answer { decision: response.decision() == Decision::Allow })
}
