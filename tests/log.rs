//! The decision log (issue 5): what is written is there, what is altered is found, what a crash leaves is repaired.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::binary::gatepost;
use gatepost::log::read::{Lines, ReadError};
use gatepost::log::verify::{Question, Verdict, verify};
use gatepost::log::{Durability, Entries, Log, LogError, LogSettings};
use gatepost::store::keys::{SigningKey, VerifyingKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

// A key made for these tests, by `openssl genpkey -algorithm ed25519`; it guards nothing.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFtoRaYYjr4xJ+YwgZnsbGUiCea6kM2dUUwmxj4pUiXq\n-----END PRIVATE KEY-----\n";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAnE4UNg7pv1ElUF+3LcqTt9MCvk9kbgH9wzdndYuSvBA=\n-----END PUBLIC KEY-----\n";

fn settings(folder: &Path, durability: Durability) -> LogSettings {
    LogSettings {
        folder: folder.to_owned(),
        durability,
        queue_bytes: 1 << 20,
        segment_bytes: 1 << 20,
        segment_age: None,
        compress: false,
        keep_segments: None,
        keep_age: None,
        signing_key: None,
    }
}

fn signing(settings: LogSettings) -> LogSettings {
    LogSettings { signing_key: Some(SigningKey::from_pem(PRIVATE_KEY.as_bytes()).unwrap()), ..settings }
}

fn with_key() -> Question {
    Question { keys: vec![VerifyingKey::from_pem(PUBLIC_KEY.as_bytes()).unwrap()], contains: None }
}

/// The members of a decision.
fn entry(number: usize) -> Vec<u8> {
    format!("\"number\":{number}").into_bytes()
}

/// A log into which these are written, one after the other; still open.
fn opened(settings: LogSettings, numbers: impl IntoIterator<Item = usize>) -> Log {
    let (log, problems) = Log::open(settings).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    append(&log, numbers);
    log
}

fn append(log: &Log, numbers: impl IntoIterator<Item = usize>) {
    let runtime = runtime();
    for number in numbers {
        runtime.block_on(log.append(Entries::from_iter([entry(number)]))).unwrap();
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A closed log of three segments, of four decisions or so each.
fn three_segments() -> TempDir {
    let folder = TempDir::new().unwrap();
    let settings = LogSettings { segment_bytes: 800, ..settings(folder.path(), Durability::Strict) };
    opened(settings, 0..12).close().unwrap();
    assert_eq!(segments(folder.path()).len(), 3);
    folder
}

/// The names of the segments.
fn segments(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".jsonl") || name.ends_with(".gz")).collect();
    names.sort();
    names
}

fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// The lines of a file.
fn lines(folder: &Path, file: &str) -> Vec<String> {
    fs::read_to_string(folder.join(file)).unwrap().lines().map(str::to_owned).collect()
}

fn write_lines(folder: &Path, file: &str, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.join(file), text).unwrap();
}

/// Every line of a log, read by its reader.
fn all(folder: &Path) -> Vec<Value> {
    let mut lines = Lines::open(folder).unwrap();
    let mut read = Vec::new();
    while let Some(line) = lines.next() {
        let line = line.unwrap();
        let value: Value = serde_json::from_slice(line.bytes).unwrap();
        assert_eq!((&value["sequence"], &value["type"]), (&json!(line.position.sequence), &json!(line.kind)));
        read.push(value);
    }
    read
}

/// The numbers of the decisions.
fn numbers(folder: &Path) -> Vec<usize> {
    let decisions = all(folder).into_iter().filter(|line| line["type"] == "decision");
    decisions.map(|line| line["number"].as_u64().unwrap() as usize).collect()
}

fn of_type(folder: &Path, kind: &str) -> Vec<Value> {
    all(folder).into_iter().filter(|line| line["type"] == kind).collect()
}

fn verified(folder: &Path) -> Verdict {
    verify(folder, &Question::default()).unwrap()
}

fn findings(verdict: &Verdict) -> Vec<&str> {
    verdict.findings.iter().map(|finding| finding.what.as_str()).collect()
}

fn assert_whole(folder: &Path) {
    let verdict = verified(folder);
    assert!(verdict.is_whole(), "{:#?}", verdict.findings);
}

/// Waits until that holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// What is written.

#[test]
fn a_log_is_numbered_chained_and_whole() {
    let folder = three_segments();
    assert_whole(folder.path());
    let all = all(folder.path());
    let sequences: Vec<_> = all.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(numbers(folder.path()), (0..12).collect::<Vec<_>>());
    // chain = SHA-256(previous chain ‖ the bytes of the line before `,"chain"`)
    let mut chain = [0; 32];
    for line in segments(folder.path()).iter().flat_map(|file| lines(folder.path(), file)) {
        let (content, rest) = line.rsplit_once(",\"chain\":\"").unwrap();
        chain = Sha256::new().chain_update(chain).chain_update(content).finalize().into();
        assert_eq!(rest.strip_suffix("\"}").unwrap(), hexadecimal(&chain));
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `strict`: answered only after the record is on disk.
#[test]
fn strict_waits_until_the_record_is_in_the_file() {
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Strict), []);
    for number in 0..50 {
        append(&log, [number]);
        assert_eq!(numbers(folder.path()).last(), Some(&number));
        let figures = log.figures();
        assert!(
            figures.last_sync.is_some() && figures.written == number as u64 + 1 && figures.queued == 0,
            "{figures:?}"
        );
    }
    log.close().unwrap();
    assert_whole(folder.path());
}

/// Batch items stay together and in order, whatever is written at the same time.
#[test]
fn the_decisions_of_one_call_stand_together() {
    for durability in [Durability::Strict, Durability::Buffered] {
        let folder = TempDir::new().unwrap();
        let log = opened(LogSettings { segment_bytes: 20_000, ..settings(folder.path(), durability) }, []);
        let calls = many(&log, 8, |task| {
            (0..50).map(|call| (0..7).map(|item| entry((task * 50 + call) * 7 + item)).collect()).collect()
        });
        assert_eq!(calls, 8 * 50);
        log.close().unwrap();
        assert_whole(folder.path());
        for call in numbers(folder.path()).chunks(7) {
            assert_eq!(call, (call[0]..call[0] + 7).collect::<Vec<_>>());
        }
        assert_eq!(numbers(folder.path()).into_iter().collect::<BTreeSet<_>>().len(), 8 * 50 * 7);
    }
}

/// So many tasks at once make their calls; the number of calls that succeeded.
fn many(log: &Log, tasks: usize, calls: impl Fn(usize) -> Vec<Vec<Vec<u8>>>) -> usize {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut running = Vec::new();
        for task in 0..tasks {
            let (log, calls) = (log.clone(), calls(task));
            running.push(tokio::spawn(async move {
                let mut done = 0;
                for entries in calls {
                    done += usize::from(log.append(Entries::from_iter(entries)).await.is_ok());
                }
                done
            }));
        }
        let mut done = 0;
        for task in running {
            done += task.await.unwrap();
        }
        done
    })
}

/// `buffered`: a full queue blocks the caller, never drops.
#[test]
fn buffered_blocks_on_a_full_queue_and_drops_nothing() {
    let folder = TempDir::new().unwrap();
    let queue_bytes = 64 * 1024;
    let log = opened(LogSettings { queue_bytes, ..settings(folder.path(), Durability::Buffered) }, []);
    let large =
        |number: usize| [entry(number), format!(",\"padding\":\"{}\"", "x".repeat(60_000)).into_bytes()].concat();
    let waited = runtime().block_on(async {
        let mut waited = 0;
        for number in 0..200 {
            let mut call = std::pin::pin!(log.append(Entries::from_iter([large(number)])));
            let at_once =
                tokio::select! { biased; done = &mut call => Some(done), () = std::future::ready(()) => None };
            match at_once {
                Some(done) => done.unwrap(),
                None => {
                    waited += 1;
                    call.await.unwrap();
                }
            }
            assert!(log.figures().queued_bytes <= queue_bytes as u64);
        }
        waited
    });
    assert!(waited > 0);
    log.close().unwrap();
    assert_eq!(numbers(folder.path()), (0..200).collect::<Vec<_>>());
    assert_whole(folder.path());
}

/// `lossy`: a full queue drops and counts, the count is in the metrics and in the log itself.
#[test]
fn lossy_counts_exactly_what_it_drops() {
    let folder = TempDir::new().unwrap();
    let log = opened(LogSettings { queue_bytes: 64 * 1024, ..settings(folder.path(), Durability::Lossy) }, []);
    many(&log, 4, |task| (0..5000).map(|call| vec![entry(task * 5000 + call)]).collect());
    let handle = log.clone();
    log.close().unwrap();
    let (figures, written) = (handle.figures(), numbers(folder.path()));
    assert!(figures.dropped > 0);
    assert_eq!(figures.written, written.len() as u64);
    assert_eq!(figures.written + figures.dropped, 20_000);
    let told = of_type(folder.path(), "dropped");
    assert_eq!(told.iter().map(|line| line["decisions"].as_u64().unwrap()).sum::<u64>(), figures.dropped);
    assert_eq!(told.last().unwrap()["total"], figures.dropped);
    assert_whole(folder.path());
}

