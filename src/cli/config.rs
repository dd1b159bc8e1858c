//! The settings: flags, then the environment, then `gatepost.toml`, then the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::Format;
use super::diagnostics::{self, DiagnosticLevel};
use super::output::{self, Failure};
use super::units::{Age, Count, Size, Time};
use crate::engine::Snapshot;
use crate::http::Bounds;
use crate::http::authzen::{Limits, Reasons, UnknownAttributes};
use crate::http::callers::{CallerFiles, Callers, TlsFiles};
use crate::http::discovery::{Capability, PublicUrl, PublicUrlError};
use crate::http::paging::{Paging, SECRET_BYTES};
use crate::http::traces::{Collector, CollectorError};
use crate::log::mask::{Links, Mask};
use crate::log::record::Recorder;
use crate::log::{
    DecisionLog, Durability, FEWEST_QUEUE_BYTES, Log, LogSettings, MOST_QUEUE_BYTES, survive_file_size_limit,
};
use crate::regular;
use crate::request::json::DEEPEST;
use crate::store::keys::{SigningKey, VerifyingKey};
use crate::store::{Origin, Problem, REFUSES_UNREAD, Source, SourceFile};

/// Every setting. The names in `gatepost.toml` are those of the flags, without the dashes at the front.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Settings {
    /// The folder of the policy store [default: the one that is compiled in]
    #[arg(long, global = true, value_name = "DIR", env = "GATEPOST_STORE", help_heading = STORE)]
    pub(super) store: Option<PathBuf>,
    /// A file of stored entities, beside those of the store; may be given several times
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_ENTITIES", value_delimiter = ',', help_heading = STORE)]
    #[serde(default)]
    entities: Vec<PathBuf>,
    /// The metadata of phone numbers, newer than what is compiled in (libphonenumber's `PhoneNumberMetadata.xml`)
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_PHONE_METADATA", help_heading = STORE)]
    phone_metadata: Option<PathBuf>,
    /// Take a store only if it is signed with this key (a public one for Ed25519, PEM; see `gatepost sign --help`)
    #[arg(long, global = true, value_name = "KEY", env = "GATEPOST_REQUIRE_SIGNED", help_heading = STORE)]
    require_signed: Option<PathBuf>,
    /// Take up an edit to the store within a second, if every row of the matrix holds by it [default: false]
    // `check`, `test` and `prove` have a flag of this name too, which must be asked for each time: it is not for all commands.
    #[arg(long, value_name = "BOOL", env = "GATEPOST_WATCH", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = SERVICE, hide_short_help = true)]
    watch: Option<bool>,
    /// The address of the listener for operators: POST /reload, GET /status [default: none]
    #[arg(long, global = true, value_name = "ADDR", env = "GATEPOST_ADMIN_LISTEN", help_heading = SERVICE, hide_short_help = true)]
    pub(super) admin_listen: Option<SocketAddr>,
    /// The tokens of the operators (TOML, see `gatepost token --help`); each request to that listener needs one
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_ADMIN_TOKEN_FILE", help_heading = SERVICE, hide_short_help = true)]
    admin_token_file: Option<PathBuf>,
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
    /// What becomes of attributes and members that a request has and nobody reads [default: drop]
    #[arg(long, global = true, value_name = "HOW", env = "GATEPOST_UNKNOWN_ATTRIBUTES", help_heading = SERVICE, hide_short_help = true)]
    unknown_attributes: Option<UnknownAttributes>,
    /// The largest body of a request, as `1MB` or `1MiB` [default: 1MiB]
    #[arg(long, global = true, value_name = "SIZE", env = "GATEPOST_MAX_BODY_BYTES", help_heading = SERVICE, hide_short_help = true)]
    max_body_bytes: Option<Size>,
    /// The most items of a batch [default: 1000]
    #[arg(long, global = true, value_name = "COUNT", env = "GATEPOST_MAX_BATCH_ITEMS", help_heading = SERVICE, hide_short_help = true)]
    max_batch_items: Option<Count>,
    /// The most results of a page of a search [default: 1000]
    #[arg(long, global = true, value_name = "COUNT", env = "GATEPOST_MAX_PAGE_RESULTS", help_heading = SERVICE, hide_short_help = true)]
    max_page_results: Option<Count>,
    /// A secret of at least 32 bytes: with it, page tokens stay valid over restarts, and among services that share it
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_PAGE_KEY", help_heading = SERVICE, hide_short_help = true)]
    page_key: Option<PathBuf>,
    /// The deepest nesting of a request, in levels [default: 64]
    #[arg(long, global = true, value_name = "LEVELS", env = "GATEPOST_MAX_DEPTH", help_heading = SERVICE, hide_short_help = true)]
    max_depth: Option<Count>,
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
    /// The most bytes of decisions that wait to be written, as `64MB` or `32MiB` [default: 32MiB]
    #[arg(long, global = true, value_name = "SIZE", env = "GATEPOST_LOG_QUEUE_BYTES", help_heading = LOG, hide_short_help = true)]
    log_queue_bytes: Option<Size>,
    /// A segment that is larger, as `100MB` or `64MiB`, is closed, and another begun [default: 64MiB]
    #[arg(long, global = true, value_name = "SIZE", env = "GATEPOST_LOG_SEGMENT_BYTES", help_heading = LOG, hide_short_help = true)]
    log_segment_bytes: Option<Size>,
    /// So is one that is older, as `12h` or `1d`
    #[arg(long, global = true, value_name = "AGE", env = "GATEPOST_LOG_SEGMENT_AGE", help_heading = LOG, hide_short_help = true)]
    log_segment_age: Option<Age>,
    /// Pack closed segments with gzip [default: false]
    #[arg(long, global = true, value_name = "BOOL", env = "GATEPOST_LOG_COMPRESS", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = LOG, hide_short_help = true)]
    log_compress: Option<bool>,
    /// The most closed segments that are kept [default: all]
    #[arg(long, global = true, value_name = "COUNT", env = "GATEPOST_LOG_KEEP_SEGMENTS", help_heading = LOG, hide_short_help = true)]
    log_keep_segments: Option<Count>,
    /// How long a closed segment is kept, as `90d` [default: for ever]
    #[arg(long, global = true, value_name = "AGE", env = "GATEPOST_LOG_KEEP_AGE", help_heading = LOG, hide_short_help = true)]
    log_keep_age: Option<Age>,
    /// A private key (Ed25519, PEM) that signs the log, so that nobody else can make one
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_LOG_SIGNING_KEY", help_heading = LOG, hide_short_help = true)]
    log_signing_key: Option<PathBuf>,
    /// A secret of at least 32 bytes: who holds it can match masked values by their digests [default: a random one for each start]
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_LOG_MASK_KEY", help_heading = LOG, hide_short_help = true)]
    log_mask_key: Option<PathBuf>,
    /// Which equal values have equal masks in the log: `auto`, all of which there are too many to try them out; `all`; or `none` [default: auto]
    #[arg(long, global = true, value_name = "WHICH", env = "GATEPOST_LOG_MASKS", value_enum, help_heading = LOG, hide_short_help = true)]
    log_masks: Option<Links>,
    /// Log raw strings and sensitive attributes as they are [default: false]
    #[arg(long, global = true, value_name = "BOOL", env = "GATEPOST_LOG_UNMASKED", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = LOG, hide_short_help = true)]
    log_unmasked: Option<bool>,
    /// How long a caller may take for the head of a request, as `10s` or `500ms` [default: 10s]
    #[arg(long, global = true, value_name = "TIME", env = "GATEPOST_HEADER_TIMEOUT", help_heading = SERVICE, hide_short_help = true)]
    header_timeout: Option<Time>,
    /// How long a connection is kept on which no request comes after an answer, as `75s` or `5m` [default: 75s]
    #[arg(long, global = true, value_name = "TIME", env = "GATEPOST_IDLE_TIMEOUT", help_heading = SERVICE, hide_short_help = true)]
    idle_timeout: Option<Time>,
    /// How long a caller may take for the body of a request, and for taking the answer, as `30s` or `1m` [default: 30s]
    #[arg(long, global = true, value_name = "TIME", env = "GATEPOST_BODY_TIMEOUT", help_heading = SERVICE, hide_short_help = true)]
    body_timeout: Option<Time>,
    /// The most connections that are open at once; further ones wait [default: 4096, or what the limit of open files leaves]
    #[arg(long, global = true, value_name = "COUNT", env = "GATEPOST_MAX_CONNECTIONS", help_heading = SERVICE, hide_short_help = true)]
    max_connections: Option<Count>,
    /// The most requests that are decided at once; further ones get 503 [default: 1024]
    #[arg(long, global = true, value_name = "COUNT", env = "GATEPOST_MAX_CONCURRENT", help_heading = SERVICE, hide_short_help = true)]
    max_concurrent: Option<Count>,
    /// How the service says on standard error what happens [default: text]
    #[arg(long, global = true, value_name = "FORMAT", env = "GATEPOST_DIAGNOSTIC_FORMAT", help_heading = SERVICE, hide_short_help = true)]
    diagnostic_format: Option<Format>,
    /// How much it says [default: warn]
    #[arg(long, global = true, value_name = "LEVEL", env = "GATEPOST_DIAGNOSTIC_LEVEL", help_heading = SERVICE, hide_short_help = true)]
    diagnostic_level: Option<DiagnosticLevel>,
    /// The collector to which traces are sent (OTLP over HTTP; `/v1/traces` is added) [default: none]
    #[arg(long, global = true, value_name = "URL", env = "GATEPOST_OTLP_ENDPOINT", help_heading = SERVICE, hide_short_help = true)]
    otlp_endpoint: Option<String>,
    /// The share of requests that are traced, from 0 to 1, where the caller has not decided it [default: 1]
    #[arg(long, global = true, value_name = "RATIO", env = "GATEPOST_OTLP_SAMPLE", help_heading = SERVICE, hide_short_help = true)]
    otlp_sample: Option<f64>,
}

