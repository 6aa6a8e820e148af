//! What a fake node does with a Pod. The image of the Pod's first container names the behaviour, since Pods
//! that others make (probes, Jobs) carry that and nothing else of ours:
//!
//! | part of the image | behaviour |
//! | --- | --- |
//! | `/missing` | `ErrImagePull`, a second later `ImagePullBackOff` |
//! | `/slow` | runs, Ready 3 s later |
//! | `/late` | `ContainerCreating` for 3 s |
//! | `/hang` | runs, never Ready |
//! | `/crash` | `CrashLoopBackOff` after three restarts |
//! | `/fail` | runs, then the whole Pod fails with exit code 3 |
//! | `/linger` | is gone only 3 s after its deletion; else as any other |
//! | anything else | Ready at once |

use serde_json::{Value, json};

const BEHAVIOUR: &str =
    r#".spec.containers[0].image | capture("/(?<word>missing|slow|late|hang|crash|fail)") | .word"#;
const LINGERS: &str = r#".spec.containers[0].image | contains("/linger")"#;
/// The part of an image whose Pod lingers, and for how long.
pub(crate) const LINGER: &str = "/linger";
pub(crate) const LINGER_MS: u32 = 3000;
/// Whether its namespace is one that a test made: there the test's own process ends Pods.
const IN_A_TEST: &str = r#".metadata.namespace | test("-[0-9a-f]{8}$")"#;
/// Long enough to meet nobody whom that process ends: what is left where it has died.
const LEFT_MS: u32 = 120_000;
const WAITING: &str = ".status.containerStatuses[0].state.waiting.reason";
const RUNNING: &str = ".status.containerStatuses[0].state.running.startedAt";
const GATES_MET: &str = r#". as $pod
 | [.spec.readinessGates[]?.conditionType]
 | all(. as $gate | any($pod.status.conditions[]?; .type == $gate and .status == "True"))"#;
const RESIZED: &str =
    "[.spec.containers[] | .resources // {}] != [.status.containerStatuses[] | .resources // {}]";

/// The whole configuration file of kwok.
pub(crate) fn configuration() -> String {
    let documents = [options(), node_registered(), node_heartbeat()].into_iter().chain(pod_stages());
    documents.map(|document| format!("---\n{document:#}\n")).collect::<Vec<_>>().concat()
}

fn options() -> Value {
    json!({
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "metadata": { "name": "options" },
        // kwok's own defaults hold only where no options are given at all.
        "options": {
            "podPlayStageParallelism": 16,
            "nodePlayStageParallelism": 4,
            // With leases a restarted kwok would wait for its predecessor's to run out.
            "nodeLeaseDurationSeconds": 0,
            "podsOnNodeSyncParallelism": 4,
            "enablePodsOnNodeSyncListPager": true,
            "enablePodsOnNodeSyncStreamWatch": false,
        },
    })
}

fn node_registered() -> Value {
    let template = r#"
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
addresses:
- { type: InternalIP, address: {{ NodeIP | Quote }} }
- { type: Hostname, address: {{ NodeName | Quote }} }
capacity: { cpu: 1k, memory: 1Ti, pods: 100k }
allocatable: { cpu: 1k, memory: 1Ti, pods: 100k }
nodeInfo:
  architecture: amd64
  operatingSystem: linux
  containerRuntimeVersion: fake
  kernelVersion: fake
  kubeletVersion: v1.37.0
  kubeProxyVersion: ""
  osImage: fake
  bootID: ""
  machineID: ""
  systemUUID: ""
phase: Running
"#;
    stage("Node", "node-registered", &[not_in(READY, &["True"])], 0, &patch(template))
}

fn node_heartbeat() -> Value {
    let template = r"
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- { type: {{ .type | Quote }}, status: {{ .status | Quote }}, lastHeartbeatTime: {{ $now | Quote }} }
{{ end }}
";
    stage("Node", "node-heartbeat", &[within(READY, &["True"])], HEARTBEAT_MS, &patch(template))
}

