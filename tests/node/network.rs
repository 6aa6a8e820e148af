//! Workspaces find each other by name.

use serde_json::{Value, json};
use test_world::{IMAGE, World};

use crate::{inside, on_the_real_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_is_reached_at_its_address_and_after_a_restart_too() {
    on_the_real_node(async |world| {
        world.create("web", server("Headless")).await;
        world.create("fixed", server("ClusterIP")).await;
        world.create("visitor", json!({"image": IMAGE})).await;
        world.ready("visitor").await;
        for name in ["web", "fixed"] {
            let address = world.ready(name).await.status.unwrap().address.unwrap();
            assert_eq!(address, format!("{name}.{}.svc", world.namespace));
            assert_eq!(visit(&world, &address).await, format!("served by {name}\n"));
            world.restart(name).await;
            world.ready_at(name, 2).await;
            assert_eq!(visit(&world, &address).await, format!("served by {name}\n"));
        }
    })
    .await;
}

fn server(service: &str) -> Value {
    let script =
        "trap exit TERM; echo served by $(hostname) > /tmp/index.html; httpd -f -p 8080 -h /tmp & wait";
    json!({
        "image": IMAGE,
        "command": ["sh", "-c", script],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "service": {"type": service},
    })
}

/// DNS answers and Service addresses follow an endpoint a moment later, so asks until there is an answer.
pub async fn visit(world: &World, address: &str) -> String {
    let ask = format!("timeout 2 wget -qO- http://{address}:8080/");
    inside::run(world, "visitor", &format!("for n in $(seq 50); do {ask} && exit; sleep 0.2; done; exit 1"))
        .await
}
