//! The disruption budget of a class with `busyDisruptionBudget`: there while the program is busy, and no longer.

use http::StatusCode;
use k8s_openapi::api::{core::v1::Pod, policy::v1::PodDisruptionBudget};
use kube::{
    Api, ResourceExt,
    api::{EvictParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_apiserver::{Fault, Matcher, Verb, failure};
use test_world::{Ground, IMAGE, World, condition, program::Program, shown, told};
use workspace_operator::api::{ConditionType, Reason, Workspace, status::ActivityState};

use crate::{
    class::{create_with, delete, own, patch},
    idle::begin,
};

scenarios!(
    a_busy_program_is_not_evicted_and_an_idle_one_is,
    the_budget_goes_when_the_program_was_busy_for_too_long,
    without_the_option_no_budget_is_made,
    the_class_gives_and_takes_the_budget_beside_the_running_pod,
    a_state_that_stays_costs_no_write_and_a_change_one_of_the_budget,
    another_operator_finds_the_budget_and_writes_nothing,
    somebody_else_s_budget_is_left_alone,
    a_stopped_workspace_has_no_budget,
    a_deleted_workspace_leaves_no_budget,
    a_finalizer_on_the_workspace_keeps_no_budget,
);

mod with_faults {
    use super::*;

    scenarios_in_memory!(a_refused_budget_is_told_and_the_pod_serves_on);

    async fn a_refused_budget_is_told_and_the_pod_serves_on(world: World) {
        let class = asking(&world).await;
        let never = Matcher::kind("PodDisruptionBudget").verb(Verb::Create);
        let why = "poddisruptionbudgets \"x\" is forbidden: no budgets here";
        let no = failure::failure(403, "Forbidden", why);
        world.operator().unwrap().faults().on(never, Fault::Answer(no));
        let program = begin(&world, spec(&class), json!({"busy": true})).await;
        let refused = world.reason("x", ConditionType::UpToDate, Reason::DisruptionBudgetRefused).await;
        assert_eq!(told(&refused, ConditionType::Ready), "True/Running");
        assert_eq!(told(&refused, ConditionType::Stalled), "True/DisruptionBudgetRefused");
        assert_eq!(program.beat(json!({"busy": false})).await.0, StatusCode::OK);
        world.ready("x").await;
    }
}

fn spec(class: &str) -> Value {
    json!({"className": class, "image": IMAGE, "registration": {"policy": "Required"}})
}

/// Creates a class that asks for budgets.
async fn asking(world: &World) -> String {
    let class = own(world, "undisturbed");
    create_with(world, &class, json!({"busyDisruptionBudget": true})).await;
    class
}

async fn budget(world: &World) -> Option<PodDisruptionBudget> {
    world.api().get_opt("x").await.unwrap()
}

async fn has_budget(world: &World) -> PodDisruptionBudget {
    world.eventually("the budget is there", || budget(world)).await
}

async fn has_no_budget(world: &World) {
    let is_gone = || async { budget(world).await.is_none().then_some(()) };
    world.eventually("the budget is gone", is_gone).await;
}

/// What a drain is answered.
async fn evict(world: &World) -> u16 {
    let client = match &world.ground {
        Ground::Memory { .. } => &world.client,
        Ground::Cluster { impatient, .. } => impatient,
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), &world.namespace);
    match pods.evict("x", &EvictParams::default()).await {
        Ok(_) => 201,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
    }
}

async fn says(program: &Program, busy: bool) {
    assert_eq!(program.beat(json!({"busy": busy})).await.0, StatusCode::OK);
}

async fn is_told(world: &World, state: ActivityState) {
    let tells = |workspace: &Workspace| {
        let activity = workspace.status.as_ref().and_then(|status| status.activity.as_ref());
        activity.is_some_and(|activity| activity.state == state)
    };
    world.until("x", &format!("{state:?}"), tells).await;
}

/// The operator's writes to budgets.
fn writes(world: &World) -> Vec<Verb> {
    let writes = world.writes().into_iter().filter(|call| call.kind == "PodDisruptionBudget");
    writes.map(|call| call.verb).collect()
}

async fn a_busy_program_is_not_evicted_and_an_idle_one_is(world: World) {
    let class = asking(&world).await;
    let program = begin(&world, spec(&class), json!({"busy": true})).await;
    let budget = has_budget(&world).await;
    assert_eq!(budget.owner_references()[0].uid, world.get("x").await.uid().unwrap());
    let pod = world.pod("x").await.unwrap();
    assert_eq!(evict(&world).await, 429);
    assert_eq!(world.pod("x").await.unwrap().uid(), pod.uid(), "it runs on");
    says(&program, false).await;
    has_no_budget(&world).await;
    assert_eq!(evict(&world).await, 201);
    world
        .eventually("the Pod goes", || async {
            let live = world.pod("x").await;
            let is_going =
                live.is_none_or(|live| live.uid() != pod.uid() || live.metadata.deletion_timestamp.is_some());
            is_going.then_some(())
        })
        .await;
    delete(&world, &class).await;
}

async fn the_budget_goes_when_the_program_was_busy_for_too_long(world: World) {
    let class = asking(&world).await;
    let mut spec = spec(&class);
    spec["updateStrategy"] = json!({"maxDelaySeconds": 2});
    let program = begin(&world, spec, json!({"busy": true})).await;
    has_budget(&world).await;
    has_no_budget(&world).await;
    says(&program, true).await;
    world.quiet().await;
    assert_eq!(writes(&world), [Verb::Create, Verb::Delete], "it is busy all the time");
    is_told(&world, ActivityState::Busy).await;
    assert_eq!(evict(&world).await, 201);
    delete(&world, &class).await;
}

async fn without_the_option_no_budget_is_made(world: World) {
    let class = own(&world, "plain");
    create_with(&world, &class, json!({})).await;
    begin(&world, spec(&class), json!({"busy": true})).await;
    is_told(&world, ActivityState::Busy).await;
    world.quiet().await;
    assert_eq!(writes(&world), []);
    assert_eq!(evict(&world).await, 201);
    delete(&world, &class).await;
}

async fn the_class_gives_and_takes_the_budget_beside_the_running_pod(world: World) {
    let class = own(&world, "later");
    create_with(&world, &class, json!({})).await;
    begin(&world, spec(&class), json!({"busy": true})).await;
    is_told(&world, ActivityState::Busy).await;
    patch(&world, &class, json!({"spec": {"busyDisruptionBudget": true}})).await;
    has_budget(&world).await;
    patch(&world, &class, json!({"spec": {"busyDisruptionBudget": false}})).await;
    has_no_budget(&world).await;
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 1, "it is no input");
    delete(&world, &class).await;
}

