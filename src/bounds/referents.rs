//! The Secrets, ConfigMaps and claims that a workspace itself refers to, and whether their labels let it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::{
    api::core::v1::{
        EnvFromSource, EnvVar, LocalObjectReference, PodSpec, TypedObjectReference, Volume, VolumeProjection,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::core::{Selector, SelectorExt as _};

use crate::api::WorkspaceSpec;

use super::{Asked, Finding, Malformed, Outside, containers, quoted, storage::templates};

/// Kind of an object that may be bound by its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferentKind {
    Secret,
    ConfigMap,
    PersistentVolumeClaim,
}

impl ReferentKind {
    /// The kind as the API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::PersistentVolumeClaim => CLAIM,
        }
    }

    fn bound(self) -> &'static str {
        match self {
            Self::Secret => "bounds.secrets",
            Self::ConfigMap => "bounds.configMaps",
            Self::PersistentVolumeClaim => CLAIMS,
        }
    }
}

const CLAIM: &str = "PersistentVolumeClaim";
const CLAIMS: &str = "bounds.existingClaims";

/// An object of the workspace's namespace that the workspace refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Referent {
    pub kind: ReferentKind,
    pub name: String,
}

impl fmt::Display for Referent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// What is known of an object's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// There is no such object.
    Missing,
    /// These are they.
    Present(BTreeMap<String, String>),
    /// The operator may not read the object.
    Unreadable,
}

/// An object whose labels can't be checked since it is not there. That the reference is optional changes nothing:
/// one made later would slip in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {referent} does not exist, so its labels can't be checked against {}", .referent.kind.bound())]
pub struct Missing {
    pub field: String,
    pub referent: Referent,
}

/// Every object that a workspace itself refers to. What its class refers to is no part of it.
pub fn referents(own: &WorkspaceSpec, overlay: Option<&PodSpec>) -> BTreeSet<Referent> {
    let mut mentions = Mentions::default();
    mentions.read(own, overlay);
    mentions.referents.into_iter().map(|(_, referent)| referent).collect()
}

/// Which objects may be referred to.
#[derive(Clone, Debug, Default)]
pub(super) struct Selectors(BTreeMap<ReferentKind, Selector>);

impl Selectors {
    pub(super) fn parse(
        secrets: Option<&LabelSelector>,
        config_maps: Option<&LabelSelector>,
        claims: Option<&LabelSelector>,
    ) -> Result<Self, Malformed> {
        let kinds = [
            (ReferentKind::Secret, secrets),
            (ReferentKind::ConfigMap, config_maps),
            (ReferentKind::PersistentVolumeClaim, claims),
        ];
        let given = kinds.into_iter().filter_map(|(kind, selector)| Some((kind, selector?)));
        given.map(|(kind, selector)| Ok((kind, parsed(kind, selector)?))).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is a bound for this kind.
    pub(super) fn bound(&self, kind: ReferentKind) -> bool {
        self.0.contains_key(&kind)
    }

    pub(super) fn check(&self, asked: &Asked<'_>) -> Result<(), Finding> {
        let mut mentions = Mentions::default();
        mentions.read(asked.own, asked.overlay);
        if self.bound(ReferentKind::PersistentVolumeClaim)
            && let Some((field, what)) = mentions.unlabelled.into_iter().next()
        {
            return Err(Outside::new(&field, &what, format!("{CLAIMS}: its labels can't be known")).into());
        }
        let Some(labels) = asked.labels else { return Ok(()) };
        let mut missing = None;
        for (field, referent) in mentions.referents {
            let Some(selector) = self.0.get(&referent.kind) else { continue };
            let outside = |bound: String| Outside::new(&field, &quoted(&referent.name), bound);
            let bound = format!("{} ({selector})", referent.kind.bound());
            match labels.get(&referent) {
                Some(Labels::Present(labels)) if selector.matches(labels) => {}
                Some(Labels::Present(_)) => return Err(outside(bound).into()),
                Some(Labels::Missing) => {
                    missing.get_or_insert(Missing { field, referent });
                }
                Some(Labels::Unreadable) | None => {
                    let why =
                        format!("{bound}: the operator may not read it, so its labels can't be checked");
                    return Err(outside(why).into());
                }
            }
        }
        missing.map_or(Ok(()), |missing| Err(missing.into()))
    }
}

/// The operator's own reading would take `NotIn` of nothing for everything.
fn parsed(kind: ReferentKind, selector: &LabelSelector) -> Result<Selector, Malformed> {
    let malformed = |problem: String| Malformed::new(kind.bound(), problem);
    for requirement in selector.match_expressions.iter().flatten() {
        let has_values = requirement.values.as_ref().is_some_and(|values| !values.is_empty());
        let takes_values = matches!(requirement.operator.as_str(), "In" | "NotIn");
        if has_values != takes_values {
            let (operator, key) = (&requirement.operator, &requirement.key);
            let problem = if takes_values { "needs values" } else { "takes no values" };
            return Err(malformed(format!("{operator} of the label {key} {problem}")));
        }
    }
    selector
        .clone()
        .try_into()
        .map_err(|error: kube::core::ParseExpressionError| malformed(error.to_string()))
}

/// What is referred to, each with the field that does.
#[derive(Default)]
struct Mentions {
    referents: Vec<(String, Referent)>,
    /// Sources of volumes that have no labels to go by.
    unlabelled: Vec<(String, String)>,
}

impl Mentions {
    fn read(&mut self, own: &WorkspaceSpec, overlay: Option<&PodSpec>) {
        self.environment("spec", &own.env, &own.env_from);
        self.pull_secrets("spec", &own.image_pull_secrets);
        if let Some(storage) = &own.storage {
            self.claim("spec.storage.existingClaim", storage.existing_claim.as_ref());
            if let Some(source) = &storage.data_source_ref {
                self.data_source("spec.storage.dataSourceRef", source);
            }
        }
        for (path, container) in containers(overlay) {
            let bulk = container.env_from.as_deref().unwrap_or_default();
            self.environment(&path, container.env.as_deref().unwrap_or_default(), bulk);
        }
        let Some(spec) = overlay else { return };
        self.pull_secrets("spec.podTemplate.spec", spec.image_pull_secrets.as_deref().unwrap_or_default());
        for volume in spec.volumes.iter().flatten() {
            self.volume(volume);
        }
        self.templates(overlay);
    }