#[test]
fn a_call_that_is_given_up_is_logged_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let log = opened(LogSettings { queue_bytes: 64 * 1024, ..settings(folder.path(), Durability::Strict) }, []);
    runtime().block_on(async {
        for call in 0..300 {
            let entries = (0..3).map(|item| [entry(call * 3 + item), vec![b' '; 20_000]].concat()).collect();
            let patience = Duration::from_micros(call as u64 * 3);
            let _ = tokio::time::timeout(patience, log.append(entries)).await;
        }
        log.append(Entries::from_iter([entry(1_000_000)])).await.unwrap();
    });
    log.close().unwrap();
    let numbers = numbers(folder.path());
    let (last, calls) = numbers.split_last().unwrap();
    assert_eq!(*last, 1_000_000);
    for call in calls.chunks(3) {
        assert_eq!(call, [call[0], call[0] + 1, call[0] + 2]);
    }
    assert_whole(folder.path());
}

#[test]
fn a_closed_log_takes_nothing_and_an_opened_one_goes_on() {
    let folder = TempDir::new().unwrap();
    for round in 0..3 {
        let log = opened(settings(folder.path(), Durability::Buffered), [round]);
        let other = log.clone();
        log.close().unwrap();
        assert!(runtime().block_on(other.append(Entries::from_iter([entry(99)]))).is_err());
        assert!(other.admit().is_err() && !other.is_writable());
    }
    assert_eq!(numbers(folder.path()), [0, 1, 2]);
    assert_eq!(of_type(folder.path(), "closed").len(), 3);
    assert_whole(folder.path());
}

#[test]
fn one_log_has_one_writer() {
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Strict), [0]);
    let error = Log::open(settings(folder.path(), Durability::Strict)).unwrap_err();
    assert!(matches!(error, LogError::Taken(_)), "{error}");
    assert!(error.to_string().ends_with("is being written by another process"), "{error}");
    // It can be verified meanwhile.
    assert_whole(folder.path());
    log.close().unwrap();
    opened(settings(folder.path(), Durability::Strict), [1]).close().unwrap();
}

// Segments.

/// A log tells who asked for what: its folder and all of its files are for nobody but the service's own user. A folder that
/// is there stays as it is.
#[cfg(unix)]
#[test]
fn nobody_else_may_read_a_log() {
    use std::os::unix::fs::PermissionsExt;
    let here = TempDir::new().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let shared = here.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    for (folder, expected) in [(here.path().join("above/log"), 0o700), (shared, 0o755)] {
        let settings = LogSettings { segment_bytes: 800, compress: true, ..settings(&folder, Durability::Strict) };
        let log = opened(settings, 0..12);
        until("two segments are packed", || segments(&folder).iter().filter(|name| name.ends_with(".gz")).count() == 2);
        log.close().unwrap();
        assert_eq!(mode(&folder), expected);
        for file in segments(&folder).iter().map(String::as_str).chain(["head.json", "lock"]) {
            assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
        }
    }
    assert_ne!(mode(&here.path().join("above")), 0o700, "others may need the folders above it");
}

/// Segments rotate by size and age, compressed on request, retention by count or age, never the open one.
#[test]
fn segments_are_packed_and_removed_but_never_the_open_one() {
    let folder = TempDir::new().unwrap();
    let settings = || {
        signing(LogSettings {
            segment_bytes: 2_000,
            compress: true,
            keep_segments: Some(3),
            ..settings(folder.path(), Durability::Strict)
        })
    };
    let log = opened(settings(), 0..200);
    let tidy = || {
        let names = segments(folder.path());
        names.len() == 4 && names[..3].iter().all(|name| name.ends_with(".gz")) && names[3].ends_with(".jsonl")
    };
    until("three packed segments and the open one are left", tidy);
    let open = log.figures().segment;
    assert_eq!(segments(folder.path())[3], format!("{open:010}.jsonl"));
    let left = numbers(folder.path());
    assert_eq!(left, (left[0]..200).collect::<Vec<_>>());
    let verdict = verify(folder.path(), &with_key()).unwrap();
    assert!(verdict.is_whole(), "{:#?}", verdict.findings);
    assert!(verdict.notes[0].ends_with("were removed by the rules of retention"), "{:?}", verdict.notes);
    drop(log);

    // What somebody else removes is missed all the same.
    let copy = copy(folder.path());
    fs::remove_file(copy.path().join(&segments(copy.path())[0])).unwrap();
    let missing = verified(copy.path());
    assert!(findings(&missing)[0].contains("the log does not say that they were removed"), "{:?}", missing.findings);

    let log = opened(settings(), 200..300);
    until("three packed segments and the open one are left", tidy);
    log.close().unwrap();
    let verdict = verify(folder.path(), &with_key()).unwrap();
    assert!(verdict.is_whole(), "{:#?}", verdict.findings);
}

#[test]
fn segments_rotate_by_age_and_are_kept_by_age() {
    let folder = TempDir::new().unwrap();
    let settings = LogSettings {
        segment_age: Some(Duration::from_millis(300)),
        keep_age: Some(Duration::from_millis(100)),
        ..settings(folder.path(), Durability::Buffered)
    };
    let log = opened(settings, [0]);
    until("the first segment is closed", || log.figures().segment == 2);
    // One that holds nothing is not closed, however old it is.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(log.figures().segment, 2);
    append(&log, [1]);
    until("the second segment is closed, and the first one removed", || {
        segments(folder.path()).first().is_some_and(|name| name != "0000000001.jsonl")
    });
    log.close().unwrap();
    assert_whole(folder.path());
}

/// The age of a segment is that of its lines: the time of a file is anybody's.
#[test]
fn a_segment_whose_file_seems_old_is_kept() {
    let folder = three_segments();
    for file in segments(folder.path()) {
        let file = fs::File::options().write(true).open(folder.path().join(file)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let aged =
        || LogSettings { keep_age: Some(Duration::from_secs(3600)), ..settings(folder.path(), Durability::Strict) };
    opened(aged(), [12]).close().unwrap();
    assert_eq!((segments(folder.path()).len(), of_type(folder.path(), "pruned").len()), (4, 0));
    assert_eq!(numbers(folder.path()), (0..13).collect::<Vec<_>>());
}

#[test]
fn a_crash_while_a_segment_is_opened_or_packed_is_repaired() {
    let made = three_segments();
    let packed = |name: &str| {
        let content = fs::read(made.path().join(name)).unwrap();
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(&content[..], flate2::Compression::default()).read_to_end(&mut packed).unwrap();
        packed
    };
    let last = "0000000003.jsonl";
    // A new segment that is empty, or whose first line was not written to its end.
    for content in ["", "{\"sequ"] {
        let folder = copy(made.path());
        fs::write(folder.path().join("0000000004.jsonl"), content).unwrap();
        let (log, _) = Log::open(settings(folder.path(), Durability::Strict)).unwrap();
        append(&log, [12]);
        log.close().unwrap();
        assert_eq!(numbers(folder.path()), (0..13).collect::<Vec<_>>());
        assert_eq!(segments(folder.path()).len(), 4);
        assert_whole(folder.path());
    }
    // A file that was being packed; a segment that is there twice.
    let folder = copy(made.path());
    fs::write(folder.path().join("0000000001.gz.tmp"), "half").unwrap();
    fs::write(folder.path().join("0000000002.jsonl.gz"), packed("0000000002.jsonl")).unwrap();
    assert_whole(folder.path());
    let log = opened(settings(folder.path(), Durability::Strict), [12]);
    until("there is one of each", || segments(folder.path()).len() == 4);
    assert!(!folder.path().join("0000000001.gz.tmp").exists());
    log.close().unwrap();
    assert_whole(folder.path());
    // The last segment is packed, too.
    let folder = copy(made.path());
    fs::write(folder.path().join(format!("{last}.gz")), packed(last)).unwrap();
    fs::remove_file(folder.path().join(last)).unwrap();
    opened(settings(folder.path(), Durability::Strict), [12]).close().unwrap();
    assert_eq!(numbers(folder.path()), (0..13).collect::<Vec<_>>());
    assert_whole(folder.path());
    // Two that differ are not one segment.
    let folder = copy(made.path());
    fs::write(folder.path().join("0000000002.jsonl.gz"), packed("0000000001.jsonl")).unwrap();
    assert!(findings(&verified(folder.path()))[0].ends_with("are one segment, but differ"));
}

#[test]
fn a_log_is_whole_at_every_moment_while_it_is_written_packed_and_removed() {
    let folder = TempDir::new().unwrap();
    let settings = LogSettings {
        segment_bytes: 20_000,
        compress: true,
        keep_segments: Some(4),
        ..settings(folder.path(), Durability::Buffered)
    };
    let log = opened(signing(settings), [0]);
    let writing = log.clone();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        let numbers = (1..).take_while(|_| stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty));
        append(&writing, numbers.inspect(|_| std::thread::sleep(Duration::from_micros(50))));
    });
    let start = Instant::now();
    while log.figures().segment < 20 || start.elapsed() < Duration::from_secs(2) {
        let verdict = verify(folder.path(), &with_key()).unwrap();
        assert!(verdict.is_whole(), "{:#?}", verdict.findings);
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    stop.send(()).unwrap();
    writer.join().unwrap();
    log.close().unwrap();
    assert!(verify(folder.path(), &with_key()).unwrap().is_whole());
}

