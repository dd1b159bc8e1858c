//! "What is proven is what is decided": rows stand in the matrix and policies among the policies, every file is read or named, and what
//! an edit takes away is taken up only by somebody who confirms it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{folder, is_error, problems_of, shown, snapshot_of};
use gatepost::engine::Snapshot;
use gatepost::http::body;
use gatepost::live::{Hooks, Live, Outcome};
use gatepost::store::{Origin, Source};
use tempfile::TempDir;

const SCHEMA: &str =
    "entity U; entity D; action read, write appliesTo { principal: U, resource: D, context: { ok: Bool } };";
const POLICIES: &str = "@id(\"read\") permit (principal, action == Action::\"read\", resource);\n@id(\"no\") forbid (principal, action, resource) when { context.ok };\n";
const ROW: &str = "@table(\"T\") @row(\"Anybody\") @column(\"Write\") @cell(\"No\") forbid (principal, action == Action::\"write\", resource);\n";

fn store(more: &[(&str, &str)]) -> TempDir {
    let files = [("schema/a.cedarschema", SCHEMA), ("policies/a.cedar", POLICIES), ("matrix/a.cedar", ROW)];
    folder(files.into_iter().chain(more.iter().copied()))
}

fn errors(store: &TempDir) -> String {
    problems_of(store.path()).iter().filter(|problem| is_error(problem)).map(shown).collect::<Vec<_>>().join("\n")
}

/// A10: "a matrix row pasted into `policies/` grants access"; "a policy file under `matrix/`" is none that decides.
#[test]
fn a10_rows_and_policies_stand_where_they_are_read() {
    assert_eq!(errors(&store(&[])), "");
    for annotation in ["@table(\"T\")", "@row(\"R\")", "@column(\"C\")", "@cell(\"Yes\")"] {
        let pasted = format!("@id(\"pasted\") {annotation} permit (principal, action, resource);");
        let told = errors(&store(&[("policies/b.cedar", &pasted)]));
        let name = &annotation[..annotation.find('(').unwrap()];
        assert!(told.contains(&format!("policies/b.cedar:1:15: the policy `pasted` has `{name}`, which is for rows of the matrix: here it decides")), "{told}");
    }
    for annotations in
        ["@id(\"p\") @reason(\"r\") @source(\"s\")", "@id(\"p\")", "", "@doc(\"d\")", "@source(\"s\") @reading(\"r\")"]
    {
        let told =
            errors(&store(&[("matrix/b.cedar", &format!("{annotations} forbid (principal, action, resource);"))]));
        let id = if annotations.contains("@id") { "p" } else { "b:1" };
        let expected = format!("the row `{id}` does not say where it stands: it lacks `@table`, `@row`, `@column`");
        assert!(told.contains(&expected), "{annotations}: {told}");
        assert!(told.contains("a policy belongs in `policies/`, where it decides"), "{told}");
    }
}

