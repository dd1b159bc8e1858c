//! The decision log: a folder with any files is read and verified, and a start repairs it without losing a whole line, or says
//! that it was altered.

use std::fs;
use std::path::{Path, PathBuf};

use gatepost::log::read::Lines;
use gatepost::log::verify::{Question, Verdict, verify};
use gatepost::log::{Durability, FEWEST_QUEUE_BYTES, Log, LogError, LogSettings};
use sha2::{Digest, Sha256};

/// The files of a log in one text; a line `=== NAME` is before each.
///
/// A question mark stands for a chain: nobody guesses a SHA-256, and without the right ones no reader gets beyond the first line.
pub fn hold(input: &[u8]) {
    let folder = Folder::new();
    folder.write(&String::from_utf8_lossy(input));
    let lines = lines(&folder.0);
    let was_whole = verdict(&folder.0).is_some_and(|verdict| verdict.is_whole());
    match start(&folder.0) {
        Ok(_) => {
            let after = self::lines(&folder.0);
            assert!(after.starts_with(&lines), "a line was lost: {lines:#?}\n{after:#?}");
            let verdict = verdict(&folder.0).expect("what a start has written is a log");
            assert!(!was_whole || verdict.is_whole(), "a start breaks it: {:#?}", verdict.findings);
            let problems = start(&folder.0).expect("what a start has repaired can be started again");
            assert!(problems.is_empty(), "a start repairs what another one has repaired: {problems:?}");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(!was_whole, "a log that is whole cannot be started: {error}");
        }
    }
}

/// Opens the log for writing, and closes it: what its operator is told.
fn start(folder: &Path) -> Result<Vec<String>, LogError> {
    let (log, problems) = Log::open(LogSettings {
        folder: folder.to_owned(),
        durability: Durability::Strict,
        queue_bytes: FEWEST_QUEUE_BYTES,
        segment_bytes: 1 << 20,
        segment_age: None,
        compress: false,
        keep_segments: None,
        keep_age: None,
        signing_key: None,
    })?;
    log.close()?;
    Ok(problems.iter().map(ToString::to_string).collect())
}

/// Every line that has the form of one, with its line break.
fn lines(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(mut lines) = Lines::open(folder) else { return found };
    while let Some(line) = lines.next() {
        match line {
            Ok(line) => found.push(String::from_utf8_lossy(line.bytes).into_owned()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    found
}

/// What is wrong, with places that are there; `None` where the folder is no log.
fn verdict(folder: &Path) -> Option<Verdict> {
    let verdict = verify(folder, &Question::default()).map_err(|error| assert!(!error.to_string().is_empty())).ok()?;
    assert!(verdict.decisions <= verdict.lines);
    for finding in &verdict.findings {
        assert!(!finding.what.is_empty());
        assert!(finding.file.as_ref().is_none_or(|file| folder.join(file).is_file()), "{finding:?}");
        assert!(finding.line != Some(0), "{finding:?}");
    }
    Some(verdict)
}

/// A folder in memory, if there is such a thing, and gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = parent.join(format!("gatepost-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self(folder)
    }

    fn write(&self, text: &str) {
        let mut chain = [0; 32];
        for part in text.split("=== ").skip(1) {
            let (name, text) = part.split_once('\n').unwrap_or((part, ""));
            // No other folder is written into, and nobody waits for a device.
            let is_plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '.');
            if is_plain && name.contains(".js") && name.len() < 40 {
                let text: String = text.split_inclusive('\n').map(|line| chained(line, &mut chain)).collect();
                fs::write(self.0.join(name), text).expect("a file can be written");
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("a folder can be removed");
    }
}

/// The line with chains for its question marks; `chain` is that of the line before, and then that of this one.
fn chained(line: &str, chain: &mut [u8; 32]) -> String {
    let line = line.replace(r#""previousChain":"?""#, &format!(r#""previousChain":"{}""#, hexadecimal(chain)));
    let Some((content, end)) = line.rsplit_once(r#","chain":"?""#) else { return line };
    // The head ends with its signature, and has the chain of the last line.
    if !end.starts_with(',') {
        *chain = Sha256::new().chain_update(*chain).chain_update(content).finalize().into();
    }
    format!(r#"{content},"chain":"{}"{end}"#, hexadecimal(chain))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