// What is altered.

/// `verify` detects one flipped byte, and says where.
#[test]
fn every_flipped_byte_is_found_in_its_line() {
    let folder = three_segments();
    let files = segments(folder.path());
    for file in files.iter().map(String::as_str).chain(["head.json"]) {
        let path = folder.path().join(file);
        let content = fs::read(&path).unwrap();
        for (index, bit) in (0..content.len()).flat_map(|index| [(index, 0x01), (index, 0x20)]) {
            let mut flipped = content.clone();
            flipped[index] ^= bit;
            fs::write(&path, &flipped).unwrap();
            let verdict = verified(folder.path());
            assert!(!verdict.is_whole(), "byte {index} of {file}");
            let line = 1 + content[..index].iter().filter(|byte| **byte == b'\n').count() as u64;
            let is_last_line_break = index + 1 == content.len() && Some(file) == files.last().map(String::as_str);
            if file != "head.json" && !is_last_line_break {
                let is_here = |finding: &gatepost::log::verify::Finding| {
                    finding.file.as_deref() == Some(file) && finding.line == Some(line)
                };
                assert!(
                    verdict.findings.iter().any(is_here),
                    "byte {index}, line {line} of {file}: {:#?}",
                    verdict.findings
                );
            }
        }
        fs::write(&path, &content).unwrap();
    }
    assert_whole(folder.path());
}

#[test]
fn one_altered_record_is_reported_once() {
    let folder = three_segments();
    let file = "0000000002.jsonl";
    let mut changed = lines(folder.path(), file);
    let sequence: Value = serde_json::from_str(&changed[2]).unwrap();
    changed[2] = changed[2].replace("\"number\":", "\"number\":1");
    write_lines(folder.path(), file, &changed);
    let verdict = verified(folder.path());
    assert_eq!(findings(&verdict), [format!("line 3 of {file} (sequence {}) was altered", sequence["sequence"])]);
}

/// `verify` detects a removed line, and says where.
#[test]
fn every_removed_line_is_found() {
    let folder = three_segments();
    for file in segments(folder.path()) {
        let all = lines(folder.path(), &file);
        for index in 0..all.len() {
            let mut changed = all.clone();
            let removed: Value = serde_json::from_str(&changed.remove(index)).unwrap();
            write_lines(folder.path(), &file, &changed);
            let verdict = verified(folder.path());
            let sequence = removed["sequence"].as_u64().unwrap();
            let what = format!("sequence {sequence} is missing before line {} of {file}", index + 1);
            let cut = format!("sequence {sequence} is missing before");
            let ends = format!("the log ends at sequence {}", sequence - 1);
            let told = findings(&verdict);
            assert!(
                told.iter().any(|told| *told == what || told.starts_with(&cut) || told.starts_with(&ends)),
                "line {index} of {file}: {told:#?}"
            );
        }
        write_lines(folder.path(), &file, &all);
    }
}

/// `verify` detects two swapped lines, and says where.
#[test]
fn every_two_swapped_lines_are_found() {
    let folder = three_segments();
    for file in segments(folder.path()) {
        let all = lines(folder.path(), &file);
        for (one, other) in (0..all.len()).flat_map(|one| (one + 1..all.len()).map(move |other| (one, other))) {
            let mut changed = all.clone();
            changed.swap(one, other);
            write_lines(folder.path(), &file, &changed);
            let verdict = verified(folder.path());
            let lines: BTreeSet<_> = verdict.findings.iter().filter_map(|finding| finding.line).collect();
            assert!(lines.contains(&(one as u64 + 1)), "{one} and {other}: {:#?}", verdict.findings);
            let out_of_order = format!("line {} of {file} is out of order: sequence ", one + 2);
            if other == one + 1 && other + 1 < all.len() && one > 0 {
                assert!(findings(&verdict)[1].starts_with(&out_of_order), "{:#?}", verdict.findings);
                assert_eq!(verdict.findings.len(), 2, "{:#?}", verdict.findings);
            }
        }
        write_lines(folder.path(), &file, &all);
    }
}

/// `verify` detects a removed segment, and says which.
#[test]
fn every_removed_segment_is_found() {
    let whole = three_segments();
    let removed = |file: &str| {
        let folder = copy(whole.path());
        fs::remove_file(folder.path().join(file)).unwrap();
        verified(folder.path()).findings.into_iter().map(|finding| finding.what).collect::<Vec<_>>()
    };
    let first = removed("0000000001.jsonl");
    assert!(first[0].starts_with("segment 1 is missing, and the log does not say that"), "{first:?}");
    let range = |file: &str| {
        let all = lines(whole.path(), file);
        [&all[0], &all[all.len() - 1]].map(|line| serde_json::from_str::<Value>(line).unwrap()["sequence"].clone())
    };
    let [from, to] = range("0000000002.jsonl");
    assert_eq!(removed("0000000002.jsonl"), [format!("segment 2 (sequences {from} to {to}) is missing")]);
    let [from, to] = range("0000000003.jsonl");
    let end = from.as_u64().unwrap() - 1;
    let what = format!("the log ends at sequence {end}, but its head says {to}: lines at its end are missing");
    assert_eq!(removed("0000000003.jsonl"), [what]);
    let head = removed("head.json");
    assert_eq!(head, ["the head of the log (head.json) is missing: lines at its end could be, too"]);
}

/// `verify` detects a cut tail: of the open segment, and of a closed one.
#[test]
fn every_cut_tail_is_found() {
    let folder = three_segments();
    for file in segments(folder.path()) {
        let path = folder.path().join(&file);
        let content = fs::read(&path).unwrap();
        for length in 0..content.len() {
            fs::write(&path, &content[..length]).unwrap();
            assert!(!verified(folder.path()).is_whole(), "{length} bytes of {file}");
        }
        fs::write(&path, &content).unwrap();
    }
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Strict), 0..5);
    let running = copy(folder.path());
    log.close().unwrap();
    let file = "0000000001.jsonl";
    let all = lines(running.path(), file);
    write_lines(running.path(), file, &all[..3]);
    let verdict = verified(running.path());
    let what = format!("the log ends at sequence 3, but its head says {}: lines at its end are missing", all.len());
    assert_eq!(findings(&verdict), [what]);
}

#[test]
fn a_flipped_byte_of_a_packed_segment_is_found_wherever_it_changes_a_record() {
    let folder = TempDir::new().unwrap();
    let settings = LogSettings { segment_bytes: 800, compress: true, ..settings(folder.path(), Durability::Strict) };
    let log = opened(settings, 0..12);
    until("two segments are packed", || {
        segments(folder.path()).iter().filter(|name| name.ends_with(".gz")).count() == 2
    });
    log.close().unwrap();
    assert_whole(folder.path());
    let path = folder.path().join("0000000001.jsonl.gz");
    let content = fs::read(&path).unwrap();
    let unpacked = |content: &[u8]| {
        let mut unpacked = Vec::new();
        flate2::read::MultiGzDecoder::new(content).read_to_end(&mut unpacked).map(|_| unpacked).ok()
    };
    let original = unpacked(&content);
    let mut found = 0;
    for index in 0..content.len() {
        let mut flipped = content.clone();
        flipped[index] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        let is_whole = verified(folder.path()).is_whole();
        assert_eq!(is_whole, unpacked(&flipped) == original, "byte {index}");
        found += usize::from(!is_whole);
    }
    // Some bytes of the heading say when and where it was packed, and nothing of the records.
    assert!(found >= content.len() - 10, "{found} of {}", content.len());
}

