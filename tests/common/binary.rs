//! The real binary, as a person or a program runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// The binary in that folder, with no settings but those of the test.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GATEPOST_")) {
        command.env_remove(name);
    }
    command.env_remove("CVC5").env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE").current_dir(folder).args(arguments);
    command
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    /// It must have ended with that status.
    pub fn with(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "\n{}\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs it in that folder to its end.
pub fn gatepost(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::new(command(folder, arguments).output().unwrap())
}

/// With that on its standard input.
pub fn fed(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut command = command(folder, arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What fails early does not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::new(child.wait_with_output().unwrap())
}

/// A service that has said where it listens. It is killed when it is dropped.
pub struct Serving {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it printed when it was ready.
    pub banner: String,
}

impl Serving {
    pub fn start(command: &mut Command) -> Self {
        Self::start_saying(command, Stdio::piped())
    }

    /// One whose standard error goes there: into a file, where it is read while the service runs, or where it is much.
    pub fn start_saying(command: &mut Command, err: Stdio) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut serving = Self { child, out, banner: String::new() };
        while !serving.banner.ends_with("}'\n") {
            if serving.out.read_line(&mut serving.banner).unwrap() == 0 {
                let mut err = String::new();
                serving.child.stderr.take().map(|mut said| said.read_to_string(&mut err));
                panic!("it ended: {}{err}", serving.banner);
            }
        }
        serving
    }

    pub fn address(&self) -> &str {
        self.url().split_once("://").unwrap().1
    }

    /// Where it listens, as it says.
    pub fn url(&self) -> &str {
        let line = self.banner.lines().find_map(|line| line.strip_prefix("listening on "));
        line.unwrap_or_else(|| panic!("no address in {}", self.banner))
    }

    /// What the shell makes of the command in the banner: the arguments that it gives to curl.
    pub fn curl(&self) -> Vec<String> {
        let (_, command) = self.banner.split_once("A request to try:\n\n").unwrap();
        let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{command}");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let arguments = Ran::new(output).with(0).out;
        arguments.split_terminator('\0').map(str::to_owned).collect()
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        post(&format!("http://{}{path}", self.address()), "application/json", &body.to_string())
    }

    pub fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Waits for its end: the exit status, and what it printed after the banner and as errors.
    pub fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        self.child.stderr.take().map(|mut said| said.read_to_string(&mut rest).unwrap());
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn post(url: &str, content_type: &str, body: &str) -> (u16, Value) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent = config.build().new_agent();
    let mut response = agent.post(url).header("content-type", content_type).send(body).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// Less than the service gives to running requests once it is told to stop.
pub const PATIENCE: Duration = Duration::from_secs(20);
