//! The certificates of the registration port: what it is served with, and what clients trust. Either the operator's
//! own, made and rotated here, or those of a Secret that somebody else looks after, such as cert-manager.
//!
//! The promise of a rotation is in `certificates/plan.rs`: a client that has either the newest bundle or the one before trusts what
//! is served.

mod credentials;
mod given;
mod issue;
mod keeper;
mod name;
mod own;
mod plan;
mod private_key;
mod stored;
mod tls;
mod x509;

#[cfg(test)]
mod rotation_tests;

pub use credentials::Unusable;
pub use keeper::Keeper;

/// What clients trust: certificates of CAs in PEM.
const BUNDLE: &str = "ca.crt";
/// The keys of our own CAs, in PEM; each belongs to the certificate with its public key.
const AUTHORITY_KEYS: &str = "ca.key";
/// What is served.
const CERTIFICATE: &str = "tls.crt";
/// The key of what is served.
const KEY: &str = "tls.key";

/// Where the certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Our own CA, for these DNS names and IP addresses.
    Own { names: Vec<String> },
    /// A Secret of the operator's namespace, which is only read.
    Given { secret: String },
}

/// The certificates could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator may not read or write the Secret, or the API server failed.
    #[error("{verb} Secret {namespace}/{name}: the operator needs the right to {rights} it")]
    Call {
        verb: &'static str,
        namespace: String,
        name: String,
        rights: &'static str,
        source: Box<kube::Error>,
    },
    /// Each time it was to be written, somebody else had written it.
    #[error("update Secret {namespace}/{name}: others kept changing it")]
    Contended { namespace: String, name: String },
    /// What it holds can't be served.
    #[error("reading the certificates in Secret {namespace}/{name}")]
    Unusable { namespace: String, name: String, source: Unusable },
    /// No certificate can be made for it.
    #[error("making a certificate for {name:?}: it is neither a DNS name nor an IP address")]
    Name { name: String },
    /// Making one failed.
    #[error("making a certificate for the registration port")]
    Issue { source: rcgen::Error },
    /// The TLS library refused its set-up.
    #[error("setting up TLS for the registration port")]
    Tls { source: rustls::Error },
}
