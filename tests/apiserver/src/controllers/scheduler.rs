//! The scheduler: one node, with room for all.

use serde_json::json;

use super::{pod_status, volumes::claims_of};
use crate::{
    behaviour::Scheduling,
    kind,
    object::{self, Key},
    state::State,
    write::By,
};

/// The one node.
pub(super) const NODE: &str = "node-1";

impl State {
    /// Gives a Pod its node, or says why it can't.
    pub(super) fn schedule(&mut self, key: &Key) {
        let Some(pods) = kind::by_name("Pod") else { return };
        let Some(pod) = self.store.get(pods, key).cloned() else { return };
        if !object::text(&pod, "/spec/nodeName").is_empty()
            || object::is_deleting(&pod)
            || !object::list(&pod, "/spec/schedulingGates").is_empty()
        {
            return;
        }
        let obstacle = match &self.behaviour.scheduling {
            Scheduling::Unschedulable(why) => Some(why.clone()),
            Scheduling::AtOnce => claims_of(&pod).find_map(|claim| self.unusable(&key.namespace, claim)),
        };
        let now = self.now();
        let condition = match &obstacle {
            None => json!({ "type": "PodScheduled", "status": "True" }),
            Some(why) => json!({
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": format!("0/1 nodes are available: {why}."),
            }),
        };
        if obstacle.is_none() {
            let _ = self.update(pods, key, &By::controller("kube-scheduler", Some("binding")), |pod| {
                let mut pod = pod.clone();
                pod["spec"]["nodeName"] = json!(NODE);
                Ok(pod)
            });
        }
        let _ = self.change_status(pods, key, "kube-scheduler", |status| {
            pod_status::set_condition(status, condition, &now);
        });
    }

    fn unusable(&self, namespace: &str, claim: &str) -> Option<String> {
        let kind = kind::by_name("PersistentVolumeClaim")?;
        let Some(found) = self.store.get(kind, &Key::new(namespace, claim)) else {
            return Some(format!("persistentvolumeclaim \"{claim}\" not found"));
        };
        if object::is_deleting(found) {
            return Some(format!("persistentvolumeclaim \"{claim}\" is being deleted"));
        }
        match object::text(found, "/status/phase") {
            "Bound" => None,
            "Lost" => {
                Some(format!("persistentvolumeclaim \"{claim}\" bound to non-existent persistentvolume"))
            }
            _ => Some("pod has unbound immediate PersistentVolumeClaims".to_owned()),
        }
    }
}
