//! `gatepost sign`: signs a store, so that services take it that ask for a signature. Exit 0 when it is signed, 2 when it cannot be.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::Format;
use super::config::Settings;
use super::output::{self, Failure};
use crate::engine::Snapshot;
use crate::store::keys::SigningKey;
use crate::store::{Origin, Source, signature};

#[derive(Debug, Args)]
#[command(after_help = SIGNED)]
pub(super) struct Arguments {
    /// The private key (Ed25519, PKCS#8 PEM): `openssl genpkey -algorithm ed25519 -out private.pem` makes one
    #[arg(long, value_name = "PRIVATE")]
    key: PathBuf,
    /// How to write what was signed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const SIGNED: &str = "\
The signature is written into the file `gatepost.sig`, in the folder of the store. Signed is everything that can change a decision: \
the schema, the policies, the matrix with its clauses, the stored entities, and the further ones (--entities), in the order in which \
they are named. Not signed are requests/*.json, which decide nothing.\n\n\
`openssl pkey -in private.pem -pubout -out public.pem` writes the public key; with `--require-signed public.pem`, a store is taken \
only if it is signed with that key.";

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    // It is about to be signed: it need not be yet.
    let source = Source { required_key: None, ..settings.source()? };
    let Origin::Folder(folder) = &source.origin else {
        return Err(Failure::new("the store that is compiled in cannot be signed")
            .with_help("`--store DIR` names the folder of a store; `gatepost init DIR` makes one"));
    };
    let key = SigningKey::read(&arguments.key)?;
    output::complain(SigningKey::exposed(&arguments.key).as_slice());
    let files = source.read().map_err(Failure::Store)?;
    // Signed are the very texts that were checked, and only what can be served.
    let text = signature::sign(&files, &key);
    let snapshot = source.store(files).and_then(Snapshot::build).map_err(Failure::Store)?;
    let path = folder.join(signature::FILE);
    write(&path, &text)?;
    let (revision, fingerprint) = (snapshot.revision(), key.verifying_key().fingerprint());
    match arguments.format {
        Format::Json => output::print_json(&json!({
            "file": path.display().to_string(), "revision": revision.as_str(), "key": fingerprint,
        }))?,
        Format::Text => output::print(&format!("{} signs revision {revision}\nkey {fingerprint}\n", path.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the file in its place at once: a service may be watching.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let beside = path.with_extension("sig.new");
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| Failure::new(format!("the signature cannot be written to `{}`: {error}", path.display())))
}