/// Options of the command itself come first: they have no heading.
pub(super) const STORE: &str = "Settings of every command";
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

/// The file that is read where no other is named.
const FILE: &str = "gatepost.toml";

impl Settings {
    /// These settings, and where they say nothing, those of the file.
    pub(super) fn completed(self, file: Option<&Path>) -> Result<Self, Failure> {
        let path = match file {
            Some(path) => path,
            // Whatever is there in its place is not passed over.
            None if Path::new(FILE).symlink_metadata().is_ok() => Path::new(FILE),
            None => return Ok(self),
        };
        let read = Self::read(path)?;
        Ok(Self {
            store: self.store.or(read.store),
            entities: if self.entities.is_empty() { read.entities } else { self.entities },
            phone_metadata: self.phone_metadata.or(read.phone_metadata),
            require_signed: self.require_signed.or(read.require_signed),
            watch: self.watch.or(read.watch),
            admin_listen: self.admin_listen.or(read.admin_listen),
            admin_token_file: self.admin_token_file.or(read.admin_token_file),
            listen: self.listen.or(read.listen),
            public_url: self.public_url.or(read.public_url),
            capability: if self.capability.is_empty() { read.capability } else { self.capability },
            reasons: self.reasons.or(read.reasons),
            max_reasons: self.max_reasons.or(read.max_reasons),
            unknown_attributes: self.unknown_attributes.or(read.unknown_attributes),
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
            log_mask_key: self.log_mask_key.or(read.log_mask_key),
            log_masks: self.log_masks.or(read.log_masks),
            log_unmasked: self.log_unmasked.or(read.log_unmasked),
            header_timeout: self.header_timeout.or(read.header_timeout),
            idle_timeout: self.idle_timeout.or(read.idle_timeout),
            body_timeout: self.body_timeout.or(read.body_timeout),
            max_connections: self.max_connections.or(read.max_connections),
            max_concurrent: self.max_concurrent.or(read.max_concurrent),
            diagnostic_format: self.diagnostic_format.or(read.diagnostic_format),
            diagnostic_level: self.diagnostic_level.or(read.diagnostic_level),
            otlp_endpoint: self.otlp_endpoint.or(read.otlp_endpoint),
            otlp_sample: self.otlp_sample.or(read.otlp_sample),
        })
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = regular::read_to_string(path)
            .map_err(|error| Failure::new(format!("the settings in `{shown}` cannot be read: {error}")))?;
        let mut settings: Self = toml::from_str(&text).map_err(|error| {
            let file = SourceFile { path: shown.to_string().into(), text: text.as_str().into() };
            let help = "`gatepost --help` lists the settings; their names here are those of the flags";
            Failure::from(Problem::from_toml(&error, &file, "setting", help))
        })?;
        // A path in the file is meant from where the file lies.
        let folder = path.parent().unwrap_or(Path::new(""));
        let Self {
            store,
            entities,
            phone_metadata,
            require_signed,
            page_key,
            token_file,
            admin_token_file,
            tls_cert,
            tls_key,
            client_ca,
            log,
            log_signing_key,
            log_mask_key,
            ..
        } = &mut settings;
        let single = [store, require_signed, page_key, token_file, admin_token_file, tls_cert, tls_key, client_ca];
        let single = single.into_iter().chain([phone_metadata, log, log_signing_key, log_mask_key]);
        for path in single.flatten().chain(entities) {
            *path = folder.join(&path);
        }
        Ok(settings)
    }

