//! Decides records again, one after the other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::plugins::masked_argument;
use super::recorded::{Recorded, name_tags};
use super::tally::{Changed, Replay};
use super::{Selection, essence};
use crate::engine::{Decision, EntitySearch, Matcher, Search, Snapshot, Target};
use crate::log::record::Verdict;
use crate::matrix::sight::Sight;
use crate::request::case::Case;
use crate::request::json::{DEEPEST, Json};
use crate::request::place::{Participant, Place, leads_into};
use crate::request::value::{MaskedPlace, Record};
use crate::request::{Facts, Fault, InvalidRequest, Question, Resolved, TypedRequest};
use crate::store::{REFUSES_UNREAD, Statement, scope};

/// So many different requests are kept in mind by each worker.
const REMEMBERED: usize = 100_000;

/// So many bytes of lines are kept in mind by each worker.
const ALIKE_BYTES: usize = 32 << 20;

/// Of so many candidates that a search finds now or no longer, it is said why.
const LOOKED_INTO: usize = 20;

/// What policies and rows see, in each environment of the schema.
pub(super) struct Sights(Vec<Option<EnvironmentSights>>);

struct EnvironmentSights {
    policies: Sight,
    rows: Sight,
    /// The rows that can speak about it, with their names.
    matchers: Vec<(String, Matcher)>,
}

impl Sights {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let store = &snapshot.store;
        let is_stored = |name: &_| snapshot.entities.table(name).is_some_and(|table| !table.is_empty());
        let all = store.types.environments.iter().enumerate().map(|(index, environment)| {
            let applies = |row: &&Statement| scope::can_match(&row.policy, environment, &store.schema);
            let rows = store.rows.iter().filter(applies);
            Some(EnvironmentSights {
                policies: Sight::of(store, index, &store.policies, is_stored)?,
                rows: Sight::of(store, index, &store.rows, is_stored)?,
                matchers: rows.map(|row| (row.name(), Matcher::new(&row.policy, &store.types))).collect(),
            })
        });
        Self(all.collect())
    }

    fn of_environment(&self, environment: usize) -> Result<&EnvironmentSights, String> {
        self.0.get(environment).and_then(Option::as_ref).ok_or_else(|| "it is of no environment".to_owned())
    }
}

/// One of those who decide.
pub(super) struct Worker<'s> {
    snapshot: &'s Snapshot,
    selection: &'s Selection,
    sights: &'s Sights,
    decided: HashMap<(usize, Vec<u8>), Arc<Outcome>>,
    rows: HashMap<(usize, Vec<u8>), Arc<[usize]>>,
    /// The essences of lines that were decided as before.
    alike: HashSet<Box<[u8]>>,
    alike_bytes: usize,
    essence: Vec<u8>,
    replay: Replay,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    verdict: Verdict,
    /// In the order of their ids.
    determining: Vec<String>,
}

impl Outcome {
    fn bare(verdict: Verdict) -> Self {
        Self { verdict, determining: Vec::new() }
    }

    fn of(decision: &Decision) -> Self {
        let determining = decision.determining().iter().map(|note| note.id.clone()).collect();
        Self { verdict: Verdict::of(decision), determining }
    }

    fn in_words(&self) -> String {
        let why = match self.verdict {
            Verdict::Deny if self.determining.is_empty() => "nothing permits".to_owned(),
            Verdict::Allow | Verdict::Deny => self.determining.join(", "),
            other => in_words(other).to_owned(),
        };
        format!("{} ({why})", if self.verdict == Verdict::Allow { "allow" } else { "deny" })
    }
}

fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allowed",
        Verdict::Deny => "denied",
        Verdict::Error => "a policy cannot be evaluated",
        Verdict::Missing => "the request lacks what the schema requires",
        Verdict::Unknown => "the schema does not know what is asked about",
        Verdict::Invalid => "a value is of another type than the schema declares",
        Verdict::NotAllowed => "the caller may not ask",
    }
}

