//! "The first number of a process does not take 69 ms: tables are ready before `/readyz`." A process of its own: what it has loaded is what is
//! tested.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{decide, enter};
use gatepost::http::body;
use gatepost::live::{Hooks, Live};
use gatepost::plugin::PhoneMetadata;
use gatepost::store::{Origin, Source};

fn open(origin: Origin) -> Live {
    let source = Source { origin, entities: Vec::new(), phone_metadata: None, required_key: None, modes: Vec::new() };
    let hooks = Hooks { request: body::of_case, told: Box::new(|_, _| {}) };
    Live::open(source, false, hooks).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn the_metadata_are_loaded_before_a_service_is_ready_if_its_store_reads_phone_numbers() {
    assert!(!PhoneMetadata::built_in_is_loaded());
    // A store without phone numbers does not pay for them.
    let without = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/authzen");
    open(Origin::Folder(without));
    assert!(!PhoneMetadata::built_in_is_loaded());

    let live = open(Origin::BuiltIn);
    assert!(PhoneMetadata::built_in_is_loaded());
    let snapshot = live.engine().snapshot();
    let timed = || {
        let begun = Instant::now();
        decide(&snapshot, &enter()).unwrap();
        begun.elapsed()
    };
    let first = timed();
    let later = (0..100).map(|_| timed()).max().unwrap();
    println!("the first decision with a number took {first:?}, a later one {later:?} at most");
    // It has the patterns of its market to compile; to load all metadata takes longer than that in a build like this.
    assert!(first < Duration::from_millis(20), "{first:?}");
}