fn pod_stages() -> Vec<Value> {
    let fresh = || absent(".status.containerStatuses");
    let behaves = |words: &[&str]| within(BEHAVIOUR, words);
    let waits = |reason| within(WAITING, &[reason]);
    let ready_is = |value| within(CONTAINERS_READY, &[value]);
    let created = Report { phase: "Pending", ready: false, container: WAITING_CREATING, first: true };
    let starting = Report { phase: "Running", ready: false, container: RUNNING_STATE, first: true };
    let running = Report { phase: "Running", ready: true, container: RUNNING_STATE, first: true };
    let became_ready = Report { first: false, ..running };
    let refused = Report { container: WAITING_PULL, ..created };
    vec![
        living(
            "pod-runs",
            &[fresh(), not_in(BEHAVIOUR, &["missing", "slow", "late", "hang", "crash", "fail"])],
            0,
            running,
        ),
        living("pod-starts", &[fresh(), behaves(&["slow", "hang", "fail"])], 0, starting),
        living(
            "pod-slow-becomes-ready",
            &[behaves(&["slow"]), present(RUNNING), ready_is("False")],
            3000,
            became_ready,
        ),
        living("pod-late-is-created", &[fresh(), behaves(&["late"])], 0, created),
        living("pod-late-runs", &[behaves(&["late"]), waits("ContainerCreating")], 3000, became_ready),
        living("pod-image-refused", &[fresh(), behaves(&["missing"])], 0, refused),
        living(
            "pod-image-backs-off",
            &[behaves(&["missing"]), waits("ErrImagePull")],
            1000,
            Report { container: WAITING_PULL_BACK_OFF, first: false, ..refused },
        ),
        living(
            "pod-crash-loops",
            &[fresh(), behaves(&["crash"])],
            0,
            Report { container: CRASHED, ..starting },
        ),
        living(
            "pod-fails",
            &[behaves(&["fail"]), present(RUNNING)],
            300,
            Report { phase: "Failed", container: FAILED, first: false, ..starting },
        ),
        changed(
            "pod-gates-met",
            &[ready_is("True"), not_in(READY, &["True"]), is_true(GATES_MET)],
            READY_TRUE,
        ),
        changed("pod-gates-lost", &[within(READY, &["True"]), is_false(GATES_MET)], READY_FALSE),
        stage(
            "Pod",
            "pod-resized",
            &[absent(".metadata.deletionTimestamp"), present(RUNNING), is_true(RESIZED)],
            0,
            &json!([{ "patch": {
                "subresource": "status",
                "root": "status",
                "type": "json",
                "template": RESIZE,
            } }]),
        ),
        deleted("pod-gone", &[is_false(IN_A_TEST), is_false(LINGERS)], 0),
        deleted("pod-lingers", &[is_false(IN_A_TEST), is_true(LINGERS)], LINGER_MS),
        deleted("pod-left", &[is_true(IN_A_TEST)], LEFT_MS),
    ]
}

/// Well within the 50 s after which the node controller gives a node up.
const HEARTBEAT_MS: u32 = 15_000;

const READY: &str = r#".status.conditions[]? | select(.type == "Ready") | .status"#;
const CONTAINERS_READY: &str = r#".status.conditions[]? | select(.type == "ContainersReady") | .status"#;

const RUNNING_STATE: &str = "state: { running: { startedAt: {{ $started | Quote }} } }
  restartCount: 0";
const WAITING_CREATING: &str = "state: { waiting: { reason: ContainerCreating } }
  restartCount: 0";
const WAITING_PULL: &str = r#"state:
    waiting:
      reason: ErrImagePull
      message: {{ printf "no such image: %s" .image | Quote }}
  restartCount: 0"#;
const WAITING_PULL_BACK_OFF: &str = r#"state:
    waiting:
      reason: ImagePullBackOff
      message: {{ printf "Back-off pulling image %q: no such image" .image | Quote }}
  restartCount: 0"#;
const CRASHED: &str = "state:
    waiting:
      reason: CrashLoopBackOff
      message: back-off 40s restarting failed container
  lastState:
    terminated:
      exitCode: 1
      reason: Error
      startedAt: {{ $started | Quote }}
      finishedAt: {{ $now | Quote }}
  restartCount: 3";
const FAILED: &str = "state:
    terminated:
      exitCode: 3
      reason: Error
      message: failed as asked for
      startedAt: {{ $started | Quote }}
      finishedAt: {{ $now | Quote }}
  restartCount: 0";

const READY_TRUE: &str = r#"
conditions:
- { type: Ready, status: "True", reason: null, message: null, lastTransitionTime: {{ Now | Quote }} }
"#;
const READY_FALSE: &str = r#"
conditions:
- { type: Ready, status: "False", reason: ReadinessGatesNotReady, lastTransitionTime: {{ Now | Quote }} }
"#;
const RESIZE: &str = r"
- { op: add, path: /observedGeneration, value: {{ .metadata.generation }} }
{{ range $index, $container := .spec.containers }}
- op: add
  path: /containerStatuses/{{ $index }}/resources
  value:
{{ YAML $container.resources 2 }}
{{ end }}
";

/// What a kubelet would tell of a Pod at one moment.
#[derive(Clone, Copy)]
struct Report {
    phase: &'static str,
    ready: bool,
    /// The state of each container, as YAML lines.
    container: &'static str,
    /// Whether conditions and addresses that never change again are told too.
    first: bool,
}

