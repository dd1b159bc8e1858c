//! The examples of callers, each run as a user runs it, against the real binary and against services that fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use common::binary::{PATIENCE, Ran, Serving, command};
use common::folder;
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
