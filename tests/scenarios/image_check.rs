//! A serving Pod is stopped for a new image only when the image can be had.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    Resource, ResourceExt,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use test_world::{IMAGE, World, condition, is, shown, starts, told};
use tokio::sync::watch;
use workspace_operator::api::{ConditionType, Reason, names};

scenarios!(
    a_pod_of_somebody_else_with_the_label_of_a_probe_is_left_alone,
    a_missing_image_leaves_the_old_pod_serving,
    a_missing_image_is_asked_for_again_without_flapping,
    a_declined_restart_is_served_with_the_corrected_image,
    a_restart_of_the_same_image_looks_for_nothing,
    pull_policy_always_looks_for_the_same_image_too,
    a_probe_is_the_new_pod_without_what_it_holds,
    no_clear_answer_in_time_goes_on_and_says_so,
    an_answer_is_good_for_the_next_change_to_the_same_image,
    a_pod_that_does_not_serve_is_replaced_without_a_look,
    on_restart_a_changed_input_waits_for_the_next_restart,
    a_question_of_an_operator_that_died_is_not_left_behind,
);

const OTHER: &str = "registry.test/other:1";
const MISSING: &str = "registry.test/missing:1";

async fn a_missing_image_leaves_the_old_pod_serving(world: World) {
    world.create("x", json!({"image": IMAGE, "progressDeadlineSeconds": 4})).await;
    world.ready("x").await;
    let old = world.pod("x").await.unwrap().uid();
    world.change("x", json!({"image": MISSING})).await;
    let declined = world.reason("x", ConditionType::UpToDate, Reason::RestartDeclined).await;
    assert_eq!(told(&declined, ConditionType::UpToDate), "False/RestartDeclined");
    assert_eq!(told(&declined, ConditionType::Ready), "True/Running");
    assert_eq!(told(&declined, ConditionType::Reconciling), "True/Progressing");
    let (.., message) = condition(&declined, ConditionType::UpToDate).unwrap();
    assert!(message.contains("image") && message.contains(MISSING), "{message}");

    let stalled = world.reason("x", ConditionType::Stalled, Reason::DeadlineExceeded).await;
    assert_eq!(told(&stalled, ConditionType::Ready), "True/Running");
    assert_eq!(told(&stalled, ConditionType::Reconciling), "False/DeadlineExceeded");
    assert_eq!(told(&stalled, ConditionType::UpToDate), "False/RestartDeclined");
    assert_eq!(world.pod("x").await.unwrap().uid(), old);
    assert_eq!(world.pods.started("x"), 1);

    world.change("x", json!({"image": OTHER})).await;
    let healed = world.ready_at("x", 2).await;
    assert_eq!(told(&healed, ConditionType::UpToDate), "True/UpToDate");
    assert_eq!(told(&healed, ConditionType::Stalled), "False/Settled");
}

async fn a_missing_image_is_asked_for_again_without_flapping(world: World) {
    let probes = Probes::watch(&world).await;
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.change("x", json!({"image": MISSING})).await;
    world.reason("x", ConditionType::UpToDate, Reason::RestartDeclined).await;
    world.quiet().await;
    world.forget_writes();
    world.eventually("it is asked for again", || async { (probes.all().len() == 2).then_some(()) }).await;
    no_probe_is_left(&world).await;
    world.quiet().await;
    // The probes' own removal is no write that counts, but the record of their making is forgotten.
    let writes: Vec<_> = world.writes().into_iter().filter(|call| call.kind != "Pod").collect();
    assert!(writes.is_empty(), "{}", shown(&writes));
    assert_eq!(told(&world.get("x").await, ConditionType::UpToDate), "False/RestartDeclined");
}

async fn a_declined_restart_is_served_with_the_corrected_image(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.change("x", json!({"image": MISSING})).await;
    world.reason("x", ConditionType::UpToDate, Reason::RestartDeclined).await;
    let asked = world.restart("x").await;
    let accepted = world
        .until("x", "asked to restart", |x| {
            x.status.as_ref().unwrap().requested_restart_at.map(|time| time.0) == Some(asked)
        })
        .await;
    assert_eq!(starts(&accepted), 1);
    assert!(is(&accepted, ConditionType::Ready, "True"));
    world.annotate("x", names::RESTARTED_AT, None).await;
    world.change("x", json!({"image": OTHER})).await;
    let served = world.ready_at("x", 2).await;
    assert_eq!(served.status.unwrap().last_handled_restart_at.map(|time| time.0), Some(asked));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2, "one start serves both: {}", shown(&world.pods.of("x")));
}

