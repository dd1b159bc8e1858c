//! "The same answer, always": every decision is that of Cedar's own [`Authorizer`] over all that is stored, though "a request pulls in
//! only the entities it can reach".

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod random;
mod schemas;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Entities, Entity, Policy, PolicySet, Request, Response,
};
use cedar_policy_core::ast::{Expr, ExprKind, Literal};
use common::{ask, folder, snapshot_of, told};
use gatepost::engine::{Outcome, Snapshot};
use gatepost::http::authzen;
use gatepost::request::json::Json;
use gatepost::request::stored::Stored;
use gatepost::request::value::to_cedar;
use gatepost::request::{Facts, Resolved, TypedRequest};
use gatepost::store::policy::named_anywhere;
use gatepost::store::{Origin, StoreError};
use random::Random;
use schemas::Model;
use serde_json::Value;

/// So many requests are decided on in each store of the one schema, and of Cedar's examples.
const REQUESTS: usize = 100;

/// And so many in each of a random schema: more schemas say more.
const REQUESTS_OF_A_SCHEMA: usize = 40;

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
            let tags = stored.map(Stored::tags).unwrap_or_default();
            let parents = stored.into_iter().flat_map(Stored::parents);
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

/// What came of all questions.
#[derive(Default)]
struct Tally {
    cases: usize,
    allowed: usize,
    forbidden: usize,
    failed: usize,
    undecided: usize,
}

impl Tally {
    /// Asks both; what they were asked on is told where they differ.
    fn ask(&mut self, snapshot: &Snapshot, plain: &Plain, body: &Value, on: &dyn std::fmt::Debug) {
        let text = body.to_string();
        let body = Json::parse(text.as_bytes(), 64).unwrap();
        let question = authzen::question(&body).unwrap();
        self.undecided += 1;
        let Ok(Resolved::Request(request)) = snapshot.resolve(&question, Facts::FromPlugins) else { return };
        let decision = snapshot.decide_request(&request, &snapshot.entities);
        let (determining, errors) = match &decision.outcome {
            Outcome::Evaluated { determining, errors, .. } => (determining, errors),
            Outcome::Missing(_) => return,
            other => panic!("{other:?}: {text}\n{on:?}"),
        };
        self.undecided -= 1;
        let response = plain.response(snapshot, &request);
        let expected: BTreeSet<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        let found: BTreeSet<String> = determining.iter().map(|note| note.id.clone()).collect();
        assert_eq!(found, expected, "{text}\n{on:?}");
        let mut expected: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
        let mut found: Vec<String> = errors.iter().map(|error| error.message.clone()).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{text}\n{on:?}");
        let allows = response.decision() == Decision::Allow;
        assert_eq!(decision.allowed, allows && errors.is_empty(), "{text}\n{on:?}");
        self.cases += 1;
        self.allowed += usize::from(allows);
        self.failed += usize::from(!errors.is_empty());
        self.forbidden += usize::from(!allows && !determining.is_empty());
    }

    /// Of what was asked, so many in a hundred were not decided at most.
    fn assert_decided(&self, percent: usize) {
        let Self { cases, undecided, .. } = self;
        assert!(undecided * 100 < (cases + undecided) * percent, "{undecided} beside {cases}");
    }

    /// Of what was decided, enough was allowed, and forbidden, and failed.
    fn assert_mixed(&self, what: &str) {
        let Self { cases, allowed, forbidden, failed, undecided } = self;
        println!(
            "{what}: {cases} cases, {allowed} allowed, {forbidden} forbidden, in {failed} a policy failed, {undecided} more not \
             decided: 0 differences"
        );
        assert!(allowed * 5 > *cases && allowed * 5 < cases * 4, "{allowed} of {cases}");
        assert!(forbidden * 50 > *cases && failed * 200 > *cases, "{forbidden} and {failed} of {cases}");
    }
}

/// How many cases a test decides: "100,000 cases in CI", half of them on random schemas; more with `AGREEMENT_CASES`.
fn half_of_the_cases() -> usize {
    std::env::var("AGREEMENT_CASES").map_or(100_000, |cases| cases.parse::<usize>().unwrap()).div_ceil(2)
}

/// "Before the deny-on-error rule, decision, determining policies and errors are equal": with plugins, on one schema.
#[test]
fn a_decision_is_that_of_plain_cedar() {
    let mut tally = Tally::default();
    for seed in 50_000.. {
        if tally.cases >= half_of_the_cases() {
            break;
        }
        let mut random = Random::new(seed);
        let store = random.store();
        let snapshot = snapshot_of(folder(store.files.iter().map(|(path, text)| (path, text))).path());
        let plain = Plain::new(&snapshot);
        for _ in 0..REQUESTS {
            tally.ask(&snapshot, &plain, &random.question(&store), &(seed, &store));
        }
    }
    tally.assert_mixed("one schema");
}

