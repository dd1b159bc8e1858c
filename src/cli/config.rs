//! The settings: flags, then the environment, then `gatepost.toml`, then the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::output::Failure;
use crate::engine::Snapshot;
use crate::http::authzen::{Limits, Reasons};
use crate::http::callers::{CallerFiles, Callers, TlsFiles};
use crate::http::paging::{Paging, SECRET_BYTES};
use crate::request::json::DEEPEST;
use crate::store::{Origin, Problem, SourceFile};

/// Every setting. The names in `gatepost.toml` are those of the flags, without the dashes at the front.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Settings {
    /// The folder of the policy store [default: the one that is compiled in]
    #[arg(long, global = true, value_name = "DIR", env = "GATEPOST_STORE")]
    pub(super) store: Option<PathBuf>,
    /// A file of stored entities, beside those of the store; may be given several times
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_ENTITIES", value_delimiter = ',')]
    #[serde(default)]
    entities: Vec<PathBuf>,
    /// The address to listen on; a loopback one, unless callers are known [default: 127.0.0.1:8180]
    #[arg(long, global = true, value_name = "ADDR", env = "GATEPOST_LISTEN", help_heading = SERVICE, hide_short_help = true)]
    listen: Option<SocketAddr>,
    /// The reasons that a caller gets who asks for nothing [default: none]
    #[arg(long, global = true, value_name = "LEVEL", env = "GATEPOST_REASONS", help_heading = SERVICE, hide_short_help = true)]
    reasons: Option<Reasons>,
    /// The most reasons that a caller can get [default: user]
    #[arg(long, global = true, value_name = "LEVEL", env = "GATEPOST_MAX_REASONS", help_heading = SERVICE, hide_short_help = true)]
    max_reasons: Option<Reasons>,
    /// The largest body of a request, in bytes [default: 1048576]
    #[arg(long, global = true, value_name = "BYTES", env = "GATEPOST_MAX_BODY_BYTES", help_heading = SERVICE, hide_short_help = true)]
    max_body_bytes: Option<usize>,
    /// The most items of a batch [default: 1000]
    #[arg(long, global = true, value_name = "COUNT", env = "GATEPOST_MAX_BATCH_ITEMS", help_heading = SERVICE, hide_short_help = true)]
    max_batch_items: Option<usize>,
    /// The most results of a page of a search [default: 1000]
    #[arg(long, global = true, value_name = "COUNT", env = "GATEPOST_MAX_PAGE_RESULTS", help_heading = SERVICE, hide_short_help = true)]
    max_page_results: Option<usize>,
    /// A secret of at least 32 bytes: with it, page tokens stay valid over restarts, and among services that share it
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_PAGE_KEY", help_heading = SERVICE, hide_short_help = true)]
    page_key: Option<PathBuf>,
    /// The deepest nesting of a request, in levels [default: 64]
    #[arg(long, global = true, value_name = "LEVELS", env = "GATEPOST_MAX_DEPTH", help_heading = SERVICE, hide_short_help = true)]
    max_depth: Option<usize>,
    /// The tokens of the callers (TOML, see `gatepost token --help`); each request then needs one
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_TOKEN_FILE", help_heading = SERVICE, hide_short_help = true)]
    token_file: Option<PathBuf>,
    /// The certificate of the service (PEM), with those of the authorities between; it then speaks HTTPS
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_TLS_CERT", help_heading = SERVICE, hide_short_help = true)]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_TLS_KEY", help_heading = SERVICE, hide_short_help = true)]
    tls_key: Option<PathBuf>,
    /// The authorities of the callers' certificates (PEM); each connection then needs one
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_CLIENT_CA", help_heading = SERVICE, hide_short_help = true)]
    client_ca: Option<PathBuf>,
    /// Listen on any address, though callers are not known [default: false]
    #[arg(long, global = true, value_name = "BOOL", env = "GATEPOST_ALLOW_ANONYMOUS", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = SERVICE, hide_short_help = true)]
    allow_anonymous: Option<bool>,
}

const SERVICE: &str = "Settings of the service";

/// The file that is read where no other is named.
const FILE: &str = "gatepost.toml";

