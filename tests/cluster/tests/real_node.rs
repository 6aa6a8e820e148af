//! What a Pod on the real node can do. Passes without a look where no real node can run (not root on Linux).

#![allow(clippy::unwrap_used, reason = "the tests' own helpers may end a test too")]

use std::{future::Future, time::Duration};

use k8s_openapi::api::core::v1::{ContainerState, PersistentVolumeClaim, Pod, Service};
use kube::{
    Api, Client,
    api::{AttachParams, DeleteParams, LogParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use test_cluster::{Cluster, Namespace, NodeKind, NodeKinds, images, until};
use tokio::io::AsyncReadExt;

const LIMIT: Duration = Duration::from_mins(1);

struct Fixture {
    client: Client,
    namespace: Namespace,
}

async fn on_the_real_node<F, Fut>(test: F)
where
    F: FnOnce(Fixture) -> Fut,
    Fut: Future<Output = ()>,
{
    if !NodeKinds::default_here().includes(NodeKind::Real) {
        eprintln!("skipped: a real node needs root on Linux");
        return;
    }
    let cluster = Cluster::up(NodeKind::Real).await.unwrap();
    let namespace = cluster.namespace("real", NodeKind::Real).await.unwrap();
    test(Fixture { client: cluster.client().unwrap(), namespace }).await;
}

impl Fixture {
    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    async fn create<K>(&self, object: Value)
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), self.namespace.name());
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    async fn create_pod(&self, name: &str, container: Value, extra: Value) {
        let mut container = container;
        container["name"] = json!("main");
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "labels": { "app": name } },
            "spec": { "restartPolicy": "Never", "containers": [container] },
        });
        for (field, value) in extra.as_object().into_iter().flatten() {
            pod["spec"][field] = value.clone();
        }
        self.create::<Pod>(pod).await;
    }

    /// Runs a shell script in a Pod of its own, to its end, and gives what it printed.
    async fn printed_by(&self, name: &str, script: &str, mount: bool) -> String {
        let mounts = if mount { json!([{ "name": "data", "mountPath": "/data" }]) } else { json!([]) };
        let volumes = json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }]);
        let container =
            json!({ "image": images::BUSYBOX, "command": ["sh", "-c", script], "volumeMounts": mounts });
        let extra = if mount { json!({ "volumes": volumes }) } else { json!({}) };
        self.create_pod(name, container, extra).await;
        self.pod_that(name, "to end", |pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        })
        .await;
        self.pods().logs(name, &LogParams::default()).await.unwrap()
    }

    async fn pod_that(&self, name: &str, what: &str, holds: impl Fn(&Pod) -> bool) -> Pod {
        let pods = self.pods();
        let seen = until(format!("pod {name} {what}"), LIMIT, || async {
            let pod = pods.get(name).await.unwrap();
            Ok(holds(&pod).then_some(pod))
        });
        seen.await.unwrap()
    }

    async fn ready(&self, name: &str) {
        let is_ready = |pod: &Pod| {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
        };
        self.pod_that(name, "to be ready", is_ready).await;
    }
}

fn state(pod: &Pod) -> ContainerState {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.into_iter().next().and_then(|container| container.state.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_volume_keeps_what_root_writes_for_the_next_pod() {
    on_the_real_node(async |fixture| {
        let claim = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": { "name": "data" },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        });
        fixture.create::<PersistentVolumeClaim>(claim).await;
        let written =
            fixture.printed_by("writer", "id -u; echo kept > /data/file && echo written", true).await;
        assert_eq!(written, "0\nwritten\n");
        let read = fixture.printed_by("reader", "cat /data/file", true).await;
        assert_eq!(read, "kept\n");
    })
    .await;
}

#[tokio::test]
async fn a_command_can_be_run_in_a_running_pod() {
    on_the_real_node(async |fixture| {
        fixture.create_pod("shell", json!({ "image": images::BUSYBOX }), json!({})).await;
        fixture.ready("shell").await;
        let command = ["tar", "cf", "-", "-C", "/etc", "passwd"];
        let parameters = AttachParams::default().stderr(false);
        let mut process = fixture.pods().exec("shell", command, &parameters).await.unwrap();
        let mut output = Vec::new();
        process.stdout().unwrap().read_to_end(&mut output).await.unwrap();
        // What `kubectl cp` does.
        assert!(output.starts_with(b"passwd\0"));
    })
    .await;
}

#[tokio::test]
async fn a_service_is_reached_by_its_name() {
    on_the_real_node(async |fixture| {
        fixture.create_pod("web", json!({ "image": images::WEB_PAGE }), json!({})).await;
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "web" },
            "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
        });
        fixture.create::<Service>(service).await;
        fixture.ready("web").await;
        let full = format!("http://web.{}.svc.cluster.local/", fixture.namespace);
        let script = format!(
            "for n in $(seq 100); do wget -qO- http://web/ 2>&1 && wget -qO- {full} && exit; sleep 0.2; done"
        );
        let page = fixture.printed_by("visitor", &script, false).await;
        assert_eq!(page.matches("It runs.").count(), 2, "{page}");
    })
    .await;
}

#[tokio::test]
async fn the_api_server_is_reached_from_a_pod_by_its_name() {
    on_the_real_node(async |fixture| {
        let script = "nc -w 5 kubernetes.default 443 </dev/null && echo open";
        assert_eq!(fixture.printed_by("caller", script, false).await, "open\n");
    })
    .await;
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_refused() {
    on_the_real_node(async |fixture| {
        fixture.create_pod("missing", json!({ "image": "registry.test/missing:1" }), json!({})).await;
        let refused = |pod: &Pod| {
            let reason = state(pod).waiting.and_then(|waiting| waiting.reason).unwrap_or_default();
            reason == "ErrImagePull" || reason == "ImagePullBackOff"
        };
        fixture.pod_that("missing", "to be refused", refused).await;
    })
    .await;
}

#[tokio::test]
async fn a_command_that_cannot_exist_ends_the_container_without_running() {
    on_the_real_node(async |fixture| {
        let container = json!({ "image": images::BUSYBOX_2, "command": ["/no/such/program"] });
        fixture.create_pod("probe", container, json!({})).await;
        let pod = fixture.pod_that("probe", "to end", |pod| state(pod).terminated.is_some()).await;
        assert_eq!(state(&pod).terminated.unwrap().exit_code, 128);
    })
    .await;
}

#[tokio::test]
async fn an_image_of_ones_own_runs_once_it_is_imported() {
    on_the_real_node(async |fixture| {
        let image = images::busybox("registry.test/greeter:1")
            .unwrap()
            .entrypoint(["echo", "hello"])
            .command(["you"]);
        Cluster::up(NodeKind::Real).await.unwrap().import_image(&image).await.unwrap();
        fixture.create_pod("greeter", json!({ "image": image.name() }), json!({})).await;
        fixture.pod_that("greeter", "to end", |pod| state(pod).terminated.is_some()).await;
        let printed = fixture.pods().logs("greeter", &LogParams::default()).await.unwrap();
        assert_eq!(printed, "hello you\n");
        fixture.pods().delete("greeter", &DeleteParams::default()).await.unwrap();
    })
    .await;
}