impl<'s> Worker<'s> {
    pub(super) fn new(snapshot: &'s Snapshot, selection: &'s Selection, sights: &'s Sights) -> Self {
        Self {
            snapshot,
            selection,
            sights,
            decided: HashMap::new(),
            rows: HashMap::new(),
            alike: HashSet::new(),
            alike_bytes: 0,
            essence: Vec::new(),
            replay: Replay::default(),
        }
    }

    pub(super) fn done(self) -> Replay {
        self.replay
    }

    /// Whether as many records were taken as are wanted.
    pub(super) fn has_enough(&self) -> bool {
        self.selection.limit.is_some_and(|limit| self.replay.records >= limit)
    }

    /// Takes up a line of the log.
    pub(super) fn take(&mut self, line: &[u8]) {
        let time = essence::of(line, &mut self.essence);
        if let Some(time) = time.filter(|_| self.alike.contains(self.essence.as_slice())) {
            if self.is_wanted(time) {
                self.replay.records += 1;
                self.replay.replayed += 1;
                self.replay.at(time);
            }
            return;
        }
        let before = (self.replay.replayed, self.replay.changed + self.replay.otherwise);
        self.read(line);
        let after = (self.replay.replayed, self.replay.changed + self.replay.otherwise);
        let is_alike = time.is_some() && after == (before.0 + 1, before.1);
        if is_alike && self.alike_bytes + self.essence.len() <= ALIKE_BYTES {
            self.alike_bytes += self.essence.len();
            self.alike.insert(self.essence.as_slice().into());
        }
    }

    fn read(&mut self, line: &[u8]) {
        let Ok(mut json) = Json::parse(line, DEEPEST) else {
            self.replay.unreadable += 1;
            return;
        };
        name_tags(&mut json);
        let Some(record) = Recorded::of(&json).filter(|record| self.is_selected(*record)) else { return };
        self.replay.records += 1;
        self.replay.at(record.text("time").unwrap_or_default());
        let replayed = if record.is_search() { self.search(record) } else { self.decision(record) };
        match replayed {
            Ok(()) => self.replay.replayed += 1,
            Err(reason) => self.replay.not_replayed(reason, record.sequence()),
        }
    }

    fn is_selected(&self, record: Recorded<'_>) -> bool {
        let action = self.selection.action.as_deref();
        self.is_wanted(record.text("time").unwrap_or_default()) && action.is_none_or(|action| record.is_about(action))
    }

    /// Whether a record of that time is selected, whatever it is about.
    fn is_wanted(&self, time: &str) -> bool {
        let Selection { since, limit, .. } = self.selection;
        limit.is_none_or(|limit| self.replay.records < limit) && since.as_deref().is_none_or(|since| time >= since)
    }

    /// Decides again what one record asked; the error is why that cannot be done.
    fn decision(&mut self, record: Recorded<'_>) -> Result<(), String> {
        let verdict = record.text("verdict").unwrap_or_default();
        match verdict {
            "invalid" => return Err("an item of a batch was no request".to_owned()),
            "notAllowed" => return Err("the caller was not allowed to ask, so what was asked is not logged".to_owned()),
            // The name of what the schema did not know is not logged either.
            "unknown" if record.question().is_none() && !record.has("tooLarge") => return Err(UNKNOWN_THEN.to_owned()),
            _ => {}
        }
        let question = question(record)?;
        let was_known = verdict != "unknown";
        match self.snapshot.resolve(&question, Facts::Logged) {
            Ok(Resolved::Request(_)) | Err(_) if !was_known => Err(UNKNOWN_THEN.to_owned()),
            Ok(Resolved::Unknown(_)) => self.compare(record, &question, &Outcome::bare(Verdict::Unknown), None),
            Err(InvalidRequest { place, fault: Fault::TooFine(_) }) => Err(too_fine(&place.to_string())),
            Err(_) => self.compare(record, &question, &Outcome::bare(Verdict::Invalid), None),
            Ok(Resolved::Request(mut request)) => {
                self.replayable(record, &request)?;
                if self.refuses_unread(record) {
                    return self.compare(record, &question, &Outcome::bare(Verdict::Invalid), Some(&request));
                }
                for participant in [Participant::Principal, Participant::Resource] {
                    self.require_stored(record, &mut request, participant)?;
                }
                let now = self.decide(&request)?;
                self.compare(record, &question, &now, Some(&request))
            }
        }
    }

