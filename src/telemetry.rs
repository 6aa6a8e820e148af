//! Logs: JSON for machines, text for people. `info` means that something was written or changed.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Sends logs to standard error, filtered by `RUST_LOG`.
pub fn init(format: Option<LogFormat>) {
    let default = "info,kube_runtime::controller=error,kube_client=error";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let is_terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.compact().with_ansi(is_terminal).init(),
    }
}
