//! Container images without a registry: an OCI layout made of files, imported into the real node.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::{
    command,
    digest::sha256,
    error::{Doing, Error},
    layout,
    real_node::packages::find,
};

pub const BUSYBOX: &str = "registry.test/busybox:1";
/// The same as [`BUSYBOX`], under another digest.
pub const BUSYBOX_2: &str = "registry.test/busybox:2";
pub const WEB_PAGE: &str = "registry.test/web-page:1";
/// Static busybox below `workspace-agent`; there once [`crate::Cluster::provide_agent`] was called.
pub const AGENT: &str = "registry.test/agent:1";
pub(crate) const PAUSE: &str = "registry.test/pause:1";

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Image {
    name: String,
    entries: Vec<(PathBuf, Entry)>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    environment: Vec<String>,
    labels: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
enum Entry {
    Folder { mode: u32 },
    File { mode: u32, content: Vec<u8> },
    Link { target: PathBuf },
}

impl Image {
    /// `name` with its tag, as a Pod will ask for it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            entries: Vec::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            environment: vec!["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into()],
            labels: Vec::new(),
        }
    }

    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>, mode: u32) -> Self {
        self.entries.push((path.into(), Entry::Folder { mode }));
        self
    }

    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.entries.push((path.into(), Entry::File { mode, content: content.into() }));
        self
    }

    #[must_use]
    pub fn link(mut self, path: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.entries.push((path.into(), Entry::Link { target: target.into() }));
        self
    }

    /// Copies a file of this machine, a static binary for instance.
    pub fn host_file(self, path: impl Into<PathBuf>, mode: u32, from: &Path) -> Result<Self, Error> {
        let content = fs::read(from).doing(|| format!("read {}", from.display()))?;
        Ok(self.file(path, mode, content))
    }

    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// What follows the entrypoint, unless the Pod gives arguments of its own.
    #[must_use]
    pub fn command<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The image as the tar of an OCI layout.
    pub fn oci_tar(&self) -> Result<Vec<u8>, Error> {
        let layer = self.layer()?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let labels: serde_json::Map<String, Value> =
            self.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Cmd": self.command,
                "Env": self.environment,
                "Labels": labels,
            },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut described = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        described["annotations"] = json!({ "io.containerd.image.name": self.name });
        let index = json!({ "schemaVersion": 2, "manifests": [described] });

        let mut layout = Builder::new(Vec::new());
        self.append(&mut layout, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.append(&mut layout, "index.json", index.to_string().as_bytes())?;
        for blob in [&layer, &config, &manifest] {
            let path = format!("blobs/{}", digest(blob).replace(':', "/"));
            self.append(&mut layout, &path, blob)?;
        }
        layout.into_inner().doing(|| self.doing())
    }

    fn layer(&self) -> Result<Vec<u8>, Error> {
        let mut layer = Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let path = path.strip_prefix("/").unwrap_or(path);
            let (kind, mode, content): (_, _, &[u8]) = match entry {
                Entry::Folder { mode } => (EntryType::Directory, *mode, &[]),
                Entry::File { mode, content } => (EntryType::Regular, *mode, content),
                Entry::Link { .. } => (EntryType::Symlink, 0o777, &[]),
            };
            let mut header = header(kind, mode, content.len());
            match entry {
                Entry::Link { target } => layer.append_link(&mut header, path, target),
                _ => layer.append_data(&mut header, path, Cursor::new(content)),
            }
            .doing(|| format!("put {} into {}", path.display(), self.name))?;
        }
        layer.into_inner().doing(|| self.doing())
    }

    fn append(&self, layout: &mut Builder<Vec<u8>>, path: &str, content: &[u8]) -> Result<(), Error> {
        let mut header = header(EntryType::Regular, 0o644, content.len());
        layout.append_data(&mut header, path, Cursor::new(content)).doing(|| self.doing())
    }

    fn doing(&self) -> String {
        format!("make image {}", self.name)
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    // The same files always give the same digest.
    header.set_mtime(0);
    header
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", sha256([content]))
}

