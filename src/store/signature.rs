//! The signature of a store: a detached one (Ed25519, RFC 8032) of everything in it that can change a decision.

use sha2::Digest;

use super::files::StoreFiles;
use super::keys::{Signature, SigningKey, VerifyingKey};
use super::problem::{Problem, SourceFile};

/// The file in the folder of the store that holds its signature.
pub const FILE: &str = "gatepost.sig";

/// What a signature begins with. Whoever makes another form of it gives it another number.
const HEAD: &str = "gatepost-store-signature-1";

/// What is signed begins with this, so that a signature of a store can be one of nothing else.
const PURPOSE: &str = "gatepost store signature 1";

/// The SHA-256 of the schema, policies, matrix, clauses and stored entities, each part preceded by its length. The versions of
/// plugins, which are part of the revision, are not part of it: another version of Gatepost takes the same signature. Requests to
/// try are not either, for they decide nothing.
pub fn digest(files: &StoreFiles) -> [u8; 32] {
    super::digest::of_files(files).finalize().into()
}

/// Signs these files; what is to be written into [`FILE`].
pub fn sign(files: &StoreFiles, key: &SigningKey) -> String {
    let signature = key.sign(PURPOSE, &digest(files));
    format!("{HEAD}\nkey {}\nsignature {signature}\n", key.verifying_key().fingerprint())
}

/// Whether the files are what was signed with that key: those very files, as they were read.
///
/// # Errors
///
/// A store that is not signed, a signature that is none, one with another key, and one of other files.
pub fn verify(origin: &impl std::fmt::Display, files: &StoreFiles, key: &VerifyingKey) -> Result<(), Problem> {
    let id = key.fingerprint();
    let Some(file) = &files.signature else {
        return Err(Problem::error(format!(
            "{origin} is not signed, and only a store that is signed with the key {id} is taken"
        ))
        .with_help(format!("{SIGN} writes the signature into `{FILE}`, in the folder of the store")));
    };
    let Some(Signed { with, signature }) = Signed::read(file) else {
        return Err(Problem::error(format!("`{FILE}` holds no signature of a store"))
            .with_help(format!("{SIGN} writes it; it has three lines, of which the first is `{HEAD}`")));
    };
    // Only the key that is asked for says what is valid; what the file says of itself makes the message clearer.
    if key.verifies(PURPOSE, &digest(files), &signature) {
        return Ok(());
    }
    Err(if with == id {
        Problem::error(format!(
            "{origin} is not what was signed with the key {id}: a file was changed, added or removed since, or one of the further \
             files of entities is another"
        ))
        .with_help(format!("look at what changed, and sign it again: {SIGN}"))
    } else {
        Problem::error(format!(
            "{origin} is signed with another key, and only one that is signed with the key {id} is taken"
        ))
        .with_help(format!(
            "{SIGN} signs it with the right one; if the key was changed, name the new one: `--require-signed KEY`"
        ))
    })
}

const SIGN: &str = "`gatepost sign --key PRIVATE.pem --store DIR`";

/// A signature, as the file says it.
struct Signed<'a> {
    /// The fingerprint of the key.
    with: &'a str,
    signature: Signature,
}

impl<'a> Signed<'a> {
    fn read(file: &'a SourceFile) -> Option<Self> {
        let mut lines = file.text.lines();
        let is_one = lines.next() == Some(HEAD);
        let with = lines.next()?.strip_prefix("key ")?;
        let signature = lines.next()?.strip_prefix("signature ")?.parse().ok()?;
        (is_one && lines.next().is_none()).then_some(Self { with, signature })
    }
}
