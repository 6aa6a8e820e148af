//! I3: every accepted change of inputs is in the running Pod eventually, where the strategy is Immediate.
//!
//! Judged where all has come to rest, and by fields that can be compared as they are: image, command, arguments,
//! directory and literal variables, and the data of the Secrets and ConfigMaps that the workspace itself refers to. What
//! an overlay or a class adds beyond the image is not seen.

use serde_json::Value;
use workspace_operator::api::ConditionType;

use crate::{
    History, Invariant, Violation, What,
    object::{Object, Start, Workspace},
    objects::Objects,
    violation::Violations,
};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I3);
    // What the environment of each Pod came from, when it was made.
    let mut made: Vec<(&str, Vec<(String, Value)>)> = Vec::new();
    history.walk(|objects, event| match &event.what {
        What::Changed(change) => {
            if let Some(start) = change.started()
                && let Some(workspace) =
                    objects.workspace(start.object.namespace(), start.workspace_name(), start.workspace_uid())
            {
                made.push((start.uid(), referred(objects, workspace)));
            }
        }
        What::Settled => {
            for workspace in objects.workspaces() {
                if let Some(what) = differs(objects, workspace, &made) {
                    violations.push(event.at, format!("{}: {what}", workspace.shown()));
                }
            }
        }
        _ => {}
    });
    violations.all()
}

fn differs(
    objects: &Objects<'_>,
    workspace: Workspace<'_>,
    made: &[(&str, Vec<(String, Value)>)],
) -> Option<String> {
    if workspace.is_deleting() || objects.is_suspended(workspace) {
        return None;
    }
    let observed = workspace.0.number("/status/observedGeneration");
    if observed != workspace.generation() {
        return Some(format!("generation {:?} is not looked at, but {observed:?}", workspace.generation()));
    }
    let start = objects.get("Pod", workspace.namespace(), workspace.name());
    let start = start.and_then(|pod| Start::of("Pod", pod)).filter(|pod| !pod.object.is_deleting())?;
    if start.workspace_uid() != workspace.uid() || !is_immediate(objects, workspace) {
        return None;
    }
    match (workspace.condition(ConditionType::UpToDate)?, workspace.number() == start.number()) {
        (("True", _), true) => {}
        // On its way, and nothing under way.
        ((_, reason @ "Progressing"), _) => {
            return Some(format!("UpToDate is {reason}, and {} is not stopped", start.shown()));
        }
        _ => return None,
    }
    if is_overlaid(objects, workspace) {
        return None;
    }
    let container = start.main_container()?;
    let literal = workspace.0.list("/spec/env").iter().filter(|variable| !variable["value"].is_null());
    let has = |variable: &&Value| Object(container).list("/env").contains(variable);
    if let Some(variable) = literal.into_iter().find(|variable| !has(variable)) {
        return Some(format!("{} lacks the variable {variable}", start.shown()));
    }
    if let Some(field) = wanted(objects, workspace)
        .into_iter()
        .find(|(field, wanted)| !wanted.is_null() && container.get(*field) != Some(wanted))
    {
        return Some(format!("{} is {:?} in its Pod, not {}", field.0, container.get(field.0), field.1));
    }
    let looks_at_data = !start.claim()?["inputs"]["references"].is_null();
    let (_, then) = made.iter().rev().find(|(uid, _)| *uid == start.uid())?;
    let now = referred(objects, workspace);
    let other = now.iter().find(|(key, value)| then.iter().any(|(own, was)| own == key && was != value));
    other.filter(|_| looks_at_data).map(|(key, _)| format!("{key} changed since {} was made", start.shown()))
}

/// What the main container has to say, by its field; null where it does not matter.
fn wanted<'a>(objects: &Objects<'_>, workspace: Workspace<'a>) -> Vec<(&'static str, Value)> {
    let spec = workspace.spec();
    let image = match &spec["image"] {
        Value::Null => class(objects, workspace)
            .map_or(Value::Null, |class| class.0["spec"]["defaults"]["image"].clone()),
        image => image.clone(),
    };
    let mut wanted = vec![("image", image)];
    wanted.extend(["command", "args", "workingDir"].map(|field| (field, spec[field].clone())));
    wanted
}

/// An overlay may say otherwise.
fn is_overlaid(objects: &Objects<'_>, workspace: Workspace<'_>) -> bool {
    let overlays = |object: Object<'_>| !object.0["spec"]["podTemplate"]["spec"].is_null();
    overlays(workspace.0) || objects.of_kind("WorkspaceClass").any(overlays)
}

