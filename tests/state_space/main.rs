//! The state-space campaign: every property of both schemas is set, changed and taken away on a running workspace. Each
//! time what comes of it is the same as a new workspace with that spec has, and going back leads back to the beginning.
//!
//! `make state-space` runs all of it, `make test` a slice that differs each time. See [`choice`] for how to repeat one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

#[path = "../crd/sample.rs"]
mod sample;
#[path = "../crd/schema.rs"]
#[allow(dead_code, reason = "the CRD's own tests use all of it")]
mod schema;

mod case;
mod choice;
mod courses;
mod judge;
mod kind;
mod listed;
mod meaning;
mod report;
mod seen;
mod sequence;
mod settle;
mod stage;
mod values;

mod changes;
mod completeness;
mod refusals;
