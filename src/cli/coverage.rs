//! What `gatepost test --coverage` says: which conditions the rows show to decide, which not, and whether that is enough.

use std::path::PathBuf;

use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value as Json, json};

use super::lcov;
use super::output::{self, Failure, counted};
use crate::matrix::{ConditionCoverage, Coverage, PolicyCoverage, Sightings};
use crate::report::Mark;
use crate::store::{Problem, Statement, Store};

#[derive(Debug, Args)]
pub(super) struct CoverageArguments {
    /// Say how well the rows exercise the policies: whether each fired, and each condition decided when true and when false
    #[arg(long)]
    coverage: bool,
    /// The least coverage that will do, in percent; with less, exit 1. Includes --coverage
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Write the coverage of the policies as an LCOV tracefile. Includes --coverage
    #[arg(long, value_name = "FILE")]
    lcov: Option<PathBuf>,
}

impl CoverageArguments {
    /// Whether coverage is asked for.
    pub(super) fn wanted(&self) -> bool {
        self.coverage || self.min_coverage.is_some() || self.lcov.is_some()
    }

    /// What to say of this coverage, after the tracefile has been written that is asked for.
    pub(super) fn report<'a>(&self, store: &'a Store, coverage: Coverage) -> Result<Report<'a>, Failure> {
        if let Some(path) = &self.lcov {
            std::fs::write(path, lcov::tracefile(store, &coverage)).map_err(|error| {
                Failure::new(format!("the tracefile `{}` cannot be written: {error}", path.display()))
            })?;
        }
        Ok(Report { store, coverage, minimum: self.min_coverage })
    }
}

/// The coverage of a store.
pub(super) struct Report<'a> {
    store: &'a Store,
    coverage: Coverage,
    minimum: Option<u8>,
}

