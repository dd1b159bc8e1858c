//! Phone numbers, read for a market.
//!
//! The rules are those of Google's libphonenumber: its functions are named where they are followed. Its metadata comes
//! out of the crate `phonenumber`. That crate's own `parse` and `is_valid` are not used: its patterns are not held
//! against the end of a number (so a digit too many passes), it strips the market's national prefix from foreign
//! numbers, and all its patterns share one cache of a hundred behind one lock. Here each pattern is compiled once, when
//! it is first needed, and then read without a lock.
//!
//! The first number costs some tens of milliseconds for the metadata, and the first number of a territory up to a
//! millisecond for its patterns; after that a number costs a few microseconds. The patterns of all territories take
//! some 20 MB.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::{Captures, Regex};

use super::{Fact, FactField, FactKind, Plugin};

/// Reads a phone number, written in the national format of a market or in international format.
///
/// Takes the market as an ISO 3166 alpha-2 code in upper case. Anything else is like no market: then only the
/// international format can be read, and no number is a number of the market.
///
/// Gives `e164`, the number in the format of ITU-T E.164 without its extension, and `region`: the market if the number
/// is valid there (`isValidNumberForRegion`), else the region to which the number belongs (`getRegionCodeForNumber`),
/// which is "001" for a number of no country such as +800. A number that is valid nowhere is not valid.
///
/// It is read as leniently as libphonenumber reads it: text before the number is passed over, letters stand for the
/// digits of a telephone's keys, and an extension is dropped. Of a `tel:` URI (RFC 3966) only `ext` is understood; one
/// with another parameter, such as `phone-context`, is not valid.
pub struct PhonePlugin;

impl Plugin for PhonePlugin {
    fn name(&self) -> &'static str {
        "phone"
    }

    fn version(&self) -> &'static str {
        "1+phonenumber-0.3.10-9.0.33"
    }

    fn about(&self) -> &'static str {
        "Reads a phone number for a market: `e164` is the number in E.164 format, `region` is the market if the number \
         is valid there, else the region that the number belongs to."
    }

    fn facts(&self) -> &'static [FactField] {
        const { &[FactField::repeating("e164", FactKind::String), FactField::about("region", FactKind::String)] }
    }

    fn parameters(&self) -> &'static [&'static str] {
        &["market"]
    }

    fn parse(&self, raw: &str, arguments: &[Option<&str>]) -> Option<Vec<Fact>> {
        let market = arguments.first().copied().flatten().and_then(Territory::find);
        let number = Number::read(raw, market).filter(|number| number.reads_back(market))?;
        let region = number.region(market)?;
        Some(vec![Fact::String(number.e164()), Fact::String(region.to_owned())])
    }
}

/// A number that could be read. Whether it is valid is said by [`Number::region`].
#[derive(PartialEq, Eq)]
struct Number {
    /// The country calling code.
    code: u16,
    /// The national significant number, with the leading zeros that belong to it, as in Italy.
    national: String,
}

impl Number {
    /// libphonenumber's `parse`, but for its checks of the number's length, which any valid number passes.
    fn read(raw: &str, market: Option<&'static Territory>) -> Option<Self> {
        let text = number_text(raw)?;
        let (home, digits) = split_calling_code(&text, market)?;
        let stripped = home.without_national_prefix(&digits);
        // A prefix is only a prefix if what is left could be a whole number.
        let is_whole = home.lengths.contains(&stripped.len()) || home.is_too_long(stripped.len());
        Some(Self { code: home.code, national: if is_whole { stripped } else { digits } })
    }

    fn e164(&self) -> String {
        format!("+{}{}", self.code, self.national)
    }

    /// Whether the number's own E.164 form is read as this number. For hardly any valid number it is not: a few of
    /// Belarus start with what is taken for a national prefix, and then `e164` would name a number that cannot be
    /// dialled.
    fn reads_back(&self, market: Option<&'static Territory>) -> bool {
        Self::read(&self.e164(), market).is_some_and(|number| number == *self)
    }