/// Nothing can be added to a packed segment, whatever it is: `verify` names the place.
#[test]
fn bytes_after_the_end_of_a_packed_segment_are_found() {
    let packed = |content: &[u8]| {
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(content, flate2::Compression::default()).read_to_end(&mut packed).unwrap();
        packed
    };
    let folder = three_segments();
    for file in segments(folder.path()) {
        let plain = folder.path().join(&file);
        fs::write(folder.path().join(format!("{file}.gz")), packed(&fs::read(&plain).unwrap())).unwrap();
        fs::remove_file(plain).unwrap();
    }
    assert_whole(folder.path());
    let added: Vec<Vec<u8>> = [1, 2, 9, 10, 17, 18, 100, 512, 300_000].map(|count| vec![0; count]).to_vec();
    let others = [b"x".to_vec(), b"something else\n".to_vec(), packed(b"")[..5].to_vec(), packed(b"")];
    let members = [packed(&[0; 100]), packed(b"\n"), packed(b"{\"sequ")];
    for (bytes, file) in added
        .iter()
        .chain(&others)
        .chain(&members)
        .flat_map(|bytes| segments(folder.path()).into_iter().map(move |file| (bytes, file)))
    {
        let path = folder.path().join(&file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], bytes].concat()).unwrap();
        let verdict = verified(folder.path());
        let named = verdict.findings.iter().any(|finding| finding.file.as_ref() == Some(&file));
        assert!(named, "{} bytes {:?} after {file}: {verdict:#?}", bytes.len(), &bytes[..bytes.len().min(8)]);
        fs::write(&path, whole).unwrap();
    }
    // Nor is its last line one that the next start repairs.
    let last = "0000000003.jsonl.gz";
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(&fs::read(folder.path().join(last)).unwrap()[..]).read_to_end(&mut content).unwrap();
    let closing = content[..content.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    fs::write(folder.path().join(last), packed(&content[..closing + 9])).unwrap();
    let verdict = verified(folder.path());
    assert!(verdict.findings.iter().any(|finding| finding.file.as_deref() == Some(last)), "{verdict:#?}");
}

