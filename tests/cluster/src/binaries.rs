//! The programs of the cluster: built once from `go.mod` and `go.sum`, then kept under a name made of both.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::process::Command;

use crate::{
    component::Component,
    digest,
    error::{Doing, Error},
    layout::Layout,
    node_kind::NodeKinds,
    progress::Progress,
};

/// The ecosystem's name for a folder that already holds kube-apiserver and etcd.
const ASSETS_ENV: &str = "KUBEBUILDER_ASSETS";
const SAY_EVERY: Duration = Duration::from_secs(15);

/// Where each component's program lies.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    built: PathBuf,
    assets: Option<PathBuf>,
}

impl Binaries {
    pub(crate) fn locate(layout: &Layout) -> Result<Self, Error> {
        let module = layout.go_module();
        let read = |name: &str| {
            let path = module.join(name);
            fs::read(&path).doing(|| format!("read {}", path.display()))
        };
        let built = layout.root().join(folder_name(&read("go.mod")?, &read("go.sum")?));
        let assets = env::var_os(ASSETS_ENV)
            .map(PathBuf::from)
            .filter(|folder| folder.join("kube-apiserver").is_file() && folder.join("etcd").is_file());
        Ok(Self { built, assets })
    }

    pub(crate) fn path(&self, component: Component) -> PathBuf {
        match (component, &self.assets) {
            (Component::Etcd | Component::ApiServer, Some(assets)) => assets.join(component.name()),
            (Component::Containerd, _) => PathBuf::from(component.name()),
            _ => self.built.join(component.built_file()),
        }
    }

    /// Builds what `nodes` need and is not there yet.
    pub(crate) async fn build_missing(&self, layout: &Layout, nodes: NodeKinds) -> Result<(), Error> {
        let missing: Vec<Component> = Component::ALL
            .into_iter()
            .filter(|c| c.is_needed_for(nodes) && c.go_package().is_some() && !self.path(*c).is_file())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = missing.iter().map(|c| c.name()).collect();
        Progress::say(&format!("building {} (minutes the first time)", names.join(", ")));
        // A linker that is interrupted leaves half a program: only whole ones get their place.
        let partial = self.built.with_extension("partial");
        fs::create_dir_all(&partial).doing(|| format!("create {}", partial.display()))?;
        go_build(&layout.go_module(), &partial, &missing).await?;
        fs::create_dir_all(&self.built).doing(|| format!("create {}", self.built.display()))?;
        for component in missing {
            let place = self.path(component);
            fs::rename(partial.join(component.built_file()), &place)
                .doing(|| format!("move {} to its place", place.display()))?;
        }
        fs::remove_dir_all(&partial).doing(|| format!("remove {}", partial.display()))
    }
}

fn folder_name(go_mod: &[u8], go_sum: &[u8]) -> String {
    format!("build-{:.16}", digest::sha256([go_mod, go_sum]))
}

/// Clients refuse a server that does not tell its version, and only the linker can set it.
fn version_flags(go_mod: &str) -> String {
    let version = go_mod
        .lines()
        .filter_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"))
        .find_map(|rest| rest.split_whitespace().next())
        .unwrap_or("0.0.0");
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
}

async fn go_build(module: &Path, output: &Path, components: &[Component]) -> Result<(), Error> {
    let go_mod = module.join("go.mod");
    let go_mod = fs::read_to_string(&go_mod).doing(|| format!("read {}", go_mod.display()))?;
    let building = Command::new("go")
        .current_dir(module)
        .args(["build", "-trimpath", "-ldflags", &version_flags(&go_mod), "-o"])
        .arg(output.join(""))
        .args(components.iter().filter_map(|c| c.go_package()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .doing(|| "run go build (is Go installed?)".into())?
        .wait_with_output();
    let mut building = std::pin::pin!(building);
    let began = Instant::now();
    let output = loop {
        match tokio::time::timeout(SAY_EVERY, &mut building).await {
            Ok(ended) => break ended.doing(|| "run go build".into())?,
            Err(_) => Progress::say(&format!("still building ({} s)", began.elapsed().as_secs())),
        }
    };
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: "go build".into(),
        outcome: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_named_by_the_first_sixteen_digits_of_both_files_digest() {
        // printf ab | sha256sum
        assert_eq!(folder_name(b"a", b"b"), "build-fb8e20fc2e4c3f24");
        assert_eq!(folder_name(b"ab", b""), folder_name(b"a", b"b"));
        assert_ne!(folder_name(b"a", b"c"), folder_name(b"a", b"b"));
    }

    #[test]
    fn the_version_told_to_clients_is_the_one_in_go_mod() {
        let flags = version_flags("require (\n\tk8s.io/kubernetes v1.37.2\n)\n");
        assert!(flags.contains("gitVersion=v1.37.2"), "{flags}");
        assert!(flags.contains("gitMajor=1") && flags.contains("gitMinor=37"), "{flags}");
    }

    #[test]
    fn every_go_package_is_a_tool_of_the_module() {
        let go_mod = include_str!("../go.mod");
        for package in Component::ALL.into_iter().filter_map(Component::go_package) {
            assert!(go_mod.lines().any(|line| line.trim() == package), "{package}");
        }
    }
}
