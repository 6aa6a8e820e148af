//! The volume binder, and the protection of claims in use.

use serde_json::{Value, json};

use crate::{
    behaviour::Binding,
    defaults::CLAIM_PROTECTION,
    kind::{self, Kind},
    object::{self, Key},
    state::State,
    write::By,
};

fn claims() -> Option<&'static Kind> {
    kind::by_name("PersistentVolumeClaim")
}

impl State {
    /// Gives a claim its volume, and a bound one its new size.
    pub(super) fn bind(&mut self, key: &Key) {
        let Some(kind) = claims() else { return };
        let Some(claim) = self.store.get(kind, key).cloned() else { return };
        let is_bound = claim["status"]["phase"] == "Bound";
        let may_bind = self.behaviour.binding == Binding::AtOnce || self.cluster.bound.contains(key);
        if object::is_deleting(&claim) || claim["status"]["phase"] == "Lost" || !is_bound && !may_bind {
            return;
        }
        if !is_bound {
            let volume = format!("pvc-{}", object::uid(&claim));
            let _ = self.update(kind, key, &By::controller("kube-controller-manager", None), |claim| {
                let mut claim = (*claim).clone();
                claim["spec"]["volumeName"] = json!(volume);
                Ok(claim)
            });
        }
        let spec = claim["spec"].clone();
        let _ = self.change_status(kind, key, "kube-controller-manager", |status| {
            status["phase"] = json!("Bound");
            status["accessModes"] = spec["accessModes"].clone();
            status["capacity"] = spec["resources"]["requests"].clone();
        });
    }

    /// Lets a deleted claim go once no Pod uses it.
    pub(super) fn release_claim(&mut self, key: &Key) {
        let Some(kind) = claims() else { return };
        let is_deleting = self.store.get(kind, key).is_some_and(|claim| object::is_deleting(claim));
        if is_deleting && !self.is_claim_used(key) {
            self.drop_finalizer(kind, key, CLAIM_PROTECTION);
        }
    }

    fn is_claim_used(&self, key: &Key) -> bool {
        let Some(pods) = kind::by_name("Pod") else { return false };
        let lives = |pod: &Value| !matches!(object::text(pod, "/status/phase"), "Failed" | "Succeeded");
        self.store
            .list(pods, Some(&key.namespace))
            .filter(|pod| lives(pod) && !object::text(pod, "/spec/nodeName").is_empty())
            .any(|pod| claims_of(pod).any(|name| name == key.name))
    }
}

/// The claims a Pod mounts.
pub(super) fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    object::list(pod, "/spec/volumes")
        .iter()
        .map(|volume| object::text(volume, "/persistentVolumeClaim/claimName"))
        .filter(|name| !name.is_empty())
}
