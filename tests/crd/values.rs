//! How values may be written, and what the API server adds to them or refuses to lose.

use serde_json::{Value, json};
use workspace_operator::api::Workspace;

use crate::{
    ground::{Answer, Ground, Kind},
    schema,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quantity_may_be_a_number() {
    let ground = Ground::up().await;
    let fields = json!({
        "storage": {"size": 1_073_741_824},
        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1500m"}},
    });
    let stored =
        ground.try_create(Kind::Workspace, &Kind::Workspace.with_fields(fields)).await.accepted("numbers");
    let workspace: Workspace = serde_json::from_value(stored).unwrap();
    assert_eq!(workspace.spec.storage.unwrap().size.unwrap().0, "1073741824");
    assert_eq!(workspace.spec.resources.unwrap().requests.unwrap()["cpu"].0, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_without_protocol_is_tcp_and_may_be_given_once_per_protocol() {
    let ground = Ground::up().await;
    for kind in Kind::ALL {
        let with = |ports: Value| kind.with_fields(json!({"ports": ports}));
        let both = with(json!([{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]));
        let stored = ground.try_create(kind, &both).await.accepted("TCP and UDP");
        let fields = if kind == Kind::Workspace { &stored["spec"] } else { &stored["spec"]["defaults"] };
        assert_eq!(fields["ports"][0]["protocol"], "TCP");
        let twice = with(json!([{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]));
        let field = format!("{}.ports[1]", kind.fields_at());
        ground.try_create(kind, &twice).await.is_refused_at(&field, "Duplicate value").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_may_be_given_once() {
    let ground = Ground::up().await;
    let twice = json!({"env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "A", "value": "2"}]});
    let answer = ground.try_create(Kind::Workspace, &Kind::Workspace.with_fields(twice)).await;
    answer.is_refused_at("spec.env[2]", "Duplicate value").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_does_not_exist_is_named() {
    let ground = Ground::up().await;
    for (fields, field) in [
        (json!({"imagee": "a"}), "imagee"),
        (json!({"storage": {"sise": "1Gi"}}), "storage.sise"),
        (json!({"env": [{"name": "A", "valeu": "1"}]}), "env[0].valeu"),
        (json!({"podTemplate": {"sepc": {}}}), "podTemplate.sepc"),
        (json!({"livenessProbe": {"grpc": {"port": 1, "host": "a"}}}), "livenessProbe.grpc.host"),
    ] {
        for kind in Kind::ALL {
            let named = format!("unknown field \"{}.{field}\"", kind.fields_at());
            match ground.try_create(kind, &kind.with_fields(fields.clone())).await {
                Answer::Accepted(_) => panic!("{fields} was accepted"),
                Answer::Refused(refusal) => assert!(refusal.message.contains(&named), "{}", refusal.message),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_fills_in_nothing_else() {
    let ground = Ground::up().await;
    for kind in Kind::ALL {
        let fields =
            json!({"storage": {}, "service": {}, "updateStrategy": {}, "resources": {}, "podTemplate": {}});
        let object = kind.with_fields(fields);
        let stored = ground.try_create(kind, &object).await.accepted("empty parts");
        assert_eq!(stored["spec"], object["spec"]);
    }
}

#[test]
fn only_list_keys_have_a_default() {
    for kind in Kind::ALL {
        let root = kind.schema();
        let with_default =
            schema::walk_spec(&root).into_iter().filter(|(_, schema)| schema.get("default").is_some());
        let places: Vec<String> = with_default.map(|(place, _)| place.to_string()).collect();
        assert_eq!(places, [format!("{}.ports[].protocol", kind.fields_at())]);
    }
}