/// The same "on random schemas, policy sets (all scope forms, groups, `has`, `like`, sets, extension types, errors) and requests".
#[test]
fn a_decision_is_that_of_plain_cedar_on_random_schemas() {
    let mut tally = Tally::default();
    let (mut stores, mut refused) = (0, Vec::new());
    let mut covered = BTreeSet::new();
    for seed in 0.. {
        if tally.cases >= half_of_the_cases() {
            break;
        }
        let mut random = Random::new(seed);
        let (schema, model) = schemas::schema(&mut random);
        let policies = schemas::policies::policies(&mut random, &model);
        let files = Files { schema, policies, entities: schemas::world::entities(&mut random, &model) };
        stores += 1;
        let snapshot = match files.load() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                refused.push(format!("seed {seed}: {}\n{files:?}", told(&error)));
                assert!(refused.len() * 20 < stores + 20, "{} of {stores} are refused: {}", refused.len(), refused[0]);
                continue;
            }
        };
        snapshot.store.policies.iter().for_each(|statement| cover(&statement.policy, &mut covered));
        let plain = Plain::new(&snapshot);
        for _ in 0..REQUESTS_OF_A_SCHEMA {
            tally.ask(&snapshot, &plain, &schemas::world::question(&mut random, &model), &(seed, &files));
        }
    }
    println!("{stores} random stores, {} refused", refused.len());
    let missing: Vec<_> = COVERED.split_whitespace().filter(|form| !covered.contains(*form)).collect();
    assert!(missing.is_empty(), "in no policy is {missing:?}");
    tally.assert_mixed("random schemas");
    tally.assert_decided(5);
}

/// Found so: actions that a policy names, beside that of the request, are in their groups.
#[test]
fn an_action_that_a_policy_names_is_in_its_groups() {
    let schema = "entity User;
        action group;
        action other in [group];
        action read appliesTo { principal: User, resource: User };";
    let policies = r#"@id("p") permit (principal, action == Action::"read", resource) when { Action::"other" in Action::"group" };"#;
    let files = Files { schema: schema.to_owned(), policies: policies.to_owned(), entities: "[]".to_owned() };
    let snapshot = files.load().unwrap_or_else(|error| panic!("{}", told(&error)));
    let mut tally = Tally::default();
    tally.ask(&snapshot, &Plain::new(&snapshot), &ask("User::a", "read", "User::b"), &files);
    assert_eq!(tally.allowed, 1);
}

/// The files of a store.
struct Files {
    schema: String,
    policies: String,
    entities: String,
}

impl Files {
    fn load(&self) -> Result<Snapshot, StoreError> {
        let files = [
            ("schema/store.cedarschema", &self.schema),
            ("policies/store.cedar", &self.policies),
            ("entities/store.json", &self.entities),
        ];
        Snapshot::load(Origin::Folder(folder(files).path().to_owned()))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "--- schema\n{}\n--- policies\n{}\n--- entities\n{}",
            self.schema, self.policies, self.entities
        )
    }
}

/// What random policies must have: scopes as Cedar calls them, and the operators and functions of conditions.
const COVERED: &str = "
    principal:Any principal:Eq principal:In principal:Is principal:IsIn resource:Any resource:Eq resource:In resource:Is resource:IsIn
    action:Any action:Eq action:In:1 action:In:2 named-action
    And Or Not If Eq Less LessEq Add Sub Mul Neg Like In Is Set Record
    GetAttr HasAttr ExtHasAttr HasTag GetTag Contains ContainsAll ContainsAny IsEmpty
    decimal lessThan lessThanOrEqual greaterThan greaterThanOrEqual ip isIpv4 isIpv6 isLoopback isMulticast isInRange
    datetime offset durationSince toDate toTime duration toMilliseconds toSeconds toMinutes toHours toDays";

/// Notes what of [`COVERED`] a policy has.
fn cover(policy: &Policy, covered: &mut BTreeSet<String>) {
    let form = |constraint: String| constraint.split('(').next().unwrap().to_owned();
    covered.insert(format!("principal:{}", form(format!("{:?}", policy.principal_constraint()))));
    covered.insert(format!("resource:{}", form(format!("{:?}", policy.resource_constraint()))));
    covered.insert(match policy.action_constraint() {
        ActionConstraint::In(actions) => format!("action:In:{}", actions.len()),
        other => format!("action:{}", form(format!("{other:?}"))),
    });
    let conditions = policy.as_ref().non_scope_constraints().into_iter();
    covered.extend(conditions.flat_map(Expr::subexpressions).map(kind_of));
}