/// A12: a cell says what its row expects.
#[test]
fn a12_a_cell_shows_what_its_row_expects_and_is_one_row() {
    let told = |rows: &str| errors(&store(&[("matrix/b.cedar", rows)]));
    let row = |annotations: &str, effect: &str| {
        format!("{annotations} {effect} (principal, action == Action::\"read\", resource);\n")
    };
    let place = "@table(\"T\") @row(\"R\") @column(\"C\")";
    assert!(
        told(&row(&format!("{place} @cell(\"No\")"), "permit"))
            .contains("the cell shows `No`, but a `permit` says that it is allowed")
    );
    assert!(told(&row(&format!("{place} @cell(\"Yes, always\")"), "forbid")).contains("says that it is denied"));
    assert!(told(&row(&format!("{place} @cell(\" \")"), "forbid")).contains("the cell shows nothing"));
    assert!(told(&row("@row(\"R\") @column(\"C\")", "forbid")).contains("it lacks `@table`"));
    assert!(told(&row("@table(\"T\") @row(\"R\") @column(\"\")", "forbid")).contains("it lacks `@column`"));
    assert_eq!(told(&row(&format!("{place} @cell(\"After approval\")"), "permit")), "");
    // The two halves of a cell under conditions that differ, and no more.
    let ok = |text: String| text.replace("resource);", "resource) when { context.ok };");
    let halves = ok(row(&format!("@id(\"1\") {place} @cell(\"Yes, if ok\")"), "permit"))
        + &row(&format!("@id(\"2\") {place} @cell(\"No, if not\")"), "forbid")
            .replace("resource);", "resource) unless { context.ok };");
    assert_eq!(told(&halves), "");
    assert!(
        told(&(halves.clone() + &row(&format!("@id(\"3\") {place}"), "permit")))
            .contains("two rows are the cell T · R · C")
    );
    assert!(
        told(&(row(&format!("@id(\"1\") {place}"), "permit") + &row(&format!("@id(\"2\") {place}"), "permit")))
            .contains("two rows are the cell")
    );
    // A half without a condition, or with that of the other, contradicts it; so does one that asks for more.
    let (permit, forbid) =
        (row(&format!("@id(\"1\") {place}"), "permit"), row(&format!("@id(\"2\") {place}"), "forbid"));
    let more = |text: &String| text.replace("resource);", "resource) when { context.ok && principal == U::\"x\" };");
    for (one, other) in [
        (permit.clone(), forbid.clone()),
        (ok(permit.clone()), forbid.clone()),
        (permit.clone(), ok(forbid.clone())),
        (ok(permit.clone()), ok(forbid.clone())),
        (ok(permit.clone()), more(&forbid)),
        (permit.replace("(principal,", "(principal == U::\"x\","), forbid.clone()),
    ] {
        let found = told(&(one + &other));
        assert!(found.contains("the two halves of the cell T · R · C are not apart"), "{found}");
        assert!(found.contains("matrix/b.cedar:1; each half has a condition"), "{found}");
    }
    let apart = permit.replace("(principal,", "(principal == U::\"x\",")
        + &forbid.replace("(principal,", "(principal == U::\"y\",");
    assert_eq!(told(&apart), "");
    // What a reader does not see makes no other cell, and no other title.
    assert!(told(&row(&format!("{place} @cell(\"No\u{200b}\")"), "permit")).contains("says that it is allowed"));
    assert!(told(&row(&format!("{place} @cell(\"\u{200b}N\u{43e}\")"), "permit")).contains("says that it is allowed"));
    assert!(told(&row(&format!("{place} @cell(\"\u{200b} \u{2060}\")"), "forbid")).contains("the cell shows nothing"));
    assert!(told(&row("@table(\"T\") @row(\"\u{200b}\") @column(\"C\")", "forbid")).contains("it lacks `@row`"));
    for (one, other) in [("r", "r\u{200b}"), ("\u{e9}", "e\u{301}"), ("Owner", "\u{41e}wner"), ("a b", "a\u{a0}b")] {
        let rows = [one, other].map(|name| row(&format!("@table(\"T\") @row(\"{name}\") @column(\"C\")"), "permit"));
        assert!(told(&rows.concat()).contains("looks like"), "{one} {other}: {}", told(&rows.concat()));
    }
    for other in [
        "@table(\"t\") @row(\"S\") @column(\"C\")",
        "@table(\"T\") @row(\" R\") @column(\"D\")",
        "@table(\"T\") @row(\"S\") @column(\"C  \")",
    ] {
        let alike = row(&format!("@id(\"1\") {place}"), "permit") + &row(&format!("@id(\"2\") {other}"), "permit");
        assert!(told(&alike).contains("looks like"), "{other}: {}", told(&alike));
    }
}

