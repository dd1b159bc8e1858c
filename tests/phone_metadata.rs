//! "`--phone-metadata FILE` takes newer data in the library's own format without a new binary and is part of the revision and of what is signed";
//! "the age is shown"; "the first number of a process does not take 69 ms".

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::binary::{Ran, Serving, command, gatepost};
use common::server::{Answer, Client};
use common::{keys, write};
use gatepost::plugin::PhoneMetadata;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::TlsConfig;

/// A store by which whoever says a phone number of Australia may call.
const STORE: [(&str, &str); 5] = [
    (
        "store/schema/calls.cedarschema",
        "@parsed_by(\"phone\") type Phone = { valid: Bool, e164: String, region: String };\n\
         entity User;\nentity Line = { country: String };\n\
         action call appliesTo { principal: User, resource: Line, context: { @market(\"resource.country\") phone: Phone } };\n",
    ),
    (
        "store/policies/calls.cedar",
        "@id(\"called\")\n@source(\"who/calls\")\npermit (principal, action == Action::\"call\", resource) when { context.phone.valid };\n",
    ),
    (
        "store/matrix/calls.cedar",
        "@id(\"calls\")\n@table(\"Calls\")\n@row(\"A number that is valid\")\n@column(\"Call\")\n@source(\"who/calls\")\npermit (principal is User, action == Action::\"call\", resource is Line)\n\
         when { context.phone.valid };\n\n\
         @id(\"none\")\n@table(\"Calls\")\n@row(\"Another\")\n@column(\"Call\")\n@source(\"who/calls\")\nforbid (principal is User, action == Action::\"call\", resource is Line)\n\
         unless { context.phone.valid };\n",
    ),
    (
        "store/matrix/clauses.toml",
        "title = \"Calls\"\n\n[[clause]]\nid = \"who/calls\"\ntext = \"A number is called.\"\n",
    ),
    ("store/entities/lines.json", "[]"),
];

/// Metadata by which Australia has mobile numbers alone: all of nine digits that begin so.
fn metadata(begin: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<phoneNumberMetadata version=\"9.1.0\" released=\"2027-01-15\">\n<territories>\n\
         <territory id=\"AU\" countryCode=\"61\" internationalPrefix=\"0011\" nationalPrefix=\"0\">\n\
         <generalDesc><nationalNumberPattern>\\d{{9}}</nationalNumberPattern></generalDesc>\n\
         <mobile><possibleLengths national=\"9\"/><nationalNumberPattern>{begin}\\d{{8}}</nationalNumberPattern></mobile>\n\
         </territory>\n</territories>\n</phoneNumberMetadata>\n"
    )
}

/// A folder with the store, the keys, and the metadata in `phones.xml`.
fn here() -> TempDir {
    let here = TempDir::new().unwrap();
    STORE.iter().for_each(|(path, text)| write(here.path(), path, text.as_bytes()));
    keys::write(here.path());
    write(here.path(), "phones.xml", metadata("4").as_bytes());
    for (name, number) in [("new", NEW), ("old", OLD)] {
        write(here.path(), &format!("{name}.json"), call(number).to_string().as_bytes());
    }
    here
}

/// A number by these metadata, and not by those that are compiled in; and one that is the other way about.
const NEW: &str = "0496 900 000";
const OLD: &str = "02 9374 4000";

fn call(number: &str) -> Value {
    json!({
        "subject": { "type": "User", "id": "a" }, "action": { "name": "call" },
        "resource": { "type": "Line", "id": "1", "properties": { "country": "AU" } }, "context": { "phone": number },
    })
}

const STORED: [&str; 2] = ["--store", "store"];
const WITH: [&str; 4] = ["--store", "store", "--phone-metadata", "phones.xml"];

fn run(here: &TempDir, command: &[&str], settings: &[&str]) -> Ran {
    gatepost(here.path(), &[command, settings].concat())
}

fn revision(here: &TempDir, settings: &[&str]) -> String {
    run(here, &["check", "--format", "json"], settings).with(0).json()["revision"].as_str().unwrap().to_owned()
}

#[test]
fn a_file_of_metadata_decides_however_it_is_named() {
    let here = here();
    run(&here, &["decide", "old.json"], &STORED).with(0);
    run(&here, &["decide", "new.json"], &STORED).with(1);
    run(&here, &["decide", "old.json"], &WITH).with(1);
    run(&here, &["decide", "new.json"], &WITH).with(0);
    let mut by_environment = command(here.path(), &["decide", "new.json", "--store", "store"]);
    Ran::new(by_environment.env("GATEPOST_PHONE_METADATA", "phones.xml").output().unwrap()).with(0);
    // A path in the file of settings is meant from where that lies.
    write(here.path(), "settings/phones.xml", metadata("4").as_bytes());
    write(here.path(), "settings/gatepost.toml", b"store = \"../store\"\nphone-metadata = \"phones.xml\"\n");
    run(&here, &["decide", "new.json"], &["--config", "settings/gatepost.toml"]).with(0);
}

