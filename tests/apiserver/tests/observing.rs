//! What an observer is told of, and in which order.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use test_apiserver::{ApiServer, ClientOptions, Happening};

#[tokio::test]
async fn an_observer_is_told_of_a_call_its_changes_and_its_answer_in_this_order() {
    let server = ApiServer::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    server.observe(move |observed| {
        let who = observed.client.as_deref().unwrap_or("-");
        let line = match &observed.what {
            Happening::Called { request, .. } => format!("{who} {:?} {}", request.verb, request.kind),
            Happening::Answered { request, .. } => format!("{who} {}", request.code.unwrap()),
            Happening::Changed { kind, before, after, .. } => {
                format!("{who} {kind} {} {}", before.is_some(), after.is_some())
            }
        };
        noted.lock().unwrap().push(line);
    });
    assert!(told.lock().unwrap().contains(&"- Node false true".to_owned()), "what is there is told first");
    told.lock().unwrap().clear();
    let client = server.client_with(ClientOptions::named("alice")).client();
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let map = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    api.create(&PostParams::default(), &map).await.unwrap();
    api.create(&PostParams::default(), &map).await.unwrap_err();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    server.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "default"}})).unwrap();
    let told = told.lock().unwrap().clone();
    assert_eq!(
        told,
        [
            "alice Create ConfigMap",
            "alice ConfigMap false true",
            "alice 201",
            "alice Create ConfigMap",
            "alice 409",
            "alice Delete ConfigMap",
            "alice ConfigMap true false",
            "alice 200",
            "- ConfigMap false true",
        ]
    );
}
