//! The key that Secret data is hashed with: a Secret that the operator makes itself and no chart owns, so that it
//! outlives an uninstall. Losing it costs nobody a restart: see [`inputs`](crate::inputs).

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, api::PostParams};
use rand::Rng;

use crate::{api::names, references::HashKey};

/// Name of the only entry.
const ENTRY: &str = "key";
const LENGTH: usize = 32;

/// The key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator may not read or make it, or the API server failed.
    #[error(
        "{verb} Secret {namespace}/{name}: the operator needs the right to get and create it, or --restart-on-reference-change=false",
        name = names::HASH_KEY_SECRET
    )]
    Call { verb: &'static str, namespace: String, source: Box<kube::Error> },
    /// Somebody spoilt it.
    #[error("Secret {namespace}/{name} has no usable entry \"key\"; delete it to have a new one made", name = names::HASH_KEY_SECRET)]
    Unusable { namespace: String },
}

/// Reads the key, or makes one. Of several replicas that make one at a time, the first wins and all read it.
pub async fn load(client: &Client, namespace: &str) -> Result<HashKey, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |verb| {
        let namespace = namespace.to_owned();
        move |source| Error::Call { verb, namespace, source: Box::new(source) }
    };
    if let Some(secret) = api.get_opt(names::HASH_KEY_SECRET).await.map_err(failed("get"))? {
        return read(&secret, namespace);
    }
    let mut bytes = vec![0_u8; LENGTH];
    rand::rng().fill_bytes(&mut bytes);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(names::HASH_KEY_SECRET.to_owned()),
            labels: Some([(names::MANAGED_BY.to_owned(), names::MANAGED_BY_VALUE.to_owned())].into()),
            ..Default::default()
        },
        data: Some(BTreeMap::from([(ENTRY.to_owned(), ByteString(bytes))])),
        ..Default::default()
    };
    let params = PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..Default::default() };
    match api.create(&params, &secret).await {
        Ok(made) => read(&made, namespace),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            read(&api.get(names::HASH_KEY_SECRET).await.map_err(failed("get"))?, namespace)
        }
        Err(error) => Err(failed("create")(error)),
    }
}

fn read(secret: &Secret, namespace: &str) -> Result<HashKey, Error> {
    secret
        .data
        .as_ref()
        .and_then(|data| data.get(ENTRY))
        .filter(|key| key.0.len() >= LENGTH)
        .map(|key| HashKey::new(key.0.clone()))
        .ok_or_else(|| Error::Unusable { namespace: namespace.to_owned() })
}
