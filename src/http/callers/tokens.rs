//! The token file: a TOML file with the callers, and the hash of each one's token.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::{Captures, Regex};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use toml::Spanned;

use super::watched::Content;
use super::{CALLER_NAME, Caller, Rights, is_caller_name};
use crate::store::nearest::nearest;
use crate::store::schema::Types;
use crate::store::{Problem, SourceFile};

/// The callers of a token file.
#[derive(Debug)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
    limits: Vec<Limit>,
    /// What is shown of the file.
    file: SourceFile,
}

/// A fast hash is the right one here: what it hides are not passwords, which can be guessed, but 256 bits of randomness.
#[derive(Debug)]
struct Token {
    hash: [u8; 32],
    caller: Caller,
}

/// What a caller is limited to, and where that stands.
#[derive(Debug)]
struct Limit {
    kind: LimitKind,
    name: String,
    span: Range<usize>,
}

#[derive(Clone, Copy, Debug)]
enum LimitKind {
    Action,
    Type,
}

impl Tokens {
    /// The caller that has that token. How long the search takes does not depend on how much of a token is right, or whose it is.
    pub(super) fn caller(&self, token: &[u8]) -> Option<Caller> {
        let hash = hash(token);
        let mut found = u64::MAX;
        for (index, token) in (0..).zip(&self.tokens) {
            found.conditional_assign(&index, token.hash.ct_eq(&hash));
        }
        let token = self.tokens.get(usize::try_from(found).ok()?)?;
        Some(token.caller.clone())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The limits on what the schema does not know: a typing error in one would shut its caller out without a word.
    pub(super) fn warnings(&self, types: &Types) -> Vec<Problem> {
        let unknown = self.limits.iter().filter(|limit| match limit.kind {
            LimitKind::Action => types.environments_of(&limit.name).next().is_none(),
            LimitKind::Type => types.entity(&limit.name).is_none(),
        });
        unknown
            .map(|Limit { kind, name, span }| {
                let (what, help) = match kind {
                    LimitKind::Action => ("action", "an action is written by its id or by its whole Cedar name"),
                    LimitKind::Type => ("entity type", "an entity type is written by its whole Cedar name"),
                };
                let actions = types.environments.iter().map(|found| found.action.id().as_ref());
                let meant: Option<&str> = match kind {
                    LimitKind::Action => nearest(name, actions),
                    LimitKind::Type => nearest(name, types.entities.keys().map(SmolStr::as_str)),
                };
                let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
                Problem::warning(format!("the schema has no {what} `{}`", name.escape_debug()))
                    .in_file(&self.file)
                    .at(span.clone().into(), "")
                    .with_help(format!("{meant}{help}"))
            })
            .collect()
    }

    /// Reads a token file.
    ///
    /// # Errors
    ///
    /// What is no TOML of this form, what is no hash, a name that cannot be one, two equal names or hashes, and no caller at all.
    pub(super) fn read(contents: &[Content]) -> Result<Self, Vec<Problem>> {
        let [content] = contents else { return Err(Vec::new()) };
        let path = &content.path;
        let text = std::str::from_utf8(&content.bytes)
            .map_err(|_| vec![Problem::error(format!("`{path}` is not UTF-8 text"))])?;
        let file = SourceFile { path: path.as_str().into(), text: masked(text).into() };
        let read: TokenFile = toml::from_str(text).map_err(|error| vec![not_of_the_form(&error, &file)])?;
        if read.token.is_empty() {
            let problem = Problem::error(format!("`{path}` has no caller, so that nobody could ask anything"));
            return Err(vec![problem.with_help("`gatepost token NAME` makes a token, and the entry for this file")]);
        }
        let (mut problems, mut tokens) = (Vec::new(), Vec::new());
        for entry in &read.token {
            match entry.token() {
                Ok(token) => tokens.push(token),
                Err(found) => problems.extend(found.into_iter().map(|problem| problem.in_file(&file))),
            }
        }
        problems.extend(read.repeated().into_iter().map(|problem| problem.in_file(&file)));
        if !problems.is_empty() {
            return Err(problems);
        }
        let limits = read.token.into_iter().flat_map(Entry::limits).collect();
        Ok(Self { tokens, limits, file })
    }
}

/// The SHA-256 of a token, which is all that is stored of it.
fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
    sha256: Spanned<String>,
    actions: Option<Vec<Spanned<String>>>,
    types: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    metrics: bool,
    #[serde(default)]
    strict: bool,
}

const FORM: &str = "for each caller the file holds a table `[[token]]` with a `name`, the `sha256` of its token, and, for one that \
                    may not ask about everything, `actions` and `types`; `metrics = true` lets it read the metrics, and `strict = true` \
                    refuses what it sends and nobody reads";

