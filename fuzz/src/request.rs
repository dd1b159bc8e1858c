//! The decoder of requests and what is decided on them: any body, asked of the built-in store, of one with values of every type,
//! and of that of the conformance suite.

use std::path::PathBuf;
use std::sync::LazyLock;

use gatepost::engine::Snapshot;
use gatepost::http::authzen::{self, BatchResponse, EvaluationsResponse, Limits, Reasons, Refusal};
use gatepost::http::callers::Caller;
use gatepost::http::journal::Journal;
use gatepost::request::Facts;
use gatepost::request::json::{DEEPEST, Json};
use gatepost::store::{Origin, SourceFile, Store, StoreFiles};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// Any bytes.
pub fn hold(input: &[u8]) {
    for snapshot in &*SNAPSHOTS {
        let alone = alone(snapshot, Reasons::Admin, input);
        for reasons in [Reasons::Admin, Reasons::User, Reasons::None] {
            assert_eq!(self::alone(snapshot, reasons, input), alone, "the reasons make a difference");
        }
        let Ok(json) = Json::parse(input, LIMITS.depth) else {
            assert_eq!(alone, None, "what is no JSON is decided");
            continue;
        };
        nothing_went_wrong_where_it_is_allowed(snapshot, &json, alone);
        // Two members of one name are refused, but of them serde_json would take the last.
        let body = serde_json::from_slice(input).ok().filter(|_| !json.has_duplicates());
        if let Some(Value::Object(body)) = body {
            the_same_as_an_item(snapshot, &body, alone);
            each_item_is_decided_as_it_is_alone(snapshot, &body, alone);
            what_is_not_declared_changes_nothing(snapshot, &body, alone);
        }
    }
}

/// The built-in store, one with values of every type, and that of the conformance suite.
static SNAPSHOTS: LazyLock<[Snapshot; 3]> = LazyLock::new(|| {
    let types = store([
        include_str!("../../tests/stores/types/schema/types.cedarschema"),
        include_str!("../../tests/stores/types/policies/types.cedar"),
        include_str!("../../tests/stores/types/entities/shop.json"),
    ]);
    let records = store([
        include_str!("../../tests/stores/authzen/schema/records.cedarschema"),
        include_str!("../../tests/stores/authzen/policies/records.cedar"),
        include_str!("../../tests/stores/authzen/entities/fixture.json"),
    ]);
    [Snapshot::load(Origin::BuiltIn).expect("the built-in store can be served"), types, records]
});

fn store([schema, policies, entities]: [&str; 3]) -> Snapshot {
    let file = |path: &str, text: &str| vec![SourceFile { path: path.into(), text: text.into() }];
    let files = StoreFiles {
        schema: file("schema/schema.cedarschema", schema),
        policies: file("policies/policies.cedar", policies),
        entities: file("entities/entities.json", entities),
        ..StoreFiles::default()
    };
    let store = Store::from_files(Origin::Folder(PathBuf::from("tests")), files);
    store.and_then(Snapshot::build).expect("a store of the tests can be served")
}

/// All that a caller can be told.
static LIMITS: LazyLock<Limits> = LazyLock::new(|| Limits { max_reasons: Reasons::Admin, ..Limits::default() });

/// The decision on a body by itself; `None` where it is refused, with a message of bounded length.
fn alone(snapshot: &Snapshot, reasons: Reasons, body: &[u8]) -> Option<bool> {
    let limits = Limits { reasons, ..*LIMITS };
    let answer = authzen::evaluation(snapshot, &limits, &Caller::anonymous(), body, &mut Journal::none());
    answer.map(|answer| answer.decision).map_err(|refusal| is_clear(&refusal)).ok()
}

/// The answer to a body of many; `None` where it is refused as a whole.
fn many(snapshot: &Snapshot, body: &Value) -> Option<EvaluationsResponse> {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers"));
    // An item lies two levels deeper than the same body by itself.
    let limits = Limits { depth: DEEPEST, ..*LIMITS };
    let body = body.to_string();
    let caller = Caller::anonymous();
    let answer =
        RUNTIME.block_on(authzen::evaluations(snapshot, &limits, &caller, body.as_bytes(), &mut Journal::none()));
    answer.map_err(|refusal| is_clear(&refusal)).ok()
}

