//! The contract: what users write, what the operator answers, and the names both rely on.

pub mod bounds;
pub mod class;
pub mod class_status;
pub mod condition;
mod core_rules;
pub mod crd;
pub mod idle;
pub mod incarnation;
pub mod names;
pub mod pattern;
pub mod registration;
mod schema;
pub mod status;
pub mod update_strategy;
mod words;
pub mod workspace;

pub use class::{WorkspaceClass, WorkspaceClassSpec};
pub use condition::{ConditionStatus, ConditionType, Reason};
pub use incarnation::{IncarnationNumber, RestartTime};
pub use status::WorkspaceStatus;
pub use workspace::{Workspace, WorkspaceSpec};
