//! Keeps the status of every class: whenever its workspaces got further, but not more often than once a second.

use std::{sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType},
};
use serde_json::json;

use crate::{
    api::{
        WorkspaceClass,
        class_status::{ClassConditionType, WorkspaceClassStatus},
        names,
    },
    class_status::{self, Standing},
    context::Context,
    error::Error,
    resolve::class,
};

/// The least time between two looks: a rollout over thousands is told once a second, not thousands of times.
const PACE: Duration = Duration::from_secs(1);
/// The wait after a write that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until it is dropped.
pub async fn run(ctx: Arc<Context>) {
    ctx.pending.wait().await;
    let changed = ctx.gates.changed();
    loop {
        let all_written = publish(&ctx).await;
        if all_written {
            changed.notified().await;
            tokio::time::sleep(PACE).await;
        } else {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Writes what changed. Answers whether all of it could be written.
async fn publish(ctx: &Context) -> bool {
    let classes = ctx.stores.classes.state();
    let default = class::default(&classes).and_then(|class| class.meta().name.clone());
    let mut all_written = true;
    for class in classes.iter().filter_map(|class| class.0.as_ref().ok()) {
        let name = class.name_any();
        let progress = ctx.gates.progress(&name);
        // One that looks after a single namespace has nothing to say of a class that nobody there has.
        if ctx.settings.namespace.is_some() && progress.workspaces == 0 {
            continue;
        }
        let standing = match &default {
            Some(default) if *default == name => Standing::Default,
            Some(default) if class::is_marked_default(&class.metadata) => Standing::Younger(default.clone()),
            _ => Standing::NotMarked,
        };
        let next = class_status::compute(class, &standing, &progress, ctx.now());
        if class.status.as_ref() == Some(&next) {
            continue;
        }
        let limit = ctx.settings.reconcile_timeout;
        let written = tokio::time::timeout(limit, write(ctx, class, &next)).await;
        match written.unwrap_or(Err(Error::TimedOut { name, limit })) {
            Ok(()) => {
                // A courtesy.
                let _ = tokio::time::timeout(limit, tell(ctx, class, &next)).await;
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "writing a class's status");
                all_written = false;
            }
        }
    }
    all_written
}

async fn write(ctx: &Context, class: &WorkspaceClass, next: &WorkspaceClassStatus) -> Result<(), Error> {
    let api: Api<WorkspaceClass> = Api::all(ctx.client.clone());
    let name = class.name_any();
    let body = json!({
        "metadata": {"uid": class.uid(), "resourceVersion": class.resource_version()},
        "status": next,
    });
    let params =
        PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let written = api.patch_status(&name, &params, &Patch::Merge(&body)).await;
    written.map(|_| ()).map_err(Error::call("write status of", "WorkspaceClass", &name))
}

/// An event for whatever a platform team has to look at.
async fn tell(ctx: &Context, class: &WorkspaceClass, next: &WorkspaceClassStatus) {
    let before = class.status.as_ref().map_or(&[][..], |status| status.conditions.as_slice());
    let news = next.conditions.iter().filter(|condition| {
        let old = before.iter().find(|old| old.type_ == condition.type_);
        is_trouble(condition) && old.is_none_or(|old| old.reason != condition.reason)
    });
    for condition in news {
        let event = Event {
            type_: EventType::Warning,
            reason: condition.reason.clone(),
            note: Some(condition.message.chars().take(1000).collect()),
            action: condition.type_.clone(),
            secondary: None,
        };
        if let Err(error) = ctx.recorder.publish(&event, &class.object_ref(&())).await {
            tracing::debug!(%error, "publishing an event");
        }
    }
}

fn is_trouble(condition: &Condition) -> bool {
    match ClassConditionType::parse(&condition.type_) {
        Some(ClassConditionType::Stalled) => condition.status == "True",
        Some(ClassConditionType::Default) => {
            condition.reason == crate::api::class_status::ClassReason::OlderDefault.as_str()
        }
        // Stalled says the same.
        Some(ClassConditionType::Ready | ClassConditionType::Reconciling) | None => false,
    }
}