/// With `--log-signing-key` checkpoints are signed: a re-hashed forgery without the signing key is detected.
#[test]
fn a_log_made_anew_without_the_key_is_found() {
    let whole = TempDir::new().unwrap();
    let log =
        opened(signing(LogSettings { segment_bytes: 2_000, ..settings(whole.path(), Durability::Strict) }), 0..30);
    log.close().unwrap();
    let verdict = verify(whole.path(), &with_key()).unwrap();
    assert!(verdict.is_whole() && verdict.unsigned == Some(0), "{verdict:#?}");
    let end = verdict.end;

    let alter = |line: &str| Some(line.replace("\"number\":7", "\"number\":8"));
    let without_checkpoints = |line: &str| {
        let is_signed = line.contains("\"signature\"");
        (!is_signed).then(|| line.replace("\"number\":7", "\"number\":8"))
    };
    let unsigned = |line: &str| {
        let line = line.replace("\"number\":7", "\"number\":8");
        Some(line.split_once(",\"signature\"").map_or(line.clone(), |(before, _)| before.to_owned()))
    };
    type Forgery<'a> = &'a dyn Fn(&str) -> Option<String>;
    let forgeries: [Forgery<'_>; 3] = [&alter, &without_checkpoints, &unsigned];
    for forge in forgeries {
        let folder = copy(whole.path());
        rehash(folder.path(), forge);
        // Who has no key and kept nothing cannot know.
        assert_whole(folder.path());
        let verdict = verify(folder.path(), &with_key()).unwrap();
        let told = findings(&verdict);
        assert!(told.iter().any(|told| told.contains("sign")), "{told:#?}");
        // Nor can one be made that holds a line which was noted elsewhere.
        let noted = Question { keys: Vec::new(), contains: Some(end) };
        assert!(!verify(folder.path(), &noted).unwrap().is_whole());
    }
    let noted = Question { keys: Vec::new(), contains: Some(end) };
    assert!(verify(whole.path(), &noted).unwrap().is_whole());
}

/// Who has no key adds nothing to a closed segment: no start takes it, and `verify` says so.
#[test]
fn nothing_is_added_after_the_line_that_closes_a_segment() {
    let folder = TempDir::new().unwrap();
    opened(signing(settings(folder.path(), Durability::Strict)), 0..3).close().unwrap();
    let added = "0000000001.jsonl";
    let line = lines(folder.path(), added).len() + 1;
    let torn = copy(folder.path());
    forge(folder.path(), added, &(0..5).map(|_| decision()).collect::<Vec<_>>());
    fs::write(torn.path().join(added), [fs::read(torn.path().join(added)).unwrap(), b"{\"sequ".to_vec()].concat())
        .unwrap();
    for folder in [folder, torn] {
        let told = format!("line {line} of {added} comes after the line that closes the segment");
        assert_eq!(findings(&verify(folder.path(), &with_key()).unwrap()), [told]);
        let error = Log::open(signing(settings(folder.path(), Durability::Strict))).unwrap_err();
        assert!(matches!(error, LogError::Altered { .. }), "{error}");
    }
}

/// Lines that could be a crash's or a forger's are named for ever, whatever is signed after them.
#[test]
fn lines_that_nothing_vouches_for_are_named_for_ever() {
    let closed = TempDir::new().unwrap();
    let log = opened(signing(settings(closed.path(), Durability::Strict)), 0..3);
    let running = copy(closed.path());
    log.close().unwrap();
    let first = |folder: &Path| lines(folder, "0000000001.jsonl").len() + 1;
    // After the open end, with and without a head that knows them; and as a further segment.
    let (open, with_head) = (copy(running.path()), copy(running.path()));
    let from = [first(open.path()), first(with_head.path()), first(closed.path())];
    forge(open.path(), "0000000001.jsonl", &[decision(), decision()]);
    let end = forge(with_head.path(), "0000000001.jsonl", &[decision(), decision()]);
    write_head(with_head.path(), 1, end);
    let (sequence, chain) = last(closed.path(), "0000000001.jsonl");
    let opening = format!(
        "\"type\":\"opened\",\"time\":\"2026-11-24T12:00:00.000Z\",\"format\":1,\"segment\":2,\
         \"previousSequence\":{sequence},\"previousChain\":\"{}\",\"version\":\"0.1.0\"",
        hexadecimal(&chain)
    );
    forge(closed.path(), "0000000002.jsonl", &[opening, decision()]);
    for (folder, first) in [open, with_head, closed].iter().zip(from) {
        let path = folder.path();
        let before = verify(path, &with_key()).unwrap();
        let is_further = path.join("0000000002.jsonl").exists();
        // A head that the key has not signed vouches for nothing.
        let told = if before.is_whole() || is_further { first } else { 1 };
        let named = |verdict: &Verdict| {
            let named = format!("for the sequences {told} to {}: somebody else", first + 1);
            verdict.notes.iter().any(|note| note.contains(&named))
        };
        assert!(named(&before) || findings(&before) == ["head.json is not signed"], "{before:#?}");
        let (log, problems) = Log::open(signing(settings(path, Durability::Strict))).unwrap();
        let unvouched = format!("for the lines {told} to {} of", first + 1);
        assert!(problems[usize::from(is_further)].message.contains(&unvouched), "{problems:?}");
        log.close().unwrap();
        let recovered = &of_type(path, "recovered")[0];
        assert_eq!(recovered["unvouched"], json!({ "first": told, "last": first + 1 }));
        let before: Vec<_> =
            all(path).into_iter().filter(|line| line["sequence"].as_u64() < recovered["sequence"].as_u64()).collect();
        assert!(before[first - 1..].iter().all(|line| line.get("signature").is_none()), "{before:#?}");
        opened(signing(settings(path, Durability::Strict)), [9]).close().unwrap();
        let verdict = verify(path, &with_key()).unwrap();
        assert!(verdict.unsigned == Some(0) && named(&verdict), "{verdict:#?}");
    }
}

/// A segment after the one that the head knows is somebody else's, also of a log that nobody has signed: `verify` says so
/// before the next start, and ever after.
#[test]
fn a_segment_that_the_head_does_not_know_is_found() {
    let folder = TempDir::new().unwrap();
    opened(settings(folder.path(), Durability::Strict), 0..3).close().unwrap();
    let (sequence, chain) = last(folder.path(), "0000000001.jsonl");
    let opening = |segment: u64| {
        format!(
            "\"type\":\"opened\",\"time\":\"2026-11-24T12:00:00.000Z\",\"format\":1,\"segment\":{segment},\
             \"previousSequence\":{sequence},\"previousChain\":\"{}\",\"version\":\"0.1.0\"",
            hexadecimal(&chain)
        )
    };
    // A crash leaves the next one with its opening alone.
    let opened_only = copy(folder.path());
    forge(opened_only.path(), "0000000002.jsonl", &[opening(2)]);
    assert_whole(opened_only.path());
    let (log, _) = Log::open(settings(opened_only.path(), Durability::Strict)).unwrap();
    append(&log, [3]);
    log.close().unwrap();
    assert_whole(opened_only.path());

    let others = [vec![opening(2), decision()], vec![opening(2), "\"type\":\"checkpoint\"".to_owned()]];
    for members in others {
        let folder = copy(folder.path());
        forge(folder.path(), "0000000002.jsonl", &members);
        let verdict = verified(folder.path());
        let told = "the head of the log knows no segment after 1, but there is 0000000002.jsonl: somebody has added it, or head.json is an older one";
        assert_eq!(findings(&verdict), [told]);
        let place = (verdict.findings[0].file.as_deref(), verdict.findings[0].line);
        assert_eq!(place, (Some("0000000002.jsonl"), Some(1)));
        for round in 0..2 {
            let (log, problems) = Log::open(settings(folder.path(), Durability::Strict)).unwrap();
            assert_eq!(
                problems.iter().filter(|told| told.message.contains("does not know its last segment")).count(),
                1 - round
            );
            append(&log, [3]);
            log.close().unwrap();
            let verdict = verified(folder.path());
            let told = "lines before line 3 of 0000000002.jsonl could have been added by somebody else";
            assert!(findings(&verdict)[0].ends_with(told), "{verdict:#?}");
            assert_eq!(verdict.findings.len(), 1, "{verdict:#?}");
        }
    }
    // Also one without a whole line is not found in the place that a crash leaves it in.
    let far = copy(folder.path());
    write_lines(far.path(), "0000000009.jsonl", &[]);
    let beyond = "the head of the log knows no segment after 1, but there is 0000000009.jsonl: somebody has added it, or head.json is an older one";
    assert_eq!(findings(&verified(far.path())), ["segments 2 to 8 are missing", beyond]);
    // While it is written, a segment can be opened after the head was read.
    let log = opened(LogSettings { segment_bytes: 800, ..settings(folder.path(), Durability::Strict) }, 0..12);
    fs::remove_file(folder.path().join("head.json")).unwrap();
    write_head(folder.path(), 1, (sequence, chain));
    assert!(!findings(&verified(folder.path())).iter().any(|told| told.contains("knows no segment after")));
    drop(log);
}

/// The head knows of a segment before anything is decided in it: no moment at which the service is killed leaves another.
#[test]
fn the_head_knows_each_segment_before_anything_is_decided_in_it() {
    let folder = TempDir::new().unwrap();
    let log = opened(LogSettings { segment_bytes: 1, ..settings(folder.path(), Durability::Strict) }, []);
    let writing = log.clone();
    let writer = std::thread::spawn(move || append(&writing, 0..60));
    let mut seen = BTreeSet::new();
    while !writer.is_finished() {
        let decided = |file: &String| fs::read_to_string(folder.path().join(file)).unwrap().contains("\"decision\"");
        let last = segments(folder.path()).iter().rposition(decided).map_or(0, |index| index + 1);
        let read = || fs::read(folder.path().join("head.json")).unwrap();
        // What is read at the moment when it is written can be half of the one and half of the next.
        let text = std::iter::repeat_with(read).find(|text| *text == read()).unwrap();
        let head: Value = serde_json::from_slice(&text).unwrap();
        assert!(head["segment"].as_u64().unwrap() >= last as u64, "{head}, but {last} segments");
        seen.insert(last);
    }
    assert!(seen.len() > 2, "{seen:?}");
    log.close().unwrap();
    assert_whole(folder.path());
}

/// After a loss of power the head may be an old one: what the key has signed needs no head.
#[test]
fn a_signed_line_vouches_for_what_an_old_head_does_not_know() {
    let folder = TempDir::new().unwrap();
    let log = opened(signing(settings(folder.path(), Durability::Strict)), 0..3);
    let running = copy(folder.path());
    append(&log, 3..6);
    log.close().unwrap();
    fs::copy(running.path().join("head.json"), folder.path().join("head.json")).unwrap();
    let named = |verdict: &Verdict| verdict.notes.iter().any(|note| note.contains("nothing vouched yet"));
    let verdict = verify(folder.path(), &with_key()).unwrap();
    assert!(verdict.is_whole() && !named(&verdict), "{verdict:#?}");
    assert!(named(&verified(folder.path())));
    opened(signing(settings(folder.path(), Durability::Strict)), [6]).close().unwrap();
    assert!(!named(&verified(folder.path())));
}

fn decision() -> String {
    "\"type\":\"decision\",\"number\":666".to_owned()
}

/// Adds lines with those members as who has no key can; the last one.
fn forge(folder: &Path, file: &str, members: &[String]) -> (u64, [u8; 32]) {
    let before = if folder.join(file).exists() { file } else { "0000000001.jsonl" };
    let (mut sequence, mut chain) = last(folder, before);
    let mut all = if before == file { lines(folder, file) } else { Vec::new() };
    for members in members {
        sequence += 1;
        let content = format!("{{\"sequence\":{sequence},{members}");
        chain = Sha256::new().chain_update(chain).chain_update(&content).finalize().into();
        all.push(format!("{content},\"chain\":\"{}\"}}", hexadecimal(&chain)));
    }
    write_lines(folder, file, &all);
    (sequence, chain)
}

/// The last line of a segment: its number, and its chain.
fn last(folder: &Path, file: &str) -> (u64, [u8; 32]) {
    let line: Value = serde_json::from_str(lines(folder, file).last().unwrap()).unwrap();
    let digits = line["chain"].as_str().unwrap();
    let chain: Vec<_> = (0..32).map(|byte| u8::from_str_radix(&digits[2 * byte..2 * byte + 2], 16).unwrap()).collect();
    (line["sequence"].as_u64().unwrap(), chain.try_into().unwrap())
}

/// The first head says that nothing was written yet, and is the same for every log of a key.
#[test]
fn the_first_head_of_a_log_vouches_for_no_other() {
    let path_of = |folder: &TempDir| folder.path().join("head.json");
    let heading = format!("{{\"format\":1,\"segment\":{:20},\"sequence\":{:20},\"chain\":\"{}\"", 0, 0, "0".repeat(64));
    let key = SigningKey::from_pem(PRIVATE_KEY.as_bytes()).unwrap();
    let signature = format!("\"{}\"", key.sign("gatepost log head v1", heading.as_bytes()));
    let first = format!("{heading},\"signature\":{signature:90}}}\n");

    // A crash can leave it alone.
    let alone = TempDir::new().unwrap();
    fs::write(path_of(&alone), &first).unwrap();
    let verdict = verify(alone.path(), &with_key()).unwrap();
    assert!(verdict.is_whole(), "{:#?}", verdict.findings);
    opened(signing(settings(alone.path(), Durability::Strict)), [0]).close().unwrap();
    assert!(verify(alone.path(), &with_key()).unwrap().is_whole());

    // With another log it is none of it, whoever holds the lock.
    let forged = TempDir::new().unwrap();
    opened(settings(forged.path(), Durability::Strict), 0..3).close().unwrap();
    let is_made = |line: &str| ["opened", "decision"].iter().any(|kind| line.contains(&format!("\"type\":\"{kind}\"")));
    rehash(forged.path(), &|line| is_made(line).then(|| line.to_owned()));
    fs::write(path_of(&forged), &first).unwrap();
    let told = ["the head of the log knows sequence 0, which is not there"];
    assert_eq!(findings(&verify(forged.path(), &with_key()).unwrap()), told);
    let lock = fs::File::open(forged.path().join("lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(findings(&verify(forged.path(), &with_key()).unwrap()), told);
}

/// Makes all lines anew, with other content; and a head that knows the last one.
fn rehash(folder: &Path, change: &dyn Fn(&str) -> Option<String>) {
    let (mut chain, mut sequence) = ([0; 32], 0_u64);
    let files = segments(folder);
    for file in &files {
        let mut changed = Vec::new();
        for line in lines(folder, file) {
            let (content, _) = line.rsplit_once(",\"chain\":\"").unwrap();
            let Some(content) = change(content) else { continue };
            let (_, members) = content.split_once(',').unwrap();
            // The line that opens a segment names the one before it.
            let members = match members.split_once("\"previousSequence\":") {
                Some((before, rest)) => {
                    let (_, after) = rest.split_once(",\"version\"").unwrap();
                    let chain = hexadecimal(&chain);
                    format!("{before}\"previousSequence\":{sequence},\"previousChain\":\"{chain}\",\"version\"{after}")
                }
                None => members.to_owned(),
            };
            sequence += 1;
            let content = format!("{{\"sequence\":{sequence},{members}");
            chain = Sha256::new().chain_update(chain).chain_update(&content).finalize().into();
            changed.push(format!("{content},\"chain\":\"{}\"}}", hexadecimal(&chain)));
        }
        write_lines(folder, file, &changed);
    }
    write_head(folder, files.len(), (sequence, chain));
}

/// A head that nobody has signed.
fn write_head(folder: &Path, segment: usize, (sequence, chain): (u64, [u8; 32])) {
    let chain = hexadecimal(&chain);
    let head = format!(
        "{{\"format\":1,\"segment\":{segment:20},\"sequence\":{sequence:20},\"chain\":\"{chain}\",\"signature\":{:90}}}\n",
        "null"
    );
    fs::write(folder.join("head.json"), head).unwrap();
}

#[test]
fn signatures_of_another_key_are_found() {
    let folder = TempDir::new().unwrap();
    opened(signing(settings(folder.path(), Durability::Strict)), 0..3).close().unwrap();
    let other = ring::signature::Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let other = rcgen::KeyPair::try_from(other.as_ref()).unwrap();
    let key = VerifyingKey::from_pem(other.public_key_pem().as_bytes()).unwrap();
    let verdict = verify(folder.path(), &Question { keys: vec![key], contains: None }).unwrap();
    assert!(findings(&verdict).contains(&"the signature of head.json is not by that key"), "{:#?}", verdict.findings);
    // Keys change: then either may have signed.
    let both = Question { keys: [with_key().keys, vec![key]].concat(), contains: None };
    assert!(verify(folder.path(), &both).unwrap().is_whole());
}

/// A checkpoint every 1,000 decisions, or every second if something was written.
#[test]
fn checkpoints_come_by_count_and_by_time() {
    let folder = TempDir::new().unwrap();
    let log = opened(signing(settings(folder.path(), Durability::Buffered)), 0..2500);
    let before = of_type(folder.path(), "checkpoint").len();
    until("the last decisions are signed", || {
        verify(folder.path(), &with_key()).unwrap().unsigned == Some(0)
            && of_type(folder.path(), "checkpoint").len() > before
    });
    let after = of_type(folder.path(), "checkpoint").len();
    std::thread::sleep(Duration::from_millis(2200));
    // Where nothing is written, nothing is signed.
    assert!(of_type(folder.path(), "checkpoint").len() <= after + 1);
    log.close().unwrap();
    let mut since = 0;
    for line in all(folder.path()) {
        match line["type"].as_str().unwrap() {
            "decision" => since += 1,
            "checkpoint" | "closed" => since = 0,
            _ => {}
        }
        assert!(since <= 1000);
    }
}

// What a crash leaves.

/// A torn tail after a crash is recognised and repaired at start without losing a complete record.
#[test]
fn a_line_torn_anywhere_is_repaired_and_no_whole_one_is_lost() {
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Strict), 0..4);
    let before = copy(folder.path());
    append(&log, [4]);
    let after = copy(folder.path());
    log.close().unwrap();
    let file = "0000000001.jsonl";
    let (whole, longer) = (fs::read(before.path().join(file)).unwrap(), fs::read(after.path().join(file)).unwrap());
    for length in whole.len()..longer.len() {
        for zeros in [0, 512] {
            let torn = copy(before.path());
            let content = [&longer[..length], &vec![0; zeros]].concat();
            fs::write(torn.path().join(file), &content).unwrap();
            assert_whole(torn.path());
            let (log, problems) = Log::open(settings(torn.path(), Durability::Strict)).unwrap();
            append(&log, [5]);
            log.close().unwrap();
            // What lacks nothing but its line break is whole.
            let is_whole = length + 1 == longer.len() && zeros == 0;
            let expected: Vec<_> = if is_whole { vec![0, 1, 2, 3, 4, 5] } else { vec![0, 1, 2, 3, 5] };
            assert_eq!(numbers(torn.path()), expected);
            assert_whole(torn.path());
            let cut = content.len() - whole.len();
            let is_torn = cut > 0 && !is_whole;
            // The head does not know a line of which somebody wrote all but the line break.
            assert_eq!(problems.len(), usize::from(is_torn || is_whole), "{length}: {problems:?}");
            let recovered = of_type(torn.path(), "recovered");
            assert_eq!(recovered.len(), problems.len());
            if is_torn {
                let digest = hexadecimal(&Sha256::digest(&content[whole.len()..]));
                assert_eq!(recovered[0]["torn"], json!({ "bytes": cut, "sha256": digest }));
            }
        }
    }
}

/// A complete line with a wrong chain is no torn tail.
#[test]
fn a_log_whose_end_was_altered_is_not_written_on() {
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Strict), 0..4);
    let running = copy(folder.path());
    log.close().unwrap();
    let path = running.path().join("0000000001.jsonl");
    let content = fs::read(&path).unwrap();
    for index in 0..content.len() - 1 {
        let mut flipped = content.clone();
        flipped[index] ^= 0x01;
        fs::write(&path, &flipped).unwrap();
        let error = Log::open(settings(running.path(), Durability::Strict)).unwrap_err();
        assert!(matches!(error, LogError::Altered { .. }), "byte {index}: {error}");
        assert_eq!(fs::read(&path).unwrap(), flipped);
    }
    let line = lines(running.path(), "0000000001.jsonl").len();
    let error = Log::open(settings(running.path(), Durability::Strict)).unwrap_err();
    let expected = format!("was altered: line {line} of `0000000001.jsonl` is not what was written");
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(error.help().unwrap().contains("gatepost log verify"));
}

