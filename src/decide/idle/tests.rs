//! What follows from what a program does, or does not say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::super::{Rest, Step, Waiting, decide};
use super::*;
use crate::{
    api::{IncarnationNumber, WorkspaceStatus, status::StopCause},
    claim::Claim,
    fixtures::{at, gone, image_changed, ours, published, restart_pending, situation, started, terminating},
    health::Health,
    heartbeats::{Pulse, Silence},
    resolve::Run,
};

fn recorded(step: &Step) -> Option<StopCause> {
    match step {
        Step::RecordStop(stop) => Some(stop.cause),
        _ => None,
    }
}

/// Start 3 of a workspace with this spec beside its image, whose program does so and was heard so many seconds ago.
fn heard(mut spec: Value, doing: Doing, heard: i64) -> Situation {
    spec["image"] = json!("a:1");
    spec["registration"] = json!({"policy": "Required"});
    let mut s = situation(spec, WorkspaceStatus::default());
    let status = started(Health::Ready).status;
    s.status = WorkspaceStatus { incarnation: status.incarnation, ..s.status };
    if let Some(incarnation) = &mut s.status.incarnation {
        incarnation.ready_time = Some(Time(at(-3600)));
    }
    let effective = s.desired.effective.clone().unwrap();
    let claim = Claim::new(IncarnationNumber(3), Some(1), None, &effective);
    s.pod = ours(3, Some(claim), Health::Ready);
    if let PodState::Ours(pod) = &mut s.pod {
        let silence = if heard < 90 { Silence::No } else { Silence::Its };
        let since = at(-heard);
        pod.pulse = Some(Pulse { heard: Some(since), since, doing, message: None, silence });
    }
    s
}

#[test]
fn an_idle_program_is_held_by_a_word_that_is_fresh() {
    let idle = |since: i64, last_heard: i64| {
        decide(&heard(
            json!({"idle": {"stopAfterSeconds": 60}}),
            Doing::Idle { since: at(-since) },
            last_heard,
        ))
    };
    assert_eq!(idle(90, 5), Step::Hold { since: at(-90) });
    assert_eq!(idle(59, 5), Step::Rest(Rest::Settled(None)), "not yet");
    assert_eq!(idle(90, 31), Step::Rest(Rest::Settled(None)), "its word is older than the moment");
    assert_eq!(idle(900, 100), Step::Rest(Rest::Settled(None)), "silent is not idle");
    let mut woken = heard(json!({"idle": {"stopAfterSeconds": 60}}), Doing::Idle { since: at(-900) }, 5);
    if let Some(incarnation) = &mut woken.status.incarnation {
        incarnation.ready_time = Some(Time(at(-30)));
    }
    assert_eq!(decide(&woken), Step::Rest(Rest::Settled(None)), "nobody could use it before it was Ready");
    for doing in [Doing::Unknown, Doing::Busy { since: at(-900) }] {
        let s = heard(json!({"idle": {"stopAfterSeconds": 60}}), doing, 5);
        assert_eq!(decide(&s), Step::Rest(Rest::Settled(None)), "{doing:?}");
    }
}

#[test]
fn a_program_is_asked_when_it_would_be_stopped_and_its_answer_counts() {
    let spec = json!({"idle": {"stopAfterSeconds": 60, "probe": {"httpGet": {"port": 80}}}});
    let mut s = heard(spec, Doing::Unknown, 5);
    if let Some(incarnation) = &mut s.status.incarnation {
        incarnation.ready_time = None;
    }
    assert_eq!(decide(&s), Step::Rest(Rest::Settled(None)), "never Ready before");
    if let Some(incarnation) = &mut s.status.incarnation {
        incarnation.ready_time = Some(Time(at(-60)));
    }
    assert_eq!(decide(&s), Step::Look);
    let looked = |look: Look| decide(&Situation { look: Some(look), ..s.clone() });
    assert_eq!(looked(Look::Active { last: at(-61) }), Step::Hold { since: at(-61) });
    assert_eq!(looked(Look::Active { last: at(-1) }), Step::Rest(Rest::Settled(None)));
    assert_eq!(looked(Look::Failed), Step::Rest(Rest::Settled(None)), "no answer is no news");
}

#[test]
fn what_heartbeats_tell_and_what_a_probe_tells_is_held_by_the_later() {
    let spec = json!({"idle": {"stopAfterSeconds": 60, "probe": {"httpGet": {"port": 80}}}});
    let mut s = heard(spec, Doing::Idle { since: at(-90) }, 5);
    s.look = Some(Look::Active { last: at(-900) });
    let step = decide(&s);
    assert_eq!(step, Step::Hold { since: at(-90) });
    s.desired.run = Run::Suspended(Suspension {
        reason: Reason::Idle,
        is_namespace_s: false,
        idle_since: Some(at(-90)),
        message: "idle".into(),
    });
    assert_eq!(recorded(&decide(&s)), Some(StopCause::Suspended), "what held it does not wake it");
}

#[test]
fn a_new_leader_disturbs_nobody_by_what_status_tells() {
    let spec = json!({"updateStrategy": {"type": "WhenIdle"}});
    let original = heard(spec.clone(), Doing::Idle { since: at(-60) }, 0);
    let mut s = image_changed(original.clone());
    if let (Ok(effective), Ok(own)) = (&mut s.desired.effective, &original.desired.effective) {
        (effective.strategy, effective.max_delay) = (own.strategy, own.max_delay);
    }
    assert_eq!(decide(&s), Step::Verify);
    if let PodState::Ours(pod) = &mut s.pod
        && let Some(pulse) = &mut pod.pulse
    {
        pulse.heard = None;
    }
    assert!(matches!(decide(&s), Step::Rest(Rest::Settled(Some(Waiting::Idle { .. })))));
}

