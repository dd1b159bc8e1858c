//! "Live policy changes": an edit is taken up within a second, or the old revision stays and the service says so; on demand too;
//! signed stores; and what an author sees at each save.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::binary::{Ran, Serving, command, gatepost};
use common::server::{Answer, Client};
use common::{snapshot_of, write};
use gatepost::live::{Seen as Looked, Watcher};
use gatepost::store::keys::SigningKey;
use gatepost::store::{Origin, Source};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ED25519, SanType};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::TlsConfig;

// What a test needs

const SINGLE: &str = "/access/v1/evaluation";
const BATCH: &str = "/access/v1/evaluations";
const RESOURCES: &str = "/access/v1/search/resource";
const ACTIONS: &str = "/access/v1/search/action";
const JSON: (&str, &str) = ("content-type", "application/json");
const DOCUMENTS: [&str; 3] = ["1", "2", "3"];
/// Policies by which no row of such a store holds.
const PERMITS_ALL: &[u8] = b"@id(\"all\")\npermit (principal, action, resource);\n";

/// The files of a store by which the document `readable` can be read, and no other. Its schema and its policies are not those of another
/// (`mark1`), so that a half of each would be rejected; and what the rows expect is the same in each.
fn files(readable: &str) -> BTreeMap<&'static str, String> {
    let entities: Vec<Value> =
        DOCUMENTS.iter().map(|id| json!({ "uid": { "type": "Doc", "id": id }, "attrs": { "title": id, format!("mark{readable}"): true } })).collect();
    BTreeMap::from([
        (
            "schema/docs.cedarschema",
            format!(
                "entity User;\nentity Doc = {{ title: String, mark{readable}: Bool }};\n\
             action read appliesTo {{ principal: User, resource: Doc, context: {{}} }};\n"
            ),
        ),
        (
            "policies/docs.cedar",
            format!(
                "@id(\"readable\")\n@source(\"who/reads\")\npermit (principal, action == Action::\"read\", resource == Doc::\"{readable}\")\nwhen {{ resource.mark{readable} }};\n"
            ),
        ),
        (
            "matrix/docs.cedar",
            "@table(\"Documents\")\n@row(\"Others\")\n@column(\"Read\")\n@source(\"who/reads\")\n\
             forbid (principal is User, action == Action::\"read\", resource is Doc)\n\
             unless { [Doc::\"1\", Doc::\"2\", Doc::\"3\"].contains(resource) };\n"
                .to_owned(),
        ),
        (
            "matrix/clauses.toml",
            "title = \"Documents\"\n\n[[clause]]\nid = \"who/reads\"\ntext = \"One document can be read.\"\n"
                .to_owned(),
        ),
        ("entities/docs.json", Value::from(entities).to_string()),
        ("requests/read.json", body("1").to_string()),
    ])
}

/// A store of its own in that folder.
fn put_store(folder: &Path, readable: &str) {
    files(readable).iter().for_each(|(path, text)| write(folder, path, text.as_bytes()));
}

/// A folder with a store, `store`, by which that document can be read.
fn here(readable: &str) -> TempDir {
    let here = TempDir::new().unwrap();
    put_store(&here.path().join("store"), readable);
    here
}

/// The revision of the store in that folder.
fn revision(folder: &Path) -> String {
    snapshot_of(folder).revision().to_string()
}

/// The revisions of stores by which each of the documents can be read.
fn revisions() -> HashMap<String, &'static str> {
    let found = DOCUMENTS.map(|readable| (revision(&here(readable).path().join("store")), readable));
    HashMap::from(found)
}

fn body(document: &str) -> Value {
    json!({ "subject": { "type": "User", "id": "ada" }, "action": { "name": "read" }, "resource": { "type": "Doc", "id": document } })
}

/// A service, with operators, that says on standard error what a test reads.
struct Service {
    serving: Serving,
    err: PathBuf,
    client: Client,
    operator: Client,
    token: String,
}

impl Service {
    fn start(here: &TempDir, arguments: &[&str]) -> Self {
        let made = gatepost(here.path(), &["token", "operator"]).with(0);
        fs::write(here.path().join("operators.toml"), made.err).unwrap();
        fs::write(here.path().join("operator.token"), &made.out).unwrap();
        let err = here.path().join("err");
        let admin = ["--admin-listen", "127.0.0.1:0", "--admin-token-file", "operators.toml"];
        let always = ["serve", "--listen", "127.0.0.1:0", "--store", "store"];
        let arguments = [&always[..], &admin, arguments].concat();
        let said = File::create(&err).unwrap().into();
        let serving = Serving::start_saying(&mut command(here.path(), &arguments), said);
        let client = Client::new(serving.url(), TlsConfig::default());
        let operator = Client::new(operators(&serving), TlsConfig::default());
        Self { serving, err, client, operator, token: made.out.trim().to_owned() }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    fn ask(&self, document: &str) -> Answer {
        self.client.send("POST", SINGLE, &[JSON], body(document).to_string()).unwrap()
    }

    fn revision(&self) -> String {
        self.ask("1").header("gatepost-revision").unwrap().to_owned()
    }

    fn ready(&self) -> Value {
        let answer = self.client.send("GET", "/readyz", &[], "").unwrap();
        assert_eq!(answer.status, 200);
        answer.json()
    }

    fn operate(&self, method: &str, path: &str) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        self.operator.send(method, path, &[("authorization", &authorization)], "").unwrap()
    }

