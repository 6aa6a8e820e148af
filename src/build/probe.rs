//! The Pod that tries an image out on a node before a serving Pod is stopped for it. Its command can't exist, so
//! it runs nothing: the container either fails to start (the image is there) or waits for the image.
//!
//! That it runs nothing is a promise: no network policy selects it, and it has no RuntimeClass.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec, ResourceRequirements},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use crate::{
    api::names,
    resolve::{Effective, effective::Image},
};

use super::Owner;

/// Longest path that Linux takes, with its end.
const PATH_MAX: usize = 4096;

/// A program that no image can bring: its name is longer than a path can be, so that the node refuses it before it
/// looks for it. Whoever builds the image would put a program at any other path.
fn no_program() -> String {
    format!("{:-<PATH_MAX$}", "/workspace-operator-looks-for-the-image")
}

/// The probe for `images` of `effective`'s on `node`; `question` tells it from one that asks something else.
pub fn probe(owner: &Owner, effective: &Effective, images: &[Image], node: &str, question: &str) -> Pod {
    let mut labels = owner.labels();
    // Never a workspace's own label: its Service and its owner's watch must not take it for the real one.
    labels.remove(names::WORKSPACE);
    labels.insert(names::PROBE_FOR.to_owned(), owner.name.clone());
    // Some, since a ResourceQuota on compute refuses Pods without any.
    let tiny: BTreeMap<String, Quantity> = [("cpu", "10m"), ("memory", "16Mi")]
        .map(|(name, value)| (name.to_owned(), Quantity(value.to_owned())))
        .into();
    let wanted = &effective.pod;
    let main = wanted.containers.iter().find(|container| container.name == names::MAIN_CONTAINER);
    let containers = images
        .iter()
        .enumerate()
        .map(|(index, image)| Container {
            name: if index == 0 { names::MAIN_CONTAINER.to_owned() } else { format!("image-{index}") },
            image: Some(image.name.clone()),
            image_pull_policy: Some(image.pull_policy.as_str().to_owned()),
            command: Some(vec![no_program()]),
            security_context: main.and_then(|main| main.security_context.clone()),
            resources: Some(ResourceRequirements {
                requests: Some(tiny.clone()),
                limits: Some(tiny.clone()),
                ..Default::default()
            }),
            ..Default::default()
        })
        .collect();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-image-", owner.name)),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels),
            annotations: Some([(names::QUESTION.to_owned(), question.to_owned())].into()),
            owner_references: Some(vec![owner.reference()]),
            ..Default::default()
        },
        spec: Some(PodSpec {
            node_name: Some(node.to_owned()),
            containers,
            restart_policy: Some("Never".to_owned()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(0),
            service_account_name: wanted.service_account_name.clone(),
            image_pull_secrets: wanted.image_pull_secrets.clone(),
            // As the Pod itself: where only such Pods are admitted, or on such a node.
            security_context: wanted.security_context.clone(),
            host_users: wanted.host_users,
            tolerations: wanted.tolerations.clone(),
            ..Default::default()
        }),
        status: None,
    }
}
