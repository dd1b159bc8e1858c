//! "A canary secret that must appear in no log, metric, error or trace": put wherever a caller can put one, with
//! everything on that tells of requests, and with errors provoked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::Read;
use std::net::TcpStream;

use common::binary::{PATIENCE, Serving, command, gatepost};
use common::collector::collector;
use common::server::{Client, exchange};
use common::{enter, folder, with};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::TlsConfig;

/// No part of any other word; in lower case, in which it is looked for.
const CANARY: &str = "canary";

/// The canary as a phone number, and as an e-mail address.
const PHONE: &str = "+61 491 570 156";
const EMAIL: &str = "Canary.Bird@Canary.example";

/// The span of a caller.
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The bodies: each has it in one place, and each error that a body can provoke is provoked.
fn bodies() -> Vec<(&'static str, Value)> {
    let single = "/access/v1/evaluation";
    let changes = [
        // Of the wrong type: 400. (Where an id is expected, what was sent is named to its sender; ids are no secrets.)
        json!({ "subject": { "properties": { "role": { CANARY: CANARY } } } }),
        json!({ "resource": { "properties": { "provisionedServices": CANARY } } }),
        json!({ "resource": { "properties": { "billingMarket": [CANARY] } } }),
        json!({ "context": { "phone": { "valid": true, "e164": CANARY, "region": CANARY } } }),
        json!({ "options": { "reasons": CANARY } }),
        json!({ "subject": { "id": { "x": CANARY } } }),
        json!({ "context": CANARY }),
        // Values that are taken, or cannot be read by a plugin.
        json!({ "resource": { "properties": { "billingMarket": CANARY, "signUpEmail": EMAIL } } }),
        json!({ "context": { "phone": PHONE, "email": EMAIL } }),
        json!({ "context": { "phone": CANARY, "email": CANARY } }),
        // What is dropped.
        json!({ "subject": { "properties": { "unknown": CANARY } }, "context": { "unknown": { "deeper": [CANARY] } } }),
        json!({ "action": { "properties": { "unknown": CANARY } }, "options": { "unknown": CANARY }, "unknown": CANARY }),
        // What the schema does not know.
        json!({ "subject": { "type": CANARY } }),
        json!({ "action": { "name": CANARY } }),
        // Required, and not there.
        json!({ "resource": { "properties": { "kind": common::REMOVE, "supportContact": { "phone": PHONE, "email": EMAIL } } } }),
    ];
    let mut bodies: Vec<_> = changes.into_iter().map(|change| (single, with(enter(), change))).collect();
    bodies.push((
        "/access/v1/evaluations",
        with(enter(), json!({ "evaluations": [{ "context": { "phone": CANARY } }, CANARY] })),
    ));
    bodies.push(("/access/v1/evaluations", with(enter(), json!({ "evaluations": CANARY }))));
    bodies.push((
        "/access/v1/evaluations",
        with(enter(), json!({ "options": { "evaluations_semantic": CANARY }, "evaluations": [{}] })),
    ));
    for kind in ["subject", "resource", "action"] {
        let path = ["/access/v1/search/subject", "/access/v1/search/resource", "/access/v1/search/action"];
        let path = path.into_iter().find(|path| path.ends_with(kind)).unwrap();
        for page in [json!({ "token": CANARY }), json!({ "token": [CANARY] }), json!({ "limit": CANARY })] {
            bodies.push((path, with(enter(), json!({ "page": page, "context": { "email": EMAIL } }))));
        }
    }
    bodies
}

/// Bodies that are no JSON, or too much.
fn broken() -> Vec<String> {
    let cut = enter().to_string();
    vec![
        CANARY.to_owned(),
        format!("\"{CANARY}\""),
        format!("[\"{CANARY}\"]"),
        format!("{{\"subject\": \"{CANARY}"),
        format!("{{\"subject\": {CANARY}}}"),
        cut[..cut.len() - 1].replace("(02) 9374 4000", CANARY),
        format!("{{\"subject\": \"\\u{CANARY}\"}}"),
        CANARY.repeat(5_000),
    ]
}

struct Told {
    answers: String,
    /// The answers that are errors, by their status.
    statuses: Vec<u16>,
}

impl Told {
    fn answer(&mut self, status: u16, text: &str) {
        self.statuses.push(status);
        self.answers += text;
    }
}

