//! Holds the phone plugin against libphonenumber by ranges, and not by example numbers.
//!
//! All numbers of a calling code fall into ranges (so many digits, which begin so) that no pattern of its territories can tell apart, neither of
//! the metadata that are compiled in nor of those of the reference: one number of each range stands for all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod phones;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use gatepost::plugin::PhoneMetadata;
use phonenumber::metadata::{DATABASE, loader};
use regex_automata::Anchored;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::util::start;
use regex_automata::util::syntax;

use phones::{Answer, metadata, of_port, ours, reference, uses};

/// The most digits that are tried: one more than libphonenumber takes.
const MOST_DIGITS: usize = 18;

/// A calling code.
struct Code {
    /// The regions that share it.
    regions: BTreeSet<String>,
    /// One number of each range.
    numbers: Vec<String>,
}

/// Every calling code, with one number of each of its ranges.
fn codes() -> BTreeMap<u16, Code> {
    let mut codes: BTreeMap<u16, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for data in metadata() {
        let (regions, patterns) = codes.entry(data.country_code.unwrap()).or_default();
        regions.insert(data.id.clone().unwrap());
        patterns.extend(patterns_of(&data));
    }
    // What was a range ten releases ago is looked at as well: by where it ended, and not only by where it ends now.
    for (code, (_, patterns)) in &mut codes {
        for data in DATABASE.by_code(code).into_iter().flatten() {
            patterns.extend(patterns_of_crate(data));
        }
    }
    let code = |(code, (regions, patterns))| (code, Code { regions, numbers: numbers(&patterns) });
    codes.into_iter().map(code).collect()
}

/// Every expression that matters to whether a number is one of the territory, for a number as a whole.
fn patterns_of(data: &loader::Metadata) -> Vec<String> {
    let uses = uses(data).into_iter().chain([&data.general]).flatten();
    let uses = uses.filter_map(|used| used.national_number.clone()).collect();
    let prefix = data.national_prefix_for_parsing.clone().or(data.national_prefix.clone());
    with_starts(uses, prefix, data.leading_digits.clone())
}

fn patterns_of_crate(data: &phonenumber::Metadata) -> Vec<String> {
    let all = data.descriptors();
    let uses = [
        Some(all.general()),
        all.fixed_line(),
        all.mobile(),
        all.toll_free(),
        all.premium_rate(),
        all.shared_cost(),
        all.personal_number(),
        all.voip(),
        all.pager(),
        all.uan(),
        all.voicemail(),
    ];
    let uses = uses.into_iter().flatten().map(|used| used.national_number().as_str().to_owned()).collect();
    let prefix = data.national_prefix_for_parsing().map(|prefix| prefix.as_str().to_owned());
    with_starts(uses, prefix, data.leading_digits().map(|digits| digits.as_str().to_owned()))
}

/// The same behind a prefix too: whether it is one depends on what is left.
fn with_starts(uses: Vec<String>, prefix: Option<String>, leading_digits: Option<String>) -> Vec<String> {
    let prefixed = prefix.iter().flat_map(|prefix| uses.iter().map(move |used| format!("(?:{prefix})(?:{used})")));
    let starts = prefix.iter().chain(&leading_digits).map(|start| format!("(?:{start})[0-9]*"));
    let patterns = prefixed.chain(starts).chain(uses.iter().cloned());
    patterns
        .map(|pattern| pattern.split_whitespace().collect())
        .filter(|pattern: &String| !pattern.is_empty())
        .collect()
}

/// One number for each range that these patterns tell apart: each combination of states of their automata, and each length.
fn numbers(patterns: &BTreeSet<String>) -> Vec<String> {
    let mut automata: Vec<(DFA, Cache)> = patterns.iter().map(|pattern| automaton(pattern)).collect();
    let begin = automata
        .iter_mut()
        .map(|(automaton, cache)| automaton.start_state(cache, &start::Config::new().anchored(Anchored::Yes)).unwrap());
    let mut layer: HashMap<Vec<LazyStateID>, String> = HashMap::from([(begin.collect(), String::new())]);
    let mut numbers = Vec::new();
    for _ in 0..MOST_DIGITS {
        let mut next: BTreeMap<Vec<LazyStateID>, String> = BTreeMap::new();
        let mut ordered: Vec<_> = layer.into_iter().collect();
        ordered.sort_by(|left, right| left.1.cmp(&right.1));
        for (states, number) in ordered {
            for digit in b'0'..=b'9' {
                let step = |((automaton, cache), state): (&mut (DFA, Cache), &LazyStateID)| {
                    automaton.next_state(cache, *state, digit).unwrap()
                };
                let states: Vec<_> = automata.iter_mut().zip(&states).map(step).collect();
                next.entry(states).or_insert_with(|| format!("{number}{}", char::from(digit)));
            }
        }
        numbers.extend(next.values().cloned());
        layer = next.into_iter().collect();
    }
    numbers.sort_by_key(|number| (number.len(), number.clone()));
    numbers
}

