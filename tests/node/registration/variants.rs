//! The other ways to run the agent.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use test_cluster::images;
use test_world::{IMAGE, starts};
use workspace_operator::api::{WorkspaceClass, names, status::ActivityState};

use super::{
    OFTEN, assert_never_refused, begin_work, cluster, heard, required, with_agents, with_agents_beating_every,
};
use crate::{inside, security::enforce_restricted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_a_sidecar_it_registers_the_program_beside_it_again_and_again() {
    with_agents_beating_every(OFTEN, async |world| {
        let mount = json!({"name": names::REGISTRATION_VOLUME, "mountPath": names::REGISTRATION_MOUNT});
        let agent = json!({
            "name": "agent",
            "image": images::AGENT,
            "command": ["/workspace-agent"],
            "restartPolicy": "Always",
            "volumeMounts": [mount],
        });
        let mut spec = required();
        spec["image"] = json!(IMAGE);
        spec["podTemplate"] = json!({"spec": {"initContainers": [agent]}});
        world.create("x", spec).await;
        world.ready("x").await;
        let uid = world.pod("x").await.unwrap().uid().unwrap();
        let before = registration(&world).await;

        // Its own process is another one then.
        assert!(cluster().await.kill_container(&uid, "agent").await.unwrap());
        let after = world
            .eventually("another process registers", || async {
                let now = registration(&world).await;
                (now != before).then_some(now)
            })
            .await;
        // That of the program is not, but it may have been anything in between.
        assert!(cluster().await.kill_container(&uid, names::MAIN_CONTAINER).await.unwrap());
        world
            .eventually("the same registers for the next program", || async {
                (registration(&world).await != after).then_some(())
            })
            .await;
        assert_eq!(starts(&world.ready("x").await), 1);
        assert_eq!(inside::container(&world, "x").await.restart_count, 1);
        assert_eq!(world.pods.started("x"), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_program_in_a_managed_network_registers_and_beats() {
    with_agents(async |world| {
        enforce_restricted(&world).await;
        let classes: Api<WorkspaceClass> = Api::all(world.client.clone());
        let class = json!({
            "apiVersion": "workspaces.dev/v1alpha1",
            "kind": "WorkspaceClass",
            "metadata": {"name": world.namespace},
            "spec": {"podSecurity": "Restricted", "networkPolicy": "Managed", "defaults": required()},
        });
        classes.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
        world.create("x", json!({"className": world.namespace})).await;
        world.ready("x").await;
        assert_eq!(inside::run(&world, "x", "id -u").await, "1000\n");
        let policy = world.api::<NetworkPolicy>().get("x").await.unwrap();
        assert_eq!(policy.name_any(), "x");
        assert_never_refused(&world, "x").await;
        begin_work(&world, "x").await;
        heard(&world, "x", ActivityState::Busy).await;
        classes.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    })
    .await;
}

/// Which process registered, and for which start of the container.
async fn registration(world: &test_world::World) -> Option<String> {
    let status = world.pod("x").await?.status?;
    let mark = status.conditions?.into_iter().find(|one| one.type_ == names::REGISTERED)?;
    mark.message
}
