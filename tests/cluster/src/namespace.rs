use std::{fmt, thread, time::Duration};

use k8s_openapi::api::core::v1::{Namespace as Object, Pod, ServiceAccount};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use crate::{
    access,
    error::{Doing, Error},
    fake_node::reaper::Reaper,
    node_kind::{NODE_LABEL, NodeKind},
    wait,
};

/// The annotation of a Namespace that says on which nodes its Pods run, for the admission plugin `PodNodeSelector`.
pub const NODE_SELECTOR: &str = "scheduler.alpha.kubernetes.io/node-selector";
const ACCOUNT_LIMIT: Duration = Duration::from_mins(1);
const GONE_LIMIT: Duration = Duration::from_mins(2);

/// A namespace that lives as long as this value: dropping it asks for its deletion, `close` also awaits it.
pub struct Namespace {
    name: String,
    config: Config,
    is_closed: bool,
    /// Where Pods end by our hand.
    reaper: Option<Reaper>,
}

impl Namespace {
    pub(crate) async fn create(config: Config, prefix: &str, nodes: NodeKind) -> Result<Self, Error> {
        let client = access::client(config.clone())?;
        let name = format!("{prefix}-{:08x}", rand::random::<u32>());
        let object = serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "annotations": { NODE_SELECTOR: format!("{NODE_LABEL}={}", nodes.label()) },
            },
        }))
        .map_err(|e| Error::Parse { what: format!("namespace {name}"), reason: e.to_string() })?;
        let namespaces: Api<Object> = Api::all(client.clone());
        namespaces
            .create(&PostParams::default(), &object)
            .await
            .doing(|| format!("create namespace {name}"))?;
        // From here on a failure must not leave it behind.
        let reaper = (nodes == NodeKind::Fake).then(|| Reaper::begin(client.clone(), &name));
        let namespace = Self { name, config, is_closed: false, reaper };
        namespace.account_exists(client).await?;
        Ok(namespace)
    }

    /// Until then the API server refuses every Pod.
    async fn account_exists(&self, client: Client) -> Result<(), Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(client, &self.name);
        let accounts = &accounts;
        wait::until(format!("the service account of {}", self.name), ACCOUNT_LIMIT, || async move {
            let doing = || format!("read the service account of {}", self.name);
            Ok(accounts.get_opt("default").await.doing(doing)?.map(drop))
        })
        .await
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Deletes it with all that is in it and waits until it is gone.
    pub async fn close(mut self) -> Result<(), Error> {
        self.is_closed = true;
        let client = access::client(self.config.clone())?;
        delete(&client, &self.name).await?;
        let namespaces: Api<Object> = Api::all(client);
        let namespaces = &namespaces;
        let name = &self.name;
        wait::until(format!("namespace {name} to be gone"), GONE_LIMIT, || async move {
            let found = namespaces.get_opt(name).await.doing(|| format!("read namespace {name}"))?;
            Ok(found.is_none().then_some(()))
        })
        .await
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        let (config, name) = (self.config.clone(), self.name.clone());
        let has_reaper = self.reaper.take().is_some();
        // A runtime of its own: the test's is often about to end, and a drop cannot await it.
        let deletion = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            let delete = async {
                let client = access::client(config).ok()?;
                delete(&client, &name).await.ok()?;
                if has_reaper {
                    end_pods(client, &name).await.ok()?;
                }
                Some(())
            };
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), delete).await.ok() })
        });
        let _ = deletion.join();
    }
}

async fn delete(client: &Client, name: &str) -> Result<(), Error> {
    let namespaces: Api<Object> = Api::all(client.clone());
    match namespaces.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).doing(|| format!("delete namespace {name}")),
    }
}

/// Ends the Pods of a namespace that is being deleted: nobody is left who ends them one by one, and until they are gone
/// the namespace and all else in it stay.
async fn end_pods(client: Client, namespace: &str) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    pods.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await.map(drop)
}
