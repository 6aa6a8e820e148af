//! The data of referenced Secrets and `ConfigMaps`, one object at a time and only when it may have changed.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt};

use crate::{
    build::Owner,
    context::Context,
    error::Error,
    references::{Content, HashKey, Source, SourceKind},
};

/// What `sources` hold, hashed with `key`.
pub(super) async fn contents(
    ctx: &Context,
    owner: &Owner,
    sources: BTreeSet<Source>,
    key: &HashKey,
) -> Result<BTreeMap<Source, Content>, Error> {
    ctx.references.register(&owner.namespace, &owner.name, sources.clone());
    let mut contents = BTreeMap::new();
    for source in sources {
        let content = match ctx.references.get(&owner.namespace, &source) {
            Ok(content) => content,
            Err(newest) => read(ctx, &owner.namespace, &source, key, newest).await?,
        };
        contents.insert(source, content);
    }
    Ok(contents)
}

/// Reads `source`, of which the watch has told up to version `newest`.
async fn read(
    ctx: &Context,
    namespace: &str,
    source: &Source,
    key: &HashKey,
    newest: u64,
) -> Result<Content, Error> {
    let (version, content) = match source.kind {
        SourceKind::Secret => {
            let api: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
            let found =
                api.get_opt(&source.name).await.map_err(Error::call("get", "Secret", &source.name))?;
            let version = found.as_ref().and_then(ResourceExt::resource_version);
            (
                version,
                found.map(|secret| Content::Present {
                    labels: secret.labels().clone(),
                    data: secret_hashes(&secret, source, key),
                }),
            )
        }
        SourceKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), namespace);
            let found =
                api.get_opt(&source.name).await.map_err(Error::call("get", "ConfigMap", &source.name))?;
            let version = found.as_ref().and_then(ResourceExt::resource_version);
            (
                version,
                found.map(|config| Content::Present {
                    labels: config.labels().clone(),
                    data: config_hashes(&config, source, key),
                }),
            )
        }
    };
    let content = content.unwrap_or(Content::Missing);
    let version = version.and_then(|version| version.parse().ok()).unwrap_or(newest);
    ctx.references.put(namespace, source, version, content.clone());
    Ok(content)
}

fn secret_hashes(secret: &Secret, source: &Source, key: &HashKey) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(name, value)| (name.clone(), key.hash(source, name, &value.0))).collect()
}

/// Binary data takes no part: the kubelet makes no variables of it.
fn config_hashes(config: &ConfigMap, source: &Source, key: &HashKey) -> BTreeMap<String, String> {
    let data = config.data.iter().flatten();
    data.map(|(name, value)| (name.clone(), key.hash(source, name, value.as_bytes()))).collect()
}
