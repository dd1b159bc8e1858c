//! E-mail addresses.

use email_address::{EmailAddress, Options};

use super::{Fact, FactField, FactKind, Plugin};

/// Reads one e-mail address: a mailbox of RFC 5321 section 4.1.2, which RFC 6531 extends beyond ASCII.
///
/// Gives `address`, the local part as it was written and the domain in lower-case ASCII, and `domain`, the latter
/// alone: the form that UTS #46 `ToASCII` gives under its strict rules (letters, digits and hyphens only; labels of at
/// most 63 octets). So all spellings of one domain give one fact, while the case of a local part is for its own host to
/// judge (RFC 5321 section 2.4).
///
/// White space around the address is passed over, because people type it. Not valid are a display name, an address
/// literal such as `[192.0.2.1]` or one without its brackets, a domain of one label, and a trailing dot. A quoted local
/// part, though RFC 5321 knows it, is not valid either: `"a"@example.org` and `a@example.org` are one mailbox, and a
/// policy that compares addresses must not see two.
pub struct EmailPlugin;

impl Plugin for EmailPlugin {
    fn name(&self) -> &'static str {
        "email"
    }

    fn version(&self) -> &'static str {
        // The ICU data says which characters a domain can have.
        "1+email_address-0.2.9+idna-1.1.0+icu-2.4.0"
    }

    fn about(&self) -> &'static str {
        "Reads an e-mail address: `domain` is its domain in lower-case ASCII form, `address` is its local part as \
         written, with that domain."
    }

    fn facts(&self) -> &'static [FactField] {
        const { &[FactField::repeating("address", FactKind::String), FactField::about("domain", FactKind::String)] }
    }

    fn parameters(&self) -> &'static [&'static str] {
        &[]
    }

    fn parse(&self, raw: &str, _arguments: &[Option<&str>]) -> Option<Vec<Fact>> {
        if raw.len() > MAX_INPUT {
            return None;
        }
        let (local, domain) = raw.trim().rsplit_once('@')?;
        let domain = ascii_domain(domain)?;
        let address = format!("{local}@{domain}");
        is_mailbox(local, &address).then(|| vec![Fact::String(address), Fact::String(domain)])
    }
}

/// The longest text that is read, in octets. An address has at most [`MAX_ADDRESS`] octets in ASCII, and a character
/// that takes one of them there can take four here.
const MAX_INPUT: usize = 4 * MAX_ADDRESS;

/// The longest address in octets: the longest path of RFC 5321 section 4.5.3.1.3 without its angle brackets.
const MAX_ADDRESS: usize = 254;

/// The domain in lower-case ASCII, if it is a host name of at least two labels.
fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    let (_, last) = ascii.rsplit_once('.')?;
    // No top-level domain is all digits (RFC 3696 section 2): that would be an IPv4 address.
    let is_name = last.chars().any(|letter| !letter.is_ascii_digit());
    is_name.then_some(ascii)
}

/// Whether the address has a well-formed local part and is not too long.
fn is_mailbox(local: &str, address: &str) -> bool {
    let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
    // The crate also holds the local part to 64 octets.
    address.len() <= MAX_ADDRESS
        && !local.starts_with('"')
        && !local.chars().any(is_invisible)
        && EmailAddress::parse_with_options(address, options).is_ok()
}

