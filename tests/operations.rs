//! "Operations: metrics, traces, structured logs, a concurrency limit, timeouts", and "slow and half-open clients".

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use common::binary::{PATIENCE, Serving, command, gatepost};
use common::collector::{collector, contains};
use common::server::{Answer, Client, exchange};
use common::{enter, folder};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::TlsConfig;

const SINGLE: &str = "/access/v1/evaluation";
const BATCH: &str = "/access/v1/evaluations";
const JSON: (&str, &str) = ("content-type", "application/json");
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

struct Running {
    serving: Serving,
    client: Client,
    here: TempDir,
}

/// A service with these settings, and with these files beside it.
fn serve_with(files: &[(&str, &str)], settings: &[&str]) -> Running {
    let here = folder(files.iter().copied());
    let any_port = ["serve", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(&mut command(here.path(), &[&any_port, settings].concat()));
    let client = Client::new(&format!("http://{}", serving.address()), TlsConfig::default());
    Running { serving, client, here }
}

fn serve(settings: &[&str]) -> Running {
    serve_with(&[], settings)
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.serving.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn get(&self, path: &str) -> Answer {
        self.client.send("GET", path, &[], "").unwrap()
    }

    fn evaluation(&self) -> Answer {
        self.client.send("POST", SINGLE, &[JSON], enter().to_string()).unwrap()
    }

    /// The value of the sample that begins so: a name with its labels.
    fn metric(&self, sample: &str) -> Option<f64> {
        let page = self.get("/metrics").text;
        let value = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        Some(value.parse().unwrap())
    }

    fn rejected(&self, reason: &str) -> f64 {
        self.metric(&format!("gatepost_rejected_total{{reason=\"{reason}\"}}")).unwrap()
    }

    /// Ends the service, and gives what it said on standard error.
    fn said(self) -> String {
        self.serving.signal("TERM");
        let (status, said) = self.serving.end();
        assert_eq!(status, Some(0), "{said}");
        said
    }
}

/// Waits until the other end closes the connection.
fn wait_for_the_end(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("it is still open: {error}"),
        }
    }
}

fn seconds_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64()
}

// Slow and half-open clients