    fn add(&mut self, kind: ReferentKind, field: String, name: &str) {
        if !name.is_empty() {
            self.referents.push((field, Referent { kind, name: name.to_owned() }));
        }
    }

    fn claim(&mut self, field: &str, name: Option<&String>) {
        self.add(
            ReferentKind::PersistentVolumeClaim,
            field.to_owned(),
            name.map(String::as_str).unwrap_or_default(),
        );
    }

    fn pull_secrets(&mut self, path: &str, secrets: &[LocalObjectReference]) {
        for (at, secret) in secrets.iter().enumerate() {
            self.add(ReferentKind::Secret, format!("{path}.imagePullSecrets[{at}]"), &secret.name);
        }
    }

    fn environment(&mut self, path: &str, variables: &[EnvVar], bulk: &[EnvFromSource]) {
        for EnvVar { name, value: _, value_from } in variables {
            let Some(from) = value_from else { continue };
            let path = format!("{path}.env[{name}].valueFrom");
            if let Some(secret) = &from.secret_key_ref {
                self.add(ReferentKind::Secret, format!("{path}.secretKeyRef"), &secret.name);
            }
            if let Some(config) = &from.config_map_key_ref {
                self.add(ReferentKind::ConfigMap, format!("{path}.configMapKeyRef"), &config.name);
            }
        }
        for (at, EnvFromSource { prefix: _, secret_ref, config_map_ref }) in bulk.iter().enumerate() {
            let path = format!("{path}.envFrom[{at}]");
            if let Some(secret) = secret_ref {
                self.add(ReferentKind::Secret, format!("{path}.secretRef"), &secret.name);
            }
            if let Some(config) = config_map_ref {
                self.add(ReferentKind::ConfigMap, format!("{path}.configMapRef"), &config.name);
            }
        }
    }