    /// The market if this number is valid there, else the region in which it is valid, if there is one.
    fn region(&self, market: Option<&Territory>) -> Option<&'static str> {
        let is_valid_in = |territory: &&Territory| territory.code == self.code && territory.is_valid(&self.national);
        market.filter(is_valid_in).or_else(|| self.owner().filter(is_valid_in)).map(|territory| territory.id)
    }

    /// libphonenumber's `getRegionCodeForNumber`: the first territory of the calling code that claims the number.
    fn owner(&self) -> Option<&'static Territory> {
        match TERRITORIES.get(&self.code)?.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|territory| territory.claims(&self.national)),
        }
    }
}

/// The territory whose rules the rest of the number follows, and the digits after the calling code
/// (libphonenumber's `maybeExtractCountryCode`).
fn split_calling_code(text: &str, market: Option<&'static Territory>) -> Option<(&'static Territory, String)> {
    let digits = dialled_digits(text);
    let has_plus = text.starts_with('+');
    if has_plus && let Some(found) = split_international(&digits) {
        return Some(found);
    }
    // What follows a plus sign without being a calling code can still be an exit code: people write +0061 for 0061.
    let market = market?;
    if let Some(international) = market.after_exit_code(&digits) {
        return split_international(international);
    }
    if let Some(national) = market.after_own_code(&digits) {
        return Some((main_territory(market.code)?, national));
    }
    (!has_plus).then_some((market, digits))
}

/// The main territory of the calling code with which the digits start, and the digits after it.
fn split_international(digits: &str) -> Option<(&'static Territory, String)> {
    // Calling codes have one to three digits, and none is the start of another.
    let split = |length| {
        let (code, national) = digits.split_at_checked(length)?;
        Some((main_territory(code.parse().ok()?)?, national.to_owned()))
    };
    // No calling code starts with a zero, but 061 would be read as the number 61.
    (!digits.starts_with('0')).then(|| (1..=3).find_map(split)).flatten()
}

/// The territory whose rules hold for international numbers with this calling code, such as the United States for +1.
fn main_territory(code: u16) -> Option<&'static Territory> {
    TERRITORIES.get(&code)?.first()
}

/// Every territory by its calling code, the main one of each code first.
static TERRITORIES: LazyLock<BTreeMap<u16, Vec<Territory>>> = LazyLock::new(|| {
    // Asked by the code and not by the region, because the networks of no country share the one region "001".
    let of_code = |code| Some((code, DATABASE.by_code(&code)?.into_iter().map(Territory::new).collect()));
    (1..1000).filter_map(of_code).collect()
});

/// The numbering plan of a region: a country or a part of one, or a network of no country ("001").
struct Territory {
    id: &'static str,
    code: u16,
    /// What a national significant number of the territory looks like, whatever it is used for.
    general: Pattern,
    /// What it looks like for each use, such as mobile or toll-free, and how long it can be then.
    uses: Vec<(&'static [u16], Pattern)>,
    /// The lengths that a number can have, whatever it is used for.
    lengths: Vec<usize>,
    /// The lengths of what can be dialled only from nearby, without an area code.
    local_lengths: Vec<usize>,
    /// What is dialled before the calling code of another country.
    exit_code: Option<Pattern>,
    /// What is dialled before a national number.
    national_prefix: Option<Pattern>,
    /// What replaces the national prefix, if it says more than that the number is national.
    national_prefix_becomes: Option<String>,
    /// How the numbers begin that are the territory's and of no other that shares its calling code.
    leading_digits: Option<Pattern>,
}

impl Territory {
    /// The territory of this region, compared exactly. The world ("001") is no territory where one can stand and dial.
    fn find(id: &str) -> Option<&'static Self> {
        TERRITORIES.values().flatten().find(|territory| territory.id == id && id != "001")
    }

