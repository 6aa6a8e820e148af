//! Which fields a class lets the overlays of its workspaces set: `bounds.overlayFields`.

use std::{fmt, str::FromStr};

use serde_json::Value;

use crate::api::workspace::PodTemplate;

use super::{
    Refused,
    place::{Node, key},
};

/// A field below a Pod, as `spec.containers[main].volumeMounts`. It stands for everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// An item of a list by its merge key, or an entry of a map.
    Item(String),
    /// Every item.
    Each,
}

/// What is no path of a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is no path below a Pod, as spec.containers[main].volumeMounts")]
pub struct BadPath {
    path: String,
}

impl FromStr for FieldPath {
    type Err = BadPath;

    fn from_str(path: &str) -> Result<Self, BadPath> {
        let steps = steps(path).ok_or_else(|| BadPath { path: path.to_owned() })?;
        match steps.first() {
            Some(Step::Field(field)) if field == "spec" || field == "metadata" => Ok(Self { steps }),
            _ => Err(BadPath { path: path.to_owned() }),
        }
    }
}

/// Fields between dots, each with at most one item in brackets; a bracket may hold dots.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        if field.is_empty() || !field.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return None;
        }
        steps.push(Step::Field(field.to_owned()));
        rest = after;
        if let Some(inside) = rest.strip_prefix('[') {
            let (item, after) = inside.split_once(']')?;
            match item {
                "" => return None,
                "*" => steps.push(Step::Each),
                item => steps.push(Step::Item(item.to_owned())),
            }
            rest = after;
        }
        if rest.is_empty() {
            return Some(steps);
        }
        rest = rest.strip_prefix('.')?;
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Field(field) if index == 0 => write!(f, "{field}")?,
                Step::Field(field) => write!(f, ".{field}")?,
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Each => write!(f, "[*]")?,
            }
        }
        Ok(())
    }
}

impl FieldPath {
    /// Whether what is at `steps` lies at this path or below.
    fn covers(&self, steps: &[Step]) -> bool {
        self.steps.len() <= steps.len() && self.steps.iter().zip(steps).all(|(own, step)| own.meets(step))
    }
}

impl Step {
    fn meets(&self, step: &Step) -> bool {
        match (self, step) {
            (Self::Each, _) => true,
            // The entry of a map is written as an item: its key may hold dots.
            (Self::Item(own), Self::Field(name) | Self::Item(name)) => own == name,
            (own, step) => own == step,
        }
    }
}

/// Refuses the first field of a workspace's `template` that is outside of `allowed`.
///
/// A list that is replaced as a whole counts as one field. The merge key of an item is no field of its own: it only
/// tells which item is meant, unless it is all that is said.
pub fn within(template: &PodTemplate, allowed: &[FieldPath]) -> Result<(), Refused> {
    let metadata = template.metadata.iter().flat_map(|metadata| {
        [("labels", &metadata.labels), ("annotations", &metadata.annotations)].into_iter().flat_map(
            |(list, entries)| {
                entries.keys().map(move |key| (format!("metadata.{list}[{key}]"), ["metadata", list, key]))
            },
        )
    });
    for (path, names) in metadata {
        let steps: Vec<Step> = names.into_iter().map(|name| Step::Field(name.to_owned())).collect();
        lies_within(&path, &steps, allowed)?;
    }
    // An empty overlay sets nothing.
    let spec = template.spec.iter().filter(|spec| spec.as_object().is_none_or(|fields| !fields.is_empty()));
    for spec in spec {
        leaves(&Node::root(spec), &mut vec![Step::Field("spec".to_owned())], allowed)?;
    }
    Ok(())
}

fn lies_within(path: &str, steps: &[Step], allowed: &[FieldPath]) -> Result<(), Refused> {
    if allowed.iter().any(|allowed| allowed.covers(steps)) {
        return Ok(());
    }
    let list: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let why = match list.as_slice() {
        [] => "outside of bounds.overlayFields (none is allowed)".to_owned(),
        list => format!("outside of bounds.overlayFields (allowed: {})", list.join(", ")),
    };
    Err(Refused::new(path, why))
}