/// This machine's static busybox with all its commands, a shell among them; it sleeps unless told otherwise.
pub fn busybox(name: &str) -> Result<Image, Error> {
    let program = find("busybox").unwrap_or_else(|| "/bin/busybox".into());
    let applets = std::process::Command::new(&program)
        .arg("--list")
        .output()
        .doing(|| format!("list the commands of {}", program.display()))?;
    let image = ["bin", "etc", "proc", "root", "sys", "dev", "var"]
        .into_iter()
        .fold(Image::new(name).folder("tmp", 0o1777), |image, folder| image.folder(folder, 0o755))
        .host_file("bin/busybox", 0o755, &program)?
        .file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n")
        .file("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")
        .command(["sh", "-c", &ends_on_term("sleep 1000000")]);
    let applets = String::from_utf8_lossy(&applets.stdout).into_owned();
    let links = applets.lines().filter(|applet| *applet != "busybox" && !applet.is_empty());
    Ok(links.fold(image, |image, applet| image.link(format!("bin/{applet}"), "busybox")))
}

/// Serves the folder `/srv`, with one page in it, on port 8080.
pub fn web_page(name: &str) -> Result<Image, Error> {
    Ok(busybox(name)?
        .folder("srv", 0o755)
        .file("srv/index.html", 0o644, "<!doctype html>\n<title>workspace</title>\n<h1>It runs.</h1>\n")
        .entrypoint(["sh", "-c", &ends_on_term("httpd -f -v -p 8080 -h /srv")]))
}

/// The kernel shields a container's first process from TERM unless it asks for it.
pub(crate) fn ends_on_term(command: &str) -> String {
    format!("trap 'exit 0' TERM; {command} & wait")
}

/// All that a fresh real node is given.
pub(crate) fn preloaded() -> Result<Vec<Image>, Error> {
    Ok(vec![
        busybox(PAUSE)?,
        busybox(BUSYBOX)?.label("version", "1"),
        busybox(BUSYBOX_2)?.label("version", "2"),
        web_page(WEB_PAGE)?,
    ])
}

/// Hands an image to the containerd that listens on `socket`; `folder` holds the tar meanwhile.
pub(crate) async fn import(socket: &Path, folder: &Path, image: &Image) -> Result<(), Error> {
    let file = folder.join(format!("{}.tar", image.name().replace(['/', ':'], "_")));
    layout::write(&file, image.oci_tar()?)?;
    let socket = socket.display().to_string();
    let path = file.display().to_string();
    let arguments = ["--address", &socket, "--namespace", "k8s.io", "images", "import", &path];
    command::run("ctr", &arguments).await?;
    fs::remove_file(&file).doing(|| format!("remove {path}"))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read};

    use super::*;

    fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        entries.collect()
    }

    fn sample(content: &str) -> Image {
        Image::new("registry.test/sample:1")
            .folder("bin", 0o755)
            .file("/bin/run", 0o755, content)
            .link("bin/start", "run")
            .entrypoint(["/bin/run"])
    }

    #[test]
    fn every_blob_of_the_layout_lies_under_its_own_digest() {
        let files = files(&sample("x").oci_tar().unwrap());
        let blobs: Vec<_> = files.iter().filter(|(path, _)| path.starts_with("blobs/")).collect();
        assert_eq!(blobs.len(), 3);
        for (path, content) in blobs {
            assert_eq!(path, &format!("blobs/{}", digest(content).replace(':', "/")));
        }
    }

    #[test]
    fn the_index_leads_to_the_manifest_the_config_and_the_files() {
        let files = files(&sample("x").oci_tar().unwrap());
        let blob = |descriptor: &Value| {
            files[&format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"))].clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let described = &index["manifests"][0];
        assert_eq!(described["annotations"]["io.containerd.image.name"], "registry.test/sample:1");
        let manifest: Value = serde_json::from_slice(&blob(described)).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/bin/run"]));
        let layer = blob(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
        let inside = super::tests::files(&layer);
        assert_eq!(inside["bin/run"], b"x");
        assert!(inside.contains_key("bin/start"));
    }

    #[test]
    fn the_same_files_give_the_same_image_and_others_another() {
        assert_eq!(sample("x").oci_tar().unwrap(), sample("x").oci_tar().unwrap());
        assert_ne!(sample("x").oci_tar().unwrap(), sample("y").oci_tar().unwrap());
    }
}
