//! Strings that show in how many ways patterns can match together.
//!
//! A pattern of `like` is a small automaton: its states are how much of it has been matched. Those of all patterns are walked
//! together, breadth first, so that each combination of which match and which do not is met by its shortest strings
//! (the product construction, with each state visited as often as strings are wanted: the K shortest walks).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cedar_policy_core::ast::{Pattern, PatternElem};
use smol_str::SmolStr;

/// The most strings that are looked at, and the most combinations: beyond them, not all are found.
const MOST_STEPS: usize = 20_000;
const MOST_COMBINATIONS: usize = 64;

/// Strings that show the combinations of matching patterns.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Witnesses {
    /// So many of each combination as are wanted, or as there are.
    pub(super) strings: Vec<SmolStr>,
    /// Whether there may be combinations that none of them shows.
    pub(super) incomplete: bool,
}

/// How much of each pattern has been matched by a string.
type State = Vec<BTreeSet<usize>>;

/// `each` strings of each combination, none of which is one of `literals`; those of `known` count first.
pub(super) fn witnesses(
    patterns: &[Pattern],
    each: usize,
    literals: &BTreeSet<SmolStr>,
    known: &[SmolStr],
) -> Witnesses {
    let patterns: Vec<&[PatternElem]> = patterns.iter().map(|pattern| pattern.get_elems()).collect();
    let mut shown: BTreeMap<Vec<bool>, Vec<SmolStr>> = BTreeMap::new();
    for text in known.iter().filter(|text| !literals.contains(*text)) {
        let state = text.chars().fold(start(&patterns), |state, character| step(&patterns, &state, character));
        shown.entry(matching(&patterns, &state)).or_default().push(text.clone());
    }
    let alphabet = alphabet(&patterns);
    let mut visits: BTreeMap<State, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([(start(&patterns), String::new())]);
    let mut steps = 0;
    while let Some((state, text)) = queue.pop_front() {
        let visited = visits.entry(state.clone()).or_default();
        // Some of them may be literals, which are none.
        if *visited >= each + literals.len() {
            continue;
        }
        *visited += 1;
        steps += 1;
        if steps > MOST_STEPS || shown.len() > MOST_COMBINATIONS {
            break;
        }
        if !literals.contains(text.as_str()) {
            let found = shown.entry(matching(&patterns, &state)).or_default();
            if found.len() < each && !found.iter().any(|found| *found == text) {
                found.push(SmolStr::new(&text));
            }
        }
        queue.extend(
            alphabet.iter().map(|character| (step(&patterns, &state, *character), format!("{text}{character}"))),
        );
    }
    Witnesses {
        strings: shown.into_values().flatten().filter(|text| !known.contains(text)).collect(),
        incomplete: !queue.is_empty(),
    }
}

/// The characters of the patterns, and one that is in none of them.
fn alphabet(patterns: &[&[PatternElem]]) -> BTreeSet<char> {
    let characters = patterns.iter().copied().flatten().filter_map(|element| match element {
        PatternElem::Char(character) => Some(*character),
        PatternElem::Wildcard => None,
    });
    let named: BTreeSet<char> = characters.collect();
    let other = ('a'..='z').rev().chain('\u{100}'..).find(|character| !named.contains(character));
    named.into_iter().chain(other).collect()
}

fn start(patterns: &[&[PatternElem]]) -> State {
    patterns.iter().map(|pattern| past_wildcards(pattern, [0])).collect()
}

fn step(patterns: &[&[PatternElem]], state: &State, character: char) -> State {
    let one = |(pattern, reached): (&&[PatternElem], &BTreeSet<usize>)| {
        let next = reached.iter().filter_map(|place| match pattern.get(*place)? {
            PatternElem::Wildcard => Some(*place),
            PatternElem::Char(expected) => (*expected == character).then_some(place + 1),
        });
        past_wildcards(pattern, next)
    };
    patterns.iter().zip(state).map(one).collect()
}

/// These places, and those behind wildcards, which may stand for nothing.
fn past_wildcards(pattern: &[PatternElem], places: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    for mut place in places {
        while all.insert(place) && matches!(pattern.get(place), Some(PatternElem::Wildcard)) {
            place += 1;
        }
    }
    all
}

fn matching(patterns: &[&[PatternElem]], state: &State) -> Vec<bool> {
    patterns.iter().zip(state).map(|(pattern, reached)| reached.contains(&pattern.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        let element = |character| if character == '*' { PatternElem::Wildcard } else { PatternElem::Char(character) };
        text.chars().map(element).collect()
    }

    /// Every combination that some string over the characters has, up to six of them, is among those of the witnesses.
    #[test]
    fn every_combination_of_patterns_has_a_witness() {
        for texts in [
            vec!["a*"],
            vec!["a*", "*b"],
            vec!["*a*", "*b*", "ab"],
            vec!["a*b", "ab*", "*"],
            vec!["", "*", "aa*a"],
            vec!["*ab*", "*ba*", "a*a"],
        ] {
            let patterns: Vec<Pattern> = texts.iter().copied().map(pattern).collect();
            let combination =
                |text: &str| patterns.iter().map(|pattern| pattern.wildcard_match(text)).collect::<Vec<_>>();
            let found = witnesses(&patterns, 1, &BTreeSet::new(), &[]);
            assert!(!found.incomplete, "{texts:?}");
            let shown: BTreeSet<Vec<bool>> = found.strings.iter().map(|text| combination(text)).collect();
            let mut all = vec![String::new()];
            for _ in 0..6 {
                let longer = all.iter().flat_map(|text| ["a", "b", "z"].map(|character| format!("{text}{character}")));
                all = all.iter().cloned().chain(longer).collect::<BTreeSet<_>>().into_iter().collect();
            }
            let expected: BTreeSet<Vec<bool>> = all.iter().map(|text| combination(text)).collect();
            assert_eq!(shown, expected, "{texts:?}: {:?}", found.strings);
        }
    }

    /// A literal that a pattern matches shows nothing of the others that it matches; so many are found as are wanted, or as there are.
    #[test]
    fn literals_are_no_witnesses() {
        let literals = BTreeSet::from([SmolStr::new("a"), SmolStr::new("ab")]);
        let found = witnesses(&[pattern("a*"), pattern("ab")], 2, &literals, &["other-1".into(), "other-2".into()]);
        assert_eq!(found, Witnesses { strings: vec!["aa".into(), "az".into()], incomplete: false });
    }
}