    fn new(data: &'static Metadata) -> Self {
        let uses = uses(data);
        let lengths: Vec<usize> = uses.iter().flat_map(|used| to_sizes(used.possible_length())).collect();
        let mut local_lengths: Vec<usize> =
            uses.iter().flat_map(|used| to_sizes(used.possible_local_length())).collect();
        local_lengths.retain(|length| !lengths.contains(length));
        // Where the metadata says only what the prefix is, it is parsed as such.
        let national_prefix = data.national_prefix_for_parsing().map(|regex| regex.as_str()).or(data.national_prefix());
        Self {
            id: data.id(),
            code: data.country_code(),
            general: Pattern::whole(data.descriptors().general().national_number().as_str()),
            uses: uses.iter().map(|used| (used.possible_length(), whole_number(used))).collect(),
            lengths,
            local_lengths,
            exit_code: data.international_prefix().map(|regex| Pattern::start(regex.as_str())),
            national_prefix: national_prefix.map(Pattern::start),
            // In braces, or the group of `$10` would be taken to be the tenth.
            national_prefix_becomes: data
                .national_prefix_transform_rule()
                .map(|rule| rule.replace("$1", "${1}").replace("$2", "${2}")),
            leading_digits: data.leading_digits().map(|regex| Pattern::start(regex.as_str())),
        }
    }

    /// Whether this is a number of the territory for any use (libphonenumber's `getNumberTypeHelper`).
    fn is_valid(&self, national: &str) -> bool {
        let is_used = |(lengths, pattern): &(&[u16], Pattern)| {
            to_sizes(lengths).any(|length| length == national.len()) && pattern.is_match(national)
        };
        self.lengths.contains(&national.len()) && self.general.is_match(national) && self.uses.iter().any(is_used)
    }

    /// Whether the number belongs here, among the territories that share the calling code.
    fn claims(&self, national: &str) -> bool {
        match &self.leading_digits {
            Some(leading_digits) => leading_digits.is_match(national),
            None => self.is_valid(national),
        }
    }

    /// Whether digits are more than a number here can have (`TOO_LONG` of libphonenumber's `testNumberLength`).
    fn is_too_long(&self, length: usize) -> bool {
        self.lengths.iter().all(|possible| length > *possible) && !self.local_lengths.contains(&length)
    }

    /// The digits after the exit code (libphonenumber's `parsePrefixAsIdd`).
    fn after_exit_code<'d>(&self, digits: &'d str) -> Option<&'d str> {
        let (_, international) = self.exit_code.as_ref()?.split(digits)?;
        // No calling code starts with a zero, so that was no exit code.
        (!international.starts_with('0')).then_some(international)
    }

    /// The digits after the territory's own calling code, which is often written without a plus sign. It is only taken
    /// for one if the digits make no sense otherwise.
    fn after_own_code(&self, digits: &str) -> Option<String> {
        let national = self.without_national_prefix(digits.strip_prefix(&self.code.to_string())?);
        let makes_sense = !self.general.is_match(digits) && self.general.is_match(&national);
        (makes_sense || self.is_too_long(digits.len())).then_some(national)
    }

    /// The digits after the national prefix, unless they make sense only with it
    /// (libphonenumber's `maybeStripNationalPrefixAndCarrierCode`).
    fn without_national_prefix(&self, digits: &str) -> String {
        self.replace_national_prefix(digits)
            .filter(|national| !self.general.is_match(digits) || self.general.is_match(national))
            .unwrap_or_else(|| digits.to_owned())
    }

    fn replace_national_prefix(&self, digits: &str) -> Option<String> {
        let (prefix, rest) = self.national_prefix.as_ref()?.split(digits)?;
        let mut national = String::new();
        // The rule is about the last group: without it, only a prefix was dialled.
        if let Some(rule) = &self.national_prefix_becomes
            && prefix.iter().last().flatten().is_some()
        {
            prefix.expand(rule, &mut national);
        }
        national.push_str(rest);
        Some(national)
    }
}

