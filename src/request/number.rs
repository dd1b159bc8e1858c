//! Numbers by their text, exactly: never through a binary fraction.

/// A number in JSON's notation (RFC 8259, section 6) that is not only digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    /// The digits that count: without zeros at either end; none for zero.
    digits: String,
    /// The power of ten by which the digits are multiplied.
    exponent: i64,
}

/// More digits than any value has that is read: 64 bits take 19.
const MOST_DIGITS: i64 = 20;

/// How many digits behind the point a `decimal` of Cedar has.
const DECIMAL_PLACES: i64 = 4;

impl Number {
    /// The number that a text of JSON's notation says; `None` where it is not zero and its exponent is beyond 18 digits, or it is no number.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (rest, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let counted = all.trim_end_matches('0');
        let behind = i64::try_from(fraction.len()).ok()?;
        let dropped = i64::try_from(all.len() - counted.len()).ok()?;
        let digits = counted.trim_start_matches('0').to_owned();
        // Zero is zero with any exponent.
        let exponent = match exponent {
            Some(exponent) if digits.is_empty() => is_exponent(exponent).then_some(0)?,
            Some(exponent) => exponent_of(exponent)?.checked_sub(behind)?.checked_add(dropped)?,
            None if digits.is_empty() => 0,
            None => dropped - behind,
        };
        Some(Self { negative: negative && !digits.is_empty(), digits, exponent })
    }

    /// The whole number that it is; `None` where it has a fraction or is beyond 64 bits.
    pub fn to_long(&self) -> Option<i64> {
        self.times_ten_to(0)
    }

    /// As a whole number that is not negative, for what may be of any size: one that is too large becomes the largest.
    pub fn to_count(&self) -> Option<u64> {
        if self.exponent < 0 || self.negative {
            return None;
        }
        Some(self.scaled(0).and_then(|value| u64::try_from(value).ok()).unwrap_or(u64::MAX))
    }

    /// The text of the `decimal` of Cedar that it is; `None` where more than four digits count behind the point, or it is too large.
    pub fn to_decimal(&self) -> Option<String> {
        self.times_ten_to(DECIMAL_PLACES).map(decimal)
    }

    /// Whether more digits count behind the point than a `decimal` of Cedar has.
    pub fn is_too_fine(&self) -> bool {
        self.exponent < -DECIMAL_PLACES
    }

    fn times_ten_to(&self, places: i64) -> Option<i64> {
        i64::try_from(self.scaled(places)?).ok()
    }

    fn scaled(&self, places: i64) -> Option<i128> {
        let zeros = self.exponent.checked_add(places).filter(|zeros| *zeros >= 0)?;
        let length = i64::try_from(self.digits.len()).ok()?;
        if self.digits.is_empty() {
            return Some(0);
        }
        if length.checked_add(zeros)? > MOST_DIGITS {
            return None;
        }
        let value = self.digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
        Some(if self.negative { -value } else { value })
    }
}

/// The text of a `decimal` of Cedar, of a whole number of its last place.
pub fn decimal(value: i64) -> String {
    let size = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:04}", size / 10_000, size % 10_000)
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exponent may have any number of zeros in front.
fn exponent_of(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let counted = digits.trim_start_matches('0');
    if !is_exponent(text) || counted.len() > 18 {
        return None;
    }
    let size = if counted.is_empty() { 0 } else { counted.parse::<i64>().ok()? };
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_14_a_whole_number_in_any_spelling_is_that_long() {
        for (text, expected) in [
            ("1.0", Some(1)),
            ("1e0", Some(1)),
            ("-0", Some(0)),
            ("-0.000e5", Some(0)),
            ("0e999999999999999999999", Some(0)),
            ("0e+-1", None),
            ("12.50e1", Some(125)),
            ("1e18", Some(1_000_000_000_000_000_000)),
            ("1e19", None),
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("9223372036854775807.000", Some(i64::MAX)),
            ("-9223372036854775808.0", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1000000000000000000000e-21", Some(1)),
            ("1.5", None),
            ("1e-1", None),
            ("1e400", None),
        ] {
            assert_eq!(Number::parse(text).and_then(|number| number.to_long()), expected, "{text}");
        }
    }

    #[test]
    fn rule_14_a_number_of_at_most_four_digits_that_count_behind_the_point_is_a_decimal() {
        for (text, expected) in [
            ("1.5", Some("1.5000")),
            ("0.1", Some("0.1000")),
            ("-0.00010000", Some("-0.0001")),
            ("7", Some("7.0000")),
            ("12e-4", Some("0.0012")),
            ("12e-5", None),
            ("1.23450", Some("1.2345")),
            ("1.23456", None),
            ("922337203685477.5807", Some("922337203685477.5807")),
            ("-922337203685477.5808", Some("-922337203685477.5808")),
            ("922337203685477.5808", None),
        ] {
            let number = Number::parse(text).unwrap();
            assert_eq!(number.to_decimal().as_deref(), expected, "{text}");
            // Cedar reads what is written, as the same.
            if let Some(decimal) = expected {
                let text = format!("decimal({decimal:?})");
                assert!(text.parse::<cedar_policy::Expression>().is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn a_count_may_be_of_any_size_but_not_negative_or_broken() {
        for (text, expected) in
            [("10.0", Some(10)), ("1e300", Some(u64::MAX)), ("-1.0", None), ("1.5", None), ("-0", Some(0))]
        {
            assert_eq!(Number::parse(text).unwrap().to_count(), expected, "{text}");
        }
    }
}