#[test]
fn the_metadata_are_part_of_the_revision() {
    let here = here();
    let (without, with) = (revision(&here, &STORED), revision(&here, &WITH));
    assert_ne!(without, with);
    // Where the file lies is not.
    write(here.path(), "elsewhere/other.xml", metadata("4").as_bytes());
    assert_eq!(revision(&here, &["--store", "store", "--phone-metadata", "elsewhere/other.xml"]), with);
    write(here.path(), "phones.xml", metadata("5").as_bytes());
    assert_ne!(revision(&here, &WITH), with);
}

/// What a reviewer signs names the metadata that decide.
#[test]
fn a_report_names_the_metadata() {
    let here = here();
    let plugins = |settings: &[&str]| {
        let report = run(&here, &["report", "--format", "markdown", "--solver", "/nowhere"], settings).out;
        report.lines().find(|line| line.starts_with("| Plugins")).unwrap().replace('\\', "")
    };
    let [version, _] = PhoneMetadata::BUILT_IN;
    assert!(plugins(&STORED).contains(&format!("+metadata-{version} ")), "{}", plugins(&STORED));
    assert!(plugins(&WITH).contains("+metadata-9.1.0-"), "{}", plugins(&WITH));
}

/// "Part of what is signed (with `--require-signed` an unsigned file decides nothing)."
#[test]
fn metadata_that_are_not_signed_decide_nothing() {
    let here = here();
    let required = [&WITH[..], &["--require-signed", "public.pem"]].concat();
    let refused = |settings: &[&str]| {
        let ran = run(&here, &["decide", "new.json"], settings).with(2);
        assert!(ran.err.contains("is not what was signed"), "{}", ran.err);
        assert!(ran.err.contains("or the phone metadata are others"), "{}", ran.err.replace('\n', " "));
    };
    run(&here, &["sign", "--key", "private.pem"], &STORED).with(0);
    run(&here, &["decide", "old.json", "--require-signed", "public.pem"], &STORED).with(0);
    refused(&required);
    run(&here, &["sign", "--key", "private.pem"], &WITH).with(0);
    run(&here, &["decide", "new.json"], &required).with(0);
    // Neither without them, nor with others.
    refused(&["--store", "store", "--require-signed", "public.pem"]);
    write(here.path(), "phones.xml", metadata("[45]").as_bytes());
    refused(&required);
    let serving = [&["serve", "--listen", "127.0.0.1:0"], &required[..]].concat();
    assert!(gatepost(here.path(), &serving).with(2).err.contains("is not what was signed"));
}

/// "A damaged, empty, foreign, huge or non-regular file is a clear error (what, where, what to do), never a panic."
#[test]
fn what_is_no_file_of_metadata_is_an_error_that_says_what_to_do() {
    let here = here();
    let path = |name: &str| here.path().join(name);
    let cut = metadata("4");
    write(here.path(), "cut.xml", &cut.as_bytes()[..cut.len() / 2]);
    write(here.path(), "pattern.xml", metadata("4(").as_bytes());
    write(here.path(), "empty.xml", b"");
    write(here.path(), "other.xml", b"<html><body>Not found</body></html>");
    write(here.path(), "latin.xml", b"<phoneNumberMetadata>\xe9</phoneNumberMetadata>");
    fs::File::create(path("huge.xml")).unwrap().set_len(1 << 40).unwrap();
    assert!(Command::new("mkfifo").arg(path("fifo.xml")).status().unwrap().success());
    let cases = [
        ("none.xml", None, "the phone metadata in `none.xml` cannot be read: No such file"),
        ("store", None, "the phone metadata in `store` cannot be read: it is a folder, and no regular file"),
        ("fifo.xml", None, "the phone metadata in `fifo.xml` cannot be read: it is a named pipe, and no regular file"),
        ("/dev/zero", None, "the phone metadata in `/dev/zero` cannot be read: it is a device, and no regular file"),
        ("huge.xml", None, "the phone metadata in `huge.xml` cannot be read: it has more than 4 MiB"),
        ("latin.xml", None, "the phone metadata in `latin.xml` cannot be read: it is not UTF-8 text"),
        ("empty.xml", None, "`empty.xml` holds no phone metadata: there is no territory in it"),
        (
            "other.xml",
            Some(1),
            "`other.xml` holds no phone metadata: the file begins with `<html>`, and not with `<phoneNumberMetadata>`",
        ),
        ("cut.xml", Some(5), "`cut.xml` holds no phone metadata: this is no well-formed XML"),
        ("pattern.xml", Some(6), "`pattern.xml` holds no phone metadata: this pattern cannot be used: unclosed group"),
    ];
    for (name, line, message) in cases {
        let settings = ["--store", "store", "--phone-metadata", name];
        let begun = Instant::now();
        let found = run(&here, &["check", "--format", "json"], &settings);
        assert!(begun.elapsed() < Duration::from_secs(10), "{name}");
        assert_ne!(found.status, Some(0), "{name}");
        let problem = &found.json()["problems"][0];
        assert!(problem["message"].as_str().unwrap().starts_with(message), "{name}: {problem}");
        assert!(
            problem["help"].as_str().unwrap().contains("scripts/phone-metadata VERSION > FILE"),
            "{name}: {problem}"
        );
        assert_eq!(problem["line"], json!(line), "{name}: {problem}");
        // Nothing is decided, whatever the number.
        run(&here, &["decide", "old.json"], &settings).with(2);
    }
}

