//! Changes that reach many workspaces from outside: so many at a time, paused, stopped by failures, undone.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use test_world::{IMAGE, World, availability::Availability, condition, is, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace, WorkspaceClass};

use crate::class::{classes, create_with, delete, own, patch};

scenarios!(
    a_changed_class_reaches_so_many_at_a_time,
    a_paused_rollout_goes_no_further_and_goes_on_when_resumed,
    undo_leaves_those_alone_that_are_back,
    failures_stop_a_rollout_and_a_fix_sets_it_going_again,
    an_image_that_can_not_be_had_stops_a_rollout_and_nobody,
    what_a_person_does_passes_at_once,
    the_end_of_a_namespace_hold_starts_so_many_at_a_time,
    a_shared_secret_reaches_workspaces_without_a_class_one_at_a_time,
    stopped_and_broken_ones_take_no_place,
    the_status_of_a_class_tells_how_far_it_is,
    a_person_s_change_that_needed_no_restart_lets_no_later_one_pass,
    a_lost_status_gives_no_place_back,
);

mod changes_midway {
    use super::*;
    use test_apiserver::{Fault, Matcher};

    scenarios_in_memory!(a_class_that_changes_while_a_place_is_taken_is_verified_again);

    async fn a_class_that_changes_while_a_place_is_taken_is_verified_again(world: World) {
        let class = own(&world, "class");
        create_with(&world, &class, versioned("1", json!({"maxUnavailable": 1}))).await;
        let names = many(&world, 1, &class).await;
        all_run(&world, &names, "1", None).await;
        let operator = world.operator().unwrap();
        let gate = test_apiserver::Gate::default();
        // With a free place it is the first thing that status tells of a change.
        let takes_place = Matcher::kind("Workspace").subresource("status").writes();
        let held = operator.faults().on(takes_place, Fault::Hold(gate.clone()));
        patch(&world, &class, json!({"spec": versioned("2", json!({"maxUnavailable": 1}))})).await;
        world.eventually("a place is being taken", || async { (held.hits() > 0).then_some(()) }).await;
        let mut bad = versioned("3", json!({"maxUnavailable": 1}));
        bad["defaults"]["image"] = json!("registry.test/missing:1");
        patch(&world, &class, json!({ "spec": bad })).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        held.remove();
        gate.open();
        world.reason(&names[0], ConditionType::UpToDate, Reason::RestartDeclined).await;
        assert_eq!(world.pods.started(&names[0]), 1, "the old Pod serves on");
        delete(&world, &class).await;
    }
}

mod two_operators {
    use super::*;

    scenarios!(two_operators_at_once_keep_the_width);

    async fn two_operators_at_once_keep_the_width(world: World) {
        let another = world.start_another_operator();
        let class = own(&world, "class");
        create_with(&world, &class, versioned("1", json!({"maxUnavailable": 2}))).await;
        let names = many(&world, 8, &class).await;
        let availability = Availability::watch(&world.client, &world.namespace);
        all_run(&world, &names, "1", None).await;
        availability.count();
        patch(&world, &class, json!({"spec": versioned("2", json!({"maxUnavailable": 2}))})).await;
        all_run(&world, &names, "2", None).await;
        assert!(availability.most_down() <= 2, "{} were down at a time", availability.most_down());
        for name in &names {
            assert_eq!(world.pods.started(name), 2, "{name}");
        }
        another.abort();
        delete(&world, &class).await;
    }
}

async fn a_changed_class_reaches_so_many_at_a_time(world: World) {
    let class = own(&world, "class");
    let width = json!({"maxUnavailable": "30%"});
    create_with(&world, &class, versioned("1", width.clone())).await;
    let names = many(&world, 10, &class).await;
    let availability = Availability::watch(&world.client, &world.namespace);
    all_run(&world, &names, "1", None).await;
    world.quiet().await;
    world.forget_writes();
    availability.count();
    patch(&world, &class, json!({"spec": versioned("2", width)})).await;
    all_run(&world, &names, "2", None).await;
    assert!(availability.most_down() <= 3, "{} were down at a time", availability.most_down());
    world.quiet().await;
    for name in &names {
        assert_eq!(world.pods.started(name), 2, "{name}");
    }
    // Each: that it waits, place taken, stop recorded, deleted, claimed, made, Ready.
    assert!(world.writes().len() <= 7 * names.len(), "{} writes", world.writes().len());
    delete(&world, &class).await;
}

