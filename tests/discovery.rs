//! "Discovery: `/.well-known/authzen-configuration` from configuration (`--public-url`), capabilities, no null or empty value,
//! `Cache-Control`." Sections are those of AuthZEN 1.0.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::binary::{Serving, command, gatepost};
use common::server::Server;
use gatepost::engine::Engine;
use gatepost::http::authzen::Limits;
use gatepost::http::callers::Callers;
use gatepost::http::discovery::{PublicUrl, PublicUrlError};
use gatepost::http::paging::Paging;
use gatepost::http::{Operations, Service};
use gatepost::live::StatusBoard;

const WELL_KNOWN: &str = "/.well-known/authzen-configuration";

/// What a service must say that is reached by that URL: section 9.1, in this order.
fn metadata(url: &str) -> String {
    let members = [
        ("policy_decision_point", ""),
        ("access_evaluation_endpoint", "/access/v1/evaluation"),
        ("access_evaluations_endpoint", "/access/v1/evaluations"),
        ("search_subject_endpoint", "/access/v1/search/subject"),
        ("search_resource_endpoint", "/access/v1/search/resource"),
        ("search_action_endpoint", "/access/v1/search/action"),
    ];
    let members: Vec<String> = members.map(|(name, path)| format!("\"{name}\":\"{url}{path}\"")).into();
    format!("{{{}}}", members.join(","))
}

fn reached_by(url: Option<&str>) -> Server {
    let public_url = url.map(|url| url.parse().unwrap());
    let snapshot = common::built_in();
    let (board, engine) = (StatusBoard::of(&snapshot), Engine::new(snapshot));
    Server::of(|_| Service {
        engine,
        board,
        limits: Limits::default(),
        paging: Paging::random().unwrap(),
        callers: Callers::default(),
        report: Arc::default(),
        public_url,
        log: None,
        capabilities: Vec::new(),
        operations: Operations::default(),
    })
}

/// "Rule 12: `policy_decision_point` and the endpoint URLs are built from configuration, never from the Host header; no null or
/// empty values; `application/json`", and "parameters that have no values MUST be omitted" (section 9.2.2).
#[test]
fn rule_12_the_metadata_is_that_of_the_configuration_whatever_is_sent() {
    let server = reached_by(Some("https://pdp.example.com"));
    let forged = [
        ("host", "localhost:1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example"),
        ("x-forwarded-prefix", "/evil"),
    ];
    for headers in [&[][..], &forged, &[("accept", "text/html")], &[]] {
        let answer = server.send("GET", WELL_KNOWN, headers, "");
        assert_eq!((answer.status, answer.text.as_str()), (200, metadata("https://pdp.example.com").as_str()));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=3600"));
    }
    let members = server.get(WELL_KNOWN).json();
    assert!(members.as_object().unwrap().values().all(|value| value.as_str().is_some_and(|text| !text.is_empty())));
    let head = server.send("HEAD", WELL_KNOWN, &[], "");
    assert_eq!(
        (head.status, head.text.as_str(), head.header("cache-control")),
        (200, "", Some("public, max-age=3600"))
    );
    assert_eq!(server.post(WELL_KNOWN, "{}").status, 405);
}

