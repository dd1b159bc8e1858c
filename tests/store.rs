//! What an author is told about a store: every problem with its place and what to do, several at once; and the revision.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{folder, is_error, problems_of, shown, snapshot_of, write};

const SCHEMA: &str = r#"
@parsed_by("phone")
type Phone = { valid: Bool, e164: String, region: String };
entity Colour enum ["red", "green"];
entity Team;
entity User in [Team] = { age: Long, nick?: String, home: { street?: String }, friend?: User, market?: String };
entity Doc = { owner: User, colour: Colour, market?: String, @market("this.market") phone?: Phone };
action read appliesTo { principal: User, resource: Doc, context: { @market("resource.market") phone?: Phone } };
"#;

const POLICY: &str = r#"@id("own") @source("own")
permit (principal, action == Action::"read", resource)
when { resource.owner == principal };
"#;

const ROW: &str = r#"@source("own")
permit (principal is User, action == Action::"read", resource is Doc)
when { resource.owner == principal };
"#;

const CLAUSES: &str = r#"
[[clause]]
id = "own"
text = "Owners read what is theirs."
"#;

/// A store without problems, with these files over it.
fn store(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = folder([
        ("schema/docs.cedarschema", SCHEMA),
        ("policies/docs.cedar", POLICY),
        ("matrix/docs.cedar", ROW),
        ("matrix/clauses.toml", CLAUSES),
    ]);
    for (path, content) in files {
        write(folder.path(), path, content.as_bytes());
    }
    folder
}

/// What loading says about the base store with these files over it.
fn told(files: &[(&str, &str)]) -> String {
    let folder = store(files);
    let problems = problems_of(folder.path());
    let lines: Vec<String> = problems.iter().map(shown).collect();
    lines.join("\n").replace(&folder.path().display().to_string(), "STORE")
}

/// The schema with one of its lines in another wording.
fn schema(from: &str, to: &str) -> String {
    let changed = SCHEMA.replace(from, to);
    assert_ne!(changed, SCHEMA);
    changed
}

fn policy(condition: &str) -> String {
    POLICY.replace("resource.owner == principal", condition)
}

#[test]
fn a_store_without_problems_has_none() {
    assert_eq!(told(&[]), "");
}

