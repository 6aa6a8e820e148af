//! What Restricted fills in.

use k8s_openapi::api::core::v1::{Container, PodSpec, SeccompProfile};

/// The user and group of a program that names none. Its volume is of this group, so it is writable.
const USER: i64 = 1000;

pub(super) fn fill(root_is_nobody: bool, spec: &mut PodSpec) {
    let pod = spec.security_context.get_or_insert_default();
    if !root_is_nobody {
        pod.run_as_non_root.get_or_insert(true);
        if pod.run_as_user.is_none() {
            pod.run_as_user = Some(USER);
            // Else it would be the group root. To a user that somebody chose, no group is added.
            pod.run_as_group.get_or_insert(USER);
        }
    }
    pod.fs_group.get_or_insert(USER);
    // Else every start would walk the whole volume.
    pod.fs_group_change_policy.get_or_insert_with(|| "OnRootMismatch".to_owned());
    pod.seccomp_profile.get_or_insert_with(|| SeccompProfile {
        type_: "RuntimeDefault".to_owned(),
        ..SeccompProfile::default()
    });
    spec.init_containers.iter_mut().flatten().chain(&mut spec.containers).for_each(container);
}

fn container(container: &mut Container) {
    let own = container.security_context.get_or_insert_default();
    own.allow_privilege_escalation.get_or_insert(false);
    own.capabilities.get_or_insert_default().drop.get_or_insert_with(|| vec!["ALL".to_owned()]);
}
