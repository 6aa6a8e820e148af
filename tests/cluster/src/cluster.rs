use std::{
    env,
    path::{Path, PathBuf},
};

use kube::{Client, Config};
use serde_json::Value;

use crate::{
    access, agent, bring_up,
    component::Component,
    custom_resources,
    error::Error,
    etcd_snapshot::{self, EtcdSnapshot},
    fake_node, health,
    images::{self, Image},
    layout::Layout,
    lock::Lock,
    namespace::Namespace,
    node_kind::{NodeKind, NodeKinds},
    process,
    real_node::{configuration::socket, containers},
    service_account_token,
    setup::Setup,
    state::State,
    volumes,
};

/// A cluster that is up. Shared by all who use it: take a [`Namespace`] each.
#[derive(Clone)]
pub struct Cluster {
    layout: Layout,
    own: bool,
    kubeconfig: PathBuf,
    config: Config,
}

impl Cluster {
    /// Uses the running cluster, brings it up, or adds the nodes that it lacks.
    pub async fn up(nodes: impl Into<NodeKinds>) -> Result<Self, Error> {
        let layout = Layout::of_repository();
        let own = access::is_own_cluster();
        let kubeconfig = if own { own_kubeconfig() } else { layout.kubeconfig() };
        if !own {
            bring_up::bring_up(&layout, nodes.into()).await?;
        }
        let config = access::config(&kubeconfig).await?;
        let cluster = Self { layout, own, kubeconfig, config };
        if own && !health::api_is_ready(&cluster.client()?).await {
            return Err(Error::NotUp);
        }
        Ok(cluster)
    }

    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// The administrator's access, to make clients of other identities from.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// An administrator's client. Each runtime needs its own: connections end with their runtime.
    pub fn client(&self) -> Result<Client, Error> {
        access::client(self.config.clone())
    }

    /// Applies every object in the YAML files of `folder` and waits until each kind defined there is served.
    pub async fn install_crds(&self, folder: &Path) -> Result<(), Error> {
        custom_resources::install(&self.client()?, folder).await
    }

    /// A namespace of the caller's own, whose Pods run on nodes of this kind.
    pub async fn namespace(&self, prefix: &str, nodes: NodeKind) -> Result<Namespace, Error> {
        Namespace::create(self.config.clone(), prefix, nodes).await
    }

    /// Makes a volume of the real node for the claim `name` of `namespace`, and tells the class to ask for. The Pod's
    /// `fsGroup` may write to it.
    pub async fn local_volume(&self, namespace: &str, name: &str) -> Result<String, Error> {
        self.setup("making a volume on the node's disk")?;
        volumes::make_local(&self.client()?, &self.layout, namespace, name).await
    }

    /// Makes an image available to Pods of the real node.
    pub async fn import_image(&self, image: &Image) -> Result<(), Error> {
        let setup = self.setup("importing an image")?;
        images::import(&socket(&setup), &self.layout.data("images"), image).await
    }

    /// Makes [`images::AGENT`] available to Pods of the real node, as this repository's sources have it now. Takes a
    /// minute the first time.
    pub async fn provide_agent(&self) -> Result<(), Error> {
        agent::provide(&self.setup("importing an image")?).await
    }

    /// Kills what runs in a container of the real node, as the kernel would, and tells whether there was anything.
    pub async fn kill_container(&self, pod_uid: &str, container: &str) -> Result<bool, Error> {
        containers::kill(&socket(&self.setup("killing a container")?), pod_uid, container).await
    }

    /// A service account's token with these claims, by the key that the API server signs with.
    pub fn sign_token(&self, claims: &Value) -> Result<String, Error> {
        service_account_token::sign(&self.setup("signing a token")?.certificates, claims)
    }

    /// Ends a component in order. Any other process that calls [`Cluster::up`] meanwhile starts it again.
    pub async fn stop(&self, component: Component) -> Result<(), Error> {
        self.setup("stopping a component")?;
        let _lock = Lock::take(&self.layout).await?;
        Setup::end(&self.layout, component).await.map(drop)
    }

    /// Ends a component as a crash would.
    pub async fn kill(&self, component: Component) -> Result<(), Error> {
        self.setup("killing a component")?;
        let _lock = Lock::take(&self.layout).await?;
        match process::recorded(&self.layout.pid_file(component)) {
            Some(started) => started.process.kill().await,
            None => Ok(()),
        }
    }

    /// Starts a stopped component and waits until it answers.
    pub async fn start(&self, component: Component) -> Result<(), Error> {
        let setup = self.setup("starting a component")?;
        let _lock = Lock::take(&self.layout).await?;
        setup.start(component).await?;
        setup.answering(component).await
    }

    /// Keeps what the cluster is now. It does not answer meanwhile.
    pub async fn snapshot(&self) -> Result<EtcdSnapshot, Error> {
        let setup = self.setup("copying its data")?;
        self.stop(Component::ApiServer).await?;
        self.stop(Component::Etcd).await?;
        let snapshot = etcd_snapshot::take(&setup.layout)?;
        self.start(Component::Etcd).await?;
        self.start(Component::ApiServer).await?;
        Ok(snapshot)
    }

    /// Makes the cluster what it was then. It does not answer meanwhile.
    pub async fn restore(&self, snapshot: &EtcdSnapshot) -> Result<(), Error> {
        let setup = self.setup("restoring its data")?;
        self.stop(Component::ApiServer).await?;
        self.stop(Component::Etcd).await?;
        etcd_snapshot::restore(&setup, snapshot).await?;
        self.start(Component::Etcd).await?;
        self.start(Component::ApiServer).await
    }

    /// From here on a fake node is silent, as one whose machine is lost, until [`Cluster::return_node`].
    pub async fn lose_node(&self, name: &str) -> Result<(), Error> {
        fake_node::manage(&self.client()?, name, false).await
    }

    /// The fake node is heard again.
    pub async fn return_node(&self, name: &str) -> Result<(), Error> {
        fake_node::manage(&self.client()?, name, true).await
    }

    fn setup(&self, what: &'static str) -> Result<Setup, Error> {
        if self.own {
            return Err(Error::NotOurs { what });
        }
        let state = State::read(&self.layout).ok_or(Error::NotUp)?;
        Setup::new(self.layout.clone(), state)
    }
}

fn own_kubeconfig() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".kube/config");
    env::var_os("KUBECONFIG").map_or_else(home, PathBuf::from)
}
