//! Reaching into containers by the workspace's name.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{
    Api,
    api::{AttachParams, LogParams},
};
use test_world::World;
use tokio::io::AsyncReadExt;

/// Runs a shell script in a workspace as `kubectl exec` does, and gives what it printed.
pub async fn run(world: &World, name: &str, script: &str) -> String {
    let parameters = AttachParams::default().stderr(false);
    let mut process = world.api::<Pod>().exec(name, ["sh", "-c", script], &parameters).await.unwrap();
    let status = process.take_status().unwrap();
    let mut printed = String::new();
    process.stdout().unwrap().read_to_string(&mut printed).await.unwrap();
    let status = status.await.unwrap();
    assert_eq!(status.status.as_deref(), Some("Success"), "`{script}` in {name}: {status:?}");
    printed
}

/// What a workspace printed, as `kubectl logs` tells it.
pub async fn log(world: &World, name: &str) -> String {
    let pods: Api<Pod> = world.api();
    pods.logs(name, &LogParams::default()).await.unwrap()
}

/// The container as the node tells of it.
pub async fn container(world: &World, name: &str) -> ContainerStatus {
    container_if_told(world, name).await.unwrap()
}

/// The same, once the node tells of it.
pub async fn container_if_told(world: &World, name: &str) -> Option<ContainerStatus> {
    world.pod(name).await?.status?.container_statuses?.into_iter().next()
}