    /// Where the store comes from.
    pub(super) fn origin(&self) -> Origin {
        self.store.clone().map_or(Origin::BuiltIn, Origin::Folder)
    }

    /// All of the store, and whose signature it must have.
    pub(super) fn source(&self) -> Result<Source, Failure> {
        self.source_at(self.origin())
    }

    /// The same of a store that lies elsewhere: with the same further entities.
    pub(super) fn source_at(&self, origin: Origin) -> Result<Source, Failure> {
        let key = self.require_signed.as_deref().map(VerifyingKey::read).transpose()?;
        let refuses_unread = self.unknown_attributes == Some(UnknownAttributes::Deny);
        let modes = refuses_unread.then_some(REFUSES_UNREAD).into_iter().collect();
        Ok(Source {
            origin,
            entities: self.entities.clone(),
            phone_metadata: self.phone_metadata.clone(),
            required_key: key,
            modes,
        })
    }

    /// The store, ready to decide.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Failure> {
        Snapshot::load_from(&self.source()?).map_err(Failure::Store)
    }

    /// Whether edits to the store are taken up while it is served.
    pub(super) fn watch(&self) -> bool {
        self.watch.unwrap_or_default()
    }

    /// Where operators are listened to, and by which tokens they are known; `None` where they are not.
    pub(super) fn admin(&self) -> Result<Option<(SocketAddr, Callers)>, Failure> {
        match (self.admin_listen, &self.admin_token_file) {
            (Some(address), Some(tokens)) => {
                if collide(address, self.usual_address()) {
                    let listen = self.usual_address();
                    return Err(Failure::new(format!(
                        "listen is `{listen}`, and admin-listen is `{address}`: callers and operators need a port each"
                    ))
                    .with_help("choose another port with `--admin-listen`, or with `--listen`"));
                }
                let files = CallerFiles { tokens: Some(tokens.clone()), tls: None };
                Ok(Some((address, Callers::read(&files).map_err(Failure::Problems)?)))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(Failure::new("admin-listen is set, but admin-token-file is not").with_help(
                "who can reach that listener can change what decides: `gatepost token NAME` makes a token, and the entry for the file",
            )),
            (None, Some(_)) => Err(Failure::new("admin-token-file is set, but admin-listen is not")
                .with_help("its tokens are for the listener for operators alone: name an address for it, or leave them out")),
        }
    }

    /// The address to listen on, unless something else is said.
    pub(super) fn usual_address(&self) -> SocketAddr {
        self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8180)))
    }

    /// Whether the service speaks HTTPS.
    pub(super) fn speaks_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// The address to listen on: a loopback one, unless callers are known, or need not be.
    pub(super) fn address(&self) -> Result<SocketAddr, Failure> {
        let address = self.usual_address();
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
        match &self.page_key {
            None => Paging::random().map_err(|_| Failure::new(NO_RANDOM)),
            Some(path) => {
                Paging::from_secret(&secret(path, "page key")?).map_err(|_| Failure::new("the page key cannot be used"))
            }
        }
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

    /// Where decisions are logged, if they are; it is opened, and what is wrong with that is said. To be called within a runtime.
    pub(super) fn decision_log(&self) -> Result<Option<DecisionLog>, Failure> {
        let Some((settings, warnings)) = self.log_settings()? else { return Ok(None) };
        let links = self.log_masks.unwrap_or_default();
        let mask = match (self.log_unmasked, &self.log_mask_key) {
            (Some(true), _) => None,
            (_, Some(path)) => Some(Mask::new(&secret(path, "log mask key")?, links)),
            (_, None) => Some(Mask::random(links)),
        };
        let mask = mask.transpose().map_err(|_| Failure::new(NO_RANDOM))?;
        output::complain(&warnings);
        survive_file_size_limit()
            .map_err(|error| Failure::new(format!("the limit of the size of files cannot be watched: {error}")))?;
        let (log, found) = Log::open(settings).map_err(|error| {
            let failure = Failure::new(error.to_string());
            error.help().map_or(failure, |help| Failure::new(error.to_string()).with_help(help))
        })?;
        output::complain(&found);
        Ok(Some(DecisionLog { log, recorder: Recorder { mask } }))
    }

    /// Whether decisions can be logged where they are to be, as far as that shows before anything is started.
    pub(super) fn check_log(&self) -> Result<(), Failure> {
        let log = self.log.as_deref().filter(|_| self.log_durability != Some(LogDurability::Off));
        let Some(log) = log else { return Ok(()) };
        let is_there = log.ancestors().find(|path| path.exists());
        let Some(file) = is_there.filter(|path| !path.is_dir()) else { return Ok(()) };
        let which = if file == log { "which".to_owned() } else { format!("but `{}`", file.display()) };
        Err(Failure::new(format!("log is `{}`, {which} is a file, and not a folder", log.display()))
            .with_help("name the folder of the decision log with `--log`; the service makes it if it is not there"))
    }

    fn log_settings(&self) -> Result<Option<(LogSettings, Vec<Problem>)>, Failure> {
        let durability = match self.log_durability.unwrap_or_default() {
            LogDurability::Strict => Durability::Strict,
            LogDurability::Buffered => Durability::Buffered,
            LogDurability::Lossy => Durability::Lossy,
            LogDurability::Off => return Ok(None),
        };
        let Some(folder) = self.log.clone() else {
            return match self.any_log_setting() {
                None => Ok(None),
                Some(set) => Err(Failure::new(format!("{set} is set, but log is not"))
                    .with_help("name the folder of the decision log (`--log DIR`)")),
            };
        };
        let queue_bytes = self.log_queue_bytes.map_or(Ok(32 << 20), in_memory)?;
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
            segment_bytes: self.log_segment_bytes.map_or(64 << 20, |Size(bytes)| bytes),
            segment_age: self.log_segment_age.map(|Age(age)| age),
            compress: self.log_compress.unwrap_or(false),
            keep_segments: self.log_keep_segments.map(|Count(count)| count),
            keep_age: self.log_keep_age.map(|Age(age)| age),
            signing_key,
        };
        Ok(Some((settings, warnings.into_iter().collect())))
    }

    /// The name of a setting of the decision log that is set.
    fn any_log_setting(&self) -> Option<&'static str> {
        let settings = [
            ("log-durability", self.log_durability.is_some()),
            ("log-queue-bytes", self.log_queue_bytes.is_some()),
            ("log-segment-bytes", self.log_segment_bytes.is_some()),
            ("log-segment-age", self.log_segment_age.is_some()),
            ("log-compress", self.log_compress.is_some()),
            ("log-keep-segments", self.log_keep_segments.is_some()),
            ("log-keep-age", self.log_keep_age.is_some()),
            ("log-signing-key", self.log_signing_key.is_some()),
            ("log-mask-key", self.log_mask_key.is_some()),
            ("log-masks", self.log_masks.is_some()),
            ("log-unmasked", self.log_unmasked.is_some()),
        ];
        settings.into_iter().find_map(|(name, is_set)| is_set.then_some(name))
    }

    /// What the service allows its callers.
    pub(super) fn limits(&self) -> Result<Limits, Failure> {
        let defaults = Limits::default();
        let limits = Limits {
            body_bytes: self.max_body_bytes.map_or(Ok(defaults.body_bytes), in_memory)?,
            batch_items: count(self.max_batch_items, defaults.batch_items),
            depth: count(self.max_depth, defaults.depth),
            page_results: count(self.max_page_results, defaults.page_results),
            reasons: self.reasons.unwrap_or(defaults.reasons),
            max_reasons: self.max_reasons.unwrap_or(defaults.max_reasons.max(self.reasons.unwrap_or_default())),
            unknown_attributes: self.unknown_attributes.unwrap_or(defaults.unknown_attributes),
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

    /// What callers can use up.
    pub(super) fn bounds(&self) -> Result<Bounds, Failure> {
        let is_zero = |given: Option<Count>| given == Some(Count(0));
        let is_no_time = |given: Option<Time>| given.is_some_and(|Time(time)| time.is_zero());
        let given = [
            ("max-connections", is_zero(self.max_connections)),
            ("max-concurrent", is_zero(self.max_concurrent)),
            ("header-timeout", is_no_time(self.header_timeout)),
            ("idle-timeout", is_no_time(self.idle_timeout)),
            ("body-timeout", is_no_time(self.body_timeout)),
        ];
        if let Some((name, _)) = given.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(Failure::new(format!("{name} is 0: no request could be answered")));
        }
        let defaults = Bounds::default();
        let time = |given: Option<Time>, default| given.map_or(default, |Time(time)| time);
        Ok(Bounds {
            header_time: time(self.header_timeout, defaults.header_time),
            idle_time: time(self.idle_timeout, defaults.idle_time),
            body_time: time(self.body_timeout, defaults.body_time),
            connections: self
                .max_connections
                .map_or_else(|| defaults.connections.min(connections_that_files_allow()), |Count(count)| count),
            concurrent: count(self.max_concurrent, defaults.concurrent),
        })
    }

    /// The collector of traces, and the share of requests that are traced.
    pub(super) fn collector(&self) -> Result<Option<(Collector, f64)>, Failure> {
        let share = self.otlp_sample.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&share) {
            return Err(Failure::new(format!("otlp-sample is {share}; a share is from 0 to 1")));
        }
        let collector = self.otlp_endpoint.as_deref().map(str::parse).transpose();
        let collector = collector.map_err(|error: CollectorError| {
            Failure::new(format!("otlp-endpoint is no URL of a collector: {error}"))
                .with_help("an example is http://localhost:4318")
        })?;
        Ok(collector.map(|collector| (collector, share)))
    }

    /// Has what the service says go to standard error, as it is set.
    pub(super) fn begin_diagnostics(&self) {
        diagnostics::begin(self.diagnostic_format.unwrap_or_default(), self.diagnostic_level.unwrap_or_default());
    }
}

