//! What changes without a new Pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_apiserver::{Resizing, failure};
use test_world::{IMAGE, World, condition, shown, told};
use workspace_operator::api::{ConditionType, Reason, Workspace, names};

scenarios!(
    labels_of_ours_that_somebody_takes_away_are_put_back,
    cpu_and_memory_change_without_a_restart,
    a_refused_resize_takes_a_restart,
    a_refused_resize_waits_where_the_strategy_says_so,
    a_refused_resize_taken_back_leaves_nothing_to_do,
    a_changed_limit_takes_along_the_request_it_stands_for,
    taking_a_limit_away_takes_a_restart,
    labels_and_annotations_change_and_go_without_a_restart,
    changed_ports_reach_the_service,
    another_kind_of_address_takes_a_new_service_and_no_restart,
    a_service_that_somebody_deletes_is_made_again,
    without_ports_the_service_goes,
    a_stripped_claim_is_stamped_again_without_a_restart,
    a_stripped_claim_does_not_hide_a_change_that_waits,
);

mod deferred {
    use super::*;

    scenarios_in_memory!(
        a_deferred_resize_takes_a_restart,
        a_deferred_resize_waits_where_the_strategy_says_so
    );
}

async fn cpu_and_memory_change_without_a_restart(world: World) {
    world.create("x", resources(json!({"requests": {"cpu": "100m", "memory": "64Mi"}}))).await;
    world.ready("x").await;
    let old = uid(&world).await;
    world.change("x", json!({"resources": {"requests": {"cpu": "200m", "memory": "128Mi"}}})).await;
    world
        .eventually("the Pod asks for more", || async {
            let requests = live(&world).await["requests"].clone();
            (requests == json!({"cpu": "200m", "memory": "128Mi"})).then_some(())
        })
        .await;
    world.ready("x").await;
    world.quiet().await;
    assert_eq!(uid(&world).await, old);
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_refused_resize_takes_a_restart(world: World) {
    refuse_another_class_of_service(&world);
    world.create("x", resources(json!({"requests": {"cpu": "100m", "memory": "64Mi"}}))).await;
    world.ready("x").await;
    world.change("x", json!({"resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}})).await;
    world.ready_at("x", 2).await;
    assert_eq!(live(&world).await["limits"], json!({"cpu": "100m", "memory": "64Mi"}));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_refused_resize_waits_where_the_strategy_says_so(world: World) {
    refuse_another_class_of_service(&world);
    world.create("x", on_restart(json!({"requests": {"cpu": "100m", "memory": "64Mi"}}))).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    world.change("x", json!({"resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}})).await;
    waits_for_a_restart(&world, "the resize was refused").await;
    let writes = world.writes();
    assert_eq!(writes.len(), 1, "it was never said to be done: {}", shown(&writes));
    world.restart("x").await;
    let restarted = world.ready_at("x", 2).await;
    assert_eq!(told(&restarted, ConditionType::UpToDate), "True/UpToDate");
    assert_eq!(live(&world).await["limits"], json!({"cpu": "100m", "memory": "64Mi"}));
}

async fn a_refused_resize_taken_back_leaves_nothing_to_do(world: World) {
    refuse_another_class_of_service(&world);
    world.create("x", on_restart(json!({"requests": {"cpu": "100m", "memory": "64Mi"}}))).await;
    world.ready("x").await;
    world.change("x", json!({"resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}})).await;
    waits_for_a_restart(&world, "the resize was refused").await;
    world.change("x", json!({"resources": {"limits": null}})).await;
    world.ready("x").await;
    world.quiet().await;
    assert_eq!(told(&world.get("x").await, ConditionType::UpToDate), "True/UpToDate");
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_changed_limit_takes_along_the_request_it_stands_for(world: World) {
    world.create("x", resources(json!({"limits": {"cpu": "100m"}}))).await;
    world.ready("x").await;
    let whole = |amount: &str| json!({"requests": {"cpu": amount}, "limits": {"cpu": amount}});
    assert_eq!(live(&world).await, whole("100m"));
    world.change("x", json!({"resources": {"limits": {"cpu": "200m"}}})).await;
    world
        .eventually("the Pod is as a new one would be", || async {
            (live(&world).await == whole("200m")).then_some(())
        })
        .await;
    world.ready("x").await;
    world.quiet().await;
    assert_eq!((live(&world).await, world.pods.started("x")), (whole("200m"), 1));
}

async fn taking_a_limit_away_takes_a_restart(world: World) {
    let limited = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "200m", "memory": "64Mi"}});
    world.create("x", resources(limited)).await;
    world.ready("x").await;
    world.change("x", json!({"resources": {"limits": {"memory": null}}})).await;
    world.ready_at("x", 2).await;
    assert_eq!(live(&world).await["limits"], json!({"cpu": "200m"}));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_deferred_resize_takes_a_restart(world: World) {
    world.server().unwrap().behave(|cluster| cluster.resizing = Resizing::Deferred);
    world.create("x", resources(json!({"requests": {"cpu": "100m"}}))).await;
    world.ready("x").await;
    world.change("x", json!({"resources": {"requests": {"cpu": "64"}}})).await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    assert_eq!(live(&world).await["requests"]["cpu"], "64");
    assert_eq!(world.pods.started("x"), 2, "the new Pod has what was deferred");
}

async fn a_deferred_resize_waits_where_the_strategy_says_so(world: World) {
    world.server().unwrap().behave(|cluster| cluster.resizing = Resizing::Deferred);
    world.create("x", on_restart(json!({"requests": {"cpu": "100m"}}))).await;
    world.ready("x").await;
    world.change("x", json!({"resources": {"requests": {"cpu": "64"}}})).await;
    waits_for_a_restart(&world, "the node does not resize now").await;
    // The node finds room after all.
    world.server().unwrap().behave(|cluster| cluster.resizing = Resizing::Done);
    let resized = world.ready("x").await;
    assert_eq!(told(&resized, ConditionType::UpToDate), "True/UpToDate");
    assert_eq!(world.pods.started("x"), 1);
}

async fn labels_and_annotations_change_and_go_without_a_restart(world: World) {
    let first = json!({"labels": {"team": "a", "tier": "dev"}, "annotations": {"note": "first"}});
    world.create("x", json!({"image": IMAGE, "podTemplate": {"metadata": first}})).await;
    world.ready("x").await;
    let old = uid(&world).await;
    let theirs = json!({"metadata": {"labels": {"theirs": "1"}, "annotations": {"theirs": "1"}}});
    world.api::<Pod>().patch("x", &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();

    let second = json!({"labels": {"team": "b", "tier": null}, "annotations": {"note": null, "other": "2"}});
    world.change("x", json!({"podTemplate": {"metadata": second}})).await;
    world
        .eventually("labels and annotations follow", || async {
            let pod = world.pod("x").await.unwrap();
            let has = |map: &BTreeMap<String, String>, key: &str| map.get(key).cloned();
            let labels = ["team", "tier", "theirs"].map(|key| has(pod.labels(), key));
            let annotations = ["note", "other", "theirs"].map(|key| has(pod.annotations(), key));
            let some = |value: &str| Some(value.to_owned());
            (labels == [some("b"), None, some("1")] && annotations == [None, some("2"), some("1")])
                .then_some(())
        })
        .await;
    world.ready("x").await;
    world.quiet().await;
    let pod = world.pod("x").await.unwrap();
    assert_eq!(pod.labels().get(names::WORKSPACE).map(String::as_str), Some("x"));
    assert_eq!(pod.uid().unwrap(), old);
    assert_eq!(world.pods.started("x"), 1);
}

async fn changed_ports_reach_the_service(world: World) {
    world.create("x", json!({"image": IMAGE, "ports": [{"containerPort": 80}]})).await;
    world.ready("x").await;
    let old = service(&world).await.unwrap();
    world.change("x", json!({"ports": [{"containerPort": 81, "name": "web"}]})).await;
    world.ready_at("x", 2).await;
    let new = service(&world).await.unwrap();
    assert_eq!(new.uid(), old.uid(), "it keeps its address");
    let ports: Vec<_> =
        new.spec.unwrap().ports.unwrap().into_iter().map(|port| (port.name, port.port)).collect();
    assert_eq!(ports, [(Some("web".to_owned()), 81)]);
}

async fn another_kind_of_address_takes_a_new_service_and_no_restart(world: World) {
    world.create("x", json!({"image": IMAGE, "ports": [{"containerPort": 80}]})).await;
    world.ready("x").await;
    for (kind, is_headless) in [("ClusterIP", false), ("Headless", true)] {
        let old = service(&world).await.unwrap().uid();
        world.change("x", json!({"service": {"type": kind}})).await;
        let address = world
            .eventually("a new Service", || async {
                let new = service(&world).await.filter(|service| service.uid() != old)?;
                Some(new.spec?.cluster_ip)
            })
            .await;
        assert_eq!(address.as_deref() == Some("None"), is_headless, "{kind}: {address:?}");
    }
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_service_that_somebody_deletes_is_made_again(world: World) {
    world.create("x", json!({"image": IMAGE, "ports": [{"containerPort": 80}]})).await;
    world.ready("x").await;
    let old = service(&world).await.unwrap().uid();
    world.api::<Service>().delete("x", &DeleteParams::default()).await.unwrap();
    world
        .eventually("a new Service", || async {
            service(&world).await.filter(|service| service.uid() != old)
        })
        .await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
}

async fn without_ports_the_service_goes(world: World) {
    world.create("x", json!({"image": IMAGE, "ports": [{"containerPort": 80}]})).await;
    world.ready("x").await;
    let ready = world.change("x", json!({"ports": []})).await;
    assert!(ready.status.unwrap().address.is_some());
    let ready = world.ready_at("x", 2).await;
    assert_eq!(ready.status.unwrap().address, None);
    world.eventually("the Service is gone", || async { service(&world).await.is_none().then_some(()) }).await;
}

async fn a_stripped_claim_is_stamped_again_without_a_restart(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let stamp = world.pod("x").await.unwrap().annotations()[names::CLAIM].clone();
    strip_claim(&world).await;
    world
        .eventually("the claim is stamped again", || async {
            let pod = world.pod("x").await.unwrap();
            (pod.annotations().get(names::CLAIM) == Some(&stamp)).then_some(())
        })
        .await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_stripped_claim_does_not_hide_a_change_that_waits(world: World) {
    world.create("x", on_restart(json!({}))).await;
    world.ready("x").await;
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    waits_for_a_restart(&world, "env").await;
    strip_claim(&world).await;
    world.quiet().await;
    assert_eq!(told(&world.get("x").await, ConditionType::UpToDate), "False/AwaitingRestart");
    world.restart("x").await;
    world.ready_at("x", 2).await;
    assert_eq!(world.pods.started("x"), 2);
}

fn resources(resources: Value) -> Value {
    json!({"image": IMAGE, "resources": resources})
}

fn on_restart(resources: Value) -> Value {
    json!({"image": IMAGE, "resources": resources, "updateStrategy": {"type": "OnRestart"}})
}

/// As a real API server has it: a resize can't make a Pod guaranteed.
fn refuse_another_class_of_service(world: &World) {
    let Some(server) = world.server() else { return };
    server.refuse(|write| {
        let limits = |pod: &Value| pod["spec"]["containers"][0]["resources"]["limits"].clone();
        let is_other = write.subresource == Some("resize")
            && write.old.is_some_and(|old| limits(old).is_null() && !limits(write.object).is_null());
        let why = "Pod \"x\" is invalid: spec: Invalid value: \"Guaranteed\": Pod QOS Class may not change as a result of resizing";
        is_other.then(|| failure::failure(422, "Invalid", why))
    });
}

/// The change is said to wait, for this reason, and the old Pod serves.
async fn waits_for_a_restart(world: &World, why: &str) {
    let old = uid(world).await;
    let waiting = world.reason("x", ConditionType::UpToDate, Reason::AwaitingRestart).await;
    let (.., message) = condition(&waiting, ConditionType::UpToDate).unwrap();
    assert!(message.contains(why), "{message}");
    assert_eq!(told(&waiting, ConditionType::Ready), "True/Running");
    assert_eq!(told(&waiting, ConditionType::Reconciling), "False/Settled");
    assert_eq!(told(&waiting, ConditionType::Stalled), "False/Settled");
    world.quiet().await;
    assert_eq!(uid(world).await, old);
}

async fn strip_claim(world: &World) {
    let bare = Patch::Merge(json!({"metadata": {"annotations": {names::CLAIM: null}}}));
    world.api::<Pod>().patch("x", &PatchParams::default(), &bare).await.unwrap();
}

async fn uid(world: &World) -> String {
    world.pod("x").await.unwrap().uid().unwrap()
}

/// The resources of the running Pod's container.
async fn live(world: &World) -> Value {
    let pod = world.pod("x").await.unwrap();
    json!(pod.spec.unwrap().containers[0].resources)
}

async fn service(world: &World) -> Option<Service> {
    world.api().get_opt("x").await.unwrap()
}

/// Without its labels neither the operator's watch nor the Service has the Pod.
async fn labels_of_ours_that_somebody_takes_away_are_put_back(world: World) {
    world.create("x", json!({"image": IMAGE, "ports": [{"containerPort": 80}]})).await;
    let before = world.ready("x").await;
    let taken =
        Patch::Merge(json!({"metadata": {"labels": {names::WORKSPACE: null, names::INCARNATION: null}}}));
    let pod: Pod = world.api().patch("x", &PatchParams::default(), &taken).await.unwrap();
    assert!(!pod.labels().contains_key(names::WORKSPACE));
    world
        .eventually("the labels are back", || async {
            let pod = world.pod("x").await.unwrap();
            let labels = pod.labels();
            (labels.contains_key(names::WORKSPACE) && labels.contains_key(names::INCARNATION)).then_some(())
        })
        .await;
    world.quiet().await;
    let uid = |workspace: Workspace| workspace.status.unwrap().incarnation.unwrap().pod_uid;
    assert_eq!(uid(world.get("x").await), uid(before), "put back without a restart");
}
