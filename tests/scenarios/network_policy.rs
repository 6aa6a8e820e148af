//! The network policy of a class with `networkPolicy: Managed`: before the Pod, and gone only after it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::{core::v1::Pod, networking::v1::NetworkPolicy};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use test_apiserver::{Fault, Matcher, Verb, failure};
use test_world::{IMAGE, World, is, shown};
use workspace_operator::api::{ConditionType, Reason};

use crate::class::{create_with, delete, own, patch};

scenarios!(
    the_policy_is_stored_before_the_pod_and_owned_by_both,
    the_policy_outlives_a_pod_that_takes_its_time,
    the_policy_says_who_comes_in_and_where_it_may_go,
    a_changed_class_changes_the_policy_beside_the_running_pod,
    an_unmanaged_class_takes_the_policy_away,
    the_policy_of_a_class_stays_until_its_pod_goes,
    a_policy_that_somebody_spoilt_is_put_right,
    somebody_else_s_policy_is_left_alone,
    a_healthy_workspace_with_a_policy_costs_no_write,
);

mod with_faults {
    use super::*;

    scenarios_in_memory!(
        a_policy_that_nobody_owned_yet_is_cleaned_up,
        a_cleaning_up_that_fails_is_done_again,
    );

    async fn a_cleaning_up_that_fails_is_done_again(world: World) {
        let class = managed(&world, json!({})).await;
        let faults = world.operator().unwrap().faults();
        let no_pod = Matcher::kind("Pod").verb(Verb::Create);
        faults.on(no_pod, Fault::Answer(failure::internal("no Pod today")));
        let delete = Matcher::kind("NetworkPolicy").verb(Verb::Delete).times(1);
        let failed = faults.on(delete, Fault::Answer(failure::internal("not now")));
        world.create("x", json!({"className": class, "image": IMAGE})).await;
        world.eventually("the policy is there", || async { policy(&world, "x").await }).await;
        world.delete("x").await;
        world.gone("x").await;
        world.eventually("it is gone", || async { policy(&world, "x").await.is_none().then_some(()) }).await;
        assert_eq!(failed.hits(), 1);
    }

    async fn a_policy_that_nobody_owned_yet_is_cleaned_up(mut world: World) {
        let class = managed(&world, json!({})).await;
        let operator = world.operator().unwrap();
        let never = Matcher::kind("Pod").verb(Verb::Create);
        operator.faults().on(never, Fault::Answer(failure::internal("no Pod today")));
        world.create("x", json!({"className": class, "image": IMAGE})).await;
        world.eventually("the policy is there", || async { policy(&world, "x").await }).await;
        world.kill_operator().await;
        world.delete("x").await;
        world.gone("x").await;
        assert!(policy(&world, "x").await.is_some(), "nobody owned it");
        world.start_operator();
        world.eventually("it is gone", || async { policy(&world, "x").await.is_none().then_some(()) }).await;
    }
}

async fn the_policy_is_stored_before_the_pod_and_owned_by_both(world: World) {
    let class = managed(&world, json!({})).await;
    let workspace = world.create("x", json!({"className": class, "image": IMAGE})).await;
    world.ready("x").await;
    let owned = owned_by_pod(&world, "x").await;
    let owners = owned.metadata.owner_references.unwrap();
    assert_eq!(owners[0].uid, workspace.uid().unwrap());
    let writes: Vec<_> = world.writes().into_iter().filter(|call| call.kind != "Workspace").collect();
    assert_eq!(
        (writes[0].kind.as_str(), writes[1].kind.as_str()),
        ("NetworkPolicy", "Pod"),
        "{}",
        shown(&writes)
    );
    delete(&world, &class).await;
}

async fn the_policy_outlives_a_pod_that_takes_its_time(world: World) {
    let class = managed(&world, json!({})).await;
    let order = Order::watch(&world);
    world.create("x", json!({"className": class, "image": "registry.test/linger:1"})).await;
    world.ready("x").await;
    owned_by_pod(&world, "x").await;
    world.delete("x").await;
    world
        .eventually("the workspace is gone, its Pod is not", || async {
            let pod = world.pod("x").await?;
            let workspace = world.api::<workspace_operator::api::Workspace>().get_opt("x").await.unwrap();
            (workspace.is_none() && pod.metadata.deletion_timestamp.is_some()).then_some(())
        })
        .await;
    assert!(policy(&world, "x").await.is_some(), "the Pod still runs");
    world
        .eventually("the policy goes too", || async { policy(&world, "x").await.is_none().then_some(()) })
        .await;
    let ends = || async { Some(order.of_ends()).filter(|ends| ends.len() == 2) };
    assert_eq!(world.eventually("both ends are told", ends).await, ["Pod", "NetworkPolicy"]);
    delete(&world, &class).await;
}