/// "Slow and half-open clients can not use up the service": a head that comes one byte at a time, and one that ends
/// half-way.
#[test]
fn the_head_of_a_request_must_come_in_time() {
    let running = serve(&["--header-timeout", "1"]);
    let begun = Instant::now();
    let mut dripping = running.connect();
    let mut half = running.connect();
    half.write_all(&HEALTH.as_bytes()[..20]).unwrap();
    for byte in HEALTH.bytes().cycle() {
        // Each byte is soon after the one before.
        if dripping.write_all(&[if byte == b'\n' { b'-' } else { byte }]).is_err() || begun.elapsed() > PATIENCE {
            break;
        }
        assert_eq!(running.get("/healthz").status, 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    wait_for_the_end(&mut half);
    assert!((0.9..5.0).contains(&seconds_since(begun)), "{begun:?}");
    assert_eq!(running.rejected("header_timeout"), 2.0);
}

/// A connection that waits for nothing is ended, before its first request and after; that is no rejection.
#[test]
fn a_connection_that_says_nothing_is_ended() {
    let running = serve(&["--header-timeout", "1", "--idle-timeout", "1"]);
    let begun = Instant::now();
    let mut silent = running.connect();
    let mut kept = running.connect();
    kept.write_all(HEALTH.as_bytes()).unwrap();
    wait_for_the_end(&mut silent);
    wait_for_the_end(&mut kept);
    assert!((0.9..5.0).contains(&seconds_since(begun)), "{begun:?}");
    assert_eq!(running.rejected("header_timeout"), 0.0);
}

/// "A body timeout: 408 with a message; also for bodies that are thrown away."
#[test]
fn the_whole_body_must_come_in_time() {
    let (_, entry) = token();
    let running = serve(&["--body-timeout", "1"]);
    let of_unknown_callers = serve_with(&[("tokens.toml", &entry)], &["--token-file", "tokens.toml"]);
    for (running, status, within) in
        [(&running, "408 Request Timeout", 0.9..5.0), (&of_unknown_callers, "401 ", 0.0..5.0)]
    {
        let begun = Instant::now();
        let mut stream = running.connect();
        let head = format!(
            "POST {SINGLE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut slow = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            while slow.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let mut answer = String::new();
        let mut reader = BufReader::new(stream);
        while !answer.ends_with("\"") && reader.read_line(&mut answer).is_ok_and(|count| count > 0) {}
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(within.contains(&seconds_since(begun)), "{begun:?}");
        let text = answer.rsplit("\r\n").next().unwrap();
        if status.starts_with("408") {
            assert_eq!(text, r#""the body did not come within 1 seconds""#);
        }
    }
    assert_eq!((running.rejected("body_timeout"), running.evaluation().status), (1.0, 200));
}

/// "A write timeout too: an answer that is not taken within --body-timeout ends the connection."
#[test]
fn an_answer_must_be_taken_in_time() {
    let running = serve(&["--body-timeout", "1", "--header-timeout", "60"]);
    let begun = Instant::now();
    let mut deaf = running.connect();
    // Until its answers fill every buffer on the way, and the requests after them too.
    while deaf.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n").is_ok() {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(seconds_since(begun) > 0.9, "{begun:?}");
    assert_eq!((running.rejected("answer_timeout"), running.get("/healthz").status), (1.0, 200));
}

/// A caller that has sent all may close its half of the connection (as `nc -N` does), and gets the answer.
#[test]
fn who_closes_its_half_after_a_request_is_answered() {
    let running = serve(&[]);
    let begun = Instant::now();
    let body = enter().to_string();
    let request = format!(
        "POST {SINGLE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..20 {
        let mut stream = running.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"decision\":true}"), "{answer}");
    }
    // What is not all of a request gets no decision, and holds no connection: not even until it is too late.
    for part in [0, 20, request.len() - 5] {
        let mut stream = running.connect();
        stream.write_all(&request.as_bytes()[..part]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.contains("decision") && !answer.contains(" 200 "), "{answer}");
    }
    assert!(seconds_since(begun) < 5.0, "{begun:?}");
}

/// Who holds all connections and says nothing, holds them only until they are ended: others wait, and are served.
#[test]
fn further_connections_wait_until_there_is_a_place() {
    let running = serve(&["--max-connections", "4", "--header-timeout", "1"]);
    let silent: Vec<_> = (0..4).map(|_| running.connect()).collect();
    let begun = Instant::now();
    assert_eq!(running.evaluation().status, 200);
    assert!(seconds_since(begun) < 5.0, "{begun:?}");
    assert!(running.metric("gatepost_connections_open").unwrap() <= 4.0);
    drop(silent);
    let said = running.said();
    assert!(
        said.contains("as many connections are open as may be (--max-connections); further callers wait"),
        "{said}"
    );
}

/// "Accept errors (EMFILE) back off and are reported": when there are no files left, callers wait, and nothing is lost.
#[test]
fn a_service_without_files_left_says_so_and_goes_on() {
    let running = with_files(40, &["--header-timeout", "1", "--max-connections", "1000"]);
    let silent: Vec<_> = (0..60).map(|_| running.connect()).collect();
    let begun = Instant::now();
    assert_eq!(running.evaluation().status, 200);
    assert!(seconds_since(begun) < 10.0, "{begun:?}");
    drop(silent);
    let said = running.said();
    assert!(said.contains("the system gives no connection; the service tries again"), "{said}");
    // At most one line of a kind in a second, of which there are few.
    let most = 3.0 * (seconds_since(begun) + 2.0);
    assert!((said.lines().count() as f64) < most, "{most}: {said}");
}

/// By itself, it does not take more connections than leave files for everything else.
#[test]
fn the_limit_of_open_files_bounds_the_connections() {
    let running = with_files(100, &["--header-timeout", "1"]);
    let silent: Vec<_> = (0..80).map(|_| running.connect()).collect();
    assert_eq!(running.evaluation().status, 200);
    drop(silent);
    let said = running.said();
    assert!(said.contains("further callers wait") && !said.contains("the system gives no connection"), "{said}");
}

/// A service that can have so many files open.
fn with_files(limit: usize, settings: &[&str]) -> Running {
    limited(&format!("-n {limit}"), settings)
}

/// A service with that limit of the shell.
fn limited(limit: &str, settings: &[&str]) -> Running {
    let here = TempDir::new().unwrap();
    let service = command(here.path(), &[&["serve", "--listen", "127.0.0.1:0"], settings].concat());
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]).current_dir(here.path());
    limited.arg(service.get_program()).args(service.get_args());
    let serving = Serving::start(&mut limited);
    let client = Client::new(&format!("http://{}", serving.address()), TlsConfig::default());
    Running { serving, client, here }
}

