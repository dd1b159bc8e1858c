//! By which hosts a request may name the service (RFC 9112, section 3.2).

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version};
use axum::response::Response;

use super::callers::Callers;
use super::discovery::PublicUrl;
use super::message;

/// By which hosts a request may name the service.
#[derive(Debug)]
pub(super) enum Hosts {
    /// By any.
    Any,
    /// By those that mean this machine, and by that of its URL: what asks nobody who they are, and trusts that nobody else reaches it, must
    /// not be reached from a page in a browser, whose name of a host can be made to mean this machine.
    Here(Option<String>),
}

impl Hosts {
    /// Those of a service that listens there.
    pub(super) fn of(callers: &Callers, address: Option<SocketAddr>, url: Option<&PublicUrl>) -> Self {
        let is_anonymous = !callers.have_tokens() && !callers.have_certificates();
        match address {
            Some(address) if is_anonymous && address.ip().is_loopback() => {
                Self::Here(url.map(|url| url.host().to_ascii_lowercase()))
            }
            _ => Self::Any,
        }
    }

    /// The answer to a request that does not say where it goes, or says it twice, or goes somewhere else.
    pub(super) fn refusal(&self, request: &Request) -> Option<Response> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let (first, second) = (hosts.next(), hosts.next());
        let wrong = |text: &str| Some(message(StatusCode::BAD_REQUEST, text));
        let named = match (first, second) {
            (None, _) if request.version() < Version::HTTP_11 => return None,
            (None, _) => return wrong("the request has no header `Host`, which HTTP/1.1 needs"),
            (Some(_), Some(_)) => return wrong("the request has several headers `Host`: send one"),
            (Some(host), None) => host.to_str().ok(),
        };
        let Self::Here(own) = self else { return None };
        // The target of a request may name a host too, which then counts.
        let authority = request.uri().authority().cloned().or_else(|| named?.parse().ok());
        let is_own = authority.is_some_and(|authority| is_here(&authority, own.as_deref()));
        (!is_own).then(|| {
            let text = "this service asks nobody who they are, so it answers only to `localhost`, 127.0.0.1, [::1] and the host of its \
                        --public-url in the header `Host`";
            message(StatusCode::MISDIRECTED_REQUEST, text)
        })
    }
}

fn is_here(authority: &Authority, own: Option<&str>) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().to_ascii_lowercase();
    let name = host.strip_suffix('.').unwrap_or(&host);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host).parse::<IpAddr>();
    name == "localhost"
        || name.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
        || own.is_some_and(|own| own == host)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn status(hosts: &Hosts, version: Version, named: &[&str]) -> Option<u16> {
        let mut request = Request::post("/access/v1/evaluation").version(version);
        for host in named {
            request = request.header(HOST, *host);
        }
        hosts.refusal(&request.body(Body::empty()).unwrap()).map(|response| response.status().as_u16())
    }

    /// "HTTP/1.1 without `Host`, or with two: 400 (1.0 needs none)."
    #[test]
    fn a_request_names_one_host() {
        for hosts in [Hosts::Any, Hosts::Here(None)] {
            assert_eq!(status(&hosts, Version::HTTP_11, &[]), Some(400));
            assert_eq!(status(&hosts, Version::HTTP_11, &["localhost", "localhost"]), Some(400));
            assert_eq!(status(&hosts, Version::HTTP_10, &["localhost", "localhost"]), Some(400));
            assert_eq!(status(&hosts, Version::HTTP_10, &[]), None);
            assert_eq!(status(&hosts, Version::HTTP_11, &["localhost"]), None);
        }
    }

    /// "An anonymous service on loopback takes as `Host` only `localhost`, `*.localhost`, 127.0.0.0/8, `[::1]` and the host of
    /// `--public-url`."
    #[test]
    fn an_anonymous_service_on_loopback_answers_to_its_own_names() {
        let hosts = Hosts::Here(Some("pdp.example.com".to_owned()));
        for host in [
            "localhost",
            "LOCALHOST:8180",
            "localhost.",
            "pdp.localhost:80",
            "127.0.0.1:8180",
            "127.9.8.7",
            "[::1]",
            "[::1]:8180",
            "pdp.example.com",
            "PDP.example.com:443",
        ] {
            assert_eq!(status(&hosts, Version::HTTP_11, &[host]), None, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "128.0.0.1",
            "[::2]",
            "::1",
            "localhost@evil.example",
            "evil.example#localhost",
        ] {
            assert_eq!(status(&hosts, Version::HTTP_11, &[host]), Some(421), "{host}");
            assert_eq!(status(&Hosts::Any, Version::HTTP_11, &[host]), None, "{host}");
        }
    }
}