    /// Waits until that revision decides.
    fn until(&self, revision: &str) {
        let begun = Instant::now();
        while self.revision() != revision {
            assert!(begun.elapsed() < PATIENCE, "{revision} does not come into force\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Where the service says that it listens to operators.
fn operators(serving: &Serving) -> &str {
    let line = serving.banner.lines().find_map(|line| line.strip_prefix("operators are listened to on "));
    line.unwrap_or_else(|| panic!("{}", serving.banner))
}

/// How long anything may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Long enough for an edit to have been taken up.
fn a_while() {
    std::thread::sleep(Duration::from_millis(1500));
}

/// Puts a link in the place of what is there, at once.
fn point(link: &Path, to: &Path) {
    let beside = link.with_file_name("..new");
    symlink(to, &beside).unwrap();
    fs::rename(beside, link).unwrap();
}

fn git(folder: &Path, arguments: &[&str]) {
    let settings = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"];
    let done = Command::new("git").arg("-C").arg(folder).args(settings).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

// Edits that are taken up

/// What is edited is in force within a second, each time that it is edited: "editors' rename-and-replace, Kubernetes' symlink
/// swap and git checkouts included". A machine that has other things to do may need longer once.
fn in_force_within_a_second(way: &str, service: &Service, store: &Path, mut edit: impl FnMut(&str)) {
    let times = ["2", "1", "3"].map(|readable| {
        let begun = Instant::now();
        edit(readable);
        service.until(&revision(store));
        let time = begun.elapsed();
        for document in DOCUMENTS {
            assert_eq!(service.ask(document).json()["decision"], document == readable, "{way}");
        }
        time
    });
    println!("in force after an edit by {way}: {times:?}");
    let mut sorted = times;
    sorted.sort();
    assert!(sorted[1] < Duration::from_secs(1), "{way}: {times:?}");
    assert_eq!(service.ready()["store"], "current");
}

#[test]
fn what_is_written_in_place_is_in_force_within_a_second() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &["--watch"]);
    in_force_within_a_second("writing in place", &service, &store, |readable| put_store(&store, readable));
    assert_eq!(service.ready()["revision"], service.revision().as_str());
}

#[test]
fn what_an_editor_puts_in_the_place_of_a_file_is_in_force_within_a_second() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &["--watch"]);
    in_force_within_a_second("an editor", &service, &store, |readable| {
        for (path, text) in files(readable) {
            // An editor keeps what was there, and leaves files of its own beside it.
            write(&store, ".docs.cedar.swp", b"\0");
            fs::copy(store.join(path), store.join(format!("{path}~"))).unwrap();
            write(&store, "new", text.as_bytes());
            fs::rename(store.join("new"), store.join(path)).unwrap();
        }
    });
}

#[test]
fn what_kubernetes_swaps_is_in_force_within_a_second() {
    let here = TempDir::new().unwrap();
    let store = here.path().join("store");
    let mut version = 0;
    let mut swap = |readable: &str| {
        let old = store.join(format!("..version_{version}"));
        version += 1;
        let name = format!("..version_{version}");
        put_store(&store.join(&name), readable);
        point(&store.join("..data"), Path::new(&name));
        // What was there is removed, as the kubelet does.
        let _ = fs::remove_dir_all(old);
    };
    swap("1");
    for part in ["schema", "policies", "matrix", "entities", "requests"] {
        symlink(Path::new("..data").join(part), store.join(part)).unwrap();
    }
    let service = Service::start(&here, &["--watch"]);
    in_force_within_a_second("a symlink swap", &service, &store, swap);
}

#[test]
fn what_git_checks_out_is_in_force_within_a_second() {
    let here = here("1");
    let store = here.path().join("store");
    git(&store, &["init", "-q", "-b", "of-1"]);
    for readable in DOCUMENTS {
        if readable != "1" {
            git(&store, &["checkout", "-q", "-b", &format!("of-{readable}")]);
        }
        put_store(&store, readable);
        git(&store, &["add", "."]);
        git(&store, &["commit", "-q", "-m", readable]);
    }
    git(&store, &["checkout", "-q", "of-1"]);
    let service = Service::start(&here, &["--watch"]);
    in_force_within_a_second("git checkout", &service, &store, |readable| {
        git(&store, &["checkout", "-q", &format!("of-{readable}")]);
    });
}

/// "An edit to the store (or to the further `--entities` files)"; the times of the file say nothing here, and neither does its length.
#[test]
fn further_entities_are_watched_whatever_their_times_say() {
    let here = here("1");
    let further = |title: &str| {
        json!([{ "uid": { "type": "Doc", "id": "4" }, "attrs": { "title": title, "mark1": true } }]).to_string()
    };
    write(here.path(), "further.json", further("a").as_bytes());
    let service = Service::start(&here, &["--watch", "--entities", "further.json"]);
    let path = here.path().join("further.json");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    for title in ["b", "c", "a"] {
        let before = service.revision();
        fs::write(&path, further(title)).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        soon("another revision", || service.revision() != before);
    }
}

/// "A store that changes while it is being read must not be half-taken": a half of each of these stores would be rejected.
#[test]
fn a_store_that_changes_while_it_is_read_is_not_half_taken() {
    let here = TempDir::new().unwrap();
    let root = here.path();
    // Several of each, so that it is long before the link leads to the same folder again; and much to read between the rows and
    // the policies.
    let folders: Vec<String> = (0..6).map(|number| format!("number-{number}")).collect();
    for (name, readable) in folders.iter().zip(DOCUMENTS.iter().cycle()) {
        put_store(&root.join(name), readable);
        (0..300).for_each(|number| write(&root.join(name), &format!("policies/a{number}.cedar"), b"// Nothing yet.\n"));
    }
    symlink(&folders[0], root.join("store")).unwrap();
    let service = Service::start(&here, &[]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for name in folders.iter().cycle().take_while(|_| !is_over.load(Ordering::SeqCst)) {
                point(&root.join("store"), Path::new(name));
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        let answers: Vec<Value> = (0..100).map(|_| service.operate("POST", "/reload").json()).collect();
        is_over.store(true, Ordering::SeqCst);
        for answer in answers {
            let problems = answer["lastAttempt"]["problems"].to_string();
            assert!(problems == "[]" || problems.contains("changes again and again while it is read"), "{problems}");
        }
    });
}

/// Appends to a file, again and again, while `work` is done.
fn while_written<T>(path: &Path, line: &str, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let mut file = File::options().create(true).append(true).open(path).unwrap();
                file.write_all(line.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let done = catch_unwind(AssertUnwindSafe(work));
        is_over.store(true, Ordering::SeqCst);
        done.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// "An edit is never taken up while anything in the store keeps changing": it is, and so is the next.
#[test]
fn an_edit_is_taken_up_while_another_file_is_written_again_and_again() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &["--watch"]);
    while_written(&store.join("policies/notes.cedar"), "// Nothing yet.\n", || {
        for readable in ["2", "1", "3"] {
            let begun = Instant::now();
            put_store(&store, readable);
            soon("the edit decides", || service.ask(readable).json()["decision"] == true);
            println!("in force after {:?}", begun.elapsed());
        }
    });
}

/// "Requests decide nothing, so changes there must not wake or hold up the watcher."
#[test]
fn requests_to_try_neither_wake_the_watcher_nor_hold_it_up() {
    let here = here("1");
    let store = here.path().join("store");
    let source = Source {
        origin: Origin::Folder(store.clone()),
        entities: Vec::new(),
        phone_metadata: None,
        required_key: None,
        modes: Vec::new(),
    };
    let mut watcher = Watcher::new(&source);
    while_written(&store.join("requests/more.json"), "{}\n", || {
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(60));
            assert_eq!(watcher.look(), Looked::Same);
        }
        put_store(&store, "2");
        assert_eq!(watcher.look(), Looked::Moving);
        assert_eq!(watcher.look(), Looked::Settled);
        // What would be an error may be put right.
        write(&store, "requests/forbid.cedar", b"");
        assert_eq!(watcher.look(), Looked::Moving);
    });
}

