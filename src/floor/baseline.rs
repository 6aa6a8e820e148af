//! What both profiles refuse: every known way from a container to its node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, HTTPGetAction, LifecycleHandler, PodSpec, Probe, SecurityContext, TCPSocketAction,
};

use crate::api::class::PodSecurity;

use super::{
    Below,
    parts::{Context, containers, contexts, volumes},
};

/// What container runtimes add anyway, without NET_RAW.
const BASELINE_CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const RESTRICTED_CAPABILITIES: &[&str] = &["NET_BIND_SERVICE"];

/// Of the Pod's own namespaces, with no effect on others.
const SYSCTLS: &[&str] = &[
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
];

const SE_LINUX_TYPES: &[&str] = &["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Of seccomp and of AppArmor.
const PROFILES: &[&str] = &["RuntimeDefault", "Localhost"];

/// The rest of the key is a container's name.
const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

pub(super) fn check(by: PodSecurity, spec: &PodSpec) -> Result<(), Below> {
    contexts(spec).try_for_each(|context| profiles(by, &context))?;
    host_namespaces(by, spec)?;
    host_paths(by, spec)?;
    sysctls(by, spec)?;
    // Inside a user namespace an unmasked /proc shows nothing of the node.
    let proc_is_own = by == PodSecurity::Baseline && spec.host_users == Some(false);
    for (path, container) in containers(spec) {
        if let Some(own) = &container.security_context {
            privileges(by, &format!("{path}.securityContext"), own, proc_is_own)?;
        }
        host_ports(by, &path, container)?;
        hosts(by, &path, container)?;
    }
    Ok(())
}

pub(super) fn check_annotations(
    by: PodSecurity,
    annotations: &BTreeMap<String, String>,
) -> Result<(), Below> {
    let is_fine =
        |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    match annotations.iter().find(|(key, value)| key.starts_with(APP_ARMOR_ANNOTATION) && !is_fine(value)) {
        Some((key, value)) => Err(Below::profile(
            by,
            format!("metadata.annotations[{key}]"),
            value,
            "only runtime/default and localhost/...",
        )),
        None => Ok(()),
    }
}

fn profiles(by: PodSecurity, context: &Context<'_>) -> Result<(), Below> {
    let path = &context.path;
    if context.windows.and_then(|windows| windows.host_process) == Some(true) {
        return Err(Below::profile(by, format!("{path}.windowsOptions.hostProcess"), true, "only false"));
    }
    for (field, type_) in [
        ("appArmorProfile", context.app_armor.map(|profile| &profile.type_)),
        ("seccompProfile", context.seccomp.map(|profile| &profile.type_)),
    ] {
        one_of(by, &format!("{path}.{field}.type"), type_.map(String::as_str), PROFILES)?;
    }
    let Some(se_linux) = context.se_linux else { return Ok(()) };
    let path = format!("{path}.seLinuxOptions");
    one_of(by, &format!("{path}.type"), set(se_linux.type_.as_ref()), SE_LINUX_TYPES)?;
    one_of(by, &format!("{path}.user"), set(se_linux.user.as_ref()), &[])?;
    one_of(by, &format!("{path}.role"), set(se_linux.role.as_ref()), &[])
}

fn host_namespaces(by: PodSecurity, spec: &PodSpec) -> Result<(), Below> {
    let fields = [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)];
    match fields.into_iter().find(|(_, value)| *value == Some(true)) {
        Some((field, _)) => Err(Below::profile(by, field, true, "only false")),
        None => Ok(()),
    }
}

fn host_paths(by: PodSecurity, spec: &PodSpec) -> Result<(), Below> {
    for (path, volume) in volumes(spec) {
        if let Some(host) = &volume.host_path {
            return Err(Below::profile(by, format!("{path}.hostPath"), &host.path, "no path of the node"));
        }
    }
    Ok(())
}

fn sysctls(by: PodSecurity, spec: &PodSpec) -> Result<(), Below> {
    let set = spec.security_context.iter().flat_map(|own| own.sysctls.iter().flatten());
    for sysctl in set {
        if !SYSCTLS.contains(&sysctl.name.as_str()) {
            let field = format!("securityContext.sysctls[{}]", sysctl.name);
            return Err(Below::profile(by, field, &sysctl.value, only(SYSCTLS)));
        }
    }
    Ok(())
}

fn privileges(by: PodSecurity, path: &str, own: &SecurityContext, proc_is_own: bool) -> Result<(), Below> {
    if own.privileged == Some(true) {
        return Err(Below::profile(by, format!("{path}.privileged"), true, "only false"));
    }
    let capabilities = match by {
        PodSecurity::Baseline => BASELINE_CAPABILITIES,
        PodSecurity::Restricted => RESTRICTED_CAPABILITIES,
    };
    let added = own.capabilities.iter().flat_map(|capabilities| capabilities.add.iter().flatten());
    for capability in added {
        one_of(by, &format!("{path}.capabilities.add"), Some(capability), capabilities)?;
    }
    let proc_mount = own.proc_mount.as_deref().filter(|_| !proc_is_own);
    one_of(by, &format!("{path}.procMount"), proc_mount, &["Default"])
}

fn host_ports(by: PodSecurity, path: &str, container: &Container) -> Result<(), Below> {
    for port in container.ports.iter().flatten() {
        if let Some(host_port) = port.host_port.filter(|host_port| *host_port != 0) {
            let field = format!("{path}.ports[{}].hostPort", port.container_port);
            return Err(Below::profile(by, field, host_port, "no port of the node"));
        }
    }
    Ok(())
}

/// The kubelet calls these, from the node's network.
fn hosts(by: PodSecurity, path: &str, container: &Container) -> Result<(), Below> {
    for (field, probe) in [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ] {
        if let Some(Probe { http_get, tcp_socket, .. }) = probe {
            host(by, &format!("{path}.{field}"), http_get.as_ref(), tcp_socket.as_ref())?;
        }
    }
    let lifecycle = container.lifecycle.as_ref();
    for (field, handler) in [
        ("postStart", lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref())),
        ("preStop", lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref())),
    ] {
        if let Some(LifecycleHandler { http_get, tcp_socket, .. }) = handler {
            host(by, &format!("{path}.lifecycle.{field}"), http_get.as_ref(), tcp_socket.as_ref())?;
        }
    }
    Ok(())
}

fn host(
    by: PodSecurity,
    path: &str,
    http: Option<&HTTPGetAction>,
    tcp: Option<&TCPSocketAction>,
) -> Result<(), Below> {
    let http = http.and_then(|action| set(action.host.as_ref()));
    let tcp = tcp.and_then(|action| set(action.host.as_ref()));
    for (field, host) in [("httpGet", http), ("tcpSocket", tcp)] {
        if let Some(host) = host {
            return Err(Below::profile(
                by,
                format!("{path}.{field}.host"),
                host,
                "no host but the Pod itself",
            ));
        }
    }
    Ok(())
}

/// The API server takes an empty text for none.
fn set(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

fn one_of(by: PodSecurity, field: &str, value: Option<&str>, allowed: &[&str]) -> Result<(), Below> {
    match value {
        Some(value) if !allowed.contains(&value) => Err(Below::profile(by, field, value, only(allowed))),
        _ => Ok(()),
    }
}

fn only(allowed: &[&str]) -> String {
    if allowed.is_empty() { "none".to_owned() } else { format!("only {}", allowed.join(", ")) }
}
