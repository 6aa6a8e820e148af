//! What is left on the volume, to be found again.

use test_cluster::NodeKind;

use crate::{
    error::Error,
    screen::{self, chapter},
    seen::expect,
    stage::Stage,
    story::NAME,
};

const PATH: &str = "/workspace/file";
const TEXT: &str = "written before the restart";

/// How a volume is known again.
pub enum Keepsake {
    /// By a file on it.
    File,
    /// By its UID, where no container runs that could write one.
    Volume(String),
}

/// Leaves something on the workspace's volume.
pub async fn leave(stage: &Stage) -> Result<Keepsake, Error> {
    chapter("A file on the volume");
    if stage.nodes == NodeKind::Fake {
        screen::line(
            "Simulated nodes run no containers, so kubectl exec is left out: that the volume stays the same one \
             stands for the file. NODE=real, as root on Linux, shows the file.",
        );
        return Ok(Keepsake::Volume(claim_uid(stage).await?));
    }
    let write = format!("echo {TEXT} > {PATH}");
    stage.kubectl.show(&["exec", NAME, "--", "sh", "-c", &write]).await?;
    let keepsake = Keepsake::File;
    keepsake.is_there(stage).await?;
    Ok(keepsake)
}

impl Keepsake {
    pub async fn is_there(&self, stage: &Stage) -> Result<(), Error> {
        match self {
            Self::File => {
                let read = ["exec", NAME, "--", "cat", PATH];
                stage.kubectl.show(&read).await?;
                let found = stage.kubectl.ask(&read).await?;
                expect(found.trim() == TEXT, "the file is there", || found.clone())
            }
            Self::Volume(uid) => {
                let found = claim_uid(stage).await?;
                expect(found == *uid, "the volume is the same", || found.clone())
            }
        }
    }
}

/// Which volume claim the workspace has.
pub async fn claim_uid(stage: &Stage) -> Result<String, Error> {
    let claim = stage.kubectl.json(&["get", "pvc", NAME]).await?;
    Ok(claim["metadata"]["uid"].as_str().unwrap_or_default().to_owned())
}
