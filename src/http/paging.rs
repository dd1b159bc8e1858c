//! Pages of a search, and the tokens that lead from one to the next (AuthZEN, section 8.2).
//!
//! A token holds where the next page begins and to which search, caller and revision it belongs. It is sealed with
//! ChaCha20-Poly1305 (RFC 8439), so that nobody can read in it how many candidates were passed over, or make one up. The nonce is
//! made from what is sealed by HMAC-SHA-256, so that equal requests get equal bytes; two different contents share one with a
//! probability of 2⁻⁹⁶.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::authzen::{Action, Entity, Page, SearchOptions};
use super::callers::Caller;
use crate::request::json::{Json, Members};
use crate::store::Revision;

/// The fewest bytes of a secret from which the key of the tokens is made.
pub const SECRET_BYTES: usize = 32;

/// Makes page tokens, and reads them; and lets so many searches run at once that a processor is left for the other requests.
#[derive(Debug)]
pub struct Paging {
    sealing: LessSafeKey,
    nonces: hmac::Key,
    /// Each search that runs takes one.
    pub(super) turns: Semaphore,
}

/// Where a page begins, and how many results it has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The place of its first candidate.
    pub place: usize,
    /// The most results.
    pub limit: usize,
}

/// What a token belongs to: one search of one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchId([u8; 32]);

/// Why a token leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is none of this service.
    #[error("`page.token` is not a token of this service: begin the search again, without it")]
    Unknown,
    /// It is from a page of another search.
    #[error(
        "`page.token` belongs to a request that differs from this one, or to another caller: but for the token, send what the first page was asked with"
    )]
    OtherRequest,
    /// It is from another revision.
    #[error(
        "the policies or the entities have changed since the page before: begin the search again, without `page.token`"
    )]
    OtherRevision,
}

impl Paging {
    /// With a key that nobody else has: the tokens are valid for as long as the process runs.
    ///
    /// # Errors
    ///
    /// That the operating system gives no random bytes.
    pub fn random() -> Result<Self, Unspecified> {
        let mut secret = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut secret)?;
        Self::from_secret(&secret)
    }

    /// With a key made from a secret of at least [`SECRET_BYTES`] random bytes: every service with the same secret and the same
    /// revision takes the tokens of the others.
    ///
    /// # Errors
    ///
    /// None but a broken build of `ring`.
    pub fn from_secret(secret: &[u8]) -> Result<Self, Unspecified> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |purpose: &str| hmac::sign(&secret, purpose.as_bytes());
        let sealing = UnboundKey::new(&CHACHA20_POLY1305, derived("gatepost page token: sealing").as_ref())?;
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, derived("gatepost page token: nonces").as_ref());
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Semaphore::new(processors.saturating_sub(1).max(1));
        Ok(Self { sealing: LessSafeKey::new(sealing), nonces, turns })
    }

    /// Where the page begins that is asked for; a page has at most `most` results.
    ///
    /// # Errors
    ///
    /// A token that is not from a page of this search under this revision.
    pub fn start(&self, page: &Page<'_>, id: &SearchId, revision: &Revision, most: usize) -> Result<Start, TokenError> {
        let limit = page.limit.0.map(|limit| usize::try_from(limit).unwrap_or(most).min(most));
        let Some(token) = page.token.0 else { return Ok(Start { place: 0, limit: limit.unwrap_or(most) }) };
        let content = self.opened(token).ok_or(TokenError::Unknown)?;
        if content.id != id.0 || limit.is_some_and(|limit| limit != content.start.limit) {
            return Err(TokenError::OtherRequest);
        }
        if content.revision != digest(revision.as_str()) {
            return Err(TokenError::OtherRevision);
        }
        Ok(Start { limit: limit.unwrap_or(content.start.limit), ..content.start })
    }

    /// The token for the page that begins there.
    ///
    /// # Errors
    ///
    /// None but a broken build of `ring`.
    pub fn token(&self, start: Start, id: &SearchId, revision: &Revision) -> Result<String, Unspecified> {
        let mut sealed = Content { start, id: id.0, revision: digest(revision.as_str()) }.to_bytes();
        let tag = hmac::sign(&self.nonces, &sealed);
        let nonce = tag.as_ref().first_chunk::<NONCE_LEN>().ok_or(Unspecified)?;
        self.sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    fn opened(&self, token: &str) -> Option<Content> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Content::of_bytes(self.sealing.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?)
    }
}

