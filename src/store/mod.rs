//! A policy store: read once, checked whole, digested.
//!
//! [`Store::load`] reads every file of a store, and gives either a store that can be served or everything that is wrong
//! with it. What was checked is what is served: no file is read twice.

pub mod addresses;
mod aliases;
mod ancestors;
pub mod annotations;
mod applies;
mod bindings;
pub mod changes;
mod clauses;
mod covers;
mod digest;
mod duplicates;
mod expansion;
mod files;
mod git;
pub mod keys;
pub mod known;
pub mod lint;
pub mod losses;
pub mod masks;
mod names;
pub mod nearest;
mod nesting;
mod phone_metadata;
mod placement;
pub mod policy;
mod presence;
mod problem;
pub mod renamed;
pub mod reserved;
pub mod schema;
pub mod scope;
pub mod signature;
mod source;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{PolicySet, Schema, SchemaFragment, ValidationMode, ValidationWarning, Validator};
use miette::{Diagnostic, SourceSpan};
use serde::de::IgnoredAny;

use crate::plugin::Plugins;
use annotations::Holder;
pub use clauses::{Clause, Clauses};
pub use digest::{READING_RULES, Revision};
pub use files::{Origin, REFUSES_UNREAD, StoreFiles};
pub(crate) use files::{plain, watched_paths};
pub use git::Commit;
use nesting::too_deep;
pub(crate) use nesting::{Language, token};
pub use policy::Statement;
pub use problem::{LONGEST_LINE, Problem, Severity, SourceFile, StoreError};
use schema::{Environment, Fragment, Reader, Types};
pub use source::Source;

/// A policy store without errors.
#[derive(Debug)]
pub struct Store {
    /// Where it comes from.
    pub origin: Origin,
    /// The files, as they were read.
    pub files: StoreFiles,
    /// The files of policies, rows and entities, by their paths, and whether each has nothing in it.
    pub inventory: BTreeMap<Arc<str>, bool>,
    /// The schema, resolved by Cedar.
    pub schema: Schema,
    /// The schema as the request layer needs it.
    pub types: Types,
    /// The policies.
    pub policies: Vec<Statement>,
    /// The rows of the matrix.
    pub rows: Vec<Statement>,
    /// The clauses of the source document, if the store has them.
    pub clauses: Option<Clauses>,
    /// The digest of everything above that can change a decision.
    pub revision: Revision,
    /// What its author should look at.
    pub warnings: Vec<Problem>,
}

impl Store {
    /// Reads and checks a store.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, warnings included.
    pub fn load(origin: Origin) -> Result<Self, StoreError> {
        let files = StoreFiles::read(&origin)?;
        Self::from_files(origin, files)
    }

    /// Checks a store whose files have been read.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, warnings included.
    pub fn from_files(origin: Origin, files: StoreFiles) -> Result<Self, StoreError> {
        let mut problems = Vec::new();
        let phones = files.phone_metadata.as_ref().map(phone_metadata::read).transpose();
        let phones = keep(phones.map_err(|problem| vec![problem]), &mut problems).flatten();
        let schema = keep(read_schema(&files.schema, Plugins::with(phones)), &mut problems);
        let (policies, unread) = policy::read(&files.policies);
        problems.extend(unread);
        let (rows, unread) = policy::read(&files.matrix);
        problems.extend(unread);
        let clauses = files.clauses.as_ref().and_then(|file| keep(Clauses::read(file), &mut problems));
        let Some((schema, types, unbound)) = schema else { return Err(StoreError(problems)) };

        // What parses is checked beside what does not; but citations and the like only once all of it does.
        let whole = problems.is_empty();
        problems.extend(validate(&schema, &types, &policies));
        problems.extend(validate(&schema, &types, &rows));
        if !whole {
            return Err(StoreError(problems));
        }
        problems.extend(unbound);
        problems.extend(annotations::of_statements(&policies, Holder::Policy));
        problems.extend(annotations::of_statements(&rows, Holder::Row));
        problems.extend(placement::check(&policies, &rows));
        problems.extend(files.unread.iter().cloned());
        problems.extend(files.requests.iter().filter_map(|file| no_request(file, &types)));
        let revision = Revision::of(&files);
        let (warnings, inventory) = (Vec::new(), files.inventory(&policies, &rows));
        let mut store = Self { origin, files, inventory, schema, types, policies, rows, clauses, revision, warnings };
        problems.extend(lint::lint(&store));
        problems.extend(reserved::reserved(&store));
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(StoreError(problems));
        }
        store.warnings = problems;
        Ok(store)
    }

    /// The policies that can apply to the requests of an environment, which may be that of another schema; none where this one has
    /// no such environment.
    pub fn policies_in(&self, environment: &Environment) -> impl Iterator<Item = &Statement> {
        let own = self.types.environment_like(environment);
        own.into_iter().flat_map(|(_, own)| {
            self.policies.iter().filter(|policy| scope::can_match(&policy.policy, own, &self.schema))
        })
    }

    /// Reads rows that stand outside of the store, and checks them as if they stood in its matrix.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn further_rows(&self, files: &[SourceFile]) -> Result<Vec<Statement>, StoreError> {
        let (rows, mut problems) = policy::read(files);
        problems.extend(validate(&self.schema, &self.types, &rows));
        problems.extend(annotations::of_statements(&rows, Holder::Row));
        problems.extend(rows.iter().flat_map(|row| lint::of_statement(row, self)));
        problems.retain(|problem| problem.severity == Severity::Error);
        if problems.is_empty() { Ok(rows) } else { Err(StoreError(problems)) }
    }
}

