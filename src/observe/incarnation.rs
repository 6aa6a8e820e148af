//! One look at the API server for the object that is an incarnation, whichever kind it is.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::{
    api::class::Backend,
    view::{PodView, credential},
};

/// The object of this name as it is now.
pub async fn read(
    client: &Client,
    namespace: &str,
    backend: Backend,
    name: &str,
) -> Result<Option<PodView>, kube::Error> {
    match backend {
        Backend::Pod => Api::<PodView>::namespaced(client.clone(), namespace).get_opt(name).await,
        Backend::External => {
            let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
            Ok(secrets.get_metadata_opt(name).await?.map(|secret| credential::as_pod(&secret)))
        }
    }
}
