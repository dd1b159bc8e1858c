//! "Whatever the schema can declare, a request or a stored entity can say": on random schemas with every type that Cedar has.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod plain;
#[allow(dead_code)]
mod random;
#[allow(dead_code)]
mod schemas;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::server::Server;
use common::{evaluate, folder, open_limits, told};
use gatepost::engine::Snapshot;
use gatepost::matrix::exercise;
use gatepost::prove::compare::{Comparison, Found, compare};
use gatepost::prove::solver::Solver;
use gatepost::prove::{Claim, Proof, Verdict, prove};
use gatepost::request::case::Case;
use gatepost::store::schema::{Extension, RecordShape, Shape};
use gatepost::store::{Origin, StoreError};
use plain::{Expected, Plain};
use random::Random;
use schemas::Model;
use serde_json::Value;

/// A number that the environment may set.
fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

/// The files of a store.
struct Files {
    schema: String,
    policies: String,
    rows: String,
    entities: String,
}

impl Files {
    /// Those of a random schema that say something of every form that a caller may choose.
    fn random(seed: u64) -> (Random, Model, Self) {
        let mut random = Random::new(seed);
        let (schema, mut model) = schemas::schema(&mut random);
        model.every_form = true;
        let policies = schemas::policies::policies(&mut random, &model);
        let entities = schemas::world::entities(&mut random, &model);
        (random, model, Self { schema, policies, rows: String::new(), entities })
    }

    fn load(&self) -> Result<Snapshot, StoreError> {
        let files = [
            ("schema/store.cedarschema", &self.schema),
            ("policies/store.cedar", &self.policies),
            ("matrix/store.cedar", &self.rows),
            ("entities/store.json", &self.entities),
        ];
        let files = files.into_iter().filter(|(_, text)| !text.is_empty());
        Snapshot::load(Origin::Folder(folder(files).path().to_owned()))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { schema, policies, rows, entities } = self;
        write!(
            formatter,
            "--- schema\n{schema}\n--- policies\n{policies}\n--- matrix\n{rows}\n--- entities\n{entities}"
        )
    }
}

/// What the schemas declare, and how often.
#[derive(Default)]
struct Declared(BTreeMap<String, usize>);

impl Declared {
    fn note(&mut self, model: &Model) {
        for entity in model.entities.values() {
            self.record(&entity.attributes, "");
            entity.tags.iter().for_each(|tags| self.shape(tags, "tags "));
        }
        model.environments.iter().for_each(|environment| self.record(&environment.context, ""));
    }

    fn record(&mut self, RecordShape(fields): &RecordShape, at: &str) {
        for field in fields.values() {
            self.shape(&field.shape, if field.required { at } else { "optional " });
        }
    }

    fn shape(&mut self, shape: &Shape, at: &str) {
        let is_action = |name: &cedar_policy::EntityTypeName| name.basename() == "Action";
        let kind = match shape {
            Shape::Entity(name) if is_action(name) => "action",
            Shape::Entity(_) => "entity",
            Shape::Record(record) => {
                self.record(record, "member ");
                "record"
            }
            Shape::Set(element) => {
                self.shape(element, "set of ");
                "set"
            }
            Shape::Extension(Extension::Ip) => "ipaddr",
            Shape::Extension(extension) => extension.cedar_name(),
            Shape::Bool => "Bool",
            Shape::Long => "Long",
            Shape::String => "String",
            Shape::Parsed(_) => unreachable!("no schema here has plugins"),
        };
        *self.0.entry(format!("{at}{kind}")).or_default() += 1;
    }

    /// Every type stands everywhere where one can stand.
    fn assert_all(&self) {
        let kinds = [
            "action", "entity", "record", "set", "ipaddr", "decimal", "datetime", "duration", "Bool", "Long", "String",
        ];
        for at in ["", "optional ", "member ", "set of ", "tags "] {
            for kind in kinds {
                assert!(self.0.contains_key(&format!("{at}{kind}")), "no {at}{kind} in {:?}", self.0);
            }
        }
    }
}