/// The head says more than there is: the log says for ever which lines are lost, and their numbers are not used again.
#[test]
fn lines_that_are_lost_stay_missed_after_a_start() {
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Strict), 0..6);
    let running = copy(folder.path());
    log.close().unwrap();
    let file = "0000000001.jsonl";
    let all = lines(running.path(), file);
    write_lines(running.path(), file, &all[..4]);
    let (log, problems) = Log::open(settings(running.path(), Durability::Strict)).unwrap();
    assert!(
        problems[0].message.ends_with(&format!("lacks the lines 5 to {}, which its head knows", all.len())),
        "{problems:?}"
    );
    append(&log, [9]);
    log.close().unwrap();
    let recovered = &of_type(running.path(), "recovered")[0];
    assert_eq!(recovered["lost"], json!({ "first": 5, "last": all.len() }));
    assert_eq!(recovered["sequence"], all.len() + 1);
    let verdict = verified(running.path());
    let told = findings(&verdict);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with(&format!("sequences 5 to {} are missing before line 5 of {file}: at ", all.len())),
        "{told:?}"
    );
}

#[test]
fn a_head_or_a_segment_that_is_gone_stays_missed_after_a_start() {
    for gone in ["head.json", "0000000002.jsonl", "0000000003.jsonl"] {
        let folder = three_segments();
        fs::remove_file(folder.path().join(gone)).unwrap();
        for round in 0..2 {
            let (log, problems) = Log::open(settings(folder.path(), Durability::Strict)).unwrap();
            assert_eq!(problems.is_empty(), round > 0 || gone == "0000000002.jsonl", "{gone}: {problems:?}");
            append(&log, [20 + round]);
            log.close().unwrap();
            let verdict = verified(folder.path());
            assert!(!verdict.is_whole(), "{gone}");
        }
    }
    // All of them.
    let folder = three_segments();
    for file in segments(folder.path()) {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    assert!(!verified(folder.path()).is_whole());
    let (log, problems) = Log::open(settings(folder.path(), Durability::Strict)).unwrap();
    assert_eq!(problems.len(), 1);
    append(&log, [0]);
    log.close().unwrap();
    let verdict = verified(folder.path());
    assert!(findings(&verdict)[0].starts_with("segments 1 to 3 are missing"), "{:?}", verdict.findings);
}

// What cannot be written.

#[test]
fn a_segment_that_is_removed_or_changed_while_it_is_written_is_missed_and_the_log_goes_on() {
    let attacks: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            fs::write(path, "another").unwrap();
        },
    ];
    for (attack, durability) in
        attacks.iter().flat_map(|attack| [(attack, Durability::Strict), (attack, Durability::Buffered)])
    {
        let folder = TempDir::new().unwrap();
        let log = opened(settings(folder.path(), durability), 0..4);
        until("they are written", || log.figures().written == 4);
        attack(&folder.path().join("0000000001.jsonl"));
        let runtime = runtime();
        let mut number = 4;
        until("the next segment is written", || {
            // `strict` refuses until the log is written again; nothing is answered that is not in it.
            let _ = runtime.block_on(log.append(Entries::from_iter([entry(number)])));
            number += 1;
            log.figures().segment == 2 && log.is_writable()
        });
        append(&log, [1_000_000]);
        log.close().unwrap();
        assert!(lines(folder.path(), "0000000002.jsonl").iter().any(|line| line.contains("\"type\":\"refused\"")));
        assert!(lines(folder.path(), "0000000002.jsonl").iter().any(|line| line.contains("1000000")));
        assert!(!verified(folder.path()).is_whole());
    }
}

