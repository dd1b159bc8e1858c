//! The servers that are compared.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression, Schema,
};

use crate::service::{self, Answer, Question};
use crate::world::{self, Asked};
use crate::{chart, client, peers};

/// How a request is written: which, and what all say.
pub type Body = fn(usize, fn(usize) -> Asked) -> String;

/// One of the servers.
pub struct Server {
    pub name: String,
    kind: Kind,
}

enum Kind {
    /// This program, started as `--serve`.
    Own(&'static str, usize),
    /// The service, with so many policies, and that durability of its log.
    Gatepost {
        policies: usize,
        durability: &'static str,
        batch: bool,
    },
    /// Another engine in the program of `benches/peers`.
    InProcess(&'static str, usize),
    CedarAgent(usize),
    Cerbos(usize),
}

/// How a server is started and asked.
pub struct Setup {
    pub command: Command,
    /// Where it listens, if it does not say so itself.
    pub address: Option<String>,
    pub path: &'static str,
    pub body: Body,
    /// What stands in every answer that allows.
    pub right: &'static str,
    /// What stands in every answer that denies; `None` where nothing is decided.
    pub wrong: Option<&'static str>,
    /// How many are in an answer.
    pub decisions: usize,
}

/// A server that runs, until it is dropped.
pub struct Started {
    pub name: String,
    pub address: String,
    pub path: &'static str,
    pub body: Body,
    pub right: &'static str,
    pub decisions: usize,
    pub process: u32,
    /// How long it took from its start to its first answer; looked for every 5 ms.
    pub ready: Duration,
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
        let server = |name: &str, kind| Self { name: name.to_owned(), kind };
        let gatepost = |policies, durability: &'static str, batch| Self {
            name: format!(
                "Gatepost, {} policies, log {durability}{}",
                chart::grouped(policies as f64),
                if batch { ", batches of 100" } else { "" }
            ),
            kind: Kind::Gatepost { policies, durability, batch },
        };
        vec![
            server("axum and serde, which decides nothing", Kind::Own("echo", 0)),
            server("axum and Cedar, 10 policies", Kind::Own("cedar", 10)),
            server("axum and Cedar, 1,000 policies", Kind::Own("cedar", 1000)),
            gatepost(10, "off", false),
            gatepost(10, "buffered", false),
            gatepost(10_000, "buffered", false),
            gatepost(10, "off", true),
            gatepost(10, "buffered", true),
            server("axum and regorus, 10 policies", Kind::InProcess("regorus", 10)),
            server("axum and regorus, 1,000 policies", Kind::InProcess("regorus", 1000)),
            server("axum and Casbin, 10 policies", Kind::InProcess("casbin", 10)),
            server("axum and Casbin, 1,000 policies", Kind::InProcess("casbin", 1000)),
            server("cedar-agent, 10 policies", Kind::CedarAgent(10)),
            server("Cerbos, 10 policies", Kind::Cerbos(10)),
        ]
    }

    /// Starts it in a folder of its own; `None` where it is not installed.
    pub fn start(self, folder: &Path) -> Option<Started> {
        let folder = folder.join(self.name.replace(|letter: char| !letter.is_alphanumeric(), "-"));
        std::fs::create_dir_all(&folder).unwrap();
        let setup = match self.kind {
            Kind::Own(serves, policies) => own(serves, policies),
            Kind::Gatepost { policies, durability, batch } => gatepost(&folder, policies, durability, batch),
            Kind::InProcess(engine, policies) => peers::in_process(engine, policies)?,
            Kind::CedarAgent(policies) => peers::cedar_agent(&folder, policies)?,
            Kind::Cerbos(policies) => peers::cerbos(&folder, policies)?,
        };
        let Setup { mut command, address, path, body, right, wrong, decisions } = setup;
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let address = said_address(out, address).unwrap_or_else(|| panic!("{} did not start", self.name));
        let (process, ready) = (child.id(), Duration::ZERO);
        let mut started = Started { name: self.name, address, path, body, right, decisions, process, ready, child };
        started.check(wrong, began);
        Some(started)
    }
}

/// Reads what a server says, to the end; where it says its address, unless that is known.
fn said_address(mut out: impl BufRead + Send + 'static, known: Option<String>) -> Option<String> {
    let said =
        || out.by_ref().lines().find_map(|line| Some(line.ok()?.strip_prefix("listening on http://")?.to_owned()));
    let address = known.or_else(said);
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    address
}

impl Started {
    /// Waits until it answers, and checks that it allows what must be allowed, and denies what must be denied.
    fn check(&mut self, wrong: Option<&str>, began: Instant) {
        let allowed = loop {
            match client::ask(&self.address, self.path, &(self.body)(0, world::allowed)) {
                Ok(answer) => break answer,
                Err(error) => {
                    let runs = self.child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(30);
                    assert!(runs, "{} does not answer: {error}", self.name);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        };
        self.ready = began.elapsed();
        assert!(allowed.contains(self.right), "{}: {allowed}", self.name);
        let Some(wrong) = wrong else { return };
        for number in 0..world::REASONS * world::PEOPLE {
            let denied = client::ask(&self.address, self.path, &(self.body)(number, world::denied)).unwrap();
            assert!(denied.contains(wrong) && !denied.contains(self.right), "{}: {denied}", self.name);
        }
    }
}

fn own(serves: &str, policies: usize) -> Setup {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--serve", serves, &policies.to_string()]);
    Setup { wrong: (serves != "echo").then_some(DENIES), ..authzen(command) }
}

fn gatepost(folder: &Path, policies: usize, durability: &str, batch: bool) -> Setup {
    world::write(folder, policies);
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", "."]);
    command.args(["--log", "log", "--log-durability", durability]).current_dir(folder);
    match batch {
        false => authzen(command),
        true => {
            let single = authzen(command);
            let right = vec![single.right; world::BATCH].join(",").leak();
            Setup { path: "/access/v1/evaluations", body: world::batch, right, decisions: world::BATCH, ..single }
        }
    }
}

const DENIES: &str = r#"{"decision":false}"#;

/// A server that says where it listens, and is asked as AuthZEN has it.
pub fn authzen(command: Command) -> Setup {
    Setup {
        command,
        address: None,
        path: service::PATH,
        body: world::authzen,
        right: r#"{"decision":true}"#,
        wrong: Some(DENIES),
        decisions: 1,
    }
}

/// Serves what `--serve` names.
pub fn serve(name: &str, policies: Option<&str>) {
    service::serve(match name {
        "echo" => service::route(echo),
        "cedar" => {
            let cedar = Cedar::new(policies.and_then(|count| count.parse().ok()).unwrap());
            service::route(decide).with_state(Arc::new(cedar))
        }
        other => panic!("there is no server `{other}`"),
    });
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
