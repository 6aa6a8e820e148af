use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client};

use crate::{
    access,
    certificates::{Identity, REAL_NODE},
    component::Component,
    error::{Doing, Error},
    fake_node, health, images,
    layout::{self, Layout},
    lock::Lock,
    node_kind::{NodeKind, NodeKinds},
    progress::Progress,
    real_node::{self, configuration::socket, holder, host, packages},
    setup::Setup,
    state::State,
    tear_down, volumes, wait,
};

const NODE_LIMIT: Duration = Duration::from_secs(90);
const SERVICE_ACCOUNT_LIMIT: Duration = Duration::from_mins(1);
const ALREADY_UP_LIMIT: Duration = Duration::from_secs(3);

/// Makes the cluster have the wanted nodes: from nothing, from one that lacks some, or by finding all well.
pub(crate) async fn bring_up(layout: &Layout, wanted: NodeKinds) -> Result<(), Error> {
    let _lock = Lock::take(layout).await?;
    let mut setup = planned(layout, wanted)?;
    if is_up(&setup).await {
        return Ok(());
    }
    let real = setup.state.nodes.includes(NodeKind::Real);
    if real {
        if !NodeKinds::default_here().includes(NodeKind::Real) {
            return Err(Error::NotRoot);
        }
        if let Some(abandoned) = holder::abandoned(&layout.run())? {
            let removed = tear_down::clear(&abandoned).await?.join(", ");
            Progress::say(&format!("removed what {} left: {removed}", abandoned.layout.run().display()));
        }
        packages::ensure().await?;
    }
    setup.binaries.build_missing(layout, setup.state.nodes).await?;
    if real && setup.state.ip_forward_before.is_none() {
        setup.state.ip_forward_before = Some(host::ip_forward()?);
    }
    setup.state.write(layout)?;
    setup.write_files()?;
    let kubeconfig = setup.certificates.kubeconfig(Identity::Admin, &setup.server())?;
    layout::write(&layout.kubeconfig(), kubeconfig)?;
    volumes::link(layout)?;
    if real {
        host::make_bridge(&layout.run()).await?;
    }

    start_all(&setup).await?;
    setup.state.ready = Some(setup.state.nodes);
    setup.state.write(layout)?;
    Progress::say(&format!("the cluster is up; kubeconfig: {}", layout.kubeconfig().display()));
    Ok(())
}

/// What is up already and what is wanted, together.
fn planned(layout: &Layout, wanted: NodeKinds) -> Result<Setup, Error> {
    let state = match State::read(layout) {
        Some(state) => State { nodes: state.ready.map_or(wanted, |ready| ready.and(wanted)), ..state },
        None => State::new(wanted)?,
    };
    Setup::new(layout.clone(), state)
}

async fn is_up(setup: &Setup) -> bool {
    if !setup.state.ready.is_some_and(|ready| ready.include(setup.state.nodes)) {
        return false;
    }
    // Configuration made by another version of this harness must be seen to differ.
    if setup.write_files().is_err() || !setup.components().all(|component| setup.is_running(component)) {
        return false;
    }
    let Ok(config) = access::config(&setup.layout.kubeconfig()).await else { return false };
    let Ok(client) = access::client(config) else { return false };
    tokio::time::timeout(ALREADY_UP_LIMIT, health::api_is_ready(&client)).await.unwrap_or(false)
}

async fn start_all(setup: &Setup) -> Result<(), Error> {
    let real = setup.state.nodes.includes(NodeKind::Real);
    setup.start(Component::Etcd).await?;
    if real {
        setup.start(Component::Containerd).await?;
    }
    setup.answering(Component::Etcd).await?;
    setup.start(Component::ApiServer).await?;
    let images = async {
        if real {
            setup.answering(Component::Containerd).await?;
            for image in images::preloaded()? {
                images::import(&socket(setup), &setup.layout.data("images"), &image).await?;
            }
        }
        Ok(())
    };
    tokio::try_join!(setup.answering(Component::ApiServer), images)?;

    let client = access::client(access::config(&setup.layout.kubeconfig()).await?)?;
    for component in setup.components() {
        setup.start(component).await?;
    }
    volumes::register_class(&client).await?;
    if setup.state.nodes.includes(NodeKind::Fake) {
        fake_node::register(&client).await?;
    }
    if real {
        real_node::register_dns(&client).await?;
    }
    try_join_all(setup.components().map(|component| setup.answering(component))).await?;
    Progress::say("waiting for nodes and service accounts");
    tokio::try_join!(nodes_ready(setup, &client), service_account_exists(setup, &client))?;
    Ok(())
}

async fn nodes_ready(setup: &Setup, client: &Client) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let fake = setup.state.nodes.includes(NodeKind::Fake).then_some((&fake_node::NAMES[..], Component::Kwok));
    let real = setup.state.nodes.includes(NodeKind::Real).then_some((&[REAL_NODE][..], Component::Kubelet));
    for (names, component) in fake.into_iter().chain(real) {
        for &name in names {
            let nodes = &nodes;
            let ready = wait::until(name, NODE_LIMIT, || async move {
                if !setup.is_running(component) {
                    return Err(setup.failed(component, "has ended".into()));
                }
                let node = nodes.get_opt(name).await.doing(|| format!("read node {name}"))?;
                Ok(node.filter(takes_pods).map(drop))
            });
            // The node's own component tells why it is not ready.
            ready.await.map_err(|error| match error {
                Error::Timeout { .. } => setup.failed(component, format!("did not make node {name} ready")),
                other => other,
            })?;
        }
    }
    Ok(())
}

fn takes_pods(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True");
    let is_tainted = node.spec.as_ref().is_some_and(|spec| spec.taints.iter().flatten().count() > 0);
    is_ready && !is_tainted
}

async fn service_account_exists(setup: &Setup, client: &Client) -> Result<(), Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let accounts = &accounts;
    let found = wait::until("the default service account", SERVICE_ACCOUNT_LIMIT, || async move {
        let account =
            accounts.get_opt("default").await.doing(|| "read the default service account".into())?;
        Ok(account.map(drop))
    });
    found.await.map_err(|error| match error {
        Error::Timeout { .. } => {
            setup.failed(Component::ControllerManager, "made no default service account".into())
        }
        other => other,
    })
}