fn count(given: Option<Count>, default: usize) -> usize {
    given.map_or(default, |Count(count)| count)
}

/// A size of something that is held in memory.
fn in_memory(Size(bytes): Size) -> Result<usize, Failure> {
    usize::try_from(bytes).map_err(|_| Failure::new(format!("{bytes} bytes are more than this machine can hold")))
}

/// Whether nobody can listen on both.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = |address: SocketAddr| address.ip().is_unspecified();
    // Port 0 is each time another one.
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || is_any(one) || is_any(other))
}

/// So many files are left for the store, the log and whatever else is opened.
const OTHER_FILES: usize = 64;

/// How many connections the limit of open files leaves room for. With fewer files than connections, none could be opened for
/// anything else, such as the decision log.
fn connections_that_files_allow() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    // Where there is no such limit, or it cannot be read, there is none to keep.
    limit.map_or(usize::MAX, |limit: usize| limit.saturating_sub(OTHER_FILES).max(1))
}

const NO_RANDOM: &str = "the operating system gives no random bytes";

/// A secret of at least 32 bytes from a file; `what` says in a message what it is.
pub(super) fn secret(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let mut secret = regular::read(path)
        .map_err(|error| Failure::new(format!("the {what} in `{shown}` cannot be read: {error}")))?;
    // An editor ends a text with a newline, which is no part of it; random bytes may end with one, which is.
    if secret.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        secret.truncate(secret.trim_ascii_end().len());
    }
    if secret.len() < SECRET_BYTES {
        let found = secret.len();
        return Err(Failure::new(format!(
            "the {what} in `{shown}` has {found} bytes; at least {SECRET_BYTES} are needed"
        ))
        .with_help("make one with `openssl rand -hex 32`"));
    }
    Ok(secret)
}
