//! The commands as a person and a program run them: the real binary, what it prints, and its exit status.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::binary::{PATIENCE, Ran, Serving, command, fed, gatepost, post};
use common::server::exchange;
use common::{copy_of_built_in, enter, folder, with, write};
use gatepost::plugin::PhoneMetadata;
use gatepost::store::{Origin, StoreFiles};
use serde_json::{Value, json};
use tempfile::TempDir;

const COMMANDS: [&str; 7] = ["serve", "check", "fmt", "test", "decide", "init", "token"];

fn empty() -> TempDir {
    TempDir::new().unwrap()
}

/// A folder with the files of a text, in which a line `--- path` begins each.
fn files(text: &str) -> TempDir {
    folder(text.split("--- ").skip(1).map(|file| file.split_once('\n').unwrap()))
}

/// Documents that users read: a store to which a test adds the files that it is about.
fn documents(more: &str) -> TempDir {
    files(&format!("{DOCUMENTS}{more}"))
}

const DOCUMENTS: &str = r#"--- schema/documents.cedarschema
entity User = { age: Long, nick?: String };
entity Doc = { public: Bool };
action read appliesTo { principal: User, resource: Doc };
--- policies/public.cedar
@id("public")
permit (
  principal,
  action == Action::"read",
  resource
)
when { resource.public };
"#;

// Every command

