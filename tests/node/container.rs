//! What a running container tells, and how its end is told.

use serde_json::json;
use test_world::{IMAGE, condition, is, starts};
use workspace_operator::api::{ConditionType, Reason};

use crate::{inside, on_the_real_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_and_exec_work_by_the_name_of_the_workspace() {
    on_the_real_node(async |world| {
        let script = "trap exit TERM; echo hello from $NAME; sleep infinity & wait";
        let spec = json!({
            "image": IMAGE,
            "command": ["sh", "-c", script],
            "env": [{"name": "NAME", "value": "x"}],
        });
        world.create("x", spec).await;
        world.ready("x").await;
        assert_eq!(inside::log(&world, "x").await, "hello from x\n");
        assert_eq!(inside::run(&world, "x", "echo $NAME; hostname").await, "x\nx\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loop_tells_exit_code_and_log_and_a_restart_ends_it() {
    on_the_real_node(async |world| {
        // The Pod that came first, known by its address, never gets well; its successor does.
        let script = "
            [ -e first ] || hostname -i > first
            [ $(cat first) = $(hostname -i) ] && { echo no database; exit 7; }
            trap exit TERM; sleep infinity & wait";
        let spec = json!({
            "image": IMAGE,
            "command": ["sh", "-c", script],
            "workingDir": "/workspace",
            "storage": {"size": "1Gi"},
        });
        world.create("x", spec).await;
        let looping = world.reason("x", ConditionType::Ready, Reason::CrashLoopBackOff).await;
        let (_, _, message) = condition(&looping, ConditionType::Ready).unwrap();
        assert_eq!(message, "the program ended with exit code 7: no database");
        assert!(is(&looping, ConditionType::Reconciling, "True"), "within its deadline nothing is given up");
        world.restart("x").await;
        world.ready_at("x", 2).await;
        assert_eq!(inside::container(&world, "x").await.restart_count, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_takes_too_much_memory_is_told_so() {
    on_the_real_node(async |world| {
        let spec = json!({
            "image": IMAGE,
            "command": ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"],
            "resources": {"limits": {"memory": "32Mi"}},
        });
        world.create("x", spec).await;
        let killed = world.reason("x", ConditionType::Ready, Reason::OOMKilled).await;
        let (_, _, message) = condition(&killed, ConditionType::Ready).unwrap();
        assert_eq!(message, "the program used more memory than its limit");
        world
            .change("x", json!({"command": ["sleep", "infinity"], "terminationGracePeriodSeconds": 1}))
            .await;
        world.ready_at("x", 2).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cpu_and_memory_change_in_the_running_container() {
    on_the_real_node(async |world| {
        let compute = |cpu: &str, memory: &str| json!({"cpu": cpu, "memory": memory});
        let spec = json!({
            "image": IMAGE,
            "resources": {"requests": compute("10m", "16Mi"), "limits": compute("500m", "32Mi")},
        });
        world.create("x", spec).await;
        world.ready("x").await;
        let before = inside::container(&world, "x").await;
        let resources = json!({"requests": compute("20m", "24Mi"), "limits": compute("600m", "64Mi")});
        world.change("x", json!({ "resources": resources })).await;
        let resized = world
            .eventually("the node tells of the new size", || async {
                let container = inside::container(&world, "x").await;
                let told = serde_json::to_value(&container.resources).unwrap();
                (told == resources).then_some(container)
            })
            .await;
        assert_eq!(resized.container_id, before.container_id, "it is the same container");
        assert_eq!(resized.restart_count, 0);
        assert_eq!(starts(&world.ready("x").await), 1);
    })
    .await;
}
