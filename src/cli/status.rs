//! `gatepost status`: asks a running service whether it decides, and by which store. Exit 0 if by the one on disk, 1 if the one on disk
//! was rejected or no decision is made, 2 if the service cannot be asked or does not say.

mod client;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value as Json;

use super::Format;
use super::config::Settings;
use super::output::{self, Failure};
use crate::http::paths;
use crate::report::{counted, visible};
use client::{Client, Identity};

#[derive(Debug, Args)]
#[command(after_help = ASKED)]
pub(super) struct Arguments {
    /// The URL of the service [default: the address on which it would listen by these settings]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The listener for operators, by its address or URL [default: the one of these settings, if there is one]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// A file with the token to send, and nothing else; without it, the token is taken from the variable GATEPOST_TOKEN, if it is set
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// The authorities of the certificate of the service (PEM) [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// A client certificate (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["key", "cacert"])]
    cert: Option<PathBuf>,
    /// The key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// How to write what it says
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const ASKED: &str = "\
The listener for operators says all: which revision decides since when, and what is wrong with a store that was rejected, as its author \
must see it. `/readyz` of the service says to a known caller which revision decides, and whether another was rejected.\n\n\
Exit status: 0 if the service decides by the store on disk, 1 if the store on disk was rejected or no decision is made (the decision log \
cannot be written), 2 if that cannot be found out.";

/// The variable that holds the token: a command line can be read by others.
pub(super) const TOKEN: &str = "GATEPOST_TOKEN";

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (url, path) = asked(settings, arguments)?;
    let identity = Identity {
        token: token(arguments)?,
        authorities: arguments.cacert.clone(),
        certificate: arguments.cert.clone().zip(arguments.key.clone()),
    };
    let status = Client::new(&url, &identity)?.get(path)?;
    match arguments.format {
        Format::Json => output::print_json(&status)?,
        Format::Text => output::print(&visible(&in_words(&url, &status)))?,
    }
    match status.get("store").and_then(Json::as_str) {
        _ if is_unready(&status) => Ok(ExitCode::from(1)),
        Some("current") => Ok(ExitCode::SUCCESS),
        Some("rejected") => Ok(ExitCode::from(1)),
        _ => Err(Failure::new(
            "the service is ready, but says to known callers only whether the store on disk was rejected",
        )
        .with_help("send a token: `--token FILE`, or the variable GATEPOST_TOKEN")),
    }
}

/// Where to ask, and for what.
fn asked(settings: &Settings, arguments: &Arguments) -> Result<(String, &'static str), Failure> {
    let scheme = if settings.speaks_tls() { "https" } else { "http" };
    let whole = |text: &str| {
        let text = text.trim_end_matches('/');
        if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") }
    };
    Ok(match (&arguments.admin, &arguments.url, settings.admin_listen) {
        (Some(_), Some(_), _) => {
            return Err(Failure::new("url and admin are both set, but only one of the two can be asked").with_help(
                "leave one out: `--admin` asks the listener for operators, which says all; `--url` asks the service itself",
            ));
        }
        (Some(admin), ..) => (whole(admin), paths::STATUS),
        (None, Some(url), _) => (whole(url), paths::READYZ),
        (None, None, Some(address)) => (format!("{scheme}://{}", output::reached(address)), paths::STATUS),
        (None, None, None) => (format!("{scheme}://{}", output::reached(settings.usual_address())), paths::READYZ),
    })
}

fn token(arguments: &Arguments) -> Result<Option<String>, Failure> {
    let text = match &arguments.token {
        Some(path) => Some(
            crate::regular::read_to_string(path)
                .map_err(|error| Failure::new(format!("the token in `{}` cannot be read: {error}", path.display())))?,
        ),
        None => std::env::var(TOKEN).ok(),
    };
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Whether the service makes no decision now.
fn is_unready(status: &Json) -> bool {
    status.get("status").is_some_and(|status| status == "unready")
}

fn in_words(url: &str, status: &Json) -> String {
    let text = |pointer: &str| status.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let mut words = String::new();
    let problems = status.pointer("/lastAttempt/problems").and_then(Json::as_array);
    for problem in problems.into_iter().flatten() {
        words.push_str(problem.get("rendered").and_then(Json::as_str).unwrap_or_default());
    }
    if is_unready(status) {
        let why = if text("/reason") == "log" { ": the decision log cannot be written" } else { "" };
        words.push_str(&format!("✗ {url}: no decision is made{why}\n"));
    }
    match text("/store") {
        "rejected" => {
            words.push_str(&format!("✗ {url}: the store on disk was rejected; what was there before stays in force\n"))
        }
        _ if is_unready(status) => {}
        "current" => words.push_str(&format!("✓ {url}: ready\n")),
        _ => return format!("{url}: {}\n", text("/status")),
    }
    if text("/revision").is_empty() {
        return words;
    }
    words.push_str(&format!("revision {}, in force since {}\n", text("/revision"), text("/since")));
    if let Some(loads) = status.get("loads").and_then(Json::as_u64) {
        let (at, outcome) = (text("/lastAttempt/at"), text("/lastAttempt/outcome"));
        let loads = counted(usize::try_from(loads).unwrap_or(usize::MAX), "store");
        words.push_str(&format!("{loads} put into force since it began; last attempt {at}: {outcome}\n"));
    }
    words
}
