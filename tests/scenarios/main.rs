//! What the operator promises, each promise told once and shown twice: on an API server in memory, where faults
//! can be made, and on a real one with simulated nodes.

mod pod_history;
mod world;

mod create;
mod restart;

/// Runs each scenario on both grounds.
macro_rules! scenarios {
    ($($subject:ident: $($name:ident),* $(,)?;)*) => {
        mod in_memory {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$subject::$name(crate::world::World::in_memory().await).await;
                })*
            })*
        }

        mod on_a_real_api_server {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$subject::$name(crate::world::World::on_a_real_api_server().await).await;
                })*
            })*
        }
    };
}

scenarios! {
    create:
        a_workspace_becomes_ready_with_its_companions,
        a_workspace_costs_at_most_six_writes_to_ready,
        a_healthy_workspace_costs_no_write;
    restart:
        an_annotation_gives_one_new_pod,
        a_restart_costs_at_most_five_writes,
        a_removed_restart_annotation_restarts_nothing,
        ten_restarts_at_once_stop_at_most_twice,
        restart_before_the_first_pod_gives_exactly_one_pod;
}
