//! A policy store: read once, checked whole, digested.
//!
//! [`Store::load`] reads every file of a store, and gives either a store that can be served or everything that is wrong
//! with it. What was checked is what is served: no file is read twice.

mod bindings;
pub mod changes;
mod clauses;
mod digest;
mod files;
mod git;
pub mod known;
pub mod lint;
pub mod policy;
mod problem;
pub mod schema;
pub mod scope;

use cedar_policy::{Schema, SchemaFragment, ValidationMode, Validator};

pub use clauses::{Clause, Clauses};
pub use digest::Revision;
pub use files::{Origin, StoreFiles};
pub use git::Commit;
pub use policy::Statement;
pub use problem::{Problem, Severity, SourceFile, StoreError};
use schema::{Environment, Types};

/// A policy store without errors.
#[derive(Debug)]
pub struct Store {
    /// Where it comes from.
    pub origin: Origin,
    /// The files, as they were read.
    pub files: StoreFiles,
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
        let schema = keep(read_schema(&files.schema), &mut problems);
        let (policies, unread) = policy::read(&files.policies);
        problems.extend(unread);
        let (rows, unread) = policy::read(&files.matrix);
        problems.extend(unread);
        let clauses = files.clauses.as_ref().and_then(|file| keep(Clauses::read(file), &mut problems));
        let Some((schema, types)) = schema else { return Err(StoreError(problems)) };
        // What parses is checked beside what does not; but citations and the like only once all of it does.
        let whole = problems.is_empty();
        problems.extend(validate(&schema, &policies));
        problems.extend(validate(&schema, &rows));
        if !whole {
            return Err(StoreError(problems));
        }
        let revision = Revision::of(&files);
        let warnings = Vec::new();
        let mut store = Self { origin, files, schema, types, policies, rows, clauses, revision, warnings };
        problems.extend(lint::lint(&store));
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
        problems.extend(validate(&self.schema, &rows));
        problems.extend(rows.iter().flat_map(|row| lint::required_has(row, self)));
        problems.retain(|problem| problem.severity == Severity::Error);
        if problems.is_empty() { Ok(rows) } else { Err(StoreError(problems)) }
    }
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

fn read_schema(files: &[SourceFile]) -> Result<(Schema, Types), Vec<Problem>> {
    let mut fragments = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match SchemaFragment::from_cedarschema_str(&file.text) {
            Ok((fragment, _)) => fragments.push((file.clone(), fragment)),
            Err(error) => problems.extend(Problem::from_cedar(&error, file)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let whole = Schema::from_schema_fragments(fragments.iter().map(|(_, fragment)| fragment.clone()));
    let schema = whole.map_err(|error| {
        // Cedar names what is wrong, but not the file: show it in the one that holds the name.
        let message = error.to_string();
        let named = message.split('`').nth(1).unwrap_or_default().to_owned();
        let file = files.iter().find(|file| file.text.contains(&named)).or(files.first());
        let mut found = file.map(|file| Problem::from_cedar(&error, file)).unwrap_or_default();
        if let Some(first) = found.first_mut().filter(|problem| problem.labels.is_empty() && !named.is_empty()) {
            *first = first.clone().at_text(&named);
        }
        found
    })?;
    let types = Types::read(&fragments, &schema)?;
    Ok((schema, types))
}

/// Cedar's strict type check of every statement.
fn validate(schema: &Schema, statements: &[Statement]) -> Vec<Problem> {
    let result = Validator::new(schema.clone()).validate(&policy::set_of(statements), ValidationMode::Strict);
    let file_of = |id: &cedar_policy::PolicyId| {
        let text: &str = id.as_ref();
        statements.iter().find(|statement| statement.id == text)
    };
    let mut problems = Vec::new();
    for error in result.validation_errors() {
        if let Some(statement) = file_of(error.policy_id()) {
            problems.extend(Problem::from_cedar(error, &statement.file));
        }
    }
    for warning in result.validation_warnings() {
        if let Some(statement) = file_of(warning.policy_id()) {
            let found = Problem::from_cedar(warning, &statement.file);
            problems.extend(found.into_iter().map(|problem| Problem { severity: Severity::Warning, ..problem }));
        }
    }
    problems.sort_by_key(|problem| {
        let file = problem.file.as_ref().map(|file| file.path.clone());
        (file, problem.labels.first().map_or(0, miette::LabeledSpan::offset), problem.message.clone())
    });
    problems.dedup_by(|left, right| left.message == right.message && left.labels == right.labels);
    problems
}
