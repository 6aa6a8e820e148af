//! Pure: a Workspace, its class and what surrounds it, parsed once into what is wanted. After this step there are
//! no raw strings to check and no defaults to remember.

pub mod activity;
pub mod class;
pub mod desired;
pub mod draft;
pub mod effective;
pub mod external;
pub mod json_path;
pub mod merge;
pub mod suspension;
pub mod template;
pub mod volume;

pub use desired::{Desired, resolve};
pub use draft::Draft;
pub use effective::{Effective, progress_deadline};
pub use suspension::{Run, Suspension};

use crate::api::Reason;

/// Why no Pod can be made of a workspace as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Blocked {
    pub reason: Reason,
    pub message: String,
}

impl Blocked {
    /// The spec is at fault at `field`.
    pub fn invalid(field: &str, why: &str) -> Self {
        Self { reason: Reason::InvalidSpec, message: format!("spec.{field}: {why}") }
    }

    /// Whether only a person mends it, who changes the workspace or what it is measured by.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self.reason,
            Reason::InvalidSpec
                | Reason::ClassNotAllowed
                | Reason::OutOfBounds
                | Reason::ForbiddenEnvironment
        )
    }
}
