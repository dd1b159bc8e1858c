//! What holds for any bytes: a module for each fuzz target, whose `hold` panics where it does not.
//!
//! `fuzz_targets/` hands them to libFuzzer. `tests/fuzz_seeds.rs` of the main package tries them on the seeds.

pub mod json;
pub mod log;
pub mod plugins;
pub mod request;
pub mod store;