/// Whether a character would make an address look like another: control characters, white space, and the controls of
/// bidirectional text (UAX #9). RFC 6531 alone would let those outside ASCII pass.
fn is_invisible(letter: char) -> bool {
    let is_bidi_control =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || letter.is_whitespace() || is_bidi_control
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::super::{VALID, read};
    use super::*;

    /// `address` and `domain`, if the address is valid.
    fn parse(raw: &str) -> Option<(String, String)> {
        match EmailPlugin.parse(raw, &[])?.as_slice() {
            [Fact::String(address), Fact::String(domain)] => Some((address.clone(), domain.clone())),
            other => panic!("two strings: {other:?}"),
        }
    }

    fn facts(address: &str, domain: &str) -> Option<(String, String)> {
        Some((address.to_owned(), domain.to_owned()))
    }

    #[test]
    fn the_local_part_is_kept_and_the_domain_is_lower_case() {
        assert_eq!(parse("Ada.Lovelace+x@Example.ORG"), facts("Ada.Lovelace+x@example.org", "example.org"));
    }

    #[test]
    fn all_spellings_of_a_domain_give_one_fact() {
        let spellings = [
            "a@B\u{fc}cher.example",
            "a@B\u{dc}CHER.EXAMPLE",
            "a@bu\u{308}cher.example",
            "a@xn--bcher-kva.example",
            "a@XN--BCHER-KVA.Example",
            "a@b\u{fc}cher\u{3002}example",
            "a@b\u{fc}cher.\u{ff45}xample",
        ];
        for raw in spellings {
            assert_eq!(parse(raw), facts("a@xn--bcher-kva.example", "xn--bcher-kva.example"), "{raw}");
        }
    }

    #[test]
    fn white_space_around_the_address_is_passed_over() {
        assert_eq!(parse(" \t\u{a0}a@example.org\u{3000}\r\n"), facts("a@example.org", "example.org"));
    }

    #[test]
    fn a_local_part_can_be_in_any_script() {
        let raw = "\u{7528}\u{6237}@example.org";
        assert_eq!(parse(raw), facts(raw, "example.org"));
    }

    #[test]
    fn a_display_name_a_literal_and_a_quoted_local_part_are_not_valid() {
        let refused = [
            "Ada <a@example.org>",
            "<a@example.org>",
            "mailto:a@example.org?subject=x",
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "\"a\"@example.org",
            "\"a b\"@example.org",
            "a(comment)@example.org",
            "a@example.org, b@example.org",
        ];
        for raw in refused {
            assert_eq!(parse(raw), None, "{raw}");
        }
    }

    #[test]
    fn a_domain_is_a_host_name_of_two_labels_or_more() {
        let long_label = format!("a@{}.org", "a".repeat(64));
        let refused = [
            "a@localhost",
            "a@example.org.",
            "a@.example.org",
            "a@example..org",
            "a@ex_ample.org",
            "a@-example.org",
            "a@example-.org",
            "a@ab--cd.org",
            "a@xn--a.org",
            "a@exa mple.org",
            "a@192.0.2.1",
            "a@example.123",
            "a@example.\u{ff11}\u{ff12}",
            "a@exam\u{200b}\u{202e}ple.org",
            "a@ex\u{2100}mple.org",
            &long_label,
        ];
        for raw in refused {
            assert_eq!(parse(raw), None, "{raw}");
        }
        assert!(parse(&format!("a@{}.org", "a".repeat(63))).is_some());
    }

    #[test]
    fn what_is_not_well_formed_is_not_valid() {
        let refused = [
            "",
            "@",
            "a",
            "a@",
            "@example.org",
            "a@b@example.org",
            ".a@example.org",
            "a.@example.org",
            "a..b@example.org",
        ];
        for raw in refused {
            assert_eq!(parse(raw), None, "{raw}");
        }
    }

    #[test]
    fn no_invisible_character_is_in_a_local_part() {
        for letter in
            ['\0', '\n', '\x7f', '\u{85}', '\u{a0}', '\u{2028}', '\u{200e}', '\u{202e}', '\u{2066}', '\u{61c}', ' ']
        {
            assert_eq!(parse(&format!("a{letter}b@example.org")), None, "{letter:?}");
        }
    }

    #[test]
    fn the_lengths_of_rfc_5321_are_kept() {
        let address = |local: usize, labels: usize| format!("{}@{}example.org", "a".repeat(local), "b.".repeat(labels));
        assert!(parse(&address(64, 0)).is_some());
        assert!(parse(&address(65, 0)).is_none());
        assert_eq!(address(64, 89).len(), 254);
        assert!(parse(&address(64, 89)).is_some());
        assert!(parse(&address(63, 90)).is_none());
        assert!(parse(&format!("{}@example.org", "\u{fc}".repeat(33))).is_none(), "66 octets");
    }

    #[test]
    fn the_time_is_bounded_on_any_input() {
        for part in [
            "a",
            "@",
            ".",
            "a.",
            "\u{fc}",
            "\u{1f600}.",
            "xn--",
            "\"",
            " ",
            "\0",
            "\u{200d}",
            "\u{3002}",
            "(",
            "\u{fdfa}",
        ] {
            for times in [1, 60, 1016 / part.len() - 4, 10_000] {
                for raw in [
                    part.repeat(times),
                    format!("a@{}", part.repeat(times)),
                    format!("{}@example.org", part.repeat(times)),
                ] {
                    let start = Instant::now();
                    _ = parse(&raw);
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
    fn the_version_names_the_crates_that_are_built_in() {
        let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
        let crates = [
            ("email_address", "0.2.9"),
            ("idna", "1.1.0"),
            ("icu_normalizer_data", "2.4.0"),
            ("icu_properties_data", "2.4.0"),
        ];
        for (name, version) in crates {
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")), "{name}");
            assert!(EmailPlugin.version().contains(version), "{name}");
        }
    }

    /// What looks like an address.
    fn address_like() -> impl Strategy<Value = String> {
        "[ ]?[a-zA-Z0-9.\"+\u{fc}\u{7528}]{1,8}@[a-zA-Z0-9\u{fc}\u{df}\u{5d0}\u{3002}-]{1,8}\\.[a-z0-9\u{e9}]{1,4}[ ]?"
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(raw in any::<String>(), domain in any::<String>()) {
            _ = parse(&raw);
            _ = parse(&format!("a@{domain}.org"));
        }

        #[test]
        fn what_is_not_valid_has_empty_facts(raw in address_like()) {
            let facts = read(&EmailPlugin, &raw, &[]);
            let empty = Fact::String(String::new());
            let is_valid = facts[0] == (VALID, Fact::Bool(true));
            prop_assert_eq!(facts[1] == ("address", empty.clone()), !is_valid);
            prop_assert_eq!(facts[2] == ("domain", empty), !is_valid);
        }

        #[test]
        fn an_address_gives_the_same_facts_again(raw in address_like()) {
            if let Some((address, domain)) = parse(&raw) {
                prop_assert_eq!(parse(&address), Some((address, domain)));
            }
        }
    }
}
