//! What the claims are held against: workspace, Pods and volume as the cluster tells of them.

use serde_json::Value;

use crate::{error::Error, kubectl::Kubectl, screen};

/// One moment of a workspace.
#[derive(Debug, Clone)]
pub struct Seen {
    workspace: Value,
    /// UIDs of its Pods.
    pub pods: Vec<String>,
}

impl Seen {
    pub async fn of(kubectl: &Kubectl, name: &str) -> Result<Self, Error> {
        let workspace = kubectl.json(&["get", &format!("ws/{name}")]).await?;
        let label = format!("--selector=workspaces.dev/workspace={name}");
        let pods = kubectl.json(&["get", "pods", &label]).await?;
        let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let pods = pods["items"].as_array().into_iter().flatten().map(uid).collect();
        Ok(Self { workspace, pods })
    }

    /// How often it was started.
    pub fn starts(&self) -> i64 {
        self.workspace["status"]["incarnation"]["number"].as_i64().unwrap_or_default()
    }

    pub fn image(&self) -> &str {
        self.workspace["spec"]["image"].as_str().unwrap_or_default()
    }

    /// Status and reason of a condition.
    pub fn condition(&self, type_: &str) -> (&str, &str) {
        let field =
            |name| self.find(type_).and_then(|condition| condition[name].as_str()).unwrap_or_default();
        (field("status"), field("reason"))
    }

    pub fn message(&self, type_: &str) -> &str {
        self.find(type_).and_then(|condition| condition["message"].as_str()).unwrap_or_default()
    }

    fn find(&self, type_: &str) -> Option<&Value> {
        let conditions = self.workspace["status"]["conditions"].as_array()?;
        conditions.iter().find(|condition| condition["type"] == type_)
    }

    /// Its state in one line, for a claim that does not hold.
    pub fn summary(&self) -> String {
        let (ready, reason) = self.condition("Ready");
        format!("start {}, Ready={ready} ({reason}), Pods {:?}", self.starts(), self.pods)
    }
}

/// Says a claim that was held against the cluster, or ends the demo with it.
pub fn expect(holds: bool, claim: &str, found: impl FnOnce() -> String) -> Result<(), Error> {
    if !holds {
        return Err(Error::NotAsSaid { claim: claim.to_owned(), found: found() });
    }
    screen::held(claim);
    Ok(())
}
