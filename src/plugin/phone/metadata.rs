//! The metadata of phone numbers: Google's `PhoneNumberMetadata.xml`, compiled in or from a file.
//!
//! The crate `phonenumber` reads the format; but it says of no mistake where it stands, and on some it panics. So a file is looked
//! through first, and only what is known of it is handed on.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use phonenumber::metadata::loader;
use quick_xml::Reader;
use quick_xml::events::attributes::{AttrError, Attribute};
use quick_xml::events::{BytesStart, Event};
use sha2::{Digest, Sha256};

use super::super::DataVersion;
use super::territory::{Pattern, Territories, WORLD};

/// What libphonenumber knows of the phone numbers of every territory.
pub struct PhoneMetadata {
    territories: Territories,
    version: DataVersion,
}

static LOADED: OnceLock<Result<PhoneMetadata, MetadataError>> = OnceLock::new();

/// Made by `scripts/phone-metadata`.
const BUILT_IN: &str = include_str!("metadata.xml");

impl PhoneMetadata {
    /// The version of libphonenumber whose metadata are compiled in, and the day on which that was published: a test compares them with
    /// the file.
    pub const BUILT_IN: [&'static str; 2] = ["9.0.43", "2026-11-06"];

    /// The most bytes that a file can have, several times as many as Google's.
    pub const MOST_BYTES: u64 = 4 << 20;

    /// Reads a file in the format of libphonenumber's `PhoneNumberMetadata.xml`. What is only for formatting numbers is passed over.
    ///
    /// # Errors
    ///
    /// Everything but such a file: the first mistake in it, and where it stands.
    pub fn read(text: &str) -> Result<Self, MetadataError> {
        let found = Self::read_with(text, true)?;
        let file = Some(hex::encode(Sha256::digest(text)));
        Ok(Self { version: DataVersion { file, ..found.version }, ..found })
    }

    /// The metadata that are compiled in, loaded when they are first asked for. A test sees to it that they can be.
    pub(super) fn built_in() -> Option<&'static Self> {
        LOADED.get_or_init(|| Self::read_with(BUILT_IN, false)).as_ref().ok()
    }

    /// Whether what is compiled in is loaded: by a store that reads phone numbers by it, and by no other.
    pub fn built_in_is_loaded() -> bool {
        LOADED.get().is_some()
    }

    fn read_with(text: &str, with_patterns: bool) -> Result<Self, MetadataError> {
        let scan = Scan::of(text, with_patterns)?;
        let read = loader::load(scan.kept.as_bytes()).map_err(|error| MetadataError::new(error.to_string(), 0..0))?;
        let territories = Territories::new(read).map_err(|lacks| MetadataError::new(lacks, 0..0))?;
        let version = DataVersion { version: scan.version, released: scan.released, file: None };
        Ok(Self { territories, version })
    }

    pub(super) fn territories(&self) -> &Territories {
        &self.territories
    }

    /// Which metadata these are.
    pub fn version(&self) -> &DataVersion {
        &self.version
    }

    /// What tells these metadata from any others, as `9.0.44-1f2e3d4c5b6a7980`.
    pub(super) fn name(&self) -> String {
        let DataVersion { version, file, .. } = &self.version;
        let digest = file.as_deref().unwrap_or_default();
        format!("{}-{}", version.as_deref().unwrap_or("unversioned"), digest.get(..16).unwrap_or(digest))
    }
}

impl fmt::Debug for PhoneMetadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "phone metadata {}", self.version)
    }
}

/// What is wrong with metadata, and the bytes of the text in which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataError {
    /// What is wrong.
    pub message: String,
    /// Where; empty where it is the file as a whole.
    pub place: Range<usize>,
}

