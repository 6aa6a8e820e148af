//! The image check, answered by a real kubelet.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::json;
use test_cluster::images;
use test_world::{IMAGE, World, condition, is};
use workspace_operator::api::{ConditionType, Reason};

use crate::{inside, on_the_real_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_image_leaves_the_old_pod_serving_and_a_good_one_is_taken() {
    on_the_real_node(async |world| {
        world.create("x", json!({"image": IMAGE})).await;
        world.ready("x").await;
        let before = inside::container(&world, "x").await;

        world.change("x", json!({"image": "registry.test/missing:1"})).await;
        let declined = world.reason("x", ConditionType::UpToDate, Reason::RestartDeclined).await;
        assert!(is(&declined, ConditionType::Ready, "True"));
        let (_, _, message) = condition(&declined, ConditionType::UpToDate).unwrap();
        assert!(message.contains("registry.test/missing:1"), "{message}");
        assert_eq!(inside::container(&world, "x").await.container_id, before.container_id);

        world.change("x", json!({"image": images::BUSYBOX_2})).await;
        world.ready_at("x", 2).await;
        let after = inside::container(&world, "x").await;
        assert_eq!(after.image, images::BUSYBOX_2);
        assert_ne!(after.image_id, before.image_id);
        no_other_pod(&world).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_image_at_the_first_start_is_told_and_a_correction_takes_effect_at_once() {
    on_the_real_node(async |world| {
        world.create("x", json!({"image": "registry.test/missing:1"})).await;
        let refused = |shown: &str| ["ErrImagePull", "ImagePullBackOff"].contains(&shown);
        world
            .until("x", "told that its image is missing", |workspace| {
                condition(workspace, ConditionType::Ready).is_some_and(|(_, reason, _)| refused(&reason))
            })
            .await;
        world.change("x", json!({"image": IMAGE})).await;
        world.ready_at("x", 2).await;
        no_other_pod(&world).await;
    })
    .await;
}

/// Probes are taken away again.
async fn no_other_pod(world: &World) {
    world
        .eventually("no Pod but the workspace's is left", || async {
            let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap();
            (pods.items.len() == 1).then_some(())
        })
        .await;
}
