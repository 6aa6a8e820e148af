//! Whether a status is worth a write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{
    ConditionType, WorkspaceStatus,
    status::{ActivityState, Incarnation},
};

/// Conditions whose message may tell more while the reason stays, such as a growing back-off of the kubelet.
const CHATTY: &[ConditionType] =
    &[ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled, ConditionType::PodReady];

/// Whether `next` tells anything that `old` does not and somebody waits for. What only decorates (node, UIDs,
/// image id, another wording of the same reason) goes along with the next real change.
pub fn is_worth_writing(old: &WorkspaceStatus, next: &WorkspaceStatus) -> bool {
    if old == next {
        return false;
    }
    let mut plain = next.clone();
    // While the program does the same, what it says of it and since when goes along.
    if state(old) == state(next) {
        plain.activity.clone_from(&old.activity);
    }
    if ready(old) == ready(next) {
        undecorate(old.incarnation.as_ref(), plain.incarnation.as_mut());
    }
    if ready(old) != Some("True") && ready(next) != Some("True") {
        for condition in &mut plain.conditions {
            let chatty = CHATTY.iter().any(|type_| type_.as_str() == condition.type_);
            let before = old.conditions.iter().find(|before| same(before, condition));
            if let Some(before) = before.filter(|_| chatty) {
                condition.message.clone_from(&before.message);
            }
        }
    }
    *old != plain
}

fn state(status: &WorkspaceStatus) -> Option<ActivityState> {
    status.activity.as_ref().map(|activity| activity.state)
}

fn ready(status: &WorkspaceStatus) -> Option<&str> {
    let ready =
        status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    Some(&ready.status)
}

fn same(before: &Condition, condition: &Condition) -> bool {
    before.type_ == condition.type_ && before.status == condition.status && before.reason == condition.reason
}

/// Puts back what alone causes no write. The destructuring makes a new field choose.
fn undecorate(old: Option<&Incarnation>, next: Option<&mut Incarnation>) {
    let (Some(old), Some(next)) = (old, next) else { return };
    if old.number != next.number {
        return;
    }
    let Incarnation {
        number: _,
        generation: _,
        backend: _,
        pod_uid,
        start_time: _,
        cause: _,
        registration_time,
        ready_time,
        inputs_hash: _,
        class: _,
        image,
        image_id,
        node_name,
        container_restarts,
        built_by: _,
    } = next;
    registration_time.clone_from(&old.registration_time);
    ready_time.clone_from(&old.ready_time);
    pod_uid.clone_from(&old.pod_uid);
    image.clone_from(&old.image);
    image_id.clone_from(&old.image_id);
    node_name.clone_from(&old.node_name);
    *container_restarts = old.container_restarts;
}
