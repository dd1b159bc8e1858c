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
        (
            "Tags and parents that are not of the schema",
            vec![
                (
                    "schema/docs.cedarschema",
                    schema("entity Team;", "entity Rank enum [\"high\"];\nentity Team in [Rank] tags { size: Long, name?: String };"),
                ),
                (
                    "entities/all.json",
                    r#"[
            { "uid": { "type": "Team", "id": "a" }, "parents": [{ "type": "Rank", "id": "hihg" }] },
            { "uid": { "type": "Team", "id": "b" }, "tags": { "k": { "name": "x" } } },
            { "uid": { "type": "Team", "id": "c" }, "tags": { "k": { "size": 1, "naem": "x" } } },
            { "uid": { "type": "Team", "id": "d" }, "tags": { "k": { "size": "1" } } },
            { "uid": { "type": "Team", "id": "e" }, "tags": { "k": { "size": 1 } }, "parents": [{ "type": "Rank", "id": "high" }] }
        ]"#
                    .into(),
                ),
            ],
        ),
        (
            "Entities that are in one another",
            vec![
                ("schema/docs.cedarschema", schema("entity Team;", "entity Team in [Team];")),
                (
                    "entities/all.json",
                    r#"[
            { "uid": { "type": "Team", "id": "a" }, "parents": [{ "type": "Team", "id": "b" }] },
            { "uid": { "type": "Team", "id": "b" }, "parents": [{ "type": "Team", "id": "c" }] },
            { "uid": { "type": "Team", "id": "c" }, "parents": [{ "type": "Team", "id": "b" }] }
        ]"#
                    .into(),
                ),
            ],
        ),
        (
            "One mistake many times, in one line",
            vec![(
                "entities/all.json",
                format!("[{}]", [r#"{ "uid": { "type": "Team", "id": "a" }, "attrs": 7 }"#; 12].join(",")),
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
    assert_eq!(
        first,
        revision(&store(&[("README.md", "x"), ("requests/one.json", "{}"), ("policies/README.txt", "x")]))
    );
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

/// "bad input never panics": Cedar alone would use up the stack, which ends the process. And what is nested as deeply as can be
/// is still type-checked, of which Cedar despairs in silence when little of the stack is left. Tests run on threads of 2 MiB.
#[test]
fn what_is_nested_too_deeply_is_a_problem_with_its_place() {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    // Each has a mistake where it is deepest.
    let kinds = [
        ("(", "principal.age", ")", "", 45),
        ("[", "1 + true", "]", " == []", 45),
        ("{a: ", "1 + true", "}", " == 1", 45),
        ("!(", "principal.age", ")", "", 45),
        ("if principal.age == 1 then true else ", "1", "", "", 190),
        ("if principal.age == 1 then ", "1", " else true", "", 190),
        ("1 + ", "true", "", " == 1", 190),
        ("", "principal", ".friend", "", 190),
        ("", "principal", "[\"friend\"]", "", 190),
        ("true } when { ", "principal.age", "", "", 380),
        ("true } unless { ", "principal.age", "", "", 380),
        ("", "principal.age", " && true", "", 380),
        ("", "principal.age", " || principal.age == 1", "", 380),
    ];
    for (open, inner, close, end, most) in kinds {
        let told = |times| {
            let condition = format!("{}{end}", nested(open, inner, close, times));
            told(&[("policies/docs.cedar", &policy(&condition))])
        };
        for times in [most + 20, 100_000] {
            let told = told(times);
            assert!(told.starts_with("error: policies/docs.cedar:3:"), "{open}{inner}: {told}");
            assert!(told.contains("nested too deeply"), "{open}{inner}: {told}");
        }
        let told = told(most);
        assert!(!told.contains("nested too deeply"), "{open}{inner}: {told}");
        assert!(told.contains("for policy `own`"), "{open}{inner}: {told}");
    }
    for (open, close) in [("Set<", ">"), ("{ a: ", "}")] {
        for (times, is_refused) in [(45, false), (60, true), (100_000, true)] {
            let told = told(&[(
                "schema/docs.cedarschema",
                &schema("age: Long", &format!("age: Long, deep?: {}", nested(open, "Long", close, times))),
            )]);
            assert_eq!(told.contains("error: schema/docs.cedarschema:6:"), is_refused, "{told}");
            assert_eq!(told.contains("nested too deeply"), is_refused, "{told}");
        }
    }
}

/// A declaration that names the one of that number.
type Link<'l> = &'l dyn Fn(usize) -> String;

/// "A chain of thousands of common types kills the process": what a name stands for is in what names it, however far away it is
/// declared. Where it is named twice, it is there twice: a few lines are millions of attributes. Tests run on threads of 2 MiB.
#[test]
fn types_that_name_one_another_are_as_deep_and_as_large_as_what_they_stand_for() {
    let chain = |link: Link<'_>, length: usize| {
        let links = (1..=length).map(|number| format!("type T{number} = {};\n", link(number - 1)));
        schema("age: Long", &format!("age: Long, deep?: T{length}"))
            + &format!("type T0 = Long;\n{}", links.collect::<String>())
    };
    let record = |inner: usize| format!("{{ a: T{inner} }}");
    let set = |inner: usize| format!("Set<T{inner}>");
    let name = |inner: usize| format!("T{inner}");
    let twice = |inner: usize| format!("{{ a: T{inner}, b?: T{inner} }}");
    let deep = "is nested too deeply to be read";
    let large = "the schema is too large to be read";
    let cases: [(Link<'_>, usize, Option<&str>); 12] = [
        (&record, 35, None),
        (&record, 45, Some(deep)),
        (&record, 5_000, Some(deep)),
        (&set, 35, None),
        (&set, 45, Some(deep)),
        (&set, 5_000, Some(deep)),
        (&name, 180, None),
        (&name, 220, Some(deep)),
        (&name, 5_000, Some(deep)),
        (&twice, 12, None),
        (&twice, 20, Some(large)),
        (&twice, 35, Some(large)),
    ];
    for (link, length, refused) in cases {
        let told = told(&[("schema/docs.cedarschema", &chain(link, length))]);
        let is_told = |what: &str| told.starts_with("error: schema/docs.cedarschema:") && told.contains(what);
        assert!(refused.map_or(told.is_empty(), is_told), "{} {length}: {told}", link(0));
        assert!(told.matches("error:").count() <= 1, "{told}");
    }
    // A type that is in itself is Cedar's to refuse.
    let circle = schema("entity Team;", "entity Team;\ntype A = { a: B };\ntype B = Set<A>;");
    assert!(told(&[("schema/docs.cedarschema", &circle)]).contains("cycle"));
    // What two namespaces call the same is two types.
    let spaces =
        "namespace N { type A = { a: Long, b?: B }; type B = Set<Long>; } namespace M { type A = N::A; type B = A; }";
    assert_eq!(told(&[("schema/more.cedarschema", spaces)]), "");
}

/// The same of entity types and actions in one another, of which each is in all that are above it.
#[test]
fn too_many_types_and_actions_in_one_another_are_a_problem_with_its_place() {
    let entity = |number: usize| format!("entity T{} in [T{number}];\n", number + 1);
    let action = |number: usize| format!("action a{} in [a{number}];\n", number + 1);
    let kinds: [(&str, &str, Link<'_>); 2] =
        [("entity T0;\n", "entity types", &entity), ("action a0;\n", "actions", &action)];
    for (first, what, link) in kinds {
        for (length, is_refused) in [(100, false), (1_100, true), (20_000, true)] {
            let links: String = (0..length).map(link).collect();
            let told = told(&[("schema/more.cedarschema", &format!("{first}{links}"))]);
            let found = told.contains(&format!("too many {what} are in one another"));
            assert_eq!((found, told.is_empty()), (is_refused, !is_refused), "{told}");
            assert!(!is_refused || told.starts_with("error: schema/more.cedarschema:"), "{told}");
        }
    }
}

/// Requests to try decide nothing: one that cannot be read must not keep out what decides.
#[test]
fn a_request_to_try_that_cannot_be_read_is_a_warning() {
    let latin = store(&[("requests/good.json", "{}")]);
    write(latin.path(), "requests/latin.json", b"{ \"caf\xe9\": 1 }");
    let lines: Vec<String> = problems_of(latin.path()).iter().map(shown).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("warning: `requests/latin.json` is not UTF-8 text"), "{lines:?}");
    let alone = folder::<&str, &str>([]);
    write(alone.path(), "requests/latin.json", b"caf\xe9");
    assert!(problems_of(alone.path()).iter().any(is_error), "it is still no store");
}

/// Only what is in one another counts: not what follows one another, nor what stands in strings and comments.
#[test]
fn what_is_long_is_not_nested() {
    let long = [
        vec!["principal.age == 1"; 380].join(" || "),
        format!("[{}].contains(principal.age)", vec!["-1"; 2_000].join(", ")),
        format!("\"{}\\\"{}\" == \"\"", "(".repeat(500), "[".repeat(500)),
        format!("true // {}\n", "(".repeat(500)),
    ];
    for condition in long {
        let told = told(&[("policies/docs.cedar", &policy(&condition))]);
        assert!(!told.contains("error:"), "{told}");
    }
}
