//! The Lease: what it tells, what is written into it, and the calls for that.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};

use super::decision::{Answer, Write};
use crate::api::names;

/// The Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server failed.
    #[error("{verb} Lease {name}")]
    Call {
        verb: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// There was no answer in time.
    #[error("calling for Lease {name}: no answer within {:.1}s", limit.as_secs_f32())]
    Unanswered { name: String, limit: Duration },
}

/// Who has it; none where it was given back.
pub fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// How long it lasts, by its holder's word.
pub fn duration(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    Duration::from_secs(seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default())
}

/// Where its holder takes registrations.
pub fn address(lease: &Lease) -> Option<&str> {
    lease.metadata.annotations.as_ref()?.get(names::REGISTRATION_ADDRESS).map(String::as_str)
}

/// What a holder writes into it.
#[derive(Clone, Debug)]
pub struct Holder {
    pub identity: String,
    pub address: Option<String>,
    pub duration: Duration,
}

impl Holder {
    /// The Lease after this write at `now`. It carries the resourceVersion of the one that was seen.
    pub fn written(&self, write: Write, seen: Option<Lease>, now: Timestamp) -> Lease {
        let mut lease = seen.unwrap_or_default();
        let spec = lease.spec.get_or_insert_default();
        // Two equal writes would be none to the API server, and no sign of life to the others.
        let earliest = spec.renew_time.as_ref().map(|MicroTime(time)| next_microsecond(*time));
        let now = MicroTime(earliest.map_or(now, |earliest| earliest.max(now)));
        spec.renew_time = Some(now.clone());
        match write {
            Write::Create => self.take(spec, 0, now),
            Write::Take => self.take(spec, spec.lease_transitions.unwrap_or_default().saturating_add(1), now),
            Write::Renew => self.hold(spec),
            Write::Release => spec.holder_identity = None,
        }
        let address = self.address.clone().filter(|_| write != Write::Release);
        set_address(&mut lease.metadata, address);
        lease
    }

    fn take(&self, spec: &mut LeaseSpec, transitions: i32, now: MicroTime) {
        spec.acquire_time = Some(now);
        spec.lease_transitions = Some(transitions);
        self.hold(spec);
    }

    fn hold(&self, spec: &mut LeaseSpec) {
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.duration.as_secs()).ok();
    }
}

fn next_microsecond(time: Timestamp) -> Timestamp {
    time.checked_add(SignedDuration::from_micros(1)).unwrap_or(time)
}

fn set_address(metadata: &mut ObjectMeta, address: Option<String>) {
    let annotations = metadata.annotations.get_or_insert_default();
    match address {
        Some(address) => annotations.insert(names::REGISTRATION_ADDRESS.to_owned(), address),
        None => annotations.remove(names::REGISTRATION_ADDRESS),
    };
}

/// The calls for one Lease.
pub struct Leases {
    api: Api<Lease>,
    namespace: String,
    name: String,
    holder: Holder,
}

