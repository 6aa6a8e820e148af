//! Boot registration. A program shows by its Pod's own token that it is the newest start, and is Ready only then. The
//! credential *is* the incarnation: it ends with its Pod, so no survivor of a race is left with a dead one.
//!
//! The operator keeps nothing about it but a condition of the Pod ([`Mark`]), which is also its readiness gate. So any
//! replica can answer, and a late word about a former Pod can't touch a newer one.

mod answer;
pub mod connect;
mod endpoint;
pub mod equipment;
pub mod head;
pub mod identity;
mod judge;
mod limits;
mod listener;
mod mark;
mod peers;
pub mod request;
mod review;
mod state;
mod tokens;

pub use answer::Answer;
pub use endpoint::Endpoint;
pub use identity::Identity;
pub use listener::serve;
pub use mark::{Mark, Process};
pub use peers::Peers;
pub use request::Beat;
pub use state::{AWAITED, Registration};
