//! What a platform team writes: a WorkspaceClass.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::workspace::WorkspaceSpec;

/// A WorkspaceClass is what a platform team offers: defaults for the workspaces that name it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "workspaces.dev",
    version = "v1alpha1",
    kind = "WorkspaceClass",
    plural = "workspaceclasses",
    derive = "PartialEq",
    derive = "Default",
    shortname = "wsc",
    doc = "A WorkspaceClass is what a platform team offers: defaults for the workspaces that name it. The class with the annotation `workspaces.dev/is-default-class: \"true\"` is for workspaces that name none.",
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.defaults.image"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name must have at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.defaults) || !has(self.defaults.className)")
        .message("defaults.className: a class can't name a class"),
    validation = Rule::new("!has(self.defaults) || (!has(self.defaults.restartedAt) && !has(self.defaults.runState))")
        .message("defaults.restartedAt and defaults.runState belong to a workspace")
)]
pub struct WorkspaceClassSpec {
    /// Values for every field of a workspace's spec that the workspace leaves out. Lists are merged by their
    /// keys (`env` by name, `ports` by port and protocol); what the workspace says wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<WorkspaceSpec>,
}
