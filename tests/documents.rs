//! "A second, unrelated store runs on the same binary: nothing of the support-contact domain is in `src/`."

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::binary::gatepost;
use common::server::Server;
use common::{REMOVE, ask, decide, determining, with};
use serde_json::{Value, json};

#[test]
fn the_commands_of_an_author_run_on_it() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/documents");
    for arguments in [
        // Ada, whom a document refers to, is not stored: the one warning.
        ["check"].as_slice(),
        &["fmt", "--check"],
        // Ada is a reader, and cleared.
        &["decide", "requests/read.json"],
    ] {
        gatepost(&store, &[arguments, &["--store", "."]].concat()).with(0);
    }
    // As it is on a machine without a solver.
    let tested = gatepost(&store, &["test", "--store", ".", "--solver", "/nowhere/cvc5"]).with(0);
    insta::assert_snapshot!("documents", tested.out);
}

#[test]
fn its_entities_tags_and_extension_values_decide() {
    let snapshot = common::store("documents");
    let visit = json!({ "context": { "from": "10.1.2.3", "now": "2026-11-23T12:00:00Z" } });
    let read = with(ask("Person::grace", "read", "Document::compiler"), visit.clone());
    let invite =
        with(ask("Person::grace", "invite", "Folder::archive"), json!({ "context": { "guest": "g@NAVY.example" } }));
    let change = with(ask("Person::grace", "change", "Document::compiler"), visit.clone());
    let held = json!({ "resource": { "properties": { "heldUntil": "2027-01-01" } } });
    let secret = json!({ "resource": { "properties": { "label": "secret" } } });
    let cases: [(Value, bool, &[&str]); 12] = [
        (read.clone(), true, &["board-reads-the-archive", "owner-everything"]),
        (with(read.clone(), secret.clone()), true, &["board-reads-the-archive", "owner-everything"]),
        (
            with(with(read.clone(), secret), json!({ "context": { "from": "192.0.2.7" } })),
            false,
            &["secret-only-from-inside"],
        ),
        (
            with(read.clone(), json!({ "subject": { "properties": { "clearance": [] } } })),
            false,
            &["label-above-clearance"],
        ),
        (
            with(ask("Person::grace", "list", "Folder::1952"), visit.clone()),
            true,
            &["board-reads-the-archive", "staff-list-folders"],
        ),
        (with(ask("Person::grace", "remove", "Folder::1952"), visit.clone()), true, &["folder-owner-removes"]),
        (
            with(ask("Person::grace", "remove", "Document::compiler"), with(visit.clone(), held.clone())),
            false,
            &["held"],
        ),
        (with(change.clone(), json!({ "context": { "addedSize": 960 } })), true, &["owner-everything"]),
        (with(change.clone(), json!({ "context": { "addedSize": 961 } })), false, &["too-large"]),
        // The sum would not fit into 64 bits: refused before it is formed.
        (with(change, json!({ "context": { "addedSize": i64::MAX } })), false, &["too-large"]),
        (invite.clone(), true, &["guests-by-address"]),
        (with(invite, json!({ "context": { "guest": "g@army.example" } })), false, &[]),
    ];
    for (body, allowed, by) in cases {
        let decision = decide(&snapshot, &body).unwrap();
        assert_eq!((decision.allowed, determining(&decision)), (allowed, by.to_vec()), "{body}");
    }
    let nobody = with(read, json!({ "subject": { "id": "linus", "properties": { "mail": REMOVE } } }));
    assert!(!decide(&snapshot, &nobody).unwrap().allowed);
}

#[test]
fn it_is_served() {
    let server = Server::start(common::store("documents"), common::open_limits());
    let body: Value = serde_json::from_str(include_str!("stores/documents/requests/read.json")).unwrap();
    assert_eq!(server.evaluation(&body).json()["decision"], true);
    let removing = with(body, json!({ "action": { "name": "remove" } }));
    let answer = server.evaluation(&removing).json();
    assert_eq!(answer["decision"], false);
    let reasons = json!({ "owner-everything": "The owner of a document may do everything with it." });
    assert_eq!(answer["context"]["reason_user"], reasons);
}

/// What the schema of the built-in store declares is told apart from plain English by its spelling: names with a capital
/// inside, and the names that the document coined.
#[test]
fn nothing_of_the_support_contact_domain_is_in_the_source() {
    let schema = common::built_in().store.files.schema.iter().map(|file| &*file.text).collect::<String>();
    let mut words: Vec<&str> = schema
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| {
            word.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        })
        .collect();
    words.extend(["megaport", "Megaport", "Portal", "Supporter", "Stage::", "managed", "partner", "sales", "pricing"]);
    words.retain(|word| !["appliesTo"].contains(word));
    assert!(words.contains(&"supportContact") && words.len() > 20);
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        for word in &words {
            assert!(!text.contains(word), "`{word}` in {}", file.display());
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}
