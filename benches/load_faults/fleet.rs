//! The workspaces, and a user's hands on many of them.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use test_cluster::Cluster;
use workspace_operator::api::{ConditionType, IncarnationNumber, Workspace, names};

const IMAGE: &str = "registry.test/busybox:1";
/// How many things a user does at a time.
const HANDS: usize = 16;
const PACE: Duration = Duration::from_secs(1);
/// How long anything may take before the run is given up. Generous: machines are shared.
const LIMIT: Duration = Duration::from_mins(10);

/// The newest start of each workspace: its number, and its Pod's UID.
pub type Starts = BTreeMap<String, (i64, String)>;

/// The workspaces of one namespace.
pub struct Fleet {
    pub client: Client,
    pub namespace: String,
    pub names: Vec<String>,
}

impl Fleet {
    /// Creates so many, and waits until all of them run.
    pub async fn create(cluster: &Cluster, namespace: &str, count: usize) -> Self {
        let client = cluster.client().unwrap();
        let mut fleet = Self { client, namespace: namespace.to_owned(), names: Vec::new() };
        let names: Vec<String> = (0..count).map(|number| format!("w{number}")).collect();
        fleet.add(&names).await;
        fleet.at_rest().await;
        fleet
    }

    /// So many of them.
    pub fn first(&self, count: usize) -> Vec<String> {
        self.names.iter().take(count).cloned().collect()
    }

    fn api(&self) -> Api<Workspace> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn add(&mut self, names: &[String]) {
        let api = self.api();
        let create = |name: &String| {
            let (api, name) = (api.clone(), name.clone());
            async move {
                let workspace = json!({
                    "apiVersion": "workspaces.dev/v1alpha1",
                    "kind": "Workspace",
                    "metadata": {"name": name},
                    "spec": {"image": IMAGE},
                });
                let workspace = serde_json::from_value(workspace).unwrap();
                api.create(&PostParams::default(), &workspace).await.unwrap();
            }
        };
        stream::iter(names.iter().map(create)).buffer_unordered(HANDS).collect::<Vec<()>>().await;
        self.names.extend_from_slice(names);
    }

    pub async fn remove(&mut self, names: &[String]) {
        for name in names {
            self.api().delete(name, &DeleteParams::default()).await.unwrap();
        }
        self.names.retain(|name| !names.contains(name));
    }

    /// Asks for a restart of each, as `kubectl annotate` does.
    pub async fn restart(&self, names: &[String]) {
        for name in names {
            let patch =
                json!({"metadata": {"annotations": {names::RESTARTED_AT: Timestamp::now().to_string()}}});
            self.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        }
    }

    /// The newest starts, as status tells.
    pub async fn starts(&self) -> Starts {
        let list = self.api().list(&ListParams::default()).await.unwrap();
        list.items.iter().filter_map(|workspace| Some((workspace.name_any(), start(workspace)?))).collect()
    }

    /// Waits until all are Ready, and nothing that was asked for is left.
    pub async fn at_rest(&self) -> Starts {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            tokio::time::sleep(PACE).await;
            let Ok(list) = self.api().list(&ListParams::default()).await else { continue };
            let busy: Vec<&Workspace> = list.items.iter().filter(|one| !is_at_rest(one)).collect();
            if busy.is_empty() && list.items.len() == self.names.len() {
                return self.starts().await;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{} of {} are not at rest, as {:#?}",
                busy.len(),
                list.items.len(),
                busy.first()
            );
        }
    }
}

fn start(workspace: &Workspace) -> Option<(i64, String)> {
    let incarnation = workspace.status.as_ref()?.incarnation.as_ref()?;
    let IncarnationNumber(number) = incarnation.number;
    Some((number, incarnation.pod_uid.clone()?))
}

fn is_at_rest(workspace: &Workspace) -> bool {
    let Some(status) = &workspace.status else { return false };
    let is_ready = status
        .conditions
        .iter()
        .any(|condition| condition.type_ == ConditionType::Ready.as_str() && condition.status == "True");
    let asked = workspace.annotations().get(names::RESTARTED_AT);
    let asked = asked.and_then(|time| time.parse::<Timestamp>().ok());
    let served = status.last_handled_restart_at.map(|time| time.0);
    let is_served = asked.is_none() || asked == served;
    is_ready && is_served && status.observed_generation == workspace.metadata.generation
}
