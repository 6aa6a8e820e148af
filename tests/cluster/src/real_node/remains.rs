//! What containers, kubelet and CNI leave on the host, found anew each time rather than remembered.

use std::{
    fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use rustix::mount::{UnmountFlags, unmount};

use crate::{
    error::{Doing, Error},
    process::{self, Process},
};

const SHIM_SOCKETS: &str = "/run/containerd/s";
const DEVICE_SOCKETS: &str = "/var/lib/kubelet/device-plugins";
const CNI_RESULTS: &str = "/var/lib/cni/results";
const LOG_LINKS: &str = "/var/log/containers";
const CGROUPS: &str = "/sys/fs/cgroup";
/// Where the kubelet's fixed paths and ours end; removed when empty.
const FOLDERS: [&str; 9] = [
    SHIM_SOCKETS,
    "/run/containerd/runc",
    "/run/containerd",
    CNI_RESULTS,
    "/var/lib/cni",
    LOG_LINKS,
    DEVICE_SOCKETS,
    "/var/lib/kubelet",
    "/opt/cni",
];

/// The shims of our containers, and below them the containers' own processes.
pub(crate) fn container_processes(run: &Path) -> Vec<Process> {
    let ours = run.display().to_string();
    process::all()
        .into_iter()
        .filter(|(_, executable, command)| {
            let name = executable.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("containerd-shim") && command.contains(&ours)
        })
        .flat_map(|(shim, ..)| process::descendants(shim.pid).into_iter().chain([shim]))
        .collect()
}

/// Everything mounted below `folder`, the deepest first.
pub(crate) fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounted_below(&table, folder)
}

fn mounted_below(table: &str, folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        // The kernel writes blanks of a path in octal.
        .map(|path| PathBuf::from(path.replace("\\040", " ")))
        .filter(|path| path.starts_with(folder))
        .collect();
    found.sort_by_key(|path| std::cmp::Reverse(path.as_os_str().len()));
    found
}

pub(crate) fn unmount_below(folder: &Path) -> Result<usize, Error> {
    let mounts = mounts_below(folder);
    for path in &mounts {
        unmount(path, UnmountFlags::DETACH)
            .map_err(io::Error::from)
            .doing(|| format!("unmount {}", path.display()))?;
    }
    Ok(mounts.len())
}

/// The kubelet's control groups: one in version 2, one for each controller in version 1.
pub(crate) fn cgroups() -> Vec<PathBuf> {
    let hierarchies = entries(CGROUPS).into_iter().chain([PathBuf::from(CGROUPS)]);
    hierarchies.map(|hierarchy| hierarchy.join("kubepods")).filter(|group| group.is_dir()).collect()
}

/// Only empty ones can be removed, so never those of another kubelet's Pods.
pub(crate) fn remove_cgroups() {
    for group in cgroups() {
        remove_empty_folders(&group);
    }
}

fn remove_empty_folders(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty_folders(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// Files outside our folder, whose place containerd, CNI and the kubelet do not let us choose.
pub(crate) fn remove_stray_files(run: &Path) {
    for socket in entries(SHIM_SOCKETS).into_iter().chain(entries(DEVICE_SOCKETS)) {
        let refused = UnixStream::connect(&socket).err();
        if refused.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            let _ = fs::remove_file(socket);
        }
    }
    for result in entries(CNI_RESULTS) {
        // Each names the network namespace, which lies in our folder.
        let ours = run.display().to_string();
        if fs::read_to_string(&result).is_ok_and(|text| text.contains(&ours)) {
            let _ = fs::remove_file(result);
        }
    }
    for link in entries(LOG_LINKS) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(run)) {
            let _ = fs::remove_file(link);
        }
    }
    for folder in FOLDERS {
        let _ = fs::remove_dir(folder);
    }
}

fn entries(folder: &str) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_deepest_first_and_only_below_the_folder() {
        let table = "proc /proc proc rw 0 0
overlay /run/a overlay rw 0 0
tmpfs /run/a/pods/x\\040y tmpfs rw 0 0
tmpfs /run/abc tmpfs rw 0 0
";
        let found = mounted_below(table, Path::new("/run/a"));
        assert_eq!(found, [PathBuf::from("/run/a/pods/x y"), PathBuf::from("/run/a")]);
    }
}
