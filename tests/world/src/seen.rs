//! What is seen of a world, and waited for.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{Api, api::ListParams};
use test_apiserver::{ApiServer, recorder::Request};
use test_invariants::What;
use workspace_operator::api::{ConditionType, Reason, Workspace, names};

use crate::{World, condition, is, observed, shown, starts, told::is_restart_served};

/// How long anything may take before a scenario fails. Generous: machines are shared.
const LIMIT: Duration = Duration::from_secs(30);
/// How often is looked.
const PACE: Duration = Duration::from_millis(25);

impl World {
    /// The workspace as it is.
    pub async fn get(&self, name: &str) -> Workspace {
        self.api().get(name).await.unwrap()
    }

    /// The workspace's Pod, if there is one.
    pub async fn pod(&self, name: &str) -> Option<Pod> {
        self.api().get_opt(name).await.unwrap()
    }

    /// Looks until `is_so`, and fails with what is there instead.
    pub async fn until(&self, name: &str, what: &str, is_so: impl Fn(&Workspace) -> bool) -> Workspace {
        let api: Api<Workspace> = self.api();
        let mut last = None;
        for _ in 0..LIMIT.as_millis() / PACE.as_millis() {
            let found = api.get_opt(name).await.unwrap();
            if let Some(workspace) = &found
                && is_so(workspace)
            {
                return workspace.clone();
            }
            last = found;
            tokio::time::sleep(PACE).await;
        }
        let status = last.and_then(|workspace| workspace.status);
        let calls = self.log.requests();
        let calls = shown(calls.rchunks(25).next().unwrap_or_default());
        panic!("{name} was not {what} in time: {status:#?}\nthe operator's last calls:\n{calls}");
    }

    /// The events about a workspace, in order.
    pub async fn story(&self, name: &str) -> String {
        let about = ListParams::default().fields(&format!("regarding.name={name},regarding.kind=Workspace"));
        let mut events = self.api::<Event>().list(&about).await.unwrap().items;
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let told = events.iter().map(|event| {
            let time = event.event_time.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
            let count = event.series.as_ref().map_or(1, |series| series.count);
            format!("{time} {count}x {:?} {:?}", event.reason, event.note)
        });
        told.collect::<Vec<_>>().join("\n")
    }

    /// Looks until `found` answers with something.
    pub async fn eventually<T, F>(&self, what: &str, mut found: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        for _ in 0..LIMIT.as_millis() / PACE.as_millis() {
            if let Some(found) = found().await {
                return found;
            }
            tokio::time::sleep(PACE).await;
        }
        panic!("{what}: not in time");
    }

    /// Until it is Ready by its newest generation and every restart asked for was served.
    pub async fn ready(&self, name: &str) -> Workspace {
        self.until(name, "Ready and up to date", |workspace| {
            is(workspace, ConditionType::Ready, "True")
                && is(workspace, ConditionType::UpToDate, "True")
                && observed(workspace)
                && is_restart_served(workspace)
        })
        .await
    }

    /// Until start `number` or a later one is Ready.
    pub async fn ready_at(&self, name: &str, number: i64) -> Workspace {
        self.until(name, &format!("Ready at start {number}"), |workspace| {
            is(workspace, ConditionType::Ready, "True") && starts(workspace) >= number && observed(workspace)
        })
        .await
    }

    /// Until a condition has this reason, by the newest generation.
    pub async fn reason(&self, name: &str, type_: ConditionType, reason: Reason) -> Workspace {
        self.until(name, &format!("{type_}/{reason}"), |workspace| {
            condition(workspace, type_).is_some_and(|(_, shown, _)| shown == reason.as_str())
                && observed(workspace)
        })
        .await
    }

    /// Until the workspace and its Pod are gone.
    pub async fn gone(&self, name: &str) {
        self.eventually(&format!("{name} and its Pod are gone"), || async {
            let workspace = self.api::<Workspace>().get_opt(name).await.unwrap();
            (workspace.is_none() && self.pod(name).await.is_none()).then_some(())
        })
        .await;
    }

    /// Says that this workspace has trouble of its own, which is to delay no other.
    pub fn is_in_trouble(&self, name: &str) {
        let (namespace, name) = (self.namespace.clone(), name.to_owned());
        self.recorder.note(Timestamp::now(), What::Troubled { namespace, name });
    }

    /// Lets the operator do whatever it still wants to: until it asked for nothing for a while.
    pub async fn quiet(&self) {
        self.quiet_within(LIMIT).await;
    }

    /// The same where there is much to do.
    pub async fn quiet_within(&self, limit: Duration) {
        let mut calls = self.calls();
        let mut since = tokio::time::Instant::now();
        let limit = since + limit;
        while since.elapsed() < Duration::from_millis(750) {
            tokio::time::sleep(PACE).await;
            let now = self.calls();
            if now != calls {
                (calls, since) = (now, tokio::time::Instant::now());
            }
            assert!(tokio::time::Instant::now() < limit, "the operator does not come to rest");
        }
        // Whoever is told of everything has come to rest: what is so eventually has to be so now.
        let is_told = |server: &ApiServer| server.watches().iter().all(|watch| watch.pending == 0);
        if self.server().is_none_or(is_told) {
            self.recorder.note(Timestamp::now(), What::Settled);
        }
    }

    fn calls(&self) -> usize {
        // Watches and Leases are renewed by themselves.
        let is_work = |call: &Request| !call.verb.is_watch_or_list() && call.kind != "Lease";
        self.log.count(is_work)
    }

    /// The operator's writes so far: no events, leases, dry runs or probe Pods.
    pub fn writes(&self) -> Vec<Request> {
        let own = [names::HASH_KEY_SECRET, names::REGISTRATION_SECRET].map(Some);
        let is_own = |call: &Request| own.contains(&call.name.as_deref());
        self.log.writes_without_probes().into_iter().filter(|call| !is_own(call)).collect()
    }

    /// How often the operator was told that it had read too old a version.
    pub fn conflicts(&self) -> usize {
        self.log.count(|call| call.code == Some(409))
    }

    /// Counts from here on.
    pub fn forget_writes(&self) {
        self.log.clear();
    }
}

/// The two verbs that are no sign of work.
trait IsWatch {
    fn is_watch_or_list(&self) -> bool;
}

impl IsWatch for test_apiserver::Verb {
    fn is_watch_or_list(&self) -> bool {
        matches!(self, Self::Watch | Self::List)
    }
}
