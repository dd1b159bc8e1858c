//! "Messages that a plausible mistake meets": each says what is wrong, where, and what was probably meant.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::binary::{Ran, Serving, command, fed, gatepost};
use common::folder;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with the store that `gatepost init` makes, `store`.
fn here() -> TempDir {
    let here = TempDir::new().unwrap();
    gatepost(here.path(), &["init", "store"]).with(0);
    here
}

/// The same, with a change to one of its files.
fn changed(path: &str, from: &str, to: &str) -> TempDir {
    let here = here();
    change(here.path(), path, from, to);
    here
}

fn change(here: &Path, path: &str, from: &str, to: &str) {
    let path = here.join("store").join(path);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn check(here: &TempDir, status: i32) -> Vec<Value> {
    let ran = gatepost(here.path(), &["check", "--store", "store", "--format", "json"]).with(status);
    ran.json()["problems"].as_array().unwrap().clone()
}

/// The messages of problems, each with what to do.
fn told(problems: &[Value]) -> Vec<(&str, &str)> {
    problems
        .iter()
        .map(|problem| (problem["message"].as_str().unwrap(), problem["help"].as_str().unwrap_or_default()))
        .collect()
}

// Files that are none

/// "Opening anything but regular files is refused everywhere": nothing waits for a pipe.
#[test]
fn every_command_refuses_a_named_pipe_for_a_file() {
    let here = here();
    assert!(Command::new("mkfifo").arg(here.path().join("pipe")).status().unwrap().success());
    gatepost(here.path(), &["token", "portal"]).with(0);
    let cases: &[&[&str]] = &[
        &["check", "--config", "pipe"],
        &["test", "--store", "store", "--entities", "pipe"],
        &["check", "--store", "store", "--require-signed", "pipe"],
        &["serve", "--token-file", "pipe"],
        &["serve", "--tls-cert", "pipe", "--tls-key", "pipe"],
        &["serve", "--admin-listen", "127.0.0.1:0", "--admin-token-file", "pipe"],
        &["serve", "--page-key", "pipe"],
        &["serve", "--listen", "127.0.0.1:0", "--log", "log", "--log-mask-key", "pipe"],
        &["serve", "--listen", "127.0.0.1:0", "--log", "log", "--log-signing-key", "pipe"],
        &["status", "--token", "pipe"],
        &["status", "--url", "https://127.0.0.1:1", "--cacert", "pipe"],
        &["replay", "pipe"],
        &["prove", "--store", "store", "--invariant", "pipe"],
        &["sign", "--store", "store", "--key", "pipe"],
    ];
    for arguments in cases {
        let ran = within_time(here.path(), arguments).with(2);
        assert!(ran.err.contains("it is a named pipe, and no regular file"), "{arguments:?}: {}", ran.err);
    }
    // What is there in the place of the settings is not passed over.
    fs::rename(here.path().join("pipe"), here.path().join("gatepost.toml")).unwrap();
    let ran = within_time(here.path(), &["check"]).with(2);
    assert!(ran.err.contains("the settings in `gatepost.toml` cannot be read: it is a named pipe"), "{}", ran.err);
}

/// A log whose files are pipes is neither written, nor read, nor verified, and nobody waits.
#[test]
fn a_log_of_named_pipes_is_refused() {
    for name in ["0000000001.jsonl", "0000000001.jsonl.gz", "head.json", "lock"] {
        let here = folder([("log/README", "")]);
        assert!(Command::new("mkfifo").arg(here.path().join("log").join(name)).status().unwrap().success());
        let ran = within_time(here.path(), &["serve", "--listen", "127.0.0.1:0", "--log", "log"]).with(2);
        assert!(ran.err.contains("it is a named pipe, and no regular file"), "{name}: {}", ran.err);
        within_time(here.path(), &["log", "verify", "log"]);
        within_time(here.path(), &["replay", "log"]).with(2);
    }
}

/// Killed where it waits: a test must not wait for ever.
fn within_time(folder: &Path, arguments: &[&str]) -> Ran {
    let mut timed = Command::new("timeout");
    let own = command(folder, arguments);
    timed.arg("20").arg(own.get_program()).args(own.get_args()).current_dir(folder);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    Ran::new(timed.output().unwrap())
}

// Policies

/// "`context has req.c` gets the right advice."
#[test]
fn a_has_that_goes_through_what_is_required_is_told_what_to_write() {
    let schema = "entity U; entity D; action read appliesTo { principal: U, resource: D, context: { req: { c?: Long, d?: { e?: Long } }, all: Long } };";
    for (condition, advice) in [
        ("context has req.c", "write `context.req has c`: "),
        ("context has req.d.e", "write `context.req has d.e`: "),
        ("context has req", "remove the test: "),
        ("context has all", "remove the test: "),
    ] {
        let here = folder([
            ("store/schema/s.cedarschema", schema.to_owned()),
            (
                "store/policies/p.cedar",
                format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};"),
            ),
        ]);
        let problems = check(&here, 1);
        let found = told(&problems);
        let (message, help) = found.iter().find(|(message, _)| message.contains("asks for a required")).unwrap();
        assert!(help.starts_with(advice), "{condition}: {message}: {help}");
        if advice.starts_with("write") {
            let written = advice.split('`').nth(1).unwrap();
            change(here.path(), "policies/p.cedar", condition, written);
            check(&here, 0);
        }
    }
}

