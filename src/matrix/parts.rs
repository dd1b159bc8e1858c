//! What is reckoned from a time or a duration before it is compared: how many hours it has, on which day it is, how long it is since
//! another. Such a part passes a number where the whole passes others, which are reckoned backwards here.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{Expr, ExprKind, Literal, UnaryOp};

use super::boundaries::{DAY, whole};
use super::reads::extension_literal;
use crate::store::schema::Extension;

/// A part of what an expression says.
#[derive(Debug)]
pub(super) struct TimePart<'e> {
    /// The whole.
    pub(super) whole: &'e Expr,
    /// What the whole is.
    pub(super) extension: Extension,
    /// What is reckoned from it, the first step first.
    steps: Vec<Reckoned>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reckoned {
    /// How many units of so many milliseconds it has, without a fraction.
    Units(i64),
    /// The time so many milliseconds later.
    Later(i64),
    /// The beginning of its day.
    Day,
    /// How long after the beginning of its day it is.
    TimeOfDay,
}

/// Where a whole is, when its part passes a number.
#[derive(Debug, PartialEq)]
pub(super) enum Passes {
    /// At one of these numbers, or next to it.
    At(BTreeSet<i64>),
    /// On each day, at one of these times, or next to it.
    EachDayAt(BTreeSet<i64>),
}

impl<'e> TimePart<'e> {
    /// The part that an expression is; `None` where it is none, or one that is reckoned with other values than such that are written
    /// out.
    pub(super) fn of(expression: &'e Expr) -> Option<Self> {
        let (extension, step, whole) = reckoned(expression)?;
        Some(match Self::of(whole) {
            Some(mut inner) => {
                inner.steps.push(step);
                inner
            }
            None => Self { whole, extension, steps: vec![step] },
        })
    }

    /// Where the whole is, when the part passes a number; `None` where that cannot be said.
    pub(super) fn passes(&self, number: i64) -> Option<Passes> {
        let (each_day, steps) = match self.steps.as_slice() {
            [Reckoned::TimeOfDay, rest @ ..] => (true, rest),
            steps => (false, steps),
        };
        let values = steps.iter().rev().try_fold(BTreeSet::from([number]), |values, step| {
            let before = values.into_iter().map(|value| step.before(value)).collect::<Option<Vec<_>>>()?;
            Some(before.into_iter().flatten().collect())
        })?;
        Some(if each_day { Passes::EachDayAt(values) } else { Passes::At(values) })
    }
}

impl Reckoned {
    /// What it reckons a number from, or something next to it; `None` where that lies on each day.
    fn before(self, value: i64) -> Option<Vec<i64>> {
        Some(match self {
            Self::Units(unit) => [-1, 0, 1].map(|more| value.saturating_add(more).saturating_mul(unit)).to_vec(),
            Self::Later(by) => vec![value.saturating_sub(by)],
            Self::Day => [0, 1].map(|more| value.div_euclid(DAY).saturating_add(more).saturating_mul(DAY)).to_vec(),
            Self::TimeOfDay => return None,
        })
    }
}

/// What the outermost function of an expression reckons, of which type of value, and from what.
fn reckoned(expression: &Expr) -> Option<(Extension, Reckoned, &Expr)> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expression.expr_kind() else { return None };
    let whole = args.first()?;
    let (extension, step) = match (fn_name.to_string().as_str(), args.get(1)) {
        ("toMilliseconds", None) => (Extension::Duration, Reckoned::Units(1)),
        ("toSeconds", None) => (Extension::Duration, Reckoned::Units(1000)),
        ("toMinutes", None) => (Extension::Duration, Reckoned::Units(60_000)),
        ("toHours", None) => (Extension::Duration, Reckoned::Units(3_600_000)),
        ("toDays", None) => (Extension::Duration, Reckoned::Units(DAY)),
        ("toDate", None) => (Extension::Datetime, Reckoned::Day),
        ("toTime", None) => (Extension::Datetime, Reckoned::TimeOfDay),
        ("offset", Some(by)) => (Extension::Datetime, Reckoned::Later(number(by)?)),
        ("durationSince", Some(since)) => (Extension::Datetime, Reckoned::Later(number(since)?.checked_neg()?)),
        _ => return None,
    };
    Some((extension, step, whole))
}

/// The number that is written out: a Long, or a value of an extension type in its smallest amount.
pub(super) fn number(expression: &Expr) -> Option<i64> {
    match expression.expr_kind() {
        ExprKind::Lit(Literal::Long(value)) => Some(*value),
        ExprKind::UnaryApp { op: UnaryOp::Neg, arg } => number(arg)?.checked_neg(),
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            let (extension, text) = extension_literal(&fn_name.to_string(), args)?;
            whole(extension, &text)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a part of a time or a duration passes a number, the whole passes one of those that are reckoned backwards.
    #[test]
    fn a_part_is_reckoned_backwards() {
        let hour = 3_600_000;
        for (text, number, expected) in [
            ("context.d.toHours()", 5, Some(Passes::At([4 * hour, 5 * hour, 6 * hour].into()))),
            ("context.t.toDate()", DAY + 1, Some(Passes::At([DAY, 2 * DAY].into()))),
            ("context.t.toTime()", hour, Some(Passes::EachDayAt([hour].into()))),
            ("context.t.offset(duration(\"1h\"))", 0, Some(Passes::At([-hour].into()))),
            (
                "context.t.durationSince(datetime(\"1970-01-02\")).toDays()",
                0,
                Some(Passes::At([0, DAY, 2 * DAY].into())),
            ),
            ("context.t.toTime().toHours()", 9, Some(Passes::EachDayAt([8 * hour, 9 * hour, 10 * hour].into()))),
            ("context.t.toDate().toTime()", 9, None),
            ("context.t.offset(context.d)", 0, None),
            ("context.t", 0, None),
        ] {
            let expression: Expr = text.parse().unwrap();
            assert_eq!(TimePart::of(&expression).and_then(|part| part.passes(number)), expected, "{text}");
        }
    }
}
