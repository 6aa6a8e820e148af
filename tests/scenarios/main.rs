//! What the operator promises, each promise told once and shown twice: on an API server in memory, where faults
//! can be made, and on a real one with simulated nodes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

/// Runs each scenario of a subject on both grounds.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        scenarios_in_memory!($($name),*);

        mod on_a_real_api_server {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(test_world::World::on_a_real_api_server().await).await;
            })*
        }
    };
}

/// Runs each scenario in memory only: faults can be made nowhere else.
macro_rules! scenarios_in_memory {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(test_world::World::in_memory().await).await;
            })*
        }
    };
}

/// Runs each scenario on a real API server only: it takes what the one in memory does not.
macro_rules! scenarios_on_a_real_api_server {
    ($($name:ident),* $(,)?) => {
        mod on_a_real_api_server {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(test_world::World::on_a_real_api_server().await).await;
            })*
        }
    };
}

mod bad_input;
mod bounds;
mod class;
mod class_use;
mod create;
mod deletion;
mod disruption_budget;
mod external;
mod failure;
mod faults;
mod forbidden_env;
mod holds;
mod idle;
mod idle_midway;
mod image_check;
mod in_place;
mod network_policy;
mod overlay;
mod references;
mod registration;
mod registration_examples;
mod registration_limits;
mod registration_midway;
mod replicas;
mod restart;
mod restart_midway;
mod rollout;
mod rollout_at_scale;
mod security_floor;
mod shutdown;
mod stop;
mod takeover;
mod volume;
