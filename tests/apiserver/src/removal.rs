//! Deleting objects.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    call::Query,
    failure::{self, Failure},
    kind::{self, Kind, Trait},
    object::{self, Key},
    selector::selects,
    state::State,
};

pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";

/// How an object is to be deleted: `metav1.DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletion {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub grace: Option<i64>,
    pub propagation: Option<String>,
    pub dry_run: bool,
    /// Whether the admission rules are passed by.
    pub is_by_cluster: bool,
}

impl Deletion {
    pub fn parse(query: &Query, body: &Value) -> Self {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let grace = query.get("gracePeriodSeconds").and_then(|seconds| seconds.parse().ok());
        Self {
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            grace: body["gracePeriodSeconds"].as_i64().or(grace),
            propagation: text("/propagationPolicy").or(query.get("propagationPolicy").map(str::to_owned)),
            dry_run: query.is_dry_run() || body["dryRun"][0] == "All",
            is_by_cluster: false,
        }
    }

    /// By a controller.
    pub fn by_cluster() -> Self {
        Self { is_by_cluster: true, ..Self::default() }
    }
}

impl State {
    /// Deletes an object, or marks it where something must happen first; answers as the API server does.
    pub fn delete(&mut self, kind: &'static Kind, key: &Key, how: &Deletion) -> Result<Value, Failure> {
        let object = self.store.get(kind, key).cloned().ok_or_else(|| failure::not_found(kind, &key.name))?;
        check_preconditions(kind, &object, how)?;
        if !how.is_by_cluster {
            self.admit_deletion(kind, &object, how.dry_run)?;
        }
        let mut marked = (*object).clone();
        self.mark(kind, &mut marked, how);
        let is_over = !is_held(kind, &marked) && object::grace(&marked).unwrap_or_default() == 0;
        if how.dry_run {
            return Ok(marked);
        }
        if is_over {
            let answers_object = kind.has(Trait::ReturnsDeleted) || object::is_deleting(&object);
            let last = if kind.is_core("Pod") { marked } else { (*object).clone() };
            let removed = self.store.remove(kind, key, last);
            return Ok(if answers_object { (*removed).clone() } else { success(kind, &object) });
        }
        if marked == *object {
            return Ok(marked);
        }
        let owners = self.store.record(kind, key).map(|record| record.owners.clone()).unwrap_or_default();
        Ok((*self.store.put(kind, marked, owners)).clone())
    }

    fn mark(&self, kind: &'static Kind, object: &mut Value, how: &Deletion) {
        let grace = if kind.is_core("Pod") { grace_of_pod(object, how) } else { 0 };
        let earlier = object::grace(object);
        let is_new = !object::is_deleting(object);
        if is_new || earlier.is_some_and(|earlier| grace < earlier) {
            let end = self.time() + SignedDuration::from_secs(grace);
            object["metadata"]["deletionTimestamp"] = json!(object::seconds(end));
            object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        }
        if is_new && let Some(generation) = object["metadata"]["generation"].as_i64() {
            object["metadata"]["generation"] = json!(generation + 1);
        }
        if is_new && kind.is_core("Namespace") {
            object["status"]["phase"] = json!("Terminating");
        }
        let mut finalizers = object::finalizers(object);
        let propagation = how.propagation.as_deref();
        if propagation.is_some() {
            finalizers.retain(|own| own != FOREGROUND && own != ORPHAN);
        }
        match propagation {
            Some("Foreground") => finalizers.push(FOREGROUND.to_owned()),
            Some("Orphan") => finalizers.push(ORPHAN.to_owned()),
            _ => {}
        }
        object::set_finalizers(object, &finalizers);
    }

    /// Evicts a Pod as the sub-resource does: refused while a budget does not allow it.
    pub fn evict(&mut self, key: &Key, how: &Deletion) -> Result<Value, Failure> {
        let (Some(pods), Some(budgets)) = (kind::by_name("Pod"), kind::by_name("PodDisruptionBudget")) else {
            return Err(failure::no_such_resource());
        };
        let pod = self.store.get(pods, key).cloned().ok_or_else(|| failure::not_found(pods, &key.name))?;
        let covering = self.store.list(budgets, Some(&key.namespace)).find(|budget| {
            selects(&budget["spec"]["selector"], &pod["metadata"]["labels"]) && !self.allows(budget)
        });
        if let Some(budget) = covering {
            return Err(failure::budget_exhausted(object::name(budget)));
        }
        self.delete(pods, key, how)?;
        Ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }))
    }

    // There is no controller for budgets here: whole numbers are compared with what is Ready now.
    fn allows(&self, budget: &Value) -> bool {
        let Some(pods) = kind::by_name("Pod") else { return true };
        let covered: Vec<&Arc<Value>> = self
            .store
            .list(pods, Some(object::namespace(budget)))
            .filter(|pod| selects(&budget["spec"]["selector"], &pod["metadata"]["labels"]))
            .collect();
        let is_ready = |pod: &&&Arc<Value>| {
            object::list(pod, "/status/conditions")
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        let healthy = i64::try_from(covered.iter().filter(is_ready).count()).unwrap_or(i64::MAX);
        let expected = i64::try_from(covered.len()).unwrap_or(i64::MAX);
        let minimum =
            match (budget["spec"]["minAvailable"].as_i64(), budget["spec"]["maxUnavailable"].as_i64()) {
                (Some(minimum), _) => minimum,
                (None, Some(most)) => expected - most,
                (None, None) => 0,
            };
        healthy > minimum
    }
}

fn grace_of_pod(pod: &Value, how: &Deletion) -> i64 {
    let is_scheduled = !object::text(pod, "/spec/nodeName").is_empty();
    let has_ended = matches!(object::text(pod, "/status/phase"), "Failed" | "Succeeded");
    if !is_scheduled || has_ended {
        return 0;
    }
    how.grace.or(pod["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30).max(0)
}

/// Whether something must happen before a deleted object goes.
pub(crate) fn is_held(kind: &Kind, object: &Value) -> bool {
    let is_held_by_spec = kind.is_core("Namespace") && !object::list(object, "/spec/finalizers").is_empty();
    is_held_by_spec || !object::finalizers(object).is_empty()
}

fn check_preconditions(kind: &'static Kind, object: &Value, how: &Deletion) -> Result<(), Failure> {
    let checks = [
        ("UID", how.uid.as_deref(), object::uid(object)),
        (
            "ResourceVersion",
            how.resource_version.as_deref(),
            object::text(object, "/metadata/resourceVersion"),
        ),
    ];
    for (what, wanted, is) in checks {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
            let why =
                format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {is}");
            return Err(failure::conflict(kind, object::name(object), &why));
        }
    }
    Ok(())
}

fn success(kind: &Kind, object: &Value) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": object::name(object),
            "group": kind.group,
            "kind": kind.plural,
            "uid": object::uid(object),
        },
    })
}