    /// Whether it says something that nobody reads, which would be refused now.
    fn refuses_unread(&self, record: Recorded<'_>) -> bool {
        let says_unread = ["dropped", "unread"].into_iter().any(|name| record.texts(name).next().is_some());
        says_unread && self.snapshot.store.files.modes.contains(&REFUSES_UNREAD)
    }

    /// Why a request cannot be decided again, if it cannot.
    fn replayable(&self, record: Recorded<'_>, request: &TypedRequest) -> Result<(), String> {
        let environment = self.snapshot.store.types.environments.get(request.environment);
        let is_of_this_revision = record.text("revision") == Some(self.snapshot.revision().as_str());
        if !is_of_this_revision {
            if record.has("moreDropped") {
                return Err("more was sent that the schema did not declare then than the log names".to_owned());
            }
            if record.is_search() && !record.has("dropped") {
                return Err("the log of then does not say what was dropped in a search".to_owned());
            }
            // Of a time that is masked, nobody knows what lay below the millisecond.
            let is_masked = |dropped: &&str| request.masked.iter().any(|masked| masked.place.to_string() == **dropped);
            if let Some(place) = record.texts("dropped").find(is_masked) {
                return Err(too_fine(place));
            }
            let dropped =
                environment.and_then(|environment| record.dropped_then_declared_now(environment, &request.floored));
            if let Some(dropped) = dropped {
                let why = "was sent, but the schema did not declare it then: its value is not logged";
                return Err(format!("`{dropped}` {why}"));
            }
        }
        if let Some(place) = environment.and_then(|environment| masked_argument(request, environment)) {
            return Err(format!("a plugin reads by `{place}`, which is masked"));
        }
        if record.has("missing") && request.missing.is_empty() && request.principal.uid == request.resource.uid {
            return Err(SAID_TWICE.to_owned());
        }
        let sight = &self.sights.of_environment(request.environment)?.policies;
        for MaskedPlace { place, holds_record } in &request.masked {
            if let Some(policy) = sight.reader(place) {
                return Err(format!("`{policy}` reads `{place}`, which is masked"));
            }
            let shown = place.to_string();
            if let Some(missing) = record.texts("missing").find(|missing| leads_into(missing, &shown)) {
                return Err(format!("`{missing}` was missing in what is masked"));
            }
            let within = |missing: &&Place| missing.part == place.part && leads_into(&missing.path, &place.path);
            if let Some(missing) = request.missing.named.iter().find(within) {
                return Err(format!("whether `{missing}` refers to what is stored cannot be told: it is masked"));
            }
            if *holds_record && !is_of_this_revision {
                return Err(format!("`{place}` is masked, and may be of another type under this revision"));
            }
        }
        Ok(())
    }

    /// Adds to what is missing what only the store may say, policies read, and was not stored then.
    fn require_stored(
        &self,
        record: Recorded<'_>,
        request: &mut TypedRequest,
        participant: Participant,
    ) -> Result<(), String> {
        let [principal, resource] = self.snapshot.only_stored(request.environment);
        let (entity, read) = match participant {
            Participant::Principal => (&request.principal, principal),
            Participant::Resource => (&request.resource, resource),
        };
        if read.is_empty() {
            return Ok(());
        }
        let is_stored_now = self.snapshot.entities.get(&entity.uid).is_some();
        match record.stored(participant) {
            Some(true) => Ok(()),
            Some(false) => {
                request.missing.include(read);
                Ok(())
            }
            None if is_stored_now => Ok(()),
            None => {
                Err("whether it was stored, of which only the store may say something, is not in the log".to_owned())
            }
        }
    }

