//! What `gatepost serve` prints when it listens.

use std::net::SocketAddr;

use crate::cli::output;
use crate::engine::Snapshot;
use crate::http::authzen::UnknownAttributes;
use crate::http::body;
use crate::http::callers::Callers;
use crate::store::{Severity, Store};

/// Where the service listens, what it makes of what it does not read, and in which ways its store can change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    pub(super) unknown_attributes: UnknownAttributes,
    pub(super) address: SocketAddr,
    pub(super) is_watching: bool,
    pub(super) admin: Option<SocketAddr>,
}

/// What is said on standard output once the service listens: by what it decides, where, who may ask, and a request to try.
pub(super) fn banner(snapshot: &Snapshot, callers: &Callers, listening: Listening) -> String {
    let (store, address) = (&snapshot.store, listening.address);
    let warnings = match store.warnings.len() {
        0 => String::new(),
        _ => format!(" ({}: run `gatepost check`)", output::count(&store.warnings, Severity::Warning)),
    };
    format!(
        "gatepost {} decides by {}{warnings}\nrevision {}\nlistening on {}://{address}\n{}{}{}\nA request to try:\n\n{}\n",
        env!("CARGO_PKG_VERSION"),
        store.origin,
        store.revision,
        scheme(callers),
        what_is_dropped(listening.unknown_attributes),
        who_may_ask(callers, address),
        who_may_change(callers, listening),
        command(store, callers, address)
    )
}

fn scheme(callers: &Callers) -> &'static str {
    if callers.speak_tls() { "https" } else { "http" }
}

/// A line on what becomes of what a request has and nobody reads.
fn what_is_dropped(unknown_attributes: UnknownAttributes) -> &'static str {
    match unknown_attributes {
        UnknownAttributes::Drop => {
            "what the schema does not declare is dropped and named in a header (--unknown-attributes deny refuses it)\n"
        }
        UnknownAttributes::Deny => "what the schema does not declare is refused (--unknown-attributes deny)\n",
    }
}

/// A line on who may ask, and one on what is wrong with that; nothing where it is the usual.
fn who_may_ask(callers: &Callers, address: SocketAddr) -> String {
    let line = match (callers.have_tokens(), callers.have_certificates()) {
        (true, true) => "each request needs a token, and each connection a client certificate\n",
        (true, false) => "each request needs a token\n",
        (false, true) => "each connection needs a client certificate\n",
        (false, false) if address.ip().is_loopback() => "",
        (false, false) => "warning: anybody who can reach this address may ask\n",
    };
    let in_the_clear = callers.have_tokens() && !callers.speak_tls() && !address.ip().is_loopback();
    let warning =
        "warning: tokens are sent in the clear; use TLS here (--tls-cert, --tls-key) or in a proxy before it\n";
    format!("{line}{}", if in_the_clear { warning } else { "" })
}

/// A line on each way in which the store can change, and one on what is wrong with that; nothing where there is none.
fn who_may_change(callers: &Callers, Listening { is_watching, admin, .. }: Listening) -> String {
    let mut text = String::new();
    if is_watching {
        text.push_str("an edit to the store is in force within a second, if every row holds by it\n");
    }
    if let Some(address) = admin {
        text.push_str(&format!("operators are listened to on {}://{address}\n", scheme(callers)));
        if !callers.speak_tls() && !address.ip().is_loopback() {
            text.push_str(
                "warning: the tokens of operators are sent in the clear; use TLS here (--tls-cert, --tls-key)\n",
            );
        }
    }
    text
}

/// A command that can be pasted into a shell; what is secret is left to variables of it.
fn command(store: &Store, callers: &Callers, address: SocketAddr) -> String {
    let body = match store.files.requests.first() {
        Some(file) => file.text.trim().to_owned(),
        None => format!("{:#}", body::sample(&store.types)),
    };
    let address = output::reached(address);
    let scheme = scheme(callers);
    let mut words = match callers.host_instead_of(address.ip()) {
        Some(host) => {
            let port = address.port();
            format!("{scheme}://{host}:{port}/access/v1/evaluation --connect-to {host}:{port}:{address}")
        }
        None => format!("{scheme}://{address}/access/v1/evaluation"),
    };
    if let Some(certificate) = callers.certificate() {
        words += &format!(" --cacert {}", output::quoted(&certificate.display().to_string()));
    }
    if callers.have_certificates() {
        words += r#" --cert "$CLIENT_CERT" --key "$CLIENT_KEY""#;
    }
    if callers.have_tokens() {
        words += r#" -H "Authorization: Bearer $TOKEN""#;
    }
    format!("curl -sS {words} -H 'Content-Type: application/json' --data-binary {}", output::quoted(&body))
}
