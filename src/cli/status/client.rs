//! A client for one question to a running service, over HTTP or HTTPS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value as Json;

use crate::cli::output::Failure;
use crate::http::traces::with_causes;
use crate::regular;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest answer, in bytes: what is wrong with a store can be much.
const LARGEST: usize = 1 << 26;

/// Who asks, and whom it trusts.
pub(super) struct Identity {
    /// Sent with the question.
    pub(super) token: Option<String>,
    /// The file of the authorities of the service's certificate; those of this machine where none is named.
    pub(super) authorities: Option<PathBuf>,
    /// The files of a client certificate and its key.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
}

/// A client of the service at one URL.
pub(super) struct Client {
    url: String,
    token: Option<HeaderValue>,
    client: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Client {
    pub(super) fn new(url: &str, identity: &Identity) -> Result<Self, Failure> {
        let is_url = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
        let uri: Uri = url.parse().ok().filter(is_url).ok_or_else(|| {
            Failure::new(format!("`{url}` is no address of a service"))
                .with_help("an example is https://pdp.example.com, or 127.0.0.1:8180")
        })?;
        let tls = config(identity, uri.scheme_str() == Some("https"))?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let token = identity.token.as_ref().map(|token| {
            let header = HeaderValue::from_str(&format!("Bearer {token}"));
            header.map_err(|_| {
                Failure::new("the token is none that can be sent: it has other characters than letters and digits")
            })
        });
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { url: url.to_owned(), token: token.transpose()?, client })
    }

    /// What is at that path: JSON.
    pub(super) fn get(&self, path: &str) -> Result<Json, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, self.ask(path)).await });
        let (status, body) =
            answer.map_err(|_| self.unasked("it does not answer"))?.map_err(|why| self.unasked(&why))?;
        let json: Option<Json> = serde_json::from_slice(&body).ok();
        match (status, json) {
            // What is not ready says so with a status of its own.
            (StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE, Some(json)) if json.is_object() => Ok(json),
            (StatusCode::OK, _) => Err(self.unasked("what answers there is no Gatepost of this version")),
            (StatusCode::UNAUTHORIZED, _) => Err(self
                .unasked("it does not know who asks")
                .with_help("send a token that it knows: `--token FILE`, or the variable GATEPOST_TOKEN")),
            (status, Some(Json::String(message))) => Err(self.unasked(&format!("{}: {message}", status.as_u16()))),
            (status, _) => Err(self.unasked(&format!("it answers with the status {}", status.as_u16()))),
        }
    }

    async fn ask(&self, path: &str) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| with_causes(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }

    fn unasked(&self, why: &str) -> Failure {
        Failure::new(format!("the service at {} cannot be asked: {why}", self.url))
    }
}

fn config(identity: &Identity, is_needed: bool) -> Result<ClientConfig, Failure> {
    let failed = |error| Failure::new(format!("TLS cannot be used: {error}"));
    let builder = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = match &identity.authorities {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None if is_needed => builder.with_native_roots().map_err(|error| {
            Failure::new(format!("the authorities of this machine cannot be read: {error}"))
                .with_help("name those of the certificate of the service: `--cacert FILE`")
        })?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    match &identity.certificate {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let unread = |_| Failure::new(format!("`{}` holds no key that can be read", key.display()));
            let key = PrivateKeyDer::from_pem_slice(&contents(key)?).map_err(unread)?;
            builder.with_client_auth_cert(chain, key).map_err(failed)
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| {
            Failure::new(format!("`{}` has a certificate that cannot be used: {error}", path.display()))
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&contents(path)?).collect();
    read.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(|| {
        Failure::new(format!("`{}` holds no certificate that can be read", path.display())).with_help(
            "certificates are written as PEM: a block that begins with `-----BEGIN CERTIFICATE-----` for each",
        )
    })
}

fn contents(path: &Path) -> Result<Vec<u8>, Failure> {
    regular::read(path).map_err(|error| Failure::new(format!("`{}` cannot be read: {error}", path.display())))
}
