//! TLS as both ends of the registration port speak it.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::UnixTime,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};

use crate::{context::Clock, lock::lock};

const ALPN: &[u8] = b"http/1.1";

/// Named at each use: the process may have another default, or none.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The newest certificate. It can be exchanged under a listener, and open connections don't notice.
pub struct Served(Mutex<Arc<CertifiedKey>>);

impl Served {
    pub fn new(certified: Arc<CertifiedKey>) -> Self {
        Self(Mutex::new(certified))
    }

    pub fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&lock(&self.0))
    }

    pub fn exchange(&self, certified: Arc<CertifiedKey>) {
        *lock(&self.0) = certified;
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Served")
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// For the port.
pub fn server(served: Arc<Served>, clock: &Clock) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_details(provider(), time(clock))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(served);
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// For a client that trusts these CAs.
pub fn client(roots: Arc<RootCertStore>, clock: &Clock) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_details(provider(), time(clock))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

struct Time(Clock);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        (self.0)().duration_since(jiff::Timestamp::UNIX_EPOCH).try_into().ok().map(UnixTime::since_unix_epoch)
    }
}

fn time(clock: &Clock) -> Arc<dyn TimeProvider> {
    Arc::new(Time(Arc::clone(clock)))
}
