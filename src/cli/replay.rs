//! `gatepost replay`: decides every request of a decision log again under a store. Exit 0 if those that could be decided again are
//! decided as they were, 1 if any is not, 2 if none could, or if the log has lines missing, was altered or cannot be read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use clap::Args;
use serde_json::json;

use super::config::Settings;
use super::log::findings_as_json;
use super::output::{DocumentFormat, Failure, counted};
use super::units::Age;
use crate::engine::Snapshot;
use crate::log::Note;
use crate::log::read::{Lines, ReadError};
use crate::log::verify::Verdict;
use crate::replay::{CHUNK, Group, Replay, Selection, replay};
use crate::report::blocks::{Block, Line};
use crate::report::grouped;

const EXIT_STATUS: &str = "Exit status: 0 if those that could be decided again are decided as they were, 1 if any is not, 2 if none \
                           could, or if the log has lines missing, was altered (as far as `--public-key` has it verified) or \
                           cannot be read.";

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Arguments {
    /// The folder of the log, or one file of it
    log: PathBuf,
    /// Only what was decided since: a date (`2026-11-24`), a time (RFC 3339), or an age (`12h`, `7d`)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<String>,
    /// Only what was asked about the action of that id or whole name
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// At most so many requests, the first
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// The public key of `--log-signing-key` (PEM): first have the log verified, as `gatepost log verify` does; may be given several times
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: DocumentFormat,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let verdict = verified(arguments)?;
    let snapshot = settings.snapshot()?;
    let failed = |error: ReadError| {
        let help = match &error {
            ReadError::NoLog(_) => "name the folder that the service has for `--log`, or a file in it",
            _ => "`gatepost log verify` says what is wrong with the log",
        };
        Failure::new(error.to_string()).with_help(help)
    };
    let mut lines = Lines::open(&arguments.log).map_err(failed)?;
    let (mut unreadable, mut first_unreadable, mut absent, mut last) = (0, None, 0, None);
    let mut damaged = Vec::new();
    let Arguments { since, action, limit, .. } = arguments;
    let selection = Selection { since: since.clone(), action: action.clone(), limit: *limit };
    let began = Instant::now();
    let mut replayed = replay(&snapshot, &selection, |chunk| -> Result<bool, Failure> {
        while chunk.len() < CHUNK {
            match lines.next() {
                None => return Ok(false),
                Some(Ok(line)) => {
                    let sequence = line.position.sequence;
                    let expected = last.map_or(sequence, |last: u64| last.saturating_add(1));
                    absent += sequence.saturating_sub(expected);
                    last = Some(sequence);
                    match line.kind {
                        "decision" => {
                            chunk.extend_from_slice(line.bytes);
                            chunk.push(b'\n');
                        }
                        _ => absent += dropped(line.bytes),
                    }
                }
                Some(Err(ReadError::NoLine { file, number })) => {
                    unreadable += 1;
                    first_unreadable.get_or_insert((file, number));
                }
                Some(Err(ReadError::Io { file, error })) => damaged.push(Damaged { file, why: error.to_string() }),
                Some(Err(error)) => return Err(failed(error)),
            }
        }
        Ok(true)
    })?;
    replayed.unreadable += unreadable;
    replayed.absent = absent;
    let found = Found { replay: replayed, first_unreadable, damaged, verdict, seconds: began.elapsed().as_secs_f64() };
    arguments.format.print(|| as_blocks(&found, arguments, &snapshot), || as_json(&found, &snapshot))?;
    let Found { replay: replayed, damaged, verdict, .. } = found;
    let is_complete = replayed.replayed > 0 && replayed.unreadable == 0 && replayed.absent == 0 && damaged.is_empty();
    Ok(ExitCode::from(match replayed.changed {
        0 if is_complete && verdict.is_none_or(|verdict| verdict.is_whole()) => 0,
        0 => 2,
        _ => 1,
    }))
}

/// What was found.
struct Found {
    replay: Replay,
    /// The file and the number of the first line that is none.
    first_unreadable: Option<(String, u64)>,
    /// The files that cannot be read, or not to their ends.
    damaged: Vec<Damaged>,
    /// What is wrong with the log, if that was asked.
    verdict: Option<Verdict>,
    seconds: f64,
}

/// A file of the log that cannot be read, or not to its end.
struct Damaged {
    file: String,
    why: String,
}

/// What is wrong with the log, where there are keys to verify it.
fn verified(arguments: &Arguments) -> Result<Option<Verdict>, Failure> {
    let Arguments { log, public_key, .. } = arguments;
    if public_key.is_empty() {
        return Ok(None);
    }
    if log.is_file() {
        return Err(Failure::new(format!("public-key is set, but `{}` is only a file of a log", log.display()))
            .with_help("a log is verified as a whole: name its folder, or leave out `--public-key`"));
    }
    super::log::verdict(log, public_key, None).map(Some)
}

