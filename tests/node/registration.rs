//! Workspaces whose first process is `workspace-agent`, and an operator that they reach from inside.

mod beating;
mod idle;
mod in_place;
mod restarted;
mod strangers;
mod variants;

use std::{future::Future, time::Duration};

use serde_json::{Value, json};
use test_cluster::{Cluster, NodeKind, images};
use test_world::{World, starts};
use workspace_operator::api::{Workspace, status::ActivityState};

use crate::{inside, on_the_real_node};

/// There while the program is busy.
const BUSY_FILE: &str = "/tmp/busy";
/// As often as an agent ever beats.
const OFTEN: Duration = Duration::from_secs(1);

/// A workspace that has to register, in an image whose entrypoint does it.
fn required() -> Value {
    json!({
        "image": images::AGENT,
        "registration": {"policy": "Required"},
        "env": [{"name": "WORKSPACE_AGENT_BUSY_FILE", "value": BUSY_FILE}],
    })
}

/// Runs a test where that image is.
async fn with_agents<F, Fut>(test: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    on_the_real_node(async |world| {
        cluster().await.provide_agent().await.unwrap();
        test(world).await;
    })
    .await;
}

/// The same, with another interval of heartbeats.
async fn with_agents_beating_every<F, Fut>(interval: Duration, test: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    with_agents(async |mut world| {
        world.stop_operator().await;
        world.settings.heartbeat = interval;
        world.start_operator();
        test(world).await;
    })
    .await;
}

async fn cluster() -> Cluster {
    Cluster::up(NodeKind::Real).await.unwrap()
}

fn many(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("x{n}"))
}

/// What the agents of the container that runs said, a line each.
async fn said(world: &World, name: &str) -> Vec<String> {
    let log = inside::log(world, name).await;
    log.lines().filter_map(|line| line.strip_prefix("workspace-agent: ")).map(str::to_owned).collect()
}

/// Fails if the agent that runs was ever answered 401.
async fn assert_never_refused(world: &World, name: &str) {
    let said = said(world, name).await;
    assert!(said.iter().any(|line| line.starts_with("registered as ")), "{name} said {said:?}");
    assert!(!said.iter().any(|line| line.contains("refused")), "{name} said {said:?}");
}

/// The program begins to be busy.
async fn begin_work(world: &World, name: &str) {
    inside::run(world, name, &format!("touch {BUSY_FILE}")).await;
}

/// And ends it.
async fn end_work(world: &World, name: &str) {
    inside::run(world, name, &format!("rm {BUSY_FILE}")).await;
}

/// Waits until that was heard.
async fn heard(world: &World, name: &str, state: ActivityState) -> Workspace {
    world
        .until(name, &format!("heard to be {state:?}"), |workspace| {
            let activity = workspace.status.as_ref().and_then(|status| status.activity.as_ref());
            activity.is_some_and(|activity| activity.state == state)
        })
        .await
}

/// Fails if the workspace had a second Pod, or its container a second start.
async fn assert_undisturbed(world: &World, name: &str) {
    assert_eq!(starts(&world.get(name).await), 1, "{name}");
    assert_eq!(world.pods.started(name), 1, "{name}");
    assert_eq!(inside::container(world, name).await.restart_count, 0, "{name}");
}
