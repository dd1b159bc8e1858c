//! The search for actions: each is decided as any request is, counted and logged as such.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::authzen::{
    About, FoundAction, Hints, INVALID, Refusal, SearchResponse, Unread, developer_reasons, nothing_in_words,
    search_context,
};
use super::journal::Journal;
use super::search::{Asked, How};
use crate::engine::{ActionSearch, Decision, Outcome, Search};
use crate::request::place::Places;
use crate::request::{Facts, Question, Resolved};

impl Asked<'_> {
    /// The actions for which the question is allowed. Of them, a caller with limits is told what it may ask about.
    pub(super) async fn actions(
        &self,
        question: Question<'_>,
        how: &How<'_>,
        journal: &mut Journal<'_>,
    ) -> Result<SearchResponse<FoundAction>, Refusal> {
        let types = &self.snapshot.store.types;
        let question = question.by_cedar_names(types);
        if !self.caller.may_ask_about(&question, types) {
            return Err(Refusal::NotAllowed);
        }
        let may_ask = |name: &str| self.caller.may_ask(&Question { action: name, ..question }, types);
        let search = self.snapshot.search_actions(question, may_ask)?;
        let deciding = Deciding { asked: self, search: &search, how, decided: Mutex::default() };
        let found = |name: &str| FoundAction { name: name.to_owned() };
        let (run, answer) = self.answer("action", &deciding, &how.page, found).await?;
        let (mut sentences, hints) = (Sentences::default(), Hints::default());
        for (place, name) in run.places.filter_map(|place| Some((place, search.candidate(place)?))) {
            let (question, decided) = (&search.asked(name), deciding.take(name)?);
            let unread = Unread { members: how.unread, undeclared: decided.undeclared(), hints: &hints };
            let about = About { types, question, resolved: &decided.resolved, unread };
            match &decided.decision {
                Some(decision) => {
                    sentences.add(name, developer_reasons(decision, &about));
                    if let Outcome::Missing(places) = &decision.outcome {
                        journal.lacks(places);
                    }
                    journal.decided(Some(place), &about, decision, decided.took);
                }
                None => {
                    sentences.add(name, about.dropped());
                    journal.not_read(&unread, question, types);
                }
            }
        }
        if search.candidates() == 0 {
            let unread = Unread { members: how.unread, undeclared: &Places::default(), hints: &hints };
            journal.not_read(&unread, &question, types);
            let nothing = nothing_in_words(&question, types, &hints);
            sentences.add("", nothing.map(|sentence| (INVALID, sentence)));
        }
        Ok(SearchResponse { context: search_context(how.reasons, sentences.by_key(search.candidates())), ..answer })
    }
}

/// A search that keeps what it decides.
struct Deciding<'d, 'a> {
    asked: &'d Asked<'d>,
    search: &'d ActionSearch<'a>,
    how: &'d How<'d>,
    decided: Mutex<HashMap<String, Decided>>,
}

/// What was asked of one action, and what became of it.
struct Decided {
    resolved: Resolved,
    /// `None` where the request is strict, and something in it is not read: then there is none.
    decision: Option<Decision>,
    took: Duration,
}

impl Decided {
    fn undeclared(&self) -> &Places {
        static NONE: Places = Places { named: Vec::new(), more: 0 };
        match &self.resolved {
            Resolved::Request(request) => &request.dropped,
            Resolved::Unknown(_) => &NONE,
        }
    }
}

impl Deciding<'_, '_> {
    fn decide(&self, name: &str) -> Result<Decided, Refusal> {
        let (snapshot, began) = (self.asked.snapshot, Instant::now());
        let resolved = snapshot.resolve(&self.search.asked(name), Facts::FromPlugins)?;
        let mut decided = Decided { resolved, decision: None, took: Duration::ZERO };
        let unread = Unread { members: self.how.unread, undeclared: decided.undeclared(), hints: &Hints::default() };
        if !self.how.strict || unread.is_empty() {
            decided.decision = Some(snapshot.decide_resolved(&decided.resolved, &snapshot.entities));
        }
        decided.took = began.elapsed();
        Ok(decided)
    }

    /// What became of an action: decided before, or now.
    fn take(&self, name: &str) -> Result<Decided, Refusal> {
        let decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        decided.map_or_else(|| self.decide(name), Ok)
    }
}

impl Search for Deciding<'_, '_> {
    fn candidates(&self) -> usize {
        self.search.candidates()
    }

    fn candidate(&self, place: usize) -> Option<&str> {
        self.search.candidate(place)
    }

    fn name(&self, place: usize) -> Option<&str> {
        self.search.name(place)
    }

    fn allows(&self, candidate: &str) -> bool {
        // What could be wrong with the question was found before the first candidate.
        let Ok(decided) = self.decide(candidate) else { return false };
        let allowed = decided.decision.as_ref().is_some_and(|decision| decision.allowed);
        self.decided.lock().unwrap_or_else(PoisonError::into_inner).insert(candidate.to_owned(), decided);
        allowed
    }
}

/// So many actions are named beside a sentence.
const NAMED: usize = 20;

/// What there is to say of the actions, by its key, and for which of them.
#[derive(Default)]
struct Sentences(BTreeMap<(&'static str, String), Vec<String>>);

impl Sentences {
    fn add(&mut self, action: &str, sentences: impl IntoIterator<Item = (&'static str, String)>) {
        for sentence in sentences {
            self.0.entry(sentence).or_default().push(action.to_owned());
        }
    }

    /// With the actions named where it is not said of all.
    fn by_key(self, all: usize) -> BTreeMap<&'static str, String> {
        let mut by_key: BTreeMap<&'static str, String> = BTreeMap::new();
        for ((key, sentence), actions) in self.0 {
            let text = by_key.entry(key).or_default();
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&sentence);
            if actions.len() < all {
                let named: Vec<_> =
                    actions.iter().take(NAMED).map(|action| format!("`{}`", action.escape_debug())).collect();
                let more = actions.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                text.push_str(&format!(" (for {}{more})", named.join(", ")));
            }
        }
        by_key
    }
}
