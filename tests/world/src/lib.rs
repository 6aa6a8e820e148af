//! The ground that scenarios, campaigns and benchmarks stand on: an API server in memory or a real one, an operator, a
//! user's hands, and programs that register. What happens on it is recorded, and judged by the invariants at its end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a test that can't go on fails, and these are its parts"
)]

pub mod availability;
mod hands;
pub mod pod_history;
pub mod program;
pub mod rollout_at_scale;
mod seen;
mod told;
mod world;

pub use hands::workspace;
pub use told::{condition, is, observed, shown, starts, told};
pub use world::{Ground, IMAGE, World, registration, registration_at};