/// "Requests beyond it get 503 with `Retry-After: 1` and a JSON-string message at once (health and readiness are
/// exempt)"; a body that comes slowly keeps nobody out.
#[test]
fn requests_beyond_the_limit_are_refused_at_once() {
    let running = serve(&["--max-concurrent", "1"]);
    let mut slow = running.connect();
    write!(
        slow,
        "POST {SINGLE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{{"
    )
    .unwrap();
    assert_eq!(running.evaluation().status, 200);
    let mut batch = enter();
    batch["evaluations"] = vec![json!({}); 1000].into();
    let address = running.serving.address().to_owned();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let busy = std::thread::spawn(move || {
        let client = Client::new(&format!("http://{address}"), TlsConfig::default());
        let mut statuses = Vec::new();
        // Also where the other end has failed.
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            statuses.push(client.send("POST", BATCH, &[JSON], batch.to_string()).unwrap().status);
        }
        statuses
    });
    let begun = Instant::now();
    let refused = loop {
        let asked = Instant::now();
        let answer = running.evaluation();
        if answer.status != 200 {
            assert!(seconds_since(asked) < 1.0);
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing was refused");
    };
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json(), "as many requests are being decided as may be at once: try again in a moment");
    assert_eq!((running.get("/healthz").status, running.get("/readyz").status), (200, 200));
    drop(stop);
    let statuses = busy.join().unwrap();
    assert!(statuses.contains(&200) && statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(running.rejected("concurrency") >= 1.0);
    assert_eq!(running.evaluation().status, 200);
    drop(slow);
}

#[test]
fn what_no_service_can_run_with_is_refused() {
    for (settings, problem) in [
        (["--max-concurrent", "0"], "max-concurrent is 0: no request could be answered"),
        (["--max-connections", "0"], "max-connections is 0: no request could be answered"),
        (["--header-timeout", "0"], "header-timeout is 0: no request could be answered"),
        (["--body-timeout", "0"], "body-timeout is 0: no request could be answered"),
        (["--otlp-sample", "1.5"], "otlp-sample is 1.5; a share is from 0 to 1"),
        (["--otlp-sample", "nan"], "otlp-sample is NaN; a share is from 0 to 1"),
        (["--otlp-endpoint", "localhost:4318"], "otlp-endpoint is no URL of a collector"),
        (["--log-mask-key", "/nonexistent"], "log-mask-key is set, but log is not"),
        (["--log-keep-age", "1d"], "log-keep-age is set, but log is not"),
        (["--log-compress", "--log-unmasked"], "log-compress is set, but log is not"),
        (["--log-queue-bytes", "65536"], "log-queue-bytes is set, but log is not"),
        (["--diagnostic-level", "loud"], "[possible values: error, warn, info, debug, trace]"),
    ] {
        let ran = gatepost(TempDir::new().unwrap().path(), &[["serve"].as_slice(), &settings].concat()).with(2);
        assert!(ran.err.contains(problem), "{}", ran.err);
    }
}

/// What cannot be listened on or logged into is told with the name of the setting, before anything is started.
#[test]
fn addresses_and_logs_that_cannot_be_are_told_by_their_names() {
    let (_, tokens) = token();
    let here = folder([("tokens.toml", tokens.as_str()), ("file", "")]);
    for (listen, admin) in [("127.0.0.1:8199", "127.0.0.1:8199"), ("0.0.0.0:8199", "127.0.0.1:8199")] {
        let files = ["--admin-token-file", "tokens.toml", "--token-file", "tokens.toml", "--log", "log"];
        let arguments = [&["serve", "--listen", listen, "--admin-listen", admin], &files[..]].concat();
        let refused = gatepost(here.path(), &arguments).with(2).err;
        let told =
            format!("listen is `{listen}`, and admin-listen is `{admin}`: callers and operators need a port each");
        assert!(refused.contains(&told) && refused.contains("choose another port"), "{refused}");
    }
    for (log, told) in [
        ("file", "log is `file`, which is a file, and not a folder"),
        ("file/log", "log is `file/log`, but `file` is a file"),
    ] {
        let refused = gatepost(here.path(), &["serve", "--listen", "127.0.0.1:0", "--log", log]).with(2);
        assert!(refused.err.contains(told) && refused.err.contains("`--log`"), "{}", refused.err);
        assert_eq!(refused.out, "");
    }
    assert!(!here.path().join("log").exists());
}

