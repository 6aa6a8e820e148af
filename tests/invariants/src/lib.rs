//! The invariants I1 to I18, each written once: a check over a [`History`], whoever recorded it.
//!
//! A simulation, a campaign on a real API server and a test on a real node record what happened, and nothing of what
//! the operator believes. So a check can't be fooled by what it checks. Each says in its own words what it can't see; where
//! it can't be sure, it is silent.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod calls;
mod checks;
mod cluster;
mod history;
mod invariant;
mod memory;
mod object;
mod objects;
mod recorder;
mod stops;
#[cfg(test)]
mod story;
mod violation;

pub use checks::check;
pub use history::{Change, Event, History, What};
pub use invariant::{Invariant, Violation};
pub use recorder::Recorder;