    /// A new kind of volume has to be put on one side or the other.
    fn volume(&mut self, volume: &Volume) {
        let Volume {
            name,
            config_map,
            secret,
            projected,
            persistent_volume_claim,
            azure_file,
            cephfs,
            cinder,
            csi,
            flex_volume,
            iscsi,
            rbd,
            scale_io,
            storageos,
            // Its template is read by itself.
            ephemeral: _,
            aws_elastic_block_store: _,
            azure_disk: _,
            downward_api: _,
            empty_dir: _,
            fc: _,
            flocker: _,
            gce_persistent_disk: _,
            git_repo: _,
            glusterfs: _,
            host_path: _,
            image: _,
            nfs: _,
            photon_persistent_disk: _,
            portworx_volume: _,
            quobyte: _,
            vsphere_volume: _,
        } = volume;
        let path = format!("spec.podTemplate.spec.volumes[{name}]");
        if let Some(config) = config_map {
            self.add(ReferentKind::ConfigMap, format!("{path}.configMap"), &config.name);
        }
        if let Some(secret) = secret.as_ref().and_then(|secret| secret.secret_name.as_ref()) {
            self.add(ReferentKind::Secret, format!("{path}.secret"), secret);
        }
        for (at, source) in
            projected.iter().flat_map(|projected| projected.sources.iter().flatten()).enumerate()
        {
            self.projection(&format!("{path}.projected.sources[{at}]"), source);
        }
        let claim = persistent_volume_claim.as_ref().map(|claim| &claim.claim_name);
        self.claim(&format!("{path}.persistentVolumeClaim"), claim);
        if let Some(file) = azure_file {
            self.add(ReferentKind::Secret, format!("{path}.azureFile.secretName"), &file.secret_name);
        }
        for (field, secret) in [
            ("cephfs.secretRef", cephfs.as_ref().and_then(|source| source.secret_ref.as_ref())),
            ("cinder.secretRef", cinder.as_ref().and_then(|source| source.secret_ref.as_ref())),
            (
                "csi.nodePublishSecretRef",
                csi.as_ref().and_then(|source| source.node_publish_secret_ref.as_ref()),
            ),
            ("flexVolume.secretRef", flex_volume.as_ref().and_then(|source| source.secret_ref.as_ref())),
            ("iscsi.secretRef", iscsi.as_ref().and_then(|source| source.secret_ref.as_ref())),
            ("rbd.secretRef", rbd.as_ref().and_then(|source| source.secret_ref.as_ref())),
            ("scaleIO.secretRef", scale_io.as_ref().map(|source| &source.secret_ref)),
            ("storageos.secretRef", storageos.as_ref().and_then(|source| source.secret_ref.as_ref())),
        ] {
            if let Some(secret) = secret {
                self.add(ReferentKind::Secret, format!("{path}.{field}"), &secret.name);
            }
        }
    }

    fn projection(&mut self, path: &str, source: &VolumeProjection) {
        let VolumeProjection {
            config_map,
            secret,
            cluster_trust_bundle: _,
            downward_api: _,
            pod_certificate: _,
            service_account_token: _,
        } = source;
        if let Some(config) = config_map {
            self.add(ReferentKind::ConfigMap, format!("{path}.configMap"), &config.name);
        }
        if let Some(secret) = secret {
            self.add(ReferentKind::Secret, format!("{path}.secret"), &secret.name);
        }
    }

    /// A claim that picks its volume by name or labels would get at what somebody else left there.
    fn templates(&mut self, overlay: Option<&PodSpec>) {
        for (path, claim) in templates(overlay) {
            if let Some(source) = &claim.data_source_ref {
                self.data_source(&format!("{path}.dataSourceRef"), source);
            }
            if let Some(source) = &claim.data_source {
                let source = TypedObjectReference {
                    api_group: source.api_group.clone(),
                    kind: source.kind.clone(),
                    name: source.name.clone(),
                    namespace: None,
                };
                self.data_source(&format!("{path}.dataSource"), &source);
            }
            if let Some(volume) = claim.volume_name.as_ref().filter(|name| !name.is_empty()) {
                self.unlabelled.push((format!("{path}.volumeName"), quoted(volume)));
            }
            if claim.selector.is_some() {
                self.unlabelled.push((format!("{path}.selector"), "a volume picked by labels".to_owned()));
            }
        }
    }

    fn data_source(&mut self, field: &str, source: &TypedObjectReference) {
        let TypedObjectReference { api_group, kind, name, namespace } = source;
        let is_core = api_group.as_ref().is_none_or(String::is_empty);
        match namespace.as_ref().filter(|namespace| !namespace.is_empty()) {
            None if is_core && kind == CLAIM => self.claim(field, Some(name)),
            None => self.unlabelled.push((field.to_owned(), quoted(&format!("{kind} {name}")))),
            Some(namespace) => {
                self.unlabelled.push((field.to_owned(), quoted(&format!("{kind} {namespace}/{name}"))));
            }
        }
    }
}
