//! The last steps to a Pod's spec, which take a look at what the workspace refers to: bounds by label, `envFrom`
//! spelt out, forbidden variables, the security floor.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;

use crate::{
    api::Reason,
    bounds::{Asked, Finding, Labels, Referent, ReferentKind},
    environment,
    forbidden_env::ForbiddenEnv,
    references::{self, Content, HashKey, ReferencesHash, Source, SourceKind},
};

use super::{Blocked, Draft, class};

/// What is known of the objects a workspace refers to.
#[derive(Clone, Debug, Default)]
pub enum Found {
    /// Nobody looked, since nothing is to be started.
    #[default]
    NotAsked,
    /// The operator is not to read Secrets and ConfigMaps; of claims, the labels.
    Unread {
        claims: BTreeMap<Referent, Labels>,
    },
    Read {
        key: HashKey,
        contents: BTreeMap<Source, Content>,
        claims: BTreeMap<Referent, Labels>,
    },
}

impl Found {
    /// What is known of the labels that the bounds ask for.
    fn labels(&self) -> Option<BTreeMap<Referent, Labels>> {
        match self {
            Self::NotAsked => None,
            Self::Unread { claims } => Some(claims.clone()),
            Self::Read { key: _, contents, claims } => {
                let read = contents.iter().map(|(Source { kind, name }, content)| {
                    let kind = match kind {
                        SourceKind::Secret => ReferentKind::Secret,
                        SourceKind::ConfigMap => ReferentKind::ConfigMap,
                    };
                    let labels = match content {
                        Content::Missing => Labels::Missing,
                        Content::Present { labels, .. } => Labels::Present(labels.clone()),
                    };
                    (Referent { kind, name: name.clone() }, labels)
                });
                Some(read.chain(claims.clone()).collect())
            }
        }
    }
}

/// Finishes the Pod of `draft`. What is missing is told by [`missing`], and keeps it from being started.
pub(super) fn finish(
    draft: &Draft,
    found: &Found,
    forbidden: &ForbiddenEnv,
) -> Result<(Option<ReferencesHash>, PodSpec), Blocked> {
    match in_bounds(draft, found) {
        Ok(()) | Err(Finding::Missing(_)) => {}
        Err(Finding::Outside(outside)) => {
            let message = format!("{outside} (WorkspaceClass {})", class::name(draft.class()));
            return Err(Blocked { reason: Reason::OutOfBounds, message });
        }
    }
    let mut pod = draft.pod.clone();
    if !draft.backend.is_pod() {
        return Ok((None, pod));
    }
    let hash = spell_out(&mut pod, found)?;
    let of_class = draft.class().and_then(|class| class.spec.bounds.as_ref()?.forbidden_env.as_ref());
    if let Some(found) = forbidden.with(of_class).find(&pod) {
        return Err(Blocked { reason: Reason::ForbiddenEnvironment, message: found.to_string() });
    }
    let floor = draft.floor();
    floor.fill(&mut pod);
    let template = draft.spec.pod_template.as_ref().and_then(|template| template.metadata.as_ref());
    let annotations = template.map_or(Ok(()), |metadata| floor.check_annotations(&metadata.annotations));
    floor.check(&pod).and(annotations).map_err(|below| Blocked {
        reason: Reason::OutOfBounds,
        message: format!("{below} ({})", whose_floor(draft)),
    })?;
    Ok((hash, pod))
}

fn whose_floor(draft: &Draft) -> String {
    match draft.class() {
        Some(class) => format!("podSecurity of WorkspaceClass {}", class::name(Some(class))),
        None => "what goes for workspaces without a class".to_owned(),
    }
}

/// Replaces `envFrom` by variables, and hashes what the environment refers to.
fn spell_out(pod: &mut PodSpec, found: &Found) -> Result<Option<ReferencesHash>, Blocked> {
    match found {
        Found::Unread { .. } if has_env_from(pod) => Err(Blocked {
            reason: Reason::ForbiddenEnvironment,
            message:
                "envFrom can't be checked for forbidden variables: the operator may not read Secrets and \
                      ConfigMaps (--restart-on-reference-change=false)"
                    .to_owned(),
        }),
        Found::NotAsked | Found::Unread { .. } => Ok(None),
        Found::Read { key, contents, .. } => {
            let wanted = references::of(pod);
            let spelt = environment::expand(pod, |kind, name| keys(contents, kind, name));
            // What is missing is told apart from this.
            let hash = (!wanted.is_empty()).then(|| references::hash(&wanted, contents, key));
            Ok(spelt.ok().and(hash).and_then(Result::ok))
        }
    }
}

fn has_env_from(pod: &PodSpec) -> bool {
    let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    containers.into_iter().any(|container| container.env_from.as_ref().is_some_and(|from| !from.is_empty()))
}

fn in_bounds(draft: &Draft, found: &Found) -> Result<(), Finding> {
    let labels = found.labels();
    draft.bounds.check(&Asked {
        spec: &draft.spec,
        own: &draft.own,
        overlay: draft.own_overlay.as_ref(),
        class_containers: &draft.class_containers,
        labels: labels.as_ref(),
    })
}

/// What `draft` refers to and is not there.
pub(super) fn missing(draft: &Draft, found: &Found) -> Option<Blocked> {
    let missing = |message: String| Some(Blocked { reason: Reason::ReferenceMissing, message });
    if let Err(Finding::Missing(unlabelled)) = in_bounds(draft, found) {
        return missing(unlabelled.to_string());
    }
    let Found::Read { key, contents, .. } = found else { return None };
    references::hash(&references::of(&draft.pod), contents, key).err().and_then(|absent| missing(absent.0))
}

fn keys(contents: &BTreeMap<Source, Content>, kind: SourceKind, name: &str) -> Option<Vec<String>> {
    match contents.get(&Source { kind, name: name.to_owned() })? {
        Content::Present { data, .. } => Some(data.keys().cloned().collect()),
        Content::Missing => None,
    }
}