fn not_of_the_form(error: &toml::de::Error, file: &SourceFile) -> Problem {
    let problem = Problem::from_toml(error, file, "member", FORM);
    Problem { message: masked(&problem.message), ..problem }
}

impl Entry {
    fn token(&self) -> Result<Token, Vec<Problem>> {
        let mut problems = Vec::new();
        let name = self.name.get_ref();
        if !is_caller_name(name) {
            let problem = Problem::error("this cannot be the name of a caller").with_help(CALLER_NAME);
            problems.push(problem.at(self.name.span().into(), ""));
        }
        let hash = hash_in(self.sha256.get_ref()).map_err(|help| {
            let problem = Problem::error("this is no SHA-256 hash, which has 64 hexadecimal digits");
            problems.push(problem.at(self.sha256.span().into(), "").with_help(help));
        });
        let limit = |names: &Option<Vec<Spanned<String>>>| {
            names.as_ref().map(|names| names.iter().map(|name| name.get_ref().clone()).collect())
        };
        match hash {
            Ok(hash) if problems.is_empty() => {
                let (actions, types) = (limit(&self.actions), limit(&self.types));
                let rights = Rights { actions, types, metrics: self.metrics, strict: self.strict };
                Ok(Token { hash, caller: Caller::new(name.clone(), rights) })
            }
            _ => Err(problems),
        }
    }

    fn limits(self) -> impl Iterator<Item = Limit> {
        let of = |kind, names: Option<Vec<Spanned<String>>>| {
            names.into_iter().flatten().map(move |name| Limit { kind, span: name.span(), name: name.into_inner() })
        };
        of(LimitKind::Action, self.actions).chain(of(LimitKind::Type, self.types))
    }
}

/// The hash that is written as hexadecimal digits, or what to do about what is none.
fn hash_in(text: &str) -> Result<[u8; 32], &'static str> {
    if text.starts_with(PREFIX) {
        return Err(
            "this seems to be the token itself. Only its hash belongs here: `gatepost token NAME` makes another token and \
                    the entry for it, for this one has now been written down",
        );
    }
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map_err(
        |_| "the SHA-256 of the token belongs here, and never the token itself: `gatepost token NAME` makes both",
    )?;
    Ok(hash)
}

impl TokenFile {
    /// Names and hashes that more than one caller has.
    fn repeated(&self) -> Vec<Problem> {
        let names = self.token.iter().map(|entry| (entry.name.get_ref().clone(), entry.name.span()));
        let hashes = self.token.iter().map(|entry| (entry.sha256.get_ref().to_lowercase(), entry.sha256.span()));
        let mut problems = alike(names, "two callers have this name", "a name tells the callers apart");
        problems.extend(alike(hashes, "two callers have this hash", "give each caller a token of its own"));
        problems
    }
}

fn alike(values: impl Iterator<Item = (String, Range<usize>)>, message: &str, help: &str) -> Vec<Problem> {
    let mut seen = HashMap::new();
    let again = values.filter_map(|(text, span)| Some((seen.insert(text, span.clone())?, span)));
    again
        .map(|(first, second)| Problem::error(message).at(first.into(), "").at(second.into(), "").with_help(help))
        .collect()
}

/// The text with what may be secret made unreadable, byte by byte, so that every place in it stays the same: the file holds
/// hashes only, but what is shown of it may be a mistake.
fn masked(text: &str) -> String {
    let hide = |captures: &Captures<'_>| {
        let (whole, secret) = (captures.get_match(), captures.get(1).or(captures.get(2)));
        let Some(secret) = secret else { return whole.as_str().to_owned() };
        let before = text.get(whole.start()..secret.start()).unwrap_or_default();
        format!("{before}{}", "*".repeat(secret.len()))
    };
    match &*SECRETS {
        Some(secrets) => secrets.replace_all(text, hide).into_owned(),
        None => "*".repeat(text.len()),
    }
}

/// Whatever stands as a hash, and whatever is as long as a token.
static SECRETS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"sha256["']?\s*=\s*["']*([^"'\n]+)|([A-Za-z0-9_+/=-]{32,})"#).ok());

/// What every token begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "gp_";

/// There is no randomness to be had from the operating system.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub struct Entropy;

/// A token that nobody has yet.
pub struct FreshToken {
    /// What its caller sends.
    pub token: String,
    /// The SHA-256 of it, in hexadecimal digits: what stands in the token file.
    pub sha256: String,
}

impl FreshToken {
    /// A token with 256 bits of randomness.
    ///
    /// # Errors
    ///
    /// The operating system has none.
    pub fn make() -> Result<Self, Entropy> {
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).map_err(|_| Entropy)?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let sha256 = hex::encode(hash(token.as_bytes()));
        Ok(Self { token, sha256 })
    }
}