#[test]
fn each_command_has_help_and_it_exits_0() {
    let here = empty();
    let whole = gatepost(here.path(), &["--help"]).with(0).out;
    for name in COMMANDS {
        assert!(whole.contains(&format!("\n  {name} ")), "{name} in {whole}");
        for help in [[name, "--help"], [name, "-h"], ["help", name]] {
            let ran = gatepost(here.path(), &help).with(0);
            assert!(ran.out.contains(&format!("Usage: gatepost {name} ")) && ran.err.is_empty(), "{ran:?}");
        }
    }
    let version = format!("gatepost {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(gatepost(here.path(), &["-V"]).with(0).out, version);
    // "The age is shown": that of the metadata of phone numbers, which goes stale.
    let [metadata, released] = PhoneMetadata::BUILT_IN;
    let version = format!("{version}phone metadata {metadata} of {released} (libphonenumber)\n");
    assert_eq!(gatepost(here.path(), &["--version"]).with(0).out, version);
}

#[test]
fn bad_input_of_every_kind_exits_2_and_says_what_is_wrong() {
    let here = folder([("not-empty/file", ""), ("not-json.json", "{"), ("gatepost.txt", "max-depth = 9999")]);
    let cases: &[(&[&str], &str)] = &[
        (&["prov"], "unrecognized subcommand 'prov'"),
        (&["--stroe", "x"], "unexpected argument '--stroe'"),
        (&["check", "--format", "xml"], "[possible values: text, json]"),
        (&["decide", "one.json", "two.json"], "unexpected argument 'two.json'"),
        (&["init"], "<DIR>"),
        (&["init", "not-empty"], "`not-empty` is not empty"),
        (&["init", "not-json.json"], "`not-json.json` is no folder"),
        (&["check", "--store", "nowhere"], "there is no folder `nowhere`"),
        (&["check", "--store", "not-json.json"], "there is no folder `not-json.json`"),
        (&["fmt", "--store", "nowhere"], "there is no folder `nowhere`"),
        (&["fmt"], "the current folder is no store"),
        (&["test", "--store", "nowhere"], "there is no folder `nowhere`"),
        (&["decide", "--store", "nowhere"], "there is no folder `nowhere`"),
        (&["decide", "nowhere.json"], "`nowhere.json` cannot be read"),
        (&["decide", "not-json.json"], "is not JSON"),
        (&["serve", "--store", "nowhere"], "there is no folder `nowhere`"),
        (&["serve", "--listen", "8180"], "invalid value '8180' for '--listen <ADDR>'"),
        (&["serve", "--listen", "0.0.0.0:0"], "`0.0.0.0:0` can be reached from other machines"),
        (&["serve", "--listen", "[::]:0"], "`[::]:0` can be reached from other machines"),
        (&["serve", "--reasons", "all"], "[possible values: none, user, admin]"),
        (&["serve", "--reasons", "user", "--max-reasons", "none"], "reasons are more than max-reasons allows"),
        (&["serve", "--max-depth", "121"], "max-depth is 121; at most 120 levels are read"),
        (&["check", "--config", "nowhere.toml"], "the settings in `nowhere.toml` cannot be read"),
        (&["serve", "--config", "gatepost.txt"], "max-depth is 9999"),
    ];
    for (arguments, expected) in cases {
        let ran = gatepost(here.path(), arguments).with(2);
        assert!(ran.err.contains(expected), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
    for name in COMMANDS {
        let ran = gatepost(here.path(), &[name, "--bogus"]).with(2);
        assert!(ran.err.contains("unexpected argument '--bogus'"), "{name}: {}", ran.err);
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let notes = initialized();
    let decide = ["decide", "--store", "notes", "notes/requests/read-note.json", "--format", "json"];
    for arguments in [
        ["--help"].as_slice(),
        &["check"],
        &["check", "--format", "json"],
        &["fmt", "--check", "--store", "notes"],
        &["test", "--store", "notes"],
        &["test", "--store", "notes", "--format", "json"],
        &decide[..4],
        &decide,
        &["init", "other"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Ran::new(command(notes.path(), arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap());
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

// check

#[test]
fn check_finds_nothing_in_the_built_in_store() {
    let here = empty();
    let ran = gatepost(here.path(), &["check", "--deny-warnings"]).with(0);
    assert!(ran.out.starts_with("the built-in store: 0 errors, 0 warnings; "), "{}", ran.out);
    let found = gatepost(here.path(), &["check", "--format", "json"]).with(0).json();
    assert_eq!((&found["errors"], &found["warnings"], &found["problems"]), (&json!(0), &json!(0), &json!([])));
    assert!(ran.out.ends_with(&format!("revision {}\n", found["revision"].as_str().unwrap())), "{}", ran.out);
}

/// Errors of types in three files, and warnings.
fn store_with_errors() -> TempDir {
    documents(
        r#"--- policies/a.cedar
@id("typo")
permit (principal is User, action == Action::"read", resource is Doc)
when { resource.pubilc };

@id("unguarded")
permit (principal, action == Action::"read", resource)
when { principal.nick == "ada" };
--- policies/b.cedar
@id("required")
@source("nowhere")
forbid (principal, action == Action::"read", resource)
when { principal has age && principal.age < "old" };
--- matrix/rows.cedar
@table("T") @row("R") @column("C") permit (principal is Usr, action == Action::"read", resource);
--- matrix/clauses.toml
[[clause]]
id = "all"
text = "All is well."
"#,
    )
}

#[test]
fn check_shows_several_errors_at_once_with_file_line_underlined_span_and_help_as_text_and_as_json() {
    let store = store_with_errors();
    let text = gatepost(store.path(), &["check", "--store", "."]).with(1).out;
    insta::assert_snapshot!("check_errors", text);
    let found = gatepost(store.path(), &["check", "--store", ".", "--format", "json"]).with(1).json();
    let problems = found["problems"].as_array().unwrap();
    let first = json!({
        "severity": "error",
        "message": "for policy `typo`, attribute `pubilc` on entity type `Doc` not found",
        "file": "policies/a.cedar",
        "line": 3,
        "column": 8,
        "labels": [{ "offset": 89, "length": 15, "text": null }],
        "help": "did you mean `public`?",
    });
    assert_eq!((&problems[0], &found["revision"]), (&first, &Value::Null));
    for problem in problems {
        let (file, line, column) = (problem["file"].as_str().unwrap(), &problem["line"], &problem["column"]);
        assert!(text.contains(&format!("[{file}:{line}:{column}]")), "{problem}");
    }
    assert!(text.ends_with(&format!("{} errors, {} warnings\n", found["errors"], found["warnings"])), "{text}");
}

#[test]
fn check_shows_colours_only_where_a_terminal_or_the_environment_asks_for_them() {
    let here = files("--- policies/a.cedar\npermit");
    let mut command = command(here.path(), &["check", "--store", "."]);
    assert!(!Ran::new(command.env_remove("NO_COLOR").output().unwrap()).with(1).out.contains('\x1b'));
    assert!(Ran::new(command.env("CLICOLOR_FORCE", "1").output().unwrap()).with(1).out.contains("\x1b["));
}

#[test]
fn check_shows_what_does_not_parse_and_what_does_not_type_check_several_at_once() {
    let store = documents(
        r#"--- policies/a.cedar
permit (principal, action, resource)
when { resource.public = true };
--- policies/b.cedar
permit (principal, action, resource)
--- policies/c.cedar
@id("typo")
permit (principal, action, resource)
when { resource.pubilc };
--- matrix/clauses.toml
[[clause]]
txt = "All is well."
"#,
    );
    let shown = gatepost(store.path(), &["check", "--store", "."]).with(1).out;
    for place in ["policies/a.cedar:2:8", "policies/b.cedar:1:37", "matrix/clauses.toml:2:1", "policies/c.cedar:3:8"] {
        assert!(shown.contains(&format!("[{place}]")), "{place} in {shown}");
    }
}

#[test]
fn check_exits_0_with_warnings_and_1_where_they_are_denied_and_1_for_a_folder_that_is_no_store() {
    let store = documents("");
    let check = ["check", "--store", ".", "--format", "json", "--deny-warnings"];
    for (arguments, status) in [(&check[..5], 0), (&check, 1)] {
        let found = gatepost(store.path(), arguments).with(status).json();
        assert_eq!((&found["errors"], &found["warnings"]), (&json!(0), &json!(2)));
        let messages: Vec<_> = found["problems"].as_array().unwrap().iter().map(|found| &found["message"]).collect();
        assert_eq!(messages, ["the store has no clauses", "the store has no matrix"]);
    }
    let ran = gatepost(empty().path(), &["check", "--store", "."]).with(1);
    assert!(ran.out.contains(". holds no file `schema/*.cedarschema`"), "{}", ran.out);
}

// fmt

const UGLY: &str =
    "// What a reader may.\n\n// Everybody.\n@id(\"all\") permit(principal,action,resource) when{true}; // so\n";
const PRETTY: &str = "// What a reader may.\n\n// Everybody.\n@id(\"all\")\npermit (principal, action, resource)\nwhen { true }; // so\n";

#[test]
fn fmt_names_what_it_would_change_and_then_changes_it() {
    let store = documents(&format!("--- policies/all.cedar\n{UGLY}--- matrix/all.cedar\n{UGLY}"));
    let read = |path: &str| fs::read_to_string(store.path().join(path)).unwrap();
    let named = "policies/all.cedar\nmatrix/all.cedar\n2 files";
    // The current folder is a store, so none need be named.
    let checked = gatepost(store.path(), &["fmt", "--check"]).with(1);
    assert_eq!(checked.out, format!("{named} not formatted\n"));
    assert_eq!([read("policies/all.cedar"), read("matrix/all.cedar")], [UGLY, UGLY]);
    assert_eq!(gatepost(store.path(), &["fmt"]).with(0).out, format!("{named} formatted\n"));
    assert_eq!([read("policies/all.cedar"), read("matrix/all.cedar")], [PRETTY, PRETTY]);
    assert_eq!(gatepost(store.path(), &["fmt", "--check"]).with(0).out, "0 files not formatted\n");
    let files = |name: &str| fs::read_dir(store.path().join(name)).unwrap().count();
    assert_eq!((files("policies"), files("matrix")), (2, 1), "nothing is left beside them");
}

#[test]
fn fmt_writes_nothing_where_a_file_does_not_parse() {
    let store = documents(&format!("--- policies/all.cedar\n{UGLY}--- policies/half.cedar\npermit (principal,"));
    for arguments in [["fmt"].as_slice(), &["fmt", "--check"]] {
        let ran = gatepost(store.path(), arguments).with(2);
        assert!(ran.err.contains("[policies/half.cedar:1:19]"), "{}", ran.err);
        assert_eq!(fs::read_to_string(store.path().join("policies/all.cedar")).unwrap(), UGLY);
    }
}

#[test]
fn fmt_leaves_the_built_in_store_as_it_is() {
    gatepost(copy_of_built_in().path(), &["fmt", "--check"]).with(0);
}

#[test]
fn fmt_keeps_the_heading_of_a_file_whatever_its_line_endings_and_adds_no_empty_lines() {
    for (before, after) in [
        (UGLY.replace('\n', "\r\n"), PRETTY),
        ("// Nothing here yet.\n".to_owned(), "// Nothing here yet.\n"),
        (String::new(), ""),
    ] {
        let store = documents(&format!("--- policies/all.cedar\n{before}"));
        gatepost(store.path(), &["fmt"]).with(0);
        let formatted = fs::read_to_string(store.path().join("policies/all.cedar")).unwrap();
        assert_eq!(formatted.replace('\r', ""), after, "from {before:?}");
    }
}

// test

/// Rows about what is rare in a request; every one fails.
const RARE: &str = r#"--- schema/rare.cedarschema
entity Kind enum ["it's", "a \"quoted\" kind"];
entity User = { age: Long, kind: Kind, manager?: User };
entity Doc = { owner: User, price: decimal, meta: { tag?: String } };
action stop, buy appliesTo { principal: User, resource: Doc };
action pay appliesTo { principal: User, resource: Doc, context: { action: { much: Bool } } };
namespace One { action peek appliesTo { principal: User, resource: Doc }; }
namespace Two { action peek appliesTo { principal: User, resource: Doc }; }
--- policies/rare.cedar
@id("all") permit (principal, action, resource);
@id("over") forbid (principal, action == Action::"stop", resource) when { principal.age + 9223372036854775807 < 0 };
--- matrix/rare.cedar
permit (principal, action == Action::"stop", resource);
forbid (principal, action == Action::"pay", resource) when { context.action.much };
forbid (principal, action == Two::Action::"peek", resource);
forbid (principal, action == Action::"buy", resource) when { resource.owner.kind == Kind::"a \"quoted\" kind" };
forbid (principal, action == Action::"buy", resource) when { resource.price.lessThan(decimal("1.5")) };
forbid (principal, action == Action::"buy", resource) when { resource.meta has tag && resource.meta.tag like "x*" };
forbid (principal, action == Action::"buy", resource) when { resource.owner == User::"u" && User::"u".age > 3 };
forbid (principal, action == Action::"buy", resource)
when { principal has manager && principal.manager has manager && principal.manager.manager.age > 7 };
"#;

/// A store, with what every row says turned into its opposite: so every row fails.
fn turned(origin: &Origin) -> TempDir {
    let files = StoreFiles::read(origin).unwrap();
    // What a cell shows would contradict it.
    let cell = regex::Regex::new(r#"@cell\("[^"]*"\)\s*"#).unwrap();
    folder(files.deciding().map(|file| {
        let (text, is_row) = (cell.replace_all(&file.text, "").into_owned(), file.path.starts_with("matrix/"));
        let turn =
            |text: &str| text.replace("\npermit", "\n<>").replace("\nforbid", "\npermit").replace("\n<>", "\nforbid");
        (file.path.to_string(), if is_row { turn(&text) } else { text })
    }))
}

/// `decide --facts` on a counterexample gives what the row did not want.
fn assert_refutes(folder: &Path, row: &Value, example: &str) {
    let unwanted = if row["must"] == "allow" { (1, "deny") } else { (0, "allow") };
    let ran = fed(folder, &["decide", "--facts", "--store", "."], example);
    assert_eq!(ran.status, Some(unwanted.0), "{row:#}\n{}{}", ran.out, ran.err);
    assert!(ran.out.starts_with(unwanted.1), "{row:#}\n{}", ran.out);
}

#[test]
fn test_finds_that_every_row_of_the_built_in_store_holds() {
    let ran = gatepost(empty().path(), &["test"]).with(0);
    assert!(ran.out.contains("│ Account user, managed, supported by Megaport "), "{}", ran.out);
    assert!(ran.out.trim_end().ends_with(" requests: every one of them holds"), "{}", ran.out);
    // The signs stand in the legend alone.
    assert_eq!((ran.out.matches('✗').count(), ran.out.matches('∅').count()), (1, 1), "{}", ran.out);
}

#[test]
fn test_gives_for_every_row_that_fails_a_request_on_which_decide_decides_otherwise() {
    let unrelated = Origin::Folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/documents"));
    for (store, rows) in [(files(&common::placed(RARE)), 8), (turned(&unrelated), 13), (turned(&Origin::BuiltIn), 118)]
    {
        let found = gatepost(store.path(), &["test", "--store", ".", "--format", "json"]).with(1).json();
        assert_eq!((&found["holds"], found["rows"].as_array().unwrap().len()), (&json!(false), rows));
        for row in found["rows"].as_array().unwrap() {
            assert!(row["holds"] == false && row["failures"].as_u64().unwrap() > 0, "{row:#}");
            assert_refutes(store.path(), row, &row["counterexample"].to_string());
        }
    }
}

/// A row that fails, one that no request matches, one that holds, and cells that no row is about.
fn store_with_a_failing_row() -> TempDir {
    documents(
        r#"--- matrix/rows.cedar
@table("Documents") @row("Public") @column("Read") @cell("Yes")
permit (principal, action == Action::"read", resource) when { resource.public };

@table("Documents") @row("The young") @column("Read a private one") @cell("No")
forbid (principal, action == Action::"read", resource) when { principal.age < 18 && !resource.public };

@table("Documents") @row("The young") @column("Read") @cell("No")
forbid (principal, action == Action::"read", resource) when { principal.age < 18 };

@table("Documents") @row("Nobody") @column("Read")
permit (principal, action == Action::"read", resource) when { principal.age < 18 && principal.age > 20 };
"#,
    )
}

#[test]
fn test_prints_the_table_with_a_mark_in_every_cell_and_the_smallest_failing_request_ready_for_decide() {
    let store = store_with_a_failing_row();
    let ran = gatepost(store.path(), &["test", "--store", "."]).with(1);
    insta::assert_snapshot!("test_failing", ran.out);
    let found = gatepost(store.path(), &["test", "--store", ".", "--format", "json"]).with(1).json();
    let (_, printed) = ran.out.split_once("for `gatepost decide --facts`:\n").unwrap();
    let printed = printed.split("\n\n").next().unwrap();
    let failing = found["rows"].as_array().unwrap().iter().find(|row| row["failures"] != 0).unwrap();
    assert_eq!(serde_json::from_str::<Value>(printed).unwrap(), failing["counterexample"]);
    assert_refutes(store.path(), failing, printed);
    assert_eq!((&failing["file"], &failing["line"]), (&json!("matrix/rows.cedar"), &json!(7)));
    let unmatched = &found["rows"][3];
    assert_eq!((&unmatched["holds"], &unmatched["requests"]), (&json!(false), &json!(0)), "{unmatched:#}");
}

#[test]
fn test_does_not_say_of_all_failing_requests_what_holds_for_one_of_them() {
    let store = documents(
        r#"--- policies/old.cedar
@id("old") forbid (principal, action == Action::"read", resource) when { principal.age > 60 && resource.public };
--- matrix/rows.cedar
@table("T") @row("R") @column("C")
permit (principal, action == Action::"read", resource) when { principal.age > 60 };
"#,
    );
    // The public ones are denied by `old`, the others because nothing permits them.
    let shown = gatepost(store.path(), &["test", "--store", "."]).with(1).out;
    let line = shown.lines().find(|line| line.contains("requests that must be allowed are denied")).unwrap();
    assert!(!line.contains("denied by `old`;") && !line.contains("denied because nothing permits them;"), "{line}");
}

#[test]
fn test_exits_1_where_no_request_matches_a_row_and_2_where_there_is_nothing_to_test() {
    let never = documents(
        "--- matrix/a.cedar\n@table(\"T\") @row(\"R\") @column(\"C\") forbid (principal, action, resource)\nwhen { principal.age < principal.age };\n",
    );
    let unmatched = gatepost(never.path(), &["test", "--store", "."]).with(1);
    assert!(
        unmatched.out.contains("∅ matrix/a.cedar:1 T · R · C\n  no representative request matches"),
        "{}",
        unmatched.out
    );
    for (store, expected) in [(documents(""), ". has no matrix"), (store_with_errors(), "[policies/a.cedar:3:8]")] {
        let ran = gatepost(store.path(), &["test", "--store", "."]).with(2);
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
}

// decide

fn invalid_phone() -> Value {
    with(enter(), json!({ "context": { "phone": "(02) 9374 400" } }))
}

#[test]
fn decide_exits_0_for_an_allow_1_for_a_deny_and_2_for_what_cannot_be_decided() {
    let phone = |facts: Value| with(enter(), json!({ "context": { "phone": facts } }));
    let read = phone(json!({ "valid": true, "e164": "+61293744000", "region": "AU" }));
    let unread = phone(json!({ "valid": false, "e164": "", "region": "" }));
    let unknown = with(enter(), json!({ "action": { "name": "fly" } }));
    let missing = with(enter(), json!({ "resource": { "properties": { "kind": "<remove>" } } }));
    let mistyped = with(enter(), json!({ "resource": { "properties": { "kind": "odd" } } }));
    let cases: [(Value, &[&str], i32, &str); 10] = [
        (enter(), &[], 0, "allow\n  permit `enter-company-admin`\n    Company Admins may enter"),
        (invalid_phone(), &[], 1, "deny\n  forbid `phone-valid-for-billing-market`\n    The phone number is not valid"),
        (unknown, &[], 2, "the schema does not know `fly` as an action, which is `action.name`"),
        (missing, &[], 1, "deny\n  required, but neither sent nor stored: `resource.properties.kind`\n"),
        (mistyped, &[], 2, "`resource.properties.kind` must be the id of a"),
        (json!([]), &[], 2, "must be an object, but is an array"),
        (json!({}), &[], 2, "is missing"),
        (read.clone(), &[], 2, "`context.phone` must be a string, which the plugin phone reads, but is an object"),
        (read, &["--facts"], 0, "allow\n  permit `enter-company-admin`\n"),
        (unread, &["--facts"], 1, "deny\n  forbid `phone-valid-for-billing-market`\n"),
    ];
    let here = empty();
    for (request, arguments, status, expected) in cases {
        let from_input = fed(here.path(), &[&["decide"], arguments].concat(), &request.to_string()).with(status);
        let said = if status == 2 { &from_input.err } else { &from_input.out };
        assert!(said.contains(expected), "{request:#}\n{said}");
        write(here.path(), "request.json", request.to_string().as_bytes());
        let from_file = gatepost(here.path(), &[&["decide", "request.json"], arguments].concat()).with(status);
        assert_eq!((from_file.out, from_file.err), (from_input.out, from_input.err));
        let program =
            fed(here.path(), &[&["decide", "-", "--format", "json"], arguments].concat(), &request.to_string());
        match program.with(status) {
            program if status == 2 => assert_eq!(program.out, ""),
            program => assert_eq!(program.json()["decision"], status == 0),
        }
    }
}

#[test]
fn decide_gives_a_program_the_answer_that_a_caller_gets_with_the_reasons() {
    let answer = fed(empty().path(), &["decide", "--format", "json"], &invalid_phone().to_string()).with(1).json();
    let reason = "The phone number is not valid for the billing market of the account.";
    let by = "phone-valid-for-billing-market";
    assert_eq!(answer["context"]["reason_user"], json!({ by: reason }));
    assert_eq!(answer["context"]["reason_admin"], json!({ by: format!("forbids: {reason} [entry/phone-validated]") }));
}

#[test]
fn decide_and_test_know_what_is_stored_of_an_entity_that_only_a_policy_or_a_row_names() {
    let store = documents(
        r#"--- schema/config.cedarschema
entity Config = { locked?: Bool };
--- policies/config.cedar
@id("locked") forbid (principal, action, resource) when { Config::"c" has locked };
--- matrix/rows.cedar
@table("T") @row("R") @column("C")
permit (principal, action, resource) when { Config::"c" has locked && resource.public };
--- entities/config.json
[{ "uid": { "type": "Config", "id": "c" }, "attrs": { "locked": true }, "parents": [] }]
"#,
    );
    let request = json!({
        "subject": { "type": "User", "id": "ada", "properties": { "age": 36 } },
        "action": { "name": "read" },
        "resource": { "type": "Doc", "id": "1", "properties": { "public": true } },
    });
    let ran = fed(store.path(), &["decide", "--store", "."], &request.to_string()).with(1);
    assert!(ran.out.contains("forbid `locked`"), "{}", ran.out);
    let found = gatepost(store.path(), &["test", "--store", ".", "--format", "json"]).with(1).json();
    let row = &found["rows"][0];
    assert!(row["failures"].as_u64().unwrap() > 0, "{row:#}");
    assert_refutes(store.path(), row, &row["counterexample"].to_string());
}

// init

fn initialized() -> TempDir {
    let here = empty();
    gatepost(here.path(), &["init", "notes"]).with(0);
    here
}

/// Makes a store in a folder of that name, and runs in a shell every command that `init` prints but `serve`.
fn run_what_init_prints(name: &str) {
    let here = empty();
    let printed = gatepost(here.path(), &["init", name]).with(0).out;
    let commands: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("  gatepost ")).collect();
    let names: Vec<&str> = commands.iter().filter_map(|command| command.split(' ').next()).collect();
    assert_eq!(names, ["check", "test", "decide", "serve"], "{printed}");
    for line in commands.iter().filter(|line| !line.starts_with("serve")) {
        let mut shell = Command::new("sh");
        let script = format!("\"$0\" {line}");
        let ran = shell.args(["-c", &script, env!("CARGO_BIN_EXE_gatepost")]).current_dir(here.path()).output();
        Ran::new(ran.unwrap()).with(0);
    }
}

#[test]
fn init_makes_a_working_store_and_prints_the_commands_to_try() {
    run_what_init_prints("notes");
    let here = initialized();
    for arguments in [
        ["check", "--deny-warnings", "--store", "notes"].as_slice(),
        &["fmt", "--check", "--store", "notes"],
        &["test", "--store", "notes"],
    ] {
        gatepost(here.path(), arguments).with(0);
    }
    for request in fs::read_dir(here.path().join("notes/requests")).unwrap() {
        gatepost(here.path(), &["decide", "--store", "notes", request.unwrap().path().to_str().unwrap()]).with(0);
    }
}

#[test]
fn init_prints_commands_that_can_be_pasted_whatever_the_folder_is_called() {
    run_what_init_prints("my notes");
}

#[test]
fn init_leaves_a_folder_alone_that_is_not_empty() {
    let here = folder([("notes/policies/mine.cedar", "mine")]);
    gatepost(here.path(), &["init", "notes"]).with(2);
    let names = |path: &str| -> Vec<_> {
        fs::read_dir(here.path().join(path)).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!((names("notes"), names("notes/policies")), (vec!["policies".into()], vec!["mine.cedar".into()]));
    assert_eq!(fs::read_to_string(here.path().join("notes/policies/mine.cedar")).unwrap(), "mine");
}

// serve

const ANY_PORT: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

#[test]
fn serve_prints_its_real_address_and_a_request_that_can_be_pasted_and_is_allowed() {
    let notes = initialized();
    let quoted = files(&common::placed(RARE));
    let cases: [(&Path, &[&str], Option<bool>); 3] = [
        (notes.path(), &[], Some(true)),
        (notes.path(), &["--store", "notes"], Some(true)),
        // It comes without a request to try: one is made up, whose values a shell could misread.
        (quoted.path(), &["--store", "."], None),
    ];
    for (here, arguments, decision) in cases {
        let serving = Serving::start(&mut command(here, &[&ANY_PORT, arguments].concat()));
        assert!(
            serving.address().starts_with("127.0.0.1:") && !serving.address().ends_with(":0"),
            "{}",
            serving.banner
        );
        let curl = serving.curl();
        let [_, url, _, header, _, body] = curl.as_slice() else { panic!("{curl:?}") };
        assert_eq!(*url, format!("http://{}/access/v1/evaluation", serving.address()));
        let (name, content_type) = header.split_once(": ").unwrap();
        assert_eq!(name.to_lowercase(), "content-type");
        let (status, answer) = post(url, content_type, body);
        assert!(status == 200 && answer["decision"].is_boolean(), "{body}\n{status} {answer}");
        assert!(decision.is_none_or(|decision| answer["decision"] == decision), "{body}\n{answer}");
    }
}

#[test]
fn serve_binds_127_0_0_1_8180_and_refuses_with_a_clear_message_where_the_port_is_taken() {
    // Where this fails, another process has the port, which is as good.
    let _holder = TcpListener::bind("127.0.0.1:8180");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 3] =
        [(&[], "127.0.0.1:8180"), (&["serve"], "127.0.0.1:8180"), (&["serve", "--listen", &address], &address)];
    for (arguments, address) in cases {
        let ran = gatepost(empty().path(), arguments).with(2);
        assert!(ran.err.contains(&format!("`{address}` is taken by another process")), "{}", ran.err);
        assert!(ran.err.contains("choose another address with `--listen`"), "{}", ran.err);
        assert_eq!(ran.out, "", "nothing says that it listens");
    }
}

#[test]
fn told_to_stop_it_takes_no_new_connections_finishes_running_requests_and_exits_0() {
    for signal in ["TERM", "INT"] {
        let serving = Serving::start(&mut command(empty().path(), &ANY_PORT));
        let address = serving.address().to_owned();
        // A connection that is kept alive, and waits for nothing.
        let mut idle = TcpStream::connect(&address).unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
        // Half a request. `100 Continue` says that the service waits for the rest of it.
        let body = enter().to_string();
        let mut running = TcpStream::connect(&address).unwrap();
        running.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nexpect: 100-continue\r\n\r\n",
            body.len()
        );
        running.write_all(head.as_bytes()).unwrap();
        let mut interim = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        running.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        let (first, rest) = body.as_bytes().split_at(body.len() / 2);
        running.write_all(first).unwrap();

        let told = Instant::now();
        serving.signal(signal);
        while TcpStream::connect(&address).is_ok() {
            assert!(told.elapsed() < PATIENCE, "it still takes connections");
            std::thread::yield_now();
        }
        let answer = exchange(running, rest);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(r#""decision":true"#), "{answer}");
        assert_eq!(serving.end(), (Some(0), String::new()), "{signal}");
        assert!(told.elapsed() < PATIENCE, "it waited for a connection that waits for nothing");
    }
}

// The configuration

#[test]
fn a_flag_goes_before_the_environment_that_before_gatepost_toml_and_that_before_the_default() {
    let here = empty();
    for name in ["flag", "environment", "file"] {
        gatepost(here.path(), &["init", name]).with(0);
    }
    let checked = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = command(here.path(), &[&["check"], arguments].concat());
        let ran = Ran::new(command.envs(environment.iter().copied()).output().unwrap()).with(0);
        ran.out.split(": ").next().unwrap().to_owned()
    };
    let (flag, environment) = (["--store", "flag"].as_slice(), [("GATEPOST_STORE", "environment")].as_slice());
    assert_eq!(checked(&[], &[]), "the built-in store");
    write(here.path(), "gatepost.toml", b"store = \"file\"\n");
    assert_eq!(checked(&[], &[]), "file");
    assert_eq!(checked(&[], environment), "environment");
    assert_eq!(checked(flag, environment), "flag");
    // A file that is named takes the place of the one that lies here; its paths are meant from where it lies.
    write(here.path(), "etc/other.toml", b"store = \"../flag\"\n");
    for (arguments, environment) in
        [(["--config", "etc/other.toml"].as_slice(), [].as_slice()), (&[], &[("GATEPOST_CONFIG", "etc/other.toml")])]
    {
        assert_eq!(checked(arguments, environment), "etc/../flag");
    }
}

#[test]
fn every_setting_can_be_a_flag_in_the_environment_and_in_gatepost_toml() {
    let settings = [
        ("listen", "127.0.0.1:0"),
        ("reasons", "admin"),
        ("max-reasons", "admin"),
        ("max-body-bytes", "3000"),
        ("max-batch-items", "2"),
        ("max-depth", "9"),
    ];
    let plain = with(enter(), json!({ "options": "<remove>" }));
    let long = with(plain.clone(), json!({ "context": { "note": "x".repeat(3000) } }));
    let batch = with(plain.clone(), json!({ "evaluations": [{}, {}, {}] }));
    let deep = with(plain.clone(), json!({ "context": { "note": [[[[[[[[[]]]]]]]]] } }));
    for way in ["none", "flag", "environment", "gatepost.toml"] {
        let here = empty();
        let mut command = command(here.path(), if way == "none" { &ANY_PORT } else { &["serve"] });
        let mut file = String::new();
        for (name, value) in settings {
            let quote = if value.parse::<u32>().is_ok() { "" } else { "\"" };
            match way {
                "flag" => _ = command.args([&format!("--{name}"), value]),
                "environment" => {
                    command.env(format!("GATEPOST_{}", name.replace('-', "_").to_uppercase()), value);
                }
                "gatepost.toml" => file += &format!("{name} = {quote}{value}{quote}\n"),
                _ => {}
            }
        }
        write(here.path(), "gatepost.toml", file.as_bytes());
        let serving = Serving::start(&mut command);
        let set = way != "none";
        let refused = |status| if set { status } else { 200 };
        let (status, answer) = serving.post("/access/v1/evaluation", &plain);
        assert_eq!((status, answer["context"]["reason_admin"].is_object()), (200, set), "{way}: {answer}");
        assert_eq!(serving.post("/access/v1/evaluation", &long).0, refused(413), "{way}");
        assert_eq!(serving.post("/access/v1/evaluations", &batch).0, refused(400), "{way}");
        assert_eq!(serving.post("/access/v1/evaluation", &deep).0, refused(400), "{way}");
    }
}

#[test]
fn a_mistake_in_gatepost_toml_exits_2_and_shows_its_place() {
    for (text, message, place) in [
        ("# mine\nstor = \"x\"\n", "there is no setting `stor`", "2:1"),
        ("max-depth = \"deep\"\n", "a count is a whole number", "1:13"),
        ("max-body-bytes = -1\n", "a size is a number of bytes", "1:18"),
        ("listen = \"8180\"\n", "invalid socket address syntax", "1:10"),
        ("reasons = \"all\"\n", "unknown variant `all`, expected one of `none`, `user`, `admin`", "1:11"),
        ("store = 1\n", "invalid type: integer `1`", "1:9"),
        ("store = \n", "string values must be quoted", "1:9"),
    ] {
        let here = folder([("gatepost.toml", text)]);
        for command in ["check", "serve"] {
            let ran = gatepost(here.path(), &[command]).with(2);
            assert!(ran.err.contains(message), "{message} in {}", ran.err);
            assert!(ran.err.contains(&format!("[gatepost.toml:{place}]")), "{place} in {}", ran.err);
        }
    }
}
