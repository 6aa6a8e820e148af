//! Least and most of each compute resource, over the containers that a workspace brings.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{
    amount::Amount,
    api::{bounds::ResourceBounds, names},
};

use super::{Asked, Malformed, Outside, init_containers, plain_containers, quoted};

/// What a container uses without end unless it has a limit. Of other resources it gets none it does not ask for.
const ENDLESS: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// What may be asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Resources {
    min: BTreeMap<String, (Amount, String)>,
    max: BTreeMap<String, (Amount, String)>,
}

impl Resources {
    pub(super) fn parse(bounds: Option<&ResourceBounds>) -> Result<Self, Malformed> {
        let Some(ResourceBounds { min, max }) = bounds else { return Ok(Self::default()) };
        Ok(Self { min: amounts("min", min)?, max: amounts("max", max)? })
    }

    pub(super) fn check(&self, asked: &Asked<'_>) -> Result<(), Outside> {
        if self.min.is_empty() && self.max.is_empty() {
            return Ok(());
        }
        let together = together(asked);
        self.check_min(&together)?;
        self.check_max(&together)?;
        for parts in starting(asked) {
            self.check_max(&parts)?;
        }
        self.check_max(&whole(asked))
    }

    fn check_min(&self, parts: &[Part<'_>]) -> Result<(), Outside> {
        for (name, (least, text)) in &self.min {
            let sum = sum(parts, |part| Ok(part.request(name)))?;
            if sum.amount < *least {
                let field = format!("spec.resources.requests.{name}");
                return Err(sum.outside(&field, format!("bounds.resources.min.{name} (at least {text})")));
            }
        }
        Ok(())
    }

    fn check_max(&self, parts: &[Part<'_>]) -> Result<(), Outside> {
        for (name, (most, text)) in &self.max {
            let bound = || format!("bounds.resources.max.{name} (at most {text})");
            let sum = sum(parts, |part| match part.most(name) {
                None if part.is_whole && ENDLESS.contains(&name.as_str()) => {
                    Err(Outside::new(&format!("{}.limits.{name}", part.path), "no limit", bound()))
                }
                most => Ok(most),
            })?;
            if sum.amount > *most {
                return Err(sum.outside("", bound()));
            }
        }
        Ok(())
    }
}

fn amounts(
    list: &str,
    bounds: &BTreeMap<String, Quantity>,
) -> Result<BTreeMap<String, (Amount, String)>, Malformed> {
    bounds
        .iter()
        .map(|(name, quantity)| match Amount::of(quantity) {
            Some(amount) => Ok((name.clone(), (amount, quantity.0.clone()))),
            None => Err(Malformed::new(
                format!("bounds.resources.{list}.{name}"),
                format!("{:?} is not a quantity", quantity.0),
            )),
        })
        .collect()
}

/// The resources of one container.
#[derive(Clone)]
struct Part<'a> {
    path: String,
    resources: Option<&'a ResourceRequirements>,
    /// Whether this is all there is of them. The rest of a class's container is the class's own business.
    is_whole: bool,
}

/// One entry of a container's resources.
struct Entry<'a> {
    field: String,
    quantity: &'a Quantity,
}

impl<'a> Part<'a> {
    fn of(path: &str, container: &'a Container, is_whole: bool) -> Self {
        Self { path: format!("{path}.resources"), resources: container.resources.as_ref(), is_whole }
    }

    fn limit(&self, name: &str) -> Option<Entry<'a>> {
        let quantity = self.resources?.limits.as_ref()?.get(name)?;
        Some(Entry { field: format!("{}.limits.{name}", self.path), quantity })
    }

    fn set_request(&self, name: &str) -> Option<Entry<'a>> {
        let quantity = self.resources?.requests.as_ref()?.get(name)?;
        Some(Entry { field: format!("{}.requests.{name}", self.path), quantity })
    }

    /// What the scheduler counts: a request that is left out is as high as the limit.
    fn request(&self, name: &str) -> Option<Entry<'a>> {
        self.set_request(name).or_else(|| self.limit(name))
    }

    /// The most it may take. A request without a limit takes that much from everybody else.
    fn most(&self, name: &str) -> Option<Entry<'a>> {
        self.limit(name).or_else(|| self.set_request(name).filter(|_| self.takes_requests(name)))
    }

    fn takes_requests(&self, name: &str) -> bool {
        !self.is_whole || !ENDLESS.contains(&name)
    }
}

/// An amount and what it is made of.
#[derive(Default)]
struct Sum {
    amount: Amount,
    fields: Vec<String>,
    values: Vec<String>,
}

impl Sum {
    fn outside(&self, without: &str, bound: String) -> Outside {
        match self.fields.as_slice() {
            [] => Outside::new(without, "none", bound),
            fields => Outside::new(&fields.join(" + "), &quoted(&self.values.join(" + ")), bound),
        }
    }
}

fn sum<'a>(
    parts: &[Part<'a>],
    entry: impl Fn(&Part<'a>) -> Result<Option<Entry<'a>>, Outside>,
) -> Result<Sum, Outside> {
    let mut sum = Sum::default();
    for part in parts {
        let Some(Entry { field, quantity }) = entry(part)? else { continue };
        let Some(amount) = Amount::of(quantity) else {
            let bound = "bounds.resources: it is not a quantity of zero or more".to_owned();
            return Err(Outside::new(&field, &quoted(&quantity.0), bound));
        };
        sum.amount = sum.amount.plus(amount);
        sum.fields.push(field);
        sum.values.push(quantity.0.clone());
    }
    Ok(sum)
}

/// What runs for as long as the workspace does. A patch on a class's container need not repeat that it is a sidecar.
fn together<'a>(asked: &Asked<'a>) -> Vec<Part<'a>> {
    let main =
        Part { path: "spec.resources".into(), resources: asked.spec.resources.as_ref(), is_whole: true };
    let plain = plain_containers(asked.overlay)
        .map(|(path, container)| Part::of(&path, container, is_whole(asked, container)));
    let init = init_containers(asked.overlay)
        .map(|(path, container)| (is_whole(asked, container), path, container))
        .filter(|(is_whole, _, container)| !is_whole || is_sidecar(container))
        .map(|(is_whole, path, container)| Part::of(&path, container, is_whole));
    std::iter::once(main).chain(plain).chain(init).collect()
}

/// For each init container that ends: itself, and the sidecars that run by then.
fn starting<'a>(asked: &Asked<'a>) -> Vec<Vec<Part<'a>>> {
    let mut running: Vec<Part<'a>> = vec![];
    let mut groups = vec![];
    for (path, container) in init_containers(asked.overlay) {
        let part = Part::of(&path, container, is_whole(asked, container));
        if is_sidecar(container) {
            running.push(part);
        } else {
            groups.push(running.iter().cloned().chain([part]).collect());
        }
    }
    groups
}

/// What is set for the Pod as one. It adds to no limit that is missing.
fn whole<'a>(asked: &Asked<'a>) -> Vec<Part<'a>> {
    let resources = asked.overlay.and_then(|overlay| overlay.resources.as_ref());
    vec![Part { path: "spec.podTemplate.spec.resources".into(), resources, is_whole: false }]
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn is_whole(asked: &Asked<'_>, container: &Container) -> bool {
    container.name != names::MAIN_CONTAINER && !asked.class_containers.contains(&container.name)
}