fn kind_of(expression: &Expr) -> String {
    let kind = match expression.expr_kind() {
        ExprKind::UnaryApp { op, .. } => return format!("{op:?}"),
        ExprKind::BinaryApp { op, .. } => return format!("{op:?}"),
        ExprKind::ExtensionFunctionApp { fn_name, .. } => return fn_name.to_string(),
        ExprKind::Lit(Literal::EntityUID(uid)) if uid.is_action() => "named-action",
        ExprKind::And { .. } => "And",
        ExprKind::Or { .. } => "Or",
        ExprKind::If { .. } => "If",
        ExprKind::Like { .. } => "Like",
        ExprKind::Is { .. } => "Is",
        ExprKind::Set(_) => "Set",
        ExprKind::Record(_) => "Record",
        ExprKind::GetAttr { .. } => "GetAttr",
        ExprKind::HasAttr { .. } => "HasAttr",
        ExprKind::ExtHasAttr { .. } => "ExtHasAttr",
        _ => "other",
    };
    kind.to_owned()
}

/// "And against Cedar's own corpus where a published crate carries it": the policies and schemas of Cedar's examples.
#[test]
fn a_decision_by_cedars_own_policies_is_that_of_plain_cedar() {
    let folder = folder_of_crate("cedar-policy-symcc").join("tests/data/cedar-examples");
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut examples: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    examples.sort();
    assert_eq!(examples.len(), 8, "{examples:?}");
    let mut tally = Tally::default();
    let mut refused = Vec::new();
    for example in &examples {
        let name = example.file_name().unwrap().to_str().unwrap();
        let read = |file: &str| std::fs::read_to_string(example.join(file)).unwrap();
        let mut files =
            Files { schema: read("policies.cedarschema"), policies: read("policies.cedar"), entities: "[]".to_owned() };
        if files.load().is_err() {
            refused.push(name.to_owned());
            files.policies = REWRITTEN.iter().fold(files.policies, |text, (from, to)| text.replace(from, to));
        }
        let before = tally.cases;
        decide_example(files, &mut tally);
        println!("{name}: {} cases", tally.cases - before);
    }
    assert_eq!(refused, ["document_cloud", "tax_preparer"]);
    tally.assert_mixed("Cedar's examples");
    tally.assert_decided(5);
}

/// What Gatepost refuses in Cedar's examples, and the same as it takes it: `has` of what the schema requires, which there tells types
/// apart, and a template, which it leaves out.
const REWRITTEN: [(&str, &str); 4] = [
    ("principal has blocked", "principal is User"),
    ("resource has owner", "(resource is Document || resource is Group)"),
    ("resource has isPrivate", "resource is Document"),
    (
        r#"@id("adhoc-access")
permit (
  principal == ?principal,
  action == Taxpreparer::Action::"viewDocument",
  resource == ?resource
);"#,
        "",
    ),
];

fn decide_example(mut files: Files, tally: &mut Tally) {
    for seed in 0..10 {
        let mut random = Random::new(seed);
        let snapshot = files.load().unwrap_or_else(|error| panic!("{}", told(&error)));
        let model = model_of(&snapshot, &files.policies);
        files.entities = schemas::world::entities(&mut random, &model);
        let snapshot = files.load().unwrap_or_else(|error| panic!("{}", told(&error)));
        let plain = Plain::new(&snapshot);
        for _ in 0..REQUESTS {
            tally.ask(&snapshot, &plain, &schemas::world::question(&mut random, &model), &(seed, &files));
        }
    }
}

/// The model of a store, with the ids that its policies name, and with every text in them.
fn model_of(snapshot: &Snapshot, policies: &str) -> Model {
    let mut model = Model::of(&snapshot.store.types);
    let named = snapshot.store.policies.iter().flat_map(|statement| named_anywhere(&statement.policy));
    for uid in named.filter(|uid| model.entities.contains_key(uid.type_name())) {
        model.ids.entry(uid.type_name().clone()).or_default().push(AsRef::<str>::as_ref(uid.id()).to_owned());
    }
    for (name, ids) in &mut model.ids {
        match &model.entities[name].ids {
            Some(known) => *ids = known.iter().map(ToString::to_string).collect(),
            None => ids.extend(["a", "b", "c"].map(str::to_owned)),
        }
        ids.sort();
        ids.dedup();
    }
    model.strings = policies.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    model.strings.push(String::new());
    model
}

/// Where the sources of a dependency lie.
fn folder_of_crate(name: &str) -> PathBuf {
    // Of other platforms' dependencies, the sources may not be there.
    let platform = said_by("rustc", &["--version", "--verbose"]);
    let platform = platform.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", platform];
    let metadata: Value = serde_json::from_str(&said_by(env!("CARGO"), &arguments)).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == name).unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
