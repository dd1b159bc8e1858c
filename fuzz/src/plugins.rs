//! The plugins: any string, and for a phone number any market. The first line is the market, the rest the string.

use gatepost::plugin::{EmailPlugin, Fact, FactKind, PLUGINS, PhonePlugin, Plugin, VALID, read};

/// Any bytes.
pub fn hold(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (market, raw) = input.split_once('\n').unwrap_or(("", &input));
    for plugin in PLUGINS {
        for arguments in [[Some(market)], [None]] {
            complete_and_repeatable(*plugin, raw, &arguments);
        }
    }
    for market in [Some(market), None] {
        phone(raw, market);
    }
    email(raw);
}

/// "A string that is not valid gives `valid: false` and empty facts"; "equal input gives equal facts".
fn complete_and_repeatable(plugin: &dyn Plugin, raw: &str, arguments: &[Option<&str>]) {
    let facts = read(plugin, raw, arguments);
    assert_eq!(facts, read(plugin, raw, arguments));
    let names = facts.iter().map(|(name, _)| *name);
    assert!(names.eq([VALID].into_iter().chain(plugin.facts().iter().map(|field| field.name))));
    let valid = facts[0].1 == Fact::Bool(true);
    for ((name, fact), field) in facts.iter().skip(1).zip(plugin.facts()) {
        match (fact, field.kind) {
            (Fact::String(text), FactKind::String) => assert_eq!(text.is_empty(), !valid, "{name}"),
            (Fact::Bool(fact), FactKind::Bool) => assert!(valid || !fact, "{name}"),
            (Fact::Long(fact), FactKind::Long) => assert!(valid || *fact == 0, "{name}"),
            _ => panic!("{name} is of another type than is declared"),
        }
    }
}

/// A number in E.164 is the plus sign and up to 15 digits (ITU-T E.164; 17 in libphonenumber), is read as itself, and does not
/// depend on the space around what was typed.
fn phone(raw: &str, market: Option<&str>) {
    let parse = |raw: &str| texts(&PhonePlugin, raw, &[market]);
    let facts = parse(raw);
    if raw.len() <= 248 {
        assert_eq!(facts, parse(&format!(" {raw} ")));
    }
    let Some([e164, region]) = facts else { return };
    let digits = e164.strip_prefix('+').expect("it begins with a plus sign");
    assert!((4..=17).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()), "{e164}");
    assert!(!digits.starts_with('0'), "{e164}");
    assert!(
        region.len() == 2 && region.bytes().all(|letter| letter.is_ascii_uppercase()) || region == "001",
        "{region}"
    );
    assert_eq!(parse(&e164), Some([e164, region]));
}

/// An address is read as itself; its domain is in lower case and in ASCII, however it was written.
fn email(raw: &str) {
    let parse = |raw: &str| texts(&EmailPlugin, raw, &[]);
    let facts = parse(raw);
    if raw.len() <= 1000 {
        assert_eq!(facts, parse(&format!("\t{raw}\u{3000}")));
    }
    if let Some((local, domain)) = raw.rsplit_once('@') {
        for domain in [domain.to_ascii_lowercase(), domain.to_ascii_uppercase()] {
            assert_eq!(facts, parse(&format!("{local}@{domain}")));
        }
    }
    let Some([address, domain]) = facts else { return };
    assert!(address.len() <= 254, "{address}");
    assert_eq!(address.rsplit_once('@').map(|(_, domain)| domain), Some(domain.as_str()));
    let is_of_a_name = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b".-".contains(&letter);
    assert!(domain.contains('.') && domain.bytes().all(is_of_a_name), "{domain}");
    assert_eq!(parse(&address), Some([address, domain]));
}

/// The facts of a plugin that gives two texts.
fn texts(plugin: &dyn Plugin, raw: &str, arguments: &[Option<&str>]) -> Option<[String; 2]> {
    match plugin.parse(raw, arguments)?.as_slice() {
        [Fact::String(first), Fact::String(second)] => Some([first.clone(), second.clone()]),
        other => panic!("two texts: {other:?}"),
    }
}