/// "Random typed requests per schema agree with Cedar's own authorizer from the JSON on": Cedar's entities and context are made of the
/// JSON by the schema alone. `EVERY_TYPE_SCHEMAS` and `EVERY_TYPE_REQUESTS` set how many.
#[test]
fn what_is_said_is_decided_as_plain_cedar_decides_it() {
    let (schemas, requests) = (number("EVERY_TYPE_SCHEMAS", 100), number("EVERY_TYPE_REQUESTS", 100));
    let (mut asked, mut refused) = (0, 0);
    let mut outcomes = BTreeMap::<String, usize>::new();
    let mut declared = Declared::default();
    for seed in 700_000.. {
        if asked == schemas {
            break;
        }
        let (mut random, model, files) = Files::random(seed);
        let snapshot = match files.load() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                refused += 1;
                assert!(refused * 20 < asked + 40, "{refused} beside {asked}: {}\n{files:?}", told(&error));
                continue;
            }
        };
        asked += 1;
        declared.note(&model);
        let plain = Plain::new(&model, &files.schema, &files.policies, &files.entities);
        for _ in 0..requests {
            let body = schemas::world::question(&mut random, &model);
            let expected = plain.expected(&body);
            let answer = evaluate(&snapshot, &open_limits(), &body);
            let answer = answer.unwrap_or_else(|error| panic!("seed {seed}: {error}: {body}\n{files:?}"));
            assert_eq!(answer["decision"], expected.allows(), "seed {seed}: {expected:?}: {body}\n{answer}\n{files:?}");
            *outcomes.entry(format!("{expected:?}")).or_default() += 1;
        }
    }
    println!(
        "{asked} schemas ({refused} more refused), {requests} requests each: 0 differences; {outcomes:?}\n{:?}",
        declared.0
    );
    let of = |expected: Expected| outcomes.get(&format!("{expected:?}")).copied().unwrap_or_default();
    let all = asked * requests;
    assert!(of(Expected::Decided(true)) * 8 > all && of(Expected::Decided(false)) * 8 > all, "{outcomes:?}");
    assert!(of(Expected::Missing) * 8 < all, "{outcomes:?}");
    declared.assert_all();
}

/// "Each witness and counterexample that the solver gives, written as a request with stored entities, is taken by the real service over
/// HTTP and decided as the solver says." `EVERY_TYPE_PROVEN` sets of how many schemas, `EVERY_TYPE_SEED` from which on, and
/// `EVERY_TYPE_SECONDS` how long a question may take.
#[test]
#[ignore = "needs cvc5"]
fn what_the_solver_finds_is_decided_over_http_as_it_says() {
    let schemas = number("EVERY_TYPE_PROVEN", 5);
    let solver = Solver::find(Path::new("cvc5"), Duration::from_secs(number("EVERY_TYPE_SECONDS", 5) as u64)).unwrap();
    let mut tally = Tally::default();
    for seed in number("EVERY_TYPE_SEED", 900_000) as u64.. {
        if tally.schemas == schemas {
            break;
        }
        let (mut random, model, mut files) = Files::random(seed);
        let few = |policies: &str| policies.split("\n\n").take(6).collect::<Vec<_>>().join("\n\n");
        files.policies = few(&files.policies);
        files.entities = String::new();
        files.rows = rows(&mut random, &model, &files.policies);
        let others = Files {
            schema: files.schema.clone(),
            policies: few(&schemas::policies::policies(&mut random, &model)),
            rows: String::new(),
            entities: String::new(),
        };
        match (files.load(), others.load()) {
            (Ok(snapshot), Ok(other)) => {
                tally.schemas += 1;
                tally.prove(seed, &files, &snapshot, &solver);
                if seed % 4 == 0 {
                    tally.compare(seed, [&files, &others], [&snapshot, &other], &solver);
                }
            }
            (Err(error), _) | (_, Err(error)) => {
                tally.refused += 1;
                assert!(tally.refused * 20 < tally.schemas + 40, "seed {seed}: {}\n{files:?}", told(&error));
            }
        }
    }
    println!("{tally:?}");
    assert!(tally.allowed > schemas && tally.denied > schemas, "{tally:?}");
    assert!(tally.undecided * 25 < tally.proofs, "{tally:?}");
}

/// What refers to actions varies in the requests that rows are tried on: they are those that the schema has.
#[test]
fn rows_are_tried_on_requests_that_refer_to_actions() {
    let files = Files {
        schema: "entity User = { blocked: Set<Action>, last: Action };
            action share, read appliesTo { principal: User, resource: User, context: { action: Long } };"
            .to_owned(),
        policies: r#"@id("all") permit (principal, action, resource);
            @id("blocked") forbid (principal, action, resource) when { principal.blocked.contains(action) && principal.last == action };"#
            .to_owned(),
        rows: r#"permit (principal is User, action == Action::"share", resource is User);"#.to_owned(),
        entities: String::new(),
    };
    let snapshot = files.load().unwrap_or_else(|error| panic!("{}", told(&error)));
    let results = exercise(&snapshot, &|_, _| {});
    let example = results[0].counterexample.as_ref().unwrap_or_else(|| panic!("{results:?}"));
    Tally::default().serve(0, &files, &snapshot, &example.case, false);
}