async fn a_paused_rollout_goes_no_further_and_goes_on_when_resumed(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, versioned("1", json!({"maxUnavailable": 1}))).await;
    let names = many(&world, 5, &class).await;
    all_run(&world, &names, "1", None).await;
    let new = versioned("2", json!({"maxUnavailable": 1, "paused": true}));
    patch(&world, &class, json!({ "spec": new })).await;
    for name in &names {
        world.reason(name, ConditionType::UpToDate, Reason::AwaitingRollout).await;
    }
    patch(&world, &class, json!({"spec": {"rollout": {"paused": false}}})).await;
    world
        .eventually("two have changed", || async { (count_at(&world, &names, "2").await >= 2).then_some(()) })
        .await;
    patch(&world, &class, json!({"spec": {"rollout": {"paused": true}}})).await;
    world.quiet().await;
    let half = count_at(&world, &names, "2").await;
    assert!(half < names.len(), "the pause came too late to show anything");
    let waiting = waiting(&world, &names).await;
    assert_eq!(half + waiting.len(), names.len());
    let one = world.get(&waiting[0]).await;
    assert!(is(&one, ConditionType::Ready, "True"));
    assert_eq!(told(&one, ConditionType::Reconciling), "False/Settled");
    world.quiet().await;
    assert_eq!(count_at(&world, &names, "2").await, half, "paused means paused");
    patch(&world, &class, json!({"spec": {"rollout": {"paused": null}}})).await;
    all_run(&world, &names, "2", None).await;
    delete(&world, &class).await;
}

async fn undo_leaves_those_alone_that_are_back(world: World) {
    let class = own(&world, "class");
    let width = json!({"maxUnavailable": 1});
    create_with(&world, &class, versioned("1", width.clone())).await;
    let names = many(&world, 4, &class).await;
    all_run(&world, &names, "1", None).await;
    patch(&world, &class, json!({"spec": versioned("2", width.clone())})).await;
    world
        .eventually("one has changed", || async { (count_at(&world, &names, "2").await >= 1).then_some(()) })
        .await;
    patch(&world, &class, json!({"spec": versioned("1", width)})).await;
    all_run(&world, &names, "1", None).await;
    world.quiet().await;
    for name in &names {
        assert!(world.pods.started(name) <= 3, "{name}: there and back again");
        assert_eq!(told(&world.get(name).await, ConditionType::UpToDate), "True/UpToDate");
    }
    let untouched = names.iter().filter(|name| world.pods.started(name) == 1).count();
    assert!(untouched >= 1, "the undo came too late to show anything");
    delete(&world, &class).await;
}

async fn failures_stop_a_rollout_and_a_fix_sets_it_going_again(world: World) {
    let class = own(&world, "class");
    let width = json!({"maxUnavailable": 2, "maxFailed": 2});
    create_with(&world, &class, versioned("1", width.clone())).await;
    let names = many(&world, 6, &class).await;
    all_run(&world, &names, "1", None).await;
    let mut bad = versioned("2", width.clone());
    bad["defaults"]["image"] = json!("registry.test/crash:1");
    patch(&world, &class, json!({ "spec": bad })).await;
    world
        .eventually("two have failed and the others wait", || async {
            let down = names.len() - serving(&world, &names).await;
            (down == 2 && waiting(&world, &names).await.len() == names.len() - 2).then_some(())
        })
        .await;
    world.quiet().await;
    assert_eq!(serving(&world, &names).await, names.len() - 2, "the others serve on");
    patch(&world, &class, json!({"spec": versioned("3", width)})).await;
    all_run(&world, &names, "3", None).await;
    delete(&world, &class).await;
}

async fn an_image_that_can_not_be_had_stops_a_rollout_and_nobody(world: World) {
    let class = own(&world, "class");
    let width = json!({"maxUnavailable": 1});
    create_with(&world, &class, versioned("1", width.clone())).await;
    let names = many(&world, 4, &class).await;
    all_run(&world, &names, "1", None).await;
    let mut bad = versioned("2", width.clone());
    bad["defaults"]["image"] = json!("registry.test/missing:1");
    patch(&world, &class, json!({ "spec": bad })).await;
    world
        .eventually("one was declined and the others wait", || async {
            (waiting(&world, &names).await.len() == names.len() - 1).then_some(())
        })
        .await;
    world.quiet().await;
    world.forget_writes();
    world.quiet().await;
    assert!(world.writes().is_empty(), "{}", shown(&world.writes()));
    assert_eq!(serving(&world, &names).await, names.len());
    assert!(names.iter().all(|name| world.pods.started(name) == 1));
    patch(&world, &class, json!({"spec": versioned("3", width)})).await;
    all_run(&world, &names, "3", None).await;
    delete(&world, &class).await;
}

