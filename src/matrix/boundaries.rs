//! The values around a literal: the last on one side, the literal, the first on the other.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Datelike, SecondsFormat};
use smol_str::{SmolStr, format_smolstr};

use crate::request::extension;
use crate::store::schema::Extension;

/// The Longs that comparisons of so many places with each other and with `literals` can tell apart, and the least, the greatest and
/// zero; the smallest amounts first.
pub(super) fn of_longs(literals: &BTreeSet<i64>, places: usize) -> Vec<i64> {
    let found: BTreeSet<i64> = around(literals, places).into_iter().chain([0, i64::MIN, i64::MAX]).collect();
    let mut found: Vec<i64> = found.into_iter().collect();
    found.sort_by_key(|value| (value.unsigned_abs(), *value < 0));
    found
}

/// The values of an extension type that comparisons of so many places with each other and with these literals can tell apart, as
/// Cedar reads them. Of addresses that is so for two places, of the others for [`MOST_FRESH`](super::domain::MOST_FRESH).
pub(super) fn of_extension(
    extension: Extension,
    literals: &[SmolStr],
    times_of_day: &BTreeSet<i64>,
    places: usize,
) -> Vec<SmolStr> {
    if extension == Extension::Ip {
        return of_addresses(literals);
    }
    let values: BTreeSet<i64> = literals.iter().filter_map(|literal| whole(extension, literal)).collect();
    let mut found = around(&values, places);
    let days = || values.iter().chain([&0]).flat_map(|value| [-1, 0, 1].map(|day| value.div_euclid(DAY) + day));
    for time in times_of_day.iter().flat_map(|time| [time - 1, *time, time + 1]).filter(|time| (0..DAY).contains(time))
    {
        found.extend(days().map(|day| day * DAY + time));
    }
    let written = found.into_iter().filter_map(|value| written(extension, value));
    // What is no number stands for itself.
    let others = literals.iter().filter(|literal| whole(extension, literal).is_none()).cloned();
    written.chain(others).collect()
}

/// So many milliseconds have a day.
pub(super) const DAY: i64 = 86_400_000;

/// Values that stand to these as so many places can, whose values are compared with them and with each other: on each side of each
/// as many as there are places.
fn around(values: &BTreeSet<i64>, places: usize) -> BTreeSet<i64> {
    let places = i64::try_from(places.max(1)).unwrap_or(i64::MAX);
    values.iter().flat_map(|value| (-places..=places).map(|distance| value.saturating_add(distance))).collect()
}

/// A value as a whole number of the smallest amount of its type: ten-thousandths of a decimal, and milliseconds; `None` for an
/// address, and for what cannot be read.
pub(super) fn whole(of: Extension, literal: &str) -> Option<i64> {
    match of {
        Extension::Ip => None,
        Extension::Decimal => {
            let (whole, fraction) = literal.split_once('.')?;
            format!("{whole}{fraction:0<4}").parse().ok()
        }
        Extension::Datetime => extension::milliseconds(literal).map(|(time, _)| time),
        Extension::Duration => i64::try_from(extension::duration(literal)?).ok(),
    }
}

/// The value of so many of the smallest amount, as Cedar reads it; `None` where there is none.
pub(super) fn written(extension: Extension, value: i64) -> Option<SmolStr> {
    match extension {
        Extension::Ip => None,
        Extension::Decimal => {
            let sign = if value < 0 { "-" } else { "" };
            let amount = value.unsigned_abs();
            Some(format_smolstr!("{sign}{}.{:04}", amount / 10_000, amount % 10_000))
        }
        Extension::Datetime => {
            let time = DateTime::from_timestamp_millis(value).filter(|time| (0..=9999).contains(&time.year()))?;
            Some(time.to_rfc3339_opts(SecondsFormat::Millis, true).into())
        }
        Extension::Duration => Some(format_smolstr!("{value}ms")),
    }
}

