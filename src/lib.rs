//! Gatepost: a policy decision service on Cedar.
//!
//! The permission matrix is written once, in Cedar, next to the policies; every row is exercised on representative requests,
//! decided over the OpenID AuthZEN API, and reported with the clause of the source document that it comes from.
//!
//! The house, from the ground up; nothing knows anything above it:
//!
//! | module | subject |
//! |---|---|
//! | [`regular`] | opening files: regular ones, and nothing else |
//! | [`plugin`] | what reads raw strings (phone numbers, e-mail addresses) into facts |
//! | [`store`] | a policy store on disk or compiled in: read, checked, digested |
//! | [`mod@format`] | one form for the files of a store |
//! | [`request`] | from plain JSON values and a schema to a typed request |
//! | [`engine`] | the only place where a decision is made |
//! | [`matrix`] | the rows and the representative requests: whether rows hold on them, how well they exercise the policies, which a change moves |
//! | [`prove`] | rows, policies and revisions as questions to a solver |
//! | [`log`] | the decision log: written, read, verified |
//! | [`replay`] | what was logged, decided again under a store |
//! | [`live`] | the store while it is served: edits taken up, or not |
//! | [`report`] | the matrix as tables, and as the document that a reviewer signs |
//! | [`http`] | AuthZEN over HTTP: nothing but translation |
//! | [`cli`] | one file for each command |
//!
//! The allocator of the binary is a crate of its own, `allocator/`, which alone is not bound to forbid `unsafe`.
//!
//! A decision goes one straight line: bytes → [`http`] → [`request`] → [`engine`] → [`log`] → [`http`] → bytes.

pub mod cli;
pub mod engine;
pub mod format;
pub mod http;
pub mod live;
pub mod log;
pub mod matrix;
pub mod plugin;
pub mod prove;
pub mod regular;
pub mod replay;
pub mod report;
pub mod request;
pub mod store;
