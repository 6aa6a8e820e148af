//! The two CRDs against a real API server: each bound and each rule accepts what it should and refuses what it
//! should, with the field and the words a person needs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the tests' own functions may end a test too")]

mod ground;
mod sample;
mod schema;

mod bounds;
mod class_rules;
mod columns;
mod explain;
mod names;
mod rendered;
mod rules;
mod values;
