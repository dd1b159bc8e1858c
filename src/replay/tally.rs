//! What a replay found.

use std::collections::BTreeMap;

/// So many examples of each kind are kept.
const EXAMPLES: usize = 5;

/// What a replay found.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// How many records were looked at: decisions, and pages of searches.
    pub records: usize,
    /// Of these, how many were decided again.
    pub replayed: usize,
    /// Of these, how many with another result.
    pub changed: usize,
    /// From denied to allowed; of a search: it finds more.
    pub gained: usize,
    /// From allowed to denied; of a search: it finds less.
    pub lost: usize,
    /// How many have the same result, but by other policies or for another reason.
    pub otherwise: usize,
    /// What was not decided again, by the reason.
    pub not_replayed: BTreeMap<String, Group>,
    /// Lines that are no JSON.
    pub unreadable: usize,
    /// Lines that the log does not have, though it has some before and after them; and decisions that it says it dropped.
    pub absent: u64,
    /// The changes, by the id of a policy that made them: one that determines a result and did not, or the other way round.
    pub by_policy: BTreeMap<String, Group>,
    /// By the row of the matrix that speaks about the request; the empty name where none does.
    pub by_row: BTreeMap<String, Group>,
    /// By action.
    pub by_action: BTreeMap<String, Group>,
    /// By caller; the empty name for those of nobody.
    pub by_caller: BTreeMap<String, Group>,
    /// The first changes, in the order of the log.
    pub examples: Vec<Changed>,
    /// When the first and the last of the records were written.
    pub times: Option<(String, String)>,
}

/// Records that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: usize,
    /// The sequence numbers of the first of them, in their order.
    pub examples: Vec<i64>,
}

/// A request that is decided otherwise now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The number of its record.
    pub sequence: i64,
    /// When it was decided.
    pub time: String,
    /// The id of the request over HTTP.
    pub request_id: String,
    /// Who asked.
    pub caller: Option<String>,
    /// Who acts, what is done, and to what.
    pub request: String,
    /// What was decided, and by which policies.
    pub before: String,
    /// What is decided now, and by which policies.
    pub after: String,
}

impl Group {
    pub(super) fn count(&mut self, sequence: i64) {
        self.add(Self { count: 1, examples: vec![sequence] });
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.examples.extend(other.examples);
        self.examples.sort_unstable();
        self.examples.truncate(EXAMPLES);
    }
}

impl Replay {
    /// Counts a record that was not decided again.
    pub(super) fn not_replayed(&mut self, reason: String, sequence: i64) {
        self.not_replayed.entry(reason).or_default().count(sequence);
    }

    /// Keeps an example, if it is among the first.
    pub(super) fn example(&mut self, example: Changed) {
        self.examples.push(example);
        if self.examples.len() > 4 * EXAMPLES {
            self.first_examples();
        }
    }

    pub(super) fn at(&mut self, time: &str) {
        let (first, last) = self.times.get_or_insert_with(|| (time.to_owned(), time.to_owned()));
        if time < first.as_str() {
            time.clone_into(first);
        }
        if time > last.as_str() {
            time.clone_into(last);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.replayed += other.replayed;
        self.changed += other.changed;
        self.gained += other.gained;
        self.lost += other.lost;
        self.otherwise += other.otherwise;
        self.unreadable += other.unreadable;
        self.absent += other.absent;
        let groups = [
            (&mut self.not_replayed, other.not_replayed),
            (&mut self.by_policy, other.by_policy),
            (&mut self.by_row, other.by_row),
            (&mut self.by_action, other.by_action),
            (&mut self.by_caller, other.by_caller),
        ];
        for (own, other) in groups {
            other.into_iter().for_each(|(name, group)| own.entry(name).or_default().add(group));
        }
        self.examples.extend(other.examples);
        if let Some((first, last)) = other.times {
            self.at(&first);
            self.at(&last);
        }
    }

    pub(super) fn sorted(mut self) -> Self {
        self.first_examples();
        self
    }

    fn first_examples(&mut self) {
        self.examples.sort_by_key(|example| example.sequence);
        self.examples.truncate(EXAMPLES);
    }
}