/// "Opening anything but regular files is refused, so that a FIFO cannot hang the watcher."
#[test]
fn a_named_pipe_hangs_neither_the_watcher_nor_what_reads() {
    let here = here("1");
    let store = here.path().join("store");
    fs::copy(store.join("entities/docs.json"), here.path().join("more.json")).unwrap();
    fs::write(here.path().join("more.json"), "[]").unwrap();
    let service = Service::start(&here, &["--watch", "--entities", "more.json"]);
    let old = service.revision();
    let pipe = |path: &Path| {
        // Nothing may open the one that was there before.
        let made = path.with_file_name(".pipe");
        assert!(Command::new("mkfifo").arg(&made).status().unwrap().success());
        fs::rename(made, path).unwrap();
    };
    for path in ["store/policies/docs.cedar", "store/requests/read.json", "store/schema/more.cedarschema", "more.json"]
    {
        let path = here.path().join(path);
        let before = fs::read(&path).ok();
        pipe(&path);
        a_while();
        let answer = service.ask("1");
        assert_eq!((answer.status, service.revision()), (200, old.clone()), "{}", path.display());
        fs::remove_file(&path).unwrap();
        before.iter().for_each(|before| fs::write(&path, before).unwrap());
    }
    assert!(service.said().contains("cannot be read: it is a named pipe, and no regular file"), "{}", service.said());
    put_store(&store, "2");
    let new = revision(&store);
    soon("an edit is taken up", || service.revision() != old);
    assert_eq!(service.revision().len(), new.len());
    // A file of tokens is watched too.
    pipe(&here.path().join("operators.toml"));
    soon("the pipe is told of", || service.said().contains("`operators.toml` cannot be read: it is a named pipe"));
    assert_eq!(service.ask("1").status, 200);
}

/// "A store that would overflow must give an author's diagnostic, never kill the running service."
#[test]
fn a_store_that_would_use_up_the_stack_or_the_memory_is_rejected() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &["--watch"]);
    let schema = files("1")["schema/docs.cedarschema"].replace("title: String", "title: String, deep?: T5000");
    let policy = files("1")["policies/docs.cedar"].replace(");", ") when { resource.title == \"1\" }");
    let chain = |link: &dyn Fn(usize) -> String| {
        let links = (1..=5000).map(|number| format!("type T{number} = {};\n", link(number - 1)));
        format!("{schema}type T0 = Long;\n{}", links.collect::<String>())
    };
    for (what, path, text) in [
        ("deep", "schema/docs.cedarschema", chain(&|inner| format!("{{ a: T{inner} }}"))),
        ("twice", "schema/docs.cedarschema", chain(&|inner| format!("{{ a: T{inner}, b: T{inner} }}"))),
        ("whens", "policies/docs.cedar", format!("{policy}{};\n", " when { true }".repeat(50_000))),
        (
            "attributes",
            "policies/docs.cedar",
            format!("{policy} when {{ resource{} == 1 }};\n", "[\"title\"]".repeat(50_000)),
        ),
    ] {
        write(&store, path, text.as_bytes());
        soon(what, || service.ready()["store"] == "rejected");
        let said = service.operate("GET", "/status").json()["lastAttempt"]["problems"].to_string();
        assert!(said.contains("too deeply"), "{what}: {said}");
        put_store(&store, "1");
        soon("as it was", || service.ready()["store"] == "current");
    }
}

/// A store in force is not put into force again, whatever is written: nothing that decides has changed.
#[test]
fn the_same_revision_is_not_swapped() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &["--watch"]);
    let before = service.ready();
    put_store(&store, "1");
    write(&store, "requests/other.json", b"{}");
    write(&store, "policies/README.md", b"nothing");
    a_while();
    assert_eq!(service.ready(), before);
    assert_eq!(service.operate("GET", "/status").json()["loads"], 1);
}

/// Without `--watch` an edit is taken up on SIGHUP, and not before; the outcome is said.
#[test]
fn sighup_takes_up_the_store_with_and_without_watch() {
    for watch in [&["--watch"][..], &[]] {
        let here = here("1");
        let store = here.path().join("store");
        let service = Service::start(&here, watch);
        put_store(&store, "2");
        if watch.is_empty() {
            a_while();
            assert_ne!(service.revision(), revision(&store));
            service.serving.signal("HUP");
        }
        service.until(&revision(&store));
        service.serving.signal("HUP");
        let unchanged = format!("store read again: it is what is in force, revision {}", revision(&store));
        soon("the outcome", || said_in_one_line(&service).contains(&unchanged));
        write(&store, "policies/docs.cedar", b"permit (");
        service.serving.signal("HUP");
        soon("the rejection", || said_in_one_line(&service).contains("store is not taken up as it is now"));
        assert!(service.said().contains("policies/docs.cedar:1:"), "{}", service.said());
    }
}

fn said_in_one_line(service: &Service) -> String {
    in_one_line(&service.said())
}