/// "Available at a URL formed by inserting a well-known URI string between the host component and the path" (section 9.2).
#[test]
fn the_path_of_the_url_stands_before_the_endpoints_and_behind_the_well_known_path() {
    let server = reached_by(Some("https://pdp.example.com/tenants/one/"));
    let expected = metadata("https://pdp.example.com/tenants/one");
    for path in [WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}/tenants/one")] {
        let answer = server.get(&path);
        assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()), "{path}");
    }
    for path in ["/tenants", "/tenants/one/", "/tenants/two", "/", "/tenants/one/more"] {
        let answer = server.get(&format!("{WELL_KNOWN}{path}"));
        assert_eq!((answer.status, answer.text.as_str()), (404, r#""there is nothing at this path""#), "{path}");
    }
}

#[test]
fn a_service_that_does_not_know_its_url_says_so() {
    let server = reached_by(None);
    let answer = server.get(WELL_KNOWN);
    assert_eq!((answer.status, answer.header("cache-control")), (404, None));
    assert!(answer.json().as_str().unwrap().contains("--public-url"), "{answer:?}");
    assert_eq!(server.get(&format!("{WELL_KNOWN}/one")).status, 404);
    for (address, tls, expected) in [
        ("127.0.0.1:8180", false, Some("http://127.0.0.1:8180")),
        ("127.0.0.1:8443", true, Some("https://127.0.0.1:8443")),
        ("[::1]:8180", false, Some("http://[::1]:8180")),
        ("192.0.2.1:8180", true, None),
        ("0.0.0.0:8180", false, None),
        ("[::]:8180", false, None),
    ] {
        let url = PublicUrl::of_loopback(address.parse().unwrap(), tls);
        assert_eq!(url.map(|url| url.to_string()).as_deref(), expected, "{address}");
    }
}

/// As a flag, in the environment and in `gatepost.toml`; without any of them, by the loopback address that it listens on.
#[test]
fn the_url_is_a_setting_like_the_others() {
    let url = "https://pdp.example.com/authz";
    for way in ["none", "flag", "environment", "gatepost.toml"] {
        let here = common::folder([("other", "")]);
        let mut command = command(here.path(), &["serve", "--listen", "127.0.0.1:0"]);
        match way {
            "flag" => _ = command.args(["--public-url", url]),
            "environment" => _ = command.env("GATEPOST_PUBLIC_URL", url),
            "gatepost.toml" => {
                common::write(here.path(), "gatepost.toml", format!("public-url = \"{url}\"\n").as_bytes());
            }
            _ => {}
        }
        let serving = Serving::start(&mut command);
        let own = format!("http://{}", serving.address());
        let said = ureq::get(format!("{own}{WELL_KNOWN}")).call().unwrap().body_mut().read_to_string().unwrap();
        assert_eq!(said, metadata(if way == "none" { &own } else { url }), "{way}");
    }
}

#[test]
fn a_url_is_taken_as_it_is_written_but_for_the_slash_at_its_end() {
    for (written, taken) in [
        ("https://pdp.example.com", "https://pdp.example.com"),
        ("https://pdp.example.com/", "https://pdp.example.com"),
        ("http://10.0.0.1:8080/a/b-c_d.e~f", "http://10.0.0.1:8080/a/b-c_d.e~f"),
        ("https://[2001:db8::1]:8443/x/", "https://[2001:db8::1]:8443/x"),
        ("https://PDP.example/%C3%BC", "https://PDP.example/%C3%BC"),
    ] {
        assert_eq!(written.parse::<PublicUrl>().unwrap().to_string(), taken);
    }
    use PublicUrlError::{Host, Path, Query, Scheme, User};
    for (written, error) in [
        ("", Scheme),
        ("pdp.example.com", Scheme),
        ("//pdp.example.com", Scheme),
        ("ftp://pdp.example.com", Scheme),
        ("/pdp", Scheme),
        ("https://", Host),
        ("https:///pdp", Host),
        ("https://:8180", Host),
        ("https://pdp.example.com:0", Host),
        ("https://pdp.example.com:65536", Host),
        ("https://pdp.example.com:", Host),
        ("https://pdp example.com", Host),
        ("https://[]", Host),
        ("https://pdp.example.com?x", Query),
        ("https://pdp.example.com/?", Query),
        ("https://pdp.example.com/a#b", Query),
        ("https://ada@pdp.example.com", User),
        ("https://ada:s3cret@pdp.example.com/a", User),
        ("https://pdp.example.com//", Path),
        ("https://pdp.example.com/a//b", Path),
        ("https://pdp.example.com/a/../b", Path),
        ("https://pdp.example.com/.", Path),
        ("https://pdp.example.com/a b", Path),
        ("https://pdp.example.com/ü", Path),
        ("https://pdp.example.com/%2", Path),
        ("https://pdp.example.com/a\"b", Path),
    ] {
        assert_eq!(written.parse::<PublicUrl>(), Err(error), "{written}");
    }
}

/// What cannot be used ends the service before it serves, says why, and does not repeat what may be a password.
#[test]
fn a_url_that_cannot_be_used_exits_2() {
    let ran = gatepost(Path::new("."), &["serve", "--public-url", "https://ada:s3cret@pdp.example.com"]).with(2);
    assert!(ran.err.contains("public-url is no URL by which callers can reach the service"), "{}", ran.err);
    assert!(ran.err.contains("a user name or a password"), "{}", ran.err);
    assert!(ran.err.contains("https://pdp.example.com"), "{}", ran.err);
    assert!(!ran.err.contains("s3cret"), "{}", ran.err);
}

/// "capabilities, no null or empty value": what the operator names is announced, and nothing else.
#[test]
fn capabilities_are_announced_as_they_are_set() {
    let urns = ["urn:ietf:params:authzen:capability:example", "urn:example:x-1:a%20b"];
    let here = common::folder([("gatepost.toml", format!("capability = [{:?}, {:?}]\n", urns[0], urns[1]))]);
    let serving = Serving::start(&mut command(here.path(), &["serve", "--listen", "127.0.0.1:0"]));
    let said = ureq::get(format!("{}{WELL_KNOWN}", serving.url())).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(said.ends_with(&format!("\"capabilities\":[{:?},{:?}]}}", urns[0], urns[1])), "{said}");
    for wrong in ["", "reasons", "urn:", "urn:x:y", "urn:-ab:c", "urn:ab:", "urn:ab:c d", "https://example.com"] {
        let ran = common::binary::gatepost(here.path(), &["serve", &format!("--capability={wrong}")]).with(2);
        assert!(ran.err.contains("a capability is a URN"), "{wrong}: {}", ran.err);
    }
}
