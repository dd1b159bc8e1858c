//! The binary: reads the command line, runs one command.

use std::process::ExitCode;

/// Decisions are made of many small blocks, which one thread makes and another, that of the decision log, lets go of.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

fn main() -> ExitCode {
    gatepost::cli::run()
}