/// A folder that is full of something else was hardly meant for the log: that is told, but once.
#[test]
fn a_log_in_a_folder_that_holds_something_else_is_told() {
    let told = |here: &Path| {
        let serving = Serving::start(&mut command(here, &["serve", "--listen", "127.0.0.1:0", "--log", "log"]));
        serving.signal("TERM");
        let (status, said) = serving.end();
        assert_eq!(status, Some(0), "{said}");
        said.contains("holds files, but no decision log")
    };
    let other = folder([("log/policy.cedar", "")]);
    assert!(told(other.path()));
    assert!(!told(other.path()));
    let empty = folder([("beside", "")]);
    std::fs::create_dir(empty.path().join("log")).unwrap();
    assert!(!told(empty.path()));
}

/// A11: "rejected unless confirmed for that digest (`POST /reload {"accept": REVISION}`)". The body is read, whichever listener it is for.
#[test]
fn an_operator_confirms_a_revision_by_its_digest() {
    let (token, entry) = token();
    let policies = "@id(\"read\") permit (principal, action, resource);\n@id(\"no\") forbid (principal, action, resource) when { context.no };\n";
    let schema = "entity U;\naction read appliesTo { principal: U, resource: U, context: { no: Bool } };\n";
    let files = [("s/schema/a.cedarschema", schema), ("s/policies/a.cedar", policies), ("tokens.toml", entry.as_str())];
    let settings = ["--store", "s", "--admin-listen", "127.0.0.1:0", "--admin-token-file", "tokens.toml"];
    let running = serve_with(&files, &settings);
    let admin = running.serving.banner.split("operators are listened to on ").nth(1).unwrap().lines().next().unwrap();
    let client = Client::new(admin, TlsConfig::default());
    let authorization = format!("Bearer {token}");
    let reload = |body: &str| client.send("POST", "/reload", &[("authorization", &authorization)], body).unwrap();
    for wrong in ["{", "{}", r#"{"accept": "no"}"#, r#"{"accepted": "x"}"#, "[]"] {
        assert_eq!(reload(wrong).status, 400, "{wrong}");
    }
    assert_eq!(reload(&" ".repeat(5000)).status, 413);
    let edited = policies.lines().next().unwrap();
    std::fs::write(running.here.path().join("s/policies/a.cedar"), edited).unwrap();
    let rejected = reload("");
    assert_eq!(rejected.status, 422);
    let confirmation = rejected.text.split("`POST /reload` with {\\\"accept\\\":\\\"").nth(1).unwrap();
    let revision = confirmation.split('\\').next().unwrap();
    assert_eq!(reload(&json!({ "accept": "0".repeat(64) }).to_string()).status, 422);
    let confirmed = reload(&json!({ "accept": revision }).to_string());
    assert_eq!((confirmed.status, confirmed.json()["revision"].as_str()), (200, Some(revision)), "{}", confirmed.text);
}

/// One service is asked at a time.
#[test]
fn status_asks_either_the_service_or_its_operators() {
    let asked = gatepost(Path::new("."), &["status", "--url", "http://127.0.0.1:1", "--admin", "127.0.0.1:2"]).with(2);
    assert!(asked.err.contains("url and admin are both set") && asked.err.contains("leave one out"), "{}", asked.err);
}

