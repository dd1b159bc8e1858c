//! Servers that decide what the service decides, but with another engine, in their own process: `gatepost-peers NAME POLICIES`, for
//! `benches/http`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod casbin;
mod regorus;
#[path = "../../http/service.rs"]
#[allow(dead_code)]
mod service;
#[path = "../../http/world.rs"]
#[allow(dead_code)]
mod world;

/// As in the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let policies = arguments[2].parse().unwrap();
    service::serve(match arguments[1].as_str() {
        "regorus" => regorus::routes(policies),
        "casbin" => casbin::routes(policies),
        other => panic!("there is no server `{other}`"),
    });
}