/// Of each range the first and the last address, their neighbours outside, the range itself and one that is written otherwise; of each
/// kind of address that there is among them, all of them: what lies in none of the ranges.
fn of_addresses(literals: &[SmolStr]) -> Vec<SmolStr> {
    let mut addresses = BTreeSet::new();
    let mut ranges = BTreeSet::new();
    for literal in literals {
        let Some(range) = Range::read(literal) else { continue };
        let neighbours = [range.first.checked_sub(1), range.last.checked_add(1)].into_iter().flatten();
        addresses.extend(neighbours.chain([range.first, range.last]).filter_map(|value| range.address(value)));
        if range.length < range.bits {
            ranges.extend(range.address(range.last).map(|last| format_smolstr!("{last}/{}", range.length)));
        }
        ranges.extend([literal.clone(), if range.bits == 32 { "0.0.0.0/0".into() } else { "::/0".into() }]);
    }
    let ranges = ranges.into_iter().filter(|range| !addresses.contains(range));
    let addresses = addresses.iter().cloned();
    addresses.chain(ranges).collect()
}

/// A range of addresses; of one address, if the length is all bits.
struct Range {
    first: u128,
    last: u128,
    bits: u32,
    length: u32,
}

impl Range {
    fn read(literal: &str) -> Option<Self> {
        let (address, length) = match literal.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (literal, None),
        };
        let (value, bits) = match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let length = length.unwrap_or(bits).min(bits);
        let inside = 1_u128.checked_shl(bits - length).map_or(u128::MAX, |count| count - 1);
        Some(Self { first: value & !inside, last: value | inside, bits, length })
    }

    /// `None` where there is no such address.
    fn address(&self, value: u128) -> Option<SmolStr> {
        Some(match self.bits {
            32 => format_smolstr!("{}", Ipv4Addr::from(u32::try_from(value).ok()?)),
            _ => format_smolstr!("{}", Ipv6Addr::from(value)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_stand_at_the_boundaries_of_the_literals() {
        assert_eq!(of_longs(&BTreeSet::from([5]), 1), [0, 4, 5, 6, i64::MAX, i64::MIN]);
        assert_eq!(of_longs(&BTreeSet::new(), 1), [0, i64::MAX, i64::MIN]);
        // Three places between two literals can all be different, and in any order.
        assert_eq!(of_longs(&BTreeSet::from([10]), 3), [0, 7, 8, 9, 10, 11, 12, 13, i64::MAX, i64::MIN]);
    }

    fn values(extension: Extension, literals: &[&str], times_of_day: &[i64]) -> String {
        let literals: Vec<SmolStr> = literals.iter().copied().map(SmolStr::from).collect();
        of_extension(extension, &literals, &times_of_day.iter().copied().collect(), 1).join(" ")
    }

    #[test]
    fn extension_values_stand_at_the_boundaries_of_the_literals() {
        for (extension, literal, expected) in [
            (
                Extension::Ip,
                "10.0.0.0/8",
                "10.0.0.0 10.255.255.255 11.0.0.0 9.255.255.255 0.0.0.0/0 10.0.0.0/8 10.255.255.255/8",
            ),
            (Extension::Ip, "10.1.2.3", "10.1.2.2 10.1.2.3 10.1.2.4 0.0.0.0/0"),
            (Extension::Ip, "0.0.0.0/0", "0.0.0.0 255.255.255.255 0.0.0.0/0 255.255.255.255/0"),
            (Extension::Ip, "::1", ":: ::1 ::2 ::/0"),
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
            assert_eq!(values(extension, &[literal], &[]), expected, "{literal}");
        }
    }

    #[test]
    fn each_time_of_day_is_there_on_each_side_of_each_time() {
        let found = values(Extension::Datetime, &["2024-03-01T12:00:00Z"], &[DAY / 4]);
        for (day, time) in
            [("02-29", "06:00:00.000"), ("03-01", "05:59:59.999"), ("03-01", "12:00:00.001"), ("03-02", "06:00:00.001")]
        {
            assert!(found.contains(&format!("2024-{day}T{time}Z")), "{day} {time}: {found}");
        }
    }
}
