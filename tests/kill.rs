//! "kill -9 under load at least 50 times in `strict` mode, after each of which every answered decision is in the log and the chain
//! verifies".

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::binary::{Serving, command, gatepost};
use common::server::Client;
use common::{enter, with};
use gatepost::log::read::Lines;
use serde_json::{Value, json};
use tempfile::TempDir;

const KILLS: usize = 50;
const CLIENTS: usize = 8;

#[test]
fn after_every_kill_each_answered_decision_is_in_the_log_and_the_chain_verifies() {
    let folder = TempDir::new().unwrap();
    let mut answered = HashSet::new();
    let mut most = 0;
    for kill in 0..KILLS {
        let more = killed_under_load(folder.path(), kill);
        most = most.max(more.len());
        answered.extend(more);
        // What is left is whole as it is, but for a torn end, which the next start repairs; and so it must verify then.
        let verified = gatepost(folder.path(), &["log", "verify", "log", "--public-key", "public.pem"]);
        assert!(verified.status == Some(0), "after kill {kill}: {verified:?}");
        let logged = logged(&folder.path().join("log"));
        let lost: Vec<_> = answered.difference(&logged).collect();
        assert!(lost.is_empty(), "after kill {kill}: {} of {} answered are lost", lost.len(), answered.len());
    }
    println!("{KILLS} kills, {} answered decisions, 0 missing, {KILLS} chains verify", answered.len());
    assert!(answered.len() > 20 * KILLS && most > 20, "the load is too small: {}", answered.len());
}

/// The ids of the requests that were answered before the service was killed.
fn killed_under_load(folder: &Path, kill: usize) -> HashSet<String> {
    let key = folder.join("private.pem");
    if !key.exists() {
        common::keys::write(folder);
    }
    let arguments = ["--listen", "127.0.0.1:0", "--log", "log", "--log-durability", "strict", "--log-signing-key"];
    // Small segments, so that kills meet their change too.
    let arguments = [&arguments[..], &["private.pem", "--log-segment-bytes", "200000"]].concat();
    let serving = Serving::start(&mut command(folder, &arguments));
    let url = serving.url().to_owned();
    let (stop, answered, next) =
        (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(HashSet::new())), Arc::new(AtomicUsize::new(0)));
    let clients = (0..CLIENTS).map(|_| {
        let (stop, answered, next, url) = (Arc::clone(&stop), Arc::clone(&answered), Arc::clone(&next), url.clone());
        std::thread::spawn(move || {
            let client = Client::new(&url, ureq::tls::TlsConfig::default());
            while !stop.load(Ordering::Relaxed) {
                let id = format!("{kill}-{}", next.fetch_add(1, Ordering::Relaxed));
                let body = with(enter(), json!({ "subject": { "id": id } })).to_string();
                let headers = [("content-type", "application/json"), ("x-request-id", id.as_str())];
                match client.send("POST", "/access/v1/evaluation", &headers, body) {
                    Ok(answer) => {
                        assert_eq!((answer.status, answer.json()), (200, json!({ "decision": true })));
                        answered.lock().unwrap().insert(id);
                    }
                    // It has been killed.
                    Err(_) => return,
                }
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    // At another moment each time.
    std::thread::sleep(Duration::from_millis(60 + (kill as u64 * 37) % 240));
    serving.signal("KILL");
    let (status, _) = serving.end();
    assert_eq!(status, None);
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    Arc::try_unwrap(answered).unwrap().into_inner().unwrap()
}

fn logged(log: &Path) -> HashSet<String> {
    let mut lines = Lines::open(log).unwrap();
    let mut ids = HashSet::new();
    while let Some(line) = lines.next() {
        // A torn end is no line.
        let Ok(line) = line else { continue };
        if line.kind == "decision" {
            let record: Value = serde_json::from_slice(line.bytes).unwrap();
            ids.insert(record["requestId"].as_str().unwrap().to_owned());
        }
    }
    ids
}
