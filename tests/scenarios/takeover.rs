//! Lost and stale status, two operators, an operator killed at any step.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use test_apiserver::{Fault, Matcher};
use test_world::{IMAGE, World, is, starts};
use workspace_operator::api::{Workspace, names};

scenarios!(a_lost_status_is_rebuilt_from_the_pod, two_operators_at_once_start_no_more_than_one);

async fn a_lost_status_is_rebuilt_from_the_pod(mut world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.restart("x").await;
    let before = world.ready_at("x", 2).await.status.unwrap();
    world.stop_operator().await;
    let lost = json!({"status": {
        "conditions": null, "incarnation": null, "observedGeneration": null,
        "requestedRestartAt": null, "lastHandledRestartAt": null, "lastStop": null, "failures": null,
    }});
    let api = world.api::<Workspace>();
    api.patch_status("x", &PatchParams::default(), &Patch::Merge(lost)).await.unwrap();
    world.start_operator();
    let after = world.ready("x").await.status.unwrap();
    world.quiet().await;
    assert_eq!(after.last_handled_restart_at, before.last_handled_restart_at);
    let (after, before) = (after.incarnation.unwrap(), before.incarnation.unwrap());
    assert_eq!(
        (after.number, after.pod_uid, after.inputs_hash),
        (before.number, before.pod_uid, before.inputs_hash)
    );
    assert_eq!(world.pods.started("x"), 2, "a lost status restarted a workspace");
}

async fn two_operators_at_once_start_no_more_than_one(world: World) {
    let another = world.start_another_operator();
    for round in 0..5 {
        world.create(&format!("x{round}"), json!({"image": IMAGE, "ports": [{"containerPort": 80}]})).await;
    }
    for round in 0..5 {
        let name = format!("x{round}");
        world.ready(&name).await;
        world.restart(&name).await;
    }
    for round in 0..5 {
        let name = format!("x{round}");
        world.ready(&name).await;
        assert_eq!(starts(&world.get(&name).await), 2, "{name}");
        assert_eq!(world.pods.started(&name), 2, "{name}");
    }
    another.abort();
}

/// What a user does, and what must be so at the end, whatever happened to the operator in between.
#[derive(Clone, Copy, Debug)]
enum Story {
    Create,
    Restart,
    NewImage,
    Stop,
    Delete,
}

const STORIES: [Story; 5] = [Story::Create, Story::Restart, Story::NewImage, Story::Stop, Story::Delete];

impl Story {
    async fn prepare(self, world: &World) {
        if !matches!(self, Self::Create) {
            world.create("x", spec()).await;
            world.ready("x").await;
            world.quiet().await;
        }
    }

    async fn act(self, world: &World) {
        match self {
            Self::Create => drop(world.create("x", spec()).await),
            Self::Restart => drop(world.restart("x").await),
            Self::NewImage => drop(world.change("x", json!({"image": "registry.test/busybox:2"})).await),
            Self::Stop => drop(world.change("x", json!({"runState": "Stopped"})).await),
            Self::Delete => world.delete("x").await,
        }
    }

    /// The Pods there were in the end, and the workspace is as wanted.
    async fn check(self, world: &World) {
        let pods = match self {
            Self::Create => {
                world.ready("x").await;
                1
            }
            Self::Restart | Self::NewImage => {
                world.ready_at("x", 2).await;
                world.ready("x").await;
                2
            }
            Self::Stop => {
                let stopped = |workspace: &Workspace| is(workspace, names_of("Suspended"), "True");
                world.until("x", "stopped", stopped).await;
                1
            }
            Self::Delete => {
                world.gone("x").await;
                1
            }
        };
        world.quiet().await;
        assert_eq!(world.pods.started("x"), pods, "{self:?}: {:?}", world.pods.of("x"));
        if !matches!(self, Self::Delete) {
            let status = world.get("x").await.status.unwrap();
            assert_eq!(status.failures, None, "{self:?} was taken for a failure");
        }
    }
}

fn names_of(type_: &str) -> workspace_operator::api::ConditionType {
    workspace_operator::api::ConditionType::parse(type_).unwrap()
}

fn spec() -> serde_json::Value {
    json!({"image": IMAGE, "ports": [{"containerPort": 80}], "storage": {"size": "1Gi"}})
}

/// Kills the operator at its `k`-th write, before or after it took effect. False if there was no such write.
async fn kill_at(story: Story, k: usize, fault: Fault) -> bool {
    let mut world = World::in_memory().await;
    story.prepare(&world).await;
    let is_counted = |request: &test_apiserver::recorder::Request| {
        request.verb.is_write()
            && !request.dry_run
            && request.kind != "Event"
            && request.name.as_deref() != Some(names::HASH_KEY_SECRET)
    };
    let rule =
        world.operator().unwrap().faults().on(Matcher::any().when(is_counted).after(k).times(1), fault);
    story.act(&world).await;
    let struck = tokio::select! {
        () = story.check(&world) => false,
        () = async { while rule.hits() == 0 { tokio::time::sleep(std::time::Duration::from_millis(5)).await } } => true,
    };
    if struck {
        world.kill_operator().await;
        rule.remove();
        world.start_operator();
        story.check(&world).await;
    }
    struck
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_before_or_after_any_write_comes_to_the_same_end() {
    // All at once: each mostly waits for its own operator to come to rest.
    let runs = STORIES.into_iter().flat_map(|story| {
        [Fault::Silence, Fault::DoThenSilence].map(|fault| async move {
            let mut writes = 0;
            while kill_at(story, writes, fault.clone()).await {
                writes += 1;
                assert!(writes < 30, "{story:?} does not end");
            }
            // Deleting is the garbage collector's work.
            assert!(writes > 0 || matches!(story, Story::Delete), "{story:?} wrote nothing");
        })
    });
    futures::future::join_all(runs).await;
}
