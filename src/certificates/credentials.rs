//! What the port is served with and what clients trust, wherever it came from, checked.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};

use super::{BUNDLE, CERTIFICATE, KEY, tls, x509};

/// What is in a Secret can't be served.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the entry {entry:?} is missing")]
    Missing { entry: &'static str },
    #[error("the entry {entry:?} has something other than certificates in PEM")]
    Unreadable { entry: &'static str },
    // No cause: it would be about what a secret looks like.
    #[error("the entry {KEY:?} is not the key of the first certificate of {CERTIFICATE:?}")]
    Key,
    #[error("the entry {BUNDLE:?} is missing, and the last certificate of {CERTIFICATE:?} is not of a CA")]
    NoAuthority,
    #[error("a certificate of the CAs")]
    Authority { source: rustls::Error },
}

/// Ready for use.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub certified: Arc<CertifiedKey>,
    pub roots: Arc<RootCertStore>,
    /// The roots as Pods are given them.
    pub bundle: Arc<str>,
}

impl Credentials {
    /// Of a chain with the key of its first certificate, and the CAs that clients trust.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, Unusable> {
        let certified = CertifiedKey::from_der(chain, key, &tls::provider()).map_err(|_| Unusable::Key)?;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority.clone()).map_err(|source| Unusable::Authority { source })?;
        }
        let bundle = x509::to_pem(authorities).into();
        Ok(Self { certified: Arc::new(certified), roots: Arc::new(roots), bundle })
    }
}
