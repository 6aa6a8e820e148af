//! A client of the server with its own faults and its own log.

use futures::TryFutureExt;
use kube::{
    Client,
    client::{ClientBuilder, retry::RetryPolicy},
};
use tower::{BoxError, retry::RetryLayer};

use crate::{
    faults::{Faults, Matcher},
    recorder::{Log, RecordLayer, Request},
    server::ApiServer,
    service,
    watch::End,
};

/// What tells one client from others.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The name that [`OpenWatch`](crate::OpenWatch) shows.
    pub name: String,
    /// The namespace of [`Client::default_namespace`].
    pub default_namespace: String,
    /// Whether it tries again by itself on 429, 503 and 504, as a [`Client`] from a kubeconfig does. Each try is
    /// recorded.
    pub retries: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self::named("test")
    }
}

impl ClientOptions {
    /// A client of that name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), default_namespace: "default".to_owned(), retries: false }
    }
}

/// What the service knows of the client that calls it.
#[derive(Clone)]
pub(crate) struct Session {
    pub name: String,
    pub faults: Faults,
}

/// A client, its faults and its log.
#[derive(Clone)]
pub struct TestClient {
    server: ApiServer,
    options: ClientOptions,
    log: RecordLayer,
    faults: Faults,
}

impl TestClient {
    pub(crate) fn new(server: ApiServer, options: ClientOptions) -> Self {
        Self { server, options, log: RecordLayer::new(), faults: Faults::default() }
    }

    /// A [`Client`] for the code under test.
    pub fn client(&self) -> Client {
        let session = Session { name: self.options.name.clone(), faults: self.faults.clone() };
        let server = self.server.clone();
        let serve = tower::service_fn(move |request| {
            service::serve(server.clone(), session.clone(), request).map_err(BoxError::from)
        });
        let recorded =
            ClientBuilder::new(serve, self.options.default_namespace.as_str()).with_layer(&self.log);
        if self.options.retries {
            recorded.with_layer(&RetryLayer::new(RetryPolicy::server_retry())).build()
        } else {
            recorded.build()
        }
    }

    /// What it asked for so far.
    pub fn log(&self) -> Log {
        self.log.log()
    }

    /// What can go wrong for it.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Its watches get no more events until [`TestClient::thaw_watches`]: the running ones and new ones.
    pub fn freeze_watches(&self, matcher: Matcher) {
        let name = self.options.name.as_str();
        let matching = matcher.clone();
        self.faults.freeze(matcher);
        self.server.with(|state| {
            state.watches.each(|watch| {
                watch.is_frozen |= watch.client == name && matching.matches(&watch.request);
            });
        });
    }

    /// Its watches get what they missed, and go on.
    pub fn thaw_watches(&self) {
        self.faults.thaw();
        let name = self.options.name.as_str();
        self.server.with(|state| {
            state.watches.each(|watch| watch.is_frozen &= watch.client != name);
        });
    }

    /// The connections of these watches break.
    pub fn drop_watches(&self, matcher: &Matcher) {
        self.end_watches(matcher, &End::Dropped);
    }

    /// These watches end as at their time-out.
    pub fn close_watches(&self, matcher: &Matcher) {
        self.end_watches(matcher, &End::Closed);
    }

    /// These watches are told that their resourceVersion is too old (410), and end.
    pub fn expire_watches(&self, matcher: &Matcher) {
        self.end_watches(matcher, &End::Failed(crate::failure::expired(1, 2)));
    }

    fn end_watches(&self, matcher: &Matcher, end: &End) {
        let name = self.options.name.as_str();
        let is_meant = |client: &str, request: &Request| client == name && matcher.matches(request);
        self.server.with(|state| {
            state.watches.each(|watch| {
                if is_meant(&watch.client, &watch.request) {
                    watch.end = Some(end.clone());
                }
            });
        });
    }
}
