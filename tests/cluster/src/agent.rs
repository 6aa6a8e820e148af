//! `workspace-agent` in an image of the real node: built from this repository, static, so that it runs on anything.

use std::{env, fs, path::PathBuf, process::Stdio};

use serde::Deserialize;
use tokio::process::Command;

use crate::{
    digest::sha256,
    error::{Doing, Error},
    images::{self, Image},
    layout,
    lock::Lock,
    progress::Progress,
    real_node::configuration::socket,
    setup::Setup,
};

const PACKAGE: &str = "workspace-agent";
/// What cargo tells the processes it runs of their own package. Build scripts that ask for it would run anew each time.
const OF_THE_CALLER: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// A line of what `cargo build --message-format=json` prints.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Gives the node the image, unless it has the same. Test processes and their threads come here together: cargo builds
/// once, and who waited finds the digest that the first one left.
pub(crate) async fn provide(setup: &Setup) -> Result<(), Error> {
    let image = image(build().await?)?;
    let folder = setup.layout.data("images");
    let known = folder.join("agent.digest");
    let tar = image.oci_tar()?;
    let digest = sha256([tar.as_slice()]);
    let _lock = Lock::take(&setup.layout).await?;
    if fs::read_to_string(&known).is_ok_and(|known| known == digest) {
        return Ok(());
    }
    Progress::say(&format!("importing {}", image.name()));
    images::import(&socket(setup), &folder, &image).await?;
    layout::write(&known, digest)
}

fn image(program: PathBuf) -> Result<Image, Error> {
    let sleeps = images::ends_on_term("sleep 1000000");
    Ok(images::busybox(images::AGENT)?
        .host_file(PACKAGE, 0o755, &program)?
        .entrypoint([&format!("/{PACKAGE}"), "--"])
        .command(["sh", "-c", &sleeps]))
}

/// Builds it where cargo builds everything, and tells where it lies. With a target named, the flags are not those of
/// build scripts and procedural macros, which can't be static; and the folder is another than that of other builds, so
/// neither makes the other start over.
async fn build() -> Result<PathBuf, Error> {
    let doing = || format!("build {PACKAGE}");
    let arguments = [
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        PACKAGE,
        "--target",
        "host-tuple",
        "--message-format",
        "json-render-diagnostics",
    ];
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if OF_THE_CALLER.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .doing(doing)?;
    if !output.status.success() {
        return Err(Error::Command {
            command: format!("cargo {}", arguments.join(" ")),
            outcome: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    executable(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| Error::Parse {
        what: "what cargo printed".into(),
        reason: format!("it names no {PACKAGE}"),
    })
}

fn executable(printed: &str) -> Option<PathBuf> {
    let messages = printed.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == PACKAGE))
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_what_cargo_tells() {
        let printed = r#"{"reason":"compiler-artifact","target":{"name":"ring"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"workspace-agent"},"executable":"/t/workspace-agent"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(printed), Some("/t/workspace-agent".into()));
        assert_eq!(executable(""), None);
    }
}