/// What a person reads in several lines, in one.
fn in_one_line(text: &str) -> String {
    let is_between = |character: char| character.is_whitespace() || character == '│';
    text.split(is_between).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

// Edits that are not

/// "A broken edit keeps the old revision, is logged with the author's diagnostic, and shows in `/readyz` … and in a `gatepost status`
/// command"; once it is put right, all is well again.
#[test]
fn a_broken_edit_of_each_kind_keeps_the_old_revision_and_shows_everywhere() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &["--watch"]);
    let in_force = service.ready();
    let permit = "@id(\"readable\")\n@source(\"who/reads\")\npermit (principal, action == Action::\"read\", resource)";
    let row =
        |text: &str| format!("@table(\"Documents\") @row(\"More\") @column(\"Read\")\n@source(\"who/reads\")\n{text}");
    type Edit<'a> = (&'a str, Vec<u8>, &'a str, &'a str);
    let edits: Vec<Edit<'_>> = vec![
        ("policies/docs.cedar", b"permit (".to_vec(), "policies/docs.cedar:1:", "unexpected end of input"),
        ("policies/docs.cedar", format!("{permit} when {{ resource.size > 1 }};").into(), "policies/docs.cedar:3:", "size"),
        ("policies/docs.cedar", format!("{permit};").into(), "matrix/docs.cedar:", "the row `Documents · Others · Read` does not hold: "),
        (
            "matrix/more.cedar",
            row("permit (principal is User, action == Action::\"read\", resource is Doc) when { resource == Doc::\"1\" && resource == Doc::\"2\" };").into(),
            "matrix/more.cedar:1:",
            "the row `Documents · More · Read` says nothing: no representative request matches it",
        ),
        ("entities/docs.json", br#"[{ "uid": { "type": "Doc", "id": "1" }, "attrs": { "mark1": true } }]"#.to_vec(), "entities/docs.json", "title"),
        ("policies/docs.cedar", b"// \xff".to_vec(), "", "`policies/docs.cedar` is not UTF-8 text"),
        ("policies/more.json", b"{}".to_vec(), "", "`policies/more.json` would not be read"),
        ("schema/docs.cedarschema", b"entity User;".to_vec(), "policies/docs.cedar:", "read"),
    ];
    for (path, text, place, message) in edits {
        let before = service.said().len();
        write(&store, path, &text);
        soon(message, || service.ready()["store"] == "rejected");
        assert_shows(&here, &service, place, message);
        assert_eq!(
            service.said()[before..].matches("⚠ store is not taken up").count(),
            1,
            "said once: {}",
            service.said()
        );
        let ready = service.ready();
        assert_eq!((&ready["revision"], &ready["since"]), (&in_force["revision"], &in_force["since"]), "{message}");
        assert_eq!(service.ask("1").json()["decision"], true);
        assert_eq!(service.ask("2").json()["decision"], false);
        let _ = fs::remove_file(store.join(path));
        put_store(&store, "1");
        soon(message, || service.ready() == in_force);
        let put_right = gatepost(here.path(), &["status", "--url", service.serving.url()]).with(0);
        assert!(put_right.out.starts_with('✓'), "{}", put_right.out);
    }
}

/// What is wrong shows to the operator, who asks by HTTP or by `gatepost status`, and on standard error; not in `/readyz`.
fn assert_shows(here: &TempDir, service: &Service, place: &str, message: &str) {
    let status = service.operate("GET", "/status");
    let json = status.json();
    assert_eq!(
        (status.status, &json["store"], &json["lastAttempt"]["outcome"]),
        (200, &json!("rejected"), &json!("rejected"))
    );
    let problems = json["lastAttempt"]["problems"].as_array().unwrap();
    let shown = problems.iter().any(|problem| {
        let file = problem["file"].as_str().unwrap_or_default();
        problem["message"].as_str().unwrap().contains(message) && (place.is_empty() || place.starts_with(file))
    });
    assert!(shown, "{message} in {problems:?}");
    let admin = operators(&service.serving);
    let told = gatepost(here.path(), &["status", "--admin", admin, "--token", "operator.token"]).with(1);
    for text in [told.out.as_str(), service.said().as_str()] {
        assert!(text.contains(place) && in_one_line(text).contains(message), "{place} {message} in {text}");
    }
    let ready = gatepost(here.path(), &["status", "--url", service.serving.url(), "--format", "json"]).with(1);
    assert_eq!(ready.json(), service.ready());
    let members: Vec<String> = service.ready().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["status", "revision", "since", "store"], "nothing of the store is told there");
}

/// A folder that is deleted keeps the old revision; when it comes back, it is taken up.
#[test]
fn a_deleted_folder_keeps_the_old_revision_until_it_comes_back() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &["--watch"]);
    let before = service.revision();
    fs::remove_dir_all(&store).unwrap();
    soon("rejected", || service.ready()["store"] == "rejected");
    assert_eq!(service.revision(), before);
    assert!(service.said().contains("there is no folder `store`"), "{}", service.said());
    let reload = service.operate("POST", "/reload");
    assert_eq!(reload.status, 422);
    put_store(&store, "2");
    service.until(&revision(&store));
    assert_eq!(service.ready()["store"], "current");
}

/// What is taken up later must hold every row; so must what a service begins with that can take up others.
#[test]
fn a_service_that_watches_does_not_begin_with_what_it_would_reject() {
    let here = here("1");
    write(here.path(), "store/policies/docs.cedar", PERMITS_ALL);
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--store", "store"];
    let refused = gatepost(here.path(), &[&arguments[..], &["--watch"]].concat()).with(2);
    assert!(refused.err.contains("the row `Documents · Others · Read` does not hold"), "{}", refused.err);
    assert!(refused.err.contains("matrix/docs.cedar:1:"), "{}", refused.err);
    let built_in = gatepost(here.path(), &["serve", "--listen", "127.0.0.1:0", "--watch"]).with(2);
    assert!(built_in.err.contains("the store that is compiled in does not change"), "{}", built_in.err);
}

// Operators