fn is_clear(refusal: &Refusal) {
    let message = refusal.to_string();
    assert!(!message.is_empty() && message.len() < 2000, "{message}");
}

/// "an allow only if nothing that the schema requires is missing, no policy raised an error, a `permit` is satisfied and no
/// `forbid` is"
fn nothing_went_wrong_where_it_is_allowed(snapshot: &Snapshot, json: &Json<'_>, alone: Option<bool>) {
    let decision = authzen::question(json).ok().map(|question| snapshot.decide(&question, Facts::FromPlugins));
    let Some(Ok(decision)) = decision else {
        assert_eq!(alone, None, "what asks nothing is decided");
        return;
    };
    // The options can be wrong where the question is not.
    assert!(alone.is_none_or(|alone| alone == decision.allowed));
    let determining = decision.determining();
    if decision.allowed {
        assert!(decision.errors().is_empty() && !determining.is_empty());
    }
    assert!(determining.iter().all(|policy| policy.permits == decision.allowed || !decision.errors().is_empty()));
}

/// A batch of one decides it as it is decided by itself; what is refused there is denied here.
fn the_same_as_an_item(snapshot: &Snapshot, body: &Map<String, Value>, alone: Option<bool>) {
    let mut item = body.clone();
    // The options of a body are no part of an item, and wrong ones are refused.
    let has_options = item.remove("options").is_some();
    let Some(EvaluationsResponse::Batch(BatchResponse { evaluations })) =
        many(snapshot, &json!({ "evaluations": [item] }))
    else {
        panic!("a batch without options is never refused");
    };
    let [item] = evaluations.as_slice() else { panic!("one answer for one item") };
    assert!(item.decision == alone.unwrap_or_default() || (alone.is_none() && has_options));
}

/// "Otherwise each item takes `subject`, `action`, `resource`, `context` from itself, else from the top level"; cut short "right
/// after the item that triggered it".
fn each_item_is_decided_as_it_is_alone(snapshot: &Snapshot, body: &Map<String, Value>, alone: Option<bool>) {
    let evaluations = match many(snapshot, &Value::Object(body.clone())) {
        None => return,
        Some(EvaluationsResponse::Single(answer)) => return assert_eq!(Some(answer.decision), alone),
        Some(EvaluationsResponse::Batch(BatchResponse { evaluations })) => evaluations,
    };
    let items = body.get("evaluations").and_then(Value::as_array).expect("a batch has items");
    let expected = items.iter().map(|item| {
        let mut item = item.as_object()?.clone();
        item.remove("options");
        for part in ["subject", "action", "resource", "context"] {
            if let (false, Some(shared)) = (item.contains_key(part), body.get(part)) {
                item.insert(part.to_owned(), shared.clone());
            }
        }
        self::alone(snapshot, Reasons::None, Value::Object(item).to_string().as_bytes())
    });
    let expected: Vec<bool> = expected.map(Option::unwrap_or_default).collect();
    let semantic = body.get("options").and_then(|options| options.get("evaluations_semantic")).and_then(Value::as_str);
    let last = match semantic {
        Some("deny_on_first_deny") => expected.iter().position(|decision| !decision),
        Some("permit_on_first_permit") => expected.iter().position(|decision| *decision),
        _ => None,
    };
    let decisions: Vec<bool> = evaluations.iter().map(|answer| answer.decision).collect();
    assert_eq!(decisions, expected[..last.map_or(expected.len(), |last| last + 1)]);
}

/// "Undeclared properties and context never change a decision and never cause an error"
fn what_is_not_declared_changes_nothing(snapshot: &Snapshot, body: &Map<String, Value>, alone: Option<bool>) {
    let mut body = body.clone();
    let add = |place: Option<&mut Value>| {
        if let Some(Value::Object(members)) = place {
            members.insert("no schema declares this".to_owned(), json!({ "__extn": { "fn": "ip", "arg": "1.1.1.1" } }));
        }
    };
    for part in ["subject", "action", "resource"] {
        let mut part = body.get_mut(part);
        add(part.as_mut().and_then(|part| part.get_mut("properties")));
        add(part);
    }
    add(body.get_mut("context"));
    add(body.get_mut("options"));
    let mut body = Value::Object(body);
    add(Some(&mut body));
    assert_eq!(self::alone(snapshot, Reasons::Admin, body.to_string().as_bytes()), alone);
}