#[test]
fn the_settings_of_the_log_stand_together() {
    let help = gatepost(TempDir::new().unwrap().path(), &["serve", "--help"]).with(0).out;
    let (before, log) = help.split_once("Settings of its decision log:\n").unwrap();
    let log = log.split("\n\n").take_while(|part| !part.contains("Settings of")).collect::<String>();
    assert!(!before.contains("--log"), "{before}");
    for setting in ["--log <DIR>", "--log-durability", "--log-mask-key", "--log-unmasked"] {
        assert!(log.contains(setting), "{setting}: {log}");
    }
}

// Request ids

/// "A caller-sent `x-request-id` goes into logs and answers: limit to 128 visible ASCII, else a new one is made."
#[test]
fn a_request_id_that_cannot_be_written_into_a_log_is_replaced() {
    let running = serve(&["--diagnostic-level", "debug"]);
    let longest = "x".repeat(4096);
    for taken in ["7", "a b:c/d~!", &longest] {
        let answer = running.client.send("GET", "/healthz", &[("x-request-id", taken)], "").unwrap();
        assert_eq!(answer.header("x-request-id"), Some(taken));
    }
    for replaced in ["", &"x".repeat(4097), "é", "a\tb"] {
        let request = format!(
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-request-id: {replaced}\r\nconnection: close\r\n\r\n"
        );
        let answer = exchange(running.connect(), request.as_bytes());
        let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        assert!(id.len() == 36 && id != replaced, "{answer}");
    }
    // In what the service says, a long one is its start and its digest.
    let said = running.said();
    assert!(said.contains(&"x".repeat(96)) && !said.contains(&longest));
}

// Metrics

/// "Label sets are bounded": nothing that a caller sends becomes a label.
#[test]
fn metrics_count_by_what_the_service_has_and_not_by_what_is_sent() {
    let running = serve(&[]);
    assert_eq!(running.evaluation().status, 200);
    let broken = running.client.send("POST", SINGLE, &[JSON], "{").unwrap();
    assert_eq!(broken.status, 400);
    for path in ["/canary1", "/canary2?x=/canary3", "/metrics/canary4", "/.well-known/authzen-configuration/canary5"] {
        running.client.send("CANARY", path, &[], "").unwrap();
    }
    let answer = running.get("/metrics");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    for sample in [
        r#"gatepost_requests_total{endpoint="/access/v1/evaluation",status="200"} 1"#,
        r#"gatepost_requests_total{endpoint="/access/v1/evaluation",status="400"} 1"#,
        r#"gatepost_requests_total{endpoint="(other)",status="404"} 3"#,
        r#"gatepost_requests_total{endpoint="/.well-known/authzen-configuration",status="405"} 1"#,
        r#"gatepost_request_duration_seconds_count{endpoint="/access/v1/evaluation"} 2"#,
        r#"gatepost_request_duration_seconds_bucket{endpoint="/access/v1/evaluation",le="+Inf"} 2"#,
        "gatepost_requests_in_flight 1",
        "gatepost_store_rejected 0",
    ] {
        assert!(answer.text.lines().any(|line| line == sample), "{sample}\n{}", answer.text);
    }
    let revision = running.get("/readyz").header("gatepost-revision").unwrap().to_owned();
    assert!(answer.text.contains(&format!("gatepost_revision_info{{revision=\"{revision}\"}} 1\n")));
    assert!(running.metric("process_resident_memory_bytes").unwrap() > 1e6);
    for sent in ["canary", "CANARY", "owner@acme.example", "ada"] {
        assert!(!answer.text.contains(sent), "{sent}\n{}", answer.text);
    }
}

/// What could not be logged was not answered: it is no decision, neither in the metrics nor in a trace.
#[test]
#[cfg(target_os = "linux")]
fn a_decision_that_the_log_did_not_take_is_not_counted() {
    let (url, received) = collector();
    let settings = ["--log", "log", "--log-durability", "strict", "--otlp-endpoint", &url];
    let running = limited("-S -f 64", &settings);
    let mut answered = 0;
    while running.evaluation().status == 200 {
        answered += 1;
        assert!(answered < 10_000, "the log can be written");
    }
    let counted = running.metric(r#"gatepost_decisions_total{action="enterSupportContact",outcome="allow"}"#);
    assert_eq!(counted, Some(f64::from(answered)));
    running.serving.signal("TERM");
    running.serving.end();
    let traces = received.bytes();
    let count = |text: &[u8]| traces.windows(text.len()).filter(|window| *window == text).count();
    assert_eq!((count(b"gatepost.decision"), count(b"POST /access")), (answered as usize, answered as usize + 1));
}

/// Every sample stands under a line that says what it is.
#[test]
fn every_metric_says_what_it_is() {
    let running = serve(&[]);
    running.evaluation();
    let page = running.get("/metrics").text;
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        for kind in ["HELP", "TYPE"] {
            assert_eq!(page.matches(&format!("# {kind} {family} ")).count(), 1, "{line}");
        }
    }
}

