use std::{fs, path::Path, time::Duration};

use futures::future::try_join_all;

use crate::{
    access,
    component::Component,
    error::{Doing, Error},
    layout::Layout,
    lock::Lock,
    node_kind::{NodeKind, NodeKinds},
    process::{self, Process},
    progress::Progress,
    real_node::{
        firewall,
        holder::{Abandoned, Evidence},
        host, remains,
    },
    setup::Setup,
    state::State,
    volumes, wait,
};

const CGROUP_LIMIT: Duration = Duration::from_secs(5);

/// Ends the cluster and removes all that it made, except the built programs; tells what that was.
pub async fn down(layout: &Layout) -> Result<Vec<String>, Error> {
    if access::is_own_cluster() {
        return Ok(Vec::new());
    }
    let _lock = Lock::take(layout).await?;
    let evidence = Evidence::gather(layout);
    let had_real_node = evidence.speaks_for(&layout.run());
    let mut removed = end_components(layout).await?;
    if had_real_node {
        if !NodeKinds::default_here().includes(NodeKind::Real) {
            return Err(Error::NotRoot);
        }
        removed.extend(remove_real_node(layout, evidence.state.as_ref()).await?);
    }
    volumes::unlink(layout)?;
    for path in [layout.run(), layout.kubeconfig()] {
        if path.exists() {
            remove(&path)?;
            removed.push(path.display().to_string());
        }
    }
    let what = left_behind(layout, had_real_node).await?;
    if what.is_empty() { Ok(removed) } else { Err(Error::LeftBehind { what }) }
}

/// Removes from the machine what an abandoned cluster left there; its own folder stays.
pub(crate) async fn clear(abandoned: &Abandoned) -> Result<Vec<String>, Error> {
    let Abandoned { layout, .. } = abandoned;
    let mut removed = end_components(layout).await?;
    removed.extend(remove_real_node(layout, State::read(layout).as_ref()).await?);
    Ok(removed)
}

async fn end_components(layout: &Layout) -> Result<Vec<String>, Error> {
    Progress::say("ending all components");
    // The API server is done at once when nobody watches any more, and it writes to etcd until then.
    // A containerd that still ran would clean up after each container that is killed.
    let (servers, clients): (Vec<_>, Vec<_>) = Component::ALL
        .into_iter()
        .partition(|component| matches!(component, Component::Etcd | Component::ApiServer));
    let mut removed = end_together(layout, &clients).await?;
    for server in servers.into_iter().rev() {
        removed.extend(end_together(layout, &[server]).await?);
    }
    // Those whose pid file was lost.
    for (stray, name) in strays(layout) {
        stray.end().await?;
        removed.push(format!("{name} without a pid file"));
    }
    let containers = remains::container_processes(&layout.run());
    if !containers.is_empty() {
        removed.push(format!("{} container processes", containers.len()));
    }
    try_join_all(containers.iter().map(Process::kill)).await?;
    Ok(removed)
}

async fn end_together(layout: &Layout, components: &[Component]) -> Result<Vec<String>, Error> {
    let ended = try_join_all(components.iter().map(|&component| async move {
        let was_running = Setup::end(layout, component).await?;
        Ok::<_, Error>(was_running.then(|| component.name().to_owned()))
    }));
    Ok(ended.await?.into_iter().flatten().collect())
}

/// Processes that can only be ours: run from our programs' folder, or a containerd of our configuration.
fn strays(layout: &Layout) -> Vec<(Process, String)> {
    let (programs, run) = (layout.root(), layout.run().display().to_string());
    process::all()
        .into_iter()
        .filter_map(|(process, executable, command)| {
            let name = executable.file_name()?.to_string_lossy().into_owned();
            let is_ours = executable.starts_with(&programs)
                || (name == Component::Containerd.name() && command.contains(&run));
            is_ours.then_some((process, name))
        })
        .collect()
}

async fn remove_real_node(layout: &Layout, state: Option<&State>) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let mounts = remains::unmount_below(&layout.run())?;
    if mounts > 0 {
        removed.push(format!("{mounts} mounts"));
    }
    if host::has_bridge() {
        host::remove_bridge().await?;
        removed.push("the bridge".into());
    }
    let rules = firewall::clear().await?;
    if rules > 0 {
        removed.push(format!("{rules} packet filter rules and chains"));
    }
    remains::remove_stray_files(&layout.run());
    wait::until("the control groups of ended containers", CGROUP_LIMIT, || async {
        remains::remove_cgroups();
        Ok(remains::cgroups().is_empty().then_some(()))
    })
    .await?;
    if let Some(before) = state.and_then(|state| state.ip_forward_before.as_deref()) {
        host::set_ip_forward(before)?;
    }
    Ok(removed)
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.doing(|| format!("remove {}", path.display()))
}

async fn left_behind(layout: &Layout, had_real_node: bool) -> Result<Vec<String>, Error> {
    let mut what: Vec<String> =
        strays(layout).into_iter().map(|(p, name)| format!("process {} {name}", p.pid)).collect();
    let containers = remains::container_processes(&layout.run());
    what.extend(containers.iter().map(|process| format!("container process {}", process.pid)));
    what.extend(remains::mounts_below(&layout.run()).iter().map(|path| format!("mount {}", path.display())));
    if had_real_node {
        if host::has_bridge() {
            what.push("the bridge".into());
        }
        what.extend(firewall::remaining().await?);
        what.extend(remains::cgroups().iter().map(|path| format!("control group {}", path.display())));
    }
    Ok(what)
}
