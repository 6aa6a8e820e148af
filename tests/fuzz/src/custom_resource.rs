//! A Workspace or WorkspaceClass as the API server may send it.

use std::{fmt::Debug, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DeserializeGuard;
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use serde_json::Value;
use workspace_operator::{
    api::{Workspace, WorkspaceClass, WorkspaceSpec},
    resolve::{Draft, class::Offer},
};

/// Reads `input` as both kinds. What can be read says the same when it was written and read again, and a Pod can be made
/// of it or is refused in words that fit into a condition.
pub fn check(input: &[u8]) {
    let guarded = read::<DeserializeGuard<Workspace>>(input);
    if let Ok(Value::Object(object)) = serde_json::from_slice(input)
        && object.get("metadata").is_some_and(|metadata| ObjectMeta::deserialize(metadata).is_ok())
    {
        assert!(guarded.is_some(), "one object that can't be read stops the watch of all others");
    }
    if let Some(DeserializeGuard(Ok(workspace))) = guarded {
        is_stable(&workspace);
        draft(&workspace, Vec::new());
    }
    if let Some(DeserializeGuard(Ok(class))) = read::<DeserializeGuard<WorkspaceClass>>(input) {
        is_stable(&class);
        let spec = WorkspaceSpec { class_name: class.metadata.name.clone(), ..WorkspaceSpec::default() };
        draft(&Workspace::new("x", spec), vec![Arc::new(DeserializeGuard(Ok(class)))]);
    }
}

fn read<T: DeserializeOwned>(input: &[u8]) -> Option<T> {
    serde_json::from_slice(input).ok()
}

fn is_stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(object: &T) {
    let written = serde_json::to_vec(object);
    let again = written.as_ref().map(|written| serde_json::from_slice::<T>(written));
    match again {
        Ok(Ok(again)) => assert_eq!(*object, again),
        other => panic!("{object:?} does not survive being written: {other:?}"),
    }
}

fn draft(workspace: &Workspace, classes: Vec<Arc<DeserializeGuard<WorkspaceClass>>>) {
    let offer = Offer {
        classes,
        namespace_labels: Some(std::collections::BTreeMap::default()),
        require_class: false,
        registration_url: Some("https://operator:8443".to_owned()),
        sees_secrets: true,
    };
    if let Err(blocked) = Draft::of(workspace, &offer) {
        assert!(!blocked.message.is_empty(), "{:?} without a word", blocked.reason);
    }
}
