//! The command line: one file for each command, which says what it takes, what it prints and its exit status.
//!
//! Every command exits with 0 when all is well, 1 when what was checked does not hold, and 2 when it could not be checked.

mod check;
mod config;
mod coverage;
mod decide;
mod diagnostics;
mod diff;
mod environment;
mod fmt;
mod init;
mod lcov;
mod log;
mod output;
mod prove;
mod replay;
mod report;
mod rewrite;
mod serve;
mod sign;
mod status;
mod test;
mod token;
mod units;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};

use crate::plugin::PhoneMetadata;
use config::Settings;
use output::Failure;

/// A policy decision service on Cedar: the permission matrix is written once, next to the policies, and every row is tested.
#[derive(Debug, Parser)]
#[command(name = "gatepost", version, long_version = LONG_VERSION.as_str(), after_help = EXIT_STATUS, subcommand_help_heading = "Commands")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The file with the settings; `gatepost.toml` in the current folder where there is one
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_CONFIG", help_heading = config::STORE)]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// What `--version` says: with the age of what goes stale.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let [version, released] = PhoneMetadata::BUILT_IN;
    format!("{}\nphone metadata {version} of {released} (libphonenumber)", env!("CARGO_PKG_VERSION"))
});

const EXIT_STATUS: &str = "Exit status: 0 when all is well, 1 when what was checked does not hold (decide: a deny), \
                           2 when it could not be checked.\nWithout a command, `serve`.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer decision requests over HTTP (OpenID AuthZEN 1.0)
    Serve(serve::Arguments),
    /// Parse and type-check the store; look for policies without an id and clauses that nothing cites
    Check(check::Arguments),
    /// Format the policies and the matrix of a store
    Fmt(fmt::Arguments),
    /// Evaluate every row of the matrix on its representative requests
    Test(test::Arguments),
    /// Prove every row for all requests, with the solver cvc5
    Prove(prove::Arguments),
    /// Compare two revisions: policies, rows and decisions that change, and who gains or loses access
    Diff(diff::Arguments),
    /// Write the matrix as the document that a reviewer signs
    Report(report::Arguments),
    /// Decide one request
    Decide(decide::Arguments),
    /// Make a new, small, working store
    Init(init::Arguments),
    /// Look at a decision log
    Log(log::Arguments),
    /// Decide every request of a decision log again, and list what is decided otherwise
    Replay(replay::Arguments),
    /// Make a token for a caller of the service
    Token(token::Arguments),
    /// Sign a store, for services that take only signed ones
    Sign(sign::Arguments),
    /// Ask a running service by which store it decides
    Status(status::Arguments),
}

/// How a command writes what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// For a person
    #[default]
    Text,
    /// For a program
    Json,
}

/// Reads the command line and runs one command.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and the version are no errors; a reader that has gone away is none of ours.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    dispatch(cli).unwrap_or_else(|failure| {
        failure.print();
        ExitCode::from(2)
    })
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    // A service says it in the form in which it says all else.
    if !matches!(cli.command, None | Some(Command::Serve(_))) {
        output::complain(&environment::warnings());
    }
    let settings = cli.settings.completed(cli.config.as_deref())?;
    match cli.command {
        None => serve::run(&settings, &serve::Arguments::default()),
        Some(Command::Serve(arguments)) => serve::run(&settings, &arguments),
        Some(Command::Check(arguments)) => check::run(&settings, &arguments),
        Some(Command::Fmt(arguments)) => fmt::run(&settings, &arguments),
        Some(Command::Test(arguments)) => test::run(&settings, &arguments),
        Some(Command::Prove(arguments)) => prove::run(&settings, &arguments),
        Some(Command::Diff(arguments)) => diff::run(&settings, &arguments),
        Some(Command::Report(arguments)) => report::run(&settings, &arguments),
        Some(Command::Decide(arguments)) => decide::run(&settings, &arguments),
        Some(Command::Init(arguments)) => init::run(&arguments),
        Some(Command::Log(arguments)) => log::run(&arguments),
        Some(Command::Replay(arguments)) => replay::run(&settings, &arguments),
        Some(Command::Token(arguments)) => token::run(&arguments),
        Some(Command::Sign(arguments)) => sign::run(&settings, &arguments),
        Some(Command::Status(arguments)) => status::run(&settings, &arguments),
    }
}

/// 0 when what was checked holds, else 1.
fn holds(holds: bool) -> ExitCode {
    ExitCode::from(u8::from(!holds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
