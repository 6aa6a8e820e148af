//! The last steps to a Pod's spec, which take a look at what the workspace refers to: bounds by label, `envFrom`
//! spelt out, forbidden variables, the security floor.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;

use crate::{
    api::Reason,
    bounds::{Asked, LabelsOf, Outside, Referent},
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
    Unread { claims: BTreeMap<String, LabelsOf> },
    Read { key: HashKey, contents: BTreeMap<Source, Content>, claims: BTreeMap<String, LabelsOf> },
}

impl Found {
    fn labels(&self, referent: &Referent) -> LabelsOf {
        let (kind, name) = match referent {
            Referent::VolumeClaim(name) => {
                return match self {
                    Self::NotAsked => LabelsOf::Unreadable,
                    Self::Unread { claims } | Self::Read { claims, .. } => {
                        claims.get(name).cloned().unwrap_or(LabelsOf::Missing)
                    }
                };
            }
            Referent::Secret(name) => (SourceKind::Secret, name),
            Referent::ConfigMap(name) => (SourceKind::ConfigMap, name),
        };
        match self {
            Self::NotAsked | Self::Unread { .. } => LabelsOf::Unreadable,
            Self::Read { contents, .. } => match contents.get(&Source { kind, name: name.clone() }) {
                Some(Content::Present { labels, .. }) => LabelsOf::Present(labels.clone()),
                Some(Content::Missing) | None => LabelsOf::Missing,
            },
        }
    }
}

/// The hash over the environment's references, and the Pod's spec.
pub(super) fn finish(
    draft: &Draft,
    found: &Found,
    forbidden: &ForbiddenEnv,
) -> Result<(Option<ReferencesHash>, PodSpec), Blocked> {
    in_bounds(draft, found)?;
    let mut pod = draft.pod.clone();
    let hash = match found {
        Found::NotAsked => None,
        Found::Unread { .. } => {
            if environment::has_env_from(&pod) {
                return Err(Blocked {
                    reason: Reason::ForbiddenEnvironment,
                    message: "envFrom can't be checked for forbidden variables: the operator may not read Secrets \
                              and ConfigMaps (--restart-on-reference-change=false)"
                        .to_owned(),
                });
            }
            None
        }
        Found::Read { key, contents, .. } => {
            let wanted = references::of(&pod);
            environment::expand(&mut pod, |kind, name| keys(contents, kind, name));
            // What is missing is told apart from this, and keeps it from being started.
            (!wanted.is_empty()).then(|| references::hash(&wanted, contents, key).ok()).flatten()
        }
    };
    let of_class = draft.class().and_then(|class| class.spec.bounds.as_ref()?.forbidden_env.as_ref());
    if let Some(found) = forbidden.and(of_class).find(&pod) {
        return Err(Blocked { reason: Reason::ForbiddenEnvironment, message: found.to_string() });
    }
    let floor = draft.floor();
    floor.fill(&mut pod);
    floor.check(&pod).map_err(|below| Blocked { reason: Reason::OutOfBounds, message: below.to_string() })?;
    Ok((hash, pod))
}

fn in_bounds(draft: &Draft, found: &Found) -> Result<(), Blocked> {
    // Labels that nobody looked at say nothing, and nothing is started by them.
    let is_asked = !matches!(found, Found::NotAsked);
    let asked = Asked {
        spec: &draft.spec,
        own: &draft.own,
        overlay: draft.own_overlay.as_ref(),
        class: draft.class(),
        labels: is_asked.then_some(&|referent: &Referent| found.labels(referent)),
    };
    draft.bounds.check(&asked).map_err(|outside: Outside| Blocked {
        reason: Reason::OutOfBounds,
        message: format!("{outside} (WorkspaceClass {})", class::name(draft.class())),
    })
}

/// What `draft` refers to and is not there.
pub(super) fn missing(draft: &Draft, found: &Found) -> Option<Blocked> {
    let missing = |message: String| Some(Blocked { reason: Reason::ReferenceMissing, message });
    if matches!(found, Found::NotAsked) {
        return None;
    }
    let unlabelled = draft.referents().into_iter().find(|one| found.labels(one) == LabelsOf::Missing);
    if let Some(referent) = unlabelled {
        return missing(format!("{referent} does not exist, and the class allows it by its labels only"));
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
