//! A Workspace that no longer deserializes: an older or newer CRD let something through. It gets an answer on the
//! object and harms no other.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, error_boundary::InvalidObject},
};
use serde_json::json;

use crate::{
    api::{ConditionStatus, ConditionType, Reason, Workspace, names},
    context::Context,
    error::Error,
    status::{Told, merge},
};

/// Says on the object what is wrong with it. Its Pod, if there is one, is left alone.
pub async fn tell(ctx: &Context, invalid: &InvalidObject) -> Result<(), Error> {
    let metadata = &invalid.metadata;
    let name = metadata.name.clone().unwrap_or_default();
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let kind = ApiResource::erase::<Workspace>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(ctx.client.clone(), &namespace, &kind);
    let Some(live) = api.get_opt(&name).await.map_err(Error::call("get", "Workspace", &name))? else {
        return Ok(());
    };
    let status = live.data.get("status").cloned().unwrap_or_default();
    let old: Vec<Condition> =
        serde_json::from_value(status.get("conditions").cloned().unwrap_or_default()).unwrap_or_default();
    let generation = live.metadata.generation;
    let said = |type_, status, message: String| Told { type_, status, reason: Reason::InvalidSpec, message };
    let message = format!("the object can't be read: {}", invalid.error);
    let mut told = vec![
        said(ConditionType::Reconciling, ConditionStatus::False, String::new()),
        said(ConditionType::Stalled, ConditionStatus::True, message.clone()),
        said(ConditionType::Accepted, ConditionStatus::False, message),
    ];
    // What was known of the Pod stays true; from the first visit on there has to be something.
    if !old.iter().any(|condition| condition.type_ == ConditionType::Ready.as_str()) {
        told.insert(
            0,
            said(
                ConditionType::Ready,
                ConditionStatus::False,
                format!("the object can't be read: {}", invalid.error),
            ),
        );
    }
    let types: Vec<&str> = told.iter().map(|told| told.type_.as_str()).collect();
    let others = old.iter().filter(|condition| !types.contains(&condition.type_.as_str())).cloned();
    let conditions: Vec<Condition> = others.chain(merge(&old, told, generation, ctx.now())).collect();
    if conditions == old {
        return Ok(());
    }
    let body = json!({
        "metadata": {"uid": live.metadata.uid, "resourceVersion": live.metadata.resource_version},
        "status": {"conditions": conditions, "observedGeneration": generation},
    });
    let params = PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..Default::default() };
    let written = api.patch_status(&name, &params, &Patch::Merge(&body)).await;
    written.map(|_| ()).map_err(Error::call("write status of", "Workspace", &name))
}
