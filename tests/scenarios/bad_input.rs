//! What a user can get wrong: a clear answer each, and no harm to anything else.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{LimitRange, Namespace, PersistentVolumeClaim, Pod, ResourceQuota, Service};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use test_apiserver::{Verb, failure};
use test_world::{IMAGE, World, condition, is, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason};

scenarios!(
    without_an_image_from_anybody_the_spec_is_invalid,
    a_pod_refused_at_first_start_is_stalled_and_heals_when_corrected,
    a_pod_refused_by_policy_heals_when_the_policy_goes,
    a_start_refused_for_what_is_no_input_is_tried_again_at_once_when_corrected,
    a_refused_change_leaves_the_old_pod_serving,
    a_refused_label_leaves_the_old_pod_serving,
    a_full_namespace_holds_a_start_until_there_is_room,
    in_a_full_namespace_only_a_bigger_pod_declines_a_restart,
    a_limit_range_refusal_is_found_by_the_dry_run,
    what_belongs_to_somebody_else_is_never_touched,
    the_trouble_of_one_never_delays_another,
);

mod deep {
    use super::*;

    scenarios_on_a_real_api_server!(an_overlay_of_any_depth_harms_nobody);
}

mod unreadable {
    use super::*;

    scenarios_in_memory!(an_object_that_cannot_be_read_is_told_so_and_harms_nobody);
}

