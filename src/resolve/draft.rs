//! A workspace with its class and overlays merged in, as far as that goes without looking at what it refers to.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::api::core::v1::PodSpec;
use kube::core::DeserializeGuard;
use serde_json::Value;

use crate::{
    api::{
        Reason, Workspace, WorkspaceClass, WorkspaceSpec,
        class::{Backend, PodSecurity},
        names,
    },
    bounds::{Bounds, Referent, ReferentKind},
    floor::{Floor, Token},
    overlay::{self, FieldPath},
    pod_spec,
    references::{self, Source, SourceKind},
    registration,
};

use super::{
    Blocked,
    class::{self, Offer},
    external, merge,
    volume::{self, Volume},
};

type Guarded = Arc<DeserializeGuard<WorkspaceClass>>;

/// A workspace with its class merged in.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What the workspace itself says.
    pub own: WorkspaceSpec,
    /// The same with its class's defaults.
    pub spec: WorkspaceSpec,
    pub class: Option<Guarded>,
    pub backend: Backend,
    pub bounds: Bounds,
    pub volume: Option<Volume>,
    /// The workspace's own overlay, with all of each source that it changes.
    pub own_overlay: Option<PodSpec>,
    /// Names of the containers that the class's overlay brings.
    pub class_containers: BTreeSet<String>,
    /// The Pod with all overlays, before its references are known and its security is seen to.
    pub pod: PodSpec,
}

impl Draft {
    /// Merges `workspace` with its class.
    pub fn of(workspace: &Workspace, offer: &Offer) -> Result<Box<Self>, Blocked> {
        let own = &workspace.spec;
        let class = class::choose(own, offer)?;
        let readable = class.as_deref().and_then(|class| class.0.as_ref().ok());
        let spec = merge::merged(own, readable)?;
        let backend = readable.and_then(|class| class.spec.backend).unwrap_or_default();
        if !backend.is_pod() {
            let spec = external::spec(spec, offer, class::name(readable))?;
            let (own, bounds) = (own.clone(), bounds(readable)?.without_pod());
            let (volume, own_overlay, class_containers) = (None, None, BTreeSet::new());
            let pod = PodSpec::default();
            return Ok(Box::new(Self {
                own,
                spec,
                class,
                backend,
                bounds,
                volume,
                own_overlay,
                class_containers,
                pod,
            }));
        }
        let volume = spec.storage.as_ref().map(volume::volume).transpose()?.flatten();
        let name = workspace.metadata.name.as_deref().unwrap_or_default();
        let base = pod_spec::base(name, &spec, volume.as_ref());
        let (mut pod, own_overlay) = with_overlays(base, own, readable, volume.as_ref())?;
        reserved(&spec)?;
        if spec.requires_registration() {
            let url = offer.registration_url.as_deref().ok_or_else(|| {
                Blocked::invalid(
                    "registration.policy",
                    "this operator runs without registration (--registration=false)",
                )
            })?;
            registration::equipment::equip(&mut pod, name, url);
        }
        let bounds = bounds(readable)?;
        let class_containers = readable.map(containers).unwrap_or_default();
        let own = own.clone();
        Ok(Box::new(Self { own, spec, class, backend, bounds, volume, own_overlay, class_containers, pod }))
    }

    /// The class, which could be read.
    pub fn class(&self) -> Option<&WorkspaceClass> {
        self.class.as_ref()?.0.as_ref().ok()
    }

    /// The Secrets and ConfigMaps whose data, or whose labels, have a say.
    pub fn sources(&self) -> BTreeSet<Source> {
        let environment = references::of(&self.pod).into_iter().map(|reference| reference.source);
        let bounded = self.referents().into_iter().filter_map(|Referent { kind, name }| match kind {
            ReferentKind::Secret => Some(Source { kind: SourceKind::Secret, name }),
            ReferentKind::ConfigMap => Some(Source { kind: SourceKind::ConfigMap, name }),
            ReferentKind::PersistentVolumeClaim => None,
        });
        environment.chain(bounded).collect()
    }

    /// What the bounds want to know the labels of.
    pub fn referents(&self) -> BTreeSet<Referent> {
        self.bounds.needs(&self.own, self.own_overlay.as_ref())
    }

    /// Whether labels of claims have a say.
    pub fn asks_for_claims(&self) -> bool {
        self.referents().iter().any(|referent| referent.kind == ReferentKind::PersistentVolumeClaim)
    }

