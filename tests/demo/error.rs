use std::io;

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not as said: {claim}; instead: {found}")]
    NotAsSaid { claim: String, found: String },
    #[error("`{command}` failed: {output}")]
    Command { command: String, output: String },
    #[error("`{command}` took longer than {seconds} s")]
    TimedOut { command: String, seconds: u64 },
    #[error("kubectl is missing: the demo shows its commands, so it has to be in the PATH")]
    NoKubectl,
    #[error("the operator ended by itself: {outcome}")]
    OperatorEnded { outcome: String },
    #[error("interrupted")]
    Interrupted,
    #[error("bring up the cluster")]
    Cluster(#[from] test_cluster::Error),
    #[error("read what `{command}` printed")]
    Json {
        command: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{doing}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
}

/// Says what was attempted, where the error itself does not.
pub trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { doing: what(), source })
    }
}
