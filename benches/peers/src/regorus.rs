//! Rego by regorus: compiled to the bytecode of its virtual machine, of which each worker has one.

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use axum::{Json, Router};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, Value};

use crate::service::{self, Answer};
use crate::world;

const RULE: &str = "data.documents.allow";

/// What all machines run, and what is stored: who is in which teams, and what in which folders.
static PROGRAM: OnceLock<(Arc<Program>, Value)> = OnceLock::new();

thread_local! {
    static MACHINE: RefCell<RegoVM> = RefCell::new(machine());
}

pub fn routes(policies: usize) -> Router {
    let mut engine = Engine::new();
    engine.add_policy("documents.rego".to_owned(), rules(policies)).unwrap();
    engine.add_data(data()).unwrap();
    let compiled = engine.compile_with_entrypoint(&RULE.into()).unwrap();
    let program = Compiler::compile_from_policy(&compiled, &[RULE]).unwrap();
    assert!(PROGRAM.set((program, data())).is_ok());
    service::route(decide)
}

fn machine() -> RegoVM {
    let (program, data) = PROGRAM.get().unwrap();
    let mut machine = RegoVM::new();
    machine.load_program(Arc::clone(program));
    machine.set_data(data.clone()).unwrap();
    machine
}

/// A rule for each policy, as they are written in Cedar.
fn rules(count: usize) -> String {
    let mut text = "package documents\n\ndefault allow := false\n".to_owned();
    for team in world::teams(count) {
        write!(
            text,
            r#"
# team-{team}
allow if {{
    "t{team}" in data.teams[input.subject.id]
    "f{team}" in data.folders[input.resource.id]
    input.action.name in {{"read", "write"}}
    input.context.secure
    input.resource.properties.level <= input.subject.properties.clearance
    not input.resource.properties.archived
}}
"#
        )
        .unwrap();
    }
    text
}

fn data() -> Value {
    let of = |what: &str, above: &str| {
        let members = (0..world::PEOPLE).map(|n| (format!("{what}{n}"), vec![format!("{above}{n}")].into()));
        serde_json::Value::Object(members.collect())
    };
    serde_json::json!({ "teams": of("u", "t"), "folders": of("d", "f") }).into()
}

/// The request is read as the document that it is for the rules.
async fn decide(Json(input): Json<Value>) -> Json<Answer> {
    let value = MACHINE.with_borrow_mut(|machine| {
        machine.set_input(input);
        machine.execute().unwrap()
    });
    Json(Answer { decision: value == Value::from(true) })
}