/// "An admin listener (off by default, its own address, its own token)".
#[test]
fn operators_are_known_by_tokens_of_their_own() {
    let here = here("1");
    let portal = gatepost(here.path(), &["token", "portal"]).with(0);
    write(here.path(), "tokens.toml", portal.err.as_bytes());
    let service = Service::start(&here, &["--token-file", "tokens.toml"]);
    let send = |method: &str, path: &str, token: &str| {
        let authorization = format!("Bearer {token}");
        service.operator.send(method, path, &[("authorization", &authorization)], "").unwrap().status
    };
    for (method, path) in
        [("POST", "/reload"), ("GET", "/status"), ("GET", "/nothing"), ("POST", SINGLE), ("POST", "/healthz")]
    {
        assert_eq!(service.operator.send(method, path, &[], "").unwrap().status, 401, "{method} {path}");
        assert_eq!(send(method, path, portal.out.trim()), 401, "{method} {path}: a caller is no operator");
    }
    assert_eq!(service.operator.send("GET", "/healthz", &[], "").unwrap().text, "\"ok\"");
    assert_eq!(send("POST", "/reload", &service.token), 200);
    assert_eq!(send("GET", "/reload", &service.token), 405);
    assert_eq!(send("GET", "/nothing", &service.token), 404);
    put_store(&here.path().join("store"), "2");
    write(here.path(), "store/policies/docs.cedar", b"nonsense");
    assert_eq!(send("POST", "/reload", &service.token), 422);
    let authorization = format!("Bearer {}", service.token);
    let metrics = service.operator.send("GET", "/metrics", &[("authorization", &authorization)], "").unwrap().text;
    for (endpoint, status) in [("/reload", 200), ("/reload", 405), ("/reload", 422), ("/status", 401)] {
        let sample = format!("gatepost_requests_total{{endpoint=\"{endpoint}\",status=\"{status}\"}} ");
        assert!(metrics.contains(&sample), "{sample}\n{metrics}");
    }
    put_store(&here.path().join("store"), "1");
    assert_eq!(send("POST", "/reload", &service.token), 200);
    // An operator is no caller, and the paths for operators are on their listener alone.
    let operator = format!("Bearer {}", service.token);
    let as_caller =
        service.client.send("POST", SINGLE, &[JSON, ("authorization", &operator)], body("1").to_string()).unwrap();
    assert_eq!(as_caller.status, 401);
    let caller = format!("Bearer {}", portal.out.trim());
    for (method, path) in [("POST", "/reload"), ("GET", "/status")] {
        assert_eq!(service.client.send(method, path, &[("authorization", &caller)], "").unwrap().status, 404);
    }
    // Of readiness, who is not known is told nothing more.
    assert_eq!(service.ready(), json!({ "status": "ready" }));
    let known = service.client.send("GET", "/readyz", &[("authorization", &caller)], "").unwrap();
    assert_eq!(known.json()["store"], "current");
    assert_eq!(known.header("gatepost-revision"), known.json()["revision"].as_str());
    // A token with limits is that of a caller who happens to be in the file.
    let limited = gatepost(here.path(), &["token", "limited"]).with(0);
    write(here.path(), "operators.toml", format!("{}actions = [\"read\"]\n", limited.err).as_bytes());
    soon("the file of the operators is watched", || send("GET", "/status", limited.out.trim()) == 403);
    assert_eq!(send("GET", "/status", &service.token), 401);
}

#[test]
fn a_listener_for_operators_needs_tokens_and_tokens_need_a_listener() {
    let here = here("1");
    for (set, missing) in [("admin-listen", "admin-token-file"), ("admin-token-file", "admin-listen")] {
        let flag = format!("--{set}");
        let value = if set == "admin-listen" { "127.0.0.1:0" } else { "tokens.toml" };
        let refused = gatepost(here.path(), &["serve", "--listen", "127.0.0.1:0", &flag, value]).with(2);
        assert!(refused.err.contains(&format!("{set} is set, but {missing} is not")), "{}", refused.err);
    }
}

/// "Concurrent reloads are serialised (one builder at a time; a second waits and gets the outcome)".
#[test]
fn whoever_asks_while_another_reload_runs_gets_what_comes_of_it() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &[]);
    put_store(&store, "2");
    let expected = revision(&store);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(|| service.operate("POST", "/reload"))).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.json()["revision"]), (200, &json!(expected)));
    }
    let count =
        |outcome: &str| answers.iter().filter(|answer| answer.json()["lastAttempt"]["outcome"] == outcome).count();
    assert_eq!(service.operate("GET", "/status").json()["loads"], 2, "it was built once");
    assert_eq!(count("in-force") + count("unchanged"), 6);
}

/// The reviewer's page and the warnings of the callers' limits are about the revision that is in force.
#[test]
fn the_report_and_the_warnings_follow_what_is_in_force() {
    let here = here("1");
    let store = here.path().join("store");
    let service = Service::start(&here, &["--watch", "--max-reasons", "admin"]);
    let report = || service.client.send("GET", "/report", &[], "").unwrap();
    for readable in ["1", "2", "3"] {
        put_store(&store, readable);
        let expected = revision(&store);
        service.until(&expected);
        let mut seen = report();
        soon("the report", || {
            assert!(matches!(seen.status, 200 | 503), "{seen:?}");
            assert_eq!(seen.header("gatepost-revision"), Some(expected.as_str()));
            assert_eq!(seen.header("retry-after").is_some(), seen.status == 503);
            let is_made = seen.status == 200;
            if !is_made {
                seen = report();
            }
            is_made
        });
        assert!(seen.text.contains(&expected), "the page names its revision");
    }
}

// Status

#[test]
fn status_says_what_it_cannot_ask_and_why() {
    let here = here("1");
    let made = gatepost(here.path(), &["token", "portal"]).with(0);
    write(here.path(), "tokens.toml", made.err.as_bytes());
    write(here.path(), "portal.token", made.out.as_bytes());
    let service = Service::start(&here, &["--token-file", "tokens.toml"]);
    let (url, admin) = (service.serving.url(), operators(&service.serving));
    let unknown = gatepost(here.path(), &["status", "--url", url]).with(2);
    assert!(unknown.err.contains("send a token"), "{}", unknown.err);
    let wrong = gatepost(here.path(), &["status", "--admin", admin, "--token", "portal.token"]).with(2);
    assert!(wrong.err.contains("it does not know who asks"), "{}", wrong.err);
    gatepost(here.path(), &["status", "--url", url, "--token", "portal.token"]).with(0);
    // An address will do, and the token can be in the environment, which others cannot read.
    let address = admin.trim_start_matches("http://");
    let mut asked = command(here.path(), &["status", "--admin", address, "--format", "json"]);
    let full = Ran::new(asked.env("GATEPOST_TOKEN", &service.token).output().unwrap()).with(0).json();
    assert_eq!((&full["store"], &full["loads"]), (&json!("current"), &json!(1)));
    // The settings of the service say where it is.
    let settings = format!("listen = \"{}\"\ntoken-file = \"tokens.toml\"\n", service.serving.address());
    write(here.path(), "gatepost.toml", settings.as_bytes());
    gatepost(here.path(), &["status", "--token", "portal.token"]).with(0);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let nobody = gatepost(here.path(), &["status", "--url", &format!("http://{free}")]).with(2);
    assert!(nobody.err.contains("cannot be asked"), "{}", nobody.err);
    gatepost(here.path(), &["status", "--url", "nowhere at all"]).with(2);
}

