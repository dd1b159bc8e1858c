//! Values of Cedar's extension types as callers write them: in Cedar's own spelling, and in those of standard libraries that mean
//! exactly the same.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use cedar_policy::{Context, RestrictedExpression};
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use smol_str::SmolStr;

use super::number::{Number, decimal};
use crate::store::addresses::{ipv4_of_mapped, split_range};
use crate::store::schema::Extension;

/// A text that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadText {
    /// The value, as Cedar reads it; of a time, with every digit below the millisecond, which Cedar does not ([`to_cedar`]).
    pub text: SmolStr,
    /// Whether it is a time that says more than Cedar's milliseconds.
    pub is_too_fine: bool,
}

/// The value for Cedar; a time is floored to the millisecond.
pub fn to_cedar(extension: Extension, text: &str) -> RestrictedExpression {
    match extension {
        Extension::Ip => RestrictedExpression::new_ip(text),
        Extension::Decimal => RestrictedExpression::new_decimal(text),
        Extension::Datetime => match too_fine(text) {
            Some((to_millisecond, _)) => RestrictedExpression::new_datetime(format!("{to_millisecond}Z")),
            None => RestrictedExpression::new_datetime(text),
        },
        Extension::Duration => RestrictedExpression::new_duration(text),
    }
}

/// Reads a text as a value of that type; `None` where it is none.
pub fn read(extension: Extension, text: &str) -> Option<ReadText> {
    let exact = |text: SmolStr| Some(ReadText { text, is_too_fine: false });
    if extension == Extension::Ip
        && let Some(address) = ipv4_of_mapped(text)
    {
        return exact(address);
    }
    let is_too_fine = extension == Extension::Datetime && too_fine(text).is_some();
    if !is_too_fine && is_cedars(extension, text) {
        return exact(text.into());
    }
    match extension {
        Extension::Ip => exact(address(text)?),
        Extension::Datetime => Time::read(text)?.written(),
        Extension::Decimal => exact(plain_decimal(text)?),
        Extension::Duration => None,
    }
}

/// A time as [`Time::written`] writes one that says more than milliseconds: what stands up to the millisecond, and the digits below it.
pub fn too_fine(text: &str) -> Option<(&str, &str)> {
    let (to_millisecond, rest) = text.split_at_checked(TO_MILLISECOND)?;
    let below = rest.strip_suffix('Z')?;
    (!below.is_empty() && below.bytes().all(|byte| byte.is_ascii_digit())).then_some((to_millisecond, below))
}

/// The length of `2026-03-01T12:30:00.123`.
const TO_MILLISECOND: usize = 23;

/// A decimal with more or fewer digits behind the point than Cedar writes: zeros at the end count for nothing, and a whole number is one.
fn plain_decimal(text: &str) -> Option<SmolStr> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_whole = is_plain && !fraction.is_empty() && !whole.trim_start_matches('-').is_empty();
    let number = is_whole.then(|| Number::parse(text))??;
    number.to_decimal().map(SmolStr::from)
}

/// What a value of that type is in JSON, as an error message says it.
pub fn expected(extension: Extension) -> impl fmt::Display {
    match extension {
        Extension::Ip => "an IP address or range, such as \"192.0.2.7\" or \"2001:db8::/32\"",
        Extension::Decimal => "a decimal of at most four digits behind the point, such as \"12.50\" or 12.5",
        Extension::Datetime => {
            "a time as RFC 3339 writes it, such as \"2026-03-01T12:30:00Z\", or a day, such as \"2026-03-01\""
        }
        Extension::Duration => "a duration, such as \"1d2h30m\" or \"90s\"",
    }
}

/// What a value of that type is, for who sent this text in place of one: where its form is right, and what it says is beyond what Cedar has,
/// the bounds.
pub fn expected_for(extension: Extension, text: &str) -> String {
    let bounds = match extension {
        Extension::Ip => None,
        Extension::Decimal => Number::parse(text)
            .filter(|number| !number.is_too_fine() && number.to_decimal().is_none())
            .map(|_| "a decimal from -922337203685477.5808 to 922337203685477.5807"),
        Extension::Datetime => {
            Time::read(text).filter(|time| time.written().is_none()).map(|_| "a time of the years 0000 to 9999 in UTC")
        }
        Extension::Duration => duration(text)
            .filter(|span| i64::try_from(*span).is_err())
            .map(|_| "a duration whose milliseconds are a whole number of 64 bits"),
    };
    bounds.map_or_else(|| expected(extension).to_string(), str::to_owned)
}

/// Whether Cedar itself reads the text.
fn is_cedars(extension: Extension, text: &str) -> bool {
    // Cedar evaluates an extension value when a context is made of it, and not before.
    Context::from_pairs([("value".to_owned(), to_cedar(extension, text))]).is_ok()
}