impl MetadataError {
    fn new(message: impl Into<String>, place: Range<usize>) -> Self {
        Self { message: message.into(), place }
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for MetadataError {}

/// The elements that lead to the territories, from the root.
const ABOVE: [&str; 3] = [ROOT, "territories", "territory"];
const ROOT: &str = "phoneNumberMetadata";

/// What a territory has its numbers described by.
const DESCRIPTIONS: [&str; 12] = [
    GENERAL,
    "noInternationalDialling",
    "fixedLine",
    "mobile",
    "pager",
    "tollFree",
    "premiumRate",
    "sharedCost",
    "personalNumber",
    "voip",
    "uan",
    "voicemail",
];
const GENERAL: &str = "generalDesc";

/// What else a territory can have, which says nothing of whether a number is one.
const PASSED_OVER: [&str; 3] = ["availableFormats", "references", "areaCodeOptional"];

/// What stands in a description.
const DESCRIBED: [&str; 3] = [PATTERN, "exampleNumber", LENGTHS];
const PATTERN: &str = "nationalNumberPattern";
const LENGTHS: &str = "possibleLengths";

/// The attributes of a territory that are patterns.
const PATTERNS: [&str; 4] = ["leadingDigits", "internationalPrefix", "nationalPrefix", "nationalPrefixForParsing"];

/// Its attributes that are `true` or `false`.
const FLAGS: [&str; 3] = ["mainCountryForCode", "mobileNumberPortableRegion", "nationalPrefixOptionalWhenFormatting"];

/// Its others, but for `id` and `countryCode`.
const OTHERS: [&str; 5] = [
    "preferredInternationalPrefix",
    "nationalPrefixTransformRule",
    "preferredExtnPrefix",
    "nationalPrefixFormattingRule",
    "carrierCodeFormattingRule",
];

/// The most digits of a national number: libphonenumber's `MAX_LENGTH_FOR_NSN`.
const MOST_DIGITS: u16 = 17;

/// A look through a file, which finds what is wrong with it, and keeps what is read of it.
struct Scan<'t> {
    text: &'t str,
    kept: String,
    version: Option<String>,
    released: Option<String>,
    /// The elements that are open, and where each begins.
    open: Vec<(String, Range<usize>)>,
    /// How many of the elements that are open are passed over.
    passed_over: usize,
    /// The territories so far, by id and calling code.
    territories: Vec<(String, u16)>,
    /// The descriptions of the territory that is open.
    described: Vec<String>,
    /// The pattern of the description that is open.
    pattern: Option<String>,
    with_patterns: bool,
}

impl<'t> Scan<'t> {
    fn of(text: &'t str, with_patterns: bool) -> Result<Self, MetadataError> {
        let mut scan = Self {
            text,
            kept: String::with_capacity(text.len()),
            version: None,
            released: None,
            open: Vec::new(),
            passed_over: 0,
            territories: Vec::new(),
            described: Vec::new(),
            pattern: None,
            with_patterns,
        };
        let mut reader = Reader::from_str(text);
        loop {
            let start = place(reader.buffer_position());
            let event = reader.read_event();
            let end = place(reader.buffer_position());
            match event {
                Ok(Event::Eof) => break,
                Ok(event) => scan.take(&event, start..end)?,
                Err(error) => {
                    let at = place(reader.error_position()).min(text.len());
                    return Err(MetadataError::new(format!("this is no well-formed XML: {error}"), at..at));
                }
            }
        }
        match scan.open.pop() {
            Some((name, begin)) => {
                Err(MetadataError::new(format!("`<{name}>` is never closed: the file is cut off"), begin))
            }
            None if scan.territories.is_empty() => Err(MetadataError::new("there is no territory in it", 0..0)),
            None => Ok(scan),
        }
    }

    fn take(&mut self, event: &Event<'_>, at: Range<usize>) -> Result<(), MetadataError> {
        match event {
            Event::Start(tag) => self.begin(tag, at, true),
            Event::Empty(tag) => self.begin(tag, at, false),
            Event::End(_) => self.end(at),
            Event::Decl(_) | Event::DocType(_) | Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
            _ if self.passed_over > 0 => Ok(()),
            Event::Text(_) => self.read_text(at),
            Event::CData(_) | Event::GeneralRef(_) => {
                Err(MetadataError::new("no entity and no CDATA is read in such a file", at))
            }
        }
    }

