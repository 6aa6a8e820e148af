//! The manifests of `examples/`, as they are.

use std::{fs, path::Path};

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_world::{IMAGE, World};
use workspace_operator::api::{ConditionType, Reason, Workspace, WorkspaceClass};

use crate::{inside, network::visit, on_the_real_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_becomes_ready() {
    on_the_real_node(async |world| {
        let names = apply_examples(&world).await;
        assert!(names.len() >= 7, "only {names:?}");
        for name in names {
            match name.as_str() {
                // No node here has one; that is all there is in its way.
                "gpu" => {
                    world.reason("gpu", ConditionType::Ready, Reason::Unschedulable).await;
                }
                name => {
                    world.ready(name).await;
                }
            }
        }
        assert_eq!(inside::run(&world, "in-class", "echo $TEAM $LEVEL").await, "platform debug\n");
        assert_eq!(inside::run(&world, "trusted", "test -s /shared/now && id -u").await, "0\n");
        assert_eq!(inside::run(&world, "agent", "id -u; id -g; echo $TASK").await, "1000\n1000\nwait\n");
        let policies: Api<NetworkPolicy> = world.api();
        let policies = policies.list(&ListParams::default()).await.unwrap().items;
        let names: Vec<String> = policies.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["agent"], "of its class alone");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_the_example_is_served_and_changes_outlive_a_restart() {
    on_the_real_node(async |world| {
        apply_file(&world, "web-page.yaml").await;
        world.create("visitor", json!({"image": IMAGE})).await;
        world.ready("visitor").await;
        let address = world.ready("web-page").await.status.unwrap().address.unwrap();
        assert!(visit(&world, &address).await.contains("It runs."));
        inside::run(&world, "web-page", "echo Changed. > /workspace/index.html").await;
        world.restart("web-page").await;
        world.ready_at("web-page", 2).await;
        assert_eq!(visit(&world, &address).await, "Changed.\n");
    })
    .await;
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
}

/// Applies the whole folder, and gives the workspaces' names.
async fn apply_examples(world: &World) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        names.extend(apply_file(world, entry.unwrap().file_name().to_str().unwrap()).await);
    }
    names
}

async fn apply_file(world: &World, file: &str) -> Vec<String> {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let mut names = Vec::new();
    for document in documents {
        match document["kind"].as_str() {
            Some("Workspace") => names.push(world.apply::<Workspace>(document).await.name_any()),
            Some("WorkspaceClass") => apply_class(world, &document).await,
            other => panic!("{file} has a {other:?}"),
        }
    }
    names
}

/// A class belongs to no namespace, so another run may have made it.
async fn apply_class(world: &World, class: &Value) {
    let classes: Api<WorkspaceClass> = Api::all(world.client.clone());
    let name = class["metadata"]["name"].as_str().unwrap();
    let parameters = PatchParams::apply("examples").force();
    classes.patch(name, &parameters, &Patch::Apply(class)).await.unwrap();
}