/// The uses that make a number valid. What else the metadata describes is about short numbers and how to dial.
fn uses(data: &'static Metadata) -> Vec<&'static Descriptor> {
    let all = data.descriptors();
    let uses = [
        all.fixed_line(),
        all.mobile(),
        all.toll_free(),
        all.premium_rate(),
        all.shared_cost(),
        all.personal_number(),
        all.voip(),
        all.pager(),
        all.uan(),
        all.voicemail(),
    ];
    uses.into_iter().flatten().collect()
}

fn whole_number(used: &Descriptor) -> Pattern {
    Pattern::whole(used.national_number().as_str())
}

fn to_sizes(lengths: &[u16]) -> impl Iterator<Item = usize> {
    lengths.iter().copied().map(usize::from)
}

/// A regular expression that is compiled when it is first needed. One that cannot be compiled matches nothing; a test
/// sees to it that each can.
struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Matches digits as a whole. The metadata breaks long expressions into lines, whose white space means nothing.
    fn whole(source: &str) -> Self {
        Self::new(format!("(?-u)^(?:{})$", source.split_whitespace().collect::<String>()))
    }

    /// Matches what digits start with.
    fn start(source: &str) -> Self {
        Self::new(format!("(?-u)^(?:{})", source.split_whitespace().collect::<String>()))
    }

    fn new(source: String) -> Self {
        Self { source, compiled: OnceLock::new() }
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&self.source).ok()).as_ref()
    }

    fn is_match(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }

    /// What matched, and the text after it.
    fn split<'t>(&self, text: &'t str) -> Option<(Captures<'t>, &'t str)> {
        let captures = self.regex()?.captures(text)?;
        let rest = text.get(captures.get(0)?.end()..)?;
        Some((captures, rest))
    }
}

/// The longest text that is read, in octets: libphonenumber's `MAX_INPUT_STRING_LENGTH`.
const MAX_LENGTH: usize = 250;

/// The number that stands in a text, without what stands around it and without its extension (libphonenumber's
/// `extractPossibleNumber`, `maybeStripExtension` and `isViablePhoneNumber`). Its digits and plus signs are in ASCII.
fn number_text(raw: &str) -> Option<String> {
    if raw.len() > MAX_LENGTH {
        return None;
    }
    let text: String = raw.chars().map(to_ascii).collect();
    let start = text.find(|letter: char| letter == '+' || letter.is_ascii_digit())?;
    let text = text.get(start..)?.trim_end_matches(|letter: char| !letter.is_alphanumeric() && letter != '#');
    let text = first_number(text);
    let number = without_extension(text);
    is_viable(number).then(|| number.to_owned())
}

/// The text before a second number, as in `650 253 0000 x302/x2303`.
fn first_number(text: &str) -> &str {
    let starts_second = |at: &usize| {
        let rest = text.get(at + 1..).unwrap_or_default();
        rest.trim_start_matches(' ').starts_with('x')
    };
    let end = text.match_indices(['/', '\\']).map(|(at, _)| at).find(starts_second);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn without_extension(text: &str) -> &str {
    let end = EXTENSION.regex().and_then(|regex| regex.find(text)).map(|found| found.start());
    end.and_then(|end| text.get(..end)).filter(|number| is_viable(number)).unwrap_or(text)
}

/// Whether this can be a number: three digits before any letter, and nothing but digits, letters and punctuation; or
/// two digits alone. The latter are valid nowhere, but what follows them can be an extension.
fn is_viable(text: &str) -> bool {
    if text.len() == 2 && text.chars().all(|letter| letter.is_ascii_digit()) {
        return true;
    }
    let text = text.trim_start_matches('+');
    let before_letters = text.chars().take_while(|letter| letter.is_ascii_digit() || is_punctuation(*letter));
    before_letters.filter(char::is_ascii_digit).count() >= 3
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || is_punctuation(letter))
}

