//! What is shown, chapter by chapter. Every claim is held against the cluster.

use jiff::Timestamp;
use serde_json::json;

use crate::{
    error::Error,
    keepsake::{self, Keepsake},
    screen::{self, chapter},
    seen::{Seen, expect},
    stage::Stage,
};

/// The workspace that everything happens to; it has a volume.
pub const NAME: &str = "hello";
const OBJECT: &str = "ws/hello";
const POD: &str = "pod/hello";
const MISSING_IMAGE: &str = "registry.test/missing:1";

/// Tells it all.
pub async fn tell(stage: &Stage) -> Result<(), Error> {
    create(stage).await?;
    let keepsake = keepsake::leave(stage).await?;
    restart(stage, &keepsake).await?;
    missing_image(stage).await?;
    stop_and_start(stage, &keepsake).await?;
    holds(stage).await?;
    delete_and_create_again(stage, &keepsake).await
}

async fn create(stage: &Stage) -> Result<(), Error> {
    chapter("Workspaces, each a container with a volume and a name");
    let kubectl = &stage.kubectl;
    kubectl.show(&["apply", "--filename", &stage.examples]).await?;
    // No node here has a graphics card.
    kubectl.wait("condition=Ready", &["ws", "--selector", "example.com/needs!=gpu"]).await?;
    show(stage).await?;
    let seen = seen(stage).await?;
    let first = seen.starts() == 1 && seen.pods.len() == 1;
    expect(first, "one start, one Pod", || seen.summary())
}

async fn restart(stage: &Stage, keepsake: &Keepsake) -> Result<(), Error> {
    chapter("Restart by annotation");
    let before = seen(stage).await?;
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let annotation = format!("workspaces.dev/restartedAt={now}");
    stage.kubectl.show(&["annotate", OBJECT, &annotation, "--overwrite"]).await?;
    // An annotation is no change of the spec: until it was served, Ready is the old Pod's.
    let served = format!("jsonpath={{.status.lastHandledRestartAt}}={now}");
    stage.kubectl.wait(&served, &[OBJECT]).await?;
    stage.kubectl.wait("condition=Ready", &[OBJECT]).await?;
    show(stage).await?;
    let after = seen(stage).await?;
    expect(after.starts() == before.starts() + 1, "one more start", || after.summary())?;
    expect(after.pods.len() == 1 && after.pods != before.pods, "one Pod, and it is another", || {
        after.summary()
    })?;
    keepsake.is_there(stage).await
}

async fn missing_image(stage: &Stage) -> Result<(), Error> {
    chapter("An image that does not exist");
    let before = seen(stage).await?;
    patch(stage, &json!({ "image": MISSING_IMAGE })).await?;
    let declined = r#"jsonpath={.status.conditions[?(@.type=="UpToDate")].reason}=RestartDeclined"#;
    stage.kubectl.wait(declined, &[OBJECT]).await?;
    show(stage).await?;
    let asked = seen(stage).await?;
    screen::line(&format!("  UpToDate: {}", asked.message("UpToDate")));
    let declined = asked.condition("UpToDate") == ("False", "RestartDeclined");
    expect(declined, "the change is declined", || asked.message("UpToDate").to_owned())?;
    expect(serves_on(&before, &asked), "the old Pod serves on", || asked.summary())?;

    patch(stage, &json!({ "image": before.image() })).await?;
    stage.kubectl.wait("condition=UpToDate", &[OBJECT]).await?;
    let taken_back = seen(stage).await?;
    expect(serves_on(&before, &taken_back), "the image put back, still the same Pod", || taken_back.summary())
}

