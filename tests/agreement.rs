//! "The same answer, always": every decision is that of Cedar's own [`Authorizer`] over all that is stored, though "a request pulls in
//! only the entities it can reach".

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod random;

use std::collections::BTreeSet;

use cedar_policy::{Authorizer, Context, Decision, Entities, Entity, PolicySet, Request, Response};
use common::{folder, snapshot_of};
use gatepost::engine::{Outcome, Snapshot};
use gatepost::http::authzen;
use gatepost::request::json::Json;
use gatepost::request::stored::Stored;
use gatepost::request::value::to_cedar;
use gatepost::request::{Facts, Resolved, TypedRequest};
use random::Random;

/// So many requests are decided on in each store.
const REQUESTS: usize = 100;

/// Plain Cedar: all policies of a store, and all entities.
struct Plain {
    policies: PolicySet,
    entities: Vec<Entity>,
}

impl Plain {
    fn new(snapshot: &Snapshot) -> Self {
        let policies = snapshot.store.policies.iter().map(|statement| statement.policy.clone());
        let stored = snapshot.entities.iter().map(|(uid, stored)| {
            let (attributes, tags) = (to_cedar(&stored.attributes()), to_cedar(&stored.tags()));
            Entity::new_with_tags(uid, attributes, stored.parents(), tags).unwrap()
        });
        let actions = snapshot.store.schema.action_entities().unwrap();
        Self {
            policies: PolicySet::from_policies(policies).unwrap(),
            entities: stored.chain(actions.iter().cloned()).collect(),
        }
    }

    fn response(&self, snapshot: &Snapshot, request: &TypedRequest) -> Response {
        let said = [&request.principal, &request.resource].map(|entity| {
            let stored = snapshot.entities.get(&entity.uid);
            let (parents, tags) =
                (stored.map(Stored::parents).unwrap_or_default(), stored.map(Stored::tags).unwrap_or_default());
            Entity::new_with_tags(entity.uid.clone(), to_cedar(&entity.attributes), parents, to_cedar(&tags)).unwrap()
        });
        let of_others = |entity: &&Entity| said.iter().all(|said| said.uid() != entity.uid());
        let all = self.entities.iter().filter(of_others).cloned().chain(said.iter().cloned());
        let entities = Entities::from_entities(all, None).unwrap();
        let environment = &snapshot.store.types.environments[request.environment];
        let (principal, resource) = (request.principal.uid.clone(), request.resource.uid.clone());
        let context = Context::from_pairs(to_cedar(&request.context)).unwrap();
        let request = Request::new(principal, environment.action.clone(), resource, context, None).unwrap();
        Authorizer::new().is_authorized(&request, &self.policies, &entities)
    }
}

/// "Before the deny-on-error rule, decision, determining policies and errors are equal, 100,000 cases in CI"; more of them with
/// `AGREEMENT_CASES`.
#[test]
fn a_decision_is_that_of_plain_cedar() {
    let wanted: usize = std::env::var("AGREEMENT_CASES").map_or(100_000, |cases| cases.parse().unwrap());
    let (mut cases, mut allowed, mut failed, mut forbidden) = (0, 0, 0, 0);
    for seed in 50_000.. {
        if cases >= wanted {
            break;
        }
        let mut random = Random::new(seed);
        let store = random.store();
        let snapshot = snapshot_of(folder(store.files.iter().map(|(path, text)| (path, text))).path());
        let plain = Plain::new(&snapshot);
        for _ in 0..REQUESTS {
            let body = random.question(&store);
            let text = body.to_string();
            let body = Json::parse(text.as_bytes(), 64).unwrap();
            let question = authzen::question(&body).unwrap();
            let Ok(Resolved::Request(request)) = snapshot.resolve(&question, Facts::FromPlugins) else { continue };
            let decision = snapshot.decide_request(&request, &snapshot.entities);
            let Outcome::Evaluated { determining, errors, .. } = &decision.outcome else { continue };
            let response = plain.response(&snapshot, &request);
            let expected: BTreeSet<String> = response.diagnostics().reason().map(ToString::to_string).collect();
            let found: BTreeSet<String> = determining.iter().map(|note| note.id.clone()).collect();
            assert_eq!(found, expected, "seed {seed}: {text}\n{store:?}");
            let mut expected: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
            let mut found: Vec<String> = errors.iter().map(|error| error.message.clone()).collect();
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "seed {seed}: {text}\n{store:?}");
            let allows = response.decision() == Decision::Allow;
            assert_eq!(decision.allowed, allows && errors.is_empty(), "seed {seed}: {text}\n{store:?}");
            cases += 1;
            allowed += usize::from(allows);
            failed += usize::from(!errors.is_empty());
            forbidden += usize::from(!allows && !determining.is_empty());
        }
    }
    println!("{cases} cases, {allowed} allowed, {forbidden} forbidden, in {failed} a policy failed: 0 differences");
    assert!(allowed * 5 > cases && allowed * 5 < cases * 4, "{allowed} of {cases}");
    assert!(forbidden * 50 > cases && failed * 200 > cases, "{forbidden} and {failed} of {cases}");
}