struct Service {
    serving: Serving,
    client: Client,
}

impl Service {
    fn start(here: &TempDir, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let serving = Serving::start_saying(&mut command(here.path(), &arguments), Stdio::null());
        let client = Client::new(serving.url(), TlsConfig::default());
        Self { serving, client }
    }

    fn decides(&self, number: &str) -> bool {
        let json = ("content-type", "application/json");
        let answer = self.client.send("POST", "/access/v1/evaluation", &[json], call(number).to_string()).unwrap();
        answer.json()["decision"].as_bool().unwrap()
    }

    fn ready(&self, headers: &[(&str, &str)]) -> Answer {
        self.client.send("GET", "/readyz", headers, "").unwrap()
    }
}

fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// "A reload sees a changed file": by watching and by SIGHUP; one that is damaged is not taken up.
#[test]
fn a_running_service_takes_up_a_changed_file() {
    for (ways, hang_up) in [(&["--watch"][..], false), (&[], true)] {
        let here = here();
        write(here.path(), "phones.xml", metadata("5").as_bytes());
        let service = Service::start(&here, &[&WITH[..], ways].concat());
        let put = |text: &str| {
            write(here.path(), "new.xml", text.as_bytes());
            fs::rename(here.path().join("new.xml"), here.path().join("phones.xml")).unwrap();
            if hang_up {
                service.serving.signal("HUP");
            }
        };
        assert!(!service.decides(NEW));
        put(&metadata("4"));
        soon("the new metadata decide", || service.decides(NEW));
        put("<phoneNumberMetadata>");
        soon("the damaged file is refused", || service.ready(&[]).json()["store"] == "rejected");
        assert!(service.decides(NEW));
        put(&metadata("4"));
        soon("the right file is in its place again", || service.ready(&[]).json()["store"] == "current");
        assert!(service.decides(NEW));
    }
}

/// The store that is compiled in does not change, but the metadata by which it is read can.
#[test]
fn the_metadata_of_the_built_in_store_can_be_watched() {
    let here = here();
    let service = Service::start(&here, &["--watch", "--phone-metadata", "phones.xml"]);
    let before = service.ready(&[]).json()["revision"].clone();
    write(here.path(), "phones.xml", metadata("[45]").as_bytes());
    soon("another revision", || service.ready(&[]).json()["revision"] != before);
}

/// "The age is shown: … README".
#[test]
fn the_readme_says_the_age_of_the_metadata() {
    let readme = include_str!("../README.md").replace('\n', " ");
    let [version, released] = PhoneMetadata::BUILT_IN;
    let [year, month, day] = released.split('-').collect::<Vec<_>>()[..] else { panic!("{released}") };
    let months = "January February March April May June July August September October November December";
    let month = months.split(' ').nth(month.parse::<usize>().unwrap() - 1).unwrap();
    let said = format!("{version}, published on {} {month} {year}", day.trim_start_matches('0'));
    assert!(readme.contains(&said), "{said}");
}

/// "The age is shown: … `/readyz` for known callers".
#[test]
fn readyz_says_the_age_of_the_metadata_to_known_callers() {
    let here = here();
    let [version, released] = PhoneMetadata::BUILT_IN;
    let built_in = Service::start(&here, &STORED);
    assert_eq!(built_in.ready(&[]).json()["phoneMetadata"], json!({ "version": version, "released": released }));
    let made = gatepost(here.path(), &["token", "portal"]).with(0);
    write(here.path(), "tokens.toml", made.err.as_bytes());
    let service = Service::start(&here, &[&WITH[..], &["--token-file", "tokens.toml"]].concat());
    assert_eq!(service.ready(&[]).json(), json!({ "status": "ready" }));
    let caller = format!("Bearer {}", made.out.trim());
    let said = service.ready(&[("authorization", &caller)]).json()["phoneMetadata"].clone();
    assert_eq!((&said["version"], &said["released"]), (&json!("9.1.0"), &json!("2027-01-15")));
    assert_eq!(said["file"].as_str().unwrap().len(), 64);
    // A store without phone numbers reads none.
    let none = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/authzen");
    let none = Service::start(&here, &["--store", none.to_str().unwrap()]);
    assert_eq!(none.ready(&[]).json().get("phoneMetadata"), None);
}
