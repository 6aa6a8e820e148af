//! Which class a workspace has, and whether it may have it.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::{
    Resource,
    core::{DeserializeGuard, Selector, SelectorExt},
};

use crate::{
    api::{Reason, WorkspaceClass, WorkspaceSpec, names, status::ClassRef},
    view::{Labels, annotation},
};

use super::Blocked;

type Guarded = Arc<DeserializeGuard<WorkspaceClass>>;

/// What a platform offers to the workspaces of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    pub classes: Vec<Guarded>,
    /// None while the namespace is not known: of labels that are missing, `DoesNotExist` would be true.
    pub namespace_labels: Option<Labels>,
    /// Whether a workspace without a class is refused.
    pub require_class: bool,
    /// Where programs register; none where they can't.
    pub registration_url: Option<String>,
    /// Whether the operator sees Secrets, and so those of programs that run elsewhere.
    pub sees_secrets: bool,
}

/// The class of a workspace: the one it names, else the default class, else none. A class that is given could be
/// read, and is for the workspace's namespace.
pub fn choose(spec: &WorkspaceSpec, offer: &Offer) -> Result<Option<Guarded>, Blocked> {
    let not_found = |message: String| Blocked { reason: Reason::ClassNotFound, message };
    let chosen = match &spec.class_name {
        Some(name) => {
            let named = offer.classes.iter().find(|class| class.meta().name.as_ref() == Some(name));
            Some(named.ok_or_else(|| not_found(format!("there is no WorkspaceClass {name}")))?)
        }
        None => default(&offer.classes),
    };
    let Some(chosen) = chosen else {
        return if offer.require_class {
            let message = "a class is required here: className names none, and no class is marked as default";
            Err(not_found(message.to_owned()))
        } else {
            Ok(None)
        };
    };
    // A class that can't be read is still the one that is meant: going on without it would restart whoever has it.
    let class = chosen.0.as_ref().map_err(|invalid| {
        let name = invalid.metadata.name.as_deref().unwrap_or_default();
        not_found(format!("WorkspaceClass {name} can't be read: {invalid}"))
    })?;
    is_allowed(class, offer.namespace_labels.as_ref())?;
    Ok(Some(Arc::clone(chosen)))
}

fn is_allowed(class: &WorkspaceClass, namespace: Option<&Labels>) -> Result<(), Blocked> {
    let Some(selector) = &class.spec.allowed_namespaces else { return Ok(()) };
    let name = class.metadata.name.as_deref().unwrap_or_default();
    let parsed = Selector::try_from(selector.clone()).map_err(|error| Blocked {
        reason: Reason::InvalidSpec,
        message: format!("WorkspaceClass {name}: spec.allowedNamespaces: {error}"),
    })?;
    let Some(namespace) = namespace else {
        return Err(Blocked {
            reason: Reason::ClassNotAllowed,
            message: format!("WorkspaceClass {name}: the labels of this namespace are not known yet"),
        });
    };
    if parsed.matches(namespace) {
        return Ok(());
    }
    Err(Blocked {
        reason: Reason::ClassNotAllowed,
        message: format!(
            "WorkspaceClass {name} is not for this namespace, whose labels don't match allowedNamespaces ({})",
            shown(selector)
        ),
    })
}

/// A selector as `kubectl -l` takes it.
fn shown(selector: &LabelSelector) -> String {
    Selector::try_from(selector.clone()).map(|selector| selector.to_string()).unwrap_or_default()
}

/// The class for workspaces that name none. The older of two wins: a second one marked by mistake moves nobody.
pub fn default(classes: &[Guarded]) -> Option<&Guarded> {
    classes
        .iter()
        .filter(|class| is_marked_default(class.meta()))
        .min_by_key(|class| (created(class.meta()), class.meta().name.clone()))
}

/// Whether a class is marked as the default one.
pub fn is_marked_default(class: &ObjectMeta) -> bool {
    annotation(class, names::DEFAULT_CLASS) == Some("true")
}

fn created(class: &ObjectMeta) -> Timestamp {
    class.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0)
}

/// The name of a class, for messages.
pub fn name(class: Option<&WorkspaceClass>) -> &str {
    class.and_then(|class| class.metadata.name.as_deref()).unwrap_or_default()
}

/// The class as it is noted in a claim.
pub fn reference(class: &WorkspaceClass) -> ClassRef {
    ClassRef { name: class.metadata.name.clone().unwrap_or_default(), generation: class.metadata.generation }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_that_is_not_known_yet_is_not_one_without_labels() {
        let class = json!({"metadata": {"name": "trusted"}, "spec": {"allowedNamespaces":
            {"matchExpressions": [{"key": "untrusted", "operator": "DoesNotExist"}]}}});
        let class: WorkspaceClass = serde_json::from_value(class).unwrap();
        let chosen = |namespace_labels| {
            let classes = vec![Arc::new(DeserializeGuard(Ok(class.clone())))];
            let spec = WorkspaceSpec { class_name: Some("trusted".into()), ..WorkspaceSpec::default() };
            choose(&spec, &Offer { classes, namespace_labels, require_class: false, ..Offer::default() })
                .map(|_| ())
        };
        assert_eq!(chosen(None).unwrap_err().reason, Reason::ClassNotAllowed);
        assert_eq!(chosen(Some(Labels::new())), Ok(()));
    }
}
