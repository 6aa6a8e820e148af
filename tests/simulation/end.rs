//! What has to be so in the end.

use serde_json::Value;
use test_apiserver::ApiServer;

use crate::users::Wish;

/// What differs from what is wished; nothing, if all is well.
pub fn differs(server: &ApiServer, name: &str, wish: &Wish) -> Option<String> {
    let workspace = server.object("Workspace", "test", name);
    let pod = server.object("Pod", "test", name);
    let Some(workspace) = workspace else {
        if wish.exists {
            return Some(format!("{name} is gone, and nobody deleted it"));
        }
        return pod.map(|_| format!("{name} is gone, and its Pod is not"));
    };
    if !wish.exists {
        return Some(format!("{name} was deleted, and is still there"));
    }
    let generation = workspace.pointer("/metadata/generation");
    if workspace.pointer("/status/observedGeneration") != generation {
        return Some(format!("the status of {name} does not speak of its spec"));
    }
    if wish.is_stopped || wish.is_held {
        return pod.map(|_| format!("{name} is to have no Pod, and has one"));
    }
    let ready = workspace
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .and_then(|all| all.iter().find(|one| one["type"] == "Ready"))
        .is_some_and(|ready| ready["status"] == "True");
    let may_be_ready = ["good", "slow", "linger"].contains(&wish.image.as_str());
    (may_be_ready && !ready)
        .then(|| format!("{name} is not Ready with {}: {}", wish.image, workspace["status"]))
}
