//! Laws that hold for every request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::LazyLock;

use common::{enter, evaluate, open_limits, with};
use gatepost::engine::Snapshot;
use gatepost::http::authzen::{self, EvaluationsResponse, Limits, Refusal};
use gatepost::http::callers::Caller;
use gatepost::http::journal::Journal;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

static BUILT_IN: LazyLock<Snapshot> = LazyLock::new(common::built_in);
static TYPES: LazyLock<Snapshot> = LazyLock::new(|| common::store("types"));

fn evaluations(snapshot: &Snapshot, limits: &Limits, body: &[u8]) -> Result<EvaluationsResponse, Refusal> {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.block_on(authzen::evaluations(snapshot, limits, &Caller::anonymous(), body, &mut Journal::none()))
}

/// Any JSON value, with the names and values that mean something to the service more often than others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(WORDS).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let name = prop_oneof![4 => select(WORDS).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(name, inner, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const WORDS: &[&str] = &[
    "subject",
    "action",
    "resource",
    "context",
    "properties",
    "options",
    "evaluations",
    "reasons",
    "type",
    "id",
    "name",
    "evaluations_semantic",
    "deny_on_first_deny",
    "User",
    "Account",
    "Shop::Person",
    "Shop::Thing",
    "probe",
    "engine",
    "ada",
    "enterSupportContact",
    "viewSupportContact",
    "phone",
    "email",
    "kind",
    "direct",
    "role",
    "companyAdmin",
    "account",
    "acme",
    "supportContact",
    "billingMarket",
    "AU",
    "__entity",
    "__extn",
    "fn",
    "arg",
    "decimal",
    "1.0",
    "",
    "ip",
    "people",
    "colours",
    "red",
    "nested",
    "inner",
    "long",
];

/// A request about the support contact, from one that is allowed to one that makes no sense.
fn request() -> impl Strategy<Value = Value> {
    let action = select(vec![
        "enterSupportContact",
        "editSupportContact",
        "viewSupportContact",
        "deleteSupportContact",
        "placeOrder",
        "requireSupportContact",
        "somethingElse",
    ]);
    let account = (
        select(vec![json!("direct"), json!("partner"), json!("managed"), json!("none"), Value::Null]),
        select(vec![json!("new"), json!("existing")]),
        select(vec![json!("megaport"), json!("partner"), json!(7)]),
        select(vec![json!(0), json!(1), json!(-1), json!("0"), json!(1.5)]),
        select(vec![json!("AU"), json!("US"), json!("")]),
    );
    let user = (select(vec!["companyAdmin", "salesTeam", "accountUser"]), select(vec!["acme", "other"]));
    let given =
        (select(vec!["(02) 9374 4000", "+1 650 253 0000", "911", ""]), select(vec!["a@ACME.example", "a@b", "@"]));
    let odd = proptest::option::weighted(0.2, any_json());
    (action, account, user, given, odd).prop_map(|(action, account, (role, own), (phone, email), odd)| {
        let (kind, stage, supporter, services, market) = account;
        let mut body = with(
            enter(),
            json!({
                "subject": { "properties": { "role": role, "account": own } },
                "action": { "name": action },
                "context": { "phone": phone, "email": email },
            }),
        );
        let attributes = json!({
            "kind": kind, "stage": stage, "supportedBy": supporter, "provisionedServices": services,
            "billingMarket": market,
        });
        // Replaced, not laid over: a null must arrive as a null.
        body["resource"]["properties"].as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        if let Some(odd) = odd {
            body["resource"]["properties"]["supportContact"] = odd;
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// "a property test that batch and single agree"
    #[test]
    fn a_batch_decides_each_item_as_it_would_be_decided_alone(
        items in vec(request(), 1..12),
        shared in select(vec!["none", "subject", "resource", "context"]),
        semantic in select(vec!["execute_all", "deny_on_first_deny", "permit_on_first_permit"]),
    ) {
        let limits = open_limits();
        let mut batch = Map::new();
        let mut items = items;
        if shared != "none" {
            // What is said once at the top stands for every item that does not say it.
            let value = items[0][shared].clone();
            for item in &mut items {
                item[shared] = value.clone();
            }
            batch.insert(shared.to_owned(), value);
        }
        let sent = items.iter().map(|item| {
            let mut item = item.as_object().unwrap().clone();
            item.remove(shared);
            item.remove("options");
            Value::Object(item)
        });
        batch.insert("evaluations".to_owned(), sent.collect());
        batch.insert("options".to_owned(), json!({ "reasons": "user", "evaluations_semantic": semantic }));
        let body = Value::Object(batch).to_string();
        let answer = evaluations(&BUILT_IN, &limits, body.as_bytes()).map(|answer| serde_json::to_value(answer).unwrap());
        let alone: Vec<Value> = items
            .iter()
            // An item that is no request denies, and the others are decided.
            .map(|item| evaluate(&BUILT_IN, &limits, item).unwrap_or_else(|_| json!({ "decision": false })))
            .collect();
        let stops = |answer: &Value| match semantic {
            "deny_on_first_deny" => answer["decision"] == false,
            "permit_on_first_permit" => answer["decision"] == true,
            _ => false,
        };
        let length = alone.iter().position(stops).map_or(alone.len(), |place| place + 1);
        let answer = answer.unwrap();
        let together = answer["evaluations"].as_array().unwrap();
        prop_assert_eq!(together.len(), length);
        for ((item, together), alone) in items.iter().zip(together).zip(&alone) {
            prop_assert_eq!(&together["decision"], &alone["decision"], "{}", item);
            if alone.get("context").is_some() {
                prop_assert_eq!(together, alone);
            }
        }
    }

    /// "bad input of every kind gets a clear 400 … and the service keeps running"
    #[test]
    fn no_json_makes_the_service_panic(body in any_json()) {
        for snapshot in [&*BUILT_IN, &*TYPES] {
            let text = body.to_string();
            for refused in [
                authzen::evaluation(snapshot, &open_limits(), &Caller::anonymous(), text.as_bytes(), &mut Journal::none()).err(),
                evaluations(snapshot, &open_limits(), text.as_bytes()).err(),
            ].into_iter().flatten() {
                prop_assert!(refused.to_string().len() < 2_000, "{refused}");
            }
        }
    }

    /// The same, where it goes deepest: as the properties and the context of a request that is well formed.
    #[test]
    fn no_value_makes_the_service_panic(properties in any_json(), context in any_json()) {
        let body = json!({
            "subject": { "type": "Shop::Person", "id": "ada" },
            "action": { "name": "probe" },
            "resource": { "type": "Shop::Thing", "id": "engine", "properties": properties },
            "context": context,
        });
        let _ = evaluate(&TYPES, &open_limits(), &body);
    }

    #[test]
    fn no_bytes_make_the_service_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(authzen::evaluation(&BUILT_IN, &open_limits(), &Caller::anonymous(), &bytes, &mut Journal::none()).is_err());
    }
}