fn class<'a>(objects: &Objects<'a>, workspace: Workspace<'_>) -> Option<Object<'a>> {
    objects.get("WorkspaceClass", "", workspace.spec()["className"].as_str()?)
}

fn is_immediate(objects: &Objects<'_>, workspace: Workspace<'_>) -> bool {
    let own = &workspace.spec()["updateStrategy"]["type"];
    let defaults = objects
        .of_kind("WorkspaceClass")
        .any(|class| !class.0["spec"]["defaults"]["updateStrategy"].is_null());
    *own == "Immediate" || own.is_null() && !defaults
}

/// The data that the workspace's own environment refers to: what it is called, and what it is. Only where the recorder
/// tells data.
fn referred(objects: &Objects<'_>, workspace: Workspace<'_>) -> Vec<(String, Value)> {
    let spec = workspace.0;
    let kinds = [("Secret", "secretKeyRef", "secretRef"), ("ConfigMap", "configMapKeyRef", "configMapRef")];
    let data = |kind: &str, name: &Value| {
        let object = objects.get(kind, workspace.namespace(), name.as_str()?)?;
        object.0.get("data").cloned()
    };
    let mut all = Vec::new();
    for (kind, key_ref, whole_ref) in kinds {
        for variable in spec.list("/spec/env") {
            let reference = &variable["valueFrom"][key_ref];
            if let Some(data) = data(kind, &reference["name"]) {
                let key = reference["key"].as_str().unwrap_or_default();
                all.push((format!("{kind} {} {key}", reference["name"]), data[key].clone()));
            }
        }
        for source in spec.list("/spec/envFrom") {
            let reference = &source[whole_ref];
            if let Some(data) = data(kind, &reference["name"]) {
                all.push((format!("{kind} {}", reference["name"]), data));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        Invariant::I3,
        story::{Story, pod, workspace},
    };

    fn running(spec: Value) -> Story {
        Story::new().put(workspace("x", spec)).starts("x", 1)
    }

    fn changed(spec: Value) -> Value {
        json!({"metadata": {"generation": 2}, "spec": spec})
    }

    #[test]
    fn a_pod_that_has_what_is_wanted_is_right() {
        assert_eq!(running(json!({"image": "a"})).settled().broken(), []);
    }

    #[test]
    fn another_image_than_wanted_breaks_it() {
        let story = running(json!({"image": "a"}))
            .change("Workspace", "x", changed(json!({"image": "b"})))
            .ready("x")
            .settled();
        assert_eq!(story.broken(), [I3]);
    }

    #[test]
    fn a_change_that_was_not_looked_at_breaks_it() {
        let story =
            running(json!({"image": "a"})).change("Workspace", "x", changed(json!({"image": "b"}))).settled();
        assert_eq!(story.broken(), [I3]);
    }

    #[test]
    fn a_change_that_was_declined_or_waits_does_not() {
        for reason in ["RestartDeclined", "AwaitingRestart", "AwaitingRollout"] {
            let told = json!({
                "observedGeneration": 2,
                "conditions": [
                    {"type": "Ready", "status": "True", "reason": "Running"},
                    {"type": "UpToDate", "status": "False", "reason": reason},
                ],
            });
            let story = running(json!({"image": "a"}))
                .change("Workspace", "x", changed(json!({"image": "b"})))
                .says("x", told)
                .settled();
            assert_eq!(story.broken(), [], "{reason}");
        }
    }

    #[test]
    fn a_secret_that_changed_since_breaks_it() {
        let secret = |value: &str| json!({"kind": "Secret", "metadata": {"name": "s", "namespace": "ns", "uid": "s"}, "data": {"k": value}});
        let spec = json!({"image": "a", "envFrom": [{"secretRef": {"name": "s"}}]});
        let mut made = pod("x", "x-uid", 1);
        let claim = json!({"number": 1, "inputs": {"references": {}}}).to_string();
        made["metadata"]["annotations"]["workspaces.dev/claim"] = json!(claim);
        let story = |value: &str| {
            Story::new()
                .put(secret("1"))
                .put(workspace("x", spec.clone()))
                .says("x", crate::story::claim(1))
                .put(made.clone())
                .ready("x")
                .put(secret(value))
                .settled()
        };
        assert_eq!(story("1").broken(), []);
        assert_eq!(story("2").broken(), [I3]);
    }
}