/// Walks down to each value that is set as a whole.
fn leaves(node: &Node, steps: &mut Vec<Step>, allowed: &[FieldPath]) -> Result<(), Refused> {
    match (node.value, node.keyed) {
        (Value::Object(fields), _) if !fields.is_empty() => fields_of(node, None, steps, allowed),
        (Value::Array(items), Some(keyed)) if !items.is_empty() => {
            for item in node.items() {
                let key = key(item.value, keyed).unwrap_or_default();
                steps.push(Step::Item(key));
                if item.object().is_some_and(|fields| fields.len() > 1) {
                    fields_of(&item, Some(keyed.key), steps, allowed)?;
                } else {
                    lies_within(&item.path, steps, allowed)?;
                }
                steps.pop();
            }
            Ok(())
        }
        // Replaced as a whole, so that only a path that takes in every item allows it.
        (Value::Array(_), _) => {
            steps.push(Step::Each);
            lies_within(&node.path, steps, allowed)?;
            steps.pop();
            Ok(())
        }
        _ => lies_within(&node.path, steps, allowed),
    }
}

fn fields_of(
    node: &Node,
    without: Option<&str>,
    steps: &mut Vec<Step>,
    allowed: &[FieldPath],
) -> Result<(), Refused> {
    for (name, field) in node.fields().filter(|(name, _)| Some(name.as_str()) != without) {
        steps.push(Step::Field(name.clone()));
        leaves(&field, steps, allowed)?;
        steps.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(allowed: &[&str]) -> Vec<FieldPath> {
        allowed.iter().map(|path| path.parse().unwrap()).collect()
    }

    fn outside(spec: Value, allowed: &[&str]) -> Option<String> {
        let template = PodTemplate { metadata: None, spec: Some(spec) };
        within(&template, &paths(allowed)).err().map(|refused| refused.field)
    }

    #[test]
    fn a_path_is_written_as_it_was_read() {
        for path in [
            "spec",
            "metadata.labels",
            "metadata.labels[example.com/team]",
            "spec.containers[*].resources",
            "spec.containers[main].volumeMounts[/var/a.b]",
            "spec.hostAliases[10.0.0.1]",
        ] {
            assert_eq!(path.parse::<FieldPath>().unwrap().to_string(), path);
        }
    }

    #[test]
    fn what_is_no_path_is_told() {
        for path in [
            "",
            "status",
            "spec.",
            "spec..a",
            "spec.a[",
            "spec.a[]",
            "spec.a[b]c",
            "spec.a[b][c]",
            "[a]",
            "spec.a-b",
        ] {
            assert_eq!(
                path.parse::<FieldPath>().unwrap_err().to_string(),
                format!("{path:?} is no path below a Pod, as spec.containers[main].volumeMounts")
            );
        }
    }

    #[test]
    fn a_path_allows_everything_below_it_and_nothing_beside_it() {
        let spec = json!({"securityContext": {"sysctls": [{"name": "a", "value": "b"}], "runAsUser": 1}});
        assert_eq!(outside(spec.clone(), &["spec"]), None);
        assert_eq!(outside(spec.clone(), &["spec.securityContext"]), None);
        assert_eq!(
            outside(spec.clone(), &["spec.securityContext.sysctls"]),
            Some("spec.securityContext.runAsUser".into())
        );
        assert_eq!(outside(spec, &["spec.security"]), Some("spec.securityContext.runAsUser".into()));
    }

    #[test]
    fn an_item_is_named_by_its_merge_key() {
        let spec =
            json!({"containers": [{"name": "main", "volumeMounts": [{"mountPath": "/a", "name": "v"}]}]});
        for allowed in [
            "spec.containers",
            "spec.containers[main]",
            "spec.containers[*].volumeMounts",
            "spec.containers[main].volumeMounts[/a].name",
        ] {
            assert_eq!(outside(spec.clone(), &[allowed]), None, "{allowed}");
        }
        for allowed in [
            "spec.containers[proxy]",
            "spec.containers[main].volumeMounts[/b]",
            "spec.initContainers[*].volumeMounts",
        ] {
            assert_eq!(
                outside(spec.clone(), &[allowed]),
                Some("spec.containers[main].volumeMounts[/a].name".into()),
                "{allowed}"
            );
        }
    }

    #[test]
    fn the_merge_key_needs_no_permission_but_a_bare_item_does() {
        let allowed = &["spec.containers[*].env[*].value"];
        let variable = |item: Value| json!({"containers": [{"name": "proxy", "env": [item]}]});
        assert_eq!(outside(variable(json!({"name": "A", "value": "1"})), allowed), None);
        assert_eq!(
            outside(variable(json!({"name": "A"})), allowed),
            Some("spec.containers[proxy].env[A]".into())
        );
        assert_eq!(
            outside(json!({"volumes": [{"name": "a"}]}), &["spec.volumes[*].emptyDir"]),
            Some("spec.volumes[a]".into())
        );
    }

    #[test]
    fn a_list_that_is_replaced_is_allowed_as_a_whole_only() {
        let spec = json!({"tolerations": [{"key": "a", "effect": "NoSchedule"}]});
        assert_eq!(outside(spec.clone(), &["spec.tolerations"]), None);
        assert_eq!(outside(spec.clone(), &["spec.tolerations[*]"]), None);
        for allowed in ["spec.tolerations[a]", "spec.tolerations[*].key"] {
            assert_eq!(outside(spec.clone(), &[allowed]), Some("spec.tolerations".into()));
        }
        assert_eq!(outside(json!({"tolerations": []}), &["spec.volumes"]), Some("spec.tolerations".into()));
    }

    #[test]
    fn an_empty_object_is_set_too() {
        let spec = json!({"volumes": [{"name": "a", "emptyDir": {}}]});
        assert_eq!(outside(spec.clone(), &["spec.volumes[*].emptyDir"]), None);
        assert_eq!(outside(spec, &["spec.volumes[*].hostPath"]), Some("spec.volumes[a].emptyDir".into()));
    }

    #[test]
    fn an_entry_of_a_map_is_named_in_brackets() {
        let spec = json!({"nodeSelector": {"example.com/disk": "fast"}});
        assert_eq!(outside(spec.clone(), &["spec.nodeSelector[example.com/disk]"]), None);
        assert_eq!(
            outside(spec, &["spec.nodeSelector[zone]"]),
            Some("spec.nodeSelector.example.com/disk".into())
        );
    }

    #[test]
    fn labels_and_annotations_are_fields_of_the_metadata() {
        let template: PodTemplate = serde_json::from_value(json!({"metadata": {
            "labels": {"team": "a"}, "annotations": {"example.com/a": "b"}}}))
        .unwrap();
        let outside =
            |allowed: &[&str]| within(&template, &paths(allowed)).err().map(|refused| refused.field);
        assert_eq!(outside(&["metadata"]), None);
        assert_eq!(outside(&["metadata.labels[team]", "metadata.annotations[example.com/a]"]), None);
        assert_eq!(outside(&["metadata.labels"]), Some("metadata.annotations[example.com/a]".into()));
        assert_eq!(outside(&["spec"]), Some("metadata.labels[team]".into()));
    }

    #[test]
    fn an_overlay_that_sets_nothing_is_always_allowed() {
        for template in [json!({}), json!({"spec": {}}), json!({"metadata": {}, "spec": {}})] {
            let template: PodTemplate = serde_json::from_value(template).unwrap();
            assert_eq!(within(&template, &[]), Ok(()));
        }
    }

    #[test]
    fn the_refusal_lists_what_is_allowed() {
        let template = PodTemplate { metadata: None, spec: Some(json!({"hostNetwork": true})) };
        let told = |allowed: &[&str]| within(&template, &paths(allowed)).unwrap_err().to_string();
        assert_eq!(
            told(&["spec.tolerations", "metadata.labels"]),
            "podTemplate.spec.hostNetwork: outside of bounds.overlayFields (allowed: spec.tolerations, metadata.labels)"
        );
        assert_eq!(
            told(&[]),
            "podTemplate.spec.hostNetwork: outside of bounds.overlayFields (none is allowed)"
        );
    }
}
