//! The paths of the service, for its routes, for those who discover them, and for the document that describes them.

/// One decision.
pub const EVALUATION: &str = "/access/v1/evaluation";
/// Many decisions.
pub const EVALUATIONS: &str = "/access/v1/evaluations";
/// Which subjects.
pub const SUBJECT_SEARCH: &str = "/access/v1/search/subject";
/// Which resources.
pub const RESOURCE_SEARCH: &str = "/access/v1/search/resource";
/// Which actions.
pub const ACTION_SEARCH: &str = "/access/v1/search/action";
/// What the service says of itself to those who look for it.
pub const DISCOVERY: &str = "/.well-known/authzen-configuration";
/// The description of all of this.
pub const OPENAPI: &str = "/openapi.json";
/// Whether the process runs.
pub const HEALTHZ: &str = "/healthz";
/// Whether it can decide now.
pub const READYZ: &str = "/readyz";
/// Takes up the store on disk; for operators, on their own listener.
pub const RELOAD: &str = "/reload";
/// Which store is in force; for operators, on their own listener.
pub const STATUS: &str = "/status";
/// The document for reviewers.
pub const REPORT: &str = "/report";
/// What the service counts and measures.
pub const METRICS: &str = "/metrics";

/// Those to which a question is posted.
pub const ASKED: [&str; 5] = [EVALUATION, EVALUATIONS, SUBJECT_SEARCH, RESOURCE_SEARCH, ACTION_SEARCH];

/// Those of them that search.
pub const SEARCHES: [&str; 3] = [SUBJECT_SEARCH, RESOURCE_SEARCH, ACTION_SEARCH];

/// All of them.
pub const ALL: [&str; 13] = [
    EVALUATION,
    EVALUATIONS,
    SUBJECT_SEARCH,
    RESOURCE_SEARCH,
    ACTION_SEARCH,
    DISCOVERY,
    OPENAPI,
    HEALTHZ,
    READYZ,
    RELOAD,
    STATUS,
    REPORT,
    METRICS,
];