async fn the_policy_says_who_comes_in_and_where_it_may_go(world: World) {
    let network = json!({
        "peers": [{"matchLabels": {"workspaces.dev/workspace": "gateway"}}],
        "ingressNamespaces": ["ingress-nginx"],
        "privateRanges": ["10.20.0.0/16"],
    });
    let class = managed(&world, network).await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    world.ready("x").await;
    let policy = serde_json::to_value(policy(&world, "x").await.unwrap()).unwrap();
    let spec = &policy["spec"];
    assert_eq!(spec["podSelector"]["matchLabels"], json!({"workspaces.dev/workspace": "x"}));
    let from = spec["ingress"][0]["from"].as_array().unwrap();
    assert_eq!(from[0]["podSelector"]["matchLabels"], json!({"workspaces.dev/workspace": "gateway"}));
    assert_eq!(from[1]["namespaceSelector"]["matchExpressions"][0]["values"], json!(["ingress-nginx"]));
    let blocks: BTreeMap<&str, &Value> = spec["egress"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["ports"].is_null())
        .flat_map(|rule| rule["to"].as_array().unwrap())
        .map(|to| (to["ipBlock"]["cidr"].as_str().unwrap(), &to["ipBlock"]["except"]))
        .collect();
    assert_eq!(blocks.keys().copied().collect::<Vec<_>>(), ["0.0.0.0/0", "10.20.0.0/16", "::/0"]);
    for refused in ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "168.63.129.16/32"] {
        assert!(blocks["0.0.0.0/0"].as_array().unwrap().contains(&json!(refused)), "{refused}");
    }
    delete(&world, &class).await;
}

async fn a_changed_class_changes_the_policy_beside_the_running_pod(world: World) {
    let class = managed(&world, json!({"privateRanges": ["10.20.0.0/16"], "ingressNamespaces": ["a"]})).await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    world.ready("x").await;
    patch(
        &world,
        &class,
        json!({"spec": {"network": {"privateRanges": ["10.30.0.0/16"], "ingressNamespaces": null}}}),
    )
    .await;
    world
        .eventually("the policy follows", || async {
            let spec = serde_json::to_string(&policy(&world, "x").await?.spec).unwrap();
            (spec.contains("10.30.0.0/16") && !spec.contains("10.20.0.0/16") && !spec.contains("ingress\":["))
                .then_some(())
        })
        .await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
    delete(&world, &class).await;
}

async fn an_unmanaged_class_takes_the_policy_away(world: World) {
    let class = managed(&world, json!({})).await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    world.ready("x").await;
    patch(&world, &class, json!({"spec": {"networkPolicy": "Unmanaged", "network": null}})).await;
    world.eventually("it is gone", || async { policy(&world, "x").await.is_none().then_some(()) }).await;
    patch(&world, &class, json!({"spec": {"networkPolicy": "Managed"}})).await;
    owned_by_pod(&world, "x").await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1, "neither restarts anybody");
    delete(&world, &class).await;
}

async fn the_policy_of_a_class_stays_until_its_pod_goes(world: World) {
    let (class, other) = (managed(&world, json!({})).await, own(&world, "other"));
    create_with(&world, &other, json!({"defaults": {"env": [{"name": "A", "value": "1"}]}})).await;
    let strategy = json!({"type": "OnRestart"});
    world.create("x", json!({"className": class, "image": IMAGE, "updateStrategy": strategy})).await;
    world.ready("x").await;
    owned_by_pod(&world, "x").await;
    world.change("x", json!({"className": other})).await;
    world.reason("x", ConditionType::UpToDate, Reason::AwaitingRestart).await;
    world.quiet().await;
    assert!(policy(&world, "x").await.is_some(), "the Pod has what the first class gives");
    world.restart("x").await;
    world.ready_at("x", 2).await;
    world
        .eventually("it goes with its Pod", || async { policy(&world, "x").await.is_none().then_some(()) })
        .await;
    delete(&world, &class).await;
    delete(&world, &other).await;
}