/// "An action's typo in a policy (cause before consequences)": that such a policy never applies follows from it, and is not said.
#[test]
fn a_name_that_the_schema_does_not_know_is_told_without_what_follows_from_it() {
    let one = r#"action == Action::"read""#;
    let several = r#"action in [Action::"read", Action::"write"]"#;
    for (path, from, to, message, help) in [
        (
            "policies/notes.cedar",
            one,
            r#"action == Action::"raed""#,
            r#"for policy `public`, unrecognized action `Action::"raed"`"#,
            r#"did you mean `Action::"read"`?"#,
        ),
        (
            "policies/notes.cedar",
            several,
            r#"action in [Action::"read", Action::"wriet"]"#,
            r#"for policy `owner`, unrecognized action `Action::"wriet"`"#,
            r#"did you mean `Action::"write"`?"#,
        ),
        (
            "policies/notes.cedar",
            "principal is Person",
            "principal is Persn",
            "for policy `owner`, unrecognized entity type `Persn`",
            "did you mean `Person`?",
        ),
        (
            "matrix/notes.cedar",
            one,
            r#"action == Action::"raed""#,
            r#"in the row `Who may do what with a note · Its owner · Read`, unrecognized action `Action::"raed"`"#,
            r#"did you mean `Action::"read"`?"#,
        ),
    ] {
        let here = changed(path, from, to);
        let problems = check(&here, 1);
        assert_eq!(told(&problems), [(message, help)]);
    }
}

