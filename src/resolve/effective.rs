//! The spec with its class and defaults, checked: what a Pod is built from without a way to fail.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{api::core::v1::PodSpec, apimachinery::pkg::api::resource::Quantity};

use crate::{
    api::{
        WorkspaceClass, WorkspaceSpec,
        class::{Backend, Network, NetworkPolicyMode},
        status::ClassRef,
        update_strategy::UpdateStrategyType,
        workspace::{ImagePullPolicy, ServiceType},
    },
    forbidden_env::ForbiddenEnv,
    inputs::{self, Inputs, OfClass},
};

use super::{
    Blocked,
    activity::{self, IdleStop, Source},
    class,
    draft::Draft,
    template::{self, Found},
    volume::{self, OwnVolume, Volume, VolumeSource},
};

/// What is wanted of the Pod and its companions.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    pub class: Option<ClassRef>,
    pub backend: Backend,
    /// None for a program that runs elsewhere.
    pub image: Option<String>,
    pub volume: Option<Volume>,
    /// The kind of Service; none without ports.
    pub service: Option<ServiceType>,
    /// What the network policy lets through; none where the operator makes none.
    pub network: Option<Network>,
    /// Whether a disruption budget keeps a drain away while the program is busy.
    pub busy_disruption_budget: bool,
    pub strategy: UpdateStrategyType,
    /// How long a change waits at most for the program to be idle, and a drain for it to have finished.
    pub max_delay: Duration,
    /// When it is stopped because nobody uses it; none where it never is.
    pub idle: Option<IdleStop>,
    pub inputs: Inputs,
    /// Hash over what the workspace itself says.
    pub own: String,
    /// CPU and memory that were set, as `requests.cpu`.
    pub compute: BTreeMap<String, Quantity>,
    /// The Pod's spec: with overlays, no `envFrom`, and standing on the security floor.
    pub pod: Box<PodSpec>,
    /// The merged spec.
    pub spec: Box<WorkspaceSpec>,
}

/// An image, and when it is pulled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Image {
    pub name: String,
    pub pull_policy: ImagePullPolicy,
}

fn network(class: Option<&WorkspaceClass>) -> Option<Network> {
    let spec = &class?.spec;
    let is_managed = spec.network_policy == Some(NetworkPolicyMode::Managed);
    is_managed.then(|| spec.network.clone().unwrap_or_default())
}

fn busy_disruption_budget(class: Option<&WorkspaceClass>) -> bool {
    class.and_then(|class| class.spec.busy_disruption_budget).unwrap_or_default()
}

/// How long each start may take.
pub fn progress_deadline(spec: &WorkspaceSpec) -> Duration {
    Duration::from_secs(
        spec.progress_deadline_seconds.map_or(600, |seconds| u64::try_from(seconds).unwrap_or(600)),
    )
}

impl Effective {
    /// Checks `draft` against what its references were found to be. Operator-wide, `forbidden` names no variable.
    pub fn of(draft: &Draft, found: &Found, forbidden: &ForbiddenEnv) -> Result<Self, Blocked> {
        let spec = &draft.spec;
        let image = spec.image.clone().filter(|image| !image.trim().is_empty());
        if image.is_none() && draft.backend.is_pod() {
            return Err(Blocked::invalid("image", "neither the workspace nor its class names an image"));
        }
        let service = (!spec.ports.is_empty())
            .then(|| spec.service.as_ref().and_then(|service| service.type_).unwrap_or_default());
        let (strategy, max_delay) = activity::strategy(spec)?;
        let idle = activity::idle_stop(spec)?;
        let compute = compute(spec)?;
        let (references, pod) = template::finish(draft, found, forbidden)?;
        let of_class = draft.class().map(OfClass::of).unwrap_or_default();
        Ok(Self {
            class: draft.class().map(class::reference),
            backend: draft.backend,
            image,
            volume: draft.volume.clone(),
            service,
            network: network(draft.class()).filter(|_| draft.backend.is_pod()),
            busy_disruption_budget: busy_disruption_budget(draft.class()) && draft.backend.is_pod(),
            strategy,
            max_delay,
            idle,
            inputs: Inputs::of(spec, of_class, references),
            own: inputs::own_hash(&draft.own),
            compute,
            pod: Box::new(pod),
            spec: Box::new(spec.clone()),
        })
    }

