//! Cedar's evaluator, as the engine asks it: one expression, made beforehand, on one request.
//!
//! Cedar's public [`Authorizer`](cedar_policy::Authorizer) evaluates every policy of a set, makes the expression of each anew for
//! each request, computes the hierarchy of the entities anew, and takes every value through an expression. What it does is the same
//! as what its core does for a single expression (`hooks`), which is public, but not promised to stay. So the version of Cedar is
//! pinned exactly, nothing else of this crate evaluates anything, and with the feature `public-authorizer` the same questions go to
//! the public functions alone (`public`): slower, and for the day on which the core changes.

#[cfg(not(feature = "public-authorizer"))]
mod hooks;
#[cfg(feature = "public-authorizer")]
mod public;

#[cfg(not(feature = "public-authorizer"))]
use hooks as chosen;
#[cfg(feature = "public-authorizer")]
use public as chosen;

pub(super) use chosen::{CedarRequest, Context, Entity, Evaluator, Rule, context, entity};
