//! Pure: the children of a workspace as they are wanted. Nothing here can fail; what could was settled in
//! [`resolve`](crate::resolve).

pub mod credential;
pub mod disruption_budget;
pub mod network_policy;
pub mod pod;
pub mod probe;
pub mod service;
pub mod volume_claim;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::names;

/// Who the children belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub name: String,
    pub namespace: String,
    pub uid: String,
}

impl Owner {
    /// The reference that makes the garbage collector take a child along.
    pub fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: format!("{}/v1alpha1", names::GROUP),
            kind: "Workspace".to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }

    /// The labels every child carries.
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            (names::APP_NAME, names::APP_NAME_VALUE),
            (names::MANAGED_BY, names::MANAGED_BY_VALUE),
            (names::WORKSPACE, self.name.as_str()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }

    /// Metadata of a child that shares the workspace's name and fate.
    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            owner_references: Some(vec![self.reference()]),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests;