/// A11: "files that are not read are an error unless plainly no policy"; a folder with a near name is a warning.
#[test]
fn a11_a_file_that_is_not_read_is_named() {
    let forbid = "@id(\"lost\") forbid (principal, action, resource);";
    for path in [
        "policies/b.ceder",
        "policies/b.cedar.bak",
        "policies/more/b.cedar",
        "schema/notes.txt",
        "matrix/rows.csv",
        "entities/b.jsn",
        "policies/LICENSE",
        "policies/README.ceder",
        "policies/README.cedar.bak",
        "policies/README.CEDAR",
        "schema/README.cedar",
        "policies/README.md/b.cedar",
        "policies/4913/b.cedar",
    ] {
        let told = errors(&store(&[(path, forbid)]));
        assert!(told.contains("would not be read"), "{path}: {told}");
    }
    for path in [
        "policies/README.md",
        "policies/.hidden",
        "policies/b.cedar~",
        "policies/#b.cedar#",
        "policies/4913",
        "policies/b.cedar.orig",
        "policies/b.cedar.rej",
        "schema/README",
        "schema/README.de.txt",
        "requests/notes.txt",
        "policies/.hidden/b.cedar",
    ] {
        assert_eq!(errors(&store(&[(path, forbid)])), "", "{path}");
    }
    for (folder, near) in [
        ("policy", "policies"),
        ("Policies", "policies"),
        ("entites", "entities"),
        ("schemas", "schema"),
        ("matrx", "matrix"),
    ] {
        let store = store(&[(&format!("{folder}/b.cedar"), forbid)]);
        let told: Vec<String> = problems_of(store.path()).iter().map(shown).collect();
        assert!(
            told.concat().contains(&format!(
                "warning: nothing in the folder `{folder}` is read\n  help: did you mean `{near}`?"
            )),
            "{told:?}"
        );
    }
    assert!(!problems_of(store(&[("docs/a.md", "x")]).path()).iter().any(|problem| shown(problem).contains("docs")));
}

/// A11: a file with the ending of those that are read is read, whatever its name; a hidden one is at least warned of.
#[test]
fn a11_a_readme_with_the_ending_of_what_is_read_is_read() {
    let forbid = "@id(\"lost\") forbid (principal, action, resource);";
    for name in ["README.cedar", "README.anything.cedar", "readme.cedar"] {
        let snapshot = snapshot_of(store(&[(&format!("policies/{name}"), forbid)]).path());
        assert!(snapshot.store.policies.iter().any(|policy| policy.id == "lost"), "{name}");
    }
    for path in ["schema/README.cedarschema", "entities/README.json", "matrix/README.cedar"] {
        assert_ne!(errors(&store(&[(path, "no text of that kind")])), "", "{path}");
    }
    for path in ["policies/.f.cedar", "policies/.cedar", "schema/.s.cedarschema", "entities/.e.json", "matrix/.F.CEDAR"]
    {
        let told: String = problems_of(store(&[(path, forbid)]).path()).iter().map(shown).collect();
        assert!(told.contains(&format!("warning: the hidden file `{path}` is not read")), "{told}");
    }
    // The lock of an editor, and what decides nothing.
    for path in ["policies/.#f.cedar", "requests/.r.json", "policies/.f.cedar.swp"] {
        let told: String = problems_of(store(&[(path, forbid)]).path()).iter().map(shown).collect();
        assert!(!told.contains("is not read"), "{told}");
    }
}

/// C5: "a name of the store that is there and cannot be read is an error".
#[cfg(unix)]
#[test]
fn c5_a_name_of_the_store_that_leads_nowhere_is_an_error() {
    for name in ["entities", "requests"] {
        let dangling = store(&[]);
        std::os::unix::fs::symlink("nowhere", dangling.path().join(name)).unwrap();
        let told: Vec<String> = problems_of(dangling.path()).iter().map(shown).collect();
        assert!(
            told.concat().contains(&format!("`{name}` cannot be read: it is no folder, or a link that leads nowhere")),
            "{told:?}"
        );
        assert_eq!(errors(&dangling).is_empty(), name == "requests", "a request to try decides nothing");
        let file = store(&[(name, "x")]);
        assert!(problems_of(file.path()).iter().any(|problem| shown(problem).contains("it is no folder")));
    }
    for name in ["matrix/clauses.toml", "gatepost.sig"] {
        let dangling = store(&[]);
        std::os::unix::fs::symlink("nowhere", dangling.path().join(name)).unwrap();
        assert!(
            errors(&dangling)
                .contains(&format!("`{name}` cannot be read: it is no file, or a link that leads nowhere"))
        );
        let wrong = store(&[(&format!("{name}/x"), "x")]);
        assert!(errors(&wrong).contains(name), "{}", errors(&wrong));
    }
}

