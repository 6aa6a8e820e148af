//! The registration port: TLS, with limits on connections, so that no client keeps another from being heard.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::lock::lock;

use super::{Endpoint, limits};

/// Connections at a time, of everybody and of one address. In some networks all Pods of a node have its address.
const MOST: usize = 32_768;
const MOST_OF_ONE: usize = 256;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may be idle, and a head may take: hyper has one clock for both.
const IDLE: Duration = Duration::from_secs(90);
/// A bearer token is the longest part of a head.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 32;
/// How long connections get to end when the operator does.
const FAREWELL: Duration = Duration::from_secs(5);
/// After a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers on `listener` until `stop`.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = Connections::default();
    // They end with this function, however that ends.
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, address.ip().to_canonical()),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "accepting a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while tasks.try_join_next().is_some() {}
        let Some(place) = connections.admit(peer) else { continue };
        let (acceptor, endpoint, stop) = (acceptor.clone(), Arc::clone(&endpoint), stop.clone());
        tasks.spawn(async move {
            connection(stream, peer, acceptor, endpoint, stop).await;
            drop(place);
        });
    }
    let _ = tokio::time::timeout(FAREWELL, tasks.join_all()).await;
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    acceptor: TlsAcceptor,
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    let service = service_fn(|request| endpoint.answer(peer, request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    // A client that breaks off is no event here.
    let _ = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

/// The connections there are, by address.
#[derive(Clone, Default)]
struct Connections(Arc<Mutex<Count>>);

#[derive(Default)]
struct Count {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// A connection's place among them, given back when dropped.
struct Place {
    connections: Connections,
    peer: IpAddr,
}

impl Connections {
    fn admit(&self, peer: IpAddr) -> Option<Place> {
        let peer = limits::network(peer);
        let mut count = lock(&self.0);
        let of_peer = count.by_peer.get(&peer).copied().unwrap_or_default();
        if count.all >= MOST || of_peer >= MOST_OF_ONE {
            return None;
        }
        count.all += 1;
        count.by_peer.insert(peer, of_peer + 1);
        Some(Place { connections: self.clone(), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut count = lock(&self.connections.0);
        count.all -= 1;
        match count.by_peer.remove(&self.peer) {
            Some(1) | None => {}
            Some(others) => {
                count.by_peer.insert(self.peer, others - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_only_so_many_connections_and_gives_them_back() {
        let connections = Connections::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let places: Vec<_> = (0..MOST_OF_ONE).map(|_| connections.admit(one).unwrap()).collect();
        assert!(connections.admit(one).is_none());
        assert!(connections.admit(other).is_some());
        drop(places);
        assert!(connections.admit(one).is_some());
        assert!(lock(&connections.0).by_peer.is_empty());
        assert_eq!(lock(&connections.0).all, 0);
    }
}