    /// An element begins, or stands there whole.
    fn begin(&mut self, tag: &BytesStart<'_>, at: Range<usize>, opens: bool) -> Result<(), MetadataError> {
        let name = String::from_utf8_lossy(tag.name().into_inner()).into_owned();
        if self.passed_over > 0 || (self.open.len() == ABOVE.len() && PASSED_OVER.contains(&name.as_str())) {
            self.passed_over += usize::from(opens);
            return Ok(());
        }
        let is_known = match self.open.len() {
            3 => DESCRIPTIONS.contains(&name.as_str()),
            4 => DESCRIBED.contains(&name.as_str()),
            depth => ABOVE.get(depth).is_some_and(|known| *known == name),
        };
        if !is_known {
            return Err(self.unknown(&name, at));
        }
        let attributes = attributes(tag, &at)?;
        match self.open.len() {
            0 => self.root(attributes, &at)?,
            2 => self.territory(&attributes, &at)?,
            3 => self.description(&name, &at)?,
            4 if name == LENGTHS => lengths(&attributes, &at)?,
            4 if name == PATTERN => self.pattern(&at)?,
            _ => {}
        }
        self.keep(&at);
        if opens {
            self.open.push((name, at));
        } else if name != LENGTHS {
            return Err(MetadataError::new(format!("`<{name}/>` has nothing in it"), at));
        }
        Ok(())
    }

    fn unknown(&self, name: &str, at: Range<usize>) -> MetadataError {
        MetadataError::new(
            match self.open.last() {
                Some((outer, _)) => format!("`<{name}>` is nothing that is known in `<{outer}>`"),
                None => format!("the file begins with `<{name}>`, and not with `<{ROOT}>`"),
            },
            at,
        )
    }

    /// An element ends.
    fn end(&mut self, at: Range<usize>) -> Result<(), MetadataError> {
        if self.passed_over > 0 {
            self.passed_over -= 1;
            return Ok(());
        }
        self.keep(&at);
        let Some((name, begin)) = self.open.pop() else { return Ok(()) };
        let lacks = |what: &str| Err(MetadataError::new(format!("this `<{name}>` has no `<{what}>`"), begin.clone()));
        match self.open.len() {
            2 if !self.described.iter().any(|described| described == GENERAL) => lacks(GENERAL),
            3 if self.pattern.is_none() => lacks(PATTERN),
            4 if name == PATTERN => {
                let pattern = self.pattern.clone().unwrap_or_default();
                self.check(&pattern, begin.end..at.start)
            }
            _ => Ok(()),
        }
    }

    fn read_text(&mut self, at: Range<usize>) -> Result<(), MetadataError> {
        let text = self.text.get(at.clone()).unwrap_or_default();
        if self.open.len() == 5 {
            if self.open.last().is_some_and(|(name, _)| name == PATTERN) {
                self.pattern.get_or_insert_default().push_str(text);
            }
            self.keep(&at);
        } else if !text.trim().is_empty() {
            let message = match self.open.is_empty() {
                true => "this is no XML: it has text outside of every element",
                false => "text stands where only elements are read",
            };
            return Err(MetadataError::new(message, at));
        }
        Ok(())
    }

    fn root(&mut self, attributes: Vec<(String, String)>, at: &Range<usize>) -> Result<(), MetadataError> {
        if !self.kept.is_empty() {
            return Err(MetadataError::new("the file ended before this", at.clone()));
        }
        for (name, value) in attributes {
            match name.as_str() {
                "version" => self.version = Some(value),
                "released" => self.released = Some(value),
                // A schema, say.
                _ => {}
            }
        }
        Ok(())
    }

    fn territory(&mut self, attributes: &[(String, String)], at: &Range<usize>) -> Result<(), MetadataError> {
        let wrong = |message: String| Err(MetadataError::new(message, at.clone()));
        let said = |name: &str| attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        self.described.clear();
        let Some(id) = said("id").filter(|id| !id.is_empty()) else {
            return wrong("this territory has no `id`".to_owned());
        };
        let code =
            said("countryCode").and_then(|code| code.parse::<u16>().ok()).filter(|code| (1..=999).contains(code));
        let Some(code) = code else {
            return wrong(format!("the territory {id} has no `countryCode` from 1 to 999"));
        };
        if self.territories.iter().any(|(other, its)| other == id && (id != WORLD || *its == code)) {
            return wrong(format!("the territory {id} stands there twice"));
        }
        for (name, value) in attributes {
            let name = name.as_str();
            if FLAGS.contains(&name) {
                if !["true", "false"].contains(&value.as_str()) {
                    return wrong(format!("`{name}` of the territory {id} is neither `true` nor `false`"));
                }
            } else if PATTERNS.contains(&name) {
                self.check(value, at.clone())?;
            } else if !OTHERS.contains(&name) && !["id", "countryCode"].contains(&name) {
                return wrong(format!("`{name}` is nothing that is known of a territory"));
            }
        }
        self.territories.push((id.to_owned(), code));
        Ok(())
    }

