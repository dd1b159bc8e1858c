//! Masks: keyed digests in place of values that a log must not hold.
//!
//! # What a mask withstands
//!
//! Who does not hold the key can neither find a value nor try values out by themselves. But whoever may ask the service *and* reads the log
//! has it mask what they send: they compare the masks. Of values of which there are few (a PIN, a Boolean), a few thousand requests then
//! find the one that is masked. So those are masked [apart](Links): with a number that is drawn anew for each mask and stands before the
//! digest, so that equal values have different masks. Of the others, equal masks say that values are equal; that is what they are for.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Deserialize;

/// So many bytes of a digest are written,
const BYTES: usize = 16;
/// in so many digits.
const DIGITS: usize = 2 * BYTES;

/// So many digits has the number of a mask,
const NUMBER: usize = 32;
/// and this stands behind it.
const BEHIND_NUMBER: u8 = b'-';

/// What the key has before it of what is masked apart.
const APART: &[u8] = b"gatepost: apart\0";

/// A text of fewer bytes may be found by trying.
const FEWEST_BYTES: usize = 8;

/// What is written in place of a value that is masked: HMAC-SHA-256 (RFC 2104) of it, the first 16 bytes in hexadecimal digits; where it
/// is masked apart, of a number and the value, and the number before the digest.
#[derive(Clone, Debug)]
pub struct Mask(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: hmac::Key,
    /// Of what is masked apart: a value with a number before it has another mask where it is a value itself.
    key_apart: hmac::Key,
    links: Links,
    /// No two processes draw the same.
    drawn: [u8; 8],
    used: AtomicU64,
}

/// Which values have the same mask wherever they are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Links {
    /// Those of which there are many; Booleans, ids of enumerated types and what is shorter than eight bytes are masked apart
    #[default]
    Auto,
    /// All, so that each can be found in the log by whoever holds the key, and by whoever may ask and tries
    All,
    /// None: each mask is another
    None,
}

/// What stands for a value that is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    number: Option<[u8; NUMBER]>,
    digits: [u8; DIGITS],
}

impl Digest {
    /// Adds its text, which is plain ASCII.
    pub fn write(&self, text: &mut Vec<u8>) {
        if let Some(number) = &self.number {
            text.extend_from_slice(number);
            text.push(BEHIND_NUMBER);
        }
        text.extend_from_slice(&self.digits);
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity(NUMBER + 1 + DIGITS);
        self.write(&mut text);
        text.into_iter().try_for_each(|byte| formatter.write_char(char::from(byte)))
    }
}

impl Mask {
    /// The mask of a secret.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bytes.
    pub fn new(secret: &[u8], links: Links) -> Result<Self, ring::error::Unspecified> {
        let mut drawn = [0; 8];
        SystemRandom::new().fill(&mut drawn)?;
        let key = |secret: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key_apart = key(&[APART, secret].concat());
        Ok(Self(Arc::new(Inner { key: key(secret), key_apart, links, drawn, used: AtomicU64::new(0) })))
    }

    /// A mask whose key nobody holds, so that equal values can be matched for as long as the process runs and no longer.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bytes.
    pub fn random(links: Links) -> Result<Self, ring::error::Unspecified> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret)?;
        Self::new(&secret, links)
    }

    /// The mask of a value, as it would be written; `is_one_of_few`: whether the value is one of a few that can be tried out, whatever
    /// its length.
    pub fn of(&self, value: impl AsRef<[u8]>, is_one_of_few: bool) -> Digest {
        let value = value.as_ref();
        let is_linked = match self.0.links {
            Links::Auto => !is_one_of_few && value.len() >= FEWEST_BYTES,
            Links::All => true,
            Links::None => false,
        };
        if is_linked {
            return self.linked(value);
        }
        let number = self.number();
        Digest { number: Some(number), digits: self.numbered(&number, value) }
    }

    /// The mask that equal values have in common.
    pub fn linked(&self, value: impl AsRef<[u8]>) -> Digest {
        Digest { number: None, digits: digits(hmac::sign(&self.0.key, value.as_ref()).as_ref()) }
    }

    /// The mask of a value with the number of another mask: they are the same where the values are. `None` where the other has no number.
    pub fn like(&self, other: &str, value: impl AsRef<[u8]>) -> Option<Digest> {
        let (number, _) = other.split_once(char::from(BEHIND_NUMBER))?;
        let number = number.as_bytes().try_into().ok()?;
        Some(Digest { number: Some(number), digits: self.numbered(&number, value.as_ref()) })
    }

    /// A number has always as many digits, so that no number and value are another number and value.
    fn numbered(&self, number: &[u8; NUMBER], value: &[u8]) -> [u8; DIGITS] {
        let mut context = hmac::Context::with_key(&self.0.key_apart);
        context.update(number);
        context.update(value);
        digits(context.sign().as_ref())
    }

    /// A number that no mask had before.
    fn number(&self) -> [u8; NUMBER] {
        let mut number = [0; NUMBER / 2];
        let used = self.0.used.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        self.0.drawn.iter().chain(&used).zip(&mut number).for_each(|(byte, place)| *place = *byte);
        digits(&number)
    }
}

