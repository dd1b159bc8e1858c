//! Masks: keyed digests in place of values that a log must not hold.

use std::sync::Arc;

use ring::hmac;

/// So many bytes of a digest are written,
const BYTES: usize = 16;
/// in so many digits.
const DIGITS: usize = 2 * BYTES;

/// What is written in place of a value that is masked: HMAC-SHA-256 (RFC 2104) of it, the first 16 bytes in hexadecimal digits. Equal
/// values have equal masks under one key, and who does not hold the key can neither find the value nor try values out.
#[derive(Clone, Debug)]
pub struct Mask(Arc<hmac::Key>);

/// What stands for a value that is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; DIGITS]);

impl Digest {
    /// Its text.
    pub fn as_str(&self) -> &str {
        // They are digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Mask {
    /// The mask of a secret.
    pub fn new(secret: &[u8]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// A mask whose key nobody holds, so that equal values can be matched for as long as the process runs and no longer.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bytes.
    pub fn random() -> Result<Self, ring::error::Unspecified> {
        hmac::Key::generate(hmac::HMAC_SHA256, &ring::rand::SystemRandom::new()).map(|key| Self(Arc::new(key)))
    }

    /// The mask of a value, as it would be written.
    pub fn of(&self, value: impl AsRef<[u8]>) -> Digest {
        let digest = hmac::sign(&self.0, value.as_ref());
        let mut digits = [0; DIGITS];
        // There is room for exactly these.
        let _ = hex::encode_to_slice(digest.as_ref().get(..BYTES).unwrap_or_default(), &mut digits);
        Digest(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    /// RFC 4231, test case 2.
    #[test]
    fn a_mask_is_the_beginning_of_an_hmac() {
        assert_eq!(Mask::new(b"Jefe").of("what do ya want for nothing?").as_str(), "5bdcc146bf60754e6a042426089575c7");
    }

    /// "A keyed digest, so that equal values can be matched by whoever holds the key."
    #[test]
    fn equal_values_have_equal_masks_under_one_key_only() {
        let (mask, other) = (Mask::new(b"one"), Mask::new(b"another"));
        assert_eq!(mask.of("+61 2 5550 0000"), mask.of("+61 2 5550 0000"));
        assert_ne!(mask.of("+61 2 5550 0000"), mask.of("+61 2 5550 0001"));
        assert_ne!(mask.of("+61 2 5550 0000"), other.of("+61 2 5550 0000"));
        assert_ne!(Mask::random().unwrap().of(""), Mask::random().unwrap().of(""));
    }
}
