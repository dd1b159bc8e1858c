//! Sizes and times as a person writes them.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::store::nearest::nearest;

/// A number of bytes, or of `kB`, `MB`, `GB` (by 1,000) or `KiB`, `MiB`, `GiB` (by 1,024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Size(pub(super) u64);

/// How long something may take: a number of seconds, or of `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Time(pub(super) Duration);

/// How old something is: a number of `ms`, `s`, `m`, `h` or `d`, and not 0. Without a unit, nobody knows of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Age(pub(super) Duration);

/// A number of things, without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Count(pub(super) usize);

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// In milliseconds.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// No setting is meant for longer, and clocks can tell no time that is much later.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "a size is a number of bytes, or one with a unit: `500kB`, `1MB` (by 1,000), `64KiB`, `1MiB` (by 1,024)";
        quantity(text, &SIZES, Some("B"), FORM).map(Self)
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "a time is a number of seconds, or one with a unit: `250ms`, `30s`, `5m`, `1h`";
        let time = Duration::from_millis(quantity(text, &TIMES, Some("s"), FORM)?);
        if time > LONGEST { Err("no setting is meant for more than 136 years".to_owned()) } else { Ok(Self(time)) }
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "an age is a number of seconds, minutes, hours or days, as `30s`, `10m`, `12h` or `90d`, and not 0";
        match quantity(text, &TIMES, None, FORM)? {
            0 => Err(FORM.to_owned()),
            age => Ok(Self(Duration::from_millis(age))),
        }
    }
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "a count is a whole number, without a unit".to_owned())
    }
}

/// A number with one of these units, in the smallest of them; where it has none, in the usual one. `form` says what is written so.
fn quantity(text: &str, units: &[(&str, u64)], usual: Option<&str>, form: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or(form)?;
    let unit = unit.trim_start();
    let unit = if unit.is_empty() { usual.unwrap_or_default() } else { unit };
    match (number.parse::<u64>(), units.iter().find(|(name, _)| *name == unit)) {
        (Ok(number), Some((_, factor))) => {
            number.checked_mul(*factor).ok_or_else(|| format!("`{text}` is more than can be counted"))
        }
        (Ok(number), None) => match nearest(unit, units.iter().map(|(name, _)| *name)) {
            Some(meant) => Err(format!("{form}; did you mean `{number}{meant}`?")),
            None => Err(form.to_owned()),
        },
        (Err(_), _) => Err(form.to_owned()),
    }
}

/// A setting as it stands in a file: a number, or a text.
struct Written(String);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = Written;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a number, or a text of a number and a unit")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Written, E> {
                Ok(Written(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Written, E> {
                Ok(Written(number.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
                Ok(Written(text.to_owned()))
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}

/// What is written in a file is read as on the command line.
macro_rules! as_on_the_command_line {
    ($($quantity:ty),*) => {$(
        impl TryFrom<Written> for $quantity {
            type Error = String;

            fn try_from(Written(text): Written) -> Result<Self, String> {
                text.parse()
            }
        }
    )*};
}

as_on_the_command_line!(Size, Time, Age, Count);

#[cfg(test)]
mod tests {
    use super::{Age, Size, Time};

    /// "`kB` and `MB` by 1,000, `KiB` and `MiB` by 1,024, `30s`; a plain number as before"
    #[test]
    fn sizes_and_times_are_read_as_a_person_writes_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1_048_576),
            ("7B", 7),
            ("500kB", 500_000),
            ("1MB", 1_000_000),
            ("2 GB", 2_000_000_000),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("1 GiB", 1_073_741_824),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for (text, milliseconds) in
            [("10", 10_000), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(text.parse::<Time>().unwrap().0.as_millis(), milliseconds, "{text}");
        }
        assert_eq!("90d".parse::<Age>().unwrap().0.as_secs(), 90 * 86_400);
        for text in ["", "MB", "-1", "1.5MB", "1M", "1 k B", "1e3", "18446744073709551616", "18446744073709551615kB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        for text in ["", "s", "1y", "1 month", "999999999999999d", "137000000m"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
        assert!("90".parse::<Age>().is_err() && "0d".parse::<Age>().is_err());
        assert!("1mb".parse::<Size>().unwrap_err().ends_with("did you mean `1MB`?"));
        assert!("5kib".parse::<Size>().unwrap_err().ends_with("did you mean `5KiB`?"));
        assert!("3sec".parse::<Time>().is_err());
    }
}
