use std::{ffi::OsStr, process::Stdio};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::error::{Doing, Error};

/// Runs a short command to its end and gives what it printed; a non-zero exit is an error.
pub(crate) async fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<String, Error> {
    run_with_input(program, arguments, "").await
}

pub(crate) async fn run_with_input<S: AsRef<OsStr>>(
    program: &str,
    arguments: &[S],
    input: &str,
) -> Result<String, Error> {
    let words: Vec<_> = arguments.iter().map(|a| a.as_ref().to_string_lossy().into_owned()).collect();
    let command = format!("{program} {}", words.join(" "));
    let doing = || format!("run `{command}`");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .doing(doing)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await.doing(doing)?;
    }
    let output = child.wait_with_output().await.doing(doing)?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let output_text = printed + &String::from_utf8_lossy(&output.stderr);
    Err(Error::Command { command, outcome: output.status.to_string(), output: output_text })
}
