//! What may be mistaken for something else: a Pod that seems gone, a stranger's object, a change that is none.

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use test_invariants::Invariant;
use test_world::{IMAGE, World, is, told};
use workspace_operator::{
    api::{ConditionType, Reason, names},
    protection::Protection,
};

use crate::notice;

#[tokio::test]
async fn a_pod_that_only_seems_to_be_gone() {
    notice(Protection::LiveGoneCheck, Invariant::I1, async |world: &mut World| {
        world.start_operator();
        world.create("x", json!({"image": IMAGE})).await;
        world.ready("x").await;
        // By this label the cache knows it.
        let unlabelled = Patch::Merge(json!({"metadata": {"labels": {names::WORKSPACE: null}}}));
        world.api::<Pod>().patch("x", &PatchParams::default(), &unlabelled).await.unwrap();
        world.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn a_stranger_s_service() {
    notice(Protection::OwnershipCheck, Invariant::I14, async |world: &mut World| {
        let strangers = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "x"},
            "spec": {"clusterIP": "None", "ports": [{"port": 9}]},
        });
        world.apply::<Service>(strangers).await;
        world.start_operator();
        world.create("x", json!({"image": IMAGE, "ports": [{"containerPort": 80}]})).await;
        world
            .until("x", "refused, or Ready with what is not its own", |workspace| {
                is(workspace, ConditionType::Ready, "True")
                    || told(workspace, ConditionType::Ready) == format!("False/{}", Reason::NameTaken)
            })
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_change_that_needs_no_new_pod() {
    notice(Protection::HashOverInputs, Invariant::I9, async |world: &mut World| {
        world.start_operator();
        world.create("x", json!({"image": IMAGE})).await;
        world.ready("x").await;
        world.change("x", json!({"progressDeadlineSeconds": 1200})).await;
        world.ready("x").await;
        world.quiet().await;
    })
    .await;
}
