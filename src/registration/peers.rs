//! The other replicas: who does not lead passes heartbeats on to the leader, who judges them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderValue, Request, Response, Uri, header, uri::Authority};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, pki_types::ServerName};

use crate::{
    certificates::Keeper,
    election::{Leader, Leadership},
    lock::lock,
};

use super::{Answer, request::MOST_BYTES};

/// Marks a request that was passed on: it is not passed on once more, whoever leads by then.
pub const PASSED_ON: &str = "workspaces-passed-on";

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The other replicas.
pub struct Peers {
    leadership: Leadership,
    /// The name of every replica's certificate.
    name: Option<ServerName<'static>>,
    keeper: Arc<Keeper>,
    /// A client, and the trust it was made with.
    client: Mutex<Option<(Arc<ClientConfig>, Https)>>,
}

/// Who a heartbeat is for.
pub enum Judge {
    Us,
    /// The one at this address.
    Other(SocketAddr),
    /// Nobody, now.
    Nobody,
}

impl Peers {
    /// The replicas that are reached by `url`, as one.
    pub fn new(leadership: Leadership, url: &str, keeper: Arc<Keeper>) -> Self {
        let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let name = host.and_then(|host| ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok());
        Self { leadership, name, keeper, client: Mutex::new(None) }
    }

    /// Who judges heartbeats now.
    pub fn judge(&self) -> Judge {
        match self.leadership.leader() {
            Leader::Us => Judge::Us,
            Leader::Other { address: Some(address), .. } => {
                address.parse().map_or(Judge::Nobody, Judge::Other)
            }
            Leader::Other { address: None, .. } | Leader::Nobody => Judge::Nobody,
        }
    }

    /// Passes a heartbeat on, with the program's own token: the leader need not trust us.
    pub async fn pass_on(
        &self,
        leader: SocketAddr,
        token: &str,
        body: Bytes,
    ) -> Result<Response<Full<Bytes>>, Answer> {
        let (Some(client), Ok(authority)) = (self.client(), leader.to_string().parse::<Authority>()) else {
            return Err(Answer::Unavailable);
        };
        let request = request(&authority, token, body).map_err(|_| Answer::Unavailable)?;
        let answer = client.request(request).await.map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "passing a heartbeat on");
            Answer::Unavailable
        })?;
        let (head, body) = answer.into_parts();
        let body =
            Limited::new(body, MOST_BYTES).collect().await.map_err(|_| Answer::Unavailable)?.to_bytes();
        let mut passed = Response::from_parts(head, Full::new(body));
        for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
            passed.headers_mut().remove(name);
        }
        Ok(passed)
    }

    /// A client that trusts what programs trust now; its connections are kept for the next heartbeats.
    fn client(&self) -> Option<Https> {
        let trust = self.keeper.client_config();
        let mut client = lock(&self.client);
        if let Some((trusted, client)) = client.as_ref()
            && Arc::ptr_eq(trusted, &trust)
        {
            return Some(client.clone());
        }
        // The connector names the protocols itself.
        let mut tls = (*trust).clone();
        tls.alpn_protocols.clear();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .with_server_name_resolver(FixedServerNameResolver::new(self.name.clone()?))
            .enable_http1()
            .build();
        let made = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_mins(1))
            .build(connector);
        *client = Some((trust, made.clone()));
        Some(made)
    }
}

fn request(authority: &Authority, token: &str, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
    let uri = Uri::builder()
        .scheme("https")
        .authority(authority.clone())
        .path_and_query("/v1/heartbeat")
        .build()?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
    bearer.set_sensitive(true);
    Request::post(uri)
        .header(header::AUTHORIZATION, bearer)
        .header(header::CONTENT_TYPE, "application/json")
        .header(PASSED_ON, "1")
        .body(Full::new(body))
}
