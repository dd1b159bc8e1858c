//! A key pair for signing, as `openssl genpkey -algorithm ed25519` writes it.

use std::path::Path;

/// The private key, in PKCS#8.
pub const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFtoRaYYjr4xJ+YwgZnsbGUiCea6kM2dUUwmxj4pUiXq\n-----END PRIVATE KEY-----\n";

/// The public key that belongs to it.
pub const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAnE4UNg7pv1ElUF+3LcqTt9MCvk9kbgH9wzdndYuSvBA=\n-----END PUBLIC KEY-----\n";

/// Writes both: `private.pem` and `public.pem`.
pub fn write(folder: &Path) {
    std::fs::write(folder.join("private.pem"), PRIVATE).unwrap();
    std::fs::write(folder.join("public.pem"), PUBLIC).unwrap();
}
