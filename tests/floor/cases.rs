//! What a Pod may say on each floor and what not, as one table for the rules and for the API server.

use serde_json::{Value, json};

/// A Pod's spec and what becomes of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// As it comes from people, before the floor fills anything in.
    pub spec: Value,
    pub user_namespace: bool,
    /// Whether the floor fills in what is missing before it is asked.
    pub is_filled: bool,
    pub rule: Rule,
    /// The field below Baseline, if one is.
    pub baseline: Option<String>,
    /// The field below Restricted, if one is.
    pub restricted: Option<String>,
}

/// Whose rule refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The Pod Security Standards.
    Standard,
    /// Ours: the standards would let it through.
    Own,
    /// Everybody's: the API server finds the Pod invalid whatever the namespace enforces.
    Invalid,
}

impl Case {
    fn new(spec: Value, baseline: Option<&str>, restricted: Option<&str>) -> Self {
        Self {
            spec,
            user_namespace: false,
            is_filled: true,
            rule: Rule::Standard,
            baseline: baseline.map(str::to_owned),
            restricted: restricted.map(str::to_owned),
        }
    }

    fn rule(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    fn in_user_namespace(self) -> Self {
        Self { user_namespace: true, ..self }
    }

    fn unfilled(self) -> Self {
        Self { is_filled: false, ..self }
    }

    fn below_baseline(self, field: &str) -> Self {
        Self { baseline: Some(field.to_owned()), ..self }
    }
}

const FINE: Option<&str> = None;

/// Every case.
pub fn all() -> Vec<Case> {
    let mut all = pods();
    all.extend(contexts());
    all.extend(containers());
    all.extend(volumes());
    all.extend(left_out());
    all.extend(user_namespaces());
    all.extend(tokens());
    all
}

/// What a Pod says of itself.
fn pods() -> Vec<Case> {
    let both = |patch, field| pod(patch, Some(field), Some(field));
    let fine = |patch| pod(patch, FINE, FINE);
    let sysctl = |name| json!({"securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
    let mut cases = vec![
        fine(json!({})),
        fine(json!({"hostNetwork": false, "hostPID": false, "hostIPC": false})),
        both(json!({"hostNetwork": true}), "hostNetwork"),
        both(json!({"hostPID": true}), "hostPID"),
        both(json!({"hostIPC": true}), "hostIPC"),
        fine(json!({"os": {"name": "linux"}})),
        pod(json!({"os": {"name": "windows"}}), FINE, Some("os.name")).rule(Rule::Own),
        fine(json!({"securityContext": {"runAsUser": 1, "runAsGroup": 0, "fsGroup": 0}})),
        fine(json!({"shareProcessNamespace": true, "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]})),
        both(sysctl("kernel.msgmax"), "securityContext.sysctls[kernel.msgmax]"),
        both(sysctl("net.core.somaxconn"), "securityContext.sysctls[net.core.somaxconn]"),
    ];
    cases.extend(
        [
            "kernel.shm_rmid_forced",
            "net.ipv4.ip_local_port_range",
            "net.ipv4.ip_local_reserved_ports",
            "net.ipv4.ip_unprivileged_port_start",
            "net.ipv4.ping_group_range",
            "net.ipv4.tcp_fin_timeout",
            "net.ipv4.tcp_keepalive_intvl",
            "net.ipv4.tcp_keepalive_probes",
            "net.ipv4.tcp_keepalive_time",
            "net.ipv4.tcp_notsent_lowat",
            "net.ipv4.tcp_rmem",
            "net.ipv4.tcp_slow_start_after_idle",
            "net.ipv4.tcp_syncookies",
            "net.ipv4.tcp_wmem",
        ]
        .map(|name| fine(sysctl(name))),
    );
    cases
}

/// What Pods and containers say alike, in `securityContext`.
fn contexts() -> Vec<Case> {
    let profile = |field: &str, type_: &str| json!({field: {"type": type_}});
    let local = |field: &str| json!({field: {"type": "Localhost", "localhostProfile": "a"}});
    let se_linux = |field: &str, value: &str| json!({"seLinuxOptions": {field: value}});
    let rows = [
        (profile("appArmorProfile", "RuntimeDefault"), None, None),
        (local("appArmorProfile"), None, None),
        both(profile("appArmorProfile", "Unconfined"), "appArmorProfile.type"),
        (profile("seccompProfile", "RuntimeDefault"), None, None),
        (local("seccompProfile"), None, None),
        both(profile("seccompProfile", "Unconfined"), "seccompProfile.type"),
        (se_linux("type", ""), None, None),
        (se_linux("type", "container_t"), None, None),
        (se_linux("type", "container_init_t"), None, None),
        (se_linux("type", "container_kvm_t"), None, None),
        (se_linux("type", "container_engine_t"), None, None),
        (se_linux("level", "s0:c1,c2"), None, None),
        both(se_linux("type", "spc_t"), "seLinuxOptions.type"),
        (se_linux("user", ""), None, None),
        both(se_linux("user", "system_u"), "seLinuxOptions.user"),
        (se_linux("role", ""), None, None),
        both(se_linux("role", "system_r"), "seLinuxOptions.role"),
        (json!({"runAsNonRoot": true}), None, None),
        (json!({"runAsNonRoot": false}), None, Some("runAsNonRoot")),
        (json!({"runAsUser": 4000}), None, None),
        (json!({"runAsUser": 0}), None, Some("runAsUser")),
        (json!({"windowsOptions": {"hostProcess": false}}), None, None),
    ];
    let mut cases: Vec<_> = rows
        .into_iter()
        .flat_map(|(context, baseline, restricted)| {
            let at_pod = |field: &str| format!("securityContext.{field}");
            let whole = Case {
                baseline: baseline.map(at_pod),
                restricted: restricted.map(at_pod),
                ..pod(json!({"securityContext": context}), FINE, FINE)
            };
            [vec![whole], context_of_each(context, baseline, restricted)].concat()
        })
        .collect();
    // Such a Pod has to use the node's network too.
    let host_process = json!({"windowsOptions": {"hostProcess": true}});
    cases.push(pod(
        json!({"hostNetwork": true, "securityContext": host_process}),
        Some("securityContext.windowsOptions.hostProcess"),
        Some("securityContext.windowsOptions.hostProcess"),
    ));
    cases.extend(
        context_of_each(host_process, Some("windowsOptions.hostProcess"), Some("windowsOptions.hostProcess"))
            .into_iter()
            .map(|case| case.rule(Rule::Invalid)),
    );
    cases
}

/// What a container says.
fn containers() -> Vec<Case> {
    let add = |list: &[&str]| json!({"capabilities": {"add": list}});
    let contexts = [
        (json!({}), None, None),
        (json!({"privileged": false}), None, None),
        both(privileged(), "privileged"),
        (json!({"allowPrivilegeEscalation": false}), None, None),
        (json!({"allowPrivilegeEscalation": true}), None, Some("allowPrivilegeEscalation")),
        (add(&["NET_BIND_SERVICE"]), None, None),
        (add(&[]), None, None),
        (add(&["CHOWN"]), None, Some("capabilities.add")),
        (
            add(&["AUDIT_WRITE", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "SETFCAP"]),
            None,
            Some("capabilities.add"),
        ),
        (add(&["SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"]), None, Some("capabilities.add")),
        both(add(&["NET_RAW"]), "capabilities.add"),
        both(add(&["NET_BIND_SERVICE", "SYS_PTRACE"]), "capabilities.add"),
        both(add(&["ALL"]), "capabilities.add"),
        (json!({"capabilities": {"drop": ["ALL", "CHOWN"]}}), None, None),
        (json!({"capabilities": {"drop": []}}), None, Some("capabilities.drop")),
        (json!({"capabilities": {"drop": ["NET_RAW"]}}), None, Some("capabilities.drop")),
        (json!({"procMount": "Default"}), None, None),
        (json!({"readOnlyRootFilesystem": false}), None, None),
    ];
    let http = |host: &str| json!({"httpGet": {"port": 80, "host": host}});
    let tcp = |host: &str| json!({"tcpSocket": {"port": 80, "host": host}});
    let mut others = vec![
        (json!({"ports": [{"containerPort": 80}]}), None, None),
        (json!({"ports": [{"containerPort": 80, "hostPort": 0}]}), None, None),
        both(
            json!({"ports": [{"containerPort": 81}, {"containerPort": 80, "hostPort": 8080}]}),
            "ports[80].hostPort",
        ),
    ];
    for (probe, at_http, at_tcp) in [
        ("livenessProbe", "livenessProbe.httpGet.host", "livenessProbe.tcpSocket.host"),
        ("readinessProbe", "readinessProbe.httpGet.host", "readinessProbe.tcpSocket.host"),
        ("startupProbe", "startupProbe.httpGet.host", "startupProbe.tcpSocket.host"),
    ] {
        others.push((json!({probe: http("")}), None, None));
        others.push(both(json!({probe: http("169.254.169.254")}), at_http));
        others.push(both(json!({probe: tcp("127.0.0.1")}), at_tcp));
    }
    for (event, at_http, at_tcp) in [
        ("postStart", "lifecycle.postStart.httpGet.host", "lifecycle.postStart.tcpSocket.host"),
        ("preStop", "lifecycle.preStop.httpGet.host", "lifecycle.preStop.tcpSocket.host"),
    ] {
        others.push((json!({"lifecycle": {event: {"exec": {"command": ["a"]}}}}), None, None));
        others.push(both(json!({"lifecycle": {event: http("10.0.0.1")}}), at_http));
        others.push(both(json!({"lifecycle": {event: tcp("10.0.0.1")}}), at_tcp));
    }
    let contexts = contexts.into_iter().flat_map(|(patch, b, r)| context_of_each(patch, b, r));
    contexts.chain(others.into_iter().flat_map(|(patch, b, r)| each(patch, b, r))).collect()
}

fn volumes() -> Vec<Case> {
    let volume = |type_: &str, source: Value, baseline: Option<&str>, restricted: Option<&str>| {
        pod(json!({"volumes": [{"name": "data", type_: source}]}), baseline, restricted)
    };
    let mut cases = vec![
        pod(json!({"volumes": [{"name": "data"}]}), FINE, FINE),
        volume(
            "hostPath",
            json!({"path": "/"}),
            Some("volumes[data].hostPath"),
            Some("volumes[data].hostPath"),
        ),
    ];
    let template = json!({"spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}
    }});
    for (type_, source) in [
        ("configMap", json!({"name": "a"})),
        ("csi", json!({"driver": "a.example"})),
        ("downwardAPI", json!({"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]})),
        ("emptyDir", json!({})),
        ("ephemeral", json!({"volumeClaimTemplate": template})),
        ("image", json!({"reference": "a"})),
        ("persistentVolumeClaim", json!({"claimName": "a"})),
        ("projected", json!({"sources": [{"configMap": {"name": "a"}}]})),
        ("secret", json!({"secretName": "a"})),
    ] {
        cases.push(volume(type_, source, FINE, FINE));
    }
    for (type_, source) in [
        ("awsElasticBlockStore", json!({"volumeID": "a"})),
        ("azureDisk", json!({"diskName": "a", "diskURI": "https://blob/a"})),
        ("azureFile", json!({"secretName": "a", "shareName": "a"})),
        ("cephfs", json!({"monitors": ["a"]})),
        ("cinder", json!({"volumeID": "a"})),
        ("fc", json!({"targetWWNs": ["a"], "lun": 0})),
        ("flexVolume", json!({"driver": "a/a"})),
        ("flocker", json!({"datasetName": "a"})),
        ("gcePersistentDisk", json!({"pdName": "a"})),
        ("glusterfs", json!({"endpoints": "a", "path": "a"})),
        ("gitRepo", json!({"repository": "https://a.example/a"})),
        ("iscsi", json!({"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:a", "lun": 0})),
        ("nfs", json!({"server": "a", "path": "/a"})),
        ("photonPersistentDisk", json!({"pdID": "a"})),
        ("portworxVolume", json!({"volumeID": "a"})),
        ("quobyte", json!({"registry": "a:1", "volume": "a"})),
        ("rbd", json!({"monitors": ["a"], "image": "a"})),
        (
            "scaleIO",
            json!({"gateway": "https://a/api", "system": "a", "volumeName": "a", "secretRef": {"name": "a"}}),
        ),
        ("storageos", json!({"volumeName": "a"})),
        ("vsphereVolume", json!({"volumePath": "[a] a"})),
    ] {
        cases.push(volume(type_, source, FINE, Some("volumes[data]")));
    }
    cases
}

/// What Restricted demands and somebody took away: nothing is filled in here.
fn left_out() -> Vec<Case> {
    let whole = || {
        json!({
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "main", "image": "a", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}
            }}],
        })
    };
    let without = |pointer: &str, field: &str, refused: &str| {
        let mut spec = whole();
        spec.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap().remove(field).unwrap();
        Case::new(spec, FINE, Some(refused)).unfilled()
    };
    let container = "/containers/0/securityContext";
    let moved = json!({
        "automountServiceAccountToken": false,
        "containers": [{"name": "main", "image": "a", "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}
        }}],
    });
    vec![
        Case::new(whole(), FINE, FINE).unfilled(),
        Case::new(moved, FINE, FINE).unfilled(),
        without("/securityContext", "runAsNonRoot", "containers[main].securityContext.runAsNonRoot"),
        without("/securityContext", "seccompProfile", "containers[main].securityContext.seccompProfile"),
        without(
            container,
            "allowPrivilegeEscalation",
            "containers[main].securityContext.allowPrivilegeEscalation",
        ),
        without(container, "capabilities", "containers[main].securityContext.capabilities.drop"),
        without("", "automountServiceAccountToken", "automountServiceAccountToken")
            .rule(Rule::Own)
            .below_baseline("automountServiceAccountToken"),
    ]
}

/// Root inside, nobody outside.
fn user_namespaces() -> Vec<Case> {
    let both = |patch, field| pod(patch, Some(field), Some(field));
    let root = json!({"hostUsers": false, "securityContext": {"runAsNonRoot": false, "runAsUser": 0}});
    let mut cases = vec![
        pod(json!({}), FINE, FINE).in_user_namespace(),
        pod(json!({"hostUsers": false}), FINE, FINE).in_user_namespace(),
        both(json!({"hostUsers": true}), "hostUsers").in_user_namespace().rule(Rule::Own),
        both(json!({}), "hostUsers").in_user_namespace().unfilled().rule(Rule::Own),
        both(json!({"os": {"name": "windows"}}), "os.name").in_user_namespace().rule(Rule::Own),
        pod(root.clone(), FINE, FINE).in_user_namespace(),
        both(json!({"hostPID": true}), "hostPID").in_user_namespace().rule(Rule::Invalid),
        // The class decides on that, not the workspace.
        pod(root, FINE, Some("securityContext.runAsNonRoot")).rule(Rule::Own),
        pod(json!({"hostUsers": true}), FINE, FINE),
        pod(json!({"hostUsers": false}), FINE, FINE),
    ];
    let context = |context, baseline, restricted| {
        context_of_each(context, baseline, restricted).into_iter().map(Case::in_user_namespace)
    };
    cases.extend(context(json!({"runAsUser": 0}), None, None));
    cases.extend(context(json!({"runAsNonRoot": false}), None, None));
    cases.extend(context(json!({"procMount": "Unmasked"}), None, Some("procMount")));
    cases.extend(context(privileged(), Some("privileged"), Some("privileged")));
    cases.extend(context(json!({"allowPrivilegeEscalation": true}), None, Some("allowPrivilegeEscalation")));
    cases.extend(context(json!({"capabilities": {"add": ["CHOWN"]}}), None, Some("capabilities.add")));
    cases.extend(
        context_of_each(json!({"procMount": "Unmasked"}), Some("procMount"), Some("procMount"))
            .into_iter()
            .map(|case| case.rule(Rule::Invalid)),
    );
    cases
}

/// Where API tokens are refused on both floors.
fn tokens() -> Vec<Case> {
    let projected = |volume: &str, source: Value| {
        let sources = [json!({"configMap": {"name": "a"}}), source];
        json!({"volumes": [{"name": volume, "projected": {"sources": sources}}]})
    };
    let token = |audience: &str| json!({"serviceAccountToken": {"path": "token", "audience": audience}});
    let certificate = |signer: &str| {
        json!({"podCertificate": {
            "signerName": signer, "keyType": "ED25519", "credentialBundlePath": "a"
        }})
    };
    let refused = |volume: &str, source, field: &str| {
        let field = format!("volumes[{volume}].projected.sources[1].{field}");
        pod(projected(volume, source), Some(&field), Some(&field)).rule(Rule::Own)
    };
    let automount = "automountServiceAccountToken";
    vec![
        pod(json!({automount: true}), Some(automount), Some(automount)).rule(Rule::Own),
        pod(projected("workspaces-dev-token", token("workspaces.dev")), FINE, FINE),
        refused("workspaces-dev-token", token("a.example"), "serviceAccountToken"),
        refused("workspaces-dev-token", json!({"serviceAccountToken": {"path": "a"}}), "serviceAccountToken"),
        refused("token", token("workspaces.dev"), "serviceAccountToken"),
        refused("a", certificate("kubernetes.io/kube-apiserver-client-pod"), "podCertificate"),
        pod(projected("a", certificate("a.example/a")), FINE, FINE),
    ]
}

/// Escalation is set with it: the API server finds privileges without it invalid, and Restricted would fill that in.
fn privileged() -> Value {
    json!({"privileged": true, "allowPrivilegeEscalation": true})
}

/// A row whose field is below both.
fn both(patch: Value, field: &str) -> (Value, Option<&str>, Option<&str>) {
    (patch, Some(field), Some(field))
}

/// The smallest Pod with `patch` at its spec.
fn pod(patch: Value, baseline: Option<&str>, restricted: Option<&str>) -> Case {
    let mut spec = json!({"containers": [{"name": "main", "image": "a"}]});
    patched(&mut spec, patch);
    Case::new(spec, baseline, restricted)
}

/// Two Pods: `patch` at the main container, and at a sidecar.
fn each(patch: Value, baseline: Option<&str>, restricted: Option<&str>) -> Vec<Case> {
    let mut main = json!({"name": "main", "image": "a"});
    let mut sidecar = json!({"name": "side", "image": "a", "restartPolicy": "Always"});
    patched(&mut main, patch.clone());
    patched(&mut sidecar, patch);
    let case = |spec, path| {
        let field = |field: &str| format!("{path}.{field}");
        Case { baseline: baseline.map(field), restricted: restricted.map(field), ..pod(spec, FINE, FINE) }
    };
    vec![
        case(json!({"containers": [main]}), "containers[main]"),
        case(json!({"initContainers": [sidecar]}), "initContainers[side]"),
    ]
}

fn context_of_each(context: Value, baseline: Option<&str>, restricted: Option<&str>) -> Vec<Case> {
    let field = |field: &str| format!("securityContext.{field}");
    each(
        json!({"securityContext": context}),
        baseline.map(field).as_deref(),
        restricted.map(field).as_deref(),
    )
}

fn patched(object: &mut Value, patch: Value) {
    if let (Some(object), Value::Object(patch)) = (object.as_object_mut(), patch) {
        object.extend(patch);
    }
}