/// That nobody may do something, and that everybody may, in one environment, and where one of the policies matches: what is found
/// against them are witnesses of what is allowed and denied.
fn rows(random: &mut Random, model: &Model, policies: &str) -> String {
    let environment = &model.environments[random.below(model.environments.len())];
    let (principal, action, resource) = (&environment.principal, &environment.action, &environment.resource);
    let all = format!(" (principal is {principal}, action == {action}, resource is {resource});");
    let policies: Vec<&str> = policies.split("\n\n").collect();
    let policy = random.pick(&policies);
    // Behind its `@id` and its effect.
    let policy = &policy[policy.find(" (principal").unwrap()..];
    let rows = [all.as_str(), policy]
        .into_iter()
        .flat_map(|rest| ["permit", "forbid"].map(|effect| format!("{effect}{rest}")));
    rows.collect::<Vec<_>>().join("\n\n")
}

/// What the solver said, and what the service decided.
#[derive(Debug, Default)]
struct Tally {
    schemas: usize,
    refused: usize,
    proofs: usize,
    proven: usize,
    undecided: usize,
    allowed: usize,
    denied: usize,
    why: BTreeMap<String, usize>,
}

impl Tally {
    fn prove(&mut self, seed: u64, files: &Files, snapshot: &Snapshot, solver: &Solver) {
        let proofs = prove(snapshot, &[], solver, &|_, _| {}).unwrap();
        for Proof { claim, verdict, environment } in &proofs {
            self.proofs += 1;
            match verdict {
                Verdict::Proven | Verdict::Refuted(None) => self.proven += 1,
                Verdict::Undecided(why) => {
                    self.undecided += 1;
                    *self.why.entry(why.clone()).or_default() += 1;
                    println!("seed {seed}: {claim:?} in environment {environment}: {why}");
                    // A solver may need too long; it may not find what is not so.
                    assert!(why.contains("did not decide it within"), "seed {seed}: {claim:?}: {why}\n{files:?}");
                }
                Verdict::Refuted(Some(found)) => {
                    let allowed = match claim {
                        Claim::RowHolds(row) => !snapshot.store.rows[*row].permits(),
                        Claim::PolicyNeverErrs(_) => false,
                        _ => found.decision.allowed,
                    };
                    assert_eq!(found.decision.allowed, allowed, "seed {seed}: {claim:?}\n{files:?}");
                    self.serve(seed, files, snapshot, &found.case, allowed);
                }
            }
        }
    }

    /// Asks what one set of policies allows and another does not.
    fn compare(&mut self, seed: u64, files: [&Files; 2], snapshots: [&Snapshot; 2], solver: &Solver) {
        let comparisons = compare(snapshots[0], snapshots[1], solver, &|_, _| {}).unwrap();
        for Comparison { environment, gains, loses, .. } in &comparisons {
            for (found, gained) in [(gains, true), (loses, false)] {
                self.proofs += 1;
                match found {
                    Found::None => self.proven += 1,
                    Found::Undecided(why) => {
                        self.undecided += 1;
                        *self.why.entry(why.clone()).or_default() += 1;
                        println!("seed {seed}: compared in {environment}: {why}");
                    }
                    Found::Request(difference) => {
                        self.serve(seed, files[0], snapshots[0], &difference.case, !gained);
                        self.serve(seed, files[1], snapshots[1], &difference.case, gained);
                    }
                }
            }
        }
    }

    /// Asks a service in which the entities of the case are stored.
    fn serve(&mut self, seed: u64, files: &Files, snapshot: &Snapshot, case: &Case, allowed: bool) {
        let mut body = gatepost::http::body::of_case(case, &snapshot.store.types);
        let entities = body.as_object_mut().unwrap().remove("entities").unwrap_or_else(|| Value::Array(Vec::new()));
        let Files { schema, policies, .. } = files;
        let stored = Files {
            schema: schema.clone(),
            policies: policies.clone(),
            rows: String::new(),
            entities: entities.to_string(),
        };
        let at = || format!("seed {seed}: {body}\n{stored:?}");
        let snapshot = stored.load().unwrap_or_else(|error| panic!("{}\n{}", told(&error), at()));
        let answer = Server::start(snapshot, open_limits()).evaluation(&body);
        assert_eq!(answer.status, 200, "{}\n{}", answer.text, at());
        assert_eq!(answer.json()["decision"], allowed, "{}\n{}", answer.text, at());
        *(if allowed { &mut self.allowed } else { &mut self.denied }) += 1;
    }
}
