//! The invariants I1 to I18, each written once: a check over a [`History`], whoever recorded it.
//!
//! A simulation, a campaign on a real API server and a test on a real node record what happened, and nothing of what
//! the operator believes. So a check can't be fooled by what it checks.

mod history;
mod invariant;

pub use history::{Change, Event, History, What};
pub use invariant::{Invariant, Violation};