async fn a_policy_that_somebody_spoilt_is_put_right(world: World) {
    let class = managed(&world, json!({})).await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    world.ready("x").await;
    let right = owned_by_pod(&world, "x").await.spec;
    let open = Patch::Merge(json!({"spec": {"ingress": [{}]}}));
    world.api::<NetworkPolicy>().patch("x", &PatchParams::default(), &open).await.unwrap();
    let is_right = || async { (policy(&world, "x").await?.spec == right).then_some(()) };
    world.eventually("it is as it was", is_right).await;
    world.api::<NetworkPolicy>().delete("x", &DeleteParams::default()).await.unwrap();
    owned_by_pod(&world, "x").await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
    delete(&world, &class).await;
}

async fn somebody_else_s_policy_is_left_alone(world: World) {
    let class = managed(&world, json!({})).await;
    let theirs: NetworkPolicy = world
        .apply(json!({"metadata": {"name": "x", "labels": {"workspaces.dev/workspace": "x"}}, "spec": {"podSelector": {}}}))
        .await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    let taken = world.reason("x", ConditionType::Ready, Reason::NameTaken).await;
    assert!(!is(&taken, ConditionType::Ready, "True"), "nothing starts without its policy");
    assert_eq!(world.pods.started("x"), 0);
    assert_eq!(
        policy(&world, "x").await.unwrap().metadata.resource_version,
        theirs.metadata.resource_version
    );
    delete(&world, &class).await;
}

async fn a_healthy_workspace_with_a_policy_costs_no_write(mut world: World) {
    let class = managed(&world, json!({"ingressNamespaces": ["a"], "privateRanges": ["10.20.0.0/16"]})).await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    world.ready("x").await;
    owned_by_pod(&world, "x").await;
    world.quiet().await;
    world.forget_writes();
    world.annotate("x", "example.com/note", Some("nothing of ours")).await;
    world.quiet().await;
    world.stop_operator().await;
    world.start_operator();
    world.quiet().await;
    assert!(world.writes().is_empty(), "{}", shown(&world.writes()));
    world.restart("x").await;
    world.ready_at("x", 2).await;
    owned_by_pod(&world, "x").await;
    let policies: Vec<_> = world.writes().into_iter().filter(|call| call.kind == "NetworkPolicy").collect();
    assert_eq!(policies.len(), 1, "one start, one new owner: {}", shown(&policies));
    delete(&world, &class).await;
}

async fn managed(world: &World, network: Value) -> String {
    let class = own(world, "managed");
    create_with(world, &class, json!({"networkPolicy": "Managed", "network": network})).await;
    class
}

async fn policy(world: &World, name: &str) -> Option<NetworkPolicy> {
    world.api().get_opt(name).await.unwrap()
}

/// The policy, once the workspace's Pod is one of its owners.
async fn owned_by_pod(world: &World, name: &str) -> NetworkPolicy {
    world
        .eventually("the Pod owns the policy", || async {
            let (policy, pod) = (policy(world, name).await?, world.pod(name).await?);
            let owners = policy.metadata.owner_references.as_ref()?;
            let is_owner =
                owners.len() == 2 && owners.iter().any(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref());
            is_owner.then_some(policy)
        })
        .await
}

/// In which order Pods and policies went.
struct Order(Arc<Mutex<Vec<(u64, &'static str)>>>, Vec<tokio::task::AbortHandle>);

impl Drop for Order {
    fn drop(&mut self) {
        self.1.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

impl Order {
    fn watch(world: &World) -> Self {
        let ends = Arc::new(Mutex::new(Vec::new()));
        let pods = tokio::spawn(note(
            watcher(world.api::<Pod>(), watcher::Config::default()),
            "Pod",
            Arc::clone(&ends),
        ));
        let policies = watcher(world.api::<NetworkPolicy>(), watcher::Config::default());
        let policies = tokio::spawn(note(policies, "NetworkPolicy", Arc::clone(&ends)));
        Self(ends, vec![pods.abort_handle(), policies.abort_handle()])
    }

    /// By the version of their ends: two watches tell in no order.
    fn of_ends(&self) -> Vec<&'static str> {
        let mut ends = self.0.lock().unwrap().clone();
        ends.sort_unstable();
        ends.into_iter().map(|(_, kind)| kind).collect()
    }
}

async fn note<K: Resource + Send + 'static>(
    events: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    kind: &'static str,
    ends: Arc<Mutex<Vec<(u64, &'static str)>>>,
) {
    let mut events = std::pin::pin!(events.default_backoff());
    while let Some(event) = events.next().await {
        if let Ok(watcher::Event::Delete(object)) = event {
            let version = object.resource_version().and_then(|version| version.parse().ok()).unwrap();
            ends.lock().unwrap().push((version, kind));
        }
    }
}
