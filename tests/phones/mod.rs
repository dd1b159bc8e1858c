//! The phone plugin, and Google's own logic on the same metadata, as the crate `rlibphonenumber` ports it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use gatepost::plugin::{Fact, PhonePlugin, Plugin};
use phonenumber::metadata::loader;
use rlibphonenumber::{
    PhoneMetadata as ReferenceMetadata, PhoneMetadataCollection, PhoneNumberDesc, PhoneNumberFormat, PhoneNumberUtil,
    Region,
};

/// What is compiled in.
pub fn metadata() -> Vec<loader::Metadata> {
    loader::load(include_str!("../../src/plugin/phone/metadata.xml").as_bytes()).unwrap()
}

pub fn uses(data: &loader::Metadata) -> [&Option<loader::Descriptor>; 10] {
    [
        &data.fixed_line,
        &data.mobile,
        &data.toll_free,
        &data.premium_rate,
        &data.shared_cost,
        &data.personal_number,
        &data.voip,
        &data.pager,
        &data.uan,
        &data.voicemail,
    ]
}

/// What the plugin or a reference says of a number for a market.
pub type Answer = Option<(String, String)>;

pub fn ours(input: &str, market: &str) -> Answer {
    let facts = PhonePlugin::BUILT_IN.parse(input, &[Some(market)])?;
    let [Fact::String(e164), Fact::String(region)] = facts.as_slice() else { panic!("two strings: {facts:?}") };
    Some((e164.clone(), region.clone()))
}

/// Google's own logic, as the crate `rlibphonenumber` ports it, on the metadata that are compiled in.
pub fn reference() -> PhoneNumberUtil {
    PhoneNumberUtil::new_for_metadata(PhoneMetadataCollection {
        metadata: metadata().iter().map(of_reference).collect(),
    })
    .unwrap()
}

#[expect(deprecated, reason = "they are what the crate makes its own fields of")]
fn of_reference(data: &loader::Metadata) -> ReferenceMetadata {
    let whole = |pattern: &String| format!("^(?:{})$", pattern.split_whitespace().collect::<String>());
    let lengths = |lengths: &[u16]| lengths.iter().copied().map(i32::from).collect::<Vec<_>>();
    let described = |used: &Option<loader::Descriptor>| {
        Some(used.as_ref().map_or(
            PhoneNumberDesc { possible_length: vec![-1], ..PhoneNumberDesc::default() },
            |used| PhoneNumberDesc {
                national_number_pattern: used.national_number.as_ref().map(whole),
                possible_length: lengths(&used.possible_length),
                possible_length_local_only: lengths(&used.possible_local_length),
                ..PhoneNumberDesc::default()
            },
        ))
    };
    let of_uses = |of: fn(&loader::Descriptor) -> &Vec<u16>| {
        let all: BTreeSet<i32> = uses(data).into_iter().flatten().flat_map(|used| lengths(of(used))).collect();
        all.into_iter().collect::<Vec<_>>()
    };
    let possible = of_uses(|used| &used.possible_length);
    let mut local = of_uses(|used| &used.possible_local_length);
    local.retain(|length| !possible.contains(length));
    let general = described(&data.general).map(|general| PhoneNumberDesc {
        possible_length: possible,
        possible_length_local_only: local,
        ..general
    });
    ReferenceMetadata {
        id: data.id.clone().unwrap(),
        country_code: data.country_code.map(i32::from),
        international_prefix: data.international_prefix.as_ref().map(whole),
        national_prefix: data.national_prefix.clone(),
        national_prefix_for_parsing: data
            .national_prefix_for_parsing
            .as_ref()
            .or(data.national_prefix.as_ref())
            .map(whole),
        national_prefix_transform_rule: data.national_prefix_transform_rule.clone(),
        main_country_for_code: Some(data.main_country_for_code),
        leading_digits: data.leading_digits.as_ref().map(whole),
        general_desc: general,
        fixed_line: described(&data.fixed_line),
        mobile: described(&data.mobile),
        toll_free: described(&data.toll_free),
        premium_rate: described(&data.premium_rate),
        shared_cost: described(&data.shared_cost),
        personal_number: described(&data.personal_number),
        voip: described(&data.voip),
        pager: described(&data.pager),
        uan: described(&data.uan),
        voicemail: described(&data.voicemail),
        ..ReferenceMetadata::default()
    }
}

pub fn of_port(util: &PhoneNumberUtil, input: &str, market: &str) -> Answer {
    let market = Region::from_code(market).ok().filter(|market| *market != Region::World);
    let number = util.parse(input, market).ok()?;
    // The port leaves out that a number with another calling code is no number of the region, which Google's code checks.
    let is_valid_in = |region: &Region| {
        let code = util.get_country_code_for_region(*region);
        code.is_none_or(|code| code == number.country_code) && util.is_valid_number_for_region(&number, *region)
    };
    let owner = || util.get_region_for_number(&number).filter(is_valid_in);
    let region = market.filter(is_valid_in).or_else(owner)?;
    Some((util.format(&number, PhoneNumberFormat::E164).into_owned(), region.to_string()))
}