/// What a token says.
struct Content {
    start: Start,
    id: [u8; 32],
    revision: [u8; 32],
}

impl Content {
    fn to_bytes(&self) -> Vec<u8> {
        let numbers = [self.start.place, self.start.limit].map(|number| (number as u64).to_le_bytes());
        [numbers.as_flattened(), &self.id, &self.revision].concat()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (place, bytes) = bytes.split_first_chunk::<8>()?;
        let (limit, bytes) = bytes.split_first_chunk::<8>()?;
        let (id, bytes) = bytes.split_first_chunk::<32>()?;
        let number = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).ok();
        let start = Start { place: number(place)?, limit: number(limit)? };
        Some(Self { start, id: *id, revision: bytes.try_into().ok()? })
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

impl SearchId {
    /// That of a request: of what is searched, by whom, and of everything in its body that is read, but for the page.
    pub fn of(kind: &str, caller: &Caller, body: Members<'_>) -> Self {
        let mut hasher = Sha256::new();
        text(&mut hasher, kind);
        // No caller's name is empty.
        text(&mut hasher, caller.name().unwrap_or_default());
        for (name, value) in body.iter().filter(|(_, value)| *value != Json::Null) {
            let read = match name.as_ref() {
                "subject" | "resource" => Entity::NAMES,
                "action" => Action::NAMES,
                "options" => SearchOptions::NAMES,
                "context" if matches!(value, Json::Object(members) if members.is_empty()) => continue,
                "context" => {
                    text(&mut hasher, name);
                    json(&mut hasher, value);
                    continue;
                }
                _ => continue,
            };
            match value {
                Json::Object(members) => {
                    let members = members.iter().filter(|(name, _)| read.contains(&name.as_ref()));
                    // One that says nothing is as if absent.
                    if members.clone().any(|(_, value)| *value != Json::Null) {
                        text(&mut hasher, name);
                        object(&mut hasher, members);
                    }
                }
                other => {
                    text(&mut hasher, name);
                    json(&mut hasher, other);
                }
            }
        }
        Self(hasher.finalize().into())
    }
}

/// Every member but a null, which is as if absent.
fn object<'m>(hasher: &mut Sha256, members: impl Iterator<Item = &'m (Cow<'m, str>, Json<'m>)> + Clone) {
    let members = members.filter(|(_, value)| *value != Json::Null);
    hasher.update([6]);
    hasher.update((members.clone().count() as u64).to_le_bytes());
    for (name, value) in members {
        text(hasher, name);
        json(hasher, value);
    }
}

/// Every value is preceded by its kind, and what has parts by their number, so that no two give the same bytes.
fn json(hasher: &mut Sha256, value: &Json<'_>) {
    match value {
        Json::Null => hasher.update([0]),
        Json::Bool(value) => hasher.update([1, u8::from(*value)]),
        Json::Long(number) => {
            hasher.update([2]);
            hasher.update(number.to_le_bytes());
        }
        Json::Number(number) => {
            hasher.update([3]);
            text(hasher, number);
        }
        Json::String(string) => {
            hasher.update([4]);
            text(hasher, string);
        }
        Json::Array(elements) => {
            hasher.update([5]);
            hasher.update((elements.len() as u64).to_le_bytes());
            elements.iter().for_each(|element| json(hasher, element));
        }
        Json::Object(members) => object(hasher, members.iter()),
    }
}

fn text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text);
}