/// An IPv6 address whose last part is written as IPv4 (RFC 4291, section 2.2), which Cedar does not read.
fn address(text: &str) -> Option<SmolStr> {
    let (address, prefix) = split_range(text)?;
    let address = Ipv6Addr::from_str(address).ok()?;
    // Written in eight groups: the standard library writes some addresses with an IPv4 part, as they came.
    let groups: Vec<String> = address.segments().iter().map(|group| format!("{group:x}")).collect();
    let text = groups.join(":");
    let text = prefix.map_or_else(|| text.clone(), |prefix| format!("{text}/{prefix}"));
    is_cedars(Extension::Ip, &text).then(|| text.into())
}

/// A time, to any digit.
struct Time {
    /// The millisecond in which it lies.
    millisecond: DateTime<Utc>,
    /// The digits of the second behind the milliseconds, without zeros at the end.
    below: String,
}

impl Time {
    /// Reads a time as RFC 3339 (section 5.6) writes it. A leap second is none that Cedar has, and a space for the `T` no RFC 3339.
    fn read(text: &str) -> Option<Self> {
        let (day, rest) = (text.get(..10)?, text.get(10..)?);
        let rest = rest.strip_prefix(['T', 't'])?;
        let (clock, rest) = (rest.get(..8)?, rest.get(8..)?);
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => {
                let end = rest.find(|character: char| !character.is_ascii_digit())?;
                (rest.get(..end).filter(|digits| !digits.is_empty())?, rest.get(end..)?)
            }
            None => ("", rest),
        };
        let day = is_digits(day, "dddd-dd-dd").then(|| NaiveDate::from_str(day).ok())??;
        let clock = is_digits(clock, "dd:dd:dd").then(|| NaiveTime::from_str(clock).ok())??;
        // chrono reads the second 60 as a leap second.
        if text.get(17..19)? == "60" {
            return None;
        }
        let (milliseconds, below) = fraction.split_at(fraction.len().min(3));
        let milliseconds = format!("{milliseconds:0<3}").parse().ok()?;
        let local = day.and_time(clock).and_utc().checked_add_signed(TimeDelta::milliseconds(milliseconds))?;
        let millisecond = local.checked_sub_signed(TimeDelta::minutes(offset(zone)?))?;
        Some(Self { millisecond, below: below.trim_end_matches('0').to_owned() })
    }

    /// The time in UTC, with every digit; `None` where Cedar has no such time.
    fn written(&self) -> Option<ReadText> {
        let text = self.millisecond.to_rfc3339_opts(SecondsFormat::Millis, true);
        if !is_cedars(Extension::Datetime, &text) {
            return None;
        }
        let text = match self.below.as_str() {
            "" => text.into(),
            below => format!("{}{below}Z", text.trim_end_matches('Z')).into(),
        };
        Some(ReadText { text, is_too_fine: !self.below.is_empty() })
    }
}

/// How many minutes a zone is ahead of UTC; `-00:00` is UTC of an unknown place.
fn offset(zone: &str) -> Option<i64> {
    if let "Z" | "z" = zone {
        return Some(0);
    }
    let (sign, rest) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return None,
    };
    if !is_digits(rest, "dd:dd") && !is_digits(rest, "dddd") {
        return None;
    }
    let digits = rest.replace(':', "");
    let (hours, minutes): (i64, i64) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (60 * hours + minutes))
}

/// Whether a text has a digit for each `d`, and else what stands there.
fn is_digits(text: &str, form: &str) -> bool {
    let fits = |(found, expected): (u8, u8)| if expected == b'd' { found.is_ascii_digit() } else { found == expected };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

/// The one spelling of a value, in which two texts are equal if they say the same: if Cedar takes their values for equal, and times have
/// the same digits below its millisecond. It is for comparing alone.
pub fn canonical(extension: Extension, text: &str) -> SmolStr {
    let spelt = match extension {
        Extension::Ip => spelt_address(text),
        Extension::Decimal => Number::parse(text).and_then(|number| number.to_decimal()),
        Extension::Datetime => milliseconds(text).map(|(time, below)| format!("{time}.{below}ms")),
        Extension::Duration => duration(text).map(|span| format!("{span}ms")),
    };
    spelt.map_or_else(|| text.into(), SmolStr::from)
}

/// Cedar's address is one with a prefix, which is the whole length where none is written.
fn spelt_address(text: &str) -> Option<String> {
    let (address, prefix) = split_range(text)?;
    let address = IpAddr::from_str(address).ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    Some(format!("{address}/{}", prefix.unwrap_or(whole)))
}

/// The milliseconds since 1970 that a `datetime` is, and the digits below them.
pub fn milliseconds(text: &str) -> Option<(i64, String)> {
    if let Ok(day) = NaiveDate::from_str(text).map(|day| day.and_time(NaiveTime::MIN).and_utc()) {
        return Some((day.timestamp_millis(), String::new()));
    }
    Time::read(text).map(|time| (time.millisecond.timestamp_millis(), time.below))
}

/// The milliseconds that a `duration` is, as Cedar writes one: `-1d2h3m4s5ms`.
pub fn duration(text: &str) -> Option<i128> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    if rest.is_empty() {
        return None;
    }
    let mut all = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit())?;
        let (count, unit) = rest.split_at(end);
        let (unit, length) = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
            .into_iter()
            .find(|(name, _)| unit.starts_with(name))?;
        all = all.checked_add(count.parse::<i128>().ok()?.checked_mul(length)?)?;
        rest = rest.get(end + unit.len()..)?;
    }
    Some(sign * all)
}

