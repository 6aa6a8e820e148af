//! What goes wrong, and what may come of it.

use std::{collections::BTreeSet, time::Duration};

use clap::ValueEnum;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{Api, api::ListParams};
use test_cluster::{Cluster, Component};
use workspace_operator::api::names;

use crate::{
    fleet::{Fleet, Starts},
    operators::Operators,
    throttle::Throttle,
};

/// In the order in which they strike.
pub const ALL: [Fault; 6] = [
    Fault::ApiServerAway,
    Fault::KilledOften,
    Fault::FrozenLeader,
    Fault::Throttled,
    Fault::NodeLost,
    Fault::EtcdRestored,
];

/// One way in which a cluster fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The API server does not answer for two minutes.
    ApiServerAway,
    /// The operator is killed every ten seconds, while restarts are asked for.
    KilledOften,
    /// Of two replicas the leader stops for longer than its Lease lasts, and wakes.
    FrozenLeader,
    /// The API server answers five requests a second.
    Throttled,
    /// A node is silent until its Pods are given up, and comes back before they are evicted.
    NodeLost,
    /// etcd is put back to an older snapshot.
    EtcdRestored,
}

/// What was asked for while it struck.
#[derive(Debug, Default)]
pub struct Asked {
    /// Those of which a restart was asked for, and not taken back.
    pub restarted: BTreeSet<String>,
}

impl Asked {
    fn restarts(names: &[String]) -> Self {
        Self { restarted: names.iter().cloned().collect() }
    }
}

impl Fault {
    /// Lets it happen, and ends it. What was asked for meanwhile may still be under way.
    pub async fn strike(self, cluster: &Cluster, fleet: &mut Fleet, operators: &mut Operators) -> Asked {
        match self {
            Self::ApiServerAway => api_server_away(cluster, fleet).await,
            Self::KilledOften => killed_often(fleet, operators).await,
            Self::FrozenLeader => frozen_leader(fleet, operators).await,
            Self::Throttled => throttled(cluster, fleet, operators).await,
            Self::NodeLost => node_lost(cluster, fleet).await,
            Self::EtcdRestored => etcd_restored(cluster, fleet).await,
        }
    }
}

async fn api_server_away(cluster: &Cluster, fleet: &Fleet) -> Asked {
    cluster.stop(Component::ApiServer).await.unwrap();
    tokio::time::sleep(Duration::from_mins(2)).await;
    cluster.start(Component::ApiServer).await.unwrap();
    let some = fleet.first(20);
    fleet.restart(&some).await;
    Asked::restarts(&some)
}

async fn killed_often(fleet: &Fleet, operators: &mut Operators) -> Asked {
    let some = fleet.first(100);
    for batch in some.chunks(some.len().div_ceil(6)) {
        fleet.restart(batch).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        operators.kill();
        operators.start(None);
    }
    Asked::restarts(&some)
}

async fn frozen_leader(fleet: &Fleet, operators: &mut Operators) -> Asked {
    operators.start(None);
    let first = leader(fleet, None).await;
    let some = fleet.first(50);
    let (before, meanwhile) = some.split_at(some.len() / 2);
    // It is stopped in the middle of something.
    fleet.restart(before).await;
    operators.freeze(&first);
    fleet.restart(meanwhile).await;
    leader(fleet, Some(&first)).await;
    fleet.at_rest().await;
    operators.wake(&first);
    // Another leads, and it may not go on.
    operators.ended(&first).await;
    Asked::restarts(&some)
}

/// Who leads, once it is somebody else than `but`.
async fn leader(fleet: &Fleet, but: Option<&str>) -> String {
    let leases: Api<Lease> = Api::namespaced(fleet.client.clone(), &fleet.namespace);
    let name = format!("{}-{}", names::OPERATOR, fleet.namespace);
    loop {
        let lease = leases.get_opt(&name).await.unwrap();
        let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
        let holder = holder.split('_').next().unwrap_or_default();
        if !holder.is_empty() && but != Some(holder) {
            return holder.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn throttled(cluster: &Cluster, fleet: &Fleet, operators: &mut Operators) -> Asked {
    let throttle = Throttle::begin(cluster.client().unwrap(), 5.0).await;
    operators.end();
    operators.start(Some(&throttle.url));
    let some = fleet.first(20);
    fleet.restart(&some).await;
    fleet.at_rest().await;
    operators.end();
    operators.start(None);
    Asked::restarts(&some)
}

async fn node_lost(cluster: &Cluster, fleet: &Fleet) -> Asked {
    const NODE: &str = "fake-1";
    cluster.lose_node(NODE).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(fleet.client.clone(), &fleet.namespace);
    let on_it = ListParams::default().fields(&format!("spec.nodeName={NODE}"));
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let there = pods.list(&on_it).await.unwrap().items;
        assert!(!there.is_empty(), "nothing runs on {NODE}");
        if there.iter().all(|pod| !is_ready(pod)) {
            break;
        }
    }
    cluster.return_node(NODE).await.unwrap();
    Asked::default()
}

fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn etcd_restored(cluster: &Cluster, fleet: &mut Fleet) -> Asked {
    let snapshot = cluster.snapshot().await.unwrap();
    fleet.at_rest().await;
    let names = fleet.names.clone();
    let since: Vec<String> = (0..20).map(|number| format!("late-{number}")).collect();
    fleet.add(&since).await;
    fleet.restart(&fleet.first(50)).await;
    fleet.remove(&names[names.len() - 20..]).await;
    fleet.at_rest().await;
    cluster.restore(&snapshot).await.unwrap();
    fleet.names = names;
    // The Pods of then are back with everything else.
    Asked::default()
}

/// What a fault led to.
#[derive(Debug)]
pub struct Report {
    /// How many Pods there are that were not there before.
    pub anew: usize,
    pub problems: Vec<String>,
}

impl Report {
    /// Who was asked to was started once more, and nobody else.
    pub fn of(before: &Starts, after: &Starts, asked: &Asked) -> Self {
        let mut report = Self { anew: 0, problems: Vec::new() };
        for (name, (number, uid)) in before {
            let more = i64::from(asked.restarted.contains(name));
            match after.get(name) {
                None => report.problems.push(format!("{name} is gone")),
                Some((now, now_uid)) => {
                    report.anew += usize::from(now_uid != uid);
                    if *now != number + more {
                        report
                            .problems
                            .push(format!("{name} was started {} times, not {more}", now - number));
                    }
                    if (now_uid != uid) != (more == 1) {
                        report.problems.push(format!("{name}: its Pod {uid} became {now_uid}"));
                    }
                }
            }
        }
        let new = after.keys().filter(|name| !before.contains_key(*name));
        report.problems.extend(new.map(|name| format!("{name} is there")));
        report
    }
}