async fn what_a_person_does_passes_at_once(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, versioned("1", json!({}))).await;
    let names = many(&world, 3, &class).await;
    all_run(&world, &names, "1", None).await;
    patch(&world, &class, json!({"spec": versioned("2", json!({"paused": true}))})).await;
    for name in &names {
        world.reason(name, ConditionType::UpToDate, Reason::AwaitingRollout).await;
    }
    world.restart(&names[0]).await;
    world.ready_at(&names[0], 2).await;
    world.change(&names[1], json!({"env": [{"name": "OWN", "value": "1"}]})).await;
    world.ready_at(&names[1], 2).await;
    for name in &names[..2] {
        assert_eq!(version(&world, name).await.as_deref(), Some("2"), "{name} takes along what waited");
    }
    // What is no input is no reason to pass.
    world.change(&names[2], json!({"progressDeadlineSeconds": 60})).await;
    world.quiet().await;
    assert_eq!(world.pods.started(&names[2]), 1);
    delete(&world, &class).await;
}

async fn the_end_of_a_namespace_hold_starts_so_many_at_a_time(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, versioned("1", json!({"maxUnavailable": 2}))).await;
    hold(&world, Some("upgrade")).await;
    let names = many(&world, 6, &class).await;
    for name in &names {
        let held = world.reason(name, ConditionType::Ready, Reason::Held).await;
        assert_eq!(told(&held, ConditionType::Suspended), "True/NamespaceHeld");
    }
    patch(&world, &class, json!({"spec": {"rollout": {"paused": true}}})).await;
    hold(&world, None).await;
    for name in &names {
        world.reason(name, ConditionType::Ready, Reason::AwaitingRollout).await;
    }
    world.restart(&names[3]).await;
    world.ready(&names[3]).await;
    assert_eq!(names.iter().map(|name| world.pods.started(name)).sum::<usize>(), 1, "a person's wish passes");
    let starting = Starting::watch(&world);
    patch(&world, &class, json!({"spec": {"rollout": {"paused": null}}})).await;
    all_run(&world, &names, "1", None).await;
    let most = starting.most();
    assert!(most <= 2, "{most} were starting at a time");
    delete(&world, &class).await;
}

async fn a_shared_secret_reaches_workspaces_without_a_class_one_at_a_time(world: World) {
    let key = json!({"secretKeyRef": {"name": "shared", "key": "version"}});
    let spec = json!({"image": IMAGE, "env": [{"name": "VERSION", "valueFrom": key}]});
    secret(&world, "1").await;
    let names: Vec<String> = (0..4).map(|number| format!("w{number}")).collect();
    for name in &names {
        world.create(name, spec.clone()).await;
    }
    let availability = Availability::watch(&world.client, &world.namespace);
    for name in &names {
        world.ready(name).await;
    }
    availability.count();
    secret(&world, "2").await;
    for name in &names {
        world.ready_at(name, 2).await;
    }
    assert_eq!(availability.most_down(), 1);
    world.quiet().await;
    assert!(names.iter().all(|name| world.pods.started(name) == 2));
}

async fn stopped_and_broken_ones_take_no_place(world: World) {
    let class = own(&world, "class");
    let width = json!({"maxUnavailable": 1});
    create_with(&world, &class, versioned("1", width.clone())).await;
    world.create("stopped", json!({"className": class, "runState": "Stopped"})).await;
    world.create("broken", json!({"className": class, "image": "registry.test/crash:1"})).await;
    world.reason("broken", ConditionType::Ready, Reason::CrashLoopBackOff).await;
    let names = many(&world, 3, &class).await;
    all_run(&world, &names, "1", None).await;
    patch(&world, &class, json!({"spec": versioned("2", width)})).await;
    all_run(&world, &names, "2", None).await;
    let broken = world.until("broken", "replaced", |broken| starts(broken) == 2).await;
    assert!(!is(&broken, ConditionType::Ready, "True"));
    assert_eq!(world.pods.started("stopped"), 0);
    delete(&world, &class).await;
}