    fn decide(&mut self, request: &TypedRequest) -> Result<Arc<Outcome>, String> {
        let decide = |snapshot: &Snapshot| Arc::new(Outcome::of(&snapshot.decide_request(request, &snapshot.entities)));
        let key = key(&self.sights.of_environment(request.environment)?.policies, request);
        let Some(key) = key.filter(|_| request.missing.is_empty()) else { return Ok(decide(self.snapshot)) };
        let key = (request.environment, key);
        if let Some(known) = self.decided.get(&key) {
            return Ok(Arc::clone(known));
        }
        let outcome = decide(self.snapshot);
        if self.decided.len() < REMEMBERED {
            self.decided.insert(key, Arc::clone(&outcome));
        }
        Ok(outcome)
    }

    fn compare(
        &mut self,
        record: Recorded<'_>,
        question: &Question<'_>,
        now: &Outcome,
        request: Option<&TypedRequest>,
    ) -> Result<(), String> {
        let verdict = record.text("verdict").unwrap_or_default();
        let mut policies_now = now.determining.iter().map(String::as_str);
        let same_policies = record.determining().all(|id| policies_now.next() == Some(id))
            && policies_now.count() == record.count("moreDetermining");
        if record.allowed() == (now.verdict == Verdict::Allow) {
            self.replay.otherwise += usize::from(verdict != now.verdict.word() || !same_policies);
            return Ok(());
        }
        let then: BTreeSet<&str> = record.determining().collect();
        let is_now: BTreeSet<&str> = now.determining.iter().map(String::as_str).collect();
        let mut policies: Vec<String> = then.symmetric_difference(&is_now).map(|id| (*id).to_owned()).collect();
        if !matches!(now.verdict, Verdict::Allow | Verdict::Deny) {
            policies = vec![format!("({})", in_words(now.verdict))];
        }
        let rows = match request {
            Some(request) => self.rows_about(request)?,
            None => BTreeSet::new(),
        };
        let gained = now.verdict == Verdict::Allow;
        self.changed(record, policies.into_iter().collect(), rows, [gained, !gained]);
        let joined: Vec<&str> = then.into_iter().collect();
        let before = match (record.allowed(), joined.is_empty()) {
            (true, _) => format!("allow ({})", joined.join(", ")),
            (false, false) => format!("deny ({})", joined.join(", ")),
            (false, true) if verdict == "deny" => "deny (nothing permits)".to_owned(),
            (false, true) => format!("deny ({verdict})"),
        };
        self.example(record, question, before, now.in_words());
        Ok(())
    }

    fn changed(
        &mut self,
        record: Recorded<'_>,
        policies: BTreeSet<String>,
        rows: BTreeSet<String>,
        [gained, lost]: [bool; 2],
    ) {
        let (replay, sequence) = (&mut self.replay, record.sequence());
        replay.changed += 1;
        replay.gained += usize::from(gained);
        replay.lost += usize::from(lost);
        let rows = if rows.is_empty() { BTreeSet::from([String::new()]) } else { rows };
        let text = |name: &str| record.text(name).unwrap_or_default().to_owned();
        policies.into_iter().for_each(|policy| replay.by_policy.entry(policy).or_default().count(sequence));
        rows.into_iter().for_each(|row| replay.by_row.entry(row).or_default().count(sequence));
        replay.by_action.entry(text("action")).or_default().count(sequence);
        replay.by_caller.entry(text("caller")).or_default().count(sequence);
    }