    /// The least security of the Pod. Without a class nobody said that there may be a token.
    pub fn floor(&self) -> Floor {
        let class = self.class();
        Floor {
            profile: class.and_then(|class| class.spec.pod_security).unwrap_or(PodSecurity::Baseline),
            user_namespace: class.and_then(|class| class.spec.user_namespace).unwrap_or(false),
            token: if class.is_some() { Token::Allowed } else { Token::Refused },
        }
    }
}

/// The Pod with the class's overlay, then the workspace's own; and the latter by itself.
fn with_overlays(
    base: PodSpec,
    own: &WorkspaceSpec,
    class: Option<&WorkspaceClass>,
    volume: Option<&Volume>,
) -> Result<(PodSpec, Option<PodSpec>), Blocked> {
    let invalid = |message: String| Blocked { reason: Reason::InvalidSpec, message };
    let class_overlay = class.and_then(|class| class.spec.pod_template.as_ref()?.spec.as_ref());
    let own_overlay = own.pod_template.as_ref().and_then(|template| template.spec.as_ref());
    allowed(own, class)?;
    if class_overlay.is_none() && own_overlay.is_none() {
        return Ok((base, None));
    }
    let mut merged = serde_json::to_value(base).map_err(|error| invalid(format!("the Pod: {error}")))?;
    let layers =
        [(class_overlay, format!("WorkspaceClass {}: ", class::name(class))), (own_overlay, String::new())];
    for (overlay, whose) in layers {
        let Some(overlay) = overlay else { continue };
        let mounts = volume.map_or(Ok(()), |volume| overlay::check_mounts(overlay, &volume.mount_path));
        overlay::check(overlay).and(mounts).map_err(|refused| invalid(format!("{whose}spec.{refused}")))?;
        overlay::merge(&mut merged, overlay);
    }
    let typed = |value: Value| {
        serde_json::from_value::<PodSpec>(value)
            .map_err(|error| invalid(format!("the Pod with podTemplate.spec merged in: {error}")))
    };
    let own_overlay = own_overlay.map(|overlay| typed(overlay::touched(overlay, &merged))).transpose()?;
    Ok((typed(merged)?, own_overlay))
}

/// Variables by which a program learns who it is are not for others to set.
fn reserved(spec: &WorkspaceSpec) -> Result<(), Blocked> {
    match spec.env.iter().find(|variable| names::RESERVED_ENV.contains(&variable.name.as_str())) {
        Some(variable) => {
            Err(Blocked::invalid("env", &format!("{} is set by the operator only", variable.name)))
        }
        None => Ok(()),
    }
}

/// Whether the class lets the workspace's own overlay set what it sets.
fn allowed(own: &WorkspaceSpec, class: Option<&WorkspaceClass>) -> Result<(), Blocked> {
    let fields = class.and_then(|class| class.spec.bounds.as_ref()?.overlay_fields.as_ref());
    let (Some(fields), Some(template)) = (fields, &own.pod_template) else { return Ok(()) };
    let fields: Vec<FieldPath> =
        fields.iter().map(|field| field.parse()).collect::<Result<_, _>>().map_err(|bad| {
            let class = class::name(class);
            let message = format!("WorkspaceClass {class}: spec.bounds.overlayFields: {bad}");
            Blocked { reason: Reason::InvalidSpec, message }
        })?;
    overlay::within(template, &fields).map_err(|refused| Blocked {
        reason: Reason::OutOfBounds,
        message: format!("spec.{refused} (WorkspaceClass {})", class::name(class)),
    })
}

fn containers(class: &WorkspaceClass) -> BTreeSet<String> {
    let overlay = class.spec.pod_template.as_ref().and_then(|template| template.spec.as_ref());
    let lists =
        ["containers", "initContainers"].into_iter().filter_map(|list| overlay?.get(list)?.as_array());
    lists.flatten().filter_map(|container| Some(container.get("name")?.as_str()?.to_owned())).collect()
}

fn bounds(class: Option<&WorkspaceClass>) -> Result<Bounds, Blocked> {
    let Some(bounds) = class.and_then(|class| class.spec.bounds.as_ref()) else {
        return Ok(Bounds::default());
    };
    Bounds::parse(bounds).map_err(|malformed| Blocked {
        reason: Reason::InvalidSpec,
        message: format!("WorkspaceClass {}: spec.{malformed}", class::name(class)),
    })
}
