//! Laws of the status.

use proptest::prelude::*;

use super::*;
use crate::{
    api::{ConditionStatus, Reason, RestartTime},
    decide::{Rest, decide},
    fixtures::{at, cause, fresh, gone, now, published, restart_pending, started, stopped},
    health::Health,
};

fn told(status: ConditionStatus, reason: Reason, message: &str) -> Vec<Told> {
    vec![Told { type_: ConditionType::Ready, status, reason, message: message.into() }]
}

fn not_ready(reason: Reason) -> Health {
    Health::NotReady(cause(reason))
}

fn find(s: &Situation, type_: ConditionType) -> (String, String) {
    let condition = s.condition(type_).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

fn rested(s: Situation) -> Situation {
    let step = decide(&s);
    assert!(matches!(step, Step::Rest(_)), "{step:?}");
    published(s, &step)
}

#[test]
fn a_claim_serves_the_newest_restart() {
    let s = restart_pending(fresh());
    let step = decide(&s);
    let status = compute(&s, &step);
    assert_eq!(status.last_handled_restart_at, Some(RestartTime(now())));
    assert_eq!(status.requested_restart_at, Some(RestartTime(now())));
}

#[test]
fn what_to_do_about_a_lost_volume_depends_on_its_claim() {
    for (volume, words) in [
        (crate::situation::VolumeState::Lost, "a new restart"),
        (crate::situation::VolumeState::Broken, "delete the claim"),
    ] {
        let mut s = gone(started(Health::Ready));
        s.volume = volume;
        let s = rested(s);
        for type_ in [ConditionType::Ready, ConditionType::Stalled, ConditionType::StorageReady] {
            assert!(s.condition(type_).unwrap().message.contains(words), "{type_}");
        }
    }
}

#[test]
fn a_request_that_waits_is_recorded_at_once() {
    let mut s = restart_pending(stopped(fresh()));
    s.pod = PodState::Gone;
    let s = rested(s);
    assert_eq!(s.status.requested_restart_at, Some(RestartTime(now())));
    assert_eq!(s.status.last_handled_restart_at, None);
}

#[test]
fn a_start_past_its_deadline_is_stalled_and_a_late_success_heals() {
    let mut s = started(not_ready(Reason::ErrImagePull));
    s.now = at(599);
    assert_eq!(find(&rested(s.clone()), ConditionType::Reconciling), ("True".into(), "Progressing".into()));
    s.now = at(600);
    let late = rested(s);
    assert_eq!(find(&late, ConditionType::Stalled), ("True".into(), "DeadlineExceeded".into()));
    assert_eq!(find(&late, ConditionType::Ready).1, "ErrImagePull");
    let mut healed = late;
    if let PodState::Ours(pod) = &mut healed.pod {
        pod.health = Health::Ready;
    }
    assert_eq!(find(&rested(healed), ConditionType::Stalled), ("False".into(), "Settled".into()));
}

#[test]
fn a_pod_that_served_for_long_gets_a_new_deadline_when_it_stops_serving() {
    let mut s = rested(started(Health::Ready));
    s.now = at(100_000);
    if let PodState::Ours(pod) = &mut s.pod {
        pod.health = not_ready(Reason::AwaitingReadiness);
    }
    assert_eq!(find(&rested(s), ConditionType::Reconciling).0, "True");
}

#[test]
fn ten_ready_minutes_forgive_what_failed_before() {
    let mut s = rested(started(Health::Ready));
    s.status.failures = Some(Failures { consecutive: 4, ..Default::default() });
    if let PodState::Ours(pod) = &mut s.pod {
        pod.health = not_ready(Reason::CrashLoopBackOff);
    }
    s.now = at(599);
    assert!(rested(s.clone()).status.failures.is_some());
    s.now = at(600);
    assert_eq!(rested(s).status.failures, None);
}

#[test]
fn a_record_of_a_stop_goes_when_its_pod_lives_on() {
    let mut s = restart_pending(started(not_ready(Reason::AwaitingReadiness)));
    let step = decide(&s);
    s = published(s, &step);
    assert!(s.status.last_stop.is_some());
    s.desired.restart.pending = None;
    s.is_live = true;
    assert_eq!(rested(s).status.last_stop, None);
}

#[test]
fn between_stop_and_start_the_reason_is_stopping() {
    let s = stopped(started(Health::Ready));
    let step = decide(&s);
    let s = published(s, &step);
    assert_eq!(find(&s, ConditionType::Ready), ("False".into(), "Stopping".into()));
    let s = rested(gone(s));
    assert_eq!(find(&s, ConditionType::Ready), ("False".into(), "Stopped".into()));
    assert_eq!(find(&s, ConditionType::Suspended), ("True".into(), "Stopped".into()));
}

#[test]
fn what_only_decorates_is_not_worth_a_write() {
    let s = started(not_ready(Reason::AwaitingReadiness));
    let mut next = s.status.clone();
    let incarnation = next.incarnation.as_mut().unwrap();
    incarnation.node_name = Some("other".into());
    incarnation.image_id = Some("sha256:1".into());
    incarnation.container_restarts = Some(3);
    next.conditions[0].message = "in other words".into();
    assert!(!is_worth_writing(&s.status, &next));
    next.conditions[0].reason = Reason::CrashLoopBackOff.to_string();
    assert!(is_worth_writing(&s.status, &next));
}

#[test]
fn the_uid_of_a_pod_that_became_ready_is_worth_a_write() {
    let s = started(not_ready(Reason::AwaitingReadiness));
    let mut ready = s.clone();
    if let PodState::Ours(pod) = &mut ready.pod {
        pod.health = Health::Ready;
    }
    let next = compute(&ready, &Step::Rest(Rest::Settled(None)));
    assert!(is_worth_writing(&s.status, &next));
}

proptest! {
    #[test]
    fn a_transition_s_time_moves_only_with_the_status(was in any::<bool>(), is in any::<bool>(), seconds in 1..10_000_i64) {
        let status = |value| if value { ConditionStatus::True } else { ConditionStatus::False };
        let old = merge(&[], told(status(was), Reason::Running, "a"), Some(1), now());
        let new = merge(&old, told(status(is), Reason::Stopped, "b"), Some(2), at(seconds));
        let moved = new[0].last_transition_time != old[0].last_transition_time;
        prop_assert_eq!(moved, was != is);
        prop_assert_eq!(new[0].observed_generation, Some(2));
    }

    #[test]
    fn merging_twice_changes_nothing(message in ".{0,20}", seconds in 0..10_000_i64) {
        let once = merge(&[], told(ConditionStatus::True, Reason::Running, &message), Some(1), now());
        let twice = merge(&once, told(ConditionStatus::True, Reason::Running, &message), Some(1), at(seconds));
        prop_assert_eq!(once, twice);
    }
}