impl Leases {
    /// Those of `holder` for `namespace/name`.
    pub fn new(client: Client, namespace: &str, name: &str, holder: Holder) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, namespace: namespace.to_owned(), name: name.to_owned(), holder }
    }

    /// Reads it.
    pub async fn read(&self) -> Result<Answer, Error> {
        self.api.get_opt(&self.name).await.map(Answer::Read).map_err(|error| self.failed("get", error))
    }

    /// Writes it in the place of `seen`.
    pub async fn write(&self, write: Write, seen: Option<Lease>, now: Timestamp) -> Result<Answer, Error> {
        let params =
            PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..Default::default() };
        let mut lease = self.holder.written(write, seen, now);
        let (verb, written) = if write == Write::Create {
            lease.metadata.name = Some(self.name.clone());
            lease.metadata.labels =
                Some([(names::MANAGED_BY.to_owned(), names::MANAGED_BY_VALUE.to_owned())].into());
            ("create", self.api.create(&params, &lease).await)
        } else {
            ("update", self.api.replace(&self.name, &params, &lease).await)
        };
        match written {
            Ok(lease) => Ok(Answer::Written(lease)),
            Err(kube::Error::Api(status)) if is_overtaken(write, status.code) => Ok(Answer::Overtaken),
            Err(error) => Err(self.failed(verb, error)),
        }
    }

    fn failed(&self, verb: &'static str, source: kube::Error) -> Error {
        Error::Call { verb, name: self.full_name(), source: Box::new(source) }
    }

    /// A call that was given up after so long.
    pub fn unanswered(&self, limit: Duration) -> Error {
        Error::Unanswered { name: self.full_name(), limit }
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Whether the answer says that the Lease is another by now, or none. A creation that finds no namespace is a failure.
fn is_overtaken(write: Write, code: u16) -> bool {
    code == 409 || (code == 404 && write != Write::Create)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn us() -> Holder {
        let address = Some("10.0.0.1:8443".to_owned());
        Holder { identity: "us".to_owned(), address, duration: Duration::from_secs(15) }
    }

    fn seen() -> Lease {
        serde_json::from_value(json!({
            "metadata": {"resourceVersion": "7", "labels": {"a": "b"},
                         "annotations": {"c": "d", names::REGISTRATION_ADDRESS: "10.0.0.2:8443"}},
            "spec": {"holderIdentity": "them", "leaseTransitions": 4, "leaseDurationSeconds": 60,
                     "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:01:00.000000Z"},
        }))
        .unwrap()
    }

    fn written(write: Write) -> Lease {
        us().written(write, Some(seen()), "2026-01-01T00:02:00Z".parse().unwrap())
    }

    #[test]
    fn a_write_leaves_what_is_not_of_the_election_as_it_was() {
        for write in [Write::Take, Write::Renew, Write::Release] {
            let metadata = written(write).metadata;
            assert_eq!(metadata.resource_version.as_deref(), Some("7"));
            assert_eq!(metadata.labels, seen().metadata.labels);
            assert_eq!(metadata.annotations.unwrap().get("c").map(String::as_str), Some("d"));
        }
    }

    #[test]
    fn only_a_take_counts_as_a_transition() {
        let told = |write| {
            let lease = written(write);
            let spec = lease.spec.clone().unwrap_or_default();
            let acquired = spec.acquire_time.map(|MicroTime(time)| time.to_string()).unwrap_or_default();
            let holder = holder(&lease).unwrap_or("-").to_owned();
            format!("{holder} {} {acquired}", spec.lease_transitions.unwrap_or_default())
        };
        assert_eq!(told(Write::Take), "us 5 2026-01-01T00:02:00Z");
        assert_eq!(told(Write::Renew), "us 4 2026-01-01T00:00:00Z");
        assert_eq!(told(Write::Release), "- 4 2026-01-01T00:00:00Z");
    }

    #[test]
    fn the_address_goes_with_the_holder() {
        assert_eq!(address(&written(Write::Take)), Some("10.0.0.1:8443"));
        assert_eq!(address(&written(Write::Release)), None);
        let nowhere = Holder { address: None, ..us() };
        assert_eq!(address(&nowhere.written(Write::Take, Some(seen()), Timestamp::now())), None);
    }

    #[test]
    fn each_write_differs_from_the_last_though_the_clock_stood_still_or_went_back() {
        let mut lease = seen();
        for now in ["2026-01-01T00:01:00Z", "2025-01-01T00:00:00Z"] {
            let next = us().written(Write::Renew, Some(lease.clone()), now.parse().unwrap());
            let renewed = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.clone());
            assert!(renewed(&next) > renewed(&lease));
            lease = next;
        }
    }

    #[test]
    fn an_empty_holder_is_none_and_an_absurd_duration_is_nothing() {
        let mut lease = seen();
        assert_eq!((holder(&lease), duration(&lease).as_secs()), (Some("them"), 60));
        let spec = lease.spec.get_or_insert_default();
        (spec.holder_identity, spec.lease_duration_seconds) = (Some(String::new()), Some(-1));
        assert_eq!((holder(&lease), duration(&lease).as_secs()), (None, 0));
        assert_eq!((holder(&Lease::default()), duration(&Lease::default()).as_secs()), (None, 0));
    }
}