#[test]
fn every_problem_names_its_place_and_what_to_do() {
    let phone = "type Phone = { valid: Bool, e164: String, region: String };";
    let cases: Vec<(&str, Vec<(&str, String)>)> = vec![
        ("A policy that does not parse", vec![("policies/docs.cedar", "permit (principal, action resource);".into())]),
        ("A type error", vec![("policies/docs.cedar", policy("principal.age == \"7\" && principal.size > 1"))]),
        ("An optional attribute without `has`", vec![("policies/docs.cedar", policy("principal.nick == \"x\""))]),
        (
            "An unknown entity type and action",
            vec![(
                "policies/docs.cedar",
                POLICY.replace("principal,", "principal is Users,").replace("\"read\"", "\"reed\""),
            )],
        ),
        (
            "An unknown id of an enumerated type",
            vec![("policies/docs.cedar", policy("resource.colour == Colour::\"blue\""))],
        ),
        ("A condition that can never hold", vec![("policies/docs.cedar", policy("principal is Doc"))]),
        ("A template", vec![("policies/docs.cedar", POLICY.replace("principal,", "principal == ?principal,"))]),
        ("An id that two policies have", vec![("policies/more.cedar", POLICY.into())]),
        ("An id that is reserved", vec![("policies/docs.cedar", POLICY.replace("\"own\") @", "\"gatepost:own\") @"))]),
        (
            "A policy without an id and a source",
            vec![("policies/docs.cedar", format!("{POLICY}\npermit (principal in Team::\"all\", action, resource);"))],
        ),
        ("`has` on a required attribute of the subject", vec![("policies/docs.cedar", policy("principal has age"))]),
        (
            "`has` on a required attribute at the end of a path",
            vec![("policies/docs.cedar", policy("principal has friend.age && principal.friend.age > 17"))],
        ),
        (
            "`has` on a required attribute of what an attribute refers to, in a forbid",
            vec![(
                "policies/docs.cedar",
                format!(
                    "{POLICY}@id(\"no\") @source(\"own\")\nforbid (principal, action, resource) when {{ resource.owner has age && resource.owner.age < 18 }};"
                ),
            )],
        ),
        (
            "`has` on a required attribute, in a row",
            vec![(
                "matrix/docs.cedar",
                format!(
                    "{ROW}\n@source(\"own\")\nforbid (principal, action, resource) unless {{ resource has owner && resource.owner == principal }};"
                ),
            )],
        ),
        (
            "`has` on optional attributes, and inside a record",
            vec![(
                "policies/docs.cedar",
                policy(
                    "principal has nick && principal has home.street && principal has friend && principal.friend has nick",
                ),
            )],
        ),
        (
            "A citation that does not exist",
            vec![("policies/docs.cedar", POLICY.replace("\"own\")\npermit", "\"own, gone\")\npermit"))],
        ),
        (
            "A clause that nothing cites",
            vec![("matrix/clauses.toml", format!("{CLAUSES}[[clause]]\nid = \"more\"\ntext = \"x\"\n"))],
        ),
        ("Two clauses with one id", vec![("matrix/clauses.toml", format!("{CLAUSES}{CLAUSES}"))]),
        ("Clauses that are no TOML", vec![("matrix/clauses.toml", "[[clause]\nid = 1".into())]),
        ("Clauses with an unknown key", vec![("matrix/clauses.toml", format!("{CLAUSES}word = \"x\"\n"))]),
        ("A schema that does not parse", vec![("schema/docs.cedarschema", schema("entity Team;", "entity Team"))]),
        ("A schema that names an unknown type", vec![("schema/docs.cedarschema", schema("age: Long", "age: Lung"))]),
        ("A plugin that does not exist", vec![("schema/docs.cedarschema", schema("\"phone\"", "\"fone\""))]),
        (
            "A bound type with other fields",
            vec![("schema/docs.cedarschema", schema(phone, "type Phone = { valid: Bool, e164: Long };"))],
        ),
        ("A bound type that is no record", vec![("schema/docs.cedarschema", schema(phone, "type Phone = String;"))]),
        (
            "A binding on an entity type",
            vec![("schema/docs.cedarschema", schema("entity Team;", "@parsed_by(\"phone\")\nentity Team;"))],
        ),
        (
            "A binding on an attribute",
            vec![("schema/docs.cedarschema", schema("nick?: String", "@parsed_by(\"phone\") nick?: String"))],
        ),
        (
            "A path on a type",
            vec![("schema/docs.cedarschema", schema("type Phone", "@market(\"this.market\") type Phone"))],
        ),
        (
            "A path to what does not exist",
            vec![("schema/docs.cedarschema", schema("resource.market", "resource.markt"))],
        ),
        ("A path to what is no String", vec![("schema/docs.cedarschema", schema("resource.market", "principal.age"))]),
        (
            "A path from `this` in a context",
            vec![("schema/docs.cedarschema", schema("resource.market", "this.market"))],
        ),
        (
            "A path from `resource` in an entity type",
            vec![("schema/docs.cedarschema", schema("\"this.market", "\"resource.market"))],
        ),
        ("An annotation that is no path", vec![("schema/docs.cedarschema", schema("resource.market", "AU"))]),
        (
            "A path on what no plugin reads",
            vec![("schema/docs.cedarschema", schema("nick?", "@market(\"this.market\") nick?"))],
        ),
        (
            "Errors in several files at once",
            vec![
                ("policies/docs.cedar", policy("principal.age")),
                (
                    "matrix/docs.cedar",
                    format!(
                        "{ROW}@source(\"gone\")\nforbid (principal, action, resource) when {{ principal.sise > 1 }};"
                    ),
                ),
                (
                    "policies/more.cedar",
                    "@id(\"more\")\npermit (principal, action, resource) when { resource has owner };".into(),
                ),
            ],
        ),
        (
            "Stored entities that are not of the schema",
            vec![(
                "entities/all.json",
                r#"[
            { "uid": { "type": "User", "id": "ada" }, "attrs": { "age": "36", "home": {} } },
            { "uid": { "type": "Person", "id": "bob" } },
            { "uid": { "type": "Colour", "id": "blue" } },
            { "uid": { "type": "Team", "id": "x" }, "parents": [{ "type": "Doc", "id": "1" }] },
            { "uid": { "type": "User", "id": "eve" }, "attrs": { "home": {}, "size": 1 } },
            { "uid": "User::\"ada\"" },
            { "uid": { "type": "Team", "id": "y" }, "atrs": {} }
        ]"#
                .into(),
            )],
        ),
        (
            "An entity that is stored twice",
            vec![(
                "entities/all.json",
                r#"[{ "uid": { "type": "Team", "id": "lab" } }, { "uid": { "type": "Team", "id": "lab" } }]"#.into(),
            )],
        ),
        (
            "A parent that is not stored",
            vec![(
                "entities/all.json",
                r#"[{
                    "uid": { "type": "User", "id": "ada" }, "attrs": { "age": 36, "home": {} },
                    "parents": [{ "type": "Team", "id": "lab" }]
                }]"#
                .into(),
            )],
        ),
        ("Stored entities that are no JSON", vec![("entities/all.json", "[{]".into())]),
        ("Stored entities that are no array", vec![("entities/all.json", "{}".into())]),
    ];
    let sections = cases.iter().map(|(title, files)| {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (*path, content.as_str())).collect();
        format!("# {title}\n{}\n", told(&files))
    });
    insta::assert_snapshot!("problems", sections.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_folder_that_is_no_store_says_what_a_store_is() {
    let empty = folder::<&str, &str>([]);
    assert!(problems_of(empty.path()).iter().all(is_error));
    let text = |path: &std::path::Path| problems_of(path).iter().map(shown).collect::<Vec<_>>().join("\n");
    assert!(text(empty.path()).contains("holds no file `schema/*.cedarschema`"), "{}", text(empty.path()));
    assert!(text(&empty.path().join("gone")).starts_with("error: there is no folder `"));
    let bytes = store(&[]);
    write(bytes.path(), "policies/latin.cedar", b"// caf\xe9");
    assert!(text(bytes.path()).contains("policies/latin.cedar` is not UTF-8 text"), "{}", text(bytes.path()));
}

#[test]
fn a_file_that_would_silently_not_be_read_is_an_error() {
    let unread = store(&[
        ("policies/team/forbid.cedar", ""),
        ("policies/upper.CEDAR", ""),
        ("policies/policies.json", "{}"),
        ("schema/policy.cedar", ""),
        // Notes, and what editors leave.
        ("policies/README.md", ""),
        ("policies/.docs.cedar", "x"),
        ("policies/docs.cedar~", "x"),
    ]);
    let problems = problems_of(unread.path());
    let messages: Vec<String> = problems.iter().map(|problem| problem.to_string()).collect();
    let names = ["schema/policy.cedar", "policies/policies.json", "policies/team", "policies/upper.CEDAR"];
    assert_eq!(messages, names.map(|name| format!("`{name}` would not be read")));
    assert!(problems.iter().all(is_error));
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let marked = store(&[("policies/docs.cedar", &format!("\u{feff}{POLICY}"))]);
    assert!(problems_of(marked.path()).is_empty());
}

#[test]
fn what_is_not_obligatory_is_a_warning_when_it_is_absent() {
    let bare = store(&[]);
    fs::remove_dir_all(bare.path().join("matrix")).unwrap();
    let problems = problems_of(bare.path());
    assert!(problems.iter().all(|problem| !is_error(problem)), "{problems:?}");
    let shown: Vec<String> = problems.iter().map(|problem| problem.to_string()).collect();
    assert_eq!(shown, ["the store has no clauses", "the store has no matrix"]);
}

/// "a revision (a digest of schema, policies, matrix, entities, plugin names and versions)"
#[test]
fn the_revision_changes_with_every_file_that_can_change_a_decision_and_with_nothing_else() {
    let revision = |folder: &tempfile::TempDir| snapshot_of(folder.path()).revision().as_str().to_owned();
    let base = store(&[]);
    let first = revision(&base);
    assert_eq!(first, revision(&store(&[])), "the place of a store is no part of it");
    assert_eq!(first, revision(&store(&[("README.md", "x"), ("requests/one.json", "{}"), ("policies/old.txt", "x")])));
    let commented = |text: &str| format!("{text}\n// x");
    let entities = r#"[{ "uid": { "type": "Team", "id": "x" } }]"#;
    let mut seen = vec![first];
    for (path, content) in [
        ("schema/docs.cedarschema", commented(SCHEMA)),
        ("schema/more.cedarschema", "entity Other;".to_owned()),
        ("policies/docs.cedar", commented(POLICY)),
        ("policies/more.cedar", String::new()),
        ("matrix/docs.cedar", commented(ROW)),
        ("entities/all.json", entities.to_owned()),
        ("entities/other.json", entities.to_owned()),
    ] {
        let revision = revision(&store(&[(path, content.as_str())]));
        assert!(!seen.contains(&revision), "{path}");
        seen.push(revision);
    }
}

/// "at any depth", and from every way in which a schema can be written.
#[test]
fn a_store_may_be_spread_over_several_files() {
    let (types, rest) = SCHEMA.split_at(SCHEMA.find("entity User").unwrap());
    let spread = store(&[("schema/docs.cedarschema", rest), ("schema/types.cedarschema", types)]);
    assert!(problems_of(spread.path()).is_empty());
}