    fn description(&mut self, name: &str, at: &Range<usize>) -> Result<(), MetadataError> {
        if self.described.iter().any(|described| described == name) {
            return Err(MetadataError::new(format!("the territory has another `<{name}>`"), at.clone()));
        }
        self.described.push(name.to_owned());
        self.pattern = None;
        Ok(())
    }

    fn pattern(&mut self, at: &Range<usize>) -> Result<(), MetadataError> {
        if self.pattern.is_some() {
            return Err(MetadataError::new(format!("there is another `<{PATTERN}>` beside it"), at.clone()));
        }
        self.pattern = Some(String::new());
        Ok(())
    }

    /// Whether that is a pattern, of digits.
    fn check(&self, pattern: &str, at: Range<usize>) -> Result<(), MetadataError> {
        if !self.with_patterns {
            return Ok(());
        }
        let wrong = |why: String| MetadataError::new(format!("this pattern cannot be used: {why}"), at);
        match pattern.trim() {
            "" => Err(wrong("it is empty".to_owned())),
            pattern => Pattern::whole(pattern).check().map_err(wrong),
        }
    }

    /// Hands on what stands there.
    fn keep(&mut self, at: &Range<usize>) {
        self.kept.push_str(self.text.get(at.clone()).unwrap_or_default());
    }
}

/// The names and values of the attributes of an element.
fn attributes(tag: &BytesStart<'_>, at: &Range<usize>) -> Result<Vec<(String, String)>, MetadataError> {
    let wrong = |why: String| MetadataError::new(why, at.clone());
    let read = |attribute: Result<Attribute<'_>, AttrError>| {
        let attribute = attribute.map_err(|error| wrong(format!("this element cannot be read: {error}")))?;
        let name = String::from_utf8_lossy(attribute.key.into_inner()).into_owned();
        let value = String::from_utf8_lossy(&attribute.value).into_owned();
        if value.contains('&') {
            return Err(wrong(format!("no entity is read in such a file, and `{name}` has one")));
        }
        Ok((name, value))
    };
    tag.attributes().map(read).collect()
}

/// Whether the lengths are numbers (`9`) and ranges (`[6-8]`) with commas between.
fn lengths(attributes: &[(String, String)], at: &Range<usize>) -> Result<(), MetadataError> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|length| (1..=MOST_DIGITS).contains(length));
    let is_length = |part: &str| match part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
        None => number(part).is_some(),
        Some(range) => range
            .split_once('-')
            .is_some_and(|(from, to)| matches!((number(from), number(to)), (Some(from), Some(to)) if from < to)),
    };
    for (name, value) in attributes {
        if !["national", "localOnly"].contains(&name.as_str()) {
            return Err(MetadataError::new(format!("`{name}` is nothing that is known of lengths"), at.clone()));
        }
        if !value.split(',').all(|part| is_length(part.trim())) {
            let message = format!("`{value}` is no list of lengths from 1 to {MOST_DIGITS}, as `5,[7-9]`");
            return Err(MetadataError::new(message, at.clone()));
        }
    }
    Ok(())
}