    fn example(&mut self, record: Recorded<'_>, question: &Question<'_>, before: String, after: String) {
        let uid = |named: &crate::request::Named<'_>| match named.id {
            "" => named.type_name.to_owned(),
            id => format!("{}::{id:?}", named.type_name),
        };
        let text = |name: &str| record.text(name).unwrap_or_default().to_owned();
        self.replay.example(Changed {
            sequence: record.sequence(),
            time: text("time"),
            request_id: text("requestId"),
            caller: record.text("caller").map(str::to_owned),
            request: format!("{} · {} · {}", uid(&question.principal), question.action, uid(&question.resource)),
            before,
            after,
        });
    }

    /// The rows of the matrix that speak about a request.
    fn rows_about(&mut self, request: &TypedRequest) -> Result<BTreeSet<String>, String> {
        let sights = self.sights.of_environment(request.environment)?;
        if let Some(row) = request.masked.iter().find_map(|masked| sights.rows.reader(&masked.place)) {
            return Ok(BTreeSet::from([format!("(not known: `{row}` reads what is masked)")]));
        }
        let find = |snapshot: &Snapshot| -> Arc<[usize]> {
            let case = Case { request: request.clone(), entities: snapshot.entities.clone() };
            let matching = sights.matchers.iter().enumerate();
            matching.filter(|(_, (_, matcher))| snapshot.matches_any(matcher, &case)).map(|(index, _)| index).collect()
        };
        let rows = match key(&sights.rows, request) {
            None => find(self.snapshot),
            Some(key) => {
                let found = self.rows.entry((request.environment, key)).or_insert_with(|| find(self.snapshot));
                Arc::clone(found)
            }
        };
        if self.rows.len() > REMEMBERED {
            self.rows.clear();
        }
        Ok(rows.iter().filter_map(|index| Some(sights.matchers.get(*index)?.0.clone())).collect())
    }

    /// Why a search cannot be made again, if it cannot; and whether the other entity lacks what only the store may say.
    fn search_replayable(&self, record: Recorded<'_>, request: &TypedRequest, target: Target) -> Result<bool, String> {
        let (other, own, participant) = match target {
            Target::Principal => (&request.resource, &request.principal, Participant::Resource),
            Target::Resource => (&request.principal, &request.resource, Participant::Principal),
        };
        let said: &Record = if own.raw.is_empty() { &own.attributes } else { &own.raw };
        let others: &Record = if own.raw.is_empty() { &other.attributes } else { &other.raw };
        let contradicts = said.iter().any(|(name, value)| others.get(name).is_some_and(|other| !other.is_same(value)));
        if other.uid.type_name() == own.uid.type_name() && contradicts {
            return Err(ONE_OF_CANDIDATES.to_owned());
        }
        let mut request = request.clone();
        self.require_stored(record, &mut request, participant)?;
        Ok(request.missing.named.iter().any(|place| {
            let parts = [participant.attributes(), participant.tags(), participant.parents()];
            parts.contains(&place.part)
        }))
    }

    /// Searches again what one page searched, among the candidates that it looked at.
    fn search(&mut self, record: Recorded<'_>) -> Result<(), String> {
        let question = question(record)?;
        if record.number("candidates") == Some(0) {
            return Ok(());
        }
        if record.has("contextVaries") {
            return Err("a plugin read the context of a search by each candidate, which is not logged".to_owned());
        }
        let target = match record.text("endpoint") {
            Some("subjectSearch") => Target::Principal,
            Some("resourceSearch") => Target::Resource,
            _ => return Err("a search of a kind that is not known".to_owned()),
        };
        let then: BTreeSet<&str> = record.texts("results").collect();
        let snapshot = self.snapshot;
        let search = match snapshot.search(question, target, Facts::Logged) {
            Err(InvalidRequest { place, fault: Fault::TooFine(_) }) => return Err(too_fine(&place.to_string())),
            other => other.ok(),
        };
        let request = search.as_ref().and_then(EntitySearch::request);
        if request.is_some() && !record.has("context") {
            return Err(UNKNOWN_THEN.to_owned());
        }
        let mut lacks_stored = false;
        if let Some(request) = request {
            self.replayable(record, request)?;
            lacks_stored = self.search_replayable(record, request, target)?;
        }
        let finds_nothing = lacks_stored || self.refuses_unread(record);
        let now = search.as_ref().filter(|_| !finds_nothing).map(|search| found(search, record)).unwrap_or_default();
        let (gained, lost): (Vec<&str>, Vec<&str>) =
            (now.difference(&then).copied().collect(), then.difference(&now).copied().collect());
        if gained.is_empty() && lost.is_empty() {
            return Ok(());
        }
        let (mut policies, mut rows) = (BTreeSet::new(), BTreeSet::new());
        for id in gained.iter().chain(&lost).take(LOOKED_INTO) {
            let mut question = question;
            match target {
                Target::Principal => question.principal.id = id,
                Target::Resource => question.resource.id = id,
            }
            if let Ok(Resolved::Request(request)) = snapshot.resolve(&question, Facts::Logged) {
                let outcome = Outcome::of(&snapshot.decide_request(&request, &snapshot.entities));
                policies.extend(outcome.determining);
                rows.extend(self.rows_about(&request)?);
            }
        }
        self.changed(record, policies, rows, [!gained.is_empty(), !lost.is_empty()]);
        let after = format!("{} found{}{}", now.len(), listed(", with ", &gained), listed(", without ", &lost));
        self.example(record, &question, format!("{} found", then.len()), after);
        Ok(())
    }
}

