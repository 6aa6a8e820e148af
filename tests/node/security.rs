//! What a program of a Restricted class is, and what it can reach.

use k8s_openapi::api::core::v1::{Namespace, PersistentVolume};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use test_cluster::{Cluster, NodeKind};
use test_world::{IMAGE, World};
use workspace_operator::api::WorkspaceClass;

use crate::{inside, on_the_real_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_workspace_writes_to_its_volume_as_user_1000_and_has_no_token() {
    on_the_real_node(async |world| {
        enforce_restricted(&world).await;
        let cluster = Cluster::up(NodeKind::Real).await.unwrap();
        let volume = cluster.local_volume(&world.namespace, "x").await.unwrap();
        let classes: Api<WorkspaceClass> = Api::all(world.client.clone());
        let class = json!({
            "apiVersion": "workspaces.dev/v1alpha1",
            "kind": "WorkspaceClass",
            "metadata": {"name": world.namespace},
            "spec": {"podSecurity": "Restricted", "defaults": {"image": IMAGE}},
        });
        classes.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
        let storage = json!({"size": "1Gi", "storageClassName": volume});
        world.create("x", json!({"className": world.namespace, "storage": storage})).await;
        world.ready("x").await;

        assert_eq!(inside::run(&world, "x", "id -u; id -g").await, "1000\n1000\n");
        inside::run(&world, "x", "touch /workspace/x").await;
        assert_eq!(inside::run(&world, "x", "stat -c %u:%g /workspace/x").await, "1000:1000\n");
        world.restart("x").await;
        world.ready_at("x", 2).await;
        let script = "rm /workspace/x && touch /workspace/y && ls /workspace";
        assert_eq!(inside::run(&world, "x", script).await, "y\n");
        let script = "ls -d /var/run/secrets/kubernetes.io 2>/dev/null || echo none";
        assert_eq!(inside::run(&world, "x", script).await, "none\n");

        classes.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
        let volumes: Api<PersistentVolume> = Api::all(world.client.clone());
        volumes.delete(&volume, &DeleteParams::default()).await.unwrap();
    })
    .await;
}

/// The API server itself then refuses every Pod that is not restricted.
pub async fn enforce_restricted(world: &World) {
    let body = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
}