/// Whatever becomes of the lock's file: a log that is written is locked, and no second service gets it.
#[test]
fn the_lock_is_taken_again_where_it_is_lost() {
    let here = TempDir::new().unwrap();
    let folder = here.path().join("log");
    let log = opened(settings(&folder, Durability::Buffered), 0..4);
    let is_taken = || matches!(Log::open(settings(&folder, Durability::Buffered)), Err(LogError::Taken(_)));
    assert!(is_taken());
    fs::remove_file(folder.join("lock")).unwrap();
    until("it is locked again", || folder.join("lock").exists());
    assert!(is_taken());
    append(&log, [4]);

    // The folder is moved away, and another made in its place.
    until("they are written", || log.figures().written == 5);
    let moved = here.path().join("moved");
    fs::rename(&folder, &moved).unwrap();
    fs::create_dir(&folder).unwrap();
    until("the log goes on there", || log.figures().segment == 2 && log.is_writable());
    assert!(is_taken());
    append(&log, [5]);
    log.close().unwrap();
    assert_eq!((numbers(&moved), numbers(&folder)), ((0..5).collect(), vec![5]));
    // What was moved away is missed.
    assert!(!verified(&folder).is_whole());
}

/// Where its folder is moved away while it is written, and an empty one is put in its place or none, the log goes on there; of what
/// was answered, nothing is lost, and what was moved away is whole.
#[test]
fn where_the_folder_is_replaced_nothing_is_lost() {
    for durability in [Durability::Strict, Durability::Buffered] {
        for is_made in [true, false] {
            let here = TempDir::new().unwrap();
            let (folder, moved) = (here.path().join("log"), here.path().join("moved"));
            let log = opened(settings(&folder, durability), 0..4);
            until("they are written", || log.figures().written == 4);
            fs::rename(&folder, &moved).unwrap();
            if is_made {
                fs::create_dir(&folder).unwrap();
            }
            let runtime = runtime();
            let mut answered: Vec<usize> = (0..4).collect();
            for number in 4..40 {
                if runtime.block_on(log.append(Entries::from_iter([entry(number)]))).is_ok() {
                    answered.push(number);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            log.close().unwrap();
            assert_eq!([numbers(&moved), numbers(&folder)].concat(), answered);
            assert!(answered.contains(&39) && numbers(&moved).len() == 4, "{answered:?}");
            assert_whole(&moved);
            assert_eq!(of_type(&folder, "recovered")[0]["head"], "missing");
            assert!(of_type(&folder, "recovered")[0].get("lost").is_none());
        }
    }
}

/// "What could not be replayed is counted": segments that are removed as old while a log is read are passed over, and the numbers of
/// the lines tell; one that is missing between others cannot be read.
#[test]
fn segments_that_are_removed_while_they_are_read_are_passed_over() {
    let folder = three_segments();
    let [first, second, third] = segments(folder.path()).try_into().unwrap();
    let mut lines = Lines::open(folder.path()).unwrap();
    assert_eq!(lines.next().unwrap().unwrap().position.sequence, 1);
    for name in [&first, &second] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let mut read = BTreeSet::new();
    while let Some(line) = lines.next() {
        read.insert(line.unwrap().file.to_owned());
    }
    // The first was open.
    assert_eq!(read, BTreeSet::from([first, third]));

    let folder = three_segments();
    let mut lines = Lines::open(folder.path()).unwrap();
    fs::remove_file(folder.path().join(second)).unwrap();
    let error = std::iter::from_fn(|| lines.next().map(|line| line.err())).flatten().next();
    assert!(matches!(error, Some(ReadError::Io { .. })), "{error:?}");
}

/// A log whose lock another process has got cannot be written, and takes nothing away from the other; once it can, it goes
/// on after all that the other has written.
#[test]
fn a_log_that_another_process_has_locked_waits_for_it() {
    for durability in [Durability::Strict, Durability::Buffered] {
        let folder = TempDir::new().unwrap();
        let one = opened(settings(folder.path(), durability), 0..4);
        until("they are written", || one.figures().written == 4);
        fs::remove_file(folder.path().join("lock")).unwrap();
        let other = opened(settings(folder.path(), durability), 4..8);
        until("it is noticed", || !one.is_writable());
        assert!(one.admit().is_err());
        append(&other, 8..12);
        // It tries again and again.
        std::thread::sleep(Duration::from_millis(600));
        assert!(one.figures().failing.unwrap().contains("is being written by another process"));
        other.close().unwrap();
        until("it goes on", || one.is_writable());
        append(&one, 12..16);
        one.close().unwrap();
        assert_eq!(numbers(folder.path()), (0..16).collect::<Vec<_>>());
        assert_whole(folder.path());
        assert_eq!(of_type(folder.path(), "refused").len(), 1);
        opened(settings(folder.path(), durability), [16]).close().unwrap();
        assert_whole(folder.path());
    }
}

/// A log that fails again and again says so at most once a second, and counts all of it.
#[test]
fn a_disk_that_fails_time_and_again_is_told_once_a_second() {
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Strict), [0]);
    let (runtime, start, mut failures) = (runtime(), Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(3500) {
        // Somebody else's bytes are cut off; until then, nothing is written.
        let file = fs::File::options().append(true).open(folder.path().join("0000000001.jsonl"));
        std::io::Write::write_all(&mut file.unwrap(), b"x").unwrap();
        failures += usize::from(runtime.block_on(log.append(Entries::from_iter([entry(1)]))).is_err());
        until("it is written again", || log.is_writable());
    }
    let other = log.clone();
    log.close().unwrap();
    let told = of_type(folder.path(), "refused");
    assert!(failures > 6 && (2..=5).contains(&told.len()), "{failures} failures, {told:#?}");
    let refused: u64 = told.iter().map(|line| line["requests"].as_u64().unwrap()).sum();
    assert_eq!(refused, other.figures().refused);
    assert_whole(folder.path());
}

#[test]
fn a_head_that_is_removed_while_the_log_is_written_is_missed() {
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Buffered), 0..4);
    fs::remove_file(folder.path().join("head.json")).unwrap();
    until("there is a head", || folder.path().join("head.json").exists());
    append(&log, [4]);
    log.close().unwrap();
    assert_eq!(of_type(folder.path(), "recovered")[0]["head"], "missing");
    assert_eq!(numbers(folder.path()), (0..5).collect::<Vec<_>>());
    assert_eq!(verified(folder.path()).findings.len(), 1);
}

#[test]
fn a_head_that_is_replaced_while_the_log_is_written_is_missed_and_written_again() {
    let folder = TempDir::new().unwrap();
    let log = opened(settings(folder.path(), Durability::Buffered), 0..4);
    let (head, other) = (folder.path().join("head.json"), folder.path().join("other"));
    fs::write(&other, [fs::read(&head).unwrap(), b"and more".to_vec()].concat()).unwrap();
    fs::rename(&other, &head).unwrap();
    until("it is noticed", || !of_type(folder.path(), "recovered").is_empty());
    append(&log, [4]);
    log.close().unwrap();
    assert_eq!(of_type(folder.path(), "recovered")[0]["head"], "replaced");
    let verdict = verified(folder.path());
    assert!(findings(&verdict)[0].contains("the head of the log was another one"), "{:?}", verdict.findings);
    assert_eq!(verdict.findings.len(), 1, "{:?}", verdict.findings);
}

/// When the disk is full or the file cannot be written: `strict` and `buffered` answer 503 and recover by themselves.
#[test]
fn a_full_disk_is_survived_without_a_lost_a_doubled_or_a_torn_record() {
    for durability in ["strict", "buffered", "lossy"] {
        let folder = TempDir::new().unwrap();
        // Another process of this test, in which no file may have more than 64 blocks.
        let script = "ulimit -S -f 64; exec \"$0\" --exact in_a_process_with_a_limit --nocapture";
        let output = Command::new("sh")
            .args(["-c", script])
            .arg(std::env::current_exe().unwrap())
            .envs([(LIMITED, folder.path().as_os_str()), ("LIMITED_DURABILITY", durability.as_ref())])
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("1 passed"), "{durability}: {text}");
        assert!(text.contains("the limit was met"), "{durability}: {text}");
    }
}

const LIMITED: &str = "LIMITED_FOLDER";

