//! Ed25519 keys (RFC 8032) in the files that `openssl` writes, and what is signed with them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// A private key. It is never shown: its `Debug` is that of the public one.
pub struct SigningKey(Ed25519KeyPair);

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey([u8; PUBLIC_KEY_BYTES]);

/// A signature. Its text is Base64 (RFC 4648, section 4) of its 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_BYTES]);

/// Why a file is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no private key in it.
    #[error("holds no private key in PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NoPrivateKey,
    /// There is no public key in it.
    #[error("holds no public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    NoPublicKey,
    /// The key in it is of another kind.
    #[error("holds a key that is not for Ed25519")]
    OtherAlgorithm,
}

/// What is not the text of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signature is 64 bytes in Base64")]
pub struct NoSignature;

const PUBLIC_KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// What stands before the 32 bytes of a key in its `SubjectPublicKeyInfo` (RFC 8410, section 4).
const PUBLIC_KEY_HEADING: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const HOW_PRIVATE: &str = "`openssl genpkey -algorithm ed25519 -out private.pem` makes one";
const HOW_PUBLIC: &str =
    "`openssl pkey -in private.pem -pubout -out public.pem` writes the public key of a private one";

impl SigningKey {
    /// Reads a private key, as `openssl genpkey -algorithm ed25519` writes it. [`SigningKey::exposed`] says whether
    /// others can, too.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or holds no such key, and how to make one.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        Self::from_pem(&contents(path)?).map_err(|error| not_a_key(path, error).with_help(HOW_PRIVATE))
    }

    /// A private key from PKCS#8 in PEM.
    ///
    /// # Errors
    ///
    /// Anything else.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoPrivateKey)?;
        // What `openssl` writes holds no public key to check the private one by.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        pair.map(Self).map_err(|_| KeyError::OtherAlgorithm)
    }

    /// A warning if the file of a private key can be read by other users of the machine.
    pub fn exposed(path: &Path) -> Option<Problem> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).ok()?.permissions().mode();
            let shown = path.display();
            (mode & 0o077 != 0).then(|| {
                Problem::warning(format!("the private key in `{shown}` is open to other users of this machine"))
                    .with_help(format!("`chmod 600 {shown}`"))
            })
        }
        #[cfg(not(unix))]
        {
            let _ = path;
            None
        }
    }

    /// Signs a message for one purpose: a signature for another purpose is never valid for this one. The purpose has no
    /// line break; what is signed is the purpose, a line break and the message.
    pub fn sign(&self, purpose: &str, message: &[u8]) -> Signature {
        let mut bytes = [0; SIGNATURE_BYTES];
        for (to, from) in bytes.iter_mut().zip(self.0.sign(&signed(purpose, message)).as_ref()) {
            *to = *from;
        }
        Signature(bytes)
    }

    /// The public key that verifies what this one signs.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        for (to, from) in bytes.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        VerifyingKey(bytes)
    }
}

impl VerifyingKey {
    /// Reads a public key, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or holds no such key, and how to make one.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        Self::from_pem(&contents(path)?).map_err(|error| not_a_key(path, error).with_help(HOW_PUBLIC))
    }

    /// A public key from `SubjectPublicKeyInfo` in PEM.
    ///
    /// # Errors
    ///
    /// Anything else.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::NoPublicKey)?;
        let key = der.strip_prefix(&PUBLIC_KEY_HEADING).ok_or(KeyError::OtherAlgorithm)?;
        key.try_into().map(Self).map_err(|_| KeyError::OtherAlgorithm)
    }

    /// Whether that is the signature of the message for that purpose.
    pub fn verifies(&self, purpose: &str, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(&signed(purpose, message), &signature.0).is_ok()
    }

    /// What tells this key from others: the SHA-256 of its `SubjectPublicKeyInfo`, in hexadecimal digits
    /// (`openssl pkey -pubin -in public.pem -outform DER | sha256sum`).
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::new().chain_update(PUBLIC_KEY_HEADING).chain_update(self.0).finalize();
        hex::encode(digest)
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    crate::regular::read(path).map_err(|error| Problem::error(format!("the key in `{shown}` cannot be read: {error}")))
}

fn not_a_key(path: &Path, error: KeyError) -> Problem {
    Problem::error(format!("`{}` {error}", path.display()))
}

fn signed(purpose: &str, message: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), b"\n", message].concat()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.verifying_key().fingerprint())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({})", self.fingerprint())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0))
    }
}

impl FromStr for Signature {
    type Err = NoSignature;

    fn from_str(text: &str) -> Result<Self, NoSignature> {
        let bytes = STANDARD.decode(text).map_err(|_| NoSignature)?;
        bytes.try_into().map(Self).map_err(|_| NoSignature)
    }
}
