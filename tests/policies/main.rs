//! The admission policies of `deploy/policies/` on a real API server: who is refused, with which words, and who is
//! not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod files;
mod ground;

mod class_use;
mod forbidden_env;
