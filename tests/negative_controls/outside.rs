//! What many share.

use std::time::Duration;

use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use test_invariants::Invariant;
use test_world::{World, is};
use workspace_operator::{
    api::{ConditionType, WorkspaceClass},
    protection::Protection,
};

use crate::notice;

const NAMES: [&str; 3] = ["x", "y", "z"];

#[tokio::test]
async fn a_class_that_changes() {
    notice(Protection::RolloutGate, Invariant::I18, async |world: &mut World| {
        let classes: Api<WorkspaceClass> = Api::all(world.client.clone());
        // Whoever goes at once takes long enough to meet the others.
        world.server().unwrap().behave(|behaviour| behaviour.change_after = Duration::from_millis(300));
        let image = "registry.test/slow:1";
        let spec =
            |value: &str| json!({"defaults": {"image": image, "env": [{"name": "A", "value": value}]}});
        let class = json!({"metadata": {"name": "c"}, "spec": spec("1")});
        classes.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
        world.start_operator();
        for name in NAMES {
            world.create(name, json!({"className": "c"})).await;
            world.ready(name).await;
        }
        let changed = Patch::Merge(json!({ "spec": spec("2") }));
        classes.patch("c", &PatchParams::default(), &changed).await.unwrap();
        for name in NAMES {
            world
                .eventually("it has the change", || async {
                    let pod = world.pod(name).await?;
                    let env = pod.spec?.containers.first()?.env.clone()?;
                    let has_it = env.iter().any(|one| one.value.as_deref() == Some("2"));
                    (has_it && is(&world.get(name).await, ConditionType::Ready, "True")).then_some(())
                })
                .await;
        }
    })
    .await;
}
