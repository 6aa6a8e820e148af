//! A class's new image on its way to hundreds of workspaces: at its width, paused half-way, resumed, undone. The
//! benchmark takes the same way with thousands.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_apiserver::Verb;
use workspace_operator::api::WorkspaceClass;

use crate::{IMAGE, World, availability::Availability};

const NEW_IMAGE: &str = "registry.test/busybox:2";
/// What of the workspaces may be down at a time.
const PERCENT: usize = 5;
/// How many workspaces are created at a time.
const HANDS: usize = 32;
const PACE: Duration = Duration::from_millis(50);

/// What a rollout was like.
pub struct Report {
    pub workspaces: usize,
    /// How many may be down at a time.
    pub width: usize,
    /// Pods that the simulated kubelet took away unasked.
    pub lost: usize,
    pub phases: Vec<Phase>,
}

/// From one change by hand until it was carried out.
pub struct Phase {
    pub name: &'static str,
    pub took: Duration,
    /// The most workspaces that were down at a time, as their Pods alone tell; none while they start.
    pub most_down: Option<usize>,
    /// What the operator wrote of workspaces and their children.
    pub writes: usize,
    /// How often it wrote the class's status.
    pub class_writes: usize,
}

impl Report {
    /// The most workspaces that were down at a time.
    pub fn most_down(&self) -> usize {
        self.phases.iter().filter_map(|phase| phase.most_down).max().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workspaces, width, lost, phases } = self;
        writeln!(
            f,
            "{workspaces} workspaces of one class, of which {width} ({PERCENT}%) may be down at a time"
        )?;
        writeln!(
            f,
            "{:<24} {:>9} {:>9} {:>16} {:>13}",
            "", "seconds", "most down", "writes/workspace", "class writes"
        )?;
        for Phase { name, took, most_down, writes, class_writes } in phases {
            let down = most_down.map_or_else(|| "-".to_owned(), |most| most.to_string());
            let each = hundredths(*writes, *workspaces);
            writeln!(f, "{name:<24} {:>9.1} {down:>9} {each:>16} {class_writes:>13}", took.as_secs_f32())?;
        }
        writeln!(f, "{lost} Pods were taken away by the simulated kubelet and made anew")
    }
}

fn hundredths(sum: usize, of: usize) -> String {
    let all = sum * 100 / of.max(1);
    format!("{}.{:02}", all / 100, all % 100)
}

/// Takes `count` workspaces the whole way, in a world whose operator does not run yet.
pub async fn roll(mut world: World, count: usize) -> Report {
    world.settings.class_status = true;
    world.start_operator();
    let mut way = Way::begin(&world, count);
    way.create().await;
    way.until_all_run("created, all Ready", IMAGE).await;

    way.change(json!({"defaults": {"image": NEW_IMAGE}})).await;
    way.until("half of them run the new image", || way.availability.serving_with(NEW_IMAGE) >= count / 2)
        .await;
    way.end_phase("changed, half-way");

    way.change(json!({"rollout": {"paused": true}})).await;
    way.until("nobody is down", || way.availability.down() == 0).await;
    way.until_told("RolloutPaused", |status| status["rolling"] == 0).await;
    way.end_phase("paused, nobody down");
    way.stands_still().await;

    way.change(json!({"rollout": {"paused": null}})).await;
    way.until_all_run("resumed, all changed", NEW_IMAGE).await;

    way.change(json!({"defaults": {"image": IMAGE}})).await;
    way.until_all_run("undone, all back", IMAGE).await;

    way.each_was_stopped(2).await;
    let report = way.end().await;
    world.stop_operator().await;
    report
}

struct Way<'a> {
    world: &'a World,
    classes: Api<WorkspaceClass>,
    class: String,
    count: usize,
    availability: Availability,
    phases: Vec<Phase>,
    /// How often the operator stopped each, as its own calls tell.
    stops: BTreeMap<String, usize>,
    since: Instant,
}

impl<'a> Way<'a> {
    fn begin(world: &'a World, count: usize) -> Self {
        Self {
            world,
            classes: Api::all(world.client.clone()),
            // Classes are shared by all worlds of a cluster.
            class: format!("{}-scale", world.namespace),
            count,
            availability: Availability::watch(&world.client, &world.namespace),
            phases: Vec::new(),
            stops: BTreeMap::new(),
            since: Instant::now(),
        }
    }

