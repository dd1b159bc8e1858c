//! The settings: flags, then the environment, then `gatepost.toml`, then the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::output::Failure;
use crate::engine::Snapshot;
use crate::http::authzen::{Limits, Reasons};
use crate::http::discovery::{PublicUrl, PublicUrlError};
use crate::request::json::DEEPEST;
use crate::store::{Origin, Problem, SourceFile};

/// Every setting. The names in `gatepost.toml` are those of the flags, without the dashes at the front.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Settings {
    /// The folder of the policy store [default: the one that is compiled in]
    #[arg(long, global = true, value_name = "DIR", env = "GATEPOST_STORE")]
    pub(super) store: Option<PathBuf>,
    /// The address to listen on; without authentication only a loopback one [default: 127.0.0.1:8180]
    #[arg(long, global = true, value_name = "ADDR", env = "GATEPOST_LISTEN", help_heading = SERVICE, hide_short_help = true)]
    listen: Option<SocketAddr>,
    /// The URL by which callers reach the service [default: the address, if it is a loopback one]
    #[arg(long, global = true, value_name = "URL", env = "GATEPOST_PUBLIC_URL", help_heading = SERVICE, hide_short_help = true)]
    public_url: Option<String>,
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
    /// The deepest nesting of a request, in levels [default: 64]
    #[arg(long, global = true, value_name = "LEVELS", env = "GATEPOST_MAX_DEPTH", help_heading = SERVICE, hide_short_help = true)]
    max_depth: Option<usize>,
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
            listen: self.listen.or(read.listen),
            public_url: self.public_url.or(read.public_url),
            reasons: self.reasons.or(read.reasons),
            max_reasons: self.max_reasons.or(read.max_reasons),
            max_body_bytes: self.max_body_bytes.or(read.max_body_bytes),
            max_batch_items: self.max_batch_items.or(read.max_batch_items),
            max_depth: self.max_depth.or(read.max_depth),
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
        settings.store = settings.store.map(|store| folder.join(store));
        Ok(settings)
    }

    /// Where the store comes from.
    pub(super) fn origin(&self) -> Origin {
        self.store.clone().map_or(Origin::BuiltIn, Origin::Folder)
    }

    /// The store, ready to decide.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Failure> {
        Snapshot::load(self.origin()).map_err(Failure::Store)
    }

    /// The address to listen on: a loopback one, because there is no authentication.
    pub(super) fn address(&self) -> Result<SocketAddr, Failure> {
        let address = self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8180)));
        if address.ip().is_loopback() {
            return Ok(address);
        }
        Err(Failure::new(format!(
            "`{address}` can be reached from other machines, and the service has no authentication"
        ))
        .with_help(
            "listen on a loopback address such as 127.0.0.1:8180, behind a proxy that authenticates its callers",
        ))
    }

    /// The URL by which callers reach the service, if it is set.
    pub(super) fn public_url(&self) -> Result<Option<PublicUrl>, Failure> {
        self.public_url.as_deref().map(str::parse).transpose().map_err(|error: PublicUrlError| {
            Failure::new(format!("public-url is no URL by which callers can reach the service: {error}"))
                .with_help("an example is https://pdp.example.com, or https://example.com/pdp behind a proxy")
        })
    }

    /// What the service allows its callers.
    pub(super) fn limits(&self) -> Result<Limits, Failure> {
        let defaults = Limits::default();
        let limits = Limits {
            body_bytes: self.max_body_bytes.unwrap_or(defaults.body_bytes),
            batch_items: self.max_batch_items.unwrap_or(defaults.batch_items),
            depth: self.max_depth.unwrap_or(defaults.depth),
            reasons: self.reasons.unwrap_or(defaults.reasons),
            max_reasons: self.max_reasons.unwrap_or(defaults.max_reasons.max(self.reasons.unwrap_or_default())),
        };
        if limits.depth > DEEPEST {
            return Err(Failure::new(format!("max-depth is {}; at most {DEEPEST} levels are read", limits.depth)));
        }
        if limits.reasons > limits.max_reasons {
            return Err(Failure::new("reasons are more than max-reasons allows")
                .with_help("raise max-reasons, or lower reasons"));
        }
        Ok(limits)
    }
}
