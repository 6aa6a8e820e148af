//! Containers that are killed and started again in the same Pod, at every moment around their registration. The kubelet
//! tells of it late, and the new process may be quicker.

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use test_world::{World, starts, told};
use workspace_operator::api::{ConditionType, names, status::ActivityState};

use super::{OFTEN, begin_work, cluster, heard, many, required, with_agents_beating_every};
use crate::inside;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_all_at_once_every_program_registers_again() {
    with_agents_beating_every(OFTEN, async |world| {
        let names: Vec<String> = many(10).collect();
        for name in &names {
            world.create(name, required()).await;
        }
        for name in &names {
            world.ready(name).await;
        }
        join_all(names.iter().map(|name| kill(&world, name))).await;
        for name in &names {
            ends_up_registered(&world, name, 1).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_around_registering_a_program_ends_up_registered() {
    with_agents_beating_every(OFTEN, async |world| {
        let moments = ["at-once", "registering", "registered", "twice"];
        for name in moments {
            world.create(name, required()).await;
        }
        let killed = moments.map(async |name| {
            if name != "at-once" {
                world
                    .eventually(name, || async {
                        let is_there = match name {
                            "registering" => runs(&world.pod(name).await?),
                            _ => is_marked(&world.pod(name).await?),
                        };
                        is_there.then_some(())
                    })
                    .await;
            }
            kill(&world, name).await;
            if name == "twice" {
                // Its second process, as soon as there is one.
                kill(&world, name).await;
            }
        });
        join_all(killed).await;
        for name in moments {
            ends_up_registered(&world, name, if name == "twice" { 2 } else { 1 }).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_anybody_listened_a_program_registers_when_somebody_does() {
    with_agents_beating_every(OFTEN, async |mut world| {
        world.create("x", required()).await;
        world.eventually("its Pod", || world.pod("x")).await;
        world.stop_operator().await;
        kill(&world, "x").await;
        world
            .eventually("the container is started again", || async {
                (inside::container_if_told(&world, "x").await?.restart_count == 1).then_some(())
            })
            .await;
        world.start_operator();
        ends_up_registered(&world, "x", 1).await;
    })
    .await;
}

/// Kills the process that runs in the workspace's container, as soon as there is one.
async fn kill(world: &World, name: &str) {
    let cluster = cluster().await;
    world
        .eventually(&format!("something of {name} to kill"), || async {
            let uid = world.pod(name).await?.uid()?;
            cluster.kill_container(&uid, names::MAIN_CONTAINER).await.unwrap().then_some(())
        })
        .await;
}

/// Waits until the container is at this restart and its program is heard.
async fn ends_up_registered(world: &World, name: &str, restarts: i32) {
    world
        .eventually(&format!("{name} runs after {restarts} restarts"), || async {
            let main = inside::container_if_told(world, name).await?;
            let runs = main.state.is_some_and(|state| state.running.is_some());
            (runs && main.restart_count >= restarts).then_some(())
        })
        .await;
    begin_work(world, name).await;
    heard(world, name, ActivityState::Busy).await;
    let ready = world.ready(name).await;
    assert_eq!(told(&ready, ConditionType::Registered), "True/Registered", "{name}");
    assert_eq!(starts(&ready), 1, "{name}");
    assert_eq!(world.pods.started(name), 1, "{name}");
    assert_eq!(inside::container(world, name).await.restart_count, restarts, "{name}");
}

fn runs(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.into_iter().any(|main| main.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// Whether its registration was written down.
fn is_marked(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|one| one.type_ == names::REGISTERED && one.status == "True")
}
