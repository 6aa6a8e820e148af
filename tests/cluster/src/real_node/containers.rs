//! The containers of the real node, as containerd knows them: before the kubelet tells of them, and without it.

use std::path::Path;

use crate::{command, error::Error};

/// Kills the first process of a Pod's container. False where none runs.
pub(crate) async fn kill(socket: &Path, pod_uid: &str, container: &str) -> Result<bool, Error> {
    let socket = socket.display().to_string();
    let ours = ["--address", &socket, "--namespace", "k8s.io"];
    let filter = format!(
        "labels.\"io.kubernetes.pod.uid\"=={pod_uid},labels.\"io.kubernetes.container.name\"=={container}"
    );
    let list = [&ours[..], &["containers", "list", "--quiet", &filter]].concat();
    let mut is_killed = false;
    for id in command::run("ctr", &list).await?.lines() {
        let kill = [&ours[..], &["tasks", "kill", "--signal", "SIGKILL", id]].concat();
        // Fails for one that has not begun or has ended, of which there is one for each restart.
        is_killed |= command::run("ctr", &kill).await.is_ok();
    }
    Ok(is_killed)
}
