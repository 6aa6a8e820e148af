//! What a real node takes from the distribution.

use std::{env, path::Path};

use crate::{command, error::Error, progress::Progress};

const PACKAGES: [(&str, &[&str]); 6] = [
    ("containerd", &["containerd", "ctr", "containerd-shim-runc-v2"]),
    ("runc", &["runc"]),
    ("iproute2", &["ip"]),
    ("iptables", &["iptables", "iptables-save"]),
    ("busybox-static", &["busybox"]),
    ("containernetworking-plugins", &[]),
];

const CNI_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// Where the CNI plugins lie; distributions differ.
pub(crate) fn cni_folder() -> Option<&'static str> {
    CNI_FOLDERS.into_iter().find(|folder| Path::new(folder).join("bridge").is_file())
}

/// Finds a program in the folders that components search too, whatever the caller's PATH holds.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let given = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    env::split_paths(&given)
        .chain(system.into_iter().map(Into::into))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

fn missing() -> Vec<&'static str> {
    PACKAGES
        .into_iter()
        .filter(|(package, programs)| {
            let plugins_lack = *package == "containernetworking-plugins" && cni_folder().is_none();
            plugins_lack || programs.iter().any(|program| find(program).is_none())
        })
        .map(|(package, _)| package)
        .collect()
}

/// Installs what is missing, where the distribution is a Debian.
pub(crate) async fn ensure() -> Result<(), Error> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() {
        return Err(Error::MissingPackages { packages });
    }
    Progress::say(&format!("installing {}", packages.join(", ")));
    command::run("apt-get", &["update"]).await?;
    let install = ["install", "--yes", "--no-install-recommends"];
    let arguments: Vec<&str> = install.into_iter().chain(packages).collect();
    command::run("apt-get", &arguments).await?;
    let packages = missing();
    if packages.is_empty() { Ok(()) } else { Err(Error::MissingPackages { packages }) }
}