/// A place in a text, which is in memory.
fn place(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::super::super::{Fact, Plugin};
    use super::super::PhonePlugin;
    use super::*;

    /// One territory, written as Google writes it: with a declaration, comments, what says how to format, and references.
    const SMALL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- A & B -->
<!DOCTYPE phoneNumberMetadata [
    <!ELEMENT phoneNumberMetadata (territories)>
]>
<phoneNumberMetadata>
  <territories>
    <!-- Australia (AU) -->
    <territory id="AU" mainCountryForCode="true" countryCode="61" internationalPrefix="0011" nationalPrefix="0"
               nationalPrefixForParsing="(183[12])|0" mobileNumberPortableRegion="true">
      <references>
        <sourceUrl>https://example.org/?a=1&amp;b=2</sourceUrl>
      </references>
      <availableFormats>
        <numberFormat pattern="(\d{2})(\d{3,4})" nationalPrefixFormattingRule="$NP$FG">
          <leadingDigits>16</leadingDigits>
          <format>$1 $2</format>
        </numberFormat>
      </availableFormats>
      <generalDesc>
        <nationalNumberPattern>
          [2-478]\d{8}| <!-- all of them -->
          1\d{4,7}
        </nationalNumberPattern>
      </generalDesc>
      <mobile>
        <possibleLengths national="9,[5-6]" localOnly="8"/>
        <exampleNumber>412345678</exampleNumber>
        <nationalNumberPattern>4\d{8}</nationalNumberPattern>
      </mobile>
    </territory>
  </territories>
</phoneNumberMetadata>
"#;

    fn reads(metadata: PhoneMetadata, raw: &str) -> Option<String> {
        match PhonePlugin::with(Some(metadata)).parse(raw, &[Some("AU")])?.as_slice() {
            [Fact::String(e164), Fact::String(_)] => Some(e164.clone()),
            other => panic!("two strings: {other:?}"),
        }
    }

    #[test]
    fn a_file_as_google_writes_it_is_read_and_decides() {
        let metadata = || PhoneMetadata::read(SMALL).unwrap();
        assert_eq!(metadata().territories().iter().count(), 1);
        assert_eq!(reads(metadata(), "0499 999 999").as_deref(), Some("+61499999999"));
        assert_eq!(reads(metadata(), "02 9374 4000"), None);
        assert_eq!(reads(metadata(), "+1 212 555 0100"), None);
        let version = metadata().version().clone();
        assert_eq!((version.version, version.released), (None, None));
        assert_eq!(version.file, Some(hex::encode(Sha256::digest(SMALL))));
    }

    /// What is compiled in, and a file with the same in it, differ in nothing but where they come from.
    #[test]
    fn the_version_of_a_file_is_what_it_says_and_its_digest() {
        let metadata = PhoneMetadata::read(BUILT_IN).unwrap();
        let [version, released] = PhoneMetadata::BUILT_IN;
        assert_eq!(metadata.version().version.as_deref(), Some(version));
        assert_eq!(metadata.version().released.as_deref(), Some(released));
        let digest = hex::encode(Sha256::digest(BUILT_IN));
        assert_eq!(
            metadata.version().to_string(),
            format!("{version} of {released}, from a file (SHA-256 {})", &digest[..12])
        );
        let plugin = PhonePlugin::with(Some(metadata));
        assert_eq!(plugin.version(), format!("2+phonenumber-0.3.10+metadata-{version}-{}", &digest[..16]));
        assert_ne!(plugin.version(), PhonePlugin::BUILT_IN.version());
    }

    /// "A damaged, empty, foreign … file": what is wrong, and where. Each of these is one edit of a file that is right.
    #[test]
    fn each_mistake_is_told_with_its_place() {
        let cases = [
            ("</territories>\n", "", "`</phoneNumberMetadata>`", "no well-formed XML"),
            (
                "</territory>\n  </territories>\n</phoneNumberMetadata>",
                "",
                "<territory id=\"AU\"",
                "is never closed: the file is cut off",
            ),
            ("<phoneNumberMetadata>", "<html>", "<html>", "begins with `<html>`"),
            ("<phoneNumberMetadata>", "words<phoneNumberMetadata>", "words", "text outside of every element"),
            ("id=\"AU\" ", "", "<territory", "has no `id`"),
            ("countryCode=\"61\"", "", "<territory id", "has no `countryCode` from 1 to 999"),
            ("countryCode=\"61\"", "countryCode=\"99999\"", "<territory id", "has no `countryCode` from 1 to 999"),
            (
                "mainCountryForCode=\"true\"",
                "mainCountryForCode=\"yes\"",
                "<territory id",
                "neither `true` nor `false`",
            ),
            ("nationalPrefix=\"0\"", "nationalPrefix=\"(\"", "<territory id", "cannot be used: unclosed group"),
            ("nationalPrefix=\"0\"", "nationalPrefix=\"&amp;\"", "<territory id", "no entity is read in such a file"),
            (
                "nationalPrefix=\"0\"",
                "nationalPrefixes=\"0\"",
                "<territory id",
                "`nationalPrefixes` is nothing that is known",
            ),
            (
                "nationalPrefix=\"0\"",
                "nationalPrefix=\"0\" nationalPrefix=\"1\"",
                "<territory id",
                "duplicated attribute",
            ),
            ("<mobile>", "<mobil>", "<mobil>", "`<mobil>` is nothing that is known in `<territory>`"),
            ("<exampleNumber>", "<a/><exampleNumber>", "<a/>", "`<a>` is nothing that is known in `<mobile>`"),
            ("4\\d{8}</", "4\\d{8</", "4\\d{8", "cannot be used: unclosed counted repetition"),
            ("4\\d{8}</", "4\\d{8}(?=1)</", "4\\d{8}(?=1)", "cannot be used: look-around"),
            ("4\\d{8}</", "(\\d{500}){500}</", "(\\d{500}){500}", "cannot be used: it is too large"),
            ("4\\d{8}</", "</", "</nationalNumberPattern", "cannot be used: it is empty"),
            ("4\\d{8}</", "4&lt;</", "&lt;", "no entity and no CDATA"),
            ("9,[5-6]", "", "<possibleLengths", "`` is no list of lengths"),
            ("9,[5-6]", "9,", "<possibleLengths", "`9,` is no list of lengths"),
            ("9,[5-6]", "[5-", "<possibleLengths", "`[5-` is no list of lengths"),
            ("9,[5-6]", "[0-65535]", "<possibleLengths", "`[0-65535]` is no list of lengths"),
            ("localOnly", "local", "<possibleLengths", "`local` is nothing that is known of lengths"),
            ("<mobile>", "<mobile/><mobile>", "<mobile/>", "`<mobile/>` has nothing in it"),
        ];
        for (from, to, place, message) in cases {
            let text = SMALL.replacen(from, to, 1);
            assert_ne!(text, SMALL, "{from}");
            let error = PhoneMetadata::read(&text).unwrap_err();
            assert!(error.message.contains(message), "{from} to {to}: {error}");
            let begin = text[error.place.start..].trim_start();
            assert!(begin.starts_with(place) || message == "no well-formed XML", "{from} to {to}: at {begin:.60}");
        }
    }

    #[test]
    fn nothing_and_something_else_are_no_metadata() {
        let nested = format!("<phoneNumberMetadata>{}", "<references>".repeat(100_000));
        let ignored = SMALL.replacen("<sourceUrl>", &"<sourceUrl>".repeat(100_000), 1);
        let cases = [
            ("", "there is no territory in it"),
            (" \n", "there is no territory in it"),
            ("\0", "text outside of every element"),
            ("{\"a\": 1}", "text outside of every element"),
            ("<phoneNumberMetadata></phoneNumberMetadata>", "there is no territory in it"),
            ("<phoneNumberMetadata/>", "has nothing in it"),
            (&nested, "`<references>` is nothing that is known in `<phoneNumberMetadata>`"),
            (&ignored, "no well-formed XML"),
        ];
        for (text, message) in cases {
            let error = PhoneMetadata::read(text).unwrap_err();
            assert!(error.message.contains(message), "{text:.40}: {error}");
        }
        let twice =
            SMALL.replacen("</territories>", "<territory id=\"AU\" countryCode=\"62\"></territory></territories>", 1);
        assert_eq!(PhoneMetadata::read(&twice).unwrap_err().message, "the territory AU stands there twice");
        let unsaid = SMALL.replace("generalDesc>", "uan>");
        assert_eq!(PhoneMetadata::read(&unsaid).unwrap_err().message, "this `<territory>` has no `<generalDesc>`");
        let again = format!("{SMALL}<phoneNumberMetadata></phoneNumberMetadata>");
        assert_eq!(PhoneMetadata::read(&again).unwrap_err().message, "the file ended before this");
    }

    proptest! {
        /// "Never a panic": a file that is damaged anywhere is read, or refused at a place that lies in it.
        #[test]
        fn a_file_that_is_damaged_anywhere_is_read_or_refused(
            at in any::<proptest::sample::Index>(),
            until in 0..40_usize,
            put in prop_oneof![Just(String::new()), "[<>/\"'&;!?=a-z0-9\\[\\]{}(),|-]{1,6}", any::<char>().prop_map(String::from)],
        ) {
            let begin = at.index(SMALL.len());
            let end = (begin + until).min(SMALL.len());
            let text = format!("{}{put}{}", &SMALL[..begin], &SMALL[end..]);
            if let Err(error) = PhoneMetadata::read(&text) {
                prop_assert!(error.place.start <= error.place.end && error.place.end <= text.len());
                prop_assert!(text.is_char_boundary(error.place.start) && text.is_char_boundary(error.place.end), "{error:?}");
            }
        }
    }
}