/// Whether Cedar reads a file, of a schema or of policies and rows.
pub(crate) fn parses(file: &SourceFile, is_schema: bool) -> bool {
    if is_schema {
        schema_fragment(file).is_ok()
    } else {
        too_deep(file, Language::Policies).is_none() && PolicySet::from_str(&file.text).is_ok()
    }
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

/// What a file of a schema declares.
///
/// # Errors
///
/// It is nested too deeply, or Cedar does not read it.
pub(crate) fn schema_fragment(file: &SourceFile) -> Result<SchemaFragment, Vec<Problem>> {
    if let Some(problem) = too_deep(file, Language::Schema) {
        return Err(vec![problem]);
    }
    let read = SchemaFragment::from_cedarschema_str(&file.text);
    read.map(|(fragment, _)| fragment).map_err(|error| Problem::from_cedar(&error, file))
}

/// The schema, and what its author should look at.
fn read_schema(files: &[SourceFile], plugins: Plugins) -> Result<(Schema, Types, Vec<Problem>), Vec<Problem>> {
    let mut fragments = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match schema_fragment(file) {
            Ok(cedar) => {
                let declared: Arc<[_]> = written::read(&file.text).into();
                problems.extend(duplicates::check(file, &declared));
                problems.extend(annotations::of_schema(file, &declared));
                fragments.push(Fragment { file: file.clone(), declared, cedar });
            }
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(duplicates::across(&fragments));
    if !problems.is_empty() {
        return Err(problems);
    }
    let reader = Reader::new(&fragments, plugins)?;
    let problems = [expansion::too_large(&reader), ancestors::too_many(&reader)].concat();
    if !problems.is_empty() {
        return Err(problems);
    }
    let whole = Schema::from_schema_fragments(fragments.iter().map(|fragment| fragment.cedar.clone()));
    let schema = whole.map_err(|error| wrong_with(&error, files))?;
    if let Err(error) = schema.action_entities() {
        return Err(vec![Problem::error(format!("the actions cannot be read: {error}"))]);
    }
    let types = Types::read(&reader, &schema)?;
    Ok((schema, types, bindings::unbound(&reader)))
}

/// What Cedar says of the schema as a whole: in the file of which it says it or, where it does not say, in the only one that holds the name.
fn wrong_with(error: &dyn Diagnostic, files: &[SourceFile]) -> Vec<Problem> {
    let message = error.to_string();
    let named = message.split('`').nth(1).unwrap_or_default();
    let with_name = || files.iter().filter(|file| !named.is_empty() && file.text.contains(named));
    let file = match (files, with_name().count()) {
        ([only], _) => Some(only),
        (_, 1) => with_name().next(),
        _ => None,
    };
    let file = files.iter().find(|file| is_text_of(error, file)).or(file);
    let Some(file) = file else {
        let problem = Problem::error(&message);
        return vec![Problem { help: error.help().map(|help| help.to_string()), ..problem }];
    };
    let mut found = Problem::from_cedar(error, file);
    if let Some(first) = found.first_mut().filter(|problem| problem.labels.is_empty() && !named.is_empty()) {
        *first = first.clone().at_text(named);
    }
    found
}

/// Whether a diagnostic is about the text of that file.
fn is_text_of(diagnostic: &dyn Diagnostic, file: &SourceFile) -> bool {
    let all = |length: usize| SourceSpan::from((0, length));
    let length = file.text.len();
    let about = diagnostic.source_code().is_some_and(|source| {
        let is_same = source.read_span(&all(length), 0, 0).is_ok_and(|found| found.data() == file.text.as_bytes());
        // What is one longer than a text is read too.
        is_same && source.read_span(&all(length + 2), 0, 0).is_err()
    });
    about || diagnostic.related().into_iter().flatten().any(|other| is_text_of(other, file))
}

/// A request to try that cannot be tried.
fn no_request(file: &SourceFile, types: &Types) -> Option<Problem> {
    let error = serde_json::from_str::<IgnoredAny>(&file.text).err()?;
    let problem = Problem::not_json("the request", &format!("not JSON: {error}"), file);
    let problem = Problem { severity: Severity::Warning, ..problem };
    Some(if masks::Sensitive::of(types).is_empty() { problem } else { problem.without_text() })
}

/// Cedar's strict type check of every statement. What follows from an error of a statement is not said beside it: that it never applies,
/// say, because it names an action that there is not.
fn validate(schema: &Schema, types: &Types, statements: &[Statement]) -> Vec<Problem> {
    let result = Validator::new(schema.clone()).validate(&policy::set_of(statements), ValidationMode::Strict);
    let by_id: BTreeMap<&str, &Statement> =
        statements.iter().map(|statement| (statement.id.as_str(), statement)).collect();
    let mut problems = Vec::new();
    let mut explained = BTreeSet::new();
    for error in result.validation_errors() {
        if let Some(statement) = by_id.get(AsRef::<str>::as_ref(error.policy_id())) {
            explained.insert(error.policy_id());
            problems.extend(of_statement(error, statement));
        }
    }
    let warnings: Vec<_> = result.validation_warnings().collect();
    for warning in &warnings {
        if let ValidationWarning::InvalidActionApplication(_) = warning
            && let Some(statement) = by_id.get(AsRef::<str>::as_ref(warning.policy_id()))
            && explained.insert(warning.policy_id())
        {
            problems.push(applies::never(statement, types, schema));
        }
    }
    for warning in &warnings {
        let is_consequence =
            matches!(warning, ValidationWarning::InvalidActionApplication(_) | ValidationWarning::ImpossiblePolicy(_));
        if is_consequence && explained.contains(warning.policy_id()) {
            continue;
        }
        if let Some(statement) = by_id.get(AsRef::<str>::as_ref(warning.policy_id())) {
            let found = of_statement(*warning, statement).into_iter();
            problems.extend(found.map(|problem| Problem { severity: Severity::Warning, ..problem }));
        }
    }
    problems.sort_by_key(|problem| {
        let file = problem.file.as_ref().map(|file| file.path.clone());
        (file, problem.labels.first().map_or(0, miette::LabeledSpan::offset), problem.message.clone())
    });
    problems.dedup_by(|left, right| left.message == right.message && left.labels == right.labels);
    problems
}

/// What Cedar says of a statement. A row is called by its place in the tables, which its reviewer knows.
fn of_statement(found: &dyn Diagnostic, statement: &Statement) -> Vec<Problem> {
    let mut problems = Problem::from_cedar(found, &statement.file);
    let prefix = format!("for policy `{}`, ", statement.id);
    for problem in problems.iter_mut().filter(|_| !statement.place().is_empty()) {
        if let Some(what) = problem.message.strip_prefix(&prefix) {
            problem.message = format!("in the row `{}`, {what}", statement.place());
        }
    }
    problems
}