async fn a_restart_of_the_same_image_looks_for_nothing(world: World) {
    let probes = Probes::watch(&world).await;
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.restart("x").await;
    world.ready_at("x", 2).await;
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    world.ready_at("x", 3).await;
    assert_eq!(probes.images(), Vec::<String>::new());
}

async fn pull_policy_always_looks_for_the_same_image_too(world: World) {
    let probes = Probes::watch(&world).await;
    world.create("x", json!({"image": IMAGE, "imagePullPolicy": "Always"})).await;
    world.ready("x").await;
    world.restart("x").await;
    world.ready_at("x", 2).await;
    assert_eq!(probes.images(), [IMAGE]);
}

async fn a_probe_is_the_new_pod_without_what_it_holds(world: World) {
    let probes = Probes::watch(&world).await;
    let security = json!({"runAsNonRoot": true, "runAsUser": 1000, "allowPrivilegeEscalation": false});
    let spec = json!({
        "image": IMAGE,
        "imagePullPolicy": "Always",
        "imagePullSecrets": [{"name": "registry"}],
        "securityContext": security,
        "storage": {"size": "1Gi"},
        "ports": [{"containerPort": 80}],
    });
    let workspace = world.create("x", spec).await;
    world.ready("x").await;
    let old = world.pod("x").await.unwrap();
    world.change("x", json!({"image": OTHER})).await;
    world.ready_at("x", 2).await;
    assert_eq!(probes.images(), [OTHER]);

    let probe = probes.all().remove(0);
    assert_eq!(probe.owner_references()[0].uid, workspace.uid().unwrap());
    assert_eq!(probe.labels().get(names::PROBE_FOR).map(String::as_str), Some("x"));
    assert!(!probe.labels().contains_key(names::WORKSPACE), "it could be taken for the workspace's own");
    assert_ne!(probe.name_any(), "x");
    let (probe, old) = (probe.spec.unwrap(), old.spec.unwrap());
    assert_eq!(probe.node_name, old.node_name);
    assert_eq!(probe.volumes.unwrap_or_default(), []);
    assert_eq!(probe.automount_service_account_token, Some(false));
    assert_eq!(probe.image_pull_secrets, old.image_pull_secrets);
    let (probe, old) = (&probe.containers[0], &old.containers[0]);
    assert_eq!(probe.image_pull_policy.as_deref(), Some("Always"));
    assert_eq!(probe.security_context, old.security_context);
    assert_eq!(probe.ports.clone().unwrap_or_default(), []);
    assert_eq!(probe.volume_mounts.clone().unwrap_or_default(), []);
    no_probe_is_left(&world).await;
}

async fn no_clear_answer_in_time_goes_on_and_says_so(mut world: World) {
    world.stop_operator().await;
    world.settings.image_check_timeout = Duration::from_secs(1);
    world.start_operator();
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.change("x", json!({"image": "registry.test/late:1"})).await;
    let looking = world.reason("x", ConditionType::UpToDate, Reason::CheckingImage).await;
    assert_eq!(told(&looking, ConditionType::Ready), "True/Running");
    world.until("x", "started with the new image", |x| starts(x) == 2).await;
    world
        .eventually("an event tells what could not be found out", || async {
            let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
            events.items.into_iter().find(|event| {
                event.reason.as_deref() == Some("Stopping")
                    && event
                        .note
                        .as_ref()
                        .is_some_and(|note| note.contains("no clear answer about the image"))
            })
        })
        .await;
    no_probe_is_left(&world).await;
}

async fn an_answer_is_good_for_the_next_change_to_the_same_image(world: World) {
    let probes = Probes::watch(&world).await;
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    for (number, image) in [(2, OTHER), (3, IMAGE), (4, OTHER), (5, IMAGE)] {
        world.change("x", json!({"image": image})).await;
        world.ready_at("x", number).await;
    }
    assert_eq!(probes.images(), [OTHER, IMAGE]);
}

async fn a_pod_that_does_not_serve_is_replaced_without_a_look(world: World) {
    let probes = Probes::watch(&world).await;
    world.create("x", json!({"image": "registry.test/hang:1"})).await;
    world.reason("x", ConditionType::Ready, Reason::AwaitingReadiness).await;
    world.eventually("the Pod is there", || world.pod("x")).await;
    world.change("x", json!({"image": MISSING})).await;
    let replaced = world.reason("x", ConditionType::Ready, Reason::ImagePullBackOff).await;
    assert_eq!(starts(&replaced), 2);
    assert_eq!(probes.images(), Vec::<String>::new());
}