impl Settings {
    /// These settings, and where they say nothing, those of the file.
    pub(super) fn completed(self, file: Option<&Path>) -> Result<Self, Failure> {
        let path = match file {
            Some(path) => path,
            None if Path::new(FILE).is_file() => Path::new(FILE),
            None => return Ok(self),
        };
        let read = Self::read(path)?;
        Ok(Self {
            store: self.store.or(read.store),
            entities: if self.entities.is_empty() { read.entities } else { self.entities },
            listen: self.listen.or(read.listen),
            reasons: self.reasons.or(read.reasons),
            max_reasons: self.max_reasons.or(read.max_reasons),
            max_body_bytes: self.max_body_bytes.or(read.max_body_bytes),
            max_batch_items: self.max_batch_items.or(read.max_batch_items),
            max_depth: self.max_depth.or(read.max_depth),
            max_page_results: self.max_page_results.or(read.max_page_results),
            page_key: self.page_key.or(read.page_key),
            token_file: self.token_file.or(read.token_file),
            tls_cert: self.tls_cert.or(read.tls_cert),
            tls_key: self.tls_key.or(read.tls_key),
            client_ca: self.client_ca.or(read.client_ca),
            allow_anonymous: self.allow_anonymous.or(read.allow_anonymous),
        })
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("the settings in `{shown}` cannot be read: {error}")))?;
        let mut settings: Self = toml::from_str(&text).map_err(|error| {
            let file = SourceFile { path: shown.to_string().into(), text: text.as_str().into() };
            let problem = Problem::error(error.message().trim().to_owned())
                .in_file(&file)
                .with_help("`gatepost --help` lists the settings; their names here are those of the flags");
            Failure::from(match error.span() {
                Some(span) => problem.at(span.into(), ""),
                None => problem,
            })
        })?;
        // A path in the file is meant from where the file lies.
        let folder = path.parent().unwrap_or(Path::new(""));
        let Self { store, entities, page_key, token_file, tls_cert, tls_key, client_ca, .. } = &mut settings;
        let single = [store, page_key, token_file, tls_cert, tls_key, client_ca];
        for path in single.into_iter().flatten().chain(entities) {
            *path = folder.join(&path);
        }
        Ok(settings)
    }

    /// Where the store comes from.
    pub(super) fn origin(&self) -> Origin {
        self.store.clone().map_or(Origin::BuiltIn, Origin::Folder)
    }

    /// The store, ready to decide.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Failure> {
        Snapshot::load_with(self.origin(), &self.entities).map_err(Failure::Store)
    }

    /// The address to listen on: a loopback one, unless callers are known, or need not be.
    pub(super) fn address(&self) -> Result<SocketAddr, Failure> {
        let address = self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8180)));
        let callers_are_known = self.token_file.is_some() || self.client_ca.is_some();
        if callers_are_known || self.allow_anonymous == Some(true) || address.ip().is_loopback() {
            return Ok(address);
        }
        Err(Failure::new(format!("`{address}` can be reached from other machines, and anybody there could ask"))
            .with_help(
                "give callers tokens (`--token-file`) or have them show certificates (`--client-ca`); or let anybody ask, \
                 where something else keeps others out (`--allow-anonymous`)",
            ))
    }

    /// Who may ask: by the files that are named.
    pub(super) fn callers(&self) -> Result<Callers, Failure> {
        let tls = match (&self.tls_cert, &self.tls_key, &self.client_ca) {
            (Some(certificate), Some(key), client_ca) => {
                Some(TlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca: client_ca.clone() })
            }
            (None, None, None) => None,
            (None, None, Some(_)) => {
                return Err(Failure::new("client-ca is set, but tls-cert and tls-key are not").with_help(
                    "callers show their certificates over TLS, for which the service needs a certificate and its key",
                ));
            }
            (certificate, ..) => {
                let (set, missing) =
                    if certificate.is_some() { ("tls-cert", "tls-key") } else { ("tls-key", "tls-cert") };
                return Err(Failure::new(format!("{set} is set, but {missing} is not"))
                    .with_help("TLS needs both, the certificate and its key"));
            }
        };
        Callers::read(&CallerFiles { tokens: self.token_file.clone(), tls }).map_err(Failure::Problems)
    }

    /// What makes the tokens of pages.
    pub(super) fn paging(&self) -> Result<Paging, Failure> {
        let Some(path) = &self.page_key else {
            return Paging::random().map_err(|_| Failure::new("the operating system gives no random bytes"));
        };
        let shown = path.display();
        let secret = std::fs::read(path)
            .map_err(|error| Failure::new(format!("the page key in `{shown}` cannot be read: {error}")))?;
        let secret = secret.trim_ascii_end();
        if secret.len() < SECRET_BYTES {
            return Err(Failure::new(format!(
                "the page key in `{shown}` has {} bytes; at least {SECRET_BYTES} are needed",
                secret.len()
            ))
            .with_help("make one with `openssl rand -hex 32`"));
        }
        Paging::from_secret(secret).map_err(|_| Failure::new("the page key cannot be used"))
    }

    /// What the service allows its callers.
    pub(super) fn limits(&self) -> Result<Limits, Failure> {
        let defaults = Limits::default();
        let limits = Limits {
            body_bytes: self.max_body_bytes.unwrap_or(defaults.body_bytes),
            batch_items: self.max_batch_items.unwrap_or(defaults.batch_items),
            depth: self.max_depth.unwrap_or(defaults.depth),
            page_results: self.max_page_results.unwrap_or(defaults.page_results),
            reasons: self.reasons.unwrap_or(defaults.reasons),
            max_reasons: self.max_reasons.unwrap_or(defaults.max_reasons.max(self.reasons.unwrap_or_default())),
        };
        if limits.depth > DEEPEST {
            return Err(Failure::new(format!("max-depth is {}; at most {DEEPEST} levels are read", limits.depth)));
        }
        if limits.page_results == 0 {
            return Err(Failure::new("max-page-results is 0: no search could be answered"));
        }
        if limits.reasons > limits.max_reasons {
            return Err(Failure::new("reasons are more than max-reasons allows")
                .with_help("raise max-reasons, or lower reasons"));
        }
        Ok(limits)
    }
}