impl Report<'_> {
    /// Whether it is as much as is asked for.
    pub(super) fn is_enough(&self) -> bool {
        self.minimum.is_none_or(|minimum| self.coverage.points().reach(minimum))
    }

    fn policies(&self) -> impl Iterator<Item = (&Statement, &PolicyCoverage)> {
        self.store.policies.iter().zip(&self.coverage.policies)
    }

    pub(super) fn as_text(&self) -> String {
        let mut text = format!("\nWhat decided on the requests of the rows\n{}\n\n", self.table());
        let gaps = self.policies().filter_map(|(policy, seen)| gap(policy, seen));
        gaps.for_each(|problem| text.push_str(&format!("{}\n", output::rendered(&problem))));
        text.push_str("✓ on the requests of these rows, it decided   ✗ on none   guards: else what follows it cannot be evaluated\n");
        text.push_str(&self.summary());
        text
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(output::width()).set_header(["", "when true", "when false"]);
        for (policy, seen) in self.policies() {
            let fired = if seen.fired.requests > 0 { "fired" } else { "never fired" };
            let mark = if seen.fired.requests > 0 { Mark::Holds } else { Mark::Fails };
            table.add_row([policy.id.clone(), format!("{} {fired}", mark.sign()), String::new()]);
            for condition in &seen.conditions {
                let [when_true, when_false] = [&condition.when_true, &condition.when_false].map(|seen| self.cell(seen));
                table.add_row([format!("└ {}", condition.text), when_true, when_false]);
            }
        }
        table.trim_fmt()
    }

    fn cell(&self, seen: &Sightings) -> String {
        let mut rows = seen.rows.iter().filter_map(|row| self.store.rows.get(*row));
        match (rows.next(), rows.count()) {
            (None, _) if seen.only_guards() => "guards".to_owned(),
            (None, _) => Mark::Fails.sign().to_owned(),
            (Some(first), 0) => format!("{} {}", Mark::Holds.sign(), first.name()),
            (Some(first), more) => format!("{} {} + {more}", Mark::Holds.sign(), first.name()),
        }
    }

    fn summary(&self) -> String {
        let points = self.coverage.points();
        let fired = self.policies().filter(|(_, seen)| seen.fired.requests > 0).count();
        let idle = self.policies().filter(|(_, seen)| seen.fired.requests > 0 && seen.fired.decided == 0);
        let idle: Vec<String> = idle.map(|(policy, _)| format!("`{}`", policy.id)).collect();
        let idle = match idle.as_slice() {
            [] => String::new(),
            idle => {
                format!("every request of a row would be decided the same without {}\n", idle.join(", or without "))
            }
        };
        let enough = match self.minimum {
            Some(minimum) if !self.is_enough() => format!("; that is less than the {minimum}% that must be"),
            _ => String::new(),
        };
        let conditions = || self.policies().flat_map(|(_, seen)| &seen.conditions);
        let when_true = conditions().filter(|condition| condition.when_true.decided > 0).count();
        let when_false = conditions().filter(|condition| condition.when_false.decided > 0).count();
        format!(
            "{idle}{fired} of {} fired; of {}, {when_true} decided when true and {when_false} when false: {} covered{enough}\n",
            counted(self.coverage.policies.len(), "policy"),
            counted(conditions().count(), "condition"),
            percent(points.per_mille()),
        )
    }

    pub(super) fn as_json(&self) -> Json {
        let points = self.coverage.points();
        let policies = self.policies().map(|(policy, seen)| {
            let conditions = seen.conditions.iter().map(|condition| {
                json!({
                    "text": condition.text,
                    "line": policy.line_at(condition.span.unwrap_or(policy.span)),
                    "true": self.sightings(&condition.when_true),
                    "false": self.sightings(&condition.when_false),
                })
            });
            json!({
                "id": policy.id,
                "file": &*policy.file.path,
                "line": policy.line(),
                "fired": self.sightings(&seen.fired),
                "conditions": conditions.collect::<Vec<_>>(),
            })
        });
        json!({
            "covered": points.covered,
            "total": points.total,
            "percent": points.per_mille() as f64 / 10.0,
            "minimum": self.minimum,
            "enough": self.is_enough(),
            "policies": policies.collect::<Vec<_>>(),
        })
    }

    fn sightings(&self, seen: &Sightings) -> Json {
        let rows = seen.rows.iter().filter_map(|row| self.store.rows.get(*row)).map(|row| &row.id);
        json!({
            "requests": seen.requests,
            "guarded": seen.guarded,
            "depended": seen.depended,
            "decided": seen.decided,
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

fn percent(per_mille: usize) -> String {
    format!("{}.{}%", per_mille / 10, per_mille % 10)
}

/// What rows do not show of a policy, each place underlined; `None` where they show all.
fn gap(policy: &Statement, seen: &PolicyCoverage) -> Option<Problem> {
    let points = seen.points();
    if points.covered == points.total {
        return None;
    }
    let message = format!("what no row shows of `{}`", policy.id);
    let mut problem = Problem::note(message).in_file(&policy.file);
    if seen.fired.requests == 0 {
        problem = problem.at(policy.find(if policy.permits() { "permit" } else { "forbid" }), "never fires");
    }
    for condition in &seen.conditions {
        let lacks = lacks(condition);
        if let Some(lacks) = lacks {
            problem = problem.at(condition.span.unwrap_or(policy.span), &lacks);
        }
    }
    Some(problem)
}

/// What rows do not show of a condition, in words.
fn lacks(condition: &ConditionCoverage) -> Option<String> {
    let only = |seen: &Sightings| match seen {
        seen if seen.decided > 0 || seen.only_guards() => None,
        seen if seen.depended > 0 => Some("only where other policies decide the same"),
        seen if seen.requests > 0 => Some("only where other conditions decide"),
        _ => Some(""),
    };
    let lack = |value: &str, only: &str| match only {
        "" => format!("never {value}"),
        only => format!("{value} {only}"),
    };
    match (only(&condition.when_true), only(&condition.when_false)) {
        (Some(""), Some("")) => Some("never evaluated".to_owned()),
        (Some(only), Some(same)) if only == same => Some(lack("true and false", only)),
        (when_true, when_false) => {
            let both = [when_true.map(|only| lack("true", only)), when_false.map(|only| lack("false", only))];
            let lacking: Vec<String> = both.into_iter().flatten().collect();
            (!lacking.is_empty()).then(|| lacking.join("; "))
        }
    }
}
