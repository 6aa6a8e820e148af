//! The operator of this repository, run beside the demo.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::error::{Doing, Error};

const END_LIMIT: Duration = Duration::from_secs(10);
const TAIL_LINES: usize = 20;

/// A running operator. Dropping it kills it; `stop` ends it in order.
pub struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts `program` for one namespace, writing to `log`.
    pub fn start(program: &Path, kubeconfig: &Path, namespace: &str, log: PathBuf) -> Result<Self, Error> {
        let output = fs::File::create(&log).doing(|| format!("write {}", log.display()))?;
        let errors = output.try_clone().doing(|| format!("write {}", log.display()))?;
        let child = Command::new(program)
            // Any free port: nobody asks for its health here.
            .args(["run", "--namespace", namespace, "--listen", "127.0.0.1:0", "--log-format", "text"])
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .doing(|| format!("start {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// Waits for what must not happen while the demo runs.
    pub async fn ended(&mut self) -> Error {
        let outcome = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Error::OperatorEnded { outcome }
    }

    /// Ends it as a kubelet would, and waits until it is gone.
    pub async fn stop(mut self) -> Result<ExitStatus, Error> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            // It may have ended by itself: that is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(END_LIMIT, self.child.wait()).await.is_err() {
            self.child.start_kill().doing(|| "kill the operator".into())?;
        }
        self.child.wait().await.doing(|| "wait for the operator's end".into())
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}