#[test]
fn a_wait_that_is_over_does_not_begin_anew_while_the_image_is_looked_for() {
    let mut s = heard(json!({}), Doing::Busy { since: at(-1) }, 0);
    s.status.awaiting_idle_since = Some(Time(at(-600)));
    let image = Waiting::Image { what: String::new(), until: at(60) };
    for waiting in [image, Waiting::Turn { what: String::new() }] {
        let status = crate::status::compute(&s, &Step::Rest(Rest::Settled(Some(waiting))));
        assert_eq!(status.awaiting_idle_since, Some(Time(at(-600))));
    }
}

#[test]
fn an_unused_workspace_is_stopped_though_a_change_waits() {
    let spec = json!({"idle": {"stopAfterSeconds": 60}, "updateStrategy": {"type": "OnRestart"}});
    let original = heard(spec, Doing::Idle { since: at(-90) }, 5);
    let mut s = image_changed(original.clone());
    if let (Ok(effective), Ok(own)) = (&mut s.desired.effective, &original.desired.effective) {
        (effective.strategy, effective.idle) = (own.strategy, own.idle.clone());
    }
    assert_eq!(decide(&s), Step::Hold { since: at(-90) });
}

#[test]
fn activity_takes_the_hold_away_until_the_pod_is_going() {
    let held = |doing: Doing| {
        let mut s = heard(json!({"idle": {"stopAfterSeconds": 60}}), doing, 0);
        s.desired.run = Run::Suspended(Suspension {
            reason: Reason::Idle,
            is_namespace_s: false,
            idle_since: Some(at(-60)),
            message: "idle".into(),
        });
        s
    };
    assert_eq!(decide(&held(Doing::Busy { since: at(-1) })), Step::Wake);
    assert_eq!(decide(&held(Doing::Idle { since: at(-59) })), Step::Wake);
    let idle = held(Doing::Idle { since: at(-60) });
    assert_eq!(recorded(&decide(&idle)), Some(StopCause::Suspended));
    let record = decide(&idle);
    let mut recorded = published(idle, &record);
    assert!(matches!(decide(&recorded), Step::Delete { .. }));
    if let PodState::Ours(pod) = &mut recorded.pod
        && let Some(pulse) = &mut pod.pulse
    {
        pulse.doing = Doing::Busy { since: at(0) };
    }
    assert_eq!(decide(&recorded), Step::Wake, "also after the record");
    assert_eq!(decide(&terminating(recorded)), Step::Rest(Rest::Stopping));
    let mut unlimited = held(Doing::Unknown);
    if let Ok(effective) = &mut unlimited.desired.effective {
        effective.idle = None;
    }
    assert_eq!(decide(&gone(unlimited)), Step::Wake, "nobody wants it stopped for that any more");
}

#[test]
fn a_busy_program_is_left_undisturbed_for_as_long_as_that_may_be() {
    let spec = json!({"updateStrategy": {"type": "WhenIdle", "maxDelaySeconds": 600}});
    let changed = |doing: Doing, last_heard: i64| image_changed(heard(spec.clone(), doing, last_heard));
    let strategy = |mut s: Situation, from: &Situation| {
        if let (Ok(effective), Ok(own)) = (&mut s.desired.effective, &from.desired.effective) {
            effective.strategy = own.strategy;
            effective.max_delay = own.max_delay;
        }
        s
    };
    let original = heard(spec.clone(), Doing::Unknown, 0);
    let busy = strategy(changed(Doing::Busy { since: at(-1) }, 0), &original);
    let waiting = decide(&busy);
    assert!(
        matches!(&waiting, Step::Rest(Rest::Settled(Some(Waiting::Idle { until, .. }))) if *until == at(600)),
        "{waiting:?}"
    );
    let later = published(busy.clone(), &waiting);
    assert_eq!(later.status.awaiting_idle_since, Some(Time(at(0))));
    assert_eq!(decide(&Situation { now: at(600), ..later.clone() }), Step::Verify);
    assert_eq!(decide(&restart_pending(later)), Step::Verify, "a person waits for nobody");
    let idle = strategy(changed(Doing::Idle { since: at(-1) }, 0), &original);
    assert_eq!(decide(&idle), Step::Verify);
    let silent = strategy(changed(Doing::Idle { since: at(-1) }, 100), &original);
    assert!(
        matches!(decide(&silent), Step::Rest(Rest::Settled(Some(Waiting::Idle { .. })))),
        "it may be busy by now"
    );
}

#[test]
fn a_silent_program_is_restarted_only_where_that_was_asked_for_and_others_are_heard() {
    let silent = |on_silence: &str, silence: Silence| {
        let mut s = heard(json!({}), Doing::Unknown, 100);
        if let Ok(effective) = &mut s.desired.effective {
            effective.spec.registration =
                serde_json::from_value(json!({"policy": "Required", "onSilence": on_silence})).unwrap();
        }
        if let PodState::Ours(pod) = &mut s.pod
            && let Some(pulse) = &mut pod.pulse
        {
            pulse.silence = silence;
        }
        decide(&s)
    };
    assert!(
        matches!(silent("Restart", Silence::Its), Step::RecordLoss(failures) if failures.consecutive == 1)
    );
    for (on_silence, silence) in
        [("Report", Silence::Its), ("Restart", Silence::Everybodys), ("Restart", Silence::No)]
    {
        assert_eq!(silent(on_silence, silence), Step::Rest(Rest::Settled(None)), "{on_silence} {silence:?}");
    }
}