/// "Needs a known caller where callers are known."
#[test]
fn metrics_are_for_known_callers() {
    let (token, entry) = token();
    let running = serve_with(&[("tokens.toml", &entry)], &["--token-file", "tokens.toml"]);
    assert_eq!(running.get("/metrics").status, 401);
    let authorization = format!("Bearer {token}");
    let refused = running.client.send("GET", "/metrics", &[("authorization", &authorization)], "").unwrap();
    assert_eq!(refused.status, 403, "it is a right of its own");
    let entry = format!("{entry}metrics = true\n");
    let running = serve_with(&[("tokens.toml", &entry)], &["--token-file", "tokens.toml"]);
    assert_eq!(running.get("/metrics").status, 401);
    let answer = running.client.send("GET", "/metrics", &[("authorization", &authorization)], "").unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("gatepost_rejected_total{reason=\"unauthenticated\"} 1\n"), "{}", answer.text);
}

/// A token for `portal`, and the entry of its file.
fn token() -> (String, String) {
    let ran = gatepost(TempDir::new().unwrap().path(), &["token", "portal"]).with(0);
    (ran.out.trim().to_owned(), ran.err)
}

// Diagnostics

/// "Structured diagnostics": with `--diagnostic-format json`, every line is an object with a level, a time and a
/// message.
#[test]
fn diagnostics_are_objects_where_a_program_reads_them() {
    let (token, entry) = token();
    let limited = format!("{entry}actions = [\"nowhere\"]\n");
    let settings = ["--token-file", "tokens.toml", "--diagnostic-format", "json", "--diagnostic-level", "debug"];
    let running = serve_with(&[("tokens.toml", &limited)], &settings);
    let headers = [("authorization", format!("Bearer {token}")), ("x-request-id", "mine".to_owned())];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    running.client.send("GET", "/readyz", &headers, "").unwrap();
    for _ in 0..100 {
        assert_eq!(running.get("/metrics").status, 401);
    }
    let said = running.said();
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |level: &str, message: &str| {
        let is_it = |event: &&Value| event["level"] == level && event["message"].as_str().unwrap().contains(message);
        events.iter().filter(is_it).collect::<Vec<_>>()
    };
    assert!(events.iter().all(|event| event["timestamp"].is_string()), "{said}");
    let warned = with("WARN", "nowhere");
    assert_eq!((warned.len(), &warned[0]["file"]), (1, &json!("tokens.toml")), "{said}");
    for message in ["the service has started", "the service is told to stop", "the service has stopped"] {
        assert_eq!(with("INFO", message).len(), 1, "{said}");
    }
    let asked = with("DEBUG", "answered").into_iter().find(|event| event["request_id"] == "mine").unwrap();
    let expected = json!({ "method": "GET", "route": "/readyz", "status": 200, "caller": "portal" });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&asked[name], value, "{asked}");
    }
    // "At most one line per reason and second with a count."
    let unknown = with("INFO", "a caller is not known");
    assert!((1..20).contains(&unknown.len()), "{said}");
    assert!(unknown.iter().all(|event| event["count"].as_u64() >= Some(1)), "{said}");
    assert!(!said.contains(&token));
}

#[test]
fn diagnostics_say_nothing_of_the_usual_unless_asked() {
    let running = serve(&[]);
    assert_eq!(running.evaluation().status, 200);
    running.get("/nowhere");
    assert_eq!(running.said(), "");
}

// Traces

