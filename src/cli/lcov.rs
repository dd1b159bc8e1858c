//! The coverage of the policies as an LCOV tracefile (`man geninfo`), which editors and review tools show beside the text.
//!
//! A policy is a function, called as often as it fired. A condition is a block with two branches, true and false, each taken as
//! often as the condition decided so. A line was executed as often as what stands there and was seen least often: a policy that
//! fired, a condition that decided.

use std::collections::BTreeMap;

use crate::matrix::{Coverage, PolicyCoverage};
use crate::store::{Origin, SourceFile, Statement, Store};

/// The tracefile: one section for each file of policies.
pub(super) fn tracefile(store: &Store, coverage: &Coverage) -> String {
    store.files.policies.iter().map(|file| section(store, coverage, file)).collect()
}

fn section(store: &Store, coverage: &Coverage, file: &SourceFile) -> String {
    let path = match &store.origin {
        Origin::BuiltIn | Origin::Commit(_) => file.path.to_string(),
        Origin::Folder(folder) => folder.join(&*file.path).display().to_string(),
    };
    let mut section = Section::default();
    let policies = store.policies.iter().zip(&coverage.policies);
    policies.filter(|(policy, _)| policy.file.path == file.path).for_each(|(policy, seen)| section.add(policy, seen));
    format!("TN:\nSF:{path}\n{}end_of_record\n", section.text())
}

#[derive(Default)]
struct Section {
    /// Line, name, how often.
    functions: Vec<(usize, String, usize)>,
    /// Line, whether it could be evaluated, how often it decided true and false.
    blocks: Vec<(usize, bool, [usize; 2])>,
    lines: BTreeMap<usize, usize>,
}

impl Section {
    fn add(&mut self, policy: &Statement, seen: &PolicyCoverage) {
        let fired = seen.fired.requests;
        // A comma and the end of the line end a name.
        self.functions.push((policy.line(), policy.id.replace([',', '\n', '\r'], "_"), fired));
        self.line(policy.line(), fired);
        for condition in &seen.conditions {
            let line = policy.line_at(condition.span.unwrap_or(policy.span));
            let both = [&condition.when_true, &condition.when_false];
            let decided = both.map(|seen| seen.decided);
            self.blocks.push((line, both.iter().any(|seen| seen.requests > 0), decided));
            self.line(line, decided.iter().sum());
        }
    }

    fn line(&mut self, line: usize, count: usize) {
        let least = self.lines.entry(line).or_insert(count);
        *least = count.min(*least);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        self.functions.iter().for_each(|(line, name, _)| text.push_str(&format!("FN:{line},{name}\n")));
        self.functions.iter().for_each(|(_, name, count)| text.push_str(&format!("FNDA:{count},{name}\n")));
        text.push_str(&sums("FN", self.functions.iter().map(|(_, _, count)| *count)));
        for (block, (line, evaluated, decided)) in self.blocks.iter().enumerate() {
            for (branch, count) in decided.iter().enumerate() {
                let count = if *evaluated { count.to_string() } else { "-".to_owned() };
                text.push_str(&format!("BRDA:{line},{block},{branch},{count}\n"));
            }
        }
        text.push_str(&sums("BR", self.blocks.iter().flat_map(|(_, _, decided)| *decided)));
        self.lines.iter().for_each(|(line, count)| text.push_str(&format!("DA:{line},{count}\n")));
        text.push_str(&sums("L", self.lines.values().copied()));
        text
    }
}

/// How many there are, and how many of them were hit.
fn sums(kind: &str, counts: impl Iterator<Item = usize> + Clone) -> String {
    let hit = counts.clone().filter(|count| *count > 0).count();
    format!("{kind}F:{}\n{kind}H:{hit}\n", counts.count())
}
