//! Starting, restarting and stopping real containers.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};
use test_world::{IMAGE, World, shown, starts};
use workspace_operator::api::{ConditionType, Reason, names};

use crate::{inside, on_the_real_node};

const TIMES: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart_before_the_first_pod_gives_exactly_one_pod() {
    on_the_real_node(async |world| {
        for name in many() {
            let annotations = json!({names::RESTARTED_AT: Timestamp::now().to_string()});
            world.create_annotated(&name, json!({"image": IMAGE}), annotations).await;
        }
        for name in many() {
            let ready = world.ready(&name).await;
            assert_eq!(starts(&ready), 1, "{name}");
            assert!(ready.status.unwrap().failures.is_none(), "{name} was marked failed");
        }
        world.quiet().await;
        for name in many() {
            assert_eq!(world.pods.started(&name), 1, "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_and_restart_back_to_back() {
    on_the_real_node(async |world| {
        let mut asked = Vec::new();
        for name in many() {
            world.create(&name, json!({"image": IMAGE})).await;
            asked.push(world.restart(&name).await);
        }
        for (name, asked) in many().zip(asked) {
            let status = world.ready(&name).await.status.unwrap();
            assert_eq!(status.last_handled_restart_at.map(|time| time.0), Some(asked), "{name}");
            assert!(status.failures.is_none(), "{name} was marked failed");
        }
        world.quiet().await;
        for name in many() {
            assert!(world.pods.started(&name) <= 2, "{}", shown(&world.pods.of(&name)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_on_the_volume_survives_a_restart() {
    on_the_real_node(async |world| {
        world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
        world.ready("x").await;
        inside::run(&world, "x", "echo kept > /workspace/file; echo gone > /tmp/file").await;
        world.restart("x").await;
        world.ready_at("x", 2).await;
        assert_eq!(inside::run(&world, "x", "cat /workspace/file; ls /tmp").await, "kept\n");
        assert_eq!(world.pods.started("x"), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_ends_in_order_before_the_next_one_starts() {
    on_the_real_node(async |world| {
        let script = "
            [ -e saved ] && mv saved found
            trap 'sleep 3; touch saved; exit' TERM
            sleep infinity & wait";
        world.create("x", in_its_volume(script)).await;
        world.ready("x").await;
        world.restart("x").await;
        world.ready_at("x", 2).await;
        assert_eq!(inside::run(&world, "x", "ls").await, "found\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_end_is_ended_after_its_grace_period() {
    on_the_real_node(async |world| {
        let mut spec = in_its_volume("trap '' TERM; while sleep 1; do :; done");
        spec["terminationGracePeriodSeconds"] = json!(1);
        world.create("x", spec).await;
        world.ready("x").await;
        world.restart("x").await;
        let ready = world.ready_at("x", 2).await;
        assert!(ready.status.unwrap().failures.is_none(), "a stop by the operator counts as no failure");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_workspace_has_no_pod_and_starts_with_its_files() {
    on_the_real_node(async |world| {
        world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
        world.ready("x").await;
        inside::run(&world, "x", "echo kept > /workspace/file").await;
        world.change("x", json!({"runState": "Stopped"})).await;
        world.reason("x", ConditionType::Ready, Reason::Stopped).await;
        assert_eq!(world.pod("x").await, None);
        world.change("x", json!({"runState": "Running"})).await;
        world.ready_at("x", 2).await;
        assert_eq!(inside::run(&world, "x", "cat /workspace/file").await, "kept\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retained_volume_is_taken_up_again_with_its_files() {
    on_the_real_node(async |world| {
        let spec = json!({"image": IMAGE, "storage": {"size": "1Gi"}});
        world.create("x", spec.clone()).await;
        world.ready("x").await;
        inside::run(&world, "x", "echo kept > /workspace/file").await;
        let before = claim(&world).await.metadata.uid;
        world.delete("x").await;
        world.gone("x").await;
        world.create("x", spec).await;
        world.ready("x").await;
        assert_eq!(claim(&world).await.metadata.uid, before);
        assert_eq!(inside::run(&world, "x", "cat /workspace/file").await, "kept\n");
    })
    .await;
}

async fn claim(world: &World) -> PersistentVolumeClaim {
    world.api().get("x").await.unwrap()
}

fn many() -> impl Iterator<Item = String> {
    (0..TIMES).map(|n| format!("x{n}"))
}

fn in_its_volume(script: &str) -> Value {
    json!({
        "image": IMAGE,
        "command": ["sh", "-c", script],
        "workingDir": "/workspace",
        "storage": {"size": "1Gi"},
    })
}
