//! "What is proven is what is decided": rows stand in the matrix and policies among the policies, every file is read or named, and what
//! an edit takes away is taken up only by somebody who confirms it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{folder, is_error, problems_of, shown};
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
    let told = errors(&store(&[(
        "matrix/b.cedar",
        "@id(\"p\") @reason(\"r\") @source(\"s\") forbid (principal, action, resource);",
    )]));
    assert!(told.contains("the row `p` does not say where it stands: it lacks `@table`, `@row`, `@column`"), "{told}");
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
    // The two halves of a cell under conditions, and no more.
    let halves = row(&format!("@id(\"1\") {place} @cell(\"Yes, if ok\")"), "permit")
        + &row(&format!("@id(\"2\") {place} @cell(\"No, if not\")"), "forbid");
    assert_eq!(told(&halves), "");
    assert!(
        told(&(halves.clone() + &row(&format!("@id(\"3\") {place}"), "permit")))
            .contains("two rows are the cell T · R · C")
    );
    assert!(
        told(&(row(&format!("@id(\"1\") {place}"), "permit") + &row(&format!("@id(\"2\") {place}"), "permit")))
            .contains("two rows are the cell")
    );
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
        "requests/notes.txt",
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

fn live(store: &TempDir) -> Live {
    let source = Source {
        origin: Origin::Folder(store.path().to_owned()),
        entities: Vec::new(),
        required_key: None,
        modes: Vec::new(),
    };
    Live::open(source, true, Hooks { request: body::of_case, told: Box::new(|_, _| {}) }).unwrap()
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
        ("policies/a.cedar", Some(without_forbid.to_owned()), "the forbid `no` is gone"),
        (
            "policies/a.cedar",
            Some(POLICIES.replace("forbid (principal, action,", "permit (principal, action == Action::\"read\",")),
            "the forbid `no` is gone",
        ),
        (
            "policies/a.cedar",
            Some(POLICIES.replace("{ context.ok }", "{ context.ok && principal == U::\"x\" }")),
            "the forbid `no` asks for more before it forbids",
        ),
        (
            "policies/a.cedar",
            Some(POLICIES.replace("forbid (principal, action,", "forbid (principal, action == Action::\"read\",")),
            "asks for more",
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
