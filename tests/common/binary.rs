//! The real binary, run as its users run it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The command, as it runs on a machine on which nothing is set.
pub fn gatepost(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GATEPOST_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs it with that store to its end.
pub fn with_store(arguments: &[&str], store: &Path) -> Output {
    gatepost(arguments).arg("--store").arg(store).output().unwrap()
}

/// Runs it to its end, with something on standard input.
pub fn with_input(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end without reading all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// What it wrote to standard output.
pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it wrote to standard error.
pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A running `gatepost serve`, on a port of its own. It is killed when it is dropped.
pub struct Serving {
    pub child: Child,
    /// What it printed when it was ready.
    pub banner: String,
    /// `http://…`.
    pub url: String,
}

impl Serving {
    /// Starts it, and waits for it to be ready.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        // The command to paste is the last that is printed, and ends with a quotation mark.
        while !banner.ends_with("'\n") {
            banner.push_str(&(lines.next().unwrap().unwrap() + "\n"));
        }
        let url = banner.lines().find_map(|line| line.strip_prefix("listening on ")).unwrap().to_owned();
        Self { child, banner, url }
    }

    /// Posts to `/access/v1/evaluation`; what is answered, with its status.
    pub fn ask(&self, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let request = agent.post(format!("{}/access/v1/evaluation", self.url)).content_type("application/json");
        let mut response = request.send(body.to_string()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
