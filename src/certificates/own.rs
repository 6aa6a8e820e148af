//! Our own Secret, which all replicas keep up to date: whoever looks first, writes. A write is conditional, so what
//! another one wrote meanwhile is read and judged again, never overwritten.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, api::PostParams};

use super::{Error, credentials::Credentials, name::Name, stored::Stored};
use crate::{api::names, context::Clock};

const NAME: &str = names::REGISTRATION_SECRET;
/// How often a write may come too late.
const TRIES: u32 = 5;

/// The names as certificates have them.
pub fn names(texts: &[String]) -> Result<BTreeSet<Name>, Error> {
    texts.iter().map(|text| Name::parse(text).ok_or_else(|| Error::Name { name: text.clone() })).collect()
}

/// Reads the Secret, and writes it first if a certificate of it is due.
pub async fn obtain(
    api: &Api<Secret>,
    namespace: &str,
    wanted: &BTreeSet<Name>,
    clock: &Clock,
) -> Result<Credentials, Error> {
    let failed = |verb| {
        move |source| Error::Call {
            verb,
            namespace: namespace.to_owned(),
            name: NAME.to_owned(),
            rights: "get, create and update",
            source: Box::new(source),
        }
    };
    for _ in 0..TRIES {
        let secret = api.get_opt(NAME).await.map_err(failed("get"))?;
        let before = secret.as_ref().and_then(|secret| secret.data.clone()).unwrap_or_default();
        let (mut stored, flaws) = Stored::read(&before);
        stored.advance(wanted, clock()).map_err(|source| Error::Issue { source })?;
        let entries = stored.entries();
        let is_due = entries.iter().any(|(name, value)| before.get(name) != Some(value));
        if is_due {
            for flaw in flaws.iter().filter(|_| secret.is_some()) {
                tracing::warn!(secret = NAME, namespace, flaw, "made anew what is spoilt");
            }
            let is_new = secret.is_none();
            let verb = if is_new { "create" } else { "update" };
            match write(api, secret, entries).await {
                Ok(()) => {
                    tracing::info!(secret = NAME, namespace, "wrote certificates of the registration port");
                }
                Err(error) if is_race(&error, is_new) => continue,
                Err(error) => return Err(failed(verb)(error)),
            }
        }
        return stored.credentials().map_err(|source| Error::Unusable {
            namespace: namespace.to_owned(),
            name: NAME.to_owned(),
            source,
        });
    }
    Err(Error::Contended { namespace: namespace.to_owned(), name: NAME.to_owned() })
}

async fn write(
    api: &Api<Secret>,
    secret: Option<Secret>,
    entries: BTreeMap<String, ByteString>,
) -> Result<(), kube::Error> {
    let params = PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..Default::default() };
    let is_new = secret.is_none();
    // The resourceVersion that was read is the condition.
    let mut secret = secret.unwrap_or_else(|| Secret {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..Default::default() },
        ..Default::default()
    });
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert(names::MANAGED_BY.to_owned(), names::MANAGED_BY_VALUE.to_owned());
    secret.data.get_or_insert_default().extend(entries);
    if is_new {
        api.create(&params, &secret).await?;
    } else {
        api.replace(NAME, &params, &secret).await?;
    }
    Ok(())
}

/// Somebody else made, changed or deleted it since it was read.
fn is_race(error: &kube::Error, is_new: bool) -> bool {
    let kube::Error::Api(status) = error else { return false };
    if is_new { status.is_already_exists() } else { status.is_conflict() || status.is_not_found() }
}
