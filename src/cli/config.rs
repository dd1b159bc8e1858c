//! The settings: flags, then the environment, then `gatepost.toml`, then the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::output::Failure;
use crate::engine::Snapshot;
use crate::http::authzen::{Limits, Reasons};
use crate::http::callers::{CallerFiles, Callers, TlsFiles};
use crate::http::discovery::{Capability, PublicUrl, PublicUrlError};
use crate::http::paging::{Paging, SECRET_BYTES};
use crate::log::{Durability, FEWEST_QUEUE_BYTES, LogSettings, MOST_QUEUE_BYTES};
use crate::request::json::DEEPEST;
use crate::store::keys::SigningKey;
use crate::store::{Origin, Problem, SourceFile, StoreError};

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
    /// The URL by which callers reach the service [default: the address, if it is a loopback one]
    #[arg(long, global = true, value_name = "URL", env = "GATEPOST_PUBLIC_URL", help_heading = SERVICE, hide_short_help = true)]
    public_url: Option<String>,
    /// A capability that the service announces, by its URN; may be given several times
    #[arg(long, global = true, value_name = "URN", env = "GATEPOST_CAPABILITY", value_delimiter = ',', help_heading = SERVICE, hide_short_help = true)]
    #[serde(default)]
    capability: Vec<String>,
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
    /// The folder of the decision log; without it, decisions are not logged
    #[arg(long, global = true, value_name = "DIR", env = "GATEPOST_LOG", help_heading = LOG, hide_short_help = true)]
    log: Option<PathBuf>,
    /// When a decision is answered [default: buffered]
    #[arg(long, global = true, value_name = "WHEN", env = "GATEPOST_LOG_DURABILITY", help_heading = LOG, hide_short_help = true)]
    log_durability: Option<LogDurability>,
    /// The most bytes of decisions that wait to be written [default: 33554432]
    #[arg(long, global = true, value_name = "BYTES", env = "GATEPOST_LOG_QUEUE_BYTES", help_heading = LOG, hide_short_help = true)]
    log_queue_bytes: Option<usize>,
    /// A segment that is larger is closed, and another begun [default: 67108864]
    #[arg(long, global = true, value_name = "BYTES", env = "GATEPOST_LOG_SEGMENT_BYTES", help_heading = LOG, hide_short_help = true)]
    log_segment_bytes: Option<u64>,
    /// So is one that is older, as `12h` or `1d`
    #[arg(long, global = true, value_name = "AGE", env = "GATEPOST_LOG_SEGMENT_AGE", help_heading = LOG, hide_short_help = true)]
    log_segment_age: Option<Age>,
    /// Pack closed segments with gzip [default: false]
    #[arg(long, global = true, value_name = "BOOL", env = "GATEPOST_LOG_COMPRESS", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = LOG, hide_short_help = true)]
    log_compress: Option<bool>,
    /// The most closed segments that are kept [default: all]
    #[arg(long, global = true, value_name = "COUNT", env = "GATEPOST_LOG_KEEP_SEGMENTS", help_heading = LOG, hide_short_help = true)]
    log_keep_segments: Option<usize>,
    /// How long a closed segment is kept, as `90d` [default: for ever]
    #[arg(long, global = true, value_name = "AGE", env = "GATEPOST_LOG_KEEP_AGE", help_heading = LOG, hide_short_help = true)]
    log_keep_age: Option<Age>,
    /// A private key (Ed25519, PEM) that signs the log, so that nobody else can make one
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_LOG_SIGNING_KEY", help_heading = LOG, hide_short_help = true)]
    log_signing_key: Option<PathBuf>,
}

const SERVICE: &str = "Settings of the service";
const LOG: &str = "Settings of its decision log";

/// When a decision is answered, as far as the log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum LogDurability {
    /// When its record is on disk
    Strict,
    /// When its record waits to be written, within some milliseconds; where too many wait, the caller does
    #[default]
    Buffered,
    /// The same, but where too many wait, the record is dropped and counted
    Lossy,
    /// There is no log
    Off,
}

/// A number of seconds (`s`), minutes (`m`), hours (`h`) or days (`d`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Age(Duration);

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "an age is a number of seconds, minutes, hours or days, as `30s`, `10m`, `12h` or `90d`";
        let unit = text.chars().next_back().ok_or(FORM)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return Err(FORM),
        };
        let number = text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()).filter(|number| *number > 0);
        Ok(Self(Duration::from_secs(u64::from(number.ok_or(FORM)?) * seconds)))
    }
}

