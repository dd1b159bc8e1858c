//! "E-mail against a reference over every script": RFC 6531 section 3.3 (`atext =/ UTF8-non-ascii`), with Unicode's data as the crates `regex` and
//! `unicode-script` have them, and the form NFC as `unicode-normalization` makes it; the plugin asks ICU.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use gatepost::plugin::{EmailPlugin, Fact, Plugin};
use regex::Regex;
use unicode_normalization::UnicodeNormalization;
use unicode_script::{Script, UnicodeScript};

/// `address`, if the address is valid.
fn address(raw: &str) -> Option<String> {
    match EmailPlugin.parse(raw, &[])?.as_slice() {
        [Fact::String(address), Fact::String(_)] => Some(address.clone()),
        other => panic!("two strings: {other:?}"),
    }
}

struct Class(Regex);

impl Class {
    fn new(class: &str) -> Self {
        Self(Regex::new(&format!("^[{class}]$")).unwrap())
    }

    fn has(&self, letter: char) -> bool {
        self.0.is_match(letter.encode_utf8(&mut [0; 4]))
    }
}

/// What `atext` of RFC 5322 is in ASCII.
fn is_atext(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter)
}

/// "Every script (letters and marks)."
#[test]
fn letters_and_marks_of_every_script_are_in_local_parts() {
    let (letters, hidden) = (Class::new(r"\p{L}\p{M}"), Class::new(r"\p{Default_Ignorable_Code_Point}"));
    let mut scripts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for letter in ('\u{80}'..=char::MAX).filter(|letter| letters.has(*letter)) {
        let local = format!("a{letter}b");
        let composed: String = local.nfc().collect();
        let expected = (!hidden.has(letter) && composed.chars().all(|letter| !letter.is_ascii() || is_atext(letter)))
            .then(|| format!("{composed}@example.org"));
        assert_eq!(address(&format!("{local}@example.org")), expected, "U+{:04X}", u32::from(letter));
        // Both spellings are one address.
        let decomposed: String = local.nfd().collect();
        assert_eq!(address(&format!("{decomposed}@example.org")), expected, "U+{:04X}", u32::from(letter));
        let count = scripts.entry(letter.script().full_name()).or_default();
        count.0 += 1;
        count.1 += usize::from(expected.is_none());
    }
    let (all, refused) = scripts.values().fold((0, 0), |(all, refused), count| (all + count.0, refused + count.1));
    println!("{} scripts, {all} letters and marks, {refused} that cannot be seen", scripts.len());
    scripts
        .iter()
        .filter(|(_, count)| count.1 > 0)
        .for_each(|(script, count)| println!("{script}: {} not valid", count.1));
    for script in [Script::Devanagari, Script::Tamil, Script::Thai, Script::Khmer, Script::Myanmar, Script::Latin] {
        assert!(scripts[script.full_name()].0 > 50, "{script:?}");
    }
    assert!(scripts.len() > 160 && scripts.values().all(|count| count.0 > count.1));
}

/// What is valid by the RFC and cannot be in a local part here: what cannot be seen or has no meaning, and nothing else. Every character of
/// Unicode that both of these data know is tried.
#[test]
fn every_visible_character_is_in_local_parts_and_no_other() {
    let hidden = Class::new(r"\p{C}\p{Z}\p{Default_Ignorable_Code_Point}");
    let unassigned = Class::new(r"\p{Cn}");
    let (mut valid, mut refused) = (0, 0);
    for letter in ('\0'..=char::MAX).filter(|letter| !unassigned.has(*letter)) {
        let composed: String = format!("a{letter}b").nfc().collect();
        let is_valid = !hidden.has(letter)
            && composed.chars().all(|letter| !letter.is_ascii() || is_atext(letter) || letter == '.');
        let found = address(&format!("a{letter}b@example.org"));
        assert_eq!(found, is_valid.then(|| format!("{composed}@example.org")), "U+{:04X}", u32::from(letter));
        valid += usize::from(is_valid);
        refused += usize::from(!is_valid);
    }
    println!("{valid} characters are valid, {refused} are not");
}

/// A mark at the very beginning would stand on what is before the address; behind a dot or a letter it is one of the address.
#[test]
fn no_local_part_begins_with_a_mark() {
    let (marks, hidden) = (Class::new(r"\p{M}"), Class::new(r"\p{Default_Ignorable_Code_Point}"));
    for mark in ('\u{80}'..=char::MAX).filter(|letter| marks.has(*letter)) {
        assert_eq!(address(&format!("{mark}a@example.org")), None, "U+{:04X}", u32::from(mark));
        assert_eq!(address(&format!("a.{mark}@example.org")).is_some(), !hidden.has(mark), "U+{:04X}", u32::from(mark));
    }
}