async fn the_status_of_a_class_tells_how_far_it_is(mut world: World) {
    world.stop_operator().await;
    world.settings.class_status = true;
    world.start_operator();
    let class = own(&world, "class");
    create_with(&world, &class, versioned("1", json!({"maxUnavailable": 1}))).await;
    world.create("stopped", json!({"className": class, "runState": "Stopped"})).await;
    let names = many(&world, 4, &class).await;
    all_run(&world, &names, "1", None).await;
    let settled = class_until(&world, &class, |status| status["upToDate"] == 4).await;
    let counts = |status: &Value| {
        ["workspaces", "upToDate", "rolling", "failed", "waiting"].map(|n| status[n].clone())
    };
    assert_eq!(counts(&settled), [5, 4, 0, 0, 0].map(Value::from));
    assert_eq!(reason_of(&settled, "Ready"), "True/Accepted");
    assert_eq!(reason_of(&settled, "Reconciling"), "False/Settled");
    patch(&world, &class, json!({"spec": versioned("2", json!({"maxUnavailable": 1, "paused": true}))}))
        .await;
    let paused = class_until(&world, &class, |status| status["waiting"] == 4).await;
    assert_eq!(reason_of(&paused, "Reconciling"), "False/RolloutPaused");
    let mut bad = versioned("3", json!({"maxUnavailable": 1, "paused": null}));
    bad["defaults"]["image"] = json!("registry.test/crash:1");
    patch(&world, &class, json!({ "spec": bad })).await;
    let stopped =
        class_until(&world, &class, |status| reason_of(status, "Stalled") == "True/TooManyFailed").await;
    assert_eq!(counts(&stopped), [5, 0, 1, 1, 3].map(Value::from));
    let why = stopped["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "Stalled").unwrap();
    assert!(why["message"].as_str().unwrap().contains("CrashLoopBackOff"), "{why}");
    patch(&world, &class, json!({"spec": versioned("4", json!({"maxUnavailable": 1}))})).await;
    all_run(&world, &names, "4", None).await;
    let healed = class_until(&world, &class, |status| status["upToDate"] == 4).await;
    assert_eq!(reason_of(&healed, "Stalled"), "False/Settled");
    delete(&world, &class).await;
}

async fn a_person_s_change_that_needed_no_restart_lets_no_later_one_pass(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, versioned("1", json!({"maxUnavailable": 1}))).await;
    world.create("cpu", json!({"className": class, "resources": {"requests": {"cpu": "100m"}}})).await;
    world.create("image", json!({"className": class})).await;
    let names = ["cpu", "image"].map(str::to_owned);
    all_run(&world, &names, "1", None).await;
    world.change("cpu", json!({"resources": {"requests": {"cpu": "200m"}}})).await;
    world.change("image", json!({"image": IMAGE})).await;
    world.quiet().await;
    patch(&world, &class, json!({"spec": versioned("2", json!({"maxUnavailable": 1, "paused": true}))}))
        .await;
    for name in &names {
        world.reason(name, ConditionType::UpToDate, Reason::AwaitingRollout).await;
        assert_eq!(world.pods.started(name), 1, "{name}");
    }
    delete(&world, &class).await;
}

async fn a_lost_status_gives_no_place_back(mut world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, versioned("1", json!({"maxUnavailable": 1}))).await;
    let names = many(&world, 1, &class).await;
    all_run(&world, &names, "1", None).await;
    let mut bad = versioned("2", json!({"maxUnavailable": 1}));
    bad["defaults"]["image"] = json!("registry.test/crash:1");
    patch(&world, &class, json!({ "spec": bad })).await;
    world.reason(&names[0], ConditionType::Ready, Reason::CrashLoopBackOff).await;
    world.stop_operator().await;
    let lost = json!({"status": {"conditions": null, "incarnation": null, "lastStop": null}});
    world
        .api::<Workspace>()
        .patch_status(&names[0], &PatchParams::default(), &Patch::Merge(lost))
        .await
        .unwrap();
    world.start_operator();
    let back = world.reason(&names[0], ConditionType::Ready, Reason::CrashLoopBackOff).await;
    let cause = back.status.unwrap().incarnation.unwrap().cause;
    assert_eq!(cause, Some(workspace_operator::api::status::StartCause::Rollout));
    delete(&world, &class).await;
}

