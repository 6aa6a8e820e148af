//! The namespace controller.

use serde_json::json;

use crate::{kind, object::Key, removal::Deletion, state::State, write::By};

impl State {
    /// Empties a namespace that is being deleted, and lets it go when it is empty.
    pub(super) fn empty_namespace(&mut self, name: &str) {
        let Some(namespaces) = kind::by_name("Namespace") else { return };
        let key = Key::new("", name);
        if !self.store.get(namespaces, &key).is_some_and(|namespace| crate::object::is_deleting(namespace)) {
            return;
        }
        let content: Vec<_> = self
            .store
            .all()
            .filter(|(_, key, _)| key.namespace == name)
            .map(|(kind, key, object)| (kind, key.clone(), crate::object::is_deleting(object)))
            .collect();
        if content.is_empty() {
            let by = By::controller("kube-controller-manager", Some("finalize"));
            let _ = self.update(namespaces, &key, &by, |namespace| {
                let mut namespace = namespace.clone();
                namespace["spec"]["finalizers"] = json!([]);
                Ok(namespace)
            });
            return;
        }
        for (kind, key, _) in content.into_iter().filter(|(_, _, is_deleting)| !is_deleting) {
            let _ = self.delete(kind, &key, &Deletion::by_cluster());
        }
    }
}