async fn a_state_that_stays_costs_no_write_and_a_change_one_of_the_budget(world: World) {
    let class = asking(&world).await;
    let program = begin(&world, spec(&class), json!({"busy": false})).await;
    is_told(&world, ActivityState::Idle).await;
    for (busy, state, write) in
        [(true, ActivityState::Busy, Verb::Create), (false, ActivityState::Idle, Verb::Delete)]
    {
        world.quiet().await;
        world.forget_writes();
        says(&program, busy).await;
        is_told(&world, state).await;
        world.quiet().await;
        assert_eq!(writes(&world), [write]);
        world.forget_writes();
        for _ in 0..5 {
            says(&program, busy).await;
        }
        world.quiet().await;
        assert_eq!(world.writes(), [], "{}", shown(&world.writes()));
    }
    delete(&world, &class).await;
}

async fn another_operator_finds_the_budget_and_writes_nothing(mut world: World) {
    let class = asking(&world).await;
    let program = begin(&world, spec(&class), json!({"busy": true})).await;
    let before = has_budget(&world).await;
    is_told(&world, ActivityState::Busy).await;
    world.quiet().await;
    world.stop_operator().await;
    world.forget_writes();
    world.start_operator();
    world
        .eventually("the new operator listens", || async {
            (program.beat(json!({"busy": true})).await.0 == StatusCode::OK).then_some(())
        })
        .await;
    world.quiet().await;
    assert_eq!(world.writes(), [], "{}", shown(&world.writes()));
    assert_eq!(has_budget(&world).await.uid(), before.uid());
    says(&program, false).await;
    has_no_budget(&world).await;
    delete(&world, &class).await;
}

async fn somebody_else_s_budget_is_left_alone(world: World) {
    let theirs = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"},
        "spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": "theirs"}}}});
    let theirs: PodDisruptionBudget = world.apply(theirs).await;
    let class = asking(&world).await;
    let program = begin(&world, spec(&class), json!({"busy": true})).await;
    let taken = world.reason("x", ConditionType::UpToDate, Reason::NameTaken).await;
    let (_, _, message) = condition(&taken, ConditionType::UpToDate).unwrap();
    assert_eq!(message, "a PodDisruptionBudget x exists and belongs to somebody else; it is left alone");
    assert_eq!(told(&taken, ConditionType::Ready), "True/Running");
    says(&program, false).await;
    world.ready("x").await;
    world.delete("x").await;
    world.gone("x").await;
    world.quiet().await;
    let live = budget(&world).await.unwrap();
    assert_eq!((live.uid(), live.spec), (theirs.uid(), theirs.spec));
    delete(&world, &class).await;
}

async fn a_stopped_workspace_has_no_budget(world: World) {
    let class = asking(&world).await;
    begin(&world, spec(&class), json!({"busy": true})).await;
    has_budget(&world).await;
    world.change("x", json!({"runState": "Stopped"})).await;
    world.reason("x", ConditionType::Ready, Reason::Stopped).await;
    has_no_budget(&world).await;
    delete(&world, &class).await;
}

async fn a_deleted_workspace_leaves_no_budget(world: World) {
    let class = asking(&world).await;
    begin(&world, spec(&class), json!({"busy": true})).await;
    has_budget(&world).await;
    world.delete("x").await;
    world.gone("x").await;
    has_no_budget(&world).await;
    delete(&world, &class).await;
}

async fn a_finalizer_on_the_workspace_keeps_no_budget(world: World) {
    let class = asking(&world).await;
    begin(&world, spec(&class), json!({"busy": true})).await;
    has_budget(&world).await;
    keep(&world, json!(["example.com/keep"])).await;
    world.delete("x").await;
    has_no_budget(&world).await;
    assert!(world.get("x").await.metadata.deletion_timestamp.is_some());
    keep(&world, json!(null)).await;
    world.gone("x").await;
    delete(&world, &class).await;
}

async fn keep(world: &World, finalizers: Value) {
    let body = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    world.api::<Workspace>().patch("x", &PatchParams::default(), &body).await.unwrap();
}
