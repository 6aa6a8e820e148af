//! Situations for the tests of the pure core, made from as little as possible.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::{
    api::{IncarnationNumber, RestartTime, Workspace, WorkspaceStatus, names, status::Incarnation},
    backoff::Jitter,
    claim::Claim,
    decide::Step,
    forbidden_env::ForbiddenEnv,
    health::{Cause, Health},
    registration::Registration,
    resize::Resize,
    resolve::{self, Draft, class::Offer, desired::Surroundings},
    situation::{PodFacts, PodState, Situation, VolumeState},
    status,
    view::PodView,
};

/// The present of every test.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// So many seconds from now.
pub(crate) fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// A workspace with this spec and status.
pub(crate) fn workspace(spec: Value, status: WorkspaceStatus) -> Workspace {
    let mut workspace: Workspace = serde_json::from_value(json!({
        "apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace",
        "metadata": {"name": "x", "namespace": "ns", "uid": "owner", "generation": 1}, "spec": spec,
    }))
    .unwrap();
    workspace.status = Some(status);
    workspace
}

/// What is known of a workspace with this spec and status, and no Pod in sight.
pub(crate) fn situation(spec: Value, status: WorkspaceStatus) -> Situation {
    let workspace = workspace(spec, status.clone());
    let offer = Offer { registration_url: Some("https://operator:8443".into()), ..Offer::default() };
    let draft = Draft::of(&workspace, &offer);
    let forbidden = ForbiddenEnv::built_in();
    let desired = resolve::resolve(&workspace, draft, &Surroundings::default(), &forbidden, now());
    Situation {
        name: "x".into(),
        namespace: "ns".into(),
        generation: Some(1),
        is_deleting: false,
        status,
        desired,
        pod: PodState::Absent,
        volume: VolumeState::NotRequired,
        made: None,
        is_live: false,
        verdict: None,
        look: None,
        turn: None,
        refusal: None,
        in_place: None,
        jitter: Jitter::NONE,
        now: now(),
    }
}

/// The same before the first start.
pub(crate) fn fresh() -> Situation {
    situation(json!({"image": "a:1"}), WorkspaceStatus::default())
}

/// Start 3 runs what the spec wants, and its Pod is as `health` says.
pub(crate) fn started(health: Health) -> Situation {
    let mut s = fresh();
    let effective = s.desired.effective.clone().unwrap();
    s.status.incarnation = Some(Incarnation {
        number: IncarnationNumber(3),
        generation: Some(1),
        pod_uid: Some("uid-3".into()),
        start_time: Some(Time(at(-60))),
        inputs_hash: Some(effective.inputs.hash()),
        ..Default::default()
    });
    let claim = Claim::new(IncarnationNumber(3), Some(1), None, &effective);
    s.pod = ours(3, Some(claim), health);
    s.status = status::compute(&s, &Step::Verify);
    s
}

/// A Pod of ours.
pub(crate) fn ours(number: i64, claim: Option<Claim>, health: Health) -> PodState {
    let view: PodView = serde_json::from_value(json!({
        "metadata": {"name": "x", "namespace": "ns", "uid": format!("uid-{number}")},
        "spec": {"nodeName": "node", "containers": [{"name": names::MAIN_CONTAINER, "image": "a:1"}]},
    }))
    .unwrap();
    let number = IncarnationNumber(number);
    PodState::Ours(Box::new(PodFacts {
        view: Arc::new(view),
        number,
        claim,
        health,
        registration: Registration::NotRequired,
        pulse: None,
        looked: None,
        resize: Resize::None,
    }))
}

/// The situation's Pod was told to go.
pub(crate) fn terminating(mut s: Situation) -> Situation {
    if let PodState::Ours(pod) = &mut s.pod {
        let mut view = (*pod.view).clone();
        view.metadata.deletion_timestamp = Some(Time(at(30)));
        pod.view = Arc::new(view);
    }
    s
}

/// The API server says that the Pod is gone.
pub(crate) fn gone(mut s: Situation) -> Situation {
    s.pod = PodState::Gone;
    s
}

/// Somebody asks for a restart.
pub(crate) fn restart_pending(mut s: Situation) -> Situation {
    s.desired.restart.pending = Some(RestartTime(now()));
    s
}

/// Somebody changes the image.
pub(crate) fn image_changed(mut s: Situation) -> Situation {
    let other = situation(json!({"image": "b:2"}), s.status.clone());
    s.desired.effective = other.desired.effective;
    s
}

/// The image is changed by a class, while the workspace says what it said before.
pub(crate) fn changed_from_outside(s: Situation) -> Situation {
    let own = s.desired.effective.as_ref().unwrap().own.clone();
    let mut s = image_changed(s);
    if let Ok(effective) = &mut s.desired.effective {
        effective.own = own;
    }
    s
}

/// Somebody wants it stopped.
pub(crate) fn stopped(mut s: Situation) -> Situation {
    let other = situation(json!({"image": "a:1", "runState": "Stopped"}), s.status.clone());
    s.desired.run = other.desired.run;
    s
}

/// A reason for a Pod not to be Ready.
pub(crate) fn cause(reason: crate::api::Reason) -> Cause {
    Cause { reason, message: "because".into(), exit_code: None, review_at: None }
}

/// Carries out the writing half of a step: the status it leads to.
pub(crate) fn published(mut s: Situation, step: &Step) -> Situation {
    s.status = status::compute(&s, step);
    s
}
