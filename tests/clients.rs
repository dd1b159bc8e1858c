//! The examples of callers and gateways, and clients made of the OpenAPI document: each run as a user runs it, against the real binary and
//! against services that fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::binary::{PATIENCE, Ran, Serving, command, post};
use common::folder;
use common::server::exchange;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A user who opens the page of the account `acme`, and enters a phone number.
struct Visit<'a> {
    /// Where the decisions come from.
    gatepost: &'a str,
    token: Option<&'a str>,
    role: &'a str,
    /// The account of the user.
    account: &'a str,
    phone: &'a str,
}

/// What the user sees, and what the log says.
#[derive(Debug)]
struct Seen {
    page: String,
    log: String,
    /// Whether the page says that permissions were checked, by its exit status or that of HTTP.
    checked: bool,
}

type Client = fn(&Visit) -> Seen;

/// The tests of a client, which each client must pass.
macro_rules! client {
    ($name:ident, $client:expr $(, $needs:literal)?) => {
        mod $name {
            #[test]
            $(#[ignore = $needs])?
            fn shows_the_buttons_and_says_why_a_contact_is_refused() {
                super::shows_the_buttons_and_says_why_a_contact_is_refused($client);
            }

            #[test]
            $(#[ignore = $needs])?
            fn takes_no_failure_for_an_allow() {
                super::takes_no_failure_for_an_allow($client);
            }

            #[test]
            $(#[ignore = $needs])?
            fn waits_for_no_answer_that_does_not_come() {
                super::waits_for_no_answer_that_does_not_come($client);
            }

            #[test]
            $(#[ignore = $needs])?
            fn says_who_it_is() {
                super::says_who_it_is($client);
            }
        }
    };
}

client!(axum, super::axum_middleware);
client!(curl, super::curl_script, "needs curl");
client!(python, super::python_program, "needs python3");
client!(typescript, super::typescript_program, "needs node, and the compiler that scripts/test installs");

const GOOD: &str = "(02) 9374 4000";
const WRONG_PHONE: &str = "refused: The phone number is not valid for the billing market of the account.\n";
const UNCHECKED: &str =
    "Permissions cannot be checked at the moment, so nothing can be changed here. Please try again later.";
const TOKEN: &str = "gp_page-of-the-support-contact";

/// "Each shows which buttons to show, and what to say when a phone number is refused."
fn shows_the_buttons_and_says_why_a_contact_is_refused(client: Client) {
    let (service, _nothing) = serving("");
    let refused = "refused: Company Admins may enter the support contact of their own account.\n\
                   refused: Members of the sales team may enter the support contact of any account.\n";
    let saved = format!("saved: {GOOD}\n");
    let cases = [
        ("companyAdmin", "acme", GOOD, "buttons: view enter\n", saved.as_str()),
        ("companyAdmin", "acme", "(02) 9374 400", "buttons: view enter\n", WRONG_PHONE),
        // What people type is text to the service, whatever it looks like.
        ("companyAdmin", "acme", "\"\\ \t\u{202e}', \"email\": \"x", "buttons: view enter\n", WRONG_PHONE),
        ("companyAdmin", "acme", "", "buttons: view enter\n", WRONG_PHONE),
        ("salesTeam", "megaport", GOOD, "buttons: enter\n", saved.as_str()),
        ("accountUser", "acme", "(02) 9374 400", "buttons: view\n", WRONG_PHONE),
        ("accountUser", "other", GOOD, "buttons: none\n", refused),
        ("companyAdmin", "ac\"me", GOOD, "buttons: none\n", refused),
    ];
    for (role, account, phone, buttons, answer) in cases {
        let seen = client(&Visit { gatepost: &url(&service), token: None, role, account, phone });
        assert_eq!(
            (seen.page.as_str(), seen.log.as_str()),
            (format!("{buttons}{answer}").as_str(), ""),
            "{role} {account}"
        );
        assert!(seen.checked, "{seen:?}");
    }
}

/// "The service unreachable or 503: deny and say so; 400: a bug of the caller, logged and denied; never treats an error as an
/// allow."
fn takes_no_failure_for_an_allow(client: Client) {
    let unchecked = format!("buttons: none\nnotice: {UNCHECKED}\nrefused: {UNCHECKED}\n");
    // What would be an allow to one that does not look at the status.
    let allow = allowing(&json!(true)).to_string();
    let cases = [
        (503, "status 503"),
        (500, "status 500"),
        (401, "GATEPOST_TOKEN"),
        (400, "this program is wrong"),
        (302, "302"),
    ];
    for (status, logged) in cases {
        let failing = Failing::start(status, &allow);
        let seen = client(&admin(&failing.url));
        assert_eq!(seen.page, unchecked, "{status}: {seen:?}");
        assert!(seen.log.contains(logged) && !seen.checked, "{status}: {seen:?}");
    }
    // It is stopped.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = client(&admin(&format!("http://{nobody}")));
    assert_eq!(seen.page, unchecked, "{seen:?}");
    assert!(seen.log.contains("no answer") && !seen.checked, "{seen:?}");
    // Nothing but a Boolean is an allow, and an answer counts as a whole.
    let nearly =
        ["\"true\"", "1", "null", "{}"].map(|value| allowing(&serde_json::from_str(value).unwrap()).to_string());
    for answer in nearly.iter().map(String::as_str).chain([
        "{}",
        "[]",
        "true",
        "",
        "<html>true</html>",
        "{\"evaluations\":[{\"decision\":true}]}",
    ]) {
        let failing = Failing::start(200, answer);
        let seen = client(&admin(&failing.url));
        assert!(seen.page.starts_with("buttons: none\n") && seen.page.contains("\nrefused: "), "{answer}: {seen:?}");
    }
}

/// "Complete: time-outs."
fn waits_for_no_answer_that_does_not_come(client: Client) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let seen = client(&admin(&format!("http://{}", silent.local_addr().unwrap())));
    assert_eq!(seen.page, format!("buttons: none\nnotice: {UNCHECKED}\nrefused: {UNCHECKED}\n"), "{seen:?}");
    // Two questions of three seconds, on a machine that has other things to do.
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

/// "Sends `X-Request-ID`; optional bearer token from the environment." A token that is not known is refused.
fn says_who_it_is(client: Client) {
    let failing = Failing::start(503, "\"not now\"");
    for token in [None, Some(TOKEN)] {
        client(&Visit { token, ..admin(&failing.url) });
        for request in failing.requests.lock().unwrap().drain(..) {
            let header = |name: &str| {
                let mut lines = request.lines().filter_map(|line| line.split_once(": "));
                lines.find_map(|(header, value)| header.eq_ignore_ascii_case(name).then(|| value.to_owned()))
            };
            assert_eq!(header("authorization"), token.map(|token| format!("Bearer {token}")), "{request}");
            assert!(header("x-request-id").is_some_and(|id| !id.is_empty()), "{request}");
        }
    }
    let hash = Sha256::digest(TOKEN).iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
    let (service, _callers) = serving(&format!("[[token]]\nname = \"page\"\nsha256 = \"{hash}\"\n"));
    for (token, page) in [
        (Some(TOKEN), format!("buttons: view enter\nsaved: {GOOD}\n")),
        (Some("gp_another"), format!("buttons: none\nnotice: {UNCHECKED}\nrefused: {UNCHECKED}\n")),
        (None, format!("buttons: none\nnotice: {UNCHECKED}\nrefused: {UNCHECKED}\n")),
    ] {
        let seen = client(&Visit { token, ..admin(&url(&service)) });
        assert_eq!(seen.page, page, "{seen:?}");
        assert!(!seen.log.contains("gp_"), "a token is a secret: {seen:?}");
    }
}

/// "In front of a tiny support-contact page service, denying with 403 and the sentence." No route goes around it.
#[test]
fn the_middleware_stands_before_every_route() {
    let (service, _nothing) = serving("");
    let pages = PageService::start(&admin(&url(&service)));
    let user = [("x-user", "ada"), ("x-role", "companyAdmin"), ("x-account", "acme")];
    let stranger = [("x-user", "eve"), ("x-role", "companyAdmin"), ("x-account", "other")];
    let view = "Company Admins may view the support contact of their own account.\n";
    let order = "Orders can be placed once the account's support contact details are complete.\n";
    let contact = r#"{ "phone": "(02) 9374 4000", "email": "support@acme.example" }"#;
    assert_eq!(pages.send("GET", "/support-contact", &user, ""), (200, "The support contact of acme.\n".to_owned()));
    let (status, text) = pages.send("GET", "/support-contact", &stranger, "");
    assert!(status == 403 && text.starts_with(view), "{status} {text}");
    assert_eq!(pages.send("POST", "/orders", &user, ""), (403, order.to_owned()));
    assert_eq!(pages.send("POST", "/support-contact", &user, contact), (200, format!("saved {contact}\n")));
    for (method, path) in [("GET", "/support-contact"), ("POST", "/support-contact"), ("POST", "/orders"), ("GET", "/")]
    {
        assert_eq!(pages.send(method, path, &user[1..], contact).0, 401, "{method} {path}");
    }
    for (method, path, body, status) in [
        ("POST", "/support-contact", "[]", 400),
        ("POST", "/support-contact", r#"{ "phone": 7 }"#, 400),
        // What it lacks is not for the user to read: that is said by the form.
        ("POST", "/support-contact", "{}", 403),
        ("DELETE", "/support-contact", "", 405),
        ("GET", "/orders", "", 405),
        ("GET", "/elsewhere", "", 404),
    ] {
        let (got, text) = pages.send(method, path, &user, body);
        assert!(got == status && !text.contains("context."), "{method} {path} {body}: {got} {text}");
    }
    assert_eq!(pages.send("POST", "/support-contact", &user, &"x".repeat(70_000)).0, 413);
}

/// Everything that a client may ask, answered with that in place of `true`.
fn allowing(decision: &Value) -> Value {
    let evaluations = vec![json!({ "decision": decision }); 5];
    let results = if decision == true { json!([{ "name": "viewSupportContact" }]) } else { decision.clone() };
    json!({ "decision": decision, "evaluations": evaluations, "results": results })
}

/// A Company Admin of the account enters what is fine.
fn admin(gatepost: &str) -> Visit<'_> {
    Visit { gatepost, token: None, role: "companyAdmin", account: "acme", phone: GOOD }
}

/// The binary with its own store; with these callers, if there are any.
fn serving(callers: &str) -> (Serving, TempDir) {
    let here = folder([("callers.toml", callers)]);
    let file = here.path().join("callers.toml");
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0"];
    if !callers.is_empty() {
        arguments.extend(["--token-file", file.to_str().unwrap()]);
    }
    (Serving::start(&mut command(here.path(), &arguments)), here)
}

fn url(service: &Serving) -> String {
    format!("http://{}", service.address())
}

/// A service that gives every request the same answer, and keeps what it got.
struct Failing {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Failing {
    fn start(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let length = body.len();
        let headers = format!(
            "content-type: application/json\r\ncontent-length: {length}\r\nlocation: {url}\r\nconnection: close"
        );
        let answer = format!("HTTP/1.1 {status} -\r\n{headers}\r\n\r\n{body}");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                kept.lock().unwrap().push(request(&mut stream));
                // A client that has gone does not read it.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, requests }
    }
}

/// A whole request: unread bytes would make the answer a broken connection.
fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

// The clients

fn curl_script(visit: &Visit) -> Seen {
    program(Command::new("bash").arg(examples().join("curl/support-contact.sh")), visit)
}

fn python_program(visit: &Visit) -> Seen {
    program(Command::new("python3").arg(examples().join("python/support_contact.py")), visit)
}

fn typescript_program(visit: &Visit) -> Seen {
    program(Command::new("node").arg(COMPILED.join("support-contact.js")), visit)
}

/// A program that shows the page on standard output.
fn program(program: &mut Command, visit: &Visit) -> Seen {
    let ran = Ran::new(settings(program, visit).args([visit.role, visit.account, visit.phone]).output().unwrap());
    assert!(matches!(ran.status, Some(0 | 1)), "{ran:?}");
    Seen { page: ran.out, log: ran.err, checked: ran.status == Some(0) }
}

/// The service behind the middleware, as a browser sees it.
fn axum_middleware(visit: &Visit) -> Seen {
    let mut service = PageService::start(visit);
    let user = [("x-user", "ada"), ("x-role", visit.role), ("x-account", visit.account)];
    let (shown, mut page) = service.send("GET", "/", &user, "");
    let contact = json!({ "phone": visit.phone, "email": "support@acme.example" }).to_string();
    let (status, text) = service.send("POST", "/support-contact", &user, &contact);
    match status {
        200 => {
            assert_eq!(text, format!("saved {contact}\n"));
            page += &format!("saved: {}\n", visit.phone);
        }
        403 | 503 => text.lines().for_each(|line| page += &format!("refused: {line}\n")),
        _ => panic!("{status} {text}"),
    }
    Seen { page, log: service.end(), checked: shown == 200 && status != 503 }
}

/// The example for axum, running. It ends when it is dropped.
struct PageService {
    child: Child,
    address: String,
}

impl PageService {
    fn start(visit: &Visit) -> Self {
        let mut command = Command::new(&*AXUM_MIDDLEWARE);
        settings(&mut command, visit).env("LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut banner = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut banner).unwrap();
        Self { child, address: banner.trim().strip_prefix("listening on ").unwrap().to_owned() }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent = config.build().new_agent();
        let request = agent.configure_request(request.body(body.to_owned()).unwrap());
        let mut response = agent.run(request.allow_non_standard_methods(true).build()).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// Ends it; what it logged.
    fn end(&mut self) -> String {
        self.child.kill().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for PageService {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No settings but those of the visit, and no proxy.
fn settings<'a>(command: &'a mut Command, visit: &Visit) -> &'a mut Command {
    for name in ["GATEPOST_TOKEN", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    if let Some(token) = visit.token {
        command.env("GATEPOST_TOKEN", token);
    }
    command.env("GATEPOST_URL", visit.gatepost)
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The example for axum. (Cargo builds examples before tests only where it is asked for all tests.)
static AXUM_MIDDLEWARE: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--example", "axum_middleware"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What cargo tells the test about its package would make it build other packages again.
    let told = ["CARGO_MANIFEST_", "CARGO_PKG_", "OUT_DIR"];
    for (name, _) in std::env::vars_os() {
        if told.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    Ran::new(cargo.output().unwrap()).with(0);
    Path::new(env!("CARGO_BIN_EXE_gatepost")).with_file_name("examples").join("axum_middleware")
});

/// The folder of the compiled TypeScript. The compiler must find nothing to complain of.
static COMPILED: LazyLock<PathBuf> = LazyLock::new(|| {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/typescript");
    let compiler = tools.join("node_modules/.bin/tsc");
    assert!(compiler.exists(), "there is no TypeScript compiler: scripts/test installs it");
    let out = tools.join("build");
    let mut tsc = Command::new(compiler);
    tsc.arg("--project").arg(examples().join("typescript")).arg("--outDir").arg(&out);
    tsc.arg("--typeRoots").arg(tools.join("node_modules/@types"));
    Ran::new(tsc.output().unwrap()).with(0);
    out
});

// Clients that are made of the OpenAPI document

/// Who may be found, and the request that the clients begin with.
const STORED: &str =
    r#"[{ "uid": { "type": "User", "id": "ada" }, "attrs": { "role": "companyAdmin", "account": "acme" } }]"#;

/// What each of them says, but for how it spells a Boolean.
const SAID: &str = "one: false phone-valid-for-billing-market\n\
                    many: true false true\n\
                    many: true false\n\
                    one of many: true\n\
                    actions: saveConfiguration viewMegaportContacts true\n\
                    subjects: ada\n\
                    refused: 400 `resource.properties.kind` must be the id of an AccountKind: `direct`, `partner`, `managed`, or an \
                    object with its `type` and its `id`, but is a number\n";

/// A service, a folder with the document that it serves and the program that asks it, and the settings of that program.
fn described(program: &str) -> (Serving, TempDir, [(&'static str, String); 2]) {
    let here = folder([("stored.json", STORED)]);
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--entities", "stored.json"];
    let service = Serving::start(&mut command(here.path(), &arguments));
    let document =
        ureq::get(format!("{}/openapi.json", url(&service))).call().unwrap().body_mut().read_to_vec().unwrap();
    std::fs::write(here.path().join("openapi.json"), document).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(root.join("tests/data/clients").join(program), here.path().join(program)).unwrap();
    let request = root.join("requests/enter-support-contact.json").to_str().unwrap().to_owned();
    let settings = [("GATEPOST_URL", url(&service)), ("GATEPOST_REQUEST", request)];
    (service, here, settings)
}

/// A program that `scripts/test` installs.
fn installed(path: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join(path);
    assert!(program.exists(), "there is no {}: scripts/test installs it", program.display());
    program
}

/// B6: "`/openapi.json` makes working clients with `openapi-python-client`": it is typed, by mypy's strict reading, and works.
#[test]
#[ignore = "needs openapi-python-client and mypy, which scripts/test installs"]
fn a_client_in_python_is_made_of_the_document() {
    let (_service, here, settings) = described("generated.py");
    // What it calls itself stands beside it.
    let programs = installed("openapi-python-client/bin");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(programs.join(program));
        let command = command.current_dir(here.path()).args(arguments).envs(settings.clone()).env("PATH", &path);
        Ran::new(command.output().unwrap()).with(0)
    };
    let made = run(
        "openapi-python-client",
        &["generate", "--path", "openapi.json", "--output-path", "client", "--meta", "none"],
    );
    assert!(!(made.out + &made.err).contains("arning"), "something could not be made");
    // The faults of what every such client has are not reported.
    run("mypy", &["--strict", "--follow-imports", "silent", "generated.py"]);
    let said = run("python", &["generated.py"]).out;
    assert_eq!(said.replace("True", "true").replace("False", "false"), SAID);
}

/// B6: "and `openapi-typescript` (batches typed, no `unknown[]`)".
#[test]
#[ignore = "needs node, openapi-typescript and openapi-fetch, which scripts/test installs"]
fn a_client_in_typescript_is_made_of_the_document() {
    let (_service, here, settings) = described("generated.ts");
    let modules = installed("openapi-typescript/node_modules");
    std::os::unix::fs::symlink(&modules, here.path().join("node_modules")).unwrap();
    std::fs::write(here.path().join("package.json"), r#"{ "type": "module" }"#).unwrap();
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        let command = command.current_dir(here.path()).args(arguments).envs(settings.clone());
        Ran::new(command.output().unwrap()).with(0)
    };
    run(&modules.join(".bin/openapi-typescript"), &["openapi.json", "--output", "api.d.ts"]);
    let types = std::fs::read_to_string(here.path().join("api.d.ts")).unwrap();
    assert!(!types.contains("unknown[]") && !types.contains("| unknown"), "{types}");
    let strictly = ["--strict", "--exactOptionalPropertyTypes", "--noPropertyAccessFromIndexSignature"];
    let modern = ["--target", "es2022", "--module", "nodenext", "--types", "node", "generated.ts"];
    run(&modules.join(".bin/tsc"), &[&strictly[..], &modern].concat());
    assert_eq!(run(Path::new("node"), &["generated.js"]).out, SAID);
}

// Gateways

/// The service with the store of the gateways.
fn serving_routes() -> (Serving, TempDir) {
    let here = TempDir::new().unwrap();
    let store = examples().join("gateways/store");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--store", store.to_str().unwrap()];
    (Serving::start(&mut command(here.path(), &arguments)), here)
}

/// A path that would end a string in JSON, and what it is once it is decoded.
const ESCAPED: (&str, &str) = ("/docs/%22,%22x%22:%5C", r#"/docs/","x":\"#);

/// What is no allow, and which status it comes with.
const NO_ALLOWS: [(u16, &str); 11] = [
    (200, r#"{"decision":false}"#),
    (200, r#"{"decision":"true"}"#),
    (200, r#"{"decision":1}"#),
    (200, r#"{"context":{"decision":true}}"#),
    (200, "{}"),
    (200, "true"),
    (200, "null"),
    (200, ""),
    (200, r#"{"decision":true"#),
    (503, r#"{"decision":true}"#),
    (302, r#"{"decision":true}"#),
];

/// nginx with the recipe, which asks there and passes on there. It ends when it is dropped.
struct Nginx {
    child: Child,
    address: String,
    _here: TempDir,
}

impl Nginx {
    fn start(gatepost: &str, service: &str) -> Self {
        let recipe = |name: &str| std::fs::read_to_string(examples().join("gateways/nginx").join(name)).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        // What may differ: addresses, and where the distribution's nginx keeps what it needs.
        let places =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {kind};"));
        let configuration = recipe("nginx.conf")
            .replace("127.0.0.1:8080", &address)
            .replace("127.0.0.1:8081", service.strip_prefix("http://").unwrap())
            .replace("http {", &format!("http {{ access_log off; {}", places.join(" ")));
        let users = "ada:{PLAIN}secret\nbob:{PLAIN}secret\n";
        let here =
            folder([("nginx.conf", configuration.as_str()), ("gatepost.js", &recipe("gatepost.js")), ("users", users)]);
        std::os::unix::fs::symlink("/usr/lib/nginx/modules", here.path().join("modules")).unwrap();
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let mut nginx = Command::new(program);
        nginx.arg("-p").arg(here.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        nginx.args(["-g", "daemon off; master_process off; pid nginx.pid;"]);
        let child =
            nginx.env("GATEPOST_URL", gatepost).env_remove("GATEPOST_TOKEN").stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(started.elapsed() < PATIENCE, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address, _here: here }
    }

    /// The status that a user gets.
    fn send(&self, method: &str, path: &str, user: Option<&str>) -> u16 {
        let known = user.map(|user| format!("authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:secret"))));
        let known = known.unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{known}content-length: 0\r\nconnection: close\r\n\r\n"
        );
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        exchange(stream, request.as_bytes()).split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// B7: "tried recipes for nginx (njs) … that read the decision and escape what they put into JSON".
#[test]
#[ignore = "needs nginx and libnginx-mod-http-js"]
fn nginx_lets_through_what_is_allowed_and_nothing_else() {
    let ((gatepost, _nothing), service) = (serving_routes(), Failing::start(200, "\"documentation\""));
    let nginx = Nginx::start(&url(&gatepost), &service.url);
    let injected = "/x%22,%22properties%22:%7B%22path%22:%22/docs/x";
    for (method, path, user, status) in [
        ("GET", "/docs/x", Some("ada"), 200),
        ("GET", "/docs/x?y=/../z", Some("bob"), 200),
        ("HEAD", "/docs/x", Some("bob"), 200),
        ("POST", "/docs/x", Some("ada"), 200),
        ("GET", ESCAPED.0, Some("ada"), 200),
        ("POST", "/docs/x", Some("bob"), 403),
        ("DELETE", "/docs/x", Some("ada"), 403),
        ("GET", "/other", Some("ada"), 403),
        ("GET", "/docs/../other", Some("ada"), 403),
        ("GET", "/docs/..%2fother", Some("ada"), 403),
        ("GET", injected, Some("ada"), 403),
        ("GET", "/docs/x", None, 401),
        ("GET", "/gatepost", Some("ada"), 404),
    ] {
        assert_eq!(nginx.send(method, path, user), status, "{method} {path} {user:?}");
        let passed_on = service.requests.lock().unwrap().drain(..).count();
        assert_eq!(passed_on, usize::from(status == 200), "{method} {path} {user:?}");
    }
    // The service gets the path that was decided on.
    nginx.send("GET", "/docs/./y/%2e%2e/x", Some("ada"));
    let passed_on = service.requests.lock().unwrap().pop().unwrap();
    assert!(passed_on.starts_with("GET /docs/x HTTP/1."), "{passed_on}");
}

/// B7: it fails closed, and the path stands in one string.
#[test]
#[ignore = "needs nginx and libnginx-mod-http-js"]
fn nginx_takes_no_failure_for_an_allow() {
    let service = Failing::start(200, "\"documentation\"");
    for (status, body) in NO_ALLOWS {
        let gatepost = Failing::start(status, body);
        let refused = Nginx::start(&gatepost.url, &service.url).send("GET", ESCAPED.0, Some("ada"));
        assert!(matches!(refused, 403 | 500), "{status} {body}: {refused}");
        let asked = gatepost.requests.lock().unwrap().pop().unwrap();
        let question: Value = serde_json::from_str(asked.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(question, question_of(ESCAPED.1));
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for gatepost in [silent.local_addr().unwrap(), nobody] {
        let nginx = Nginx::start(&format!("http://{gatepost}"), &service.url);
        assert_eq!(nginx.send("GET", "/docs/x", Some("ada")), 500);
    }
    assert_eq!(service.requests.lock().unwrap().len(), 0);
}

/// What is asked where Ada gets that path.
fn question_of(path: &str) -> Value {
    json!({
        "subject": { "type": "User", "id": "ada" },
        "action": { "name": "get" },
        "resource": { "type": "http-route", "id": path, "properties": { "path": path } },
    })
}

/// What the script of Envoy's filter asks, and whether it lets the request through, where it is answered so.
fn envoy([method, path, user]: [&str; 3], status: &str, body: &str) -> (Option<String>, bool) {
    let script = examples().join("gateways/envoy/gatepost.lua");
    let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clients/envoy.lua");
    let mut lua = Command::new("lua5.4");
    let ran = Ran::new(lua.arg(stub).arg(script).args([method, path, user, status, body]).output().unwrap()).with(0);
    let asked = ran.out.lines().find_map(|line| line.strip_prefix("asked ")).map(str::to_owned);
    let let_through = ran.out.lines().any(|line| line == "let through");
    assert_ne!(let_through, ran.out.lines().any(|line| line == "refused 403"), "{ran:?}");
    (asked, let_through)
}

/// B7: "and Envoy (Lua)": the script alone, with a handle that stands for Envoy's.
#[test]
#[ignore = "needs lua5.4"]
fn the_script_for_envoy_lets_through_what_is_allowed_and_nothing_else() {
    let (gatepost, _nothing) = serving_routes();
    let answer = |question: &str| {
        let (status, answer) = post(&format!("{}/access/v1/evaluation", url(&gatepost)), "application/json", question);
        (status.to_string(), answer.to_string())
    };
    for (asked, let_through) in [
        (["GET", "/docs/x", "ada"], true),
        (["HEAD", "/docs/x?y=/z", "bob"], true),
        (["POST", "/docs/x", "ada"], true),
        (["GET", r#"/docs/","x":\"#, "ada"], true),
        (["POST", "/docs/x", "bob"], false),
        (["GET", "/other", "ada"], false),
        (["GET", r#"/x","properties":{"path":"/docs/x"#, "ada"], false),
        (["GET", "/docs/\u{7}\n\t", "ada"], true),
        (["POST", "/docs/x", r#"bob"},"subject":{"type":"User","id":"ada"#], false),
    ] {
        let question = envoy(asked, "none", "").0.unwrap();
        let (status, body) = answer(&question);
        assert_eq!(envoy(asked, &status, &body), (Some(question), let_through), "{asked:?} {status} {body}");
    }
    // Nobody is asked about what it does not know.
    for asked in [["DELETE", "/docs/x", "ada"], ["GET", "/docs/x", ""]] {
        assert_eq!(envoy(asked, "200", r#"{"decision":true}"#), (None, false), "{asked:?}");
    }
    let mut expected = question_of(ESCAPED.1);
    expected["options"] = json!({ "reasons": "none" });
    for (status, body) in NO_ALLOWS {
        let (question, let_through) = envoy(["GET", ESCAPED.1, "ada"], &status.to_string(), body);
        assert_eq!(serde_json::from_str::<Value>(&question.unwrap()).unwrap(), expected);
        assert!(!let_through, "{status} {body}");
    }
    for failure in ["none", "broken", "504"] {
        assert!(!envoy(["GET", "/docs/x", "ada"], failure, "").1, "{failure}");
    }
}
