//! The binary: reads the command line, runs one command.

use std::process::ExitCode;

fn main() -> ExitCode {
    gatepost::cli::run()
}
