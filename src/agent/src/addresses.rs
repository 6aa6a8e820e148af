//! The operator's addresses, looked up once for each client. By itself the client would ask the DNS for every call,
//! also where the connection is open already: thousands of workspaces would ask it all the time.

use std::sync::{Mutex, PoisonError};

use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// Looks up and remembers. There is only one host to remember.
#[derive(Debug, Default)]
pub struct Remembered {
    lookup: DefaultResolver,
    known: Mutex<Option<ResolvedSocketAddrs>>,
}

impl Resolver for Remembered {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(addresses) = known.as_ref() {
            return Ok(addresses.clone());
        }
        let addresses = self.lookup.resolve(uri, config, timeout)?;
        *known = Some(addresses.clone());
        Ok(addresses)
    }
}
