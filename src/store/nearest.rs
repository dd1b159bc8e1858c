//! The name that was probably meant, where one is not known.

/// Longer names than this are compared with nothing: they come from callers.
const LONGEST: usize = 100;

/// Of these names the one that is most like that one, if any is like it: but for letter case, hyphens and underscores, or for a few
/// letters.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = plainly(name)?;
    let distances = known.into_iter().filter_map(|known| Some((distance(&plain, &plainly(known)?), known)));
    let (distance, known) = distances.min()?;
    // A third of the letters may differ, and of a short name one.
    (distance <= (plain.len() / 3).max(1) && distance < plain.len()).then_some(known)
}

fn plainly(name: &str) -> Option<Vec<char>> {
    let plain: Vec<char> = name
        .chars()
        .filter(|letter| !matches!(letter, '_' | '-'))
        .flat_map(char::to_lowercase)
        .take(LONGEST + 1)
        .collect();
    (!plain.is_empty() && plain.len() <= LONGEST).then_some(plain)
}

/// How many letters have to be put in, left out, changed, or changed about with their neighbour.
fn distance(one: &[char], other: &[char]) -> usize {
    let first: Vec<usize> = (0..=other.len()).collect();
    let (mut before, mut last) = (Vec::new(), first);
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other_letter) in other.iter().enumerate() {
            let of = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let changed = of(&last, column) + usize::from(letter != other_letter);
            let mut least = changed.min(of(&last, column + 1) + 1).min(of(&next, column) + 1);
            let crossed = row > 0
                && column > 0
                && one.get(row - 1) == Some(other_letter)
                && other.get(column - 1) == Some(letter);
            if crossed {
                least = least.min(of(&before, column - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(one.len())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_one_that_could_have_been_meant() {
        let known = ["deliveryDay", "at_least", "role", "roles", "ip", "strict"];
        for (name, expected) in [
            ("deliveryday", Some("deliveryDay")),
            ("delivery_day", Some("deliveryDay")),
            ("delveryDay", Some("deliveryDay")),
            ("at_leest", Some("at_least")),
            ("rloe", Some("role")),
            ("roless", Some("roles")),
            ("pi", Some("ip")),
            ("stirct", Some("strict")),
            ("x", None),
            ("xy", None),
            ("", None),
            ("phone", None),
            (&"role".repeat(1000), None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