impl Report {
    fn template(self) -> String {
        let Self { phase, ready, container, first } = self;
        let running = container == RUNNING_STATE;
        let status = if ready { "True" } else { "False" };
        let reason = if ready { "null" } else { "ContainersNotReady" };
        let gates = if ready { "and .spec.readinessGates true" } else { "false" };
        let beginning = if first { FIRST } else { "" };
        format!(
            r#"
{{{{ $now := Now }}}}
{{{{ $started := or .status.startTime $now }}}}
{{{{ $uid := .metadata.uid }}}}
observedGeneration: {{{{ .metadata.generation }}}}
phase: {phase}
startTime: {{{{ $started | Quote }}}}
conditions:
- type: ContainersReady
  status: "{status}"
  reason: {reason}
  lastTransitionTime: {{{{ $now | Quote }}}}
- type: Ready
  lastTransitionTime: {{{{ $now | Quote }}}}
  {{{{ if {gates} }}}}
  status: "False"
  reason: ReadinessGatesNotReady
  {{{{ else }}}}
  status: "{status}"
  reason: {reason}
  {{{{ end }}}}
{beginning}
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: {{{{ printf "fake://%s" .image | Quote }}}}
  containerID: {{{{ printf "fake://%s-%s" $uid .name | Quote }}}}
  ready: {ready}
  started: {running}
  {container}
  {{{{ with .resources }}}}
  resources:
{{{{ YAML . 2 }}}}
  {{{{ end }}}}
{{{{ end }}}}
"#
        )
    }
}

const FIRST: &str = r#"
- { type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }} }
- { type: PodReadyToStartContainers, status: "True", lastTransitionTime: {{ $now | Quote }} }
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ $meta := .metadata }}
{{ with PodIPsWith .spec.nodeName (or .spec.hostNetwork false) $meta.uid $meta.name $meta.namespace }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ if .spec.initContainers }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ printf "fake://%s" .image | Quote }}
  ready: true
  restartCount: 0
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state: { running: { startedAt: {{ $now | Quote }} } }
  {{ else }}
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
  {{ end }}
{{ end }}
{{ end }}
"#;

fn living(name: &str, selectors: &[Value], delay_ms: u32, report: Report) -> Value {
    let alive = [absent(".metadata.deletionTimestamp")];
    let selectors: Vec<Value> = alive.iter().chain(selectors).cloned().collect();
    stage("Pod", name, &selectors, delay_ms, &patch(&report.template()))
}

fn changed(name: &str, selectors: &[Value], template: &str) -> Value {
    let alive = [absent(".metadata.deletionTimestamp"), within(".status.phase", &["Running"])];
    let selectors: Vec<Value> = alive.iter().chain(selectors).cloned().collect();
    stage("Pod", name, &selectors, 0, &patch(template))
}

fn deleted(name: &str, selectors: &[Value], delay_ms: u32) -> Value {
    let ending = [present(".metadata.deletionTimestamp")];
    let selectors: Vec<Value> = ending.iter().chain(selectors).cloned().collect();
    stage("Pod", name, &selectors, delay_ms, &json!([{ "delete": true }]))
}

fn patch(template: &str) -> Value {
    json!([{ "patch": { "subresource": "status", "root": "status", "template": template } }])
}

fn stage(kind: &str, name: &str, selectors: &[Value], delay_ms: u32, steps: &Value) -> Value {
    json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": { "name": name },
        "spec": {
            "resourceRef": { "apiGroup": "v1", "kind": kind },
            "selector": { "matchExpressions": selectors },
            "delay": { "durationMilliseconds": delay_ms },
            "steps": steps,
        },
    })
}

fn requirement(key: &str, operator: &str, values: &[&str]) -> Value {
    json!({ "jq": { "key": key, "operator": operator, "values": values } })
}

fn present(key: &str) -> Value {
    requirement(key, "Exists", &[])
}

fn absent(key: &str) -> Value {
    requirement(key, "DoesNotExist", &[])
}

fn within(key: &str, values: &[&str]) -> Value {
    requirement(key, "In", values)
}

fn not_in(key: &str, values: &[&str]) -> Value {
    requirement(key, "NotIn", values)
}

fn is_true(key: &str) -> Value {
    within(key, &["true"])
}

fn is_false(key: &str) -> Value {
    within(key, &["false"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_a_stream_of_documents_with_stages_for_nodes_and_pods() {
        let text = configuration();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let of_kind =
            |kind: &str| documents.iter().filter(|d| d["spec"]["resourceRef"]["kind"] == kind).count();
        assert_eq!(documents.len(), 18);
        assert_eq!(of_kind("Node"), 2);
        assert_eq!(of_kind("Pod"), 15);
    }

    #[test]
    fn every_template_closes_what_it_opens() {
        for stage in pod_stages().iter().chain([&node_registered()]) {
            let Some(template) = stage["spec"]["steps"][0]["patch"]["template"].as_str() else { continue };
            let opened =
                ["{{ if", "{{ range", "{{ with"].iter().map(|w| template.matches(w).count()).sum::<usize>();
            assert_eq!(opened, template.matches("{{ end }}").count(), "{}", stage["metadata"]["name"]);
            assert_eq!(template.matches("{{").count(), template.matches("}}").count());
        }
    }
}
