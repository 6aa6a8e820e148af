//! `/livez` and `/readyz`. Being alive does not depend on the API server; being ready means that every cache
//! holds what there is.

use std::net::SocketAddr;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use crate::readiness::Pending;

/// The port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("listening on {address}")]
pub struct Error {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Answers on `address` until `shutdown`.
pub async fn serve(
    address: SocketAddr,
    pending: Pending,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let failed = |source| Error { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let router =
        Router::new().route("/livez", get(async || "ok")).route("/readyz", get(readyz)).with_state(pending);
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await.map_err(failed)
}

async fn readyz(State(pending): State<Pending>) -> (StatusCode, String) {
    let pending = pending.kinds().join(", ");
    if pending.is_empty() {
        (StatusCode::OK, "ok".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for: {pending}"))
    }
}