/// How many decisions a line of the log about itself says were dropped.
fn dropped(line: &[u8]) -> u64 {
    match serde_json::from_slice(line) {
        Ok(Note::Dropped { decisions, .. }) => decisions,
        _ => 0,
    }
}

/// A time as it stands in the log.
fn since(text: &str) -> Result<String, String> {
    let midnight =
        || text.parse::<NaiveDate>().ok().and_then(|date| date.and_hms_opt(0, 0, 0)).map(|time| time.and_utc());
    let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()).or_else(midnight);
    let age = || Some(Utc::now() - TimeDelta::from_std(text.parse::<Age>().ok()?.0).ok()?);
    let time =
        time.or_else(age).ok_or("it is no date (2026-11-24), no time (2026-11-24T12:00:00Z) and no age (12h, 7d)")?;
    Ok(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn as_blocks(found: &Found, arguments: &Arguments, snapshot: &Snapshot) -> Vec<Block> {
    let replay = &found.replay;
    let log = arguments.log.display().to_string();
    let mut blocks = vec![Block::Title(
        Line::text("Replay of ").and_code(log).and_text(" under ").and_code(snapshot.store.origin.to_string()),
    )];
    blocks.push(Block::Paragraph(Line::text(summary(replay, found.seconds))));
    let span =
        replay.times.as_ref().map(|(first, last)| format!("Decided from {first} to {last}, replayed under revision "));
    let span = span.unwrap_or_else(|| "Nothing was decided. Revision ".to_owned());
    blocks.push(Block::Paragraph(Line::text(span).and_code(snapshot.revision().as_str())));
    if replay.otherwise > 0 {
        let otherwise = counted(replay.otherwise, "request");
        let text = format!("{otherwise} decided alike, but by other policies or for another reason");
        blocks.push(Block::Paragraph(Line::text(text)));
    }
    let groups = [
        ("Changed, by policy", "Policy", &replay.by_policy, ""),
        ("Changed, by row of the matrix", "Row", &replay.by_row, "no row speaks about it"),
        ("Changed, by action", "Action", &replay.by_action, "any"),
        ("Changed, by caller", "Caller", &replay.by_caller, "callers are not known"),
    ];
    for (heading, what, groups, unnamed) in groups {
        blocks.extend(table(heading, what, groups, unnamed));
    }
    if !replay.examples.is_empty() {
        blocks.push(Block::Heading(Line::text("The first that changed")));
        let header = ["Record", "Caller", "Request", "Before", "Now"].map(Line::text).to_vec();
        let rows = replay.examples.iter().map(|example| {
            let caller = example.caller.clone().unwrap_or_default();
            let record = format!("{} at {}", example.sequence, example.time);
            vec![
                Line::text(record),
                Line::text(caller),
                Line::code(&example.request),
                Line::text(&example.before),
                Line::text(&example.after),
            ]
        });
        blocks.push(Block::Table(header, rows.collect()));
    }
    blocks.extend(table("Not replayed", "Why", &replay.not_replayed, ""));
    blocks.extend(losses(found).iter().map(|text| Block::Paragraph(Line::marked(text))));
    blocks.extend(found.verdict.iter().flat_map(verdict_as_blocks));
    blocks
}

/// What of the log was not replayed because it is not there whole.
fn losses(found: &Found) -> Vec<String> {
    let replay = &found.replay;
    let mut losses = Vec::new();
    if replay.unreadable > 0 {
        let lines = counted(replay.unreadable, "line");
        let first = found.first_unreadable.as_ref();
        let first = first.map(|(file, line)| format!(" (the first is line {line} of `{file}`)")).unwrap_or_default();
        let text = format!("{lines} of the log cannot be read as JSON{first}: `gatepost log verify` says where");
        losses.push(text);
    }
    if let [first, ..] = found.damaged.as_slice() {
        let text = format!(
            "{} of the log cannot be read to the end, and what stands there was not replayed (the first is `{}`: {}): `gatepost log verify` says more",
            counted(found.damaged.len(), "file"),
            first.file,
            first.why
        );
        losses.push(text);
    }
    if replay.absent > 0 {
        let text = format!(
            "{} not in the log, removed or dropped, and so not replayed: `gatepost log verify` says where",
            counted(replay.absent as usize, "line")
        );
        losses.push(text);
    }
    losses
}

fn verdict_as_blocks(verdict: &Verdict) -> Vec<Block> {
    let mut lines: Vec<_> = verdict.findings.iter().map(|finding| finding.what.clone()).collect();
    if verdict.further > 0 {
        lines.push(format!("and {} more", verdict.further));
    }
    lines.push(match verdict.unsigned {
        _ if !verdict.is_whole() => "The log is NOT whole, or was altered.".to_owned(),
        Some(unsigned @ 1..) => {
            format!("The log is whole and unaltered; the last {unsigned} decision(s) are not signed yet.")
        }
        _ => "The log is whole and unaltered, and signed.".to_owned(),
    });
    lines.into_iter().map(|line| Block::Paragraph(Line::text(line))).collect()
}

fn summary(replay: &Replay, seconds: f64) -> String {
    let left = replay.records - replay.replayed;
    let left = if left > 0 { format!("; {} not replayed", grouped(left)) } else { String::new() };
    let changes = match replay.changed {
        0 if replay.replayed == 0 => "nothing was decided".to_owned(),
        0 => "all as before".to_owned(),
        changed => format!("{} decided otherwise ({})", grouped(changed), ways(replay)),
    };
    let speed = grouped((replay.replayed as f64 / seconds.max(1e-9)) as usize);
    let replayed = grouped(replay.replayed);
    format!("{replayed} of {} requests replayed, {speed} a second: {changes}{left}", grouped(replay.records))
}

/// In which ways results changed; each is counted in one of them.
fn ways(replay: &Replay) -> String {
    let both = replay.gained_and_lost;
    let mut ways = format!(
        "{} denied before and allowed now, {} allowed before and denied now",
        grouped(replay.gained - both),
        grouped(replay.lost - both)
    );
    if both > 0 {
        let finds = if both == 1 { "search that finds" } else { "searches that find" };
        ways.push_str(&format!(", {} {finds} some more and some no longer", grouped(both)));
    }
    ways
}

fn table(heading: &str, what: &str, groups: &BTreeMap<String, Group>, unnamed: &str) -> Vec<Block> {
    if groups.is_empty() {
        return Vec::new();
    }
    let mut sorted: Vec<(&String, &Group)> = groups.iter().collect();
    sorted.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
    let rows = sorted.into_iter().map(|(name, group)| {
        let name = if name.is_empty() { Line::text(unnamed) } else { Line::marked(name) };
        let examples: Vec<String> = group.examples.iter().map(ToString::to_string).collect();
        vec![name, Line::text(grouped(group.count)), Line::text(examples.join(", "))]
    });
    let header = [what, "Requests", "Records"].map(Line::text).to_vec();
    vec![Block::Heading(Line::text(heading)), Block::Table(header, rows.collect())]
}

fn as_json(found: &Found, snapshot: &Snapshot) -> serde_json::Value {
    let replay = &found.replay;
    let groups = |groups: &BTreeMap<String, Group>, name: &str| -> serde_json::Value {
        let all =
            groups.iter().map(|(key, group)| json!({ name: key, "count": group.count, "records": group.examples }));
        all.collect()
    };
    let examples = replay.examples.iter().map(|example| {
        json!({
            "record": example.sequence,
            "time": example.time,
            "requestId": example.request_id,
            "caller": example.caller,
            "request": example.request,
            "before": example.before,
            "after": example.after,
        })
    });
    let first_unreadable = found.first_unreadable.as_ref();
    let verdict = found.verdict.as_ref();
    json!({
        "revision": snapshot.revision().as_str(),
        "records": replay.records,
        "replayed": replay.replayed,
        "changed": replay.changed,
        "gained": replay.gained,
        "lost": replay.lost,
        "gainedAndLost": replay.gained_and_lost,
        "otherwise": replay.otherwise,
        "unreadableLines": replay.unreadable,
        "firstUnreadableLine": first_unreadable.map(|(file, line)| json!({ "file": file, "line": line })),
        "damagedFiles": found.damaged.iter().map(|damaged| json!({ "file": damaged.file, "why": damaged.why })).collect::<Vec<_>>(),
        "absentLines": replay.absent,
        "log": verdict.map(|verdict| json!({
            "whole": verdict.is_whole(),
            "findings": findings_as_json(verdict),
            "furtherFindings": verdict.further,
            "unsignedDecisions": verdict.unsigned,
        })),
        "seconds": found.seconds,
        "from": replay.times.as_ref().map(|(first, _)| first),
        "to": replay.times.as_ref().map(|(_, last)| last),
        "byPolicy": groups(&replay.by_policy, "policy"),
        "byRow": groups(&replay.by_row, "row"),
        "byAction": groups(&replay.by_action, "action"),
        "byCaller": groups(&replay.by_caller, "caller"),
        "notReplayed": groups(&replay.not_replayed, "reason"),
        "examples": examples.collect::<Vec<_>>(),
    })
}