/// The spec of a class whose workspaces carry `version` in their environment.
fn versioned(version: &str, rollout: Value) -> Value {
    let env = json!([{"name": "VERSION", "value": version}]);
    json!({"defaults": {"image": IMAGE, "env": env}, "rollout": rollout})
}

async fn many(world: &World, count: usize, class: &str) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("w{number}")).collect();
    join_all(names.iter().map(|name| world.create(name, json!({"className": class})))).await;
    names
}

/// Until every one is Ready by this version; by the count of its starts, where one is given.
async fn all_run(world: &World, names: &[String], wanted: &str, number: Option<i64>) {
    for name in names {
        world
            .eventually(&format!("{name} runs version {wanted}"), || async {
                let one = world.get(name).await;
                let is_there = is(&one, ConditionType::Ready, "True")
                    && is(&one, ConditionType::UpToDate, "True")
                    && number.is_none_or(|number| starts(&one) == number)
                    && version(world, name).await.as_deref() == Some(wanted);
                is_there.then_some(())
            })
            .await;
    }
}

/// `VERSION` in the environment of the running Pod.
async fn version(world: &World, name: &str) -> Option<String> {
    let pod = world.pod(name).await?;
    let env = pod.spec?.containers.into_iter().next()?.env?;
    env.into_iter().find(|variable| variable.name == "VERSION")?.value
}

async fn count_at(world: &World, names: &[String], wanted: &str) -> usize {
    let versions = join_all(names.iter().map(|name| version(world, name))).await;
    versions.into_iter().filter(|version| version.as_deref() == Some(wanted)).count()
}

async fn waiting(world: &World, names: &[String]) -> Vec<String> {
    let all = join_all(names.iter().map(|name| world.get(name))).await;
    let waits = |one: &&Workspace| told(one, ConditionType::UpToDate) == "False/AwaitingRollout";
    all.iter().filter(waits).map(|one| one.metadata.name.clone().unwrap()).collect()
}

async fn serving(world: &World, names: &[String]) -> usize {
    let all = join_all(names.iter().map(|name| world.get(name))).await;
    all.iter().filter(|one| is(one, ConditionType::Ready, "True")).count()
}

async fn hold(world: &World, why: Option<&str>) {
    let body = json!({"metadata": {"annotations": {"hold.workspaces.dev/admin": why}}});
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
}

async fn secret(world: &World, version: &str) {
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shared"}, "stringData": {"version": version}});
    let params = PatchParams::apply("user").force();
    world.api::<Secret>().patch("shared", &params, &Patch::Apply(body)).await.unwrap();
}

async fn class_until(world: &World, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        let class: WorkspaceClass = classes(world).get(name).await.unwrap();
        last = serde_json::to_value(&class.status).unwrap();
        if class.status.is_some() && is_so(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the class is not as expected: {last:#}");
}

fn reason_of(status: &Value, type_: &str) -> String {
    let conditions = status["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == type_).unwrap();
    format!("{}/{}", found["status"].as_str().unwrap(), found["reason"].as_str().unwrap())
}

/// How many workspaces were claimed and not Ready at a time.
struct Starting(std::sync::Arc<std::sync::Mutex<usize>>, tokio::task::JoinHandle<()>);

impl Starting {
    fn watch(world: &World) -> Self {
        use futures::StreamExt;
        use kube::runtime::{WatchStreamExt, watcher};
        let most = std::sync::Arc::new(std::sync::Mutex::new(0));
        let noted = std::sync::Arc::clone(&most);
        let api: Api<Workspace> = world.api();
        let task = tokio::spawn(async move {
            let mut starting = std::collections::BTreeSet::new();
            let mut events =
                std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
            while let Some(event) = events.next().await {
                let Ok(workspace) = event else { continue };
                let name = workspace.metadata.name.clone().unwrap();
                let reason = condition(&workspace, ConditionType::Ready).map(|(_, reason, _)| reason);
                if starts(&workspace) > 0 && reason.as_deref() == Some("AwaitingReadiness") {
                    starting.insert(name);
                } else {
                    starting.remove(&name);
                }
                let mut most = noted.lock().unwrap();
                *most = (*most).max(starting.len());
            }
        });
        Self(most, task)
    }

    fn most(self) -> usize {
        self.1.abort();
        *self.0.lock().unwrap()
    }
}
