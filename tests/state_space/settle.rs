//! When nothing more is to be expected of a workspace.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use test_world::World;
use tokio::time::Instant;
use workspace_operator::api::{ConditionType, Reason};

use crate::seen::{self, Seen};

/// How long anything may take before it counts as stuck. Generous: machines are shared.
const LIMIT: Duration = Duration::from_secs(90);
/// How long what is at rest may still be on the way elsewhere: a class's change reaches its workspaces a moment late.
const LATE: Duration = Duration::from_secs(15);
const PACE: Duration = Duration::from_millis(100);
/// For so long the operator has to write nothing.
const QUIET: Duration = Duration::from_millis(600);

/// What the operator may wait for, for ever: nobody brings it here.
const WAITS: [Reason; 8] = [
    Reason::AwaitingRegistration,
    Reason::ClassNotFound,
    Reason::ImagePullBackOff,
    Reason::QuotaExceeded,
    Reason::ReferenceMissing,
    Reason::RestartDeclined,
    Reason::Unschedulable,
    Reason::VolumePending,
];

/// Looks until all of these are at rest and the operator writes no more, and tells what there is then, at rest or not.
pub async fn settled(world: &World, names: &BTreeSet<String>) -> BTreeMap<String, Seen> {
    let limit = Instant::now() + LIMIT;
    let (mut before, mut since) = (BTreeMap::new(), Instant::now());
    loop {
        let now = seen::all(world).await;
        let are_at_rest = names.iter().all(|name| now.get(name).is_some_and(is_at_rest));
        if !are_at_rest || versions(&now, names) != versions(&before, names) {
            since = Instant::now();
        }
        if since.elapsed() >= QUIET || Instant::now() >= limit {
            return now;
        }
        before = now;
        tokio::time::sleep(PACE).await;
    }
}

/// Looks until `is_so`, for as long as anything may be late.
pub async fn until(world: &World, is_so: impl Fn(&BTreeMap<String, Seen>) -> bool) {
    let limit = Instant::now() + LATE;
    while Instant::now() < limit && !is_so(&seen::all(world).await) {
        tokio::time::sleep(PACE).await;
    }
}

fn versions<'a>(
    seen: &'a BTreeMap<String, Seen>,
    names: &'a BTreeSet<String>,
) -> Vec<Option<(&'a str, Option<&'a String>)>> {
    let of = |name| seen.get(name).map(|seen: &Seen| (seen.resource_version.as_str(), seen.uid.as_ref()));
    names.iter().map(of).collect()
}

/// Whether the operator says of the newest spec that it is done, or what it waits for.
pub fn is_at_rest(seen: &Seen) -> bool {
    let waits = |type_| WAITS.iter().any(|reason| seen.reason(type_) == reason.as_str());
    let is_waiting = waits(ConditionType::Ready) || seen.is_ready() && waits(ConditionType::UpToDate);
    let its_turn = [Reason::AwaitingRollout, Reason::RollingOut].map(Reason::as_str);
    // A late start that was given up is not over.
    let is_late = seen.reason(ConditionType::Stalled) == Reason::DeadlineExceeded.as_str();
    let is_done = seen.status(ConditionType::Reconciling) == "False"
        && !is_late
        && !its_turn.contains(&seen.reason(ConditionType::UpToDate));
    seen.is_observed && (is_done || is_waiting)
}

/// Whether a change waits for a restart, because the workspace says so.
pub fn awaits_restart(seen: &Seen) -> bool {
    let waits = [Reason::AwaitingRestart, Reason::AwaitingIdle].map(Reason::as_str);
    waits.contains(&seen.reason(ConditionType::UpToDate))
}
