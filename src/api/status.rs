//! What the operator answers: the status of a Workspace. It is the operator's only; nobody else writes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    class::Backend,
    incarnation::{IncarnationNumber, RestartTime},
};

/// What is known about a workspace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceStatus {
    /// Newest generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The state in conditions: Ready is the summary, its reason names the first thing in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The newest start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,

    /// The newest stop by the operator, recorded before the Pod is deleted and kept until the next start: an end
    /// that stands here is no failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_stop: Option<Stop>,

    /// Newest restart accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_restart_at: Option<RestartTime>,

    /// Newest restart served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_restart_at: Option<RestartTime>,

    /// A restart asked for more than five minutes ahead, served at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_restart_at: Option<RestartTime>,

    /// DNS name of the workspace in the cluster, where it has ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,

    /// Since when a change waits for the program to be idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting_idle_since: Option<Time>,

    /// What the program says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,

    /// Failed starts and lost Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
}

/// One start of a workspace, and so one Pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Incarnation {
    /// Counts the starts.
    pub number: IncarnationNumber,
    /// Generation of the spec it was claimed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Where it runs; left out for a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// UID of its Pod, its true identity. Of one that runs elsewhere: of its Secret.
    #[serde(default, rename = "podUID", skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// When it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// Why it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<StartCause>,
    /// When its program registered, where it has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_time: Option<Time>,
    /// When it was Ready for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_time: Option<Time>,
    /// Hash over the inputs it was claimed with, led by the hash's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_hash: Option<String>,
    /// The class it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassRef>,
    /// The image asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The image it runs, with digest.
    #[serde(default, rename = "imageID", skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The node it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// How often its main container was restarted in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_restarts: Option<i32>,
    /// Version of the operator that shaped its Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_by: Option<String>,
}

/// What a program says of itself in its heartbeats. Written when the state changes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// What it does.
    pub state: ActivityState,
    /// Busy: since when. Idle: its last activity. Silent: when it was heard last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What it said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a program does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(description = "")]
pub enum ActivityState {
    /// It is at work, and not to be disturbed.
    Busy,
    /// It has nothing to do.
    Idle,
    /// It was not heard for three intervals.
    Silent,
}

/// Why a workspace was started.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[schemars(description = "")]
pub enum StartCause {
    /// It is new.
    Created,
    /// A restart was asked for.
    Restart,
    /// Its inputs were changed.
    InputsChanged,
    /// Something outside it changed: its class, data it shares with others, a hold on its namespace. Until such a
    /// start is Ready for the first time, it takes one of the places of its class's rollout.
    Rollout,
    /// It was stopped, and is to run again.
    Resumed,
    /// Its Pod was lost.
    PodLost,
}

/// A class as it was when it was used.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClassRef {
    /// Name of the class.
    pub name: String,
    /// Its generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// A stop by the operator.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// The start that ends.
    pub incarnation: IncarnationNumber,
    /// Why it ends.
    pub cause: StopCause,
    /// What differs or who asked, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Why a Pod is stopped.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopCause {
    /// A restart was asked for.
    Restart,
    /// Its inputs changed.
    InputsChanged,
    /// Something outside the workspace changed its inputs: its class, or data it shares with others.
    Rollout,
    /// The workspace is to be stopped.
    Suspended,
    /// Its number is smaller than the claimed one.
    Overtaken,
}

/// Failed starts and lost Pods, in a row.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// How many in a row. Not counted on once a start was Ready for ten minutes.
    pub consecutive: i32,
    /// When the next start is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_start_time: Option<Time>,
    /// The newest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Failure>,
}

/// One failed start or lost Pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The start that failed.
    pub incarnation: IncarnationNumber,
    /// Why, in a word.
    pub reason: String,
    /// Why, with the end of the program's log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Exit code of the program, where it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When it was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}
