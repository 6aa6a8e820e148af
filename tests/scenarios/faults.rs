//! What the operator makes of an API server that fails, lies or falls silent.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use test_apiserver::{
    Failure, Fault, Matcher, Verb,
    failure::{self, failure},
};
use test_world::{IMAGE, World, is, starts};
use workspace_operator::api::{ConditionType, Reason, Workspace};

scenarios_in_memory!(
    a_conflict_is_tried_again_at_once,
    a_stop_waits_for_no_read_that_fails,
    a_start_that_fails_is_stalled_past_its_deadline,
    a_change_that_can_t_be_tried_says_why_and_is_stalled_past_its_deadline,
    what_can_t_be_looked_at_says_why_from_the_first_time_on,
    a_pod_that_came_and_went_unseen_is_missed_at_the_next_list,
    a_secret_is_noticed_though_its_watch_is_forbidden,
    a_conflict_with_a_frozen_cache_is_met_once,
    a_create_whose_answer_is_lost_makes_one_pod,
    an_error_alone_never_stops_a_pod,
    a_forbidden_watch_holds_nobody_up,
    a_frozen_watch_starts_no_second_pod,
    a_stale_workspace_starts_no_second_pod,
    broken_watches_lose_no_request,
    an_api_server_that_was_away_is_caught_up_with,
    one_workspace_s_trouble_delays_no_other,
    a_call_without_an_answer_holds_the_workspace_only_until_the_time_out,
);

/// Stays terminating for a while, so that the moment can be seen.
const LINGER: &str = "registry.test/linger:1";

fn status_writes() -> Matcher {
    Matcher::kind("Workspace").subresource("status").writes()
}

fn internal() -> Failure {
    failure::internal("etcd is away")
}