#[test]
fn status_asks_over_https_whom_it_trusts() {
    let here = here("1");
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut named = CertificateParams::default();
    named.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let certificate = named.signed_by(&key, &authority).unwrap();
    write(here.path(), "ca.pem", authority.pem().as_bytes());
    write(here.path(), "service.pem", certificate.pem().as_bytes());
    write(here.path(), "service.key", key.serialize_pem().as_bytes());
    let service = Service::start(&here, &["--tls-cert", "service.pem", "--tls-key", "service.key"]);
    let admin = operators(&service.serving);
    assert!(admin.starts_with("https://"), "the listener for operators has the certificate of the service: {admin}");
    let asked = ["status", "--admin", admin, "--token", "operator.token"];
    gatepost(here.path(), &[&asked[..], &["--cacert", "ca.pem"]].concat()).with(0);
    let untrusted = gatepost(here.path(), &asked).with(2);
    assert!(untrusted.err.contains("cannot be asked") || untrusted.err.contains("authorities"), "{}", untrusted.err);
}

// Signatures

/// A pair of keys, in the files `NAME.pem` and `NAME.pub.pem`.
fn put_keys(here: &TempDir, name: &str) {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let private = key.serialize_pem();
    let public = rcgen::PublicKeyData::subject_public_key_info(&key);
    let body = base64(&public);
    SigningKey::from_pem(private.as_bytes()).unwrap();
    write(here.path(), &format!("{name}.pem"), private.as_bytes());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    write(here.path(), &format!("{name}.pub.pem"), pem.as_bytes());
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn sign(here: &TempDir, key: &str, further: &[&str]) {
    gatepost(here.path(), &[&["sign", "--key", key, "--store", "store"], further].concat()).with(0);
}

/// A folder with a store that is signed with the key `own`, and another key.
fn signed() -> TempDir {
    let here = here("1");
    put_keys(&here, "own");
    put_keys(&here, "other");
    write(
        here.path(),
        "further.json",
        br#"[{ "uid": { "type": "Doc", "id": "4" }, "attrs": { "title": "4", "mark1": true } }]"#,
    );
    sign(&here, "own.pem", &["--entities", "further.json"]);
    here
}

const REQUIRED: [&str; 6] = ["--store", "store", "--entities", "further.json", "--require-signed", "own.pub.pem"];

/// What is done to a signed store, and what is said of it.
type Harm = (&'static str, fn(&TempDir), &'static str);

fn harms() -> Vec<Harm> {
    fn append(here: &TempDir, path: &str) {
        let path = here.path().join(path);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }
    const CHANGED: &str = "is not what was signed";
    const NONE: &str = "holds no signature of a store";
    const SIGNATURE: &str = "store/gatepost.sig";
    vec![
        ("stripped", |here| fs::remove_file(here.path().join(SIGNATURE)).unwrap(), "is not signed"),
        ("an empty file", |here| write(here.path(), SIGNATURE, b""), NONE),
        (
            "cut off",
            |here| {
                let text = fs::read_to_string(here.path().join(SIGNATURE)).unwrap();
                write(here.path(), SIGNATURE, &text.as_bytes()[..text.len() - 20]);
            },
            NONE,
        ),
        ("something else", |here| write(here.path(), SIGNATURE, b"-----BEGIN SIGNATURE-----\n"), NONE),
        ("another key", |here| sign(here, "other.pem", &["--entities", "further.json"]), "is signed with another key"),
        (
            "another key that says it is the own",
            |here| {
                let own = fs::read_to_string(here.path().join(SIGNATURE)).unwrap();
                sign(here, "other.pem", &["--entities", "further.json"]);
                let other = fs::read_to_string(here.path().join(SIGNATURE)).unwrap();
                let lines = [own.lines().next(), own.lines().nth(1), other.lines().nth(2)].map(Option::unwrap);
                write(here.path(), SIGNATURE, format!("{}\n", lines.join("\n")).as_bytes());
            },
            CHANGED,
        ),
        (
            "the signature of another store",
            |here| {
                let other = self::here("2");
                let key = here.path().join("own.pem").display().to_string();
                gatepost(other.path(), &["sign", "--key", &key, "--store", "store"]).with(0);
                fs::copy(other.path().join(SIGNATURE), here.path().join(SIGNATURE)).unwrap();
            },
            CHANGED,
        ),
        ("schema", |here| append(here, "store/schema/docs.cedarschema"), CHANGED),
        ("policies", |here| append(here, "store/policies/docs.cedar"), CHANGED),
        ("matrix", |here| append(here, "store/matrix/docs.cedar"), CHANGED),
        ("clauses", |here| append(here, "store/matrix/clauses.toml"), CHANGED),
        ("entities", |here| append(here, "store/entities/docs.json"), CHANGED),
        ("further entities", |here| append(here, "further.json"), CHANGED),
        ("another policy", |here| write(here.path(), "store/policies/more.cedar", b"// nothing\n"), CHANGED),
        ("no matrix", |here| fs::remove_file(here.path().join("store/matrix/docs.cedar")).unwrap(), CHANGED),
        (
            "another name",
            |here| {
                let folder = here.path().join("store/policies");
                fs::rename(folder.join("docs.cedar"), folder.join("other.cedar")).unwrap();
            },
            CHANGED,
        ),
    ]
}

/// "A store is taken only with a valid detached Ed25519 signature, and an unsigned, stripped or altered one is refused."
#[test]
fn a_store_that_is_not_validly_signed_is_refused() {
    let whole = signed();
    gatepost(whole.path(), &[&["check"], &REQUIRED[..]].concat()).with(0);
    // Requests to try decide nothing, and are not signed.
    write(whole.path(), "store/requests/more.json", b"{}");
    gatepost(whole.path(), &[&["check"], &REQUIRED[..]].concat()).with(0);
    for (what, harm, message) in harms() {
        let here = signed();
        harm(&here);
        let refused = gatepost(here.path(), &[&["check", "--format", "json"], &REQUIRED[..]].concat()).with(1);
        let said = refused.json()["problems"][0]["message"].as_str().unwrap().to_owned();
        assert!(said.contains(message), "{what}: {said}");
        assert!(refused.json()["problems"][0]["help"].as_str().unwrap().contains("gatepost sign --key"), "{what}");
        assert_eq!(refused.json()["revision"], Value::Null, "{what}");
    }
    let unsigned = here("1");
    put_keys(&unsigned, "own");
    let arguments = ["check", "--store", "store", "--require-signed", "own.pub.pem"];
    assert!(gatepost(unsigned.path(), &arguments).with(1).out.contains("is not signed"));
    // The store that is compiled in has no folder that could hold a signature.
    let built_in = gatepost(unsigned.path(), &["check", "--require-signed", "own.pub.pem"]).with(1);
    assert!(built_in.out.contains("the built-in store is not signed"), "{}", built_in.out);
    // A key that is none takes no store.
    for key in ["own.pem", "nothing.pem", "store/policies/docs.cedar"] {
        gatepost(unsigned.path(), &["check", "--store", "store", "--require-signed", key]).with(2);
    }
}

/// "By every command that loads a store with that setting", however it is set.
#[test]
fn every_command_refuses_what_is_not_signed() {
    let here = signed();
    let other = here.path().join("other");
    put_store(&other, "2");
    write(here.path(), "store/policies/more.cedar", b"// nothing\n");
    let commands: [&[&str]; 7] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["serve", "--listen", "127.0.0.1:0", "--watch"],
        &["test"],
        &["prove"],
        &["report"],
        &["decide", "store/requests/read.json"],
        &["diff", "other"],
    ];
    for arguments in commands {
        let refused = gatepost(here.path(), &[arguments, &REQUIRED[..]].concat()).with(2);
        assert!(refused.err.contains("signed"), "{arguments:?}: {}", refused.err);
        let mut by_environment = command(here.path(), arguments);
        by_environment.env("GATEPOST_STORE", "store").env("GATEPOST_REQUIRE_SIGNED", "own.pub.pem");
        Ran::new(by_environment.output().unwrap()).with(2);
    }
    write(here.path(), "gatepost.toml", b"store = \"store\"\nrequire-signed = \"own.pub.pem\"\n");
    gatepost(here.path(), &["serve", "--listen", "127.0.0.1:0"]).with(2);
}