async fn stop_and_start(stage: &Stage, keepsake: &Keepsake) -> Result<(), Error> {
    chapter("Stop and start");
    let before = seen(stage).await?;
    patch(stage, &json!({ "runState": "Stopped" })).await?;
    stage.kubectl.wait("condition=Suspended", &[OBJECT]).await?;
    show(stage).await?;
    let stopped = seen(stage).await?;
    let rests = stopped.pods.is_empty() && stopped.condition("Ready") == ("False", "Stopped");
    expect(rests, "stopped, no Pod", || stopped.summary())?;

    patch(stage, &json!({ "runState": "Running" })).await?;
    stage.kubectl.wait("condition=Ready", &[OBJECT]).await?;
    show(stage).await?;
    let started = seen(stage).await?;
    expect(started.starts() == before.starts() + 1, "one more start", || started.summary())?;
    keepsake.is_there(stage).await
}

async fn holds(stage: &Stage) -> Result<(), Error> {
    chapter("Two holds, taken off one by one");
    let kubectl = &stage.kubectl;
    kubectl.show(&["annotate", OBJECT, "hold.workspaces.dev/night=until 7 o'clock"]).await?;
    kubectl.show(&["annotate", OBJECT, "hold.workspaces.dev/quota=over budget"]).await?;
    kubectl.wait("condition=Suspended", &[OBJECT]).await?;
    kubectl.wait("delete", &[POD]).await?;
    show(stage).await?;
    let held = seen(stage).await?;
    let is_held = held.pods.is_empty() && held.condition("Ready") == ("False", "Held");
    expect(is_held, "held, no Pod", || held.summary())?;

    kubectl.show(&["annotate", OBJECT, "hold.workspaces.dev/night-"]).await?;
    // The message names each hold: by it one knows that the change was seen.
    let only_quota =
        r#"jsonpath={.status.conditions[?(@.type=="Ready")].message}=held by quota (over budget)"#;
    kubectl.wait(only_quota, &[OBJECT]).await?;
    show(stage).await?;
    let still = seen(stage).await?;
    let is_held = still.pods.is_empty() && still.condition("Ready") == ("False", "Held");
    expect(is_held, "the other hold keeps it stopped", || still.summary())?;

    kubectl.show(&["annotate", OBJECT, "hold.workspaces.dev/quota-"]).await?;
    kubectl.wait("condition=Ready", &[OBJECT]).await?;
    show(stage).await?;
    let started = seen(stage).await?;
    expect(started.pods.len() == 1, "nobody holds it: it runs", || started.summary())
}

async fn delete_and_create_again(stage: &Stage, keepsake: &Keepsake) -> Result<(), Error> {
    chapter("Delete it, and create it again");
    let kubectl = &stage.kubectl;
    let volume = keepsake::claim_uid(stage).await?;
    kubectl.show(&["delete", OBJECT]).await?;
    kubectl.wait("delete", &[POD]).await?;
    show(stage).await?;
    kubectl.show(&["get", "pvc", NAME]).await?;
    let left = keepsake::claim_uid(stage).await?;
    expect(left == volume, "the volume stays", || left.clone())?;

    kubectl.show(&["apply", "--filename", &format!("{}{NAME}.yaml", stage.examples)]).await?;
    kubectl.wait("condition=Ready", &[OBJECT]).await?;
    show(stage).await?;
    let again = keepsake::claim_uid(stage).await?;
    expect(again == volume, "the same volume is taken up again", || again.clone())?;
    keepsake.is_there(stage).await
}

async fn seen(stage: &Stage) -> Result<Seen, Error> {
    Seen::of(&stage.kubectl, NAME).await
}

async fn show(stage: &Stage) -> Result<(), Error> {
    stage.kubectl.show(&["get", "ws"]).await
}

async fn patch(stage: &Stage, spec: &serde_json::Value) -> Result<(), Error> {
    let patch = json!({ "spec": spec }).to_string();
    stage.kubectl.show(&["patch", OBJECT, "--type=merge", "--patch", &patch]).await
}

fn serves_on(before: &Seen, now: &Seen) -> bool {
    let (ready, _) = now.condition("Ready");
    ready == "True" && now.pods == before.pods && now.starts() == before.starts()
}
