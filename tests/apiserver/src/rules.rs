//! What may not change in an object once it exists.

use serde_json::Value;

use crate::{
    failure::{self, Failure},
    kind::Kind,
    object,
};

/// Refuses a change that the API server refuses.
pub(crate) fn check_update(
    kind: &Kind,
    before: &Value,
    after: &Value,
    subresource: Option<&str>,
) -> Result<(), Failure> {
    let name = object::name(before);
    if object::is_deleting(before) {
        let known = object::finalizers(before);
        let added: Vec<_> =
            object::finalizers(after).into_iter().filter(|own| !known.contains(own)).collect();
        if !added.is_empty() {
            let why = format!(
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            return Err(failure::invalid(kind, name, "metadata.finalizers", &why));
        }
    }
    if !kind.group.is_empty() || subresource.is_some() {
        return Ok(());
    }
    let (old, new) = (&before["spec"], &after["spec"]);
    match kind.kind {
        "Pod" if fixed_of_pod(old) != fixed_of_pod(new) => {
            let fields = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                          `spec.tolerations` (only additions to existing tolerations),\
                          `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
            let why = format!("Forbidden: pod updates may not change fields other than {fields}");
            Err(failure::invalid(kind, name, "spec", &why))
        }
        "PersistentVolumeClaim" if fixed_of_claim(old, new) != fixed_of_claim(new, new) => {
            let why = "Forbidden: spec is immutable after creation except resources.requests and \
                       volumeAttributesClassName for bound claims";
            Err(failure::invalid(kind, name, "spec", why))
        }
        "Service" if old["clusterIP"] != new["clusterIP"] && old["type"] == new["type"] => {
            let why = format!("Invalid value: {}: field is immutable", new["clusterIP"]);
            Err(failure::invalid(kind, name, "spec.clusterIPs[0]", &why))
        }
        "Secret" | "ConfigMap" if before["immutable"] == true && before["data"] != after["data"] => {
            Err(failure::invalid(kind, name, "data", "Forbidden: field is immutable when `immutable` is set"))
        }
        _ => Ok(()),
    }
}

fn fixed_of_pod(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for field in ["tolerations", "activeDeadlineSeconds", "schedulingGates"] {
        object::remove(&mut spec, "", field);
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            object::remove(container, "", "image");
        }
    }
    spec
}

fn fixed_of_claim(spec: &Value, new: &Value) -> Value {
    let mut fixed = spec.clone();
    object::remove(&mut fixed, "/resources", "requests");
    object::remove(&mut fixed, "", "volumeAttributesClassName");
    // Both are filled in late, once.
    for field in ["volumeName", "storageClassName"] {
        if fixed[field].is_null() {
            fixed[field] = new[field].clone();
        }
    }
    fixed
}
