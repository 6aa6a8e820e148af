//! Whether an "exceeded quota" still holds once the old Pod is gone. A dry run counts the old Pod, which the new
//! one replaces; so the refusal declines a restart only where the new Pod asks for more on top than is free.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::{amount::Amount, view::PodView};

/// Reads the API server's message (`exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2`) and tells
/// whether the request fits once `old`'s use is given back. What can't be read does not fit.
pub fn fits_without(message: &str, old: &PodView) -> bool {
    let (Some(requested), Some(used), Some(limited)) =
        (list(message, "requested: "), list(message, "used: "), list(message, "limited: "))
    else {
        return false;
    };
    let freed = use_of(old);
    !requested.is_empty()
        && requested.iter().all(|(name, requested)| {
            let (Some(used), Some(limited)) = (used.get(name), limited.get(name)) else { return false };
            let freed = freed.get(name).copied().unwrap_or_default();
            requested.plus(*used) <= limited.plus(freed)
        })
}

/// The amounts that follow `label`, up to the next label.
fn list(message: &str, label: &str) -> Option<BTreeMap<String, Amount>> {
    let (_, rest) = message.split_once(label)?;
    let text = rest.split(", ").next()?;
    text.split(',')
        .map(|pair| {
            let (name, amount) = pair.split_once('=')?;
            Some((name.trim().to_owned(), Amount::parse(amount.trim())?))
        })
        .collect()
}

/// What a Pod counts for, by the names a quota may have for it.
fn use_of(pod: &PodView) -> BTreeMap<String, Amount> {
    let mut total: BTreeMap<String, Amount> =
        ["pods", "count/pods"].map(|name| (name.to_owned(), Amount::ONE)).into();
    let mut add = |name: String, amount: &Quantity| {
        let sum = total.entry(name).or_default();
        *sum = sum.plus(Amount::of(amount).unwrap_or_default());
    };
    for container in &pod.spec.containers {
        for (name, amount) in &container.resources.requests {
            add(name.clone(), amount);
            add(format!("requests.{name}"), amount);
        }
        for (name, amount) in &container.resources.limits {
            add(format!("limits.{name}"), amount);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn old(cpu: &str) -> PodView {
        serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [
            {"name": "main", "resources": {"requests": {"cpu": cpu}, "limits": {"memory": "1Gi"}}}]}}))
        .unwrap()
    }

    #[test]
    fn the_same_size_fits_in_a_full_namespace() {
        let full = "exceeded quota: q, requested: limits.memory=1Gi,pods=1,requests.cpu=500m, used: limits.memory=4Gi,pods=4,requests.cpu=2, limited: limits.memory=4Gi,pods=4,requests.cpu=2";
        assert!(fits_without(full, &old("500m")));
    }

    #[test]
    fn more_than_is_free_does_not() {
        let full =
            "exceeded quota: q, requested: requests.cpu=1, used: requests.cpu=2, limited: requests.cpu=2";
        assert!(!fits_without(full, &old("500m")));
    }

    #[test]
    fn notations_may_differ_and_amounts_be_absurd() {
        let full = "exceeded quota: q, requested: limits.memory=1Gi, used: limits.memory=4294967296, limited: limits.memory=4Gi";
        assert!(fits_without(full, &old("1")));
        let absurd = "exceeded quota: q, requested: limits.memory=9e60, used: limits.memory=9e60, limited: limits.memory=9999999999999999999999999999Pi";
        assert!(!fits_without(absurd, &old("1")));
    }

    #[test]
    fn what_can_t_be_read_does_not_fit() {
        assert!(!fits_without("exceeded quota", &old("1")));
        assert!(!fits_without("exceeded quota: q, requested: x, used: y, limited: z", &old("1")));
    }
}
