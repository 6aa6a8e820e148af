//! What lies between a program and its registration: containers that restart in place, a kubelet that tells of it late,
//! an API server that is away.

use http::StatusCode;
use serde_json::json;
use test_apiserver::{Fault, Matcher, Termination, Verb, failure};
use test_world::{World, program::Program, starts};
use workspace_operator::api::{ConditionType, Reason, names};

use crate::registration::required;

scenarios_in_memory!(
    a_container_that_restarts_has_to_register_again,
    a_late_kubelet_leaves_no_program_unregistered,
    an_api_server_that_can_t_be_asked_lets_nobody_through,
);

async fn a_container_that_restarts_has_to_register_again(world: World) {
    world.create("x", required()).await;
    let first = Program::of(&world, "x", "a").await;
    first.registers(&world).await;
    world.ready("x").await;
    world.server().unwrap().restart_container(&world.namespace, "x", "main", Termination::exit(1)).unwrap();
    world.reason("x", ConditionType::Registered, Reason::AwaitingRegistration).await;
    world
        .eventually(
            "the gate is closed: the Service sends nothing to a program that did not register",
            || async {
                let pod = world.pod("x").await?;
                let conditions = pod.status?.conditions?;
                let gate = conditions.into_iter().find(|condition| condition.type_ == names::REGISTERED)?;
                (gate.status == "False").then_some(())
            },
        )
        .await;
    let second = first.restarted("b");
    let (status, answer) = second.beat(json!({})).await;
    assert_eq!((status, answer), (StatusCode::CONFLICT, json!({"error": "register first"})));
    second.registers(&world).await;
    let ready = world.ready("x").await;
    assert_eq!(starts(&ready), 1);
    assert_eq!(second.beat(json!({})).await.0, StatusCode::OK);
    assert_eq!(first.beat(json!({})).await.0, StatusCode::CONFLICT, "the former process is heard no more");
}

/// The new process registers while the Pod still tells of the former one's container.
async fn a_late_kubelet_leaves_no_program_unregistered(world: World) {
    world.create("x", required()).await;
    let first = Program::of(&world, "x", "a").await;
    first.registers(&world).await;
    world.ready("x").await;
    let second = first.restarted("b");
    second.registers(&world).await;
    world.server().unwrap().restart_container(&world.namespace, "x", "main", Termination::exit(1)).unwrap();
    world.reason("x", ConditionType::Registered, Reason::AwaitingRegistration).await;
    assert_eq!(second.beat(json!({})).await.1, json!({"error": "register first"}));
    second.registers(&world).await;
    world.ready("x").await;
}

async fn an_api_server_that_can_t_be_asked_lets_nobody_through(world: World) {
    world.create("x", required()).await;
    let program = Program::of(&world, "x", "a").await;
    let away = Fault::Answer(failure::internal("etcd is away"));
    let reviews = Matcher::kind("TokenReview").times(1);
    let rule = world.operator().unwrap().faults().on(reviews, away.clone());
    assert_eq!(program.register().await.0, StatusCode::SERVICE_UNAVAILABLE);
    let reads = Matcher::kind("Workspace").verb(Verb::Get).times(1);
    let other = world.operator().unwrap().faults().on(reads, away);
    assert_eq!(program.register().await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((rule.hits(), other.hits()), (1, 1));
    assert_eq!(program.register().await.0, StatusCode::OK);
}