/// A signature is of the further entities too: both sides of a comparison have them.
#[test]
fn two_signed_stores_with_further_entities_can_be_compared() {
    let here = signed();
    let compared = ["diff", "store", "--solver", "/nowhere", "--format", "json"];
    // Without a solver, whatever is to be proven is not.
    let found = gatepost(here.path(), &[&compared[..], &REQUIRED[..]].concat()).with(2);
    assert!(!found.err.contains("signed"), "{}", found.err);
    assert_eq!(found.json()["old"], found.json()["new"]);
}

/// "Refused in every configuration: at start, by watch, SIGHUP, admin."
#[test]
fn a_running_service_takes_up_only_what_is_signed() {
    let harms: Vec<Harm> = harms();
    for (what, harm, message) in harms {
        let here = signed();
        let arguments = ["--watch", "--entities", "further.json", "--require-signed", "own.pub.pem"];
        let service = Service::start(&here, &arguments);
        let before = service.revision();
        harm(&here);
        soon(what, || service.ready()["store"] == "rejected");
        service.serving.signal("HUP");
        let reload = service.operate("POST", "/reload");
        assert_eq!((reload.status, service.revision()), (422, before.clone()), "{what}");
        let said = reload.json()["lastAttempt"]["problems"][0]["message"].as_str().unwrap().to_owned();
        assert!(said.contains(message), "{what}: {said}");
        if what == "policies" {
            // A valid signature is all that it needs.
            sign(&here, "own.pem", &["--entities", "further.json"]);
            soon("signed again", || service.ready()["store"] == "current");
            assert_ne!(service.revision(), before);
        }
    }
}

#[test]
fn a_store_with_errors_is_not_signed_and_neither_is_the_one_compiled_in() {
    let here = signed();
    write(here.path(), "store/policies/docs.cedar", b"permit (");
    gatepost(here.path(), &["sign", "--key", "own.pem", "--store", "store"]).with(2);
    let built_in = gatepost(here.path(), &["sign", "--key", "own.pem"]).with(2);
    assert!(built_in.err.contains("`--store DIR` names the folder"), "{}", built_in.err);
    put_store(&here.path().join("store"), "2");
    gatepost(here.path(), &["sign", "--key", "own.pub.pem", "--store", "store"]).with(2);
    let again = gatepost(here.path(), &["sign", "--key", "own.pem", "--store", "store", "--format", "json"]).with(0);
    assert_eq!(again.json()["revision"], revision(&here.path().join("store")).as_str());
}

// A reload storm

/// What one connection saw.
#[derive(Default)]
struct Seen {
    answers: usize,
    failed: Vec<String>,
    mixed: Vec<String>,
    revisions: BTreeMap<String, usize>,
}

/// "A reload storm (500 swaps under load) in which every answer names a revision that existed and agrees with what that revision
/// decides": single decisions, batches, of which all items are by one revision, and searches.
#[test]
fn five_hundred_swaps_under_load_mix_no_two_revisions() {
    let here = TempDir::new().unwrap();
    let root = here.path();
    DOCUMENTS.iter().for_each(|readable| put_store(&root.join(format!("of-{readable}")), readable));
    symlink("of-1", root.join("store")).unwrap();
    let service = Service::start(&here, &["--watch"]);
    let revisions = revisions();
    let is_over = AtomicBool::new(false);
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let connections: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn({
                    let (url, revisions, is_over) = (service.serving.url(), &revisions, &is_over);
                    move || load(url, number, revisions, is_over)
                })
            })
            .collect();
        for swap in 1..=500 {
            let readable = DOCUMENTS[swap % 3];
            point(&root.join("store"), Path::new(&format!("of-{readable}")));
            let answer = service.operate("POST", "/reload");
            let status = answer.json();
            assert_eq!((answer.status, revisions[status["revision"].as_str().unwrap()]), (200, readable), "{status}");
        }
        is_over.store(true, Ordering::SeqCst);
        connections.into_iter().map(|connection| connection.join().unwrap()).collect()
    });
    let loads = service.operate("GET", "/status").json()["loads"].clone();
    let answers: usize = seen.iter().map(|seen| seen.answers).sum();
    let failed: Vec<&String> = seen.iter().flat_map(|seen| &seen.failed).collect();
    let mixed: Vec<&String> = seen.iter().flat_map(|seen| &seen.mixed).collect();
    let mut by_revision: BTreeMap<&str, usize> = BTreeMap::new();
    seen.iter()
        .flat_map(|seen| &seen.revisions)
        .for_each(|(readable, count)| *by_revision.entry(readable).or_default() += count);
    println!(
        "{loads} stores put into force; {answers} answers, {} failed, {} mixed; by store {by_revision:?}",
        failed.len(),
        mixed.len()
    );
    assert_eq!(loads, 501);
    assert_eq!((failed.first(), mixed.first()), (None, None));
    assert!(by_revision.len() == 3 && answers > 500, "it was not under load");
}

