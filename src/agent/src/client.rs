//! Calls the operator: HTTPS on one kept connection, trusting the workspace's CA file and nothing else.

use std::{sync::Arc, time::Duration};

use rustls::crypto::{CryptoProvider, ring};
use ureq::{
    Agent,
    http::{Response, header},
    tls::{Certificate, RootCerts, TlsConfig},
    unversioned::transport::DefaultConnector,
};

use crate::{
    addresses::Remembered,
    answer::Answer,
    conversation::Call,
    credentials::{self, Credentials},
    settings::Url,
};

const TIMEOUT: Duration = Duration::from_secs(10);
const LARGEST_BODY: u64 = 4 * 1024;
const LARGEST_HEADER: usize = 8 * 1024;
/// Longer than any pause between beats; the operator closes what it doesn't want to keep.
const LONGEST_PAUSE: Duration = Duration::from_hours(2);

/// A call that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    #[error("call {url}")]
    Call { url: String, source: Box<ureq::Error> },
}

/// The operator, as this workspace reaches it.
pub struct Client {
    url: Url,
    credentials: Credentials,
    provider: Arc<CryptoProvider>,
    /// With the certificates it trusts.
    agent: Option<(Vec<Certificate<'static>>, Agent)>,
}

impl Client {
    pub fn new(url: Url, credentials: Credentials) -> Self {
        Self { url, credentials, provider: Arc::new(ring::default_provider()), agent: None }
    }

    /// Makes a call. After a failure the next one looks the address up anew and opens a connection of its own: the
    /// operator may have moved.
    pub fn call(&mut self, call: Call, body: &[u8]) -> Result<Answer, Error> {
        let url = self.url.at(path(call));
        let token = format!("Bearer {}", self.credentials.read_token()?);
        let agent = self.agent()?;
        let sent = agent
            .post(&url)
            .header(header::AUTHORIZATION, token)
            .header(header::CONTENT_TYPE, "application/json")
            .send(body)
            .and_then(|mut response| read(&mut response));
        sent.map_err(|source| {
            if let Some((certificates, agent)) = &mut self.agent {
                *agent = new_agent(&self.provider, certificates);
            }
            Error::Call { url, source: Box::new(source) }
        })
    }

    /// Which token the last call was made with.
    pub fn token_number(&self) -> u64 {
        self.credentials.token_number()
    }

    fn agent(&mut self) -> Result<Agent, Error> {
        let changed = self.credentials.read_changed_ca()?;
        let (certificates, agent) = match (changed, self.agent.take()) {
            (None, Some(kept)) => kept,
            (changed, _) => {
                let certificates = changed.unwrap_or_default();
                let agent = new_agent(&self.provider, &certificates);
                (certificates, agent)
            }
        };
        self.agent = Some((certificates, agent.clone()));
        Ok(agent)
    }
}

fn path(call: Call) -> &'static str {
    match call {
        Call::Register => "/v1/register",
        Call::Heartbeat => "/v1/heartbeat",
    }
}

fn read(response: &mut Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let body = response.body_mut().with_config().limit(LARGEST_BODY).read_to_vec()?;
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Ok(Answer::of(response.status().as_u16(), retry_after, &body))
}

fn new_agent(provider: &Arc<CryptoProvider>, trusted: &[Certificate<'static>]) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(trusted))
        .unversioned_rustls_crypto_provider(Arc::clone(provider))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        // A redirect is an answer like any other that is not understood.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The proxy in the environment is the program's, for its way out of the cluster.
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .max_response_header_size(LARGEST_HEADER)
        .input_buffer_size(LARGEST_HEADER)
        .output_buffer_size(LARGEST_HEADER)
        .max_idle_connections(1)
        .max_idle_age(LONGEST_PAUSE)
        .user_agent(concat!("workspace-agent/", env!("CARGO_PKG_VERSION")))
        .build();
    Agent::with_parts(config, DefaultConnector::new(), Remembered::default())
}
