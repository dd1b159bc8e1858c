//! Certificates and keys: what the files of TLS hold, and whom a client certificate names.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

use super::is_caller_name;
use super::watched::Content;
use crate::store::Problem;

/// What a connection needs.
#[derive(Debug)]
pub(in crate::http) struct Tls {
    /// For new connections.
    pub(in crate::http) config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

impl Tls {
    /// Reads the certificate of the service, its key and, where there are some, the authorities of client certificates.
    ///
    /// # Errors
    ///
    /// What is no PEM, and a key that does not belong to the certificate.
    pub(super) fn read(contents: &[Content]) -> Result<Self, Vec<Problem>> {
        let [certificate_file, key_file, authorities @ ..] = contents else { return Err(Vec::new()) };
        let (chain, key) = (certificates(certificate_file), key(key_file));
        let verifier = authorities.first().map(verifier).transpose();
        let (chain, key, verifier) = match (chain, key, verifier) {
            (Ok(chain), Ok(key), Ok(verifier)) => (chain, key, verifier),
            (chain, key, verifier) => {
                return Err([chain.err(), key.err(), verifier.err()].into_iter().flatten().collect());
            }
        };
        let [certificate, ..] = chain.as_slice() else { return Err(vec![no_certificate(certificate_file)]) };
        let certificate = certificate.clone();
        let config = config(chain, key, verifier).map_err(|error| {
            let (certificate, key) = (&certificate_file.path, &key_file.path);
            vec![match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Problem::error(format!(
                    "the key in `{key}` is not that of the first certificate in `{certificate}`"
                ))
                .with_help("the certificate of the service comes first in its file, those of authorities after it"),
                error => Problem::error(format!("`{certificate}` and `{key}` cannot be used: {error}")),
            }]
        })?;
        Ok(Self { config: Arc::new(config), certificate })
    }

    /// The first host that the certificate names, unless it names that address.
    pub(super) fn host_instead_of(&self, address: IpAddr) -> Option<String> {
        let certificate = EndEntityCert::try_from(&self.certificate).ok()?;
        if certificate.verify_is_valid_for_subject_name(&ServerName::from(address)).is_ok() {
            return None;
        }
        certificate.valid_dns_names().find(|name| !name.contains('*')).map(str::to_owned)
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(default_provider().into()).with_safe_default_protocol_versions()?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What checks that a client has a certificate of one of these authorities.
fn verifier(file: &Content) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let unusable =
            |error| Problem::error(format!("`{}` has a certificate that cannot be used: {error}", file.path));
        roots.add(certificate).map_err(unusable)?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(roots.into(), default_provider().into()).build();
    built
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(|error| Problem::error(format!("`{}` cannot be used: {error}", file.path)))
}

fn certificates(file: &Content) -> Result<Vec<CertificateDer<'static>>, Problem> {
    // What a broken file holds may be a key: nothing of it is shown.
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file.bytes).collect();
    read.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(|| no_certificate(file))
}

fn no_certificate(file: &Content) -> Problem {
    Problem::error(format!("`{}` holds no certificate that can be read", file.path))
        .with_help("certificates are written as PEM: a block that begins with `-----BEGIN CERTIFICATE-----` for each")
}

fn key(file: &Content) -> Result<PrivateKeyDer<'static>, Problem> {
    PrivateKeyDer::from_pem_slice(&file.bytes).map_err(|_| {
        Problem::error(format!("`{}` holds no key that can be read", file.path)).with_help(
            "a key is written as PEM, without a passphrase: a block that begins with `-----BEGIN PRIVATE KEY-----`, or \
             `EC PRIVATE KEY` or `RSA PRIVATE KEY`",
        )
    })
}

/// The name of the caller that a client certificate stands for: the first URI that it names (a SPIFFE ID, say), else the first
/// host; and where there is neither, or it cannot be the name of a caller, `sha256:` and the certificate's fingerprint.
pub(in crate::http) fn name_of(certificate: &CertificateDer<'_>) -> String {
    let named = EndEntityCert::try_from(certificate).ok().and_then(|certificate| {
        let name = certificate.valid_uri_names().next().or_else(|| certificate.valid_dns_names().next());
        name.map(str::to_owned)
    });
    named
        .filter(|name| is_caller_name(name))
        .unwrap_or_else(|| format!("sha256:{}", hex::encode(Sha256::digest(certificate))))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::{CertificateDer, name_of};

    fn certificate(names: Vec<SanType>) -> CertificateDer<'static> {
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = names;
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    #[test]
    fn the_name_of_a_certificate_is_its_first_uri_else_its_first_host_else_its_fingerprint() {
        let uri = |text: &str| SanType::URI(text.try_into().unwrap());
        let host = |text: &str| SanType::DnsName(text.try_into().unwrap());
        let spiffe = "spiffe://example/portal";
        let several = certificate(vec![host("portal.example"), uri(spiffe), uri("spiffe://example/other")]);
        assert_eq!(name_of(&several), spiffe);
        assert_eq!(name_of(&certificate(vec![host("a.example"), host("b.example")])), "a.example");
        // What cannot be a name in a log is none, and no other takes its place.
        let control = format!("{spiffe}/\u{7}");
        let long = format!("{spiffe}/{}", "x".repeat(100));
        for names in [vec![], vec![uri(&control), host("portal.example")], vec![uri(&long), host("portal.example")]] {
            let name = name_of(&certificate(names));
            assert!(name.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64), "{name}");
        }
    }
}
