//! The parts of a Pod that rules are about, with their paths.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Container, PodSpec, SELinuxOptions, SeccompProfile, Volume,
    WindowsSecurityContextOptions,
};

/// What the security contexts of a Pod and of a container have in common.
pub(super) struct Context<'a> {
    pub path: String,
    pub run_as_non_root: Option<bool>,
    pub run_as_user: Option<i64>,
    pub app_armor: Option<&'a AppArmorProfile>,
    pub seccomp: Option<&'a SeccompProfile>,
    pub se_linux: Option<&'a SELinuxOptions>,
    pub windows: Option<&'a WindowsSecurityContextOptions>,
}

/// Every container, in the order they start.
pub(super) fn containers(spec: &PodSpec) -> impl Iterator<Item = (String, &Container)> {
    let named = |list: &'static str| move |it: &Container| format!("{list}[{}]", it.name);
    let (init, main) = (named("initContainers"), named("containers"));
    let first = spec.init_containers.iter().flatten().map(move |it| (init(it), it));
    first.chain(spec.containers.iter().map(move |it| (main(it), it)))
}

/// The Pod's own context, where it has one. A container's wins over it.
pub(super) fn pod_context(spec: &PodSpec) -> Option<Context<'_>> {
    spec.security_context.as_ref().map(|own| Context {
        path: "securityContext".to_owned(),
        run_as_non_root: own.run_as_non_root,
        run_as_user: own.run_as_user,
        app_armor: own.app_armor_profile.as_ref(),
        seccomp: own.seccomp_profile.as_ref(),
        se_linux: own.se_linux_options.as_ref(),
        windows: own.windows_options.as_ref(),
    })
}

/// One context for each container, whether it was set or not.
pub(super) fn container_contexts(spec: &PodSpec) -> impl Iterator<Item = Context<'_>> {
    containers(spec).map(|(path, container)| {
        let own = container.security_context.as_ref();
        Context {
            path: format!("{path}.securityContext"),
            run_as_non_root: own.and_then(|own| own.run_as_non_root),
            run_as_user: own.and_then(|own| own.run_as_user),
            app_armor: own.and_then(|own| own.app_armor_profile.as_ref()),
            seccomp: own.and_then(|own| own.seccomp_profile.as_ref()),
            se_linux: own.and_then(|own| own.se_linux_options.as_ref()),
            windows: own.and_then(|own| own.windows_options.as_ref()),
        }
    })
}

/// All of them.
pub(super) fn contexts(spec: &PodSpec) -> impl Iterator<Item = Context<'_>> {
    pod_context(spec).into_iter().chain(container_contexts(spec))
}

pub(super) fn volumes(spec: &PodSpec) -> impl Iterator<Item = (String, &Volume)> {
    spec.volumes.iter().flatten().map(|volume| (format!("volumes[{}]", volume.name), volume))
}