async fn without_an_image_from_anybody_the_spec_is_invalid(world: World) {
    world.create("x", json!({"command": ["sleep"]})).await;
    let invalid = world.reason("x", ConditionType::Accepted, Reason::InvalidSpec).await;
    let (status, _, message) = condition(&invalid, ConditionType::Accepted).unwrap();
    assert_eq!(status, "False");
    assert!(message.contains("spec.image"), "{message}");
    assert_eq!(told(&invalid, ConditionType::Ready), "False/InvalidSpec");
    assert_eq!(told(&invalid, ConditionType::Stalled), "True/InvalidSpec");
    assert_eq!(starts(&invalid), 0);
    world.change("x", json!({"image": IMAGE})).await;
    let healed = world.ready("x").await;
    assert_eq!(told(&healed, ConditionType::Stalled), "False/Settled");

    world.change("x", json!({"image": null})).await;
    let serving = world.reason("x", ConditionType::Accepted, Reason::InvalidSpec).await;
    assert_eq!(told(&serving, ConditionType::Ready), "True/Running");
    assert_eq!(told(&serving, ConditionType::UpToDate), "False/InvalidSpec");
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_pod_refused_at_first_start_is_stalled_and_heals_when_corrected(world: World) {
    refuse_bad_pods(&world);
    world.create("x", json!({"image": IMAGE, "env": [{"name": "A=B", "value": "1"}]})).await;
    let refused = world.reason("x", ConditionType::Ready, Reason::PodRefused).await;
    let (.., message) = condition(&refused, ConditionType::Ready).unwrap();
    assert!(message.contains("A=B"), "the API server's own words: {message}");
    assert_eq!(told(&refused, ConditionType::Stalled), "True/PodRefused");
    assert_eq!(told(&refused, ConditionType::Reconciling), "False/PodRefused");
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    let healed = world.ready("x").await;
    assert_eq!(told(&healed, ConditionType::Stalled), "False/Settled");
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_pod_refused_by_policy_heals_when_the_policy_goes(world: World) {
    enforce(&world, true).await;
    world.create("x", json!({"image": IMAGE})).await;
    let refused = world.reason("x", ConditionType::Ready, Reason::PodRefused).await;
    let (.., message) = condition(&refused, ConditionType::Ready).unwrap();
    assert!(message.contains("violates PodSecurity"), "{message}");
    assert_eq!(told(&refused, ConditionType::Stalled), "True/PodRefused");
    enforce(&world, false).await;
    let healed = world.ready("x").await;
    assert_eq!((starts(&healed), world.pods.started("x")), (1, 1), "a refused create keeps its claim");
}

async fn a_start_refused_for_what_is_no_input_is_tried_again_at_once_when_corrected(world: World) {
    refuse_bad_pods(&world);
    world
        .create("x", json!({"image": IMAGE, "podTemplate": {"metadata": {"labels": {"team": "no label!"}}}}))
        .await;
    world.reason("x", ConditionType::Stalled, Reason::PodRefused).await;
    world.change("x", json!({"podTemplate": {"metadata": {"labels": {"team": "a"}}}})).await;
    // A back-off would be longer than the rest this waits for.
    world.quiet().await;
    let healed = world.get("x").await;
    assert_eq!((starts(&healed), told(&healed, ConditionType::Ready).as_str()), (1, "True/Running"));
}

async fn a_refused_change_leaves_the_old_pod_serving(world: World) {
    refuse_bad_pods(&world);
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.change("x", json!({"env": [{"name": "A=B", "value": "1"}]})).await;
    let declined = world.reason("x", ConditionType::UpToDate, Reason::PodRefused).await;
    let (.., message) = condition(&declined, ConditionType::UpToDate).unwrap();
    assert!(message.contains("A=B"), "{message}");
    assert_eq!(told(&declined, ConditionType::Ready), "True/Running");
    assert_eq!(told(&declined, ConditionType::Stalled), "True/PodRefused");
    assert_eq!(world.pods.started("x"), 1);
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    let healed = world.ready_at("x", 2).await;
    assert_eq!(told(&healed, ConditionType::Stalled), "False/Settled");
}

async fn a_refused_label_leaves_the_old_pod_serving(world: World) {
    refuse_bad_pods(&world);
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.change("x", json!({"podTemplate": {"metadata": {"labels": {"team": "no label!"}}}})).await;
    let declined = world.reason("x", ConditionType::UpToDate, Reason::PodRefused).await;
    let (.., message) = condition(&declined, ConditionType::UpToDate).unwrap();
    assert!(message.contains("no label!"), "{message}");
    assert_eq!(told(&declined, ConditionType::Ready), "True/Running");
    assert_eq!(told(&declined, ConditionType::Stalled), "True/PodRefused");
    world.change("x", json!({"podTemplate": {"metadata": {"labels": {"team": "a"}}}})).await;
    let healed = world.ready("x").await;
    assert_eq!(told(&healed, ConditionType::Stalled), "False/Settled");
    assert_eq!(world.pod("x").await.unwrap().labels()["team"], "a");
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_full_namespace_holds_a_start_until_there_is_room(world: World) {
    limit(&world, "1", "10").await;
    world.create("first", sized("100m")).await;
    world.ready("first").await;
    world.create("x", sized("100m")).await;
    let full = world.reason("x", ConditionType::Ready, Reason::QuotaExceeded).await;
    let (.., message) = condition(&full, ConditionType::Ready).unwrap();
    assert!(message.contains("exceeded quota"), "{message}");
    assert_eq!(told(&full, ConditionType::Reconciling), "True/Progressing");
    world.delete("first").await;
    world.gone("first").await;
    let healed = world.ready("x").await;
    assert_eq!((starts(&healed), world.pods.started("x")), (1, 1));
}

async fn in_a_full_namespace_only_a_bigger_pod_declines_a_restart(world: World) {
    limit(&world, "1", "100m").await;
    world.create("x", sized("100m")).await;
    world.ready("x").await;
    world.restart("x").await;
    world.ready_at("x", 2).await;

    world.change("x", sized("200m")).await;
    let declined = world.reason("x", ConditionType::UpToDate, Reason::QuotaExceeded).await;
    assert_eq!(told(&declined, ConditionType::Ready), "True/Running");
    assert_eq!(told(&declined, ConditionType::Reconciling), "True/Progressing");
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
    world.change("x", sized("50m")).await;
    let smaller = world.ready("x").await;
    assert!(starts(&smaller) >= 2);
}

async fn a_limit_range_refusal_is_found_by_the_dry_run(world: World) {
    let memory = |limit: &str| json!({"image": IMAGE, "resources": {"limits": {"memory": limit}}});
    world.create("x", memory("64Mi")).await;
    world.ready("x").await;
    limit_memory(&world).await;
    world.change("x", memory("256Mi")).await;
    let declined = world.reason("x", ConditionType::UpToDate, Reason::PodRefused).await;
    let (.., message) = condition(&declined, ConditionType::UpToDate).unwrap();
    assert!(message.contains("maximum memory usage per Container is 128Mi"), "{message}");
    assert_eq!(told(&declined, ConditionType::Ready), "True/Running");
    assert_eq!(told(&declined, ConditionType::Stalled), "True/PodRefused");
    world.change("x", memory("128Mi")).await;
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 1, "what is allowed is resized in place");
}

async fn what_belongs_to_somebody_else_is_never_touched(world: World) {
    let spec = json!({"image": IMAGE, "ports": [{"containerPort": 80}], "storage": {"size": "1Gi"}});
    let metadata = |name: &str| json!({"name": name, "labels": {"app": "theirs"}});
    let pod: Pod = world
        .apply(json!({"metadata": metadata("pod"), "spec": {"containers": [{"name": "theirs", "image": IMAGE}]}}))
        .await;
    let service: Service =
        world.apply(json!({"metadata": metadata("service"), "spec": {"ports": [{"port": 80}]}})).await;
    let resources = json!({"requests": {"storage": "1Gi"}});
    let claim: PersistentVolumeClaim = world
        .apply(json!({"metadata": metadata("claim"), "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}))
        .await;
    for (name, kind) in [("pod", "Pod"), ("service", "Service"), ("claim", "PersistentVolumeClaim")] {
        world.create(name, spec.clone()).await;
        let taken = world.reason(name, ConditionType::Ready, Reason::NameTaken).await;
        let (.., message) = condition(&taken, ConditionType::Ready).unwrap();
        assert!(message.contains(kind), "{message}");
        assert_eq!(starts(&taken), 1);
    }
    assert_eq!(told(&world.get("claim").await, ConditionType::StorageReady), "False/VolumePending");
    world.quiet().await;
    untouched(&world, &pod).await;
    untouched(&world, &service).await;
    untouched(&world, &claim).await;
    let writes = world.writes();
    assert!(writes.iter().all(|call| call.verb != Verb::Delete), "{}", shown(&writes));

    world.api::<Pod>().delete("pod", &DeleteParams::default()).await.unwrap();
    world.api::<Service>().delete("service", &DeleteParams::default()).await.unwrap();
    world.api::<PersistentVolumeClaim>().delete("claim", &DeleteParams::default()).await.unwrap();
    for name in ["pod", "service", "claim"] {
        let healed = world.ready(name).await;
        assert_eq!((starts(&healed), told(&healed, ConditionType::StorageReady).as_str()), (1, "True/Bound"));
    }
}

async fn the_trouble_of_one_never_delays_another(mut world: World) {
    world.kill_operator().await;
    world.settings.concurrency = 1;
    world.start_operator();
    refuse_bad_pods(&world);
    let troubles = [
        ("hangs", json!({"image": "registry.test/hang:1"}), Reason::AwaitingReadiness),
        ("loops", json!({"image": "registry.test/crash:1"}), Reason::CrashLoopBackOff),
        ("missing", json!({"image": "registry.test/missing:1"}), Reason::ImagePullBackOff),
        ("fails", json!({"image": "registry.test/fail:1"}), Reason::BackingOff),
        ("refused", json!({"image": IMAGE, "env": [{"name": "A=B", "value": "1"}]}), Reason::PodRefused),
        ("invalid", json!({}), Reason::InvalidSpec),
        ("waits", json!({"image": IMAGE, "storage": {"existingClaim": "data"}}), Reason::ReferenceMissing),
    ];
    for (name, spec, _) in &troubles {
        world.is_in_trouble(name);
        world.create(name, spec.clone()).await;
    }
    for (name, _, reason) in &troubles {
        world.reason(name, ConditionType::Ready, *reason).await;
    }
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.restart("x").await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    for (name, ..) in &troubles {
        assert!(
            is(&world.get(name).await, ConditionType::Ready, "False"),
            "{name} was to be in trouble still"
        );
    }
}

async fn an_object_that_cannot_be_read_is_told_so_and_harms_nobody(world: World) {
    let server = world.server().unwrap();
    for name in ["serving", "other"] {
        world.create(name, json!({"image": IMAGE})).await;
        world.ready(name).await;
    }
    let old = world.pod("serving").await.unwrap().uid();
    let spoil = |object: &mut Value| object["spec"]["ports"] = json!("eighty");
    server.change("Workspace", "test", "serving", spoil).unwrap();
    let unreadable = || server.object("Workspace", "test", "serving").unwrap();
    let find = |type_: &str| {
        let object = unreadable();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.into_iter().find(|one| one["type"] == type_).unwrap_or_default();
        format!(
            "{}/{}",
            found["status"].as_str().unwrap_or_default(),
            found["reason"].as_str().unwrap_or_default()
        )
    };
    world
        .eventually("it is told", || async { (find("Accepted") == "False/InvalidSpec").then_some(()) })
        .await;
    assert_eq!(find("Stalled"), "True/InvalidSpec");
    assert_eq!(unreadable()["status"]["incarnation"]["number"], 1);

    world.restart("other").await;
    world.ready_at("other", 2).await;
    assert_eq!(world.pod("serving").await.unwrap().uid(), old);
    world.quiet().await;
    let mend = |object: &mut Value| object["spec"]["ports"] = json!([]);
    server.change("Workspace", "test", "serving", mend).unwrap();
    let mended = world.ready("serving").await;
    assert_eq!(told(&mended, ConditionType::Accepted), "True/Accepted");
    assert_eq!(world.pods.started("serving"), 1);
}

fn sized(cpu: &str) -> Value {
    json!({"image": IMAGE, "resources": {"requests": {"cpu": cpu}}})
}

/// As a real API server has it: names of variables and values of labels are checked.
fn refuse_bad_pods(world: &World) {
    let Some(server) = world.server() else { return };
    server.refuse(|write| {
        if write.kind != "Pod" || write.verb == Verb::Delete {
            return None;
        }
        let env = write.object["spec"]["containers"][0]["env"][0]["name"].as_str().unwrap_or_default();
        let label = write.object["metadata"]["labels"]["team"].as_str().unwrap_or_default();
        let bad =
            [(env, '='), (label, ' ')].into_iter().find(|(text, character)| text.contains(*character))?.0;
        Some(failure::failure(422, "Invalid", format!("Pod \"x\" is invalid: Invalid value: \"{bad}\"")))
    });
}

/// Switches the enforcement of a Pod Security Standard that the plain Pod violates.
async fn enforce(world: &World, is_on: bool) {
    if let Some(server) = world.server() {
        server.refuse_nothing();
        if is_on {
            server.refuse(|write| {
                let why = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true";
                (write.kind == "Pod" && write.verb == Verb::Create).then(|| failure::failure(403, "Forbidden", why))
            });
        }
        return;
    }
    let standard = is_on.then_some("restricted");
    let patch =
        Patch::Merge(json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": standard}}}));
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &patch).await.unwrap();
}

/// Limits the namespace to so many Pods and so much CPU.
async fn limit(world: &World, pods: &str, cpu: &str) {
    if let Some(server) = world.server() {
        let (most_pods, most_cpu) = (pods.parse::<usize>().unwrap(), milli(cpu));
        server.refuse(move |write| {
            let is_asking = write.verb == Verb::Create || write.subresource == Some("resize");
            if write.kind != "Pod" || !is_asking {
                return None;
            }
            let requested = |pod: &Value| milli(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"].as_str().unwrap_or("0"));
            let before = write.old.map_or(0, requested);
            let (used, used_cpu) = write.objects("Pod").iter().fold((0, 0), |(n, cpu), pod| (n + 1, cpu + requested(pod)));
            let more_pods = usize::from(write.old.is_none());
            let more_cpu = requested(write.object) - before;
            let why = |what: &str, requested: i64, used: i64, limited: i64| {
                let unit = if what == "pods" { "" } else { "m" };
                let figures = format!(
                    "exceeded quota: q, requested: {what}={requested}{unit}, used: {what}={used}{unit}, limited: {what}={limited}{unit}"
                );
                Some(failure::failure(403, "Forbidden", format!("pods \"x\" is forbidden: {figures}")))
            };
            let count = |n: usize| i64::try_from(n).unwrap();
            if used_cpu + more_cpu > most_cpu {
                return why("requests.cpu", more_cpu, used_cpu, most_cpu);
            }
            (used + more_pods > most_pods).then(|| why("pods", 1, count(used), count(most_pods))).flatten()
        });
        return;
    }
    let hard = json!({"pods": pods, "requests.cpu": cpu});
    let _: ResourceQuota = world.apply(json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await;
    world
        .eventually("the quota counts", || async {
            let quota: ResourceQuota = world.api().get("q").await.unwrap();
            quota.status?.used.map(drop)
        })
        .await;
}

/// Limits each container of the namespace to 128Mi of memory.
async fn limit_memory(world: &World) {
    if let Some(server) = world.server() {
        server.refuse(|write| {
            let limit = write.object["spec"]["containers"][0]["resources"]["limits"]["memory"].as_str();
            let why =
                "pods \"x\" is forbidden: maximum memory usage per Container is 128Mi, but limit is 256Mi";
            (write.kind == "Pod" && limit == Some("256Mi")).then(|| failure::failure(403, "Forbidden", why))
        });
        return;
    }
    let limits = json!([{"type": "Container", "max": {"memory": "128Mi"}}]);
    let _: LimitRange = world.apply(json!({"metadata": {"name": "l"}, "spec": {"limits": limits}})).await;
}

fn milli(cpu: &str) -> i64 {
    cpu.strip_suffix('m').map_or_else(|| cpu.parse::<i64>().unwrap() * 1000, |milli| milli.parse().unwrap())
}

/// Fails if somebody deleted or claimed it.
async fn untouched<K>(world: &World, before: &K)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug,
{
    let after: K = world.api().get(&before.name_any()).await.unwrap();
    assert_eq!(after.uid(), before.uid());
    assert_eq!(after.labels(), before.labels());
    assert_eq!(after.owner_references(), before.owner_references());
    assert_eq!(after.meta().deletion_timestamp, None);
}

/// JSON readers stop at some depth, and an API server stores what is deeper: one such object must not keep the
/// operator from reading all others.
async fn an_overlay_of_any_depth_harms_nobody(mut world: World) {
    const DEPTH: usize = 400;
    // Whoever records can't read it either.
    world.recorder.stop();
    world.stop_operator().await;
    let deep = format!("{}{}", r#"{"affinity":"#.repeat(DEPTH), "{}") + &"}".repeat(DEPTH);
    let body = format!(
        r#"{{"apiVersion":"workspaces.dev/v1alpha1","kind":"Workspace","metadata":{{"name":"deep"}},
            "spec":{{"image":"{IMAGE}","podTemplate":{{"spec":{deep}}}}}}}"#
    );
    let path = format!("/apis/workspaces.dev/v1alpha1/namespaces/{}/workspaces", world.namespace);
    let request = http::Request::post(path).header("content-type", "application/json");
    world.client.request_text(request.body(body.into_bytes()).unwrap()).await.unwrap();
    world.start_operator();
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
}
