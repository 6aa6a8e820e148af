//! Installing what the operator brings along, from its YAML files.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
    discovery::{self, Scope},
};

use crate::{
    FIELD_MANAGER,
    error::{Doing, Error},
    wait,
};

const SERVED_LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn install(client: &Client, folder: &Path) -> Result<(), Error> {
    let objects = read_folder(folder)?;
    let is_definition =
        |object: &DynamicObject| object.types.as_ref().is_some_and(|t| t.kind == "CustomResourceDefinition");
    let (definitions, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_definition);
    for definition in &definitions {
        apply(client, definition).await?;
    }
    for definition in &definitions {
        served(client, definition.metadata.name.as_deref().unwrap_or_default()).await?;
    }
    for object in &others {
        apply(client, object).await?;
    }
    Ok(())
}

fn read_folder(folder: &Path) -> Result<Vec<DynamicObject>, Error> {
    let doing = || format!("read the folder {}", folder.display());
    let entries = fs::read_dir(folder).doing(doing)?.collect::<Result<Vec<_>, _>>().doing(doing)?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml"));
    paths.sort();
    let mut objects = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
        let documents: Vec<DynamicObject> = serde_saphyr::from_multiple(&text)
            .map_err(|e| Error::Parse { what: path.display().to_string(), reason: e.to_string() })?;
        objects.extend(documents);
    }
    Ok(objects)
}

async fn apply(client: &Client, object: &DynamicObject) -> Result<(), Error> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let types = object.types.clone().unwrap_or_default();
    let doing = || format!("apply {} {name}", types.kind);
    let kind = GroupVersionKind::try_from(&types)
        .map_err(|e| Error::Parse { what: format!("the kind of {name}"), reason: e.to_string() })?;
    let (resource, capabilities) = discovery::pinned_kind(client, &kind).await.doing(doing)?;
    let api: Api<DynamicObject> = match (capabilities.scope, &object.metadata.namespace) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
    };
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    wait::until(&doing(), SERVED_LIMIT, || async {
        match api.patch(&name, &parameters, &Patch::Apply(object)).await {
            // Two callers at once: one of them creates it, the other meets a conflict and asks again.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            other => other.map(|_| Some(())).doing(doing),
        }
    })
    .await
}

/// Waits until objects of the defined kind can be listed, in each version that is served.
async fn served(client: &Client, name: &str) -> Result<(), Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definitions = &definitions;
    wait::until(format!("{name} to be served"), SERVED_LIMIT, || async move {
        let definition = definitions.get(name).await.doing(|| format!("read definition {name}"))?;
        let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
        if !conditions.into_iter().any(|c| c.type_ == "Established" && c.status == "True") {
            return Ok(None);
        }
        for version in definition.spec.versions.iter().filter(|version| version.served) {
            let kind =
                GroupVersionKind::gvk(&definition.spec.group, &version.name, &definition.spec.names.kind);
            let resource = ApiResource::from_gvk_with_plural(&kind, &definition.spec.names.plural);
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            // The first moments after Established may still answer 404. Only metadata: what a test left in the rest may
            // be what nobody can read.
            if api.list_metadata(&ListParams::default().limit(1)).await.is_err() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}
