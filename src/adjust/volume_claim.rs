//! The own volume claim: growth and retention. Everything else about a claim is settled when it is made.

use std::cmp::Ordering;

use k8s_openapi::{
    api::core::v1::PersistentVolumeClaim,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};
use serde_json::{Map, Value, json};

use crate::{amount::Amount, view::VolumeClaimView};

/// The merge patch that brings our claim to the wish; none where nothing differs.
pub fn volume_claim(
    live: &VolumeClaimView,
    wanted: &PersistentVolumeClaim,
    owner_uid: &str,
) -> Option<Value> {
    let mut metadata = Map::new();
    let labels = super::strings(
        live.metadata.labels.as_ref(),
        wanted.metadata.labels.as_ref().unwrap_or(&std::collections::BTreeMap::new()),
        &std::collections::BTreeSet::new(),
    );
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
    let live_owners: &[OwnerReference] = live.metadata.owner_references.as_deref().unwrap_or_default();
    let ours = wanted.metadata.owner_references.as_deref().unwrap_or_default();
    if live_owners.iter().any(|owner| owner.uid == owner_uid) == ours.is_empty() {
        let others = live_owners.iter().filter(|owner| owner.uid != owner_uid);
        metadata.insert("ownerReferences".to_owned(), json!(others.chain(ours).collect::<Vec<_>>()));
    }
    let mut patch = Map::new();
    // Until it is bound, the API server refuses every other size.
    let may_grow = live.status.phase.as_deref() == Some("Bound");
    if let Some(size) =
        size_of(wanted).filter(|size| may_grow && compare(live, size) == Some(Ordering::Greater))
    {
        patch.insert("spec".to_owned(), json!({"resources": {"requests": {"storage": size}}}));
    }
    if metadata.is_empty() && patch.is_empty() {
        return None;
    }
    metadata.insert("uid".to_owned(), json!(live.metadata.uid));
    patch.insert("metadata".to_owned(), Value::Object(metadata));
    Some(Value::Object(patch))
}

/// What of the wish is ignored, since a claim can't do it.
pub fn ignored(live: &VolumeClaimView, wanted: &PersistentVolumeClaim) -> Option<String> {
    let spec = wanted.spec.as_ref()?;
    let mut notes = Vec::new();
    if let Some(size) = size_of(wanted).filter(|size| compare(live, size) == Some(Ordering::Less)) {
        let has = live.requested().map(|size| size.0.as_str()).unwrap_or_default();
        notes.push(format!(
            "size {} is smaller than the claim's {has} and is ignored: a volume can't shrink",
            size.0
        ));
    }
    if let Some(class) =
        spec.storage_class_name.as_ref().filter(|class| Some(*class) != live.spec.storage_class_name.as_ref())
    {
        let has = live.spec.storage_class_name.as_deref().unwrap_or("none");
        notes.push(format!("storageClassName {class} is ignored: the claim was made with {has}"));
    }
    if spec.access_modes.as_ref().is_some_and(|modes| *modes != live.spec.access_modes) {
        notes.push(format!(
            "accessModes are ignored: the claim was made with {}",
            live.spec.access_modes.join(", ")
        ));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn size_of(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

/// How the wanted size compares with the claim's.
fn compare(live: &VolumeClaimView, wanted: &Quantity) -> Option<Ordering> {
    Some(Amount::of(wanted)?.cmp(&Amount::of(live.requested()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(size: &str, owners: Value) -> VolumeClaimView {
        serde_json::from_value(json!({"metadata": {"uid": "u", "ownerReferences": owners},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
            "status": {"phase": "Bound"}}))
        .unwrap()
    }

    fn wanted(size: &str, owners: Value) -> PersistentVolumeClaim {
        serde_json::from_value(json!({"metadata": {"ownerReferences": owners},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}}))
        .unwrap()
    }

    fn owner(uid: &str) -> Value {
        json!({"apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace", "name": "x", "uid": uid})
    }

    #[test]
    fn it_grows_and_never_shrinks() {
        let patch = volume_claim(&live("1Gi", json!([])), &wanted("2Gi", json!(null)), "me").unwrap();
        assert_eq!(patch["spec"]["resources"]["requests"]["storage"], "2Gi");
        assert_eq!(volume_claim(&live("2Gi", json!([])), &wanted("1Gi", json!(null)), "me"), None);
        assert!(
            ignored(&live("2Gi", json!([])), &wanted("1Gi", json!(null))).unwrap().contains("can't shrink")
        );
    }

    #[test]
    fn it_does_not_grow_before_it_is_bound() {
        let mut pending = live("1Gi", json!([]));
        pending.status.phase = Some("Pending".to_owned());
        assert_eq!(volume_claim(&pending, &wanted("2Gi", json!(null)), "me"), None);
    }

    #[test]
    fn the_same_size_written_otherwise_is_no_change() {
        assert_eq!(volume_claim(&live("1Gi", json!([])), &wanted("1024Mi", json!(null)), "me"), None);
    }

    #[test]
    fn the_same_size_in_another_notation_is_neither_growth_nor_ignored() {
        // What the API server keeps of a size is its canonical form.
        for (live_size, size) in [
            ("1Gi", "1073741824"),
            ("1", "1000m"),
            ("1k", "1e3"),
            ("1E", "1000P"),
            ("9223372036854775807", "9999999999999999999999999999Pi"),
        ] {
            let (live, wanted) = (live(live_size, json!([])), wanted(size, json!(null)));
            assert_eq!(volume_claim(&live, &wanted, "me"), None, "{size}");
            assert_eq!(ignored(&live, &wanted), None, "{size}");
        }
    }

    #[test]
    fn retention_is_the_owner_reference() {
        let taken =
            volume_claim(&live("1Gi", json!([])), &wanted("1Gi", json!([owner("me")])), "me").unwrap();
        assert_eq!(taken["metadata"]["ownerReferences"][0]["uid"], "me");
        let let_go = volume_claim(
            &live("1Gi", json!([owner("me"), owner("other")])),
            &wanted("1Gi", json!(null)),
            "me",
        );
        assert_eq!(let_go.unwrap()["metadata"]["ownerReferences"], json!([owner("other")]));
    }
}
