//! Asks for a visit to a workspace that no watch asks for.

use futures::channel::mpsc;
use kube::{core::DeserializeGuard, runtime::reflector::ObjectRef};

use crate::api::Workspace;

/// A workspace as the controller's queue names it.
pub type Target = ObjectRef<DeserializeGuard<Workspace>>;

/// The asking end.
#[derive(Clone, Debug)]
pub struct Waker(mpsc::UnboundedSender<Target>);

impl Waker {
    /// Both ends.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Target>) {
        let (wake, woken) = mpsc::unbounded();
        (Self(wake), woken)
    }

    /// Asks for a visit. Nobody listens any more where the operator ends.
    pub fn wake(&self, namespace: &str, name: &str) {
        let _ = self.0.unbounded_send(ObjectRef::new(name).within(namespace));
    }
}