#[test]
fn in_a_process_with_a_limit() {
    let Some(folder) = std::env::var_os(LIMITED).map(PathBuf::from) else { return };
    let durability = match std::env::var("LIMITED_DURABILITY").unwrap().as_str() {
        "strict" => Durability::Strict,
        "buffered" => Durability::Buffered,
        _ => Durability::Lossy,
    };
    let runtime = runtime();
    runtime.block_on(async { gatepost::log::survive_file_size_limit().unwrap() });
    let (log, _) = Log::open(LogSettings { queue_bytes: 64 * 1024, ..settings(&folder, durability) }).unwrap();
    let long = |number| [entry(number), format!(",\"padding\":\"{}\"", "x".repeat(800)).into_bytes()].concat();
    // More than the file and the queue have room for.
    let mut answered: Vec<usize> = Vec::new();
    for number in 0..400 {
        if runtime.block_on(log.append(Entries::from_iter([long(number)]))).is_ok() {
            answered.push(number);
        }
        std::thread::sleep(Duration::from_millis(u64::from(number % 20 == 0)));
    }
    until("the limit is met", || log.figures().failing.is_some());
    println!("the limit was met: {:?}", log.figures());
    if durability != Durability::Lossy {
        assert!(answered.len() < 400 && !log.is_writable());
        for _ in 0..7 {
            assert!(log.admit().is_err());
        }
    }
    std::thread::sleep(Duration::from_millis(600));
    let id = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited:"]).status().unwrap();
    assert!(raised.success());
    until("it is written again", || log.figures().failing.is_none());
    assert!(log.is_writable());
    runtime.block_on(log.append(Entries::from_iter([long(1000)]))).unwrap();
    answered.push(1000);
    let other = log.clone();
    log.close().unwrap();

    let written = numbers(&folder);
    let figures = other.figures();
    if durability == Durability::Lossy {
        assert_eq!(written.len() as u64 + figures.dropped, 401);
        let told = of_type(&folder, "dropped");
        assert_eq!(told.iter().map(|line| line["decisions"].as_u64().unwrap()).sum::<u64>(), figures.dropped);
    } else {
        assert_eq!(written, answered);
        let refused = of_type(&folder, "refused");
        assert_eq!(refused.iter().map(|line| line["requests"].as_u64().unwrap()).sum::<u64>(), figures.refused);
        assert!(
            figures.refused >= 7 && refused[0]["reason"].as_str().unwrap().contains("File too large"),
            "{refused:?}"
        );
    }
    assert_whole(&folder);
}

// The reader, and the command.

#[test]
fn what_is_no_line_is_told_and_the_next_one_is_read() {
    let folder = three_segments();
    let file = "0000000002.jsonl";
    let mut changed = lines(folder.path(), file);
    changed.insert(2, "something else".to_owned());
    write_lines(folder.path(), file, &changed);
    let mut read = Lines::open(folder.path()).unwrap();
    let (mut good, mut bad) = (0, Vec::new());
    while let Some(line) = read.next() {
        match line {
            Ok(_) => good += 1,
            Err(ReadError::NoLine { file, number }) => bad.push((file, number)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(bad, [(file.to_owned(), 3)]);
    assert_eq!(good, all(three_segments().path()).len());
    // One segment is a log, too.
    let mut one = Lines::open(&folder.path().join("0000000003.jsonl")).unwrap();
    assert_eq!(one.next().unwrap().unwrap().kind, "opened");
    assert!(matches!(Lines::open(TempDir::new().unwrap().path()), Err(ReadError::NoLog(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read_and_verified(
        calls in prop::collection::vec(prop::collection::vec(any::<String>(), 1..4), 1..12),
        segment_bytes in 1_u64..4000,
        sign in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let settings = LogSettings { segment_bytes, ..settings(folder.path(), Durability::Buffered) };
        let (log, _) = Log::open(if sign { signing(settings) } else { settings }).unwrap();
        let runtime = runtime();
        for call in &calls {
            let entries = call.iter().map(|text| format!("\"text\":{}", Value::from(text.as_str())).into_bytes()).collect();
            runtime.block_on(log.append(entries)).unwrap();
        }
        log.close().unwrap();
        let question = if sign { with_key() } else { Question::default() };
        let verdict = verify(folder.path(), &question).unwrap();
        prop_assert!(verdict.is_whole(), "{:#?}", verdict.findings);
        let read: Vec<_> = of_type(folder.path(), "decision").iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect();
        prop_assert_eq!(read, calls.concat());
    }
}

#[test]
fn the_command_says_what_is_wrong_and_exits_by_it() {
    let folder = three_segments();
    let path = folder.path();
    let whole = gatepost(path, &["log", "verify", "."]).with(0);
    assert!(whole.out.contains("3 segments, "), "{}", whole.out);
    let (_, end) = whole.out.trim_end().rsplit_once("\nend ").unwrap();
    gatepost(path, &["log", "verify", ".", "--contains", end]).with(0);
    let other = format!("3:{}", "0".repeat(64));
    let holds_another = gatepost(path, &["log", "verify", ".", "--contains", &other]).with(1);
    assert!(holds_another.out.starts_with("the log holds another line 3 than 3:000"), "{}", holds_another.out);
    gatepost(path, &["log", "verify", ".", "--contains", "x"]).with(2);

    let mut changed = lines(path, "0000000001.jsonl");
    changed.remove(1);
    write_lines(path, "0000000001.jsonl", &changed);
    let altered = gatepost(path, &["log", "verify", ".", "--format", "json"]).with(1).json();
    assert_eq!(altered["whole"], false);
    let finding = json!({
        "file": "0000000001.jsonl",
        "line": 2,
        "sequence": 3,
        "message": "sequence 2 is missing before line 2 of 0000000001.jsonl",
    });
    assert_eq!(altered["findings"], json!([finding]));

    let empty = TempDir::new().unwrap();
    let none = gatepost(empty.path(), &["log", "verify", "."]).with(2);
    assert!(none.err.contains("is no decision log"), "{}", none.err);
    gatepost(empty.path(), &["log", "verify", "nowhere"]).with(2);
}

#[test]
fn keys_are_read_as_openssl_writes_them_and_what_is_no_key_is_told() {
    let key = SigningKey::from_pem(PRIVATE_KEY.as_bytes()).unwrap();
    let public = VerifyingKey::from_pem(PUBLIC_KEY.as_bytes()).unwrap();
    assert_eq!(key.verifying_key(), public);
    let signature = key.sign("one purpose", b"message");
    assert!(public.verifies("one purpose", b"message", &signature.to_string().parse().unwrap()));
    assert!(!public.verifies("another purpose", b"message", &signature));
    assert!(!public.verifies("one purpose", b"massage", &signature));
    let shown = format!("{key:?}");
    assert!(shown.contains(&public.fingerprint()) && !shown.contains("MC4CAQ"), "{shown}");

    let folder = common::folder([("public.pem", PUBLIC_KEY), ("private.pem", PRIVATE_KEY)]);
    let error = SigningKey::read(&folder.path().join("public.pem")).unwrap_err();
    assert!(error.message.contains("holds no private key in PKCS#8 PEM"), "{error}");
    assert!(error.help.unwrap().contains("openssl genpkey"));
    let error = VerifyingKey::read(&folder.path().join("private.pem")).unwrap_err();
    assert!(error.message.contains("holds no public key"), "{error}");
    assert!(VerifyingKey::read(&folder.path().join("none.pem")).is_err());
    let rsa_like = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    assert!(SigningKey::from_pem(rsa_like.serialize_pem().as_bytes()).is_err());
    assert!(VerifyingKey::from_pem(rsa_like.public_key_pem().as_bytes()).is_err());
}

/// Not a promise, but a figure: `cargo test --test log -- --ignored --nocapture how_many`.
#[test]
#[ignore = "takes some seconds, and says how fast the log is"]
fn how_many_decisions_a_second() {
    for durability in [Durability::Strict, Durability::Buffered, Durability::Lossy] {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let settings =
            LogSettings { queue_bytes: 32 << 20, segment_bytes: 64 << 20, ..settings(folder.path(), durability) };
        let log = opened(signing(settings), []);
        let calls = if durability == Durability::Strict { 500 } else { 10_000 };
        let start = Instant::now();
        let done = many(&log, 32, |_| {
            let long = [entry(0), format!(",\"padding\":\"{}\"", "x".repeat(780)).into_bytes()].concat();
            (0..calls).map(|_| vec![long.clone()]).collect()
        });
        let elapsed = start.elapsed().as_secs_f64();
        let dropped = log.figures().dropped;
        log.close().unwrap();
        let with_close = start.elapsed().as_secs_f64();
        println!(
            "{durability:?}: {:.0}/s appended, {:.0}/s on disk, {dropped} dropped",
            done as f64 / elapsed,
            done as f64 / with_close
        );
        let start = Instant::now();
        let verdict = verify(folder.path(), &with_key()).unwrap();
        println!("  verified: {:.0} lines/s", verdict.lines as f64 / start.elapsed().as_secs_f64());
        let (start, mut read, mut count) = (Instant::now(), Lines::open(folder.path()).unwrap(), 0);
        while let Some(line) = read.next() {
            count += usize::from(line.unwrap().kind == "decision");
        }
        println!("  read: {:.0} lines/s", count as f64 / start.elapsed().as_secs_f64());
        assert!(verdict.is_whole());
    }
}