/// The digits of the first of these bytes, as many as there is room for.
fn digits<const COUNT: usize>(bytes: &[u8]) -> [u8; COUNT] {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut digits = [b'0'; COUNT];
    for (digit, half) in digits.iter_mut().zip(halves) {
        *digit = if half < 10 { b'0' + half } else { b'a' - 10 + half };
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::{Links, Mask};

    fn mask(secret: &[u8], links: Links) -> Mask {
        Mask::new(secret, links).unwrap()
    }

    /// RFC 4231, test case 2.
    #[test]
    fn a_mask_is_the_beginning_of_an_hmac() {
        let mask = mask(b"Jefe", Links::Auto);
        assert_eq!(mask.of("what do ya want for nothing?", false).to_string(), "5bdcc146bf60754e6a042426089575c7");
    }

    /// "A keyed digest, so that equal values can be matched by whoever holds the key."
    #[test]
    fn equal_values_have_equal_masks_under_one_key_only() {
        let (mask, other) = (mask(b"one", Links::Auto), mask(b"another", Links::Auto));
        assert_eq!(mask.of("+61 2 5550 0000", false), mask.of("+61 2 5550 0000", false));
        assert_ne!(mask.of("+61 2 5550 0000", false), mask.of("+61 2 5550 0001", false));
        assert_ne!(mask.of("+61 2 5550 0000", false), other.of("+61 2 5550 0000", false));
        let random = || Mask::random(Links::All).unwrap();
        assert_ne!(random().of("", false), random().of("", false));
    }

    /// "A low-entropy value's mask says less": whoever may ask and reads the log does not find a PIN by trying all of them.
    #[test]
    fn what_can_be_tried_out_is_masked_apart() {
        let auto = mask(b"one", Links::Auto);
        assert_ne!(auto.of("4711", false), auto.of("4711", false));
        assert_ne!(auto.of("a long name, one of three", true), auto.of("a long name, one of three", true));
        let guesses: Vec<_> = (0..10_000).map(|pin| auto.of(format!("{pin:04}"), false)).collect();
        assert!(!guesses.contains(&auto.of("4711", false)));
        let none = mask(b"one", Links::None);
        assert_ne!(none.of("+61 2 5550 0000", false), none.of("+61 2 5550 0000", false));
        let all = mask(b"one", Links::All);
        assert_eq!(all.of("4711", true), all.of("4711", true));
        // Who holds the key still tells whether a mask is that of a value.
        let found = auto.of("4711", false);
        assert_eq!(auto.like(&found.to_string(), "4711"), Some(found));
        assert_ne!(auto.like(&found.to_string(), "4712"), Some(found));
        assert_eq!(auto.like("5bdcc146bf60754e6a042426089575c7", "4711"), None);
        // Nor does a request help whose value is the number and a guess.
        let found = found.to_string();
        let (number, digest) = found.split_once('-').unwrap();
        assert_ne!(auto.of(format!("{number}4711"), false).to_string(), digest);
        // Nor do two processes number alike.
        assert_ne!(mask(b"one", Links::Auto).of("4711", false), mask(b"one", Links::Auto).of("4711", false));
    }
}