/// The text of a `decimal` that is a whole number.
pub fn whole_decimal(value: i64) -> Option<String> {
    value.checked_mul(10_000).map(decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text for Cedar, and the digits that it lacks.
    fn read_as(extension: Extension, text: &str) -> Option<(String, Option<String>)> {
        let read = read(extension, text)?;
        assert!(is_cedars(extension, &read.text), "{text}");
        match too_fine(&read.text) {
            Some((text, below)) if extension == Extension::Datetime => {
                Some((format!("{text}Z"), Some(below.to_owned())))
            }
            _ => Some((read.text.to_string(), None)),
        }
    }

    /// What Python's `isoformat`, Java's `Instant` and Go's `RFC3339Nano` write is read, floored to the millisecond.
    #[test]
    fn rule_14_times_of_rfc_3339_are_floored_to_the_millisecond() {
        let of = |text| read_as(Extension::Datetime, text);
        let exact = |text: &str| Some((text.to_owned(), None));
        let finer = |text: &str, below: &str| Some((text.to_owned(), Some(below.to_owned())));
        assert_eq!(of("2026-03-01T12:30:00Z"), exact("2026-03-01T12:30:00Z"), "as Cedar writes it");
        assert_eq!(of("2026-03-01T12:30:00+00:00"), exact("2026-03-01T12:30:00.000Z"));
        assert_eq!(of("2026-03-01T12:30:00.123456+00:00"), finer("2026-03-01T12:30:00.123Z", "456"));
        assert_eq!(of("2026-03-01T12:30:00.123456789Z"), finer("2026-03-01T12:30:00.123Z", "456789"));
        assert_eq!(of("2026-03-01T12:30:00.1Z"), exact("2026-03-01T12:30:00.100Z"));
        assert_eq!(of("2026-03-01T12:30:00.100000Z"), exact("2026-03-01T12:30:00.100Z"), "zeros say nothing");
        assert_eq!(of("2026-03-01t14:30:00+02:00"), exact("2026-03-01T12:30:00.000Z"));
        assert_eq!(of("2026-03-01T12:30:00-05:45"), exact("2026-03-01T18:15:00.000Z"));
        // Towards the past, before 1970 too.
        assert_eq!(of("1969-12-31T23:59:59.9999Z"), finer("1969-12-31T23:59:59.999Z", "9"));
        assert_eq!(of("0000-01-01T00:00:00.0000001Z"), finer("0000-01-01T00:00:00.000Z", "0001"));
    }

    #[test]
    fn rule_14_what_is_no_rfc_3339_is_no_time() {
        for text in [
            "2026-03-01T12:30:60Z",
            "2026-03-01T23:59:60+00:00",
            "2026-03-01 12:30:00Z",
            "2026-03-01T12:30:00",
            "2026-03-01T12:30Z",
            "2026-03-01T12:30:00.Z",
            "2026-02-29T12:30:00+00:00",
            "2026-03-01T24:00:00+00:00",
            "2026-03-01T12:30:00+24:00",
            "2026-03-01T12:30:00 +00:00",
            "+2026-03-01T12:30:00Z",
            "2026-03-01T12:30:00,5Z",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "２０26-03-01T12:30:00Z",
            "now",
            "",
        ] {
            assert_eq!(read_as(Extension::Datetime, text), None, "{text}");
        }
    }

    /// "Trailing zeros count for nothing […]; a whole number is a decimal too": in a string as in a number.
    #[test]
    fn rule_14_a_decimal_has_any_number_of_zeros_at_its_end() {
        let of = |text| read_as(Extension::Decimal, text).map(|(text, _)| text);
        for (text, expected) in [
            ("12.5", Some("12.5")),
            ("12.50000", Some("12.5000")),
            ("12", Some("12.0000")),
            ("-0.10000000", Some("-0.1000")),
            ("12.50001", None),
            ("922337203685478", None),
            ("1e1", None),
            ("12.", None),
            (".5", None),
            ("-", None),
            ("--1", None),
            ("+1", None),
            ("", None),
        ] {
            assert_eq!(of(text).as_deref(), expected, "{text}");
        }
    }

    /// Two times that differ below the millisecond are two, though Cedar has one for both.
    #[test]
    fn rule_14_a_time_keeps_what_lies_below_the_millisecond() {
        let of = |text| read(Extension::Datetime, text).unwrap().text;
        let (fine, finer) = (of("2026-03-01T12:30:00.1234+00:00"), of("2026-03-01T13:30:00.123456+01:00"));
        assert_eq!([fine.as_str(), finer.as_str()], ["2026-03-01T12:30:00.1234Z", "2026-03-01T12:30:00.123456Z"]);
        assert_eq!(of(&finer), finer, "as the log has it, it is read again");
        assert_ne!(canonical(Extension::Datetime, &fine), canonical(Extension::Datetime, &finer));
        assert_eq!(milliseconds(&finer), Some((1_772_368_200_123, "456".to_owned())));
    }

    /// "An IPv4-mapped address, in either spelling, alone or as a range of /96 and longer, is that IPv4 address."
    #[test]
    fn rule_14_a_mapped_address_is_the_ipv4_address() {
        let of = |text| read_as(Extension::Ip, text).map(|(text, _)| text);
        for (text, expected) in [
            ("::ffff:10.1.2.3", Some("10.1.2.3")),
            ("::ffff:a01:203", Some("10.1.2.3")),
            ("::FFFF:0A01:0203", Some("10.1.2.3")),
            ("0:0:0:0:0:ffff:a01:203", Some("10.1.2.3")),
            ("0000:0000:0000:0000:0000:FFFF:10.1.2.3", Some("10.1.2.3")),
            ("::ffff:a01:203/128", Some("10.1.2.3/32")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("::ffff:0:0/95", Some("::ffff:0:0/95")),
            ("10.1.2.3", Some("10.1.2.3")),
            ("::a01:203", Some("::a01:203")),
            ("64:ff9b::10.1.2.3", Some("64:ff9b:0:0:0:0:a01:203")),
            ("fe80::1%eth0", None),
            ("010.1.2.3", None),
            ("::ffff:10.1.2.3/129", None),
            ("::ffff:10.1.2.3/096", None),
            ("::ffff:10.1.2.3/+96", None),
            ("localhost", None),
        ] {
            assert_eq!(of(text).as_deref(), expected, "{text}");
        }
    }

    /// Two texts are spelt alike if, and only if, Cedar takes them for equal.
    #[test]
    fn a_value_has_one_canonical_spelling() {
        use Extension::{Datetime, Decimal, Duration, Ip};
        let all = [
            (Ip, "1.2.3.4"),
            (Ip, "1.2.3.4/32"),
            (Ip, "1.2.3.4/24"),
            (Ip, "::1"),
            (Ip, "0:0::1/128"),
            (Ip, "::1/64"),
            (Decimal, "1.0"),
            (Decimal, "1.0000"),
            (Decimal, "-0.0"),
            (Decimal, "0.00"),
            (Decimal, "1.01"),
            (Datetime, "2024-01-01"),
            (Datetime, "2024-01-01T00:00:00Z"),
            (Datetime, "2024-01-01T00:00:00.000Z"),
            (Datetime, "2024-01-01T01:00:00+0100"),
            (Datetime, "2024-01-01T00:00:00.001Z"),
            (Datetime, "9999-12-31T23:59:59-0100"),
            (Datetime, "0000-01-01T00:00:00+0100"),
            (Duration, "1d"),
            (Duration, "24h"),
            (Duration, "1m30s"),
            (Duration, "90s"),
            (Duration, "-90s"),
            (Duration, "90000ms"),
        ];
        let constructor = |extension| match extension {
            Ip => "ip",
            Decimal => "decimal",
            Datetime => "datetime",
            Duration => "duration",
        };
        for ((extension, left), (other, right)) in
            all.iter().flat_map(|one| all.iter().map(move |other| (*one, *other)))
        {
            if extension != other {
                continue;
            }
            let name = constructor(extension);
            let text = format!("{name}({left:?}) == {name}({right:?})");
            let expression: cedar_policy::Expression = text.parse().unwrap();
            let uid = || "Any::\"a\"".parse().unwrap();
            let request = cedar_policy::Request::new(uid(), uid(), uid(), Context::empty(), None).unwrap();
            let equal = cedar_policy::eval_expression(&request, &cedar_policy::Entities::empty(), &expression).unwrap();
            let same = canonical(extension, left) == canonical(extension, right);
            assert_eq!(equal, cedar_policy::EvalResult::Bool(same), "{text}");
        }
    }
}
