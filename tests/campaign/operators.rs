//! One operator after the other: who dies has a successor at once, as a Deployment sees to.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::{Config, client::ClientBuilder};
use test_apiserver::recorder::{Log, RecordLayer};
use tokio_util::sync::CancellationToken;
use workspace_operator::run::{self, Options};

use super::wire::Wire;

/// How long the successor of an operator takes that gave up by itself.
const RESTART: Duration = Duration::from_millis(200);

/// How operators ended that nobody killed.
#[derive(Clone, Default)]
pub struct Ends(Arc<Mutex<Vec<String>>>);

impl Ends {
    /// All of them.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, end: String) {
        self.0.lock().unwrap().push(end);
    }
}

/// Runs operators by this wire, for ever. What reaches the API server is in `log`.
pub async fn keep(config: Config, options: Options, wire: Wire, log: Log, ends: Ends) {
    let record = RecordLayer::adding_to(&log);
    loop {
        let end = CancellationToken::new();
        let client = ClientBuilder::try_from(config.clone()).unwrap();
        let client = client.with_layer(&record).with_layer(&wire.of(&end)).build();
        let mut running = tokio::spawn(run::run(client, options.clone(), CancellationToken::new()));
        tokio::select! {
            () = end.cancelled() => {
                running.abort();
                let _ = running.await;
            }
            ended = &mut running => {
                ends.note(match ended {
                    Ok(Ok(())) => "it ended without a word".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(broken) => broken.to_string(),
                });
                tokio::time::sleep(RESTART).await;
            }
        }
    }
}
