//! Starting and ending one component.

use std::{fs, time::Duration};

use crate::{
    access,
    component::Component,
    error::Error,
    health, layout,
    process::{self, Started},
    progress::Progress,
    real_node,
    setup::Setup,
    wait,
};

const READY_LIMIT: Duration = Duration::from_secs(90);

impl Setup {
    pub(crate) fn is_running(&self, component: Component) -> bool {
        process::recorded(&self.layout.pid_file(component))
            .is_some_and(|started| started.fingerprint == self.fingerprint(component))
    }

    /// Starts a component, unless it runs already with the same flags and configuration.
    pub(crate) async fn start(&self, component: Component) -> Result<(), Error> {
        let fingerprint = self.fingerprint(component);
        let pid_file = self.layout.pid_file(component);
        if let Some(started) = process::recorded(&pid_file) {
            if started.fingerprint == fingerprint {
                return Ok(());
            }
            Progress::say(&format!("restarting {}", component.name()));
            started.process.end().await?;
        } else {
            Progress::say(&format!("starting {}", component.name()));
        }
        let log = self.layout.log(component);
        let process = process::start_detached(&self.command(component), &log, &self.layout.run())?;
        let text = serde_json::to_string(&Started { process, fingerprint }).map_err(|e| Error::Parse {
            what: format!("{}'s pid file", component.name()),
            reason: e.to_string(),
        })?;
        layout::write(&pid_file, text)
    }

    /// Waits until a component answers; one that ended meanwhile is an error at once.
    pub(crate) async fn answering(&self, component: Component) -> Result<(), Error> {
        let client = access::client(access::config(&self.layout.kubeconfig()).await?)?;
        let client = &client;
        let answered = wait::until(component.name(), READY_LIMIT, || async move {
            if process::recorded(&self.layout.pid_file(component)).is_none() {
                return Err(self.failed(component, "has ended".into()));
            }
            let answers = match (component, self.health(component)) {
                (Component::ApiServer, _) => health::api_is_ready(client).await,
                (Component::Containerd, _) => real_node::configuration::socket(self).exists(),
                (_, Some((port, path))) => health::answers_ok(port, path).await,
                (_, None) => match self.listens(component) {
                    Some(port) => health::listens(port).await,
                    None => true,
                },
            };
            Ok(answers.then_some(()))
        });
        answered.await.map_err(|error| match error {
            Error::Timeout { limit, .. } => {
                self.failed(component, format!("did not answer within {} s", limit.as_secs()))
            }
            other => other,
        })
    }

    pub(crate) fn failed(&self, component: Component, problem: String) -> Error {
        let log = self.layout.log(component);
        let tail = process::log_tail(&log);
        Error::Component { component: component.name(), problem, log, tail }
    }

    /// Ends a component and waits until it is gone; false where it did not run.
    pub(crate) async fn end(layout: &layout::Layout, component: Component) -> Result<bool, Error> {
        let pid_file = layout.pid_file(component);
        let Some(started) = process::recorded(&pid_file) else { return Ok(false) };
        started.process.end().await?;
        let _ = fs::remove_file(pid_file);
        Ok(true)
    }
}
