//! Holds the phone plugin against Google's own logic, as the crate `rlibphonenumber` ports it.
//!
//! Both read by the metadata that are compiled in: those of the crate are older, and give the examples. `tests/phone_ranges.rs` tries every
//! range of numbers; here it is the ways to write one that count.
//!
//! Every example number of every region and every use is written as people write it, whole and spoiled, and read for
//! every region that shares its calling code. The plugin must accept nothing that the reference refuses, and what it
//! refuses against the reference must stand, with its reason, in `tests/data/phone_wrong_rejects.txt`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod phones;

use std::collections::BTreeSet;

use phonenumber::metadata::DATABASE;
use phones::{Answer, of_port, ours, reference};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

/// One number, written in one form, read for one market.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    market: String,
    form: String,
    input: String,
}

#[test]
fn accepts_no_number_that_libphonenumber_refuses() {
    let (cases, util) = (cases(), reference());
    let mut wrong_accepts = Vec::new();
    let mut wrong_rejects = BTreeSet::new();
    let mut different = Vec::new();
    let mut accepted = 0;
    for case in &cases {
        let (ours, reference) = (ours(&case.input, &case.market), of_port(&util, &case.input, &case.market));
        let accepts = |answer: &Answer| answer.as_ref().is_some_and(|(_, region)| *region == case.market);
        match (accepts(&ours), accepts(&reference)) {
            (true, false) => wrong_accepts.push(case),
            (false, true) => _ = wrong_rejects.insert(case.clone()),
            (true, true) if ours == reference => accepted += 1,
            _ if ours != reference => different.push((case, ours, reference)),
            _ => {}
        }
    }
    println!(
        "{} cases, {accepted} accepted by both: {} wrong accepts, {} wrong rejects, {} other differences",
        cases.len(),
        wrong_accepts.len(),
        wrong_rejects.len(),
        different.len()
    );
    assert!(wrong_accepts.is_empty(), "accepted, though no number of the market: {wrong_accepts:#?}");
    let explained = explained_wrong_rejects();
    let unexplained: Vec<_> = wrong_rejects.difference(&explained).collect();
    let stale: Vec<_> = explained.difference(&wrong_rejects).collect();
    assert!(unexplained.is_empty(), "refused, and not in the list of wrong rejects: {unexplained:#?}");
    assert!(stale.is_empty(), "in the list of wrong rejects, but none: {stale:#?}");
    assert!(different.is_empty(), "another number or another region than the reference: {different:#?}");
}

fn name(region: Region) -> String {
    region.to_string()
}

fn cases() -> BTreeSet<Case> {
    let regions = PHONE_NUMBER_UTIL.get_supported_regions();
    let of_regions = regions.flat_map(|region| examples(region).into_iter().map(move |number| (Some(region), number)));
    let codes = PHONE_NUMBER_UTIL.get_supported_global_network_calling_codes();
    let of_networks = codes.map(|code| (None, PHONE_NUMBER_UTIL.get_example_number_for_non_geo_entity(code).unwrap()));
    of_regions.chain(of_networks).flat_map(|(region, number)| cases_of(region, &number)).collect()
}

fn examples(region: Region) -> Vec<PhoneNumber> {
    let of_use = |used| PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, used).ok();
    USES.into_iter().filter_map(of_use).collect()
}

const USES: [PhoneNumberType; 10] = [
    PhoneNumberType::FixedLine,
    PhoneNumberType::Mobile,
    PhoneNumberType::TollFree,
    PhoneNumberType::PremiumRate,
    PhoneNumberType::SharedCost,
    PhoneNumberType::VoIP,
    PhoneNumberType::PersonalNumber,
    PhoneNumberType::Pager,
    PhoneNumberType::UAN,
    PhoneNumberType::VoiceMail,
];

/// The number whole, a digit short and a digit long, in each form, for each market.
fn cases_of(home: Option<Region>, number: &PhoneNumber) -> Vec<Case> {
    let national = rlibphonenumber::get_national_significant_number_owned(number);
    let spoiled = [&national[..national.len() - 1], &format!("{national}0"), &format!("{national}7"), &national];
    let mut cases = Vec::new();
    for digits in spoiled {
        for (form, input) in forms(home, number.country_code, digits) {
            for market in markets(number.country_code) {
                cases.push(Case { market, form: form.to_owned(), input: input.clone() });
            }
        }
    }
    cases
}

/// The regions that share the calling code, two that may not (a number is foreign there), and none at all.
fn markets(code: i32) -> BTreeSet<String> {
    let sharing = PHONE_NUMBER_UTIL.get_regions_for_country_calling_code(code).into_iter().flatten();
    let regions = sharing.filter(|region| *region != Region::World).chain([Region::US, Region::DE]);
    regions.map(name).chain([String::new()]).collect()
}

/// Libphonenumber formats a number that it does not know as bare digits; so the national form is also written out by
/// hand.
fn forms(home: Option<Region>, code: i32, digits: &str) -> Vec<(&'static str, String)> {
    let number = number(code, digits);
    let format = |format| PHONE_NUMBER_UTIL.format(&number, format).into_owned();
    let prefix = home.and_then(|home| DATABASE.by_id(&name(home))?.national_prefix()).unwrap_or_default();
    vec![
        ("national", format(PhoneNumberFormat::National)),
        ("prefixed", format!("{prefix}{digits}")),
        ("bare", digits.to_owned()),
        ("international", format(PhoneNumberFormat::International)),
        ("e164", format(PhoneNumberFormat::E164)),
    ]
}

fn number(code: i32, digits: &str) -> PhoneNumber {
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    PhoneNumber {
        country_code: code,
        national_number: digits.parse().unwrap(),
        italian_leading_zero: (zeros > 0).then_some(true),
        number_of_leading_zeros: (zeros > 1).then(|| i32::try_from(zeros).unwrap()),
        ..PhoneNumber::default()
    }
}

/// The cases of the list, whose lines are: market, form, input, group, with a tab between each. The comments explain
/// the groups.
fn explained_wrong_rejects() -> BTreeSet<Case> {
    let lines = include_str!("data/phone_wrong_rejects.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(listed_case).collect()
}

fn listed_case(line: &str) -> Case {
    let [market, form, input, _group] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("four fields: {line}") };
    Case { market: market.to_owned(), form: form.to_owned(), input: input.to_owned() }
}