/// What the policies see of a request, if that is all that it says: they may see its tags and its parents too.
fn key(sight: &Sight, request: &TypedRequest) -> Option<Vec<u8>> {
    let says_more = [&request.principal, &request.resource];
    let says_more = says_more.iter().any(|entity| entity.tags.is_some() || !entity.parents.is_empty());
    if says_more { None } else { sight.key(request) }
}

fn too_fine(place: &str) -> String {
    format!("`{place}` cannot be told from another time: they differ, if at all, only below the millisecond")
}

const UNKNOWN_THEN: &str = "the schema did not know then what was asked about, so it is not logged whole";

const ONE_OF_CANDIDATES: &str =
    "the other entity is of the type that was searched, and what was said of it and what was stored are not told apart";

const SAID_TWICE: &str = "the principal was the resource, and what was missing in one of the two is not in the log";

/// What a record asked, if that is all there.
fn question(record: Recorded<'_>) -> Result<Question<'_>, String> {
    if record.has("tooLarge") {
        return Err("the request was too large to be logged whole".to_owned());
    }
    record.question().ok_or_else(|| "the record does not say what was asked".to_owned())
}

/// What a search finds among the candidates that a page looked at.
fn found<'q>(search: &'q EntitySearch<'_>, record: Recorded<'_>) -> BTreeSet<&'q str> {
    let first_after = |id: &str| {
        let (mut low, mut high) = (0, search.candidates());
        while low < high {
            let middle = low.midpoint(high);
            if search.name(middle).is_some_and(|name| name <= id) { low = middle + 1 } else { high = middle }
        }
        low
    };
    let from = record.text("after").map_or(0, first_after);
    let to = record.text("upTo").map_or(search.candidates(), first_after);
    let candidates = (from..to).filter_map(|place| search.candidate(place));
    candidates.filter(|candidate| search.allows(candidate)).collect()
}

fn listed(before: &str, ids: &[&str]) -> String {
    const NAMED: usize = 3;
    let names: Vec<String> = ids.iter().take(NAMED).map(|id| format!("`{id}`")).collect();
    let more = if ids.len() > NAMED { format!(" and {} more", ids.len() - NAMED) } else { String::new() };
    if names.is_empty() { String::new() } else { format!("{before}{}{more}", names.join(", ")) }
}
