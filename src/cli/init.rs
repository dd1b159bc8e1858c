//! `gatepost init DIR`: a new, small, working store. Exit 0 when made, 2 when the folder is not empty.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use include_dir::{Dir, include_dir};

use super::output::{self, Failure};

static TEMPLATE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/cli/init");

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder to make; it must not exist, or be empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = &arguments.folder;
    let shown = folder.display();
    let occupied = || Ok::<_, std::io::Error>(folder.exists() && std::fs::read_dir(folder)?.next().is_some());
    if occupied().map_err(|error| Failure::new(format!("`{shown}` is no folder: {error}")))? {
        return Err(Failure::new(format!("`{shown}` is not empty")).with_help("name a folder that does not exist yet"));
    }
    std::fs::create_dir_all(folder)
        .and_then(|()| TEMPLATE.extract(folder))
        .map_err(|error| Failure::new(format!("`{shown}` cannot be made: {error}")))?;
    let store = output::quoted(&shown.to_string());
    let settings = output::quoted(&folder.join("gatepost.toml").display().to_string());
    let request = output::quoted(&folder.join("requests/read-note.json").display().to_string());
    output::print(&format!(
        "A store for notes that people share is in {shown}. Edit its policies, then:\n\n  \
         gatepost check --store {store}\n  gatepost test --store {store}\n  \
         gatepost decide --store {store} {request}\n  gatepost serve --config {settings}\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}
