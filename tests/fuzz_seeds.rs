//! What the fuzz targets hold true for any bytes, on their seeds: "seeds committed". What one of them finds becomes a seed.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

/// What holds for the seeds in `fuzz/seeds/NAME`.
fn property(target: &str) -> fn(&[u8]) {
    match target {
        "json" => fuzz::json::hold,
        "log" => fuzz::log::hold,
        "plugins" => fuzz::plugins::hold,
        "request" => fuzz::request::hold,
        "store" => fuzz::store::hold,
        other => panic!("no fuzz target `{other}`"),
    }
}

#[test]
fn every_seed_holds_what_its_target_holds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for target in fs::read_dir(fuzz.join("fuzz_targets")).unwrap() {
        let target = target.unwrap().path();
        let name = target.file_stem().unwrap().to_str().unwrap();
        let seeds: Vec<_> = fs::read_dir(fuzz.join("seeds").join(name)).unwrap().collect();
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            let path = seed.unwrap().path();
            // Shown if it fails.
            println!("{}", path.display());
            property(name)(&fs::read(&path).unwrap());
        }
    }
}