/// "One server span per request, W3C `traceparent` … in"; "flushed at shutdown".
#[test]
fn a_request_is_a_span_in_the_trace_of_its_caller() {
    let (url, received) = collector();
    let running = serve(&["--otlp-endpoint", &url]);
    let trace: Vec<u8> = (0x11..0x21).collect();
    let (parent, unsampled) = (*b"\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8", [0xee; 16]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sampled = format!("00-{}-{}-01", hex(&trace), hex(&parent));
    let headers = [JSON, ("traceparent", sampled.as_str()), ("x-request-id", "the-request")];
    let answer = running.client.send("POST", SINGLE, &headers, enter().to_string()).unwrap();
    let revision = answer.header("gatepost-revision").unwrap().to_owned();
    let not = format!("00-{}-{}-00", hex(&unsampled), hex(&parent));
    running.client.send("GET", "/readyz", &[("traceparent", not.as_str()), ("x-request-id", "unsampled")], "").unwrap();
    assert_eq!(running.said(), "");
    let (head, _) = received.0.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    let bytes = received.bytes();
    for (what, text) in [
        ("trace", trace.as_slice()),
        ("parent", &parent),
        ("name", b"POST /access/v1/evaluation"),
        ("route", b"http.route"),
        ("status", b"http.response.status_code"),
        ("id", b"the-request"),
        ("revision", revision.as_bytes()),
        ("decision", b"allow"),
        ("service", b"gatepost"),
        ("version", env!("CARGO_PKG_VERSION").as_bytes()),
    ] {
        assert!(contains(&bytes, text), "{what}: {}", String::from_utf8_lossy(&bytes));
    }
    // "Parent-based sampling": who began the trace has decided.
    assert!(!contains(&bytes, &unsampled) && !contains(&bytes, b"unsampled"));
}

/// "The log's `traceId` is that of the span that was made": of a caller's where it names one, of a new one where it names none, or what is
/// none; and none where no span is kept.
#[test]
fn a_record_names_the_trace_of_the_span_that_was_made() {
    let (url, received) = collector();
    let own = "0af7651916cd43dd8448eb211c80319c";
    let [zeros, others] = ["0".repeat(32), "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".to_owned()];
    let zeros = format!("00-{zeros}-b7ad6b7169203331-01");
    let named = format!("00-{own}-b7ad6b7169203331-01");
    let sent: [Option<&str>; 4] = [Some(&named), None, Some(&zeros), Some(&others)];
    let logged = |settings: &[&str]| {
        let running = serve(&[settings, &["--log", "log", "--log-durability", "strict"]].concat());
        for parent in sent {
            let parent = parent.map(|parent| ("traceparent", parent));
            let headers: Vec<_> = [JSON].into_iter().chain(parent).collect();
            running.client.send("POST", SINGLE, &headers, enter().to_string()).unwrap();
        }
        let text = std::fs::read_to_string(running.here.path().join("log/0000000001.jsonl")).unwrap();
        assert_eq!(running.said(), "");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let decisions = lines.filter(|line| line["type"] == "decision");
        decisions.map(|line| line["traceId"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let traced = logged(&["--otlp-endpoint", &url]);
    let bytes = received.bytes();
    let made = |id: &str| {
        contains(
            &bytes,
            &(0..16).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(traced[0].as_deref(), Some(own));
    assert!(traced.iter().all(|id| id.as_deref().is_some_and(made)), "{traced:?}");
    assert!(traced[1..].iter().all(|id| id.as_deref() != Some(own)), "{traced:?}");
    // Where no span is made, or none is kept, there is only the one of a caller.
    let callers = [Some(own.to_owned()), None, None, None];
    assert_eq!(logged(&[]), callers);
    assert_eq!(logged(&["--otlp-endpoint", &url, "--otlp-sample", "0"]), callers);
}

/// The share is of those whose caller has not decided it.
#[test]
fn without_a_share_only_what_a_caller_traces_is_traced() {
    let (url, received) = collector();
    let running = serve(&["--otlp-endpoint", &url, "--otlp-sample", "0"]);
    running.client.send("GET", "/healthz", &[("x-request-id", "not-traced")], "").unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    running.client.send("GET", "/healthz", &[("traceparent", parent), ("x-request-id", "is-traced")], "").unwrap();
    running.said();
    assert!(contains(&received.bytes(), b"is-traced") && !contains(&received.bytes(), b"not-traced"));
}

/// "Never blocks or delays a request, a dead collector costs nothing but a rate-limited warning; flushed at shutdown
/// (bounded time)."
#[test]
fn a_collector_that_is_not_there_or_never_answers_hinders_nobody() {
    // What is sent to it waits in the queue of the system.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let never_answers = format!("http://{}", silent.local_addr().unwrap());
    for (url, problem) in [("http://127.0.0.1:1", "Connection refused"), (&never_answers, "")] {
        let running = serve(&["--otlp-endpoint", url]);
        running.evaluation();
        for _ in 0..200 {
            let asked = Instant::now();
            assert_eq!(running.evaluation().status, 200);
            assert!(seconds_since(asked) < 1.0);
        }
        let told = Instant::now();
        let said = running.said();
        assert!(seconds_since(told) < 8.0, "{:?}", told.elapsed());
        assert!(said.contains(problem) && said.lines().count() <= 1 + usize::from(url.ends_with(":1")), "{said}");
    }
}

// What it is run with

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// "Must pass `systemd-analyze verify` and `systemd-analyze security` under 2.0."
#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_finds_nothing_wrong_with_the_unit_and_little_that_it_may_do() {
    let here = TempDir::new().unwrap();
    let unit = std::fs::read_to_string(deployed("gatepost.service")).unwrap();
    // The program is where it was built, not where it is installed.
    let installed = "/usr/local/bin/gatepost";
    assert!(unit.contains(installed));
    let unit = unit.replace(installed, env!("CARGO_BIN_EXE_gatepost"));
    let path = here.path().join("gatepost.service");
    std::fs::write(&path, unit).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&path).output().expect("systemd-analyze");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    let said = analyze(&["verify", "--man=no"]);
    assert!(!said.contains("gatepost.service"), "{said}");
    // In tenths.
    analyze(&["security", "--offline=true", "--no-pager", "--threshold=20"]);
}

/// "Check the manifest against the Kubernetes JSON schema." And it does look: a misspelt member is found.
#[test]
#[ignore = "needs kubernetes-validate"]
fn the_manifest_is_valid_for_kubernetes() {
    let here = TempDir::new().unwrap();
    let manifest = std::fs::read_to_string(deployed("kubernetes.yaml")).unwrap();
    let misspelt = here.path().join("kubernetes.yaml");
    std::fs::write(&misspelt, manifest.replace("readinessProbe:", "readynessProbe:")).unwrap();
    for (path, is_valid) in [(deployed("kubernetes.yaml"), true), (misspelt, false)] {
        let mut command = python();
        command.args(["-m", "kubernetes_validate", "--strict", "--kubernetes-version", "1.31"]).arg(path);
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.success(), is_valid, "{said}");
    }
}

/// The policies in the manifest stand where the volume puts them, and can be served.
#[test]
#[ignore = "needs kubernetes-validate"]
fn the_policies_of_the_manifest_can_be_served() {
    let read = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let output = python().args(["-c", read]).arg(deployed("kubernetes.yaml")).output().unwrap();
    let parts: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let part = |kind: &str, name: &str| {
        let is_it = |part: &&Value| part["kind"] == kind && part["metadata"]["name"] == name;
        parts.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"))
    };
    let volumes = part("Deployment", "gatepost")["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["name"] == "store").unwrap();
    let data = &part("ConfigMap", "gatepost-store")["data"];
    let files = volume["configMap"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["path"].as_str().unwrap(), data[item["key"].as_str().unwrap()].as_str().unwrap()));
    let store = folder(files);
    assert_eq!(data.as_object().unwrap().len(), volume["configMap"]["items"].as_array().unwrap().len());
    gatepost(store.path(), &["check", "--store", "."]).with(0);
    let tokens = part("Secret", "gatepost-tokens")["stringData"]["tokens.toml"].as_str().unwrap();
    let running = serve_with(&[("tokens.toml", tokens)], &["--token-file", "tokens.toml"]);
    assert_eq!(running.evaluation().status, 401);
}

/// That of the environment which `scripts/test` makes.
fn python() -> Command {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("kubernetes-validate");
    let python = environment.join("bin/python");
    assert!(python.is_file(), "kubernetes-validate is not there: run `scripts/test`, which installs it");
    Command::new(python)
}
