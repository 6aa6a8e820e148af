//! What has to be there before anything can be shown: cluster, namespace, definitions, examples.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use test_cluster::{Cluster, NODE_LABEL, NODE_SELECTOR, NodeKind, NodeKinds, is_own_cluster};

use crate::{
    error::{Doing, Error},
    kubectl::{self, Kubectl},
    screen,
};

pub const NAMESPACE: &str = "workspaces-demo";
/// By it a former run's namespace is known as ours.
const LABEL: (&str, &str) = ("app.kubernetes.io/part-of", "workspaces-demo");
/// What the examples run, which only our own cluster has, and what takes its place elsewhere.
const OUR_IMAGE: &str = "registry.test/busybox:1";
const PUBLIC_IMAGE: &str = "busybox:1.37";
/// Its image has no public counterpart.
const WEB_PAGE: &str = "web-page.yaml";

/// Where the demo takes place.
pub struct Stage {
    pub kubectl: Kubectl,
    /// Whether containers really run.
    pub nodes: NodeKind,
    /// The folder of the manifests, as it is typed.
    pub examples: String,
    /// Where logs and the like are put.
    pub demo: PathBuf,
    /// The operator's program.
    pub operator: PathBuf,
}

impl Stage {
    /// Brings up the cluster, or takes the one that is there.
    pub async fn prepare(nodes: NodeKinds) -> Result<Self, Error> {
        // The demo is built as target/debug/examples/demo, beside the operator.
        let program = env::current_exe().doing(|| "find this program".into())?;
        let built = |levels| program.ancestors().nth(levels).unwrap_or(Path::new("target"));
        let operator = built(2).join("workspace-operator");
        let demo = built(3).join("demo");
        fs::create_dir_all(&demo).doing(|| format!("make {}", demo.display()))?;
        let kubeconfig = demo.join("kubeconfig");
        let kubectl = Kubectl { kubeconfig, folder: env!("CARGO_MANIFEST_DIR").into() };
        kubectl.ask(&["version", "--client"]).await?;

        screen::chapter("A cluster");
        let is_own = is_own_cluster();
        if !is_own {
            screen::command("make cluster-up");
        }
        let cluster = Cluster::up(nodes).await?;
        kubectl::kubeconfig(cluster.kubeconfig_path(), &kubectl.kubeconfig, NAMESPACE).await?;
        screen::command(&format!("export KUBECONFIG={}", kubectl.kubeconfig.display()));
        kubectl.show(&["get", "nodes"]).await?;

        let nodes = if nodes.includes(NodeKind::Real) { NodeKind::Real } else { NodeKind::Fake };
        make_namespace(&kubectl, &demo, (!is_own).then_some(nodes)).await?;
        let examples =
            if is_own { public_examples(&kubectl, &demo.join("examples"))? } else { "examples/".to_owned() };
        Ok(Self { kubectl, nodes, examples, demo, operator })
    }
}

/// A namespace of the demo's own. A former run's is removed first, a stranger's of the same name never.
async fn make_namespace(kubectl: &Kubectl, demo: &Path, nodes: Option<NodeKind>) -> Result<(), Error> {
    let (label, value) = LABEL;
    let ours = format!("--selector={label}={value}");
    if !kubectl.ask(&["get", "namespaces", &ours, "--output=name"]).await?.is_empty() {
        kubectl.show(&["delete", "namespace", &ours]).await?;
    }
    let selector = nodes.map(|nodes| format!("{NODE_LABEL}={}", nodes.label()));
    let annotations = selector.map(|selector| json!({ NODE_SELECTOR: selector }));
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": { label: value }, "annotations": annotations },
    });
    let file = demo.join("namespace.json");
    fs::write(&file, namespace.to_string()).doing(|| format!("write {}", file.display()))?;
    kubectl.show(&["create", "--filename", &kubectl.path(&file)]).await?;
    // Until then the API server refuses every Pod.
    kubectl.ask(&["wait", "--for=create", "serviceaccount/default", "--timeout=60s"]).await.map(drop)
}

/// The examples with an image that any cluster can pull.
fn public_examples(kubectl: &Kubectl, to: &Path) -> Result<String, Error> {
    screen::line(&format!(
        "This cluster has no {OUR_IMAGE}: the examples run {PUBLIC_IMAGE}, and {WEB_PAGE} is left out."
    ));
    let from = kubectl.folder.join("examples");
    let reading = || format!("read {}", from.display());
    fs::create_dir_all(to).doing(|| format!("make {}", to.display()))?;
    for entry in fs::read_dir(&from).doing(reading)? {
        let name = entry.doing(reading)?.file_name();
        if name == WEB_PAGE {
            continue;
        }
        let text = fs::read_to_string(from.join(&name)).doing(reading)?;
        let copy = to.join(&name);
        fs::write(&copy, text.replace(OUR_IMAGE, PUBLIC_IMAGE))
            .doing(|| format!("write {}", copy.display()))?;
    }
    Ok(format!("{}/", kubectl.path(to)))
}