async fn on_restart_a_changed_input_waits_for_the_next_restart(world: World) {
    world.create("x", json!({"image": IMAGE, "updateStrategy": {"type": "OnRestart"}})).await;
    world.ready("x").await;
    let old = world.pod("x").await.unwrap().uid();
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    let waiting = world.reason("x", ConditionType::UpToDate, Reason::AwaitingRestart).await;
    world.quiet().await;
    assert_eq!(told(&waiting, ConditionType::Ready), "True/Running");
    assert_eq!(told(&waiting, ConditionType::Reconciling), "False/Settled");
    assert_eq!(told(&waiting, ConditionType::Stalled), "False/Settled");
    let (.., message) = condition(&waiting, ConditionType::UpToDate).unwrap();
    assert!(message.contains("env"), "{message}");
    assert_eq!(world.pod("x").await.unwrap().uid(), old);

    world.restart("x").await;
    let restarted = world.ready_at("x", 2).await;
    assert_eq!(told(&restarted, ConditionType::UpToDate), "True/UpToDate");
    let env = world.pod("x").await.unwrap().spec.unwrap().containers[0].env.clone().unwrap();
    assert_eq!(env[0].name, "A");
}

async fn no_probe_is_left(world: &World) {
    world
        .eventually("every probe is gone", || async {
            let labelled = ListParams::default().labels(names::PROBE_FOR);
            world.api::<Pod>().list(&labelled).await.unwrap().items.is_empty().then_some(())
        })
        .await;
}

/// Every Pod that ever looked for an image, as it was when it was last seen.
struct Probes(Arc<Mutex<BTreeMap<(usize, String), Pod>>>);

impl Probes {
    /// Watches from now on.
    async fn watch(world: &World) -> Self {
        let seen = Arc::new(Mutex::new(BTreeMap::<(usize, String), Pod>::new()));
        let (began, mut begun) = watch::channel(false);
        let (api, probes) = (world.api::<Pod>(), Arc::clone(&seen));
        tokio::spawn(async move {
            let config = watcher::Config::default().labels(names::PROBE_FOR);
            let mut events = watcher(api, config).default_backoff().boxed();
            while let Some(event) = events.next().await {
                match event {
                    Ok(
                        watcher::Event::Apply(pod)
                        | watcher::Event::InitApply(pod)
                        | watcher::Event::Delete(pod),
                    ) => {
                        let mut probes = probes.lock().unwrap();
                        let uid = pod.uid().unwrap();
                        let known = probes.keys().find(|(_, known)| *known == uid).cloned();
                        let key = known.unwrap_or((probes.len(), uid));
                        probes.insert(key, pod);
                    }
                    Ok(watcher::Event::InitDone) => {
                        began.send_replace(true);
                    }
                    Ok(watcher::Event::Init) | Err(_) => {}
                }
            }
        });
        begun.wait_for(|begun| *begun).await.unwrap();
        Self(seen)
    }

    fn all(&self) -> Vec<Pod> {
        self.0.lock().unwrap().values().cloned().collect()
    }

    /// The images that were looked for, in order.
    fn images(&self) -> Vec<String> {
        self.all()
            .iter()
            .map(|probe| probe.spec.as_ref().unwrap().containers[0].image.clone().unwrap())
            .collect()
    }
}

/// A label proves nothing: only what this workspace owns is removed.
async fn a_pod_of_somebody_else_with_the_label_of_a_probe_is_left_alone(world: World) {
    let foreign = json!({
        "metadata": {"name": "theirs", "labels": {names::PROBE_FOR: "x"}},
        "spec": {"containers": [{"name": "main", "image": IMAGE}]},
    });
    let theirs: Pod = world.apply(foreign).await;
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.change("x", json!({"image": "registry.test/busybox:2"})).await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    assert_eq!(world.pod("theirs").await.and_then(|pod| pod.metadata.uid), theirs.metadata.uid);
}

/// Its write arrives when its successor has come to rest, and nothing else happens.
async fn a_question_of_an_operator_that_died_is_not_left_behind(mut world: World) {
    world.stop_operator().await;
    // Longer than a second, to which the API server cuts the time when the Pod was made.
    world.settings.image_check_timeout = Duration::from_secs(2);
    world.start_operator();
    world.create("x", json!({"image": IMAGE})).await;
    let ready = world.ready("x").await;
    world.quiet().await;
    let late = json!({
        "metadata": {
            "name": "x-image-late",
            "labels": {names::PROBE_FOR: "x"},
            "annotations": {names::QUESTION: "another"},
            "ownerReferences": [ready.controller_owner_ref(&()).unwrap()],
        },
        "spec": {"containers": [{"name": "main", "image": IMAGE}]},
    });
    world.apply::<Pod>(late).await;
    no_probe_is_left(&world).await;
}
