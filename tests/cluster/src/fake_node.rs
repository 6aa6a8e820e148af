//! Nodes that run nothing: kwok writes the status that a kubelet would.

pub(crate) mod reaper;
pub(crate) mod stages;

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    FIELD_MANAGER,
    error::{Doing, Error},
    node_kind::{NODE_LABEL, NodeKind},
};

pub(crate) const NAMES: [&str; 2] = ["fake-0", "fake-1"];
pub(crate) const SELECTOR: &str = "type=kwok";

/// Registers the nodes, as their kubelets would.
pub(crate) async fn register(client: &Client) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    for name in NAMES {
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {
                    "type": "kwok",
                    NODE_LABEL: NodeKind::Fake.label(),
                    "kubernetes.io/hostname": name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                },
            },
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        nodes
            .patch(name, &parameters, &Patch::Apply(node))
            .await
            .doing(|| format!("register node {name}"))?;
    }
    Ok(())
}

/// Lets kwok speak for a node, or not.
pub(crate) async fn manage(client: &Client, name: &str, is_managed: bool) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let patch = json!({ "metadata": { "labels": { "type": is_managed.then_some("kwok") } } });
    let patched = nodes.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.map(drop).doing(|| format!("label node {name}"))
}
