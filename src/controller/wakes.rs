//! Which event wakes which workspaces.

use std::{collections::HashMap, sync::Arc};

use futures::{Stream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{reflector::ObjectRef, watcher},
};

use crate::{
    api::Workspace,
    context::Context,
    references::{Source, SourceKind},
    view::label,
};

type Guarded = DeserializeGuard<Workspace>;

/// What has a say in workspaces. The status of a class has none, and each write of it would wake all of them.
pub(super) fn but_for_status<K: Resource<DynamicType = ()> + Send>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send {
    let mut seen = HashMap::new();
    events.filter(move |event| {
        std::future::ready(match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                let ObjectMeta { uid, generation, annotations, .. } = object.meta().clone();
                let now = (uid, generation, annotations);
                seen.insert(object.name_any(), now.clone()) != Some(now)
            }
            Ok(watcher::Event::Delete(object)) => {
                seen.remove(&object.name_any());
                true
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => true,
        })
    })
}

/// The workspace that a child names.
pub(super) fn by_label<K: Resource<DynamicType = ()>>(child: &K, key: &str) -> Option<ObjectRef<Guarded>> {
    let namespace = child.meta().namespace.as_deref()?;
    label(child.meta(), key).map(|name| ObjectRef::new(name).within(namespace))
}

/// Those that name the class, and those that name none: it may be the default.
pub(super) fn users_of_class(workspaces: &[Arc<Guarded>], class: &str) -> Vec<ObjectRef<Guarded>> {
    workspaces
        .iter()
        .filter(|workspace| {
            workspace.0.as_ref().is_ok_and(|workspace| {
                workspace.spec.class_name.as_deref().is_none_or(|named| named == class)
            })
        })
        .map(|workspace| ObjectRef::from_obj(workspace.as_ref()))
        .collect()
}

/// Those of a namespace.
pub(super) fn all_in(workspaces: &[Arc<Guarded>], namespace: &str) -> Vec<ObjectRef<Guarded>> {
    workspaces
        .iter()
        .filter(|workspace| workspace.meta().namespace.as_deref() == Some(namespace))
        .map(|workspace| ObjectRef::from_obj(workspace.as_ref()))
        .collect()
}

/// Those whose environment refers to it.
pub(super) fn users_of_reference<K: Resource>(
    ctx: &Context,
    kind: SourceKind,
    object: &K,
) -> Vec<ObjectRef<Guarded>> {
    let namespace = object.meta().namespace.clone().unwrap_or_default();
    let version = object.resource_version().and_then(|version| version.parse().ok()).unwrap_or(u64::MAX);
    let source = Source { kind, name: object.name_any() };
    ctx.references
        .changed(&namespace, &source, version)
        .into_iter()
        .map(|name| ObjectRef::new(&name).within(&namespace))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::WorkspaceClass;

    #[tokio::test]
    async fn a_class_s_status_wakes_nobody_and_its_spec_its_mark_and_its_end_do() {
        use watcher::Event::{Apply, Delete};
        let class = |generation: i64, uid: &str, default: &str, workspaces: i64| -> WorkspaceClass {
            serde_json::from_value(json!({
                "apiVersion": "workspaces.dev/v1alpha1", "kind": "WorkspaceClass",
                "metadata": {"name": "c", "uid": uid, "generation": generation,
                             "annotations": {"workspaces.dev/is-default-class": default}},
                "spec": {}, "status": {"workspaces": workspaces},
            }))
            .unwrap()
        };
        let events = vec![
            (Apply(class(1, "a", "", 0)), true),
            (Apply(class(1, "a", "", 1)), false),
            (Apply(class(1, "a", "true", 1)), true),
            (Apply(class(2, "a", "true", 1)), true),
            (Delete(class(2, "a", "true", 1)), true),
            (Apply(class(2, "b", "true", 1)), true),
            (Apply(class(2, "b", "true", 2)), false),
        ];
        let wanted: Vec<_> =
            events.iter().filter(|(_, wakes)| *wakes).map(|(event, _)| format!("{event:?}")).collect();
        let events = futures::stream::iter(events.into_iter().map(|(event, _)| Ok(event)));
        let told = but_for_status(events).map(|event| format!("{:?}", event.unwrap()));
        let passed: Vec<_> = Box::pin(told.collect()).await;
        assert_eq!(passed, wanted);
    }
}
