//! The watches of Secrets and ConfigMaps, which an operator may go without.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    core::PartialObjectMeta,
    runtime::{Controller, WatchStreamExt, reflector::store::Writer},
};

use crate::{api::names, context::Context, references::SourceKind, watch};

use super::{
    Guarded,
    wakes::{by_label, users_of_reference},
};

/// Has Secrets and `ConfigMaps` watched, if the operator may see them: as metadata only, and of those of programs that run
/// elsewhere alone is anything kept.
pub(super) fn watched(
    controller: Controller<Guarded>,
    ctx: &Arc<Context>,
    namespace: Option<&str>,
    credentials: Writer<PartialObjectMeta<Secret>>,
) -> Controller<Guarded> {
    if ctx.hash_key.is_none() {
        return controller;
    }
    let credentials = watch::cached(
        &ctx.pending,
        "Secret of a program elsewhere",
        watch::scope(&ctx.client, namespace),
        watch::config(Some(names::WORKSPACE)),
        credentials,
    );
    let secrets = watch::events::<PartialObjectMeta<Secret>>(
        "Secret",
        watch::scope(&ctx.client, namespace),
        watch::config(None),
    );
    let configs = watch::events::<PartialObjectMeta<ConfigMap>>(
        "ConfigMap",
        watch::scope(&ctx.client, namespace),
        watch::config(None),
    );
    let (of_secret, of_config) = (Arc::clone(ctx), Arc::clone(ctx));
    controller
        .watches_stream(credentials.touched_objects(), |secret| by_label(&secret, names::WORKSPACE))
        .watches_stream(secrets.touched_objects(), move |secret| {
            users_of_reference(&of_secret, SourceKind::Secret, &secret)
        })
        .watches_stream(configs.touched_objects(), move |config| {
            users_of_reference(&of_config, SourceKind::ConfigMap, &config)
        })
}
