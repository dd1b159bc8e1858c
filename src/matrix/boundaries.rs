//! The values around a literal: the last on one side, the literal, the first on the other.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cedar_policy_core::ast::PatternElem;
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use smol_str::{SmolStr, format_smolstr};

use crate::store::schema::Extension;

/// The Longs at the boundaries of `literals`, and the least, the greatest and zero; the smallest amounts first.
pub(super) fn of_longs(literals: &BTreeSet<i64>) -> Vec<i64> {
    let around = |value: &i64| [value.saturating_sub(1), *value, value.saturating_add(1)];
    let found: BTreeSet<i64> = literals.iter().flat_map(around).chain([0, i64::MIN, i64::MAX]).collect();
    let mut found: Vec<i64> = found.into_iter().collect();
    found.sort_by_key(|value| (value.unsigned_abs(), *value < 0));
    found
}

/// Strings that a `like` pattern matches: with nothing and with something in place of each wildcard.
pub(super) fn of_pattern(pattern: &[PatternElem]) -> [SmolStr; 2] {
    ["", "x"].map(|filler| {
        let mut text = String::new();
        for element in pattern {
            match element {
                PatternElem::Char(character) => text.push(*character),
                PatternElem::Wildcard => text.push_str(filler),
            }
        }
        text.into()
    })
}

/// The values of an extension type around a literal of it, as Cedar reads them; the literal alone where there are no others.
pub(super) fn of_extension(extension: Extension, literal: &str) -> Vec<SmolStr> {
    let around = match extension {
        Extension::Ip => around_range(literal),
        Extension::Decimal => around_decimal(literal),
        Extension::Datetime => around_datetime(literal),
        Extension::Duration => around_duration(literal),
    };
    around.unwrap_or_else(|| vec![literal.into()])
}

/// The first and the last address of a range, and their neighbours outside.
fn around_range(literal: &str) -> Option<Vec<SmolStr>> {
    let (address, length) = match literal.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (literal, None),
    };
    let (value, bits) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let free = bits - length.unwrap_or(bits).min(bits);
    let inside = 1_u128.checked_shl(free).map_or(u128::MAX, |count| count - 1);
    let (first, last) = (value & !inside, value | inside);
    let greatest = u128::MAX >> (128 - bits);
    let values = BTreeSet::from([first.saturating_sub(1), first, last, last.saturating_add(1).min(greatest)]);
    let show = |value| {
        let address = if bits == 32 {
            IpAddr::V4(Ipv4Addr::from(u32::try_from(value).ok()?))
        } else {
            IpAddr::V6(Ipv6Addr::from(value))
        };
        Some(format_smolstr!("{address}"))
    };
    values.into_iter().map(show).collect()
}

/// One ten-thousandth, the smallest amount, to each side.
fn around_decimal(literal: &str) -> Option<Vec<SmolStr>> {
    let (whole, fraction) = literal.split_once('.')?;
    let padded = format!("{whole}{fraction:0<4}");
    let value: i64 = padded.parse().ok()?;
    let show = |value: i64| {
        let sign = if value < 0 { "-" } else { "" };
        let amount = value.unsigned_abs();
        format_smolstr!("{sign}{}.{:04}", amount / 10_000, amount % 10_000)
    };
    Some([value.saturating_sub(1), value, value.saturating_add(1)].map(show).to_vec())
}

/// One millisecond to each side.
fn around_datetime(literal: &str) -> Option<Vec<SmolStr>> {
    let midnight =
        || NaiveDate::parse_from_str(literal, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|time| time.and_utc());
    let offset =
        || DateTime::parse_from_str(literal, "%Y-%m-%dT%H:%M:%S%.f%z").ok().map(|time| time.with_timezone(&Utc));
    let zulu = || DateTime::parse_from_rfc3339(literal).ok().map(|time| time.with_timezone(&Utc));
    let time = zulu().or_else(offset).or_else(midnight)?;
    let show = |time: DateTime<Utc>| SmolStr::from(time.to_rfc3339_opts(SecondsFormat::Millis, true));
    let around = [-1, 0, 1].map(|milliseconds| time.checked_add_signed(TimeDelta::milliseconds(milliseconds)));
    around.into_iter().map(|time| time.map(show)).collect()
}

/// One millisecond to each side.
fn around_duration(literal: &str) -> Option<Vec<SmolStr>> {
    let (negative, mut rest) = match literal.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, literal),
    };
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let units = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
        let (name, milliseconds) = units.into_iter().find(|(name, _)| unit.starts_with(name))?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(milliseconds)?)?;
        rest = unit.strip_prefix(name)?;
    }
    let value = if negative { -total } else { total };
    Some([value.saturating_sub(1), value, value.saturating_add(1)].map(|value| format_smolstr!("{value}ms")).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_stand_at_the_boundaries_of_the_literals() {
        assert_eq!(of_longs(&BTreeSet::from([5])), [0, 4, 5, 6, i64::MAX, i64::MIN]);
        assert_eq!(of_longs(&BTreeSet::new()), [0, i64::MAX, i64::MIN]);
    }

    #[test]
    fn extension_values_stand_at_the_boundaries_of_the_literals() {
        for (extension, literal, expected) in [
            (Extension::Ip, "10.0.0.0/8", "9.255.255.255 10.0.0.0 10.255.255.255 11.0.0.0"),
            (Extension::Ip, "10.1.2.3", "10.1.2.2 10.1.2.3 10.1.2.4"),
            (Extension::Ip, "0.0.0.0/0", "0.0.0.0 255.255.255.255"),
            (Extension::Ip, "::1", ":: ::1 ::2"),
            (Extension::Decimal, "1.5", "1.4999 1.5000 1.5001"),
            (Extension::Decimal, "-0.0001", "-0.0002 -0.0001 0.0000"),
            (
                Extension::Datetime,
                "2024-03-01",
                "2024-02-29T23:59:59.999Z 2024-03-01T00:00:00.000Z 2024-03-01T00:00:00.001Z",
            ),
            (
                Extension::Datetime,
                "2024-01-01T02:00:00+0200",
                "2023-12-31T23:59:59.999Z 2024-01-01T00:00:00.000Z 2024-01-01T00:00:00.001Z",
            ),
            (Extension::Duration, "1h30m", "5399999ms 5400000ms 5400001ms"),
            (Extension::Duration, "-5ms", "-6ms -5ms -4ms"),
        ] {
            assert_eq!(of_extension(extension, literal).join(" "), expected, "{literal}");
        }
    }
}