async fn a_conflict_is_tried_again_at_once(world: World) {
    let conflict = failure(409, "Conflict", "it changed");
    let rule = world.operator().unwrap().faults().on(status_writes().times(2), Fault::Answer(conflict));
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    assert_eq!(rule.hits(), 2);
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_create_whose_answer_is_lost_makes_one_pod(world: World) {
    let creates = Matcher::kind("Pod").verb(Verb::Create).times(1);
    let rule = world.operator().unwrap().faults().on(creates, Fault::DoThenAnswer(internal()));
    world.create("x", json!({"image": IMAGE})).await;
    let ready = world.ready("x").await;
    world.quiet().await;
    assert_eq!((rule.hits(), starts(&ready), world.pods.started("x")), (1, 1, 1));
}

async fn an_error_alone_never_stops_a_pod(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let faults = world.operator().unwrap().faults();
    let rule = faults.on(Matcher::any().when(|request| !request.verb.is_write()), Fault::Answer(internal()));
    let server = world.server().unwrap();
    server.set_pod_ready(&world.namespace, "x", false).unwrap();
    world.reason("x", ConditionType::Ready, Reason::AwaitingReadiness).await;
    server.set_pod_ready(&world.namespace, "x", true).unwrap();
    world.ready("x").await;
    rule.remove();
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_forbidden_watch_holds_nobody_up(mut world: World) {
    world.stop_operator().await;
    let secrets = Matcher::kind("Secret").when(|request| matches!(request.verb, Verb::List | Verb::Watch));
    let rule = world
        .operator()
        .unwrap()
        .faults()
        .on(secrets, Fault::Answer(failure::access_denied("list", "secrets")));
    world.start_operator();
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.restart("x").await;
    world.ready_at("x", 2).await;
    assert!(rule.hits() > 0);
}

async fn a_frozen_watch_starts_no_second_pod(world: World) {
    world.create("x", json!({"image": LINGER})).await;
    world.ready("x").await;
    let operator = world.operator().unwrap();
    operator.freeze_watches(Matcher::kind("Pod"));
    world.restart("x").await;
    world.until("x", "stopping", |workspace| !is(workspace, ConditionType::Ready, "True")).await;
    // What the frozen cache shows is the old Pod; poking makes the operator look again and again.
    for round in 0..5 {
        world.annotate("x", "test/poke", Some(&round.to_string())).await;
        world.quiet().await;
    }
    operator.thaw_watches();
    world.ready_at("x", 2).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_stale_workspace_starts_no_second_pod(world: World) {
    world.create("x", json!({"image": LINGER})).await;
    world.ready("x").await;
    let operator = world.operator().unwrap();
    world.restart("x").await;
    world.until("x", "stopping", |workspace| !is(workspace, ConditionType::Ready, "True")).await;
    operator.freeze_watches(Matcher::kind("Workspace"));
    // From here on the operator knows its own writes only.
    world.ready_at("x", 2).await;
    operator.thaw_watches();
    world.quiet().await;
    assert_eq!((starts(&world.get("x").await), world.pods.started("x")), (2, 2));
}

async fn broken_watches_lose_no_request(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    for number in 2..5 {
        let operator = world.operator().unwrap();
        operator.drop_watches(&Matcher::any());
        world.restart("x").await;
        operator.expire_watches(&Matcher::any());
        world.ready_at("x", number).await;
    }
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 4);
}

async fn an_api_server_that_was_away_is_caught_up_with(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let operator = world.operator().unwrap();
    let rule = operator.faults().on(Matcher::any(), Fault::Answer(failure::unavailable()));
    operator.drop_watches(&Matcher::any());
    world.restart("x").await;
    world.create("y", json!({"image": IMAGE})).await;
    world.eventually("the operator noticed", || async { (rule.hits() > 10).then_some(()) }).await;
    rule.remove();
    world.ready_at("x", 2).await;
    world.ready("y").await;
    assert_eq!((world.pods.started("x"), world.pods.started("y")), (2, 1));
}

async fn one_workspace_s_trouble_delays_no_other(mut world: World) {
    world.stop_operator().await;
    world.settings.concurrency = 2;
    world.operator().unwrap().faults().on(Matcher::kind("Workspace").name("x").writes(), Fault::Silence);
    world.start_operator();
    world.create("x", json!({"image": IMAGE})).await;
    for round in 0..5 {
        world.create(&format!("y{round}"), json!({"image": IMAGE})).await;
    }
    for round in 0..5 {
        world.ready(&format!("y{round}")).await;
    }
    assert!(world.get("x").await.status.is_none());
    world.kill_operator().await;
}

async fn a_call_without_an_answer_holds_the_workspace_only_until_the_time_out(mut world: World) {
    world.stop_operator().await;
    world.settings.reconcile_timeout = Duration::from_secs(1);
    let rule = world.operator().unwrap().faults().on(status_writes().times(1), Fault::DoThenSilence);
    world.start_operator();
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    assert_eq!((rule.hits(), world.pods.started("x")), (1, 1));
}

/// A second writer of status while the cache stands still: a conflict must not be met again and again.
async fn a_conflict_with_a_frozen_cache_is_met_once(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.quiet().await;
    let operator = world.operator().unwrap();
    operator.freeze_watches(Matcher::kind("Workspace"));
    let note = kube::api::Patch::Merge(json!({"status": {"address": "somebody.else"}}));
    let api = world.api::<workspace_operator::api::Workspace>();
    api.patch_status("x", &kube::api::PatchParams::default(), &note).await.unwrap();
    world.forget_writes();
    world.server().unwrap().set_pod_ready(&world.namespace, "x", false).unwrap();
    world.reason("x", ConditionType::Ready, Reason::AwaitingReadiness).await;
    world.quiet().await;
    assert_eq!(world.conflicts(), 1);
    operator.thaw_watches();
}

async fn a_stop_waits_for_no_read_that_fails(world: World) {
    let secret = json!({"metadata": {"name": "s"}, "data": {"k": "dg=="}});
    world.apply::<k8s_openapi::api::core::v1::Secret>(secret).await;
    let env = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
    world.create("x", json!({"image": IMAGE, "env": env})).await;
    world.ready("x").await;
    world.operator().unwrap().faults().on(Matcher::kind("Secret").verb(Verb::Get), Fault::Answer(internal()));
    let changed = json!({"data": {"k": "dw=="}});
    let api = world.api::<k8s_openapi::api::core::v1::Secret>();
    api.patch("s", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(changed)).await.unwrap();
    world.change("x", json!({"runState": "Stopped"})).await;
    world.reason("x", ConditionType::Suspended, Reason::Stopped).await;
    assert!(world.pod("x").await.is_none());
}

async fn a_start_that_fails_is_stalled_past_its_deadline(world: World) {
    let creates = Matcher::kind("Pod").verb(Verb::Create);
    let rule = world.operator().unwrap().faults().on(creates, Fault::Answer(internal()));
    world.create("x", json!({"image": IMAGE, "progressDeadlineSeconds": 2})).await;
    world.until("x", "stalled", |workspace| is(workspace, ConditionType::Stalled, "True")).await;
    rule.remove();
    world.ready("x").await;
}

async fn a_change_that_can_t_be_tried_says_why_and_is_stalled_past_its_deadline(world: World) {
    world.create("x", json!({"image": IMAGE, "progressDeadlineSeconds": 4})).await;
    world.ready("x").await;
    let tries = Matcher::kind("Pod").verb(Verb::Create).when(|request| request.dry_run);
    let rule = world.operator().unwrap().faults().on(tries, Fault::Answer(internal()));
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    let says = |workspace: &Workspace, type_: ConditionType, status: &str| {
        let conditions = &workspace.status.as_ref().unwrap().conditions;
        let found = conditions.iter().find(|one| one.type_ == type_.as_str()).unwrap();
        found.status == status
            && found.message.ends_with("dry-run Pod x: Internal error occurred: etcd is away")
    };
    world.until("x", "says why", |workspace| says(workspace, ConditionType::Reconciling, "True")).await;
    let stalled =
        world.until("x", "stalled", |workspace| says(workspace, ConditionType::Stalled, "True")).await;
    assert!(is(&stalled, ConditionType::Ready, "True"), "the Pod serves on");
    assert_eq!(stalled.status.as_ref().unwrap().observed_generation, stalled.metadata.generation);
    rule.remove();
    world.ready_at("x", 2).await;
    assert!(is(&world.get("x").await, ConditionType::Stalled, "False"));
}

async fn what_can_t_be_looked_at_says_why_from_the_first_time_on(world: World) {
    let reads = Matcher::kind("Secret").verb(Verb::Get).name("s");
    let denied = failure::access_denied("get", "secrets");
    let rule = world.operator().unwrap().faults().on(reads, Fault::Answer(denied));
    let env = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
    world.create("x", json!({"image": IMAGE, "env": env})).await;
    world.reason("x", ConditionType::Ready, Reason::ReconcileFailed).await;
    rule.remove();
    world.reason("x", ConditionType::Ready, Reason::ReferenceMissing).await;
}

async fn a_pod_that_came_and_went_unseen_is_missed_at_the_next_list(world: World) {
    let operator = world.operator().unwrap();
    operator.freeze_watches(Matcher::kind("Pod"));
    world.create("x", json!({"image": IMAGE})).await;
    world
        .eventually("it is Ready, as the operator knows by looking itself", || async {
            let looked = world.annotate("x", "example.test/look", Some(&Timestamp::now().to_string())).await;
            is(&looked, ConditionType::Ready, "True").then_some(())
        })
        .await;
    world.server().unwrap().vanish(&world.namespace, "x").unwrap();
    operator.expire_watches(&Matcher::kind("Pod"));
    operator.thaw_watches();
    world.ready_at("x", 2).await;
}

async fn a_secret_is_noticed_though_its_watch_is_forbidden(mut world: World) {
    world.stop_operator().await;
    let secrets = Matcher::kind("Secret").when(|request| matches!(request.verb, Verb::List | Verb::Watch));
    world.operator().unwrap().faults().on(secrets, Fault::Answer(failure::access_denied("list", "secrets")));
    world.start_operator();
    let env = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
    world.create("x", json!({"image": IMAGE, "env": env})).await;
    world.reason("x", ConditionType::Ready, Reason::ReferenceMissing).await;
    world
        .apply::<k8s_openapi::api::core::v1::Secret>(
            json!({"metadata": {"name": "s"}, "data": {"k": "dg=="}}),
        )
        .await;
    // Polling would find it too; a look at the workspace finds it now.
    world.annotate("x", "test/poke", Some("1")).await;
    world.ready("x").await;
}
