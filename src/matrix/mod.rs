//! The matrix: every row is exercised on the representative requests that match it.
//!
//! What a row says can depend only on what the row and the policies read. So the representative requests of a row are all
//! combinations of the values that can make a difference there: enumerated types and Booleans in full, optional attributes
//! present and absent, Longs and Strings at the boundaries of the literals that they are compared with and beyond, entities
//! equal and different, related and not. Facts are taken as they are, without plugins. Where the combinations are more than
//! [`MOST_REQUESTS`], that many are taken, evenly spread, and the result says so. Where what makes a difference can lie elsewhere, because
//! numbers are added or multiplied, or a set has many elements, the result names the comparison ([`OpenComparison`]).

mod boundaries;
mod coverage;
mod domain;
mod exercise;
mod exhaustive;
mod moves;
mod outside;
mod parts;
mod patterns;
mod reads;
pub mod sight;
mod space;
mod table;
mod world;

pub use coverage::{ConditionCoverage, Coverage, Points, PolicyCoverage, Sightings};
pub use exercise::{Example, OpenComparison, RowResult, exercise, exercise_with_coverage};
pub use moves::{Outcomes, moves};
pub use outside::outside;
pub use table::{Line, Lines};

/// The most requests that a row is exercised on in one environment.
pub const MOST_REQUESTS: usize = 200_000;

/// All numbers below `size`, or `most` of them, spread over all; and whether there are more.
fn spread(size: u128, most: usize) -> (impl Iterator<Item = u128>, bool) {
    // A prime that divides no product of numbers of choices: its multiples are all different, and near in no dimension.
    const STRIDE: u128 = (1 << 61) - 1;
    let sampled = size > most as u128;
    let (count, stride) = if sampled { (most as u128, STRIDE) } else { (size, 1) };
    ((0..count).map(move |number| number * stride % size), sampled)
}