/// Puts the canary everywhere, and gives all that came back.
fn sing(serving: &Serving, token: &str) -> Told {
    let client = Client::new(&format!("http://{}", serving.address()), TlsConfig::default());
    let mut told = Told { answers: String::new(), statuses: Vec::new() };
    let known = format!("Bearer {token}");
    let (json, known) = (("content-type", "application/json"), ("authorization", known.as_str()));
    let mut send = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = client.send(method, path, headers, body).unwrap();
        told.answer(answer.status, &format!("{:?} {}\n", answer.headers, answer.text));
    };
    for (path, body) in bodies() {
        send("POST", path, &[json, known], &body.to_string());
    }
    for body in broken() {
        send("POST", "/access/v1/evaluation", &[json, known], &body);
    }
    let body = enter().to_string();
    for header in
        ["cookie", "user-agent", "x-forwarded-for", "x-api-key", "baggage", "accept", "referer", "traceparent"]
    {
        send("POST", "/access/v1/evaluation", &[json, known, (header, CANARY)], &body);
    }
    // What stands beside the ids of a trace, from callers that are known and that are not.
    let traced = [json, ("traceparent", PARENT), ("tracestate", "canary=canary,other=canary")];
    send("POST", "/access/v1/evaluation", &[traced.as_slice(), &[known]].concat(), &body);
    send("POST", "/access/v1/evaluation", &traced, &body);
    send("POST", "/access/v1/evaluation", &[("content-type", CANARY), known], &body);
    for authorization in [CANARY, "Bearer canary", "Basic canary"] {
        send("POST", "/access/v1/evaluation", &[json, ("authorization", authorization)], &body);
    }
    send("GET", "/canary?canary=canary", &[known], "");
    send("CANARY", "/access/v1/evaluation", &[known], "");
    for request in [
        "canary\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\ncanary canary\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", CANARY.repeat(20_000)),
        // Half a body, which times out.
        format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
             content-length: 99\r\n\r\n{{\"canary",
            known.1
        ),
    ] {
        let mut stream = TcpStream::connect(serving.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let answer = exchange(stream.try_clone().unwrap(), request.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
        told.answer(status, &answer);
        // It has been closed.
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
    told
}

#[test]
fn a_secret_appears_in_no_answer_diagnostic_metric_or_trace() {
    let made = gatepost(TempDir::new().unwrap().path(), &["token", "portal"]).with(0);
    let token = made.out.trim();
    let here = folder([("tokens.toml", &format!("{}metrics = true\n", made.err))]);
    for format in ["text", "json"] {
        let (url, received) = collector();
        let serving = Serving::start(&mut command(
            here.path(),
            &[
                ["serve", "--listen", "127.0.0.1:0", "--token-file", "tokens.toml", "--otlp-endpoint", &url].as_slice(),
                &["--diagnostic-level", "trace", "--diagnostic-format", format],
                &["--log", format],
                &["--body-timeout", "1", "--max-body-bytes", "20000", "--max-reasons", "user", "--reasons", "user"],
            ]
            .concat(),
        ));
        let told = sing(&serving, token);
        for status in [200, 400, 401, 404, 405, 408, 413, 431] {
            assert!(told.statuses.contains(&status), "{status} was not provoked: {:?}", told.statuses);
        }
        let client = Client::new(&format!("http://{}", serving.address()), TlsConfig::default());
        let known = [("authorization", &*format!("Bearer {token}"))];
        let metrics = client.send("GET", "/metrics", &known, "").unwrap().text;
        serving.signal("TERM");
        let (status, diagnostics) = serving.end();
        assert_eq!(status, Some(0), "{diagnostics}");
        let traces = String::from_utf8_lossy(&received.bytes()).into_owned();
        // All of it is on.
        assert!(diagnostics.lines().count() > 40 && metrics.contains("gatepost_requests_total"), "{diagnostics}");
        assert!(traces.matches("POST /access/v1/evaluation").count() > 20, "{traces}");
        let files = std::fs::read_dir(here.path().join(format)).unwrap();
        let log: String = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        assert!(log.matches("\"type\":\"decision\"").count() > 10, "{log}");
        // What is no secret by the schema is logged: ids, names, attributes. What plugins read and what they repeat of it is not.
        for secret in [PHONE, "491570156", "491 570 156", &EMAIL.to_lowercase(), &token.to_lowercase()] {
            let line = log.lines().find(|line| line.to_lowercase().contains(secret));
            assert!(line.is_none(), "{secret} in the decision log: {line:?}");
        }
        for (what, text) in
            [("answer", &told.answers), ("diagnostic", &diagnostics), ("metric", &metrics), ("trace", &traces)]
        {
            for secret in [CANARY, PHONE, "491570156", "491 570 156", &token.to_lowercase()] {
                // Who asked for reasons is told which type or action it named that there is none of.
                let is_named = |line: &&str| what == "answer" && line.contains("the schema does not know");
                let line =
                    text.lines().filter(|line| !is_named(line)).find(|line| line.to_lowercase().contains(secret));
                assert!(line.is_none(), "{secret} in a {what}: {line:?}");
            }
        }
    }
}
