//! kubectl, as the person watching would use it.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{process::Command, time::timeout};

use crate::{
    error::{Doing, Error},
    screen,
};

/// Longer than any command's own limit.
const LIMIT: Duration = Duration::from_mins(4);
/// What a command that waits is given.
const WAIT: &str = "--timeout=180s";

/// kubectl with the demo's kubeconfig, in the repository's folder.
pub struct Kubectl {
    pub kubeconfig: PathBuf,
    pub folder: PathBuf,
}

impl Kubectl {
    /// A file as it is typed in the repository's folder.
    pub fn path(&self, file: &Path) -> String {
        file.strip_prefix(&self.folder).unwrap_or(file).display().to_string()
    }

    /// Shows a command and what it prints.
    pub async fn show(&self, arguments: &[&str]) -> Result<(), Error> {
        screen::command(&typed(arguments));
        let printed = self.ask(arguments).await?;
        if !printed.trim().is_empty() {
            screen::line(printed.trim_end());
        }
        Ok(())
    }

    /// Shows a command that waits for something.
    pub async fn wait(&self, for_what: &str, object: &[&str]) -> Result<(), Error> {
        let for_what = format!("--for={for_what}");
        self.show(&[&["wait", &for_what, WAIT], object].concat()).await
    }

    /// Runs a command unseen, for what it prints.
    pub async fn ask(&self, arguments: &[&str]) -> Result<String, Error> {
        let output = self.run(arguments).await?;
        let printed = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(printed(&output.stdout));
        }
        let output = printed(&output.stdout) + &printed(&output.stderr);
        Err(Error::Command { command: typed(arguments), output: output.trim().to_owned() })
    }

    /// Objects as they are.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value, Error> {
        let arguments = [arguments, &["--output=json"]].concat();
        let printed = self.ask(&arguments).await?;
        serde_json::from_str(&printed).map_err(|source| Error::Json { command: typed(&arguments), source })
    }

    async fn run(&self, arguments: &[&str]) -> Result<Output, Error> {
        let output = Command::new("kubectl")
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let timed_out = |_| Error::TimedOut { command: typed(arguments), seconds: LIMIT.as_secs() };
        match timeout(LIMIT, output).await.map_err(timed_out)? {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoKubectl),
            other => other.doing(|| format!("run `{}`", typed(arguments))),
        }
    }
}

/// A copy of `original` in `copy` that has `namespace` as its default, so that commands need not name it.
pub async fn kubeconfig(original: &Path, copy: &Path, namespace: &str) -> Result<(), Error> {
    let folder = copy.parent().unwrap_or(Path::new("/")).to_owned();
    let of = |kubeconfig: &Path| Kubectl { kubeconfig: kubeconfig.to_owned(), folder: folder.clone() };
    let text = of(original).ask(&["config", "view", "--raw", "--minify", "--flatten"]).await?;
    write_for_us_only(copy, &text).doing(|| format!("write {}", copy.display()))?;
    let namespace = format!("--namespace={namespace}");
    of(copy).ask(&["config", "set-context", "--current", &namespace]).await.map(drop)
}

fn write_for_us_only(path: &Path, text: &str) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// The command line that a shell would take for the same.
fn typed(arguments: &[&str]) -> String {
    let words = arguments.iter().map(|argument| quoted(argument));
    std::iter::once("kubectl".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        assert_eq!(typed(&["get", "ws/x", "--output=json"]), "kubectl get ws/x --output=json");
        assert_eq!(typed(&["-p", r#"{"a": 1}"#]), r#"kubectl -p '{"a": 1}'"#);
        assert_eq!(typed(&["7 o'clock"]), r"kubectl '7 o'\''clock'");
    }
}