/// What people write between the digits of a number (libphonenumber's `VALID_PUNCTUATION` and the star sign).
fn is_punctuation(letter: char) -> bool {
    matches!(
        letter,
        '-' | 'x' | 'X' | ' ' | '(' | ')' | '.' | '[' | ']' | '/' | '~' | '*'
            | '\u{a0}' | '\u{ad}' | '\u{200b}' | '\u{2010}'..='\u{2015}' | '\u{2053}' | '\u{2060}' | '\u{2212}'
            | '\u{223c}' | '\u{3000}' | '\u{30fc}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0d}'..='\u{ff0f}' | '\u{ff3b}'
            | '\u{ff3d}' | '\u{ff5e}'
    )
}

/// The extension at the end of a number, as libphonenumber's `createExtnPattern` describes it: the less clearly an
/// extension is marked as one, the fewer digits it can have.
static EXTENSION: LazyLock<Pattern> = LazyLock::new(|| {
    let named =
        "(?:e?xt(?:ensi(?:o\u{301}?|\u{f3}))?n?|anexo|\u{434}\u{43e}\u{431}|\u{ff45}?\u{ff58}\u{ff54}\u{ff4e}?)";
    let marked = "(?:[x\u{ff58}#\u{ff03}~\u{ff5e}]|int|\u{ff49}\u{ff4e}\u{ff54})";
    let before = "[ \u{a0}\t,]*";
    let space = "[ \u{a0}\t]*";
    let after = "[:.\u{ff0e}]?[ \u{a0}\t,-]*";
    let forms = [
        ";ext=[0-9]{1,20}".to_owned(),
        format!("{before}{named}{after}[0-9]{{1,20}}#?"),
        format!("{before}{marked}{after}[0-9]{{1,9}}#?"),
        "[- ]+[0-9]{1,6}#".to_owned(),
        format!("{space}(?:,,|;){after}[0-9]{{1,15}}#?"),
        format!("{space},+{after}[0-9]{{1,9}}#?"),
    ];
    Pattern::new(format!("(?i)(?:{})$", forms.join("|")))
});

/// The digits that are dialled (libphonenumber's `normalize`, which beside letters loses the digits of other scripts;
/// they are kept here). Letters stand for the digits of a telephone's keys if there are three or more of them; fewer
/// are taken for slips.
fn dialled_digits(text: &str) -> String {
    let is_vanity = text.chars().filter(char::is_ascii_alphabetic).count() >= 3;
    let dial = |letter: char| match letter {
        '0'..='9' => Some(letter),
        _ if is_vanity => key_of(letter),
        _ => None,
    };
    text.chars().filter_map(dial).collect()
}

/// The digit on whose key a letter stands (ITU-T E.161).
fn key_of(letter: char) -> Option<char> {
    Some(match letter.to_ascii_uppercase() {
        'A'..='C' => '2',
        'D'..='F' => '3',
        'G'..='I' => '4',
        'J'..='L' => '5',
        'M'..='O' => '6',
        'P'..='S' => '7',
        'T'..='V' => '8',
        'W'..='Z' => '9',
        _ => return None,
    })
}

/// A decimal digit of any script and the full-width plus sign in ASCII, all else as it is.
fn to_ascii(letter: char) -> char {
    let digit_after = |zero: &char| u32::from(letter).checked_sub(u32::from(*zero)).filter(|digit| *digit < 10);
    match letter {
        '\0'..='\x7f' => letter,
        '\u{ff0b}' => '+',
        _ => ZEROS.iter().find_map(digit_after).and_then(|digit| char::from_digit(digit, 10)).unwrap_or(letter),
    }
}

