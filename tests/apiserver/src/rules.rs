//! What a written object must be like, and what may not change in it once it exists.

use serde_json::{Value, json};

use crate::{
    call::Verb,
    failure::{self, Failure, bad_request},
    kind::Kind,
    object::{self, Key},
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

/// Refuses a body that does not fit its path, and completes it from there.
pub(crate) fn check_body(
    kind: &'static Kind,
    namespace: Option<&str>,
    object: &mut Value,
) -> Result<(), Failure> {
    if !object::is_well_formed(object) {
        return Err(bad_request("the object provided is unrecognized"));
    }
    for (field, own) in [("apiVersion", kind.api_version()), ("kind", kind.kind.to_owned())] {
        let given = object::text(object, &format!("/{field}"));
        if !given.is_empty() && given != own {
            let why =
                format!("the {field} in the data ({given}) does not match the expected {field} ({own})");
            return Err(bad_request(why));
        }
        object[field] = json!(own);
    }
    let given = object::namespace(object);
    if let Some(namespace) = namespace.filter(|namespace| !given.is_empty() && given != *namespace) {
        let why = format!(
            "the namespace of the provided object does not match the namespace sent on the request ({given}, {namespace})"
        );
        return Err(bad_request(why));
    }
    object::set_metadata(object, "namespace", namespace.map(|namespace| json!(namespace)));
    Ok(())
}

/// Refuses a write that was meant for another object, or for another state of this one.
pub(crate) fn check_identity(
    kind: &'static Kind,
    key: &Key,
    verb: Verb,
    old: &Value,
    new: &Value,
) -> Result<(), Failure> {
    let name = object::name(new);
    if !name.is_empty() && name != key.name {
        let why =
            format!("the name of the object ({name}) does not match the name on the URL ({})", key.name);
        return Err(bad_request(why));
    }
    let (uid, is) = (object::uid(new), object::uid(old));
    if !uid.is_empty() && uid != is && verb != Verb::Update {
        let why = format!("Invalid value: \"{uid}\": field is immutable");
        return Err(failure::invalid(kind, &key.name, "metadata.uid", &why));
    }
    if !uid.is_empty() && uid != is {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {is}");
        return Err(failure::conflict(kind, &key.name, &why));
    }
    let revision = object::text(new, "/metadata/resourceVersion");
    if !revision.is_empty() && revision != object::text(old, "/metadata/resourceVersion") {
        return Err(failure::modified(kind, &key.name));
    }
    Ok(())
}