fn source(store: &TempDir) -> Source {
    Source {
        origin: Origin::Folder(store.path().to_owned()),
        entities: Vec::new(),
        phone_metadata: None,
        required_key: None,
        modes: Vec::new(),
    }
}

fn live(store: &TempDir) -> Live {
    Live::open(source(store), true, Hooks { request: body::of_case, told: Box::new(|_, _| {}) }).unwrap()
}

fn edit(store: &TempDir, path: &str, text: Option<&str>) {
    let path = store.path().join(path);
    match text {
        Some(text) => fs::write(path, text).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}

/// A11: at a reload, a `forbid` or a row that is gone, a file that is empty or gone, and a forbid whose conditions grew are rejected, and
/// taken up when somebody confirms that very revision.
#[test]
fn a11_what_an_edit_takes_away_must_be_confirmed() {
    let more = "@id(\"more\") permit (principal, action == Action::\"read\", resource) when { !context.ok };";
    let without_forbid = "@id(\"read\") permit (principal, action == Action::\"read\", resource);\n";
    for (path, text, expected) in [
        (
            "policies/a.cedar",
            Some(without_forbid.to_owned()),
            "the forbid `no` is gone, which stood at policies/a.cedar:2",
        ),
        (
            "policies/a.cedar",
            Some(POLICIES.replace("forbid (principal, action,", "permit (principal, action == Action::\"read\",")),
            "the forbid `no` is gone",
        ),
        (
            "policies/a.cedar",
            Some(POLICIES.replace("{ context.ok }", "{ context.ok && principal == U::\"x\" }")),
            "policies/a.cedar:2:1: the forbid `no` may deny less: it asks for `principal == U::\"x\"`",
        ),
        (
            "policies/a.cedar",
            Some(POLICIES.replace("forbid (principal, action,", "forbid (principal, action == Action::\"read\",")),
            "the forbid `no` may deny less: `action` has become `action == Action::\"read\"`",
        ),
        ("policies/b.cedar", Some(String::new()), "the file `policies/b.cedar` has nothing in it any more"),
        ("policies/b.cedar", Some("// later\n".to_owned()), "the file `policies/b.cedar` has nothing in it any more"),
        ("policies/b.cedar", None, "the file `policies/b.cedar` is gone"),
        ("matrix/b.cedar", None, "the row `T · Anybody · Read` is gone"),
        ("entities/a.json", Some("[]".to_owned()), "the file `entities/a.json` has nothing in it any more"),
    ] {
        let row = "@table(\"T\") @row(\"Anybody\") @column(\"Read\") permit (principal, action == Action::\"read\", resource) when { !context.ok };\n";
        let entities = r#"[{"uid": {"type": "U", "id": "u"}}]"#;
        let store = store(&[("policies/b.cedar", more), ("matrix/b.cedar", row), ("entities/a.json", entities)]);
        let live = live(&store);
        let first = live.engine().snapshot().revision().clone();
        edit(&store, path, text.as_deref());
        let newer = Snapshot::load(Origin::Folder(store.path().to_owned())).unwrap().revision().to_string();
        let status = live.reload();
        let told: String = status.attempt.problems.iter().map(shown).collect();
        assert_eq!(status.attempt.outcome, Outcome::Rejected, "{expected}");
        assert!(told.contains(expected) && told.contains(&format!("{{\"accept\":\"{newer}\"}}")), "{told}");
        assert_eq!(*live.engine().snapshot().revision(), first);
        // Another revision that was confirmed is not this one.
        live.accept(&"0".repeat(64));
        assert_eq!(live.reload().attempt.outcome, Outcome::Rejected);
        live.accept(&newer);
        assert_eq!(live.reload().attempt.outcome, Outcome::InForce, "{expected}");
        assert_eq!(live.engine().snapshot().revision().as_str(), newer);
    }
    // What takes nothing away is taken up at once: another order, a condition less, a forbid more.
    for policies in [
        format!(
            "{POLICIES}@id(\"new\") forbid (principal, action, resource) when {{ !context.ok && principal == U::\"x\" }};"
        ),
        POLICIES.replace(" when { context.ok }", ""),
        POLICIES.lines().rev().collect::<Vec<_>>().join("\n"),
    ] {
        let store = store(&[]);
        let live = live(&store);
        edit(&store, "policies/a.cedar", Some(&policies));
        let status = live.reload();
        assert_eq!(status.attempt.outcome, Outcome::InForce, "{:?}", status.attempt.problems);
    }
}

/// What becomes of an edit: nothing, if it is taken up.
fn rejected(before: &[(&str, &str)], after: &[(&str, &str)]) -> String {
    let store = folder(before.iter().copied());
    let live = live(&store);
    after.iter().for_each(|(path, text)| edit(&store, path, Some(text)));
    let status = live.reload();
    let told = status.attempt.problems.iter().filter(|problem| is_error(problem)).map(shown).collect();
    assert_eq!(status.attempt.outcome == Outcome::Rejected, !String::is_empty(&told), "{status:?}");
    told
}

const WIDE_SCHEMA: &str = r#"
    entity G; entity H; entity T = { n: Long };
    entity U in [G] = { a: Bool, b?: Bool, c?: Bool, n: Long, t: T, set: Set<U> };
    entity D in [H];
    action "all";
    action read, write in ["all"] appliesTo { principal: U, resource: D, context: { ok: Bool, via?: String } };"#;

const PERMIT: &str = "@id(\"all\") permit (principal, action, resource);\n";

/// A forbid `f` of these words becomes one of others.
fn of_forbids(before: &str, after: &str) -> String {
    let policies = |forbid: &str| format!("{PERMIT}@id(\"f\") forbid {forbid};");
    let (before, after) = (policies(before), policies(after));
    rejected(&[("schema/a.cedarschema", WIDE_SCHEMA), ("policies/a.cedar", &before)], &[("policies/a.cedar", &after)])
}

/// A11: a forbid is taken up without somebody who confirms it only where its words show that it denies at least what it denied.
#[test]
fn a11_a_forbid_that_may_deny_less_must_be_confirmed() {
    let all = "(principal, action, resource)";
    let b = "principal has b && principal.b";
    for (before, after, expected) in [
        (
            format!("{all} unless {{ principal in G::\"y\" }}"),
            format!("{all} unless {{ principal in G::\"y\" || true }}"),
            "it asks for `!",
        ),
        (
            format!("{all} unless {{ principal in G::\"y\" }}"),
            format!("{all} unless {{ principal in G::\"y\" || principal == U::\"u\" }}"),
            "in place of",
        ),
        (format!("{all} when {{ {b} }}"), format!("{all} when {{ false }}"), "`false`"),
        (format!("{all} unless {{ {b} }}"), format!("{all} when {{ {b} }}"), "it asks for"),
        (
            format!("{all} when {{ principal.a }}"),
            format!("{all} when {{ if principal == U::\"u\" then false else principal.a }}"),
            "it asks for",
        ),
        (format!("{all} when {{ principal.n > 5 }}"), format!("{all} when {{ principal.n > 500 }}"), "it asks for"),
        (
            format!("{all} when {{ principal in [G::\"x\", G::\"y\"] }}"),
            format!("{all} when {{ principal in [G::\"y\"] }}"),
            "it asks for",
        ),
        (
            format!("{all} when {{ principal.a && context.ok }}"),
            format!("{all} when {{ principal.n > 0 && context has via }}"),
            "in place of `principal.a` and",
        ),
        (format!("{all} when {{ {b} }}"), format!("{all} when {{ principal has b && !principal.b }}"), "it asks for"),
        (format!("{all} unless {{ {b} }}"), format!("{all} unless {{ principal has b }}"), "it asks for"),
        (format!("{all} unless {{ {b} }}"), format!("{all} unless {{ {b} || principal has c }}"), "it asks for"),
        (
            format!("{all} when {{ {b} }}"),
            format!("{all} when {{ if principal has b then principal.b && resource == D::\"z\" else false }}"),
            "it asks for",
        ),
        (all.to_owned(), format!("{all} when {{ context.ok }}"), "it asks for `context"),
        (
            "(principal in G::\"x\", action, resource)".to_owned(),
            "(principal in G::\"y\", action, resource)".to_owned(),
            "`principal in G::\"x\"` has become `principal in G::\"y\"`",
        ),
        (
            "(principal in G::\"x\", action, resource)".to_owned(),
            "(principal == U::\"x\", action, resource)".to_owned(),
            "has become",
        ),
        (
            "(principal is U, action, resource)".to_owned(),
            "(principal is U in G::\"x\", action, resource)".to_owned(),
            "has become",
        ),
        (
            "(principal, action, resource is D)".to_owned(),
            "(principal, action, resource in H::\"h\")".to_owned(),
            "`resource is D` has become",
        ),
        (
            "(principal, action == Action::\"read\", resource)".to_owned(),
            "(principal, action == Action::\"write\", resource)".to_owned(),
            "has become",
        ),
        (
            "(principal, action in [Action::\"read\", Action::\"write\"], resource)".to_owned(),
            "(principal, action in [Action::\"read\"], resource)".to_owned(),
            "has become `action in [Action::\"read\"]`",
        ),
        (
            "(principal, action in Action::\"all\", resource)".to_owned(),
            "(principal, action in [Action::\"read\", Action::\"write\"], resource)".to_owned(),
            "has become",
        ),
        // A condition that could not be evaluated denied: it may not fall behind another, or go, where the other says no.
        (
            format!("{all} when {{ principal.n + 1 > 0 && context.ok }}"),
            format!("{all} when {{ context.ok && principal.n + 1 > 0 }}"),
            "cannot be evaluated",
        ),
        (
            format!("{all} when {{ principal.t.n > 0 && context.ok }}"),
            format!("{all} when {{ context.ok }}"),
            "cannot be evaluated",
        ),
    ] {
        let told = of_forbids(&before, &after);
        assert!(
            told.contains("error: policies/a.cedar:2:1: the forbid `f` may deny less: "),
            "{before} -> {after}: {told}"
        );
        assert!(told.contains(expected), "{before} -> {after}: {told}");
    }
}

/// A11: what takes nothing from a forbid is taken up at once.
#[test]
fn a11_a_forbid_that_denies_as_much_is_taken_up() {
    let all = "(principal, action, resource)";
    for (before, after) in [
        (format!("{all} when {{ principal.a && context.ok }}"), format!("{all} when {{ principal.a }}")),
        (
            format!("{all} when {{ principal.a && context.ok }}"),
            format!("{all} when {{ context.ok }} when {{ principal.a }}"),
        ),
        (format!("{all} when {{ context.ok && principal.n + 1 > 0 }}"), format!("{all} when {{ context.ok }}")),
        (
            format!("{all} when {{ context.ok && principal.n + 1 > 0 }}"),
            format!("{all} when {{ principal.n + 1 > 0 }}"),
        ),
        (format!("{all} when {{ context.ok }}"), format!("{all}\n// As ever.\nwhen   {{ (context.ok) }}")),
        (format!("{all} when {{ context.ok }}"), all.to_owned()),
        ("(principal == U::\"u\", action, resource)".to_owned(), "(principal is U, action, resource)".to_owned()),
        (
            "(principal is U in G::\"g\", action, resource)".to_owned(),
            "(principal in G::\"g\", action, resource)".to_owned(),
        ),
        (
            "(principal, action == Action::\"read\", resource)".to_owned(),
            "(principal, action in [Action::\"write\", Action::\"read\"], resource)".to_owned(),
        ),
        ("(principal, action in Action::\"all\", resource)".to_owned(), all.to_owned()),
    ] {
        assert_eq!(of_forbids(&before, &after), "", "{before} -> {after}");
    }
}

/// A11: the same words deny less where the schema no longer says what they ask for, or what only the store says.
#[test]
fn a11_a_schema_that_takes_from_a_forbid_must_be_confirmed() {
    let schema =
        "entity G; entity U in [G] = { b?: Bool, @stored roles?: Set<String>, @must_exist boss?: U, pins?: Set<{ @sensitive pin: Long }> }; entity D;
        action \"safe\"; action read in [\"safe\"] appliesTo { principal: U, resource: D, context: { via?: String } };
        action write appliesTo { principal: U, resource: D };";
    let policies = format!(
        "{PERMIT}@id(\"b\") forbid (principal, action, resource) when {{ principal has b && principal.b }};
        @id(\"via\") forbid (principal, action, resource) when {{ context has via }};
        @id(\"safe\") forbid (principal in G::\"g\", action, resource) unless {{ action in Action::\"safe\" }};
        @id(\"plain\") forbid (principal, action, resource) when {{ principal == U::\"x\" }};"
    );
    let files = [("schema/a.cedarschema", schema), ("policies/a.cedar", policies.as_str())];
    for (from, to, expected) in [
        ("b?: Bool, ", "", "the forbid `b` may deny less: in the schema, `U.b` is no longer declared"),
        (
            "via?: String",
            "",
            "the forbid `via` may deny less: in the schema, `action Action::\"read\": context.via` is no longer declared",
        ),
        (
            "entity U in [G]",
            "entity U",
            "the forbid `safe` may deny less: in the schema, `U in G` is no longer declared",
        ),
        (
            "write appliesTo",
            "write in [\"safe\"] appliesTo",
            "the forbid `safe` may deny less: in the schema, `action Action::\"write\" in Action::\"safe\"` is declared now",
        ),
        ("@stored ", "", "`@stored` is gone from `U.roles`: callers may say it"),
        ("@must_exist ", "", "`@must_exist` is gone from `U.boss`"),
        ("@sensitive ", "", "`@sensitive` is gone from `U.pins.pin`: the decision log shows it"),
        ("entity U in [G]", "@parents_from(\"caller\") entity U in [G]", "`@parents_from` is new on the type `U`"),
    ] {
        assert!(schema.contains(from), "{from}");
        let edited = schema.replace(from, to);
        let told = rejected(&files, &[("schema/a.cedarschema", &edited)]);
        assert!(told.contains(expected), "{from} -> {to}: {told}");
        assert!(!told.contains("`plain`"), "{told}");
    }
    // What is new in the schema takes nothing away.
    let more = format!(
        "{schema} entity V = {{ b?: Bool }}; action more in [\"safe\"] appliesTo {{ principal: V, resource: D, context: {{ via?: String }} }};"
    );
    assert_eq!(rejected(&files, &[("schema/a.cedarschema", &more)]), "");
}

/// A11: a row is gone where none in its place expects as much.
#[test]
fn a11_a_row_that_expects_less_must_be_confirmed() {
    let place = "@table(\"T\") @row(\"R\") @column(\"C\")";
    let row = |id: &str, rest: &str| format!("@id(\"{id}\") {place} {rest};\n");
    let scope = "(principal is U, action == Action::\"read\", resource)";
    let no = row("n", &format!("forbid {scope} when {{ principal.a }}"));
    let yes = row("y", &format!("permit {scope} unless {{ principal.a }}"));
    let both = format!("{no}{yes}");
    let forbid = "@id(\"f\") forbid (principal, action, resource) when { principal.a };";
    let policies = format!("{PERMIT}{forbid}");
    let files = |rows: &str| -> Vec<(&'static str, String)> {
        vec![
            ("schema/a.cedarschema", WIDE_SCHEMA.to_owned()),
            ("policies/a.cedar", policies.clone()),
            ("matrix/a.cedar", rows.to_owned()),
        ]
    };
    let edited = |rows: &str, newer: &str| {
        let before = files(rows);
        let before: Vec<(&str, &str)> = before.iter().map(|(path, text)| (*path, text.as_str())).collect();
        rejected(&before, &[("matrix/a.cedar", newer)])
    };
    let narrower =
        row("n", "forbid (principal == U::\"u\", action == Action::\"read\", resource) when { principal.a }");
    let other = row("n", &format!("forbid {scope} when {{ principal.a && context.ok }}"));
    for (rows, newer, expected) in [
        (&both, &yes, "the row `T · R · C` is gone: its `forbid` stood at matrix/a.cedar:1"),
        (&both, &no, "the row `T · R · C` is gone: its `permit` stood at matrix/a.cedar:2"),
        (&no, &yes, "the row `T · R · C` is gone: its `forbid`"),
        (
            &no,
            &narrower,
            "error: matrix/a.cedar:1:1: the row `T · R · C` may expect less: `principal is U` has become `principal == U::\"u\"`",
        ),
        (&no, &other, "the row `T · R · C` may expect less: it asks for `context"),
    ] {
        let told = edited(rows, newer);
        assert!(told.contains(expected), "{newer}: {told}");
    }
    for (rows, newer) in [
        (&no, &both),
        (&no, &row("other", &format!("@source(\"s\") forbid {scope} when {{ principal.a }}"))),
        (&narrower, &no),
        (&other, &no),
    ] {
        assert_eq!(edited(rows, newer), "", "{newer}");
    }
}

/// A11: a further file of entities that is emptied is lost like one of the store's own.
#[test]
fn a11_a_further_file_of_entities_that_is_emptied_must_be_confirmed() {
    let store = store(&[("further.json", r#"[{"uid": {"type": "U", "id": "u"}}]"#)]);
    let path = store.path().join("further.json");
    let source = Source { entities: vec![path.clone()], ..source(&store) };
    let live = Live::open(source, true, Hooks { request: body::of_case, told: Box::new(|_, _| {}) }).unwrap();
    fs::write(&path, "[]").unwrap();
    let status = live.reload();
    let told: String = status.attempt.problems.iter().map(shown).collect();
    assert_eq!(status.attempt.outcome, Outcome::Rejected);
    assert!(told.contains("further.json` has nothing in it any more"), "{told}");
}

/// A11: a confirmation is for one revision, and for once.
#[test]
fn a11_a_revision_is_confirmed_once() {
    let store = store(&[]);
    let live = live(&store);
    let without = POLICIES.lines().next().unwrap();
    let edited = |text: &str| {
        edit(&store, "policies/a.cedar", Some(text));
        live.reload().attempt.outcome
    };
    assert_eq!(edited(without), Outcome::Rejected);
    let revision = Snapshot::load(Origin::Folder(store.path().to_owned())).unwrap().revision().to_string();
    live.accept(&revision);
    assert_eq!(live.reload().attempt.outcome, Outcome::InForce);
    assert_eq!(edited(POLICIES), Outcome::InForce);
    assert_eq!(edited(without), Outcome::Rejected, "it was confirmed before another was in force");
    // What is confirmed while it is in force is not confirmed for later.
    assert_eq!(edited(POLICIES), Outcome::Unchanged);
    live.accept(&Snapshot::load(Origin::Folder(store.path().to_owned())).unwrap().revision().to_string());
    assert_eq!(live.reload().attempt.outcome, Outcome::Unchanged);
    assert_eq!(edited(without), Outcome::Rejected);
}

/// A11: a forbid without an id that another takes the number of is not that one.
#[test]
fn a11_a_forbid_without_an_id_is_known_by_its_words() {
    let policies = |forbid: &str| format!("{PERMIT}forbid (principal, action, resource) when {{ {forbid} }};");
    let (before, after) = (policies("principal.a"), policies("context.ok"));
    let told = rejected(
        &[("schema/a.cedarschema", WIDE_SCHEMA), ("policies/a.cedar", &before)],
        &[("policies/a.cedar", &after)],
    );
    assert!(told.contains("the forbid `a:2` may deny less: it asks for `context"), "{told}");
}
