//! `gatepost token NAME`: a fresh token, and the entry for the token file. Exit 0 when made, 2 when it cannot be.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::Format;
use super::output::{self, Failure};
use crate::http::callers::{CALLER_NAME, FreshToken, is_caller_name};

#[derive(Debug, Args)]
#[command(after_help = PIPE)]
pub(super) struct Arguments {
    /// The name by which the caller is known
    #[arg(value_name = "NAME")]
    name: String,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const PIPE: &str = "The token goes to standard output, the entry for the token file (which holds only its hash) to standard error:\n\n  \
     gatepost token portal 2>> tokens.toml | store-the-secret\n\n\
     An entry may limit its caller: actions = [\"read\"] by id or whole Cedar name, types = [\"User\", \"Document\"].\n\
     With metrics = true it may read /metrics; with strict = true what it sends and nobody reads is refused.";

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let name = &arguments.name;
    if !is_caller_name(name) {
        return Err(Failure::new("this cannot be the name of a caller").with_help(CALLER_NAME));
    }
    let FreshToken { token, sha256 } = FreshToken::make().map_err(|error| Failure::new(error.to_string()))?;
    match arguments.format {
        Format::Json => output::print_json(&json!({ "name": name, "token": token, "sha256": sha256 }))?,
        Format::Text => {
            // A comment and a table: it can be appended to the file as it stands.
            let entry = format!(
                "# The token itself is shown once, and stored nowhere. This is for the token file:\n\
                 [[token]]\nname = {}\nsha256 = \"{sha256}\"\n",
                toml::Value::from(name.as_str())
            );
            anstream::stderr().write_all(entry.as_bytes())?;
            output::print(&format!("{token}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