/// "A policy that can never apply (say which types the action takes)."
#[test]
fn a_policy_that_can_never_apply_is_told_with_what_its_actions_take() {
    let takes = r#"`Action::"read"` takes a principal `Person` and a resource `Note`"#;
    let both = format!(r#"{takes}; `Action::"write"` takes a principal `Person` and a resource `Note`"#);
    let here = changed("policies/notes.cedar", "resource is Note", "resource is Person");
    let problems = check(&here, 0);
    let message =
        "the policy `owner` can never apply: none of its actions takes a principal `Person` and a resource `Person`";
    assert_eq!(told(&problems), [(message, both.as_str())]);
    let here = changed("matrix/notes.cedar", "principal is Person", "principal is Note");
    let problems = check(&here, 0);
    let message = r#"the row `Who may do what with a note · Its owner · Read` can never apply: `Action::"read"` does not take a principal `Note` and a resource `Note`"#;
    assert_eq!(told(&problems), [(message, takes)]);
    // What is impossible for another reason is told as before.
    let here = changed("policies/notes.cedar", "resource.public", "resource.public && !resource.public");
    let problems = check(&here, 0);
    assert!(told(&problems).iter().all(|(message, _)| !message.contains("can never apply")), "{problems:?}");
}

// The matrix and its clauses

/// "Clause typos (did you mean)", and "rows called by table · row · column".
#[test]
fn a_clause_that_there_is_not_is_told_with_the_one_that_was_meant() {
    let cited = [
        ("policies/notes.cedar", "shared"),
        (
            "matrix/notes.cedar",
            "Who may do what with a note · Somebody with an address in the domain that it is shared with · Read",
        ),
    ];
    for (path, name) in cited {
        let here = changed(path, r#"@source("shared")"#, r#"@source("shard")"#);
        let problems = check(&here, 1);
        let message = format!("`{name}` cites the clause `shard`, which does not exist");
        assert!(
            told(&problems)
                .contains(&(message.as_str(), "did you mean `shared`? the clauses stand in matrix/clauses.toml")),
            "{problems:?}"
        );
    }
    let here = changed("matrix/notes.cedar", r#"@source("owner")"#, "");
    let problems = check(&here, 0);
    assert_eq!(told(&problems)[0].0, "`Who may do what with a note · Its owner · Read` cites no clause");
    let here = changed("matrix/clauses.toml", "text = ", "txet = ");
    let problems = check(&here, 1);
    let (message, help) = told(&problems)[0];
    assert_eq!(message, "there is no member `txet`");
    assert!(help.starts_with("did you mean `text`? the file holds"), "{help}");
}

/// Rows are called as their reviewer knows them where coverage names them too.
#[test]
fn coverage_names_rows_by_their_places() {
    let here = here();
    let told = gatepost(here.path(), &["test", "--coverage", "--store", "store"]).with(0).out;
    let (_, coverage) = told.split_once("What decided").unwrap();
    assert!(coverage.contains("Its owner · Read") && !coverage.contains("notes:"), "{coverage}");
}

/// "Both places of a duplicate clause"; and of a policy's id.
#[test]
fn what_stands_twice_is_shown_at_both_places() {
    let clause = "\n[[clause]]\nid = \"owner\"\ntext = \"Again.\"\n";
    let policy = "\n@id(\"owner\")\npermit (principal is Person, action == Action::\"read\", resource is Note);\n";
    for (path, more, message) in [
        ("matrix/clauses.toml", clause, "the clause `owner` stands twice"),
        ("policies/notes.cedar", policy, "the id `owner` is used twice"),
    ] {
        let here = here();
        let path = here.path().join("store").join(path);
        let text = fs::read_to_string(&path).unwrap() + more;
        fs::write(&path, &text).unwrap();
        let problems = check(&here, 1);
        assert_eq!(told(&problems)[0].0, message);
        let labels = problems[0]["labels"].as_array().unwrap();
        let places: Vec<usize> = text.match_indices("\"owner\"").map(|(place, _)| place).collect();
        let [first, .., last] = places.as_slice() else { panic!("{text}") };
        let shown =
            |label: &Value| (label["offset"].as_u64().unwrap() as usize, label["text"].as_str().unwrap().to_owned());
        let mut shown: Vec<_> = labels.iter().map(shown).collect();
        shown.sort();
        assert_eq!(shown, [(*first, "first".to_owned()), (*last, "again".to_owned())], "{problems:?}");
    }
}

// Requests and entities

fn request(here: &TempDir) -> Value {
    let text = fs::read_to_string(here.path().join("store/requests/read-note.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// "`decide` with unknown names (name, nearest suggestion, exit 2)."
#[test]
fn decide_names_what_the_schema_does_not_know_and_what_was_meant() {
    let here = here();
    for (pointer, name, expected) in [
        (
            "/action/name",
            "raed",
            "the schema does not know `raed` as an action, which is `action.name`; did you mean `read`?",
        ),
        (
            "/subject/type",
            "Persn",
            "the schema does not know `Persn` as an entity type, which is `subject.type`; did you mean `Person`?",
        ),
        (
            "/resource/type",
            "Nte",
            "the schema does not know `Nte` as an entity type, which is `resource.type`; did you mean `Note`?",
        ),
    ] {
        let mut request = request(&here);
        *request.pointer_mut(pointer).unwrap() = name.into();
        for more in [&[][..], &["--explain"], &["--format", "json"]] {
            let ran = fed(here.path(), &[&["decide", "--store", "store"], more].concat(), &request.to_string()).with(2);
            assert!(ran.err.replace("\n  │ ", " ").contains(expected) && ran.out.is_empty(), "{ran:?}");
        }
    }
    // An action that is there, but not for these types, is denied, as a service denies it.
    let mut request = request(&here);
    request["resource"]["type"] = "Person".into();
    let ran = fed(here.path(), &["decide", "--store", "store"], &request.to_string()).with(1);
    let expected = "deny\n  the action `read` does not apply to a subject `Person` and a resource `Person`\n  it takes a subject `Person` and a resource `Note`\n";
    assert!(ran.out.starts_with(expected), "{}", ran.out);
}

/// "JSON syntax in entities and requests files (a snippet with the place)."
#[test]
fn what_is_no_json_is_shown_where_it_stands() {
    let here = here();
    let entities =
        "[\n  { \"uid\": { \"type\": \"Person\", \"id\": \"x\" },\n    \"attrs\": { \"email\": \"a@b.c\" },\n  }\n]\n";
    let wrong = "{\n  \"subject\": { \"type\": \"Person\", }\n}\n";
    fs::write(here.path().join("entities.json"), entities).unwrap();
    fs::write(here.path().join("wrong.json"), wrong).unwrap();
    let ran = gatepost(here.path(), &["test", "--store", "store", "--entities", "entities.json"]).with(2);
    assert!(ran.err.contains("the file is not JSON: trailing comma\n   ╭─[entities.json:4:3]\n"), "{}", ran.err);
    let ran = gatepost(here.path(), &["decide", "--store", "store", "wrong.json"]).with(2);
    assert!(ran.err.contains("the request is not JSON: trailing comma\n   ╭─[wrong.json:2:34]\n"), "{}", ran.err);
    let ran = fed(here.path(), &["decide", "--store", "store"], wrong).with(2);
    assert!(ran.err.contains("[standard input:2:34]"), "{}", ran.err);
    let cut = fed(here.path(), &["decide", "--store", "store"], "{ \"subject\":").with(2);
    assert!(cut.err.contains("EOF") && cut.err.contains("[standard input:1:"), "{}", cut.err);
    // A request to try decides nothing, and is told of all the same.
    fs::copy(here.path().join("wrong.json"), here.path().join("store/requests/wrong.json")).unwrap();
    let problems = check(&here, 0);
    assert!(told(&problems)[0].0.starts_with("the request is not JSON"), "{problems:?}");
    assert_eq!((&problems[0]["severity"], &problems[0]["line"]), (&json!("warning"), &json!(2)));
    // One long line for everything is not shown.
    fs::write(here.path().join("entities.json"), format!("[{},]", " ".repeat(1000))).unwrap();
    let ran = gatepost(here.path(), &["test", "--store", "store", "--entities", "entities.json"]).with(2);
    assert!(ran.err.contains("at line 1 column 1002") && !ran.err.contains("╭─"), "{}", ran.err);
}

/// "Counterexamples such as `\"address\": \"\"` said in words as well"; and what is printed can be pasted.
#[test]
fn a_counterexample_is_said_in_words_and_can_be_pasted_wherever_it_is_shown() {
    let here = changed("policies/notes.cedar", "principal.email.valid &&", "");
    let said = r#"Person "person-1" (email.address is an empty text, "#;
    let pasted = |shown: &str| {
        let (_, rest) = shown.split_once("for `gatepost decide --facts`").unwrap();
        let start = rest.find("\n{").unwrap();
        let mut values = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>();
        let request = values.next().unwrap().unwrap_or_else(|error| panic!("{error}: {shown}"));
        fed(here.path(), &["decide", "--facts", "--store", "store"], &request.to_string()).with(0);
    };
    let tested = gatepost(here.path(), &["test", "--store", "store"]).with(1).out;
    assert!(tested.contains(said), "{tested}");
    pasted(&tested);
    // Where a service begins that would reject it, the sentences are broken into lines, but not the request.
    let refused =
        gatepost(here.path(), &["serve", "--listen", "127.0.0.1:0", "--store", "store", "--watch"]).with(2).err;
    let in_one_line = refused.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    assert!(in_one_line.contains(said.trim_end()), "{refused}");
    pasted(&refused);
}

// Settings

/// "Human sizes and durations in all settings; a plain number as before."
#[test]
fn sizes_and_times_are_read_as_a_person_writes_them_in_every_setting() {
    let sizes = ["max-body-bytes", "log-queue-bytes", "log-segment-bytes"];
    let times = ["header-timeout", "idle-timeout", "body-timeout"];
    let here = here();
    let check = |status: i32, arguments: &[&str], variable: Option<(&str, &str)>| {
        let mut ran = command(here.path(), &[&["check", "--store", "store"], arguments].concat());
        ran.envs(variable);
        Ran::new(ran.output().unwrap()).with(status)
    };
    let all = sizes.map(|name| (name, ["1MB", "512 KiB", "1048576"], "1mb", "`1MB`"));
    let all = all.into_iter().chain(times.map(|name| (name, ["30s", "250ms", "5"], "5x", "`30s`")));
    for (name, good, bad, expected) in all {
        let variable = format!("GATEPOST_{}", name.replace('-', "_").to_uppercase());
        for value in good {
            check(0, &[&format!("--{name}"), value], None);
            check(0, &[], Some((&variable, value)));
            let quoted = if value.parse::<u64>().is_ok() { value.to_owned() } else { format!("\"{value}\"") };
            fs::write(here.path().join("gatepost.toml"), format!("{name} = {quoted}\n")).unwrap();
            check(0, &[], None);
            fs::remove_file(here.path().join("gatepost.toml")).unwrap();
        }
        assert!(check(2, &[&format!("--{name}"), bad], None).err.contains(expected));
        fs::write(here.path().join("gatepost.toml"), format!("{name} = \"{bad}\"\n")).unwrap();
        let err = check(2, &[], None).err;
        assert!(err.contains(expected) && err.contains("gatepost.toml:1:") && !err.contains("usize"), "{err}");
        fs::remove_file(here.path().join("gatepost.toml")).unwrap();
    }
    // They mean what they say.
    for (size, status) in [("100B", 413), ("1kB", 200)] {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--store", "store", "--max-body-bytes", size];
        let serving = Serving::start(&mut command(here.path(), &arguments));
        assert_eq!(serving.post("/access/v1/evaluation", &request(&here)).0, status, "{size}");
    }
    // A setting that is a count says so, and not by the names of types.
    let counted = check(2, &["--max-batch-items", "1k"], None).err;
    assert!(counted.contains("a count is a whole number"), "{counted}");
    check(0, &["--log-keep-age", "90d", "--log-segment-age", "500ms"], None);
    assert!(check(2, &["--log-keep-age", "90"], None).err.contains("an age is"), "a plain number as before");
}

/// "Unknown settings in gatepost.toml (errors, did you mean; but keys of other commands in gatepost.toml are still read)."
#[test]
fn a_setting_that_there_is_not_is_an_error_that_says_which_was_meant() {
    let here = here();
    let check = |text: &str, status: i32| {
        fs::write(here.path().join("gatepost.toml"), text).unwrap();
        gatepost(here.path(), &["check"]).with(status)
    };
    for (key, meant) in [
        ("stroe", "did you mean `store`?"),
        ("max_depth", "did you mean `max-depth`?"),
        ("log-segment-byte", "did you mean `log-segment-bytes`?"),
    ] {
        let err = check(&format!("store = \"store\"\n{key} = 3\n"), 2).err;
        assert!(err.contains(&format!("there is no setting `{key}`")) && err.contains(meant), "{err}");
        assert!(err.contains("gatepost.toml:2:1") && !err.contains("expected one of"), "{err}");
    }
    let err = check("quite-something-else = 1\n", 2).err;
    assert!(err.contains("there is no setting `quite-something-else`") && !err.contains("did you mean"), "{err}");
    assert!(check("max-batch-items = true\n", 2).err.contains("expected a number"));
    // Those of the service are read by every command.
    check("store = \"store\"\nlisten = \"127.0.0.1:1\"\nlog = \"log\"\nwatch = true\n", 0);
}

/// "Unknown `GATEPOST_` environment variables (warnings, with did you mean; those of Kubernetes' service links nothing)."
#[test]
fn a_variable_that_nothing_reads_is_told_of_and_what_kubernetes_sets_is_not() {
    let here = here();
    let check = |name: &str, value: &str| {
        let mut ran = command(here.path(), &["check", "--store", "store"]);
        Ran::new(ran.env(name, value).output().unwrap()).with(0).err
    };
    let told = check("GATEPOST_STROE", "x");
    assert!(
        told.contains("nothing reads the variable `GATEPOST_STROE`") && told.contains("did you mean `GATEPOST_STORE`?"),
        "{told}"
    );
    assert!(check("GATEPOST_MAX_BODY_BYTE", "1").contains("did you mean `GATEPOST_MAX_BODY_BYTES`?"));
    assert!(check("GATEPOST_PORT", "8180").contains("nothing reads the variable `GATEPOST_PORT`"));
    for (name, value) in [
        ("GATEPOST_PORT", "tcp://10.0.0.11:8180"),
        ("GATEPOST_SERVICE_HOST", "10.0.0.11"),
        ("GATEPOST_SERVICE_PORT", "8180"),
        ("GATEPOST_PORT_80_TCP", "tcp://10.0.0.11:80"),
        ("GATEPOST_PORT_80_TCP_ADDR", "10.0.0.11"),
        ("GATEPOST_TOKEN", "t"),
        ("GATEPOST_LISTEN", "127.0.0.1:1"),
    ] {
        assert_eq!(check(name, value), "", "{name}");
    }
    // A service says it too, and in its own form.
    let mut serve =
        command(here.path(), &["serve", "--listen", "127.0.0.1:0", "--store", "store", "--diagnostic-format", "json"]);
    let serving = Serving::start(serve.env("GATEPOST_LISTN", "x"));
    serving.signal("TERM");
    let (status, said) = serving.end();
    let event: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!((status, &event["help"]), (Some(0), &json!("did you mean `GATEPOST_LISTEN`?")), "{said}");
}