impl TryFrom<String> for Age {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
    }
}

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
            public_url: self.public_url.or(read.public_url),
            capability: if self.capability.is_empty() { read.capability } else { self.capability },
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
            log: self.log.or(read.log),
            log_durability: self.log_durability.or(read.log_durability),
            log_queue_bytes: self.log_queue_bytes.or(read.log_queue_bytes),
            log_segment_bytes: self.log_segment_bytes.or(read.log_segment_bytes),
            log_segment_age: self.log_segment_age.or(read.log_segment_age),
            log_compress: self.log_compress.or(read.log_compress),
            log_keep_segments: self.log_keep_segments.or(read.log_keep_segments),
            log_keep_age: self.log_keep_age.or(read.log_keep_age),
            log_signing_key: self.log_signing_key.or(read.log_signing_key),
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
        let Self { store, entities, page_key, token_file, tls_cert, tls_key, client_ca, log, log_signing_key, .. } =
            &mut settings;
        let single = [store, page_key, token_file, tls_cert, tls_key, client_ca, log, log_signing_key];
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
        self.load().map_err(Failure::Store)
    }

    /// The same, with what is wrong with it.
    pub(super) fn load(&self) -> Result<Snapshot, StoreError> {
        Snapshot::load_with(self.origin(), &self.entities)
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
        // An editor ends a text with a newline, which is no part of it; random bytes may end with one, which is.
        let is_text = secret.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        let secret = if is_text { secret.trim_ascii_end() } else { &secret };
        if secret.len() < SECRET_BYTES {
            return Err(Failure::new(format!(
                "the page key in `{shown}` has {} bytes; at least {SECRET_BYTES} are needed",
                secret.len()
            ))
            .with_help("make one with `openssl rand -hex 32`"));
        }
        Paging::from_secret(secret).map_err(|_| Failure::new("the page key cannot be used"))
    }

    /// The URL by which callers reach the service, if it is set.
    pub(super) fn public_url(&self) -> Result<Option<PublicUrl>, Failure> {
        self.public_url.as_deref().map(str::parse).transpose().map_err(|error: PublicUrlError| {
            Failure::new(format!("public-url is no URL by which callers can reach the service: {error}"))
                .with_help("an example is https://pdp.example.com, or https://example.com/pdp behind a proxy")
        })
    }

    /// What the service announces that it can do.
    pub(super) fn capabilities(&self) -> Result<Vec<Capability>, Failure> {
        let read = |text: &String| {
            text.parse().map_err(|error| Failure::new(format!("`{text}` cannot be announced as a capability: {error}")))
        };
        self.capability.iter().map(read).collect()
    }

    /// How decisions are logged, if they are, and what is wrong with that.
    #[expect(dead_code, reason = "`serve` opens the log once it has records to write")]
    pub(super) fn log_settings(&self) -> Result<Option<(LogSettings, Vec<Problem>)>, Failure> {
        let durability = match self.log_durability.unwrap_or_default() {
            LogDurability::Strict => Durability::Strict,
            LogDurability::Buffered => Durability::Buffered,
            LogDurability::Lossy => Durability::Lossy,
            LogDurability::Off => return Ok(None),
        };
        let Some(folder) = self.log.clone() else {
            if self.log_durability.is_none() && self.log_signing_key.is_none() {
                return Ok(None);
            }
            let set = if self.log_durability.is_some() { "log-durability" } else { "log-signing-key" };
            return Err(Failure::new(format!("{set} is set, but log is not"))
                .with_help("name the folder of the decision log (`--log DIR`)"));
        };
        let queue_bytes = self.log_queue_bytes.unwrap_or(32 << 20);
        if !(FEWEST_QUEUE_BYTES..=MOST_QUEUE_BYTES).contains(&queue_bytes) {
            let bounds = format!("it is at least {FEWEST_QUEUE_BYTES} and at most {MOST_QUEUE_BYTES}");
            return Err(Failure::new(format!("log-queue-bytes is {queue_bytes}")).with_help(&bounds));
        }
        let signing_key = self.log_signing_key.as_deref().map(SigningKey::read).transpose()?;
        let warnings = self.log_signing_key.as_deref().and_then(SigningKey::exposed);
        let settings = LogSettings {
            folder,
            durability,
            queue_bytes,
            segment_bytes: self.log_segment_bytes.unwrap_or(64 << 20),
            segment_age: self.log_segment_age.map(|Age(age)| age),
            compress: self.log_compress.unwrap_or(false),
            keep_segments: self.log_keep_segments,
            keep_age: self.log_keep_age.map(|Age(age)| age),
            signing_key,
        };
        Ok(Some((settings, warnings.into_iter().collect())))
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