/// Asks until it is over, over one connection.
fn load(url: &str, number: usize, revisions: &HashMap<String, &'static str>, is_over: &AtomicBool) -> Seen {
    let client = Client::new(url, TlsConfig::default());
    let items: Vec<Value> =
        (0..60).map(|index| json!({ "resource": { "type": "Doc", "id": DOCUMENTS[index % 3] } })).collect();
    let batch =
        json!({ "subject": { "type": "User", "id": "ada" }, "action": { "name": "read" }, "evaluations": items });
    let resources = json!({ "subject": { "type": "User", "id": "ada" }, "action": { "name": "read" }, "resource": { "type": "Doc" } });
    let mut seen = Seen::default();
    let mut round = number;
    while !is_over.load(Ordering::SeqCst) {
        round += 1;
        let document = DOCUMENTS[round % 3];
        let actions =
            json!({ "subject": { "type": "User", "id": "ada" }, "resource": { "type": "Doc", "id": document } });
        let (path, asked) = match round / 3 % 4 {
            0 => (SINGLE, &body(document)),
            1 => (BATCH, &batch),
            2 => (RESOURCES, &resources),
            _ => (ACTIONS, &actions),
        };
        let answer = match client.send("POST", path, &[JSON], asked.to_string()) {
            Ok(answer) if answer.status == 200 => answer,
            other => {
                seen.failed.push(format!("{path}: {other:?}"));
                continue;
            }
        };
        seen.answers += 1;
        let Some(readable) = answer.header("gatepost-revision").and_then(|revision| revisions.get(revision)) else {
            seen.mixed.push(format!("no such revision: {answer:?}"));
            continue;
        };
        *seen.revisions.entry((*readable).to_owned()).or_default() += 1;
        let expected = match path {
            SINGLE => json!({ "decision": document == *readable }),
            BATCH => {
                let items: Vec<Value> =
                    (0..60).map(|index| json!({ "decision": DOCUMENTS[index % 3] == *readable })).collect();
                json!({ "evaluations": items })
            }
            RESOURCES => json!({ "results": [{ "type": "Doc", "id": readable }] }),
            _ if document == *readable => json!({ "results": [{ "name": "read" }] }),
            _ => json!({ "results": [] }),
        };
        if answer.json() != expected {
            seen.mixed.push(format!("{path}: {} by the store of {readable}", answer.text));
        }
    }
    seen
}

// An author who saves

/// A command that runs again at each save, whose lines are read as they come.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(here: &TempDir, arguments: &[&str]) -> Self {
        let mut command = command(here.path(), arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { child, lines }
    }

    /// The lines up to the one that begins with one of these.
    fn until(&self, ends: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no end after {lines:?}"));
            let is_end = ends.iter().any(|end| line.starts_with(end));
            lines.push(line);
            if is_end {
                return lines;
            }
        }
    }

    fn interrupt(mut self) -> Option<i32> {
        let script = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

/// "`check`, `test` and `prove` take `--watch` too, so that an author sees red or green at each save."
#[test]
fn an_author_sees_red_or_green_at_each_save() {
    for command in ["check", "test"] {
        let here = here("1");
        let store = here.path().join("store");
        let watching = Watching::start(&here, &[command, "--watch", "--store", "store"]);
        let ends = ["✓ all is well", "✗ not all is well", "✗ not all could be checked"];
        let run = || watching.until(&ends).last().unwrap().clone();
        assert!(run().starts_with(ends[0]));
        // What does not parse: `check` says what is wrong, `test` cannot test it.
        write(&store, "policies/docs.cedar", b"permit (");
        assert!(run().starts_with(if command == "check" { ends[1] } else { ends[2] }));
        // A store that disappears and comes back is no end.
        fs::rename(&store, here.path().join("away")).unwrap();
        assert!(run().starts_with(ends[2]));
        put_store(&store, "2");
        assert!(run().starts_with(ends[0]));
        write(&store, "policies/docs.cedar", PERMITS_ALL);
        // It parses, but the rows do not hold.
        let last = run();
        assert!(last.starts_with(if command == "check" { ends[0] } else { ends[1] }), "{last}");
        assert_eq!(watching.interrupt(), Some(i32::from(command == "test")), "the exit status is that of the last run");
    }
}

/// "One JSON document per run, one per line."
#[test]
fn a_program_that_watches_reads_one_document_a_line() {
    let here = here("1");
    let store = here.path().join("store");
    let watching = Watching::start(&here, &["test", "--watch", "--store", "store", "--format", "json"]);
    let run = || -> Value { serde_json::from_str(&watching.until(&["{"]).pop().unwrap()).unwrap() };
    assert_eq!(run()["holds"], true);
    write(&store, "policies/docs.cedar", PERMITS_ALL);
    assert_eq!(run()["holds"], false);
    write(&store, "policies/docs.cedar", b"permit (");
    assert_eq!(run()["problems"][0]["file"], "policies/docs.cedar");
    put_store(&store, "1");
    assert_eq!(run()["revision"], revision(&store).as_str());
    assert_eq!(watching.interrupt(), Some(0));
    let built_in = gatepost(here.path(), &["check", "--watch"]).with(2);
    assert!(built_in.err.contains("the store that is compiled in does not change"), "{}", built_in.err);
}
