//! What etcd holds, kept aside, and put back as its documentation says for clusters whose clients have caches: under
//! revisions that nobody has seen yet, with all before them compacted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    command,
    error::{Doing, Error},
    layout::Layout,
    network,
    setup::Setup,
};

/// More revisions than any test makes between a snapshot and its restoration.
const BUMP: u64 = 1_000_000_000;

/// A copy of etcd's database.
#[derive(Debug, Clone)]
pub struct EtcdSnapshot(PathBuf);

/// Copies the database of an etcd that has ended.
pub(crate) fn take(layout: &Layout) -> Result<EtcdSnapshot, Error> {
    let copy = layout.data("etcd-snapshot.db");
    let database = layout.data("etcd").join("member/snap/db");
    fs::copy(&database, &copy).doing(|| format!("copy {}", database.display()))?;
    Ok(EtcdSnapshot(copy))
}

/// Gives an etcd that has ended the data of `snapshot` in place of its own.
pub(crate) async fn restore(setup: &Setup, snapshot: &EtcdSnapshot) -> Result<(), Error> {
    let program = etcdutl(&setup.layout).await?;
    let data = setup.layout.data("etcd");
    fs::remove_dir_all(&data).doing(|| format!("remove {}", data.display()))?;
    let peer = format!("http://{}:{}", network::LOOPBACK, setup.state.ports.etcd_peer);
    let arguments = [
        "snapshot".to_owned(),
        "restore".to_owned(),
        snapshot.0.display().to_string(),
        format!("--data-dir={}", data.display()),
        "--name=test-cluster".to_owned(),
        format!("--initial-cluster=test-cluster={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        "--skip-hash-check".to_owned(),
        format!("--bump-revision={BUMP}"),
        "--mark-compacted".to_owned(),
    ];
    command::run(&program.display().to_string(), &arguments).await.map(drop)
}

/// Built when it is first needed, from a module of its own: nothing else needs it.
async fn etcdutl(layout: &Layout) -> Result<PathBuf, Error> {
    let program = layout.root().join("etcdutl");
    if !program.is_file() {
        let module = layout.go_module().join("etcdutl");
        let arguments = ["-C", &text(&module), "build", "-trimpath", "-o", &text(&program), "tool"];
        command::run("go", &arguments).await?;
    }
    Ok(program)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
