use std::{io, path::PathBuf, time::Duration};

/// Why the cluster could not be brought up, used or taken down.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    #[error("run `{command}`: {outcome}\n{output}")]
    Command { command: String, outcome: String, output: String },
    #[error("{component} {problem}; the end of {}:\n{tail}", log.display())]
    Component { component: &'static str, problem: String, log: PathBuf, tail: String },
    #[error("waited {} s for {awaited}, in vain", limit.as_secs())]
    Timeout { awaited: String, limit: Duration },
    #[error("install these packages for a real node: {}", packages.join(" "))]
    MissingPackages { packages: Vec<&'static str> },
    #[error("a real node needs root on Linux; NODE=fake needs neither")]
    NotRoot,
    #[error("the real node of this machine is that of {}; take that cluster down first", holder.display())]
    RealNodeTaken { holder: PathBuf },
    #[error("the path {} is too long for a socket; use a shorter folder", path.display())]
    SocketPath { path: PathBuf },
    #[error("no free port in {first}..{last} for {purpose}")]
    NoPort { purpose: &'static str, first: u16, last: u16 },
    #[error("{what} is not possible on a cluster that is not ours (CLUSTER=own)")]
    NotOurs { what: &'static str },
    #[error("no cluster is up: run `make cluster-up`")]
    NotUp,
    #[error("{doing}")]
    Certificate {
        doing: String,
        #[source]
        source: rcgen::Error,
    },
    #[error("{doing}")]
    Kube {
        doing: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("read kubeconfig {}", path.display())]
    Kubeconfig {
        path: PathBuf,
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    #[error("parse {what}: {reason}")]
    Parse { what: String, reason: String },
    #[error("still there after tear-down:\n{}", what.join("\n"))]
    LeftBehind { what: Vec<String> },
}

/// Says on which object a call failed, where the error itself does not.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, io::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { doing: what(), source })
    }
}

impl<T> Doing<T> for Result<T, kube::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Kube { doing: what(), source: Box::new(source) })
    }
}

impl<T> Doing<T> for Result<T, rcgen::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Certificate { doing: what(), source })
    }
}
