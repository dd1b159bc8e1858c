//! Casbin: a line for each policy, who is in what as roles, and a matcher that looks at the attributes.

use std::sync::Arc;

use axum::extract::State;
use axum::{Json, Router};
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use serde::Serialize;

use crate::service::{self, Answer, Question};
use crate::world;

/// `g` says who is in which team, `g2` what is in which folder, `g3` which actions an action is. What fails first for most lines
/// stands first.
const MODEL: &str = "
[request_definition]
r = sub, act, obj, env

[policy_definition]
p = sub, act, obj

[role_definition]
g = _, _
g2 = _, _
g3 = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = g(r.sub.id, p.sub) && g2(r.obj.id, p.obj) && g3(r.act, p.act) && r.env.secure && r.obj.level <= r.sub.clearance && !r.obj.archived
";

#[derive(Serialize, Hash)]
struct Subject<'a> {
    id: &'a str,
    clearance: i64,
}

#[derive(Serialize, Hash)]
struct Object<'a> {
    id: &'a str,
    level: i64,
    archived: bool,
}

#[derive(Serialize, Hash)]
struct Environment {
    secure: bool,
}

pub fn routes(policies: usize) -> Router {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let enforcer = runtime.block_on(enforcer(policies));
    // Nothing changes the policies while they are asked: without the lock that its documentation has for that.
    service::route(decide).with_state(Arc::new(enforcer))
}

/// Not the `CachedEnforcer`, which would answer from what it has answered before.
async fn enforcer(policies: usize) -> Enforcer {
    let model = DefaultModel::from_str(MODEL).await.unwrap();
    let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.unwrap();
    let lines = world::teams(policies).map(|team| vec![format!("t{team}"), "access".to_owned(), format!("f{team}")]);
    enforcer.add_policies(lines.collect()).await.unwrap();
    let people = (0..world::PEOPLE).map(|n| vec![format!("u{n}"), format!("t{n}")]);
    let documents = (0..world::PEOPLE).map(|n| vec![format!("d{n}"), format!("f{n}")]);
    let actions = ["read", "write"].map(|action| vec![action.to_owned(), "access".to_owned()]);
    enforcer.add_named_grouping_policies("g", people.collect()).await.unwrap();
    enforcer.add_named_grouping_policies("g2", documents.collect()).await.unwrap();
    enforcer.add_named_grouping_policies("g3", actions.to_vec()).await.unwrap();
    enforcer
}

async fn decide(State(enforcer): State<Arc<Enforcer>>, Json(question): Json<Question>) -> Json<Answer> {
    let (subject, resource) = (&question.subject, &question.resource);
    let decision = enforcer.enforce((
        Subject { id: &subject.id, clearance: subject.properties.clearance },
        &question.action.name,
        Object { id: &resource.id, level: resource.properties.level, archived: resource.properties.archived },
        Environment { secure: question.context.secure },
    ));
    Json(Answer { decision: decision.unwrap() })
}
