use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    component::Component,
    error::{Doing, Error},
};

/// Names the repository whose `target/cluster` is used, where the one this crate was built from has moved.
const REPOSITORY_ENV: &str = "TEST_CLUSTER_REPOSITORY";

/// Where everything of the cluster lies, all below `target/cluster` of the repository.
#[derive(Debug, Clone)]
pub struct Layout {
    repository: PathBuf,
}

impl Layout {
    pub fn of_repository() -> Self {
        let compiled_in = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let given = env::var_os(REPOSITORY_ENV).map_or_else(compiled_in, PathBuf::from);
        Self::of(given)
    }

    pub(crate) fn of(repository: PathBuf) -> Self {
        Self { repository: repository.canonicalize().unwrap_or(repository) }
    }

    /// That of the cluster whose `run` this is.
    pub(crate) fn of_run(run: &Path) -> Option<Self> {
        let layout = Self::of(run.ancestors().nth(3)?.to_owned());
        (layout.run() == run).then_some(layout)
    }

    /// The folder with `go.mod` and `go.sum`.
    pub(crate) fn go_module(&self) -> PathBuf {
        self.repository.join("tests/cluster")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.repository.join("target/cluster")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.root().join("kubeconfig")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root().join("lock")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root().join("run")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.run().join("state.json")
    }

    pub(crate) fn certificates(&self) -> PathBuf {
        self.run().join("pki")
    }

    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.run().join("config").join(name)
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.run().join("data").join(name)
    }

    pub(crate) fn pid_file(&self, component: Component) -> PathBuf {
        self.run().join("pids").join(format!("{}.json", component.name()))
    }

    pub fn log(&self, component: Component) -> PathBuf {
        self.run().join("logs").join(format!("{}.log", component.name()))
    }
}

/// Writes a file that others may read at any moment, so never half of it.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    let doing = || format!("write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).doing(doing)?;
    }
    let partial = path.with_extension("partial");
    fs::write(&partial, content).doing(doing)?;
    fs::rename(&partial, path).doing(doing)
}
