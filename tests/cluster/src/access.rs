//! How the cluster is reached: kubeconfig and client.

use std::path::Path;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::error::{Doing, Error};

/// Sets to `own`, it makes the harness use the cluster that KUBECONFIG names, and never change it.
const CLUSTER_ENV: &str = "CLUSTER";

/// Whether the caller brought a cluster: one that has neither our nodes nor our images.
pub fn is_own_cluster() -> bool {
    std::env::var(CLUSTER_ENV).is_ok_and(|value| value == "own")
}

pub(crate) async fn config(kubeconfig: &Path) -> Result<Config, Error> {
    let failed = |source| Error::Kubeconfig { path: kubeconfig.to_owned(), source: Box::new(source) };
    let read = Kubeconfig::read_from(kubeconfig).map_err(failed)?;
    Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(failed)
}

/// A client of the runtime that calls: its connections live as long as that.
pub(crate) fn client(config: Config) -> Result<Client, Error> {
    // Fails only where one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_from(config).doing(|| "make a client of the cluster".into())
}
