//! Reading.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};

use crate::support::*;

pub async fn an_unknown_kind_is_not_found(client: Client, ns: &str) {
    for group in ["", "nobody.example.com"] {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", "Riddle"));
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), ns, &kind);
        assert_eq!(refusal(api.list(&ListParams::default()).await), 404);
    }
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    assert_eq!(refusal(api.get_status("any").await), 404);
}

pub async fn a_list_is_narrowed_by_labels_and_fields(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    for (name, label) in [("list-1", "x"), ("list-2", "y"), ("list-3", "y")] {
        let mut one = config_map(name);
        one.labels_mut().insert("narrow".to_owned(), label.to_owned());
        made(&api, &one).await;
    }
    let names = async |params: ListParams| -> Vec<String> {
        api.list(&params).await.unwrap().iter().map(ResourceExt::name_any).collect()
    };
    assert_eq!(names(ListParams::default().labels("narrow=y")).await, ["list-2", "list-3"]);
    assert_eq!(names(ListParams::default().labels("narrow notin (y),narrow")).await, ["list-1"]);
    assert_eq!(
        names(ListParams::default().labels("narrow").fields("metadata.name=list-3")).await,
        ["list-3"]
    );
    assert_eq!(refusal(api.list(&ListParams::default().fields("data.k=v")).await), 400);
}

pub async fn a_list_comes_in_pages(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    for number in 0..5 {
        made(&api, &config_map(&format!("page-{number}"))).await;
    }
    let mut params = ListParams::default().labels("app=a").limit(2);
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let page = api.list(&params).await.unwrap();
        names.extend(page.iter().map(ResourceExt::name_any));
        pages += 1;
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(names, ["page-0", "page-1", "page-2", "page-3", "page-4"]);
    assert_eq!(pages, 3);
}

pub async fn metadata_alone_can_be_asked_for(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let made = made(&api, &config_map("described")).await;
    let one = api.get_metadata("described").await.unwrap();
    assert_eq!(one.types.unwrap().kind, "PartialObjectMetadata");
    assert_eq!(one.metadata, made.metadata);
    let list = api.list_metadata(&ListParams::default().labels("app=a")).await.unwrap();
    assert_eq!(list.items.len(), 1);
    assert_eq!(list.items[0].metadata, made.metadata);
}