    /// The own volume claim, if that is what is mounted.
    pub fn own_volume(&self) -> Option<&OwnVolume> {
        match &self.volume.as_ref()?.source {
            VolumeSource::Own(own) => Some(own),
            VolumeSource::Existing(_) => None,
        }
    }

    /// Every image of the Pod, once.
    pub fn images(&self) -> Vec<Image> {
        let containers = self.pod.containers.iter().chain(self.pod.init_containers.iter().flatten());
        let mut images: Vec<Image> = Vec::new();
        for container in containers {
            let Some(name) = &container.image else { continue };
            let given = container.image_pull_policy.as_deref().and_then(ImagePullPolicy::parse);
            let pull_policy = given.unwrap_or_else(|| default_pull_policy(name));
            let image = Image { name: name.clone(), pull_policy };
            if !images.contains(&image) {
                images.push(image);
            }
        }
        images
    }

    /// Where the program is asked for its activity.
    pub fn probe_port(&self) -> Option<u16> {
        match self.idle.as_ref().map(|idle| &idle.source) {
            Some(Source::Probe(probe)) => Some(probe.port),
            Some(Source::Heartbeats) | None => None,
        }
    }

    /// The existing claim, if that is what is mounted.
    pub fn existing_claim(&self) -> Option<&str> {
        match &self.volume.as_ref()?.source {
            VolumeSource::Own(_) => None,
            VolumeSource::Existing(name) => Some(name),
        }
    }
}

/// core/v1's own default, which the image check has to know.
fn default_pull_policy(image: &str) -> ImagePullPolicy {
    let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
    let is_moving = !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    if is_moving { ImagePullPolicy::Always } else { ImagePullPolicy::IfNotPresent }
}

fn compute(spec: &WorkspaceSpec) -> Result<BTreeMap<String, Quantity>, Blocked> {
    let resources = spec.resources.as_ref();
    let mut compute = BTreeMap::new();
    for (list, values) in [
        ("requests", resources.and_then(|resources| resources.requests.as_ref())),
        ("limits", resources.and_then(|resources| resources.limits.as_ref())),
    ] {
        for (name, value) in values.into_iter().flatten() {
            let field = format!("{list}.{name}");
            volume::parse(&format!("resources.{field}"), value)?;
            if name == "cpu" || name == "memory" {
                compute.insert(field, value.clone());
            }
        }
    }
    Ok(compute)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resolve::class::Offer;

    fn check(spec: serde_json::Value) -> Result<Effective, Blocked> {
        let workspace = crate::fixtures::workspace(spec, crate::api::WorkspaceStatus::default());
        let draft = Draft::of(&workspace, &Offer::default())?;
        Effective::of(&draft, &Found::NotAsked, &ForbiddenEnv::default())
    }

    #[test]
    fn an_image_is_required_from_somebody() {
        assert_eq!(
            check(json!({})).unwrap_err().message,
            "spec.image: neither the workspace nor its class names an image"
        );
    }

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("a", ImagePullPolicy::Always),
            ("a:latest", ImagePullPolicy::Always),
            ("host:5000/a", ImagePullPolicy::Always),
            ("host:5000/a:1", ImagePullPolicy::IfNotPresent),
            ("a@sha256:0", ImagePullPolicy::IfNotPresent),
        ] {
            assert_eq!(check(json!({"image": image})).unwrap().images()[0].pull_policy, policy, "{image}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_named() {
        let blocked = check(json!({"image": "a", "resources": {"limits": {"cpu": "lots"}}})).unwrap_err();
        assert_eq!(blocked.message, "spec.resources.limits.cpu: \"lots\" is not a quantity");
    }

    #[test]
    fn every_size_that_the_api_server_takes_can_be_read() {
        for size in ["9999999999999999999999999999Pi", "1E", "1Ei", "1e3", "1e-400", "9e400"] {
            assert!(check(json!({"image": "a", "storage": {"size": size}})).is_ok(), "{size}");
        }
    }

    #[test]
    fn a_number_is_a_quantity() {
        let effective = check(json!({"image": "a", "resources": {"requests": {"cpu": 1}}})).unwrap();
        assert_eq!(effective.compute["requests.cpu"].0, "1");
    }
}
