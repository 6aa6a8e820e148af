//! One run of a scenario: in a namespace of its own, on a runtime of its own, so that nothing of it outlives it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use test_cluster::{Cluster, NodeKind};
use test_invariants::What;
use test_world::World;
use tokio::time::Instant;
use workspace_operator::{
    api::{Workspace, names},
    protection::{Protection, Without},
};

use crate::panics;

use super::{
    checks,
    end_state::EndState,
    operators::{self, Ends},
    point::Point,
    scenarios::{self, Scenario},
    wire::{Plan, Wire},
};

/// How long a run may take to come to its end once its acts are over.
const LIMIT: Duration = Duration::from_mins(1);

/// A scenario, and what goes wrong in it.
#[derive(Clone)]
pub struct Case {
    pub scenario: &'static Scenario,
    pub plan: Option<Plan>,
    /// A protection that its operators do without.
    pub without: Option<Protection>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.scenario.name;
        match &self.plan {
            Some(Plan { point, fault }) => write!(f, "{name}/{point}/{fault}"),
            None => f.write_str(name),
        }
    }
}

/// What was seen of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub points: BTreeSet<Point>,
    /// The kinds of which a watch told something.
    pub kinds: BTreeSet<String>,
    pub end: EndState,
    pub started: BTreeMap<&'static str, usize>,
    /// Whether what was to go wrong did.
    pub has_struck: bool,
}

impl Case {
    /// Runs it to its end, which has to be the `expected` one; or tells what is wrong, line by line.
    pub fn run(&self, cluster: &Cluster, expected: Option<&Observed>) -> Result<Observed, Vec<String>> {
        // The runtime is this thread, and so is all that does without it.
        let _off = self.without.map(Without::the);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let running = AssertUnwindSafe(|| runtime.block_on(self.act(cluster, expected)));
        let result = catch_unwind(running).unwrap_or_else(|_| Err(vec![panics::take()]));
        runtime.shutdown_background();
        result
    }

    async fn act(&self, cluster: &Cluster, expected: Option<&Observed>) -> Result<Observed, Vec<String>> {
        let world = World::within(cluster, NodeKind::Fake).await;
        if !self.is_of_first() {
            give_key(&world).await;
        }
        let wire = Wire::new(&world.namespace, self.plan.clone());
        let ends = Ends::default();
        let options = world.options(world.registration.clone());
        let operators =
            operators::keep(cluster.config(), options, wire.clone(), world.log.clone(), ends.clone());
        let operators = tokio::spawn(operators);

        let acted = AssertUnwindSafe((self.scenario.acts)(&world)).catch_unwind().await;
        let mut wrong = Vec::new();
        let mut end = EndState::default();
        if acted.is_err() {
            wrong.push(panics::take());
        } else {
            end = settle(&world, &wire, expected).await;
            world.recorder.note(Timestamp::now(), What::Settled);
            wrong.extend(expected.into_iter().flat_map(|expected| end.difference(&expected.end)));
        }
        wrong.extend(checks::broken(&world, &ends, expected, self.plan.as_ref()));
        if !wrong.is_empty() {
            wrong.push(format!("the writes of {}:\n{}", world.namespace, wire.told()));
            wrong.push(status(&world).await);
        }
        operators.abort();
        scenarios::clean_up(&world).await;
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Observed {
            points: wire.writes().into_iter().filter(|point| self.is_new(point)).collect(),
            kinds: wire.kinds(),
            end,
            started: checks::started(&world),
            has_struck: wire.has_struck(),
        })
    }

    fn is_of_first(&self) -> bool {
        scenarios::ALL.first().is_some_and(|first| first.name == self.scenario.name)
    }

    /// What operators make for themselves is looked at once.
    fn is_new(&self, point: &Point) -> bool {
        self.is_of_first() || !point.write.is_of_operator_itself()
    }
}

/// The same key for all, so that hashes can be compared.
async fn give_key(world: &World) {
    let key = json!({
        "metadata": {"name": names::HASH_KEY_SECRET},
        "stringData": {"key": "the campaign's own key, 32 bytes or more"},
    });
    world.apply::<Secret>(key).await;
}

/// What there is once all has come to rest: what is expected, or what stays as it is.
async fn settle(world: &World, wire: &Wire, expected: Option<&Observed>) -> EndState {
    let limit = Instant::now() + LIMIT;
    let mut before = None;
    loop {
        wire.rests().await;
        let end = EndState::of(&world.client, &world.namespace).await.unwrap();
        let is_settled = match expected {
            Some(expected) => end == expected.end,
            None => before.as_ref() == Some(&end),
        };
        if is_settled || Instant::now() > limit {
            return end;
        }
        before = Some(end);
    }
}

async fn status(world: &World) -> String {
    let workspaces = world.api::<Workspace>().list(&kube::api::ListParams::default()).await;
    workspaces.map_or_else(
        |error| error.to_string(),
        |workspaces| {
            let told = workspaces.items.iter().map(|workspace| {
                serde_json::to_string_pretty(&json!({
                    "annotations": workspace.metadata.annotations,
                    "spec": workspace.spec,
                    "status": workspace.status,
                }))
                .unwrap()
            });
            told.collect::<Vec<_>>().join("\n")
        },
    )
}
