//! Token and certificates, read from their files for every call: the kubelet renews the one and the operator rotates
//! the other while this process runs.

use std::{fs, io, path::PathBuf};

use ureq::tls::{Certificate, PemItem, parse_pem};

/// A file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no token", path.display())]
    NoToken { path: PathBuf },
    #[error("{} holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
}

/// What the files held last.
pub struct Credentials {
    token_file: PathBuf,
    ca_file: PathBuf,
    token: String,
    /// How many tokens there were.
    tokens: u64,
    ca: Vec<u8>,
}

impl Credentials {
    pub fn new(token_file: PathBuf, ca_file: PathBuf) -> Self {
        Self { token_file, ca_file, token: String::new(), tokens: 0, ca: Vec::new() }
    }

    /// Reads the token.
    pub fn read_token(&mut self) -> Result<&str, Error> {
        let path = || self.token_file.clone();
        let text =
            fs::read_to_string(&self.token_file).map_err(|source| Error::Read { path: path(), source })?;
        let token = text.trim();
        if token.is_empty() {
            return Err(Error::NoToken { path: path() });
        }
        if token != self.token {
            token.clone_into(&mut self.token);
            self.tokens += 1;
        }
        Ok(&self.token)
    }

    /// Which token was read last: a number that another token changes.
    pub fn token_number(&self) -> u64 {
        self.tokens
    }

    /// The certificates, if they are others than last time. Of a file that changes while it is read nothing is kept.
    pub fn read_changed_ca(&mut self) -> Result<Option<Vec<Certificate<'static>>>, Error> {
        let path = || self.ca_file.clone();
        let ca = fs::read(&self.ca_file).map_err(|source| Error::Read { path: path(), source })?;
        if ca == self.ca {
            return Ok(None);
        }
        let certificates: Vec<_> = parse_pem(&ca)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            return Err(Error::NoCertificate { path: path() });
        }
        self.ca = ca;
        Ok(Some(certificates))
    }
}