fn automaton(pattern: &str) -> (DFA, Cache) {
    let dfa = DFA::builder()
        .configure(Config::new().cache_capacity(64 << 20).specialize_start_states(false))
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build(&format!("(?:{pattern})$"))
        .unwrap();
    let cache = dfa.create_cache();
    (dfa, cache)
}

/// A number for a market, which is empty for none.
struct Case {
    input: String,
    market: String,
}

/// One number of each range, in international format and as it is dialled, for each region of its calling code, and for none.
fn cases(codes: &BTreeMap<u16, Code>) -> Vec<Case> {
    let of_code = |(code, Code { regions, numbers }): (&u16, &Code)| {
        let markets: Vec<_> =
            regions.iter().filter(|region| *region != "001").cloned().chain([String::new()]).collect();
        let inputs = numbers.iter().flat_map(|number| [format!("+{code}{number}"), number.clone()]);
        let of_input = |input: String| {
            markets.iter().map(move |market| Case { input: input.clone(), market: market.clone() }).collect::<Vec<_>>()
        };
        inputs.flat_map(of_input).collect::<Vec<_>>()
    };
    codes.iter().flat_map(of_code).collect()
}

/// What this service judges otherwise than libphonenumber, as a number begins, and why.
const EXPLAINED: [(&str, &str); 1] =
    // Valid for libphonenumber, which writes them as +375 8100000000 and the like; but it takes the 8 of that for the national prefix, and
    // finds no number then: they have no form in E.164 that names them.
    [("BY", "+375810")];

/// Compares what is judged of each case.
fn compare(codes: &BTreeMap<u16, Code>, cases: &[Case], of_reference: impl Fn(usize, &Case) -> Answer, port: bool) {
    let (mut valid, mut explained, mut different) = (0, 0, Vec::new());
    for (index, case) in cases.iter().enumerate() {
        let (ours, reference) = (ours(&case.input, &case.market), of_reference(index, case));
        valid += usize::from(reference.is_some());
        if ours == reference {
            continue;
        }
        let is_explained = ours.is_none()
            && reference.as_ref().is_some_and(|(e164, region)| {
                EXPLAINED.iter().any(|(its, begin)| region == its && e164.starts_with(begin)) || (port && is_zero(e164))
            });
        explained += usize::from(is_explained);
        if !is_explained {
            different.push(format!("{} in `{}`: {ours:?}, and not {reference:?}", case.input, case.market));
        }
    }
    let ranges: usize = codes.values().map(|code| code.numbers.len()).sum();
    println!(
        "{ranges} ranges of {} calling codes, {} judged, {valid} valid, {explained} explained and {} other differences",
        codes.len(),
        cases.len(),
        different.len()
    );
    different.truncate(40);
    assert!(different.is_empty(), "{different:#?}");
}

/// What the port alone makes of +888 and more than eleven zeros: it forgets those after the tenth.
fn is_zero(e164: &str) -> bool {
    e164 == "+88800000000000"
}

/// "Every region by ranges … 0 unexplained differences", as for Google's logic: the metadata are held against another reading of them below.
#[test]
fn every_range_is_judged_as_the_port_of_libphonenumber_judges_it() {
    let (codes, reference) = (codes(), reference());
    compare(&codes, &cases(&codes), |_, case| of_port(&reference, &case.input, &case.market), true);
}

/// "Every region by ranges against the newest reference that the registries carry, 0 unexplained differences".
#[test]
#[ignore = "needs the Python package phonenumbers, which scripts/test installs"]
fn every_range_is_judged_as_the_newest_libphonenumber_judges_it() {
    let codes = codes();
    let cases = cases(&codes);
    let answers = of_python(&cases);
    compare(&codes, &cases, |index, _| answers[index].clone(), false);
}

const PROGRAM: &str = "
import sys
import phonenumbers
from phonenumbers import PhoneNumberFormat, format_number, is_valid_number_for_region, parse, region_code_for_number

assert phonenumbers.__version__ == sys.argv[1], phonenumbers.__version__
for line in sys.stdin:
    text, market = line.rstrip('\\n').split('\\t')
    answer = ''
    try:
        number = parse(text, market or None)
        region = market if market and is_valid_number_for_region(number, market) else region_code_for_number(number)
        valid = region == '001' and phonenumbers.is_valid_number(number) or region and is_valid_number_for_region(number, region)
        if valid:
            answer = format_number(number, PhoneNumberFormat.E164) + ' ' + region
    except phonenumbers.NumberParseException:
        pass
    print(answer)
";

/// What the Python port of that very release says of each.
fn of_python(cases: &[Case]) -> Vec<Answer> {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("phonenumbers/bin/python");
    let [version, _] = PhoneMetadata::BUILT_IN;
    let mut program = Command::new(python);
    let program = program.args(["-c", PROGRAM, version]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = program.spawn().expect("scripts/test installs it");
    let lines: String = cases.iter().map(|case| format!("{}\t{}\n", case.input, case.market)).collect();
    let mut input = program.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = program.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Answer> = answers
        .lines()
        .map(|line| line.split_once(' ').map(|(e164, region)| (e164.to_owned(), region.to_owned())))
        .collect();
    assert_eq!(answers.len(), cases.len());
    answers
}
