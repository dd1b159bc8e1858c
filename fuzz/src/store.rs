//! The loader of a store: whatever its files hold, it is a store that can be served or a list of problems, each with a sentence
//! and places that lie in its file.

use std::path::PathBuf;

use gatepost::engine::Snapshot;
use gatepost::request::{Facts, Named, Question};
use gatepost::store::{Origin, Problem, Severity, SourceFile, Store, StoreError, StoreFiles};
use miette::{GraphicalReportHandler, GraphicalTheme};

/// The files of a store in one text; a line `=== PATH` is before each.
pub fn hold(input: &[u8]) {
    let files = files(&String::from_utf8_lossy(input));
    match load(files.clone()) {
        Ok(snapshot) => {
            assert!(snapshot.store.warnings.iter().all(|problem| problem.severity != Severity::Error));
            snapshot.store.warnings.iter().for_each(|problem| told(problem, &files));
            let again = load(files).expect("what could be served once can be served again");
            assert_eq!(snapshot.revision(), again.revision());
            decides(&snapshot);
        }
        Err(StoreError(problems)) => {
            assert!(problems.iter().any(|problem| problem.severity == Severity::Error), "refused without an error");
            problems.iter().for_each(|problem| told(problem, &files));
        }
    }
}

fn load(files: StoreFiles) -> Result<Snapshot, StoreError> {
    Store::from_files(Origin::Folder(PathBuf::from("store")), files).and_then(Snapshot::build)
}

/// Sorted in by their folders, as [`StoreFiles::read`] sorts in what it finds.
fn files(text: &str) -> StoreFiles {
    let mut files = StoreFiles::default();
    for part in text.split("=== ").skip(1) {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        let file = SourceFile { path: path.into(), text: text.into() };
        match path.split('/').next() {
            _ if path == "matrix/clauses.toml" => files.clauses = Some(file),
            Some("schema") => files.schema.push(file),
            Some("policies") => files.policies.push(file),
            Some("matrix") => files.matrix.push(file),
            Some("entities") => files.entities.push(file),
            _ => {}
        }
    }
    files
}

/// A problem says what, has its places in a file of the store, and can be shown.
fn told(problem: &Problem, files: &StoreFiles) {
    assert!(!problem.message.is_empty());
    assert_eq!(problem.position().is_some(), !problem.labels.is_empty(), "{problem:?}");
    if let Some(file) = &problem.file {
        assert!(files.deciding().any(|own| own == file), "{problem:?}");
        for label in &problem.labels {
            assert!(file.text.get(label.offset()..label.offset() + label.len()).is_some(), "{problem:?}");
        }
    }
    let mut shown = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    handler.render_report(&mut shown, problem).expect("a problem can be shown");
}

/// Every kind of request can be decided, and none is allowed of which something went wrong.
fn decides(snapshot: &Snapshot) {
    for environment in &snapshot.store.types.environments {
        let (principal, resource) = (environment.principal.to_string(), environment.resource.to_string());
        let action = environment.action.to_string();
        let named = |type_name| Named::new(type_name, "a");
        let question = Question {
            principal: named(&principal),
            action: &action,
            action_attributes: &[],
            resource: named(&resource),
            context: &[],
        };
        // An id that is none of an enumerated type is the caller's mistake.
        if let Ok(decision) = snapshot.decide(&question, Facts::FromPlugins) {
            assert!(!decision.allowed || decision.errors().is_empty());
        }
    }
}