/// The zero of each script that writes decimal digits (Unicode's general category Nd); one to nine follow it.
#[rustfmt::skip]
const ZEROS: &[char] = &[
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}', '\u{c66}',
    '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{1090}', '\u{17e0}', '\u{1810}',
    '\u{1946}', '\u{19d0}', '\u{1a80}', '\u{1a90}', '\u{1b50}', '\u{1bb0}', '\u{1c40}', '\u{1c50}', '\u{a620}',
    '\u{a8d0}', '\u{a900}', '\u{a9d0}', '\u{a9f0}', '\u{aa50}', '\u{abf0}', '\u{ff10}', '\u{104a0}', '\u{10d30}',
    '\u{10d40}', '\u{11066}', '\u{110f0}', '\u{11136}', '\u{111d0}', '\u{112f0}', '\u{11450}', '\u{114d0}',
    '\u{11650}', '\u{116c0}', '\u{116d0}', '\u{116da}', '\u{11730}', '\u{118e0}', '\u{11950}', '\u{11bf0}',
    '\u{11c50}', '\u{11d50}', '\u{11da0}', '\u{11f50}', '\u{16130}', '\u{16a60}', '\u{16ac0}', '\u{16b50}',
    '\u{16d70}', '\u{1ccf0}', '\u{1d7ce}', '\u{1d7d8}', '\u{1d7e2}', '\u{1d7ec}', '\u{1d7f6}', '\u{1e140}',
    '\u{1e2f0}', '\u{1e4f0}', '\u{1e5f1}', '\u{1e950}', '\u{1fbf0}',
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::super::{VALID, read};
    use super::*;

    /// `e164` and `region`, if the number is valid.
    fn parse(raw: &str, market: Option<&str>) -> Option<(String, String)> {
        match PhonePlugin.parse(raw, &[market])?.as_slice() {
            [Fact::String(e164), Fact::String(region)] => Some((e164.clone(), region.clone())),
            other => panic!("two strings: {other:?}"),
        }
    }

    fn facts(e164: &str, region: &str) -> Option<(String, String)> {
        Some((e164.to_owned(), region.to_owned()))
    }

    #[test]
    fn the_national_and_the_international_format_give_the_same_facts() {
        let mobile = facts("+61412345678", "AU");
        let spellings = [
            "0412 345 678",
            "(04) 1234-5678",
            "+61 412 345 678",
            "61412345678",
            "0011 61 412345678",
            "+61 0412 345 678",
        ];
        for raw in spellings {
            assert_eq!(parse(raw, Some("AU")), mobile, "{raw}");
        }
    }

    #[test]
    fn territories_that_share_a_calling_code_are_told_apart() {
        let cases = [
            ("US", "416 967 1111", "CA"),
            ("CA", "212 555 0100", "US"),
            ("US", "+1 242 322 1234", "BS"),
            ("GB", "01534 456789", "JE"),
            ("GB", "01481 256789", "GG"),
            ("GB", "01624 756789", "IM"),
            ("RU", "8 701 234 5678", "KZ"),
            ("IT", "06 698 12345", "VA"),
            ("AU", "08 9162 1234", "CC"),
            ("AU", "08 9164 1234", "CX"),
            ("NO", "79 12 34 56", "SJ"),
            ("FI", "018 12345", "AX"),
        ];
        for (market, raw, region) in cases {
            assert_eq!(parse(raw, Some(market)).map(|facts| facts.1).as_deref(), Some(region), "{raw} in {market}");
            assert_eq!(parse(raw, Some(region)).map(|facts| facts.1).as_deref(), Some(region), "{raw} in {region}");
        }
    }

    #[test]
    fn a_toll_free_number_that_countries_share_is_valid_in_each() {
        for market in ["US", "CA", "JM", "PR", "BS"] {
            assert_eq!(parse("800 234 5678", Some(market)), facts("+18002345678", market));
        }
    }

    #[test]
    fn a_number_of_no_country_has_the_region_001() {
        assert_eq!(parse("+800 1234 5678", Some("AU")), facts("+80012345678", "001"));
    }

    #[test]
    fn without_a_market_only_the_international_format_is_read() {
        for market in [None, Some(""), Some("ZZ"), Some("au"), Some("AUS"), Some("001"), Some(" AU")] {
            assert_eq!(parse("0412 345 678", market), None, "{market:?}");
            assert_eq!(parse("+61 412 345 678", market), facts("+61412345678", "AU"), "{market:?}");
        }
        assert!(PhonePlugin.parse("+61 412 345 678", &[]).is_some());
    }

    #[test]
    fn a_number_of_another_country_has_its_own_region() {
        assert_eq!(parse("+1 212 555 0100", Some("AU")), facts("+12125550100", "US"));
    }

    #[test]
    fn a_digit_too_many_or_too_few_is_not_valid() {
        for raw in ["0412 345 67", "0412 345 6789", "+61 412 345 6789", "+1 212 555 01000", "+1 212 555 010"] {
            assert_eq!(parse(raw, Some("AU")), None, "{raw}");
        }
    }

    #[test]
    fn the_leading_zero_of_an_italian_number_belongs_to_it() {
        assert_eq!(parse("02 3661 8300", Some("IT")), facts("+390236618300", "IT"));
        assert_eq!(parse("+39 02 3661 8300", None), facts("+390236618300", "IT"));
        assert_eq!(parse("312 345 6789", Some("IT")), facts("+393123456789", "IT"));
    }

    #[test]
    fn an_extension_is_dropped() {
        let extensions =
            [" ext. 12", " x12", "#12", ";ext=12", ",,12", ";12", " - 12#", " anexo 12", " \u{434}\u{43e}\u{431} 12"];
        for extension in extensions {
            let raw = format!("+1 212 555 0100{extension}");
            assert_eq!(parse(&raw, None), facts("+12125550100", "US"), "{raw}");
        }
        assert_eq!(parse("+1 212 555 0100 x1234567890", None), None, "x marks an extension of nine digits at most");
    }

    #[test]
    fn text_around_the_number_is_passed_over() {
        for raw in [
            "tel:+1-212-555-0100",
            "Call +1 212 555 0100.",
            "\u{202a}+1 212 555 0100\u{202c}",
            "+1 212 555 0100\0",
            "(+1) 212 555 0100 ",
        ] {
            assert_eq!(parse(raw, None), facts("+12125550100", "US"), "{raw}");
        }
    }

    #[test]
    fn of_two_numbers_that_share_an_extension_mark_the_first_is_read() {
        assert_eq!(parse("+1 212 555 0100 x302/x2303", None), facts("+12125550100", "US"));
    }

    #[test]
    fn letters_stand_for_the_digits_of_the_keys() {
        assert_eq!(parse("1-800-FLOWERS", Some("US")), facts("+18003569377", "US"));
    }

    #[test]
    fn digits_of_every_script_are_read() {
        let mobile = facts("+61412345678", "AU");
        assert_eq!(parse("\u{ff0b}\u{ff16}\u{ff11} 412 345 678", None), mobile);
        assert_eq!(parse("\u{660}\u{664}12 345 678", Some("AU")), mobile);
        // The regex crate knows the same Unicode data: ZEROS must be extended when that grows.
        let decimal = Regex::new(r"^\p{Nd}$").unwrap();
        for letter in ('\0'..'\u{20000}').filter(|letter| !letter.is_ascii()) {
            let is_read = to_ascii(letter).is_ascii_digit();
            assert_eq!(is_read, decimal.is_match(letter.encode_utf8(&mut [0; 4])), "{letter:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_valid() {
        let none = [
            "",
            " ",
            "+",
            "++",
            "1",
            "12",
            "+1",
            "+999 1234567",
            "hello",
            "0412\0 345678",
            "0412 345\u{200f}678",
            "0412 345 678, or 0412 345 679",
            "tel:0412345678;phone-context=+61",
            "tel:+61412345678;isub=1",
            "1110@example.org",
        ];
        for raw in none {
            assert_eq!(parse(raw, Some("AU")), None, "{raw:?}");
        }
    }

    #[test]
    fn a_number_whose_e164_form_is_another_number_is_not_valid() {
        // Valid for libphonenumber; but it takes the 8 of +375 8102480811 for the national prefix and finds no number
        // then.
        assert_eq!(parse("0 8102480811", Some("BY")), None);
    }

    #[test]
    fn more_than_250_octets_are_refused() {
        let padded = |length: usize| format!("{:>length$}", "+61412345678");
        assert!(parse(&padded(250), None).is_some());
        assert!(parse(&padded(251), None).is_none());
    }

    #[test]
    fn the_time_is_bounded_on_any_input() {
        assert!(parse("0412 345 678", Some("AU")).is_some(), "the metadata is loaded before the clock starts");
        let parts = [
            "1", "0", "+", "9x", "/ ", "x1", ",", ";", " ", ";ext=", "ext1", "\u{ff11}", "\u{200f}", "1#", "a", "()",
            "-1",
        ];
        for part in parts {
            for times in [1, 17, 250 / part.len(), 10_000] {
                for raw in [
                    part.repeat(times),
                    format!("+1 212 555 0100{}", part.repeat(times)),
                    format!("0{}9", part.repeat(times)),
                ] {
                    let start = Instant::now();
                    _ = parse(&raw, Some("US"));
                    assert!(
                        start.elapsed() < Duration::from_millis(500),
                        "{times} times {part:?}: {:?}",
                        start.elapsed()
                    );
                }
            }
        }
    }

    #[test]
    fn every_pattern_of_the_metadata_compiles() {
        assert!(EXTENSION.regex().is_some());
        for territory in TERRITORIES.values().flatten() {
            let uses = territory.uses.iter().map(|(_, pattern)| pattern);
            let others = [&territory.exit_code, &territory.national_prefix, &territory.leading_digits];
            for pattern in uses.chain([&territory.general]).chain(others.into_iter().flatten()) {
                assert!(pattern.regex().is_some(), "{}: {}", territory.id, pattern.source);
            }
        }
    }

    #[test]
    fn the_version_names_the_metadata_that_is_built_in() {
        let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
        assert!(lock.contains("name = \"phonenumber\"\nversion = \"0.3.10+9.0.33\""));
    }

    /// What looks like a number, for some market.
    fn number_like() -> impl Strategy<Value = (String, String)> {
        let regions: Vec<_> = TERRITORIES.values().flatten().map(|territory| territory.id).collect();
        let text = "[+]{0,2}[0-9]{1,3}[0-9 ().x/*-]{4,16}(( ext|x|;ext=|,,)[0-9]{0,4})?";
        (text, proptest::sample::select(regions).prop_map(str::to_owned))
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(raw in any::<String>(), market in any::<Option<String>>()) {
            _ = parse(&raw, market.as_deref());
        }

        #[test]
        fn what_is_not_valid_has_empty_facts((raw, market) in number_like()) {
            let facts = read(&PhonePlugin, &raw, &[Some(&market)]);
            let empty = Fact::String(String::new());
            let is_valid = facts[0] == (VALID, Fact::Bool(true));
            prop_assert_eq!(facts[1] == ("e164", empty.clone()), !is_valid);
            prop_assert_eq!(facts[2] == ("region", empty), !is_valid);
        }

        #[test]
        fn e164_gives_the_same_facts_again((raw, market) in number_like()) {
            if let Some((e164, region)) = parse(&raw, Some(&market)) {
                prop_assert_eq!(parse(&e164, Some(&market)), Some((e164, region)));
            }
        }

        #[test]
        fn every_valid_number_gives_the_same_facts_again(
            (which, last) in (any::<proptest::sample::Index>(), "[0-9]{2}"),
        ) {
            let territories: Vec<_> = TERRITORIES.values().flatten().collect();
            let id = which.get(&territories).id;
            for used in DATABASE.by_id(id).into_iter().flat_map(uses) {
                let example = used.example().unwrap_or_default();
                let raw = format!("{}{last}", &example[..example.len().saturating_sub(2)]);
                if let Some((e164, region)) = parse(&raw, Some(id)) {
                    prop_assert_eq!(parse(&e164, Some(id)), Some((e164, region)));
                }
            }
        }
    }
}