    fn names(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.count).map(|number| format!("w{number}"))
    }

    /// By hand: the class, and all its workspaces.
    async fn create(&mut self) {
        let class = json!({
            "apiVersion": "workspaces.dev/v1alpha1",
            "kind": "WorkspaceClass",
            "metadata": {"name": self.class},
            "spec": {"defaults": {"image": IMAGE}, "rollout": {"maxUnavailable": format!("{PERCENT}%")}},
        });
        let class = serde_json::from_value(class).unwrap();
        self.classes.create(&PostParams::default(), &class).await.unwrap();
        self.since = Instant::now();
        let (world, class) = (self.world, self.class.as_str());
        let create = |name: String| async move {
            world.create(&name, json!({"className": class})).await;
        };
        stream::iter(self.names()).for_each_concurrent(HANDS, create).await;
    }

    /// By hand: the class's spec.
    async fn change(&mut self, spec: Value) {
        self.since = Instant::now();
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.classes.patch(&self.class, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Until all serve with `image`, and the class's status says that it is done.
    async fn until_all_run(&mut self, phase: &'static str, image: &str) {
        let all = || self.availability.serving_with(image) == self.count;
        self.until(phase, all).await;
        self.until_told("Settled", |status| status["upToDate"] == self.count && status["waiting"] == 0).await;
        self.end_phase(phase);
    }

    /// Until the class's Reconciling has this reason, and its counts are so.
    async fn until_told(&self, reason: &str, is_so: impl Fn(&Value) -> bool) {
        let mut last = Value::Null;
        for _ in 0..self.limit().as_millis() / PACE.as_millis() {
            let class = self.classes.get_status(&self.class).await.unwrap();
            last = serde_json::to_value(&class.status).unwrap();
            let conditions = last["conditions"].as_array().into_iter().flatten();
            let is_told = conditions
                .into_iter()
                .any(|condition| condition["type"] == "Reconciling" && condition["reason"] == reason);
            if is_told && last["observedGeneration"] == json!(class.metadata.generation) && is_so(&last) {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
        panic!("the class did not tell {reason} in time: {last:#}");
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..self.limit().as_millis() / PACE.as_millis() {
            if is_so() {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
        let Self { availability, class, .. } = self;
        let (old, new) = (availability.serving_with(IMAGE), availability.serving_with(NEW_IMAGE));
        let status = self.classes.get_status(class).await.unwrap().status;
        let down = availability.down();
        panic!("{what}: not in time: {old} old, {new} new, {down} down\n{status:#?}");
    }

    /// How long one step may take. Generous: machines are shared.
    fn limit(&self) -> Duration {
        Duration::from_mins(1) + Duration::from_millis(300) * u32::try_from(self.count).unwrap()
    }

    /// While paused: nobody new goes down, and those that have not changed say that they wait.
    async fn stands_still(&mut self) {
        let new = self.availability.serving_with(NEW_IMAGE);
        assert!(new < self.count, "the pause came too late to show anything");
        self.availability.count();
        self.world.quiet_within(self.limit()).await;
        assert_eq!(self.availability.most_down(), 0, "paused means paused");
        assert_eq!(self.availability.serving_with(NEW_IMAGE), new);
        self.until_told("RolloutPaused", |status| {
            status["upToDate"] == new && status["waiting"] == self.count - new
        })
        .await;
        self.forget_writes();
    }

    fn end_phase(&mut self, name: &'static str) {
        let is_of_class = |kind: &str| kind == "WorkspaceClass" || kind == "workspaceclasses";
        let writes = self.world.writes();
        let class_writes = writes.iter().filter(|write| is_of_class(&write.kind)).count();
        self.phases.push(Phase {
            name,
            took: self.since.elapsed(),
            most_down: (!self.phases.is_empty()).then(|| self.availability.most_down()),
            writes: writes.len() - class_writes,
            class_writes,
        });
        self.forget_writes();
        self.availability.count();
    }

    fn forget_writes(&mut self) {
        for write in self.world.writes() {
            let is_stop = write.verb == Verb::Delete && write.kind == "Pod" && write.code == Some(200);
            if let Some(name) = write.name.filter(|_| is_stop) {
                *self.stops.entry(name).or_default() += 1;
            }
        }
        self.world.forget_writes();
    }

    /// The operator stopped each for each change and no more. Not the starts are counted: the simulated kubelet
    /// deletes by name alone, so under load a late deletion takes the successor too, which a real one, by UID, does
    /// not. Such a loss is made good, and told.
    async fn each_was_stopped(&self, most: usize) {
        let often: Vec<_> = self.stops.iter().filter(|(_, times)| **times > most).collect();
        if let Some((name, times)) = often.first() {
            let story = self.world.story(name).await;
            panic!("{} were stopped more than {most} times; {name} was {times} times:\n{story}", often.len());
        }
        for name in self.names() {
            let stops = self.stops.get(&name).copied().unwrap_or_default();
            assert!(self.world.pods.started(&name) > most, "{name} was not restarted for every change");
            assert!(self.world.pods.started(&name) > stops, "{name}");
        }
    }

    async fn end(self) -> Report {
        self.classes.delete(&self.class, &DeleteParams::default()).await.unwrap();
        let width = (self.count * PERCENT / 100).max(1);
        let lost = self.names().map(|name| {
            let stops = self.stops.get(&name).copied().unwrap_or_default();
            // A stop may be sent twice: the answer to the first was lost, or came late.
            self.world.pods.started(&name).saturating_sub(1 + stops)
        });
        let lost = lost.sum();
        Report { workspaces: self.count, width, lost, phases: self.phases }
    }
}
