//! The table of cases at the head of the module.

mod laws;

use serde_json::json;

use super::*;
use crate::{
    api::{
        IncarnationNumber, Reason, WorkspaceStatus,
        status::{Failures, StartCause},
    },
    fixtures::{
        at, cause, changed_from_outside, fresh, gone, image_changed, ours, published, restart_pending,
        situation, started, stopped, terminating,
    },
    resolve::Suspension,
    situation::Refusal,
};

fn claimed_number(step: &Step) -> Option<i64> {
    match step {
        Step::Claim(claim, _) => Some(claim.number.0),
        _ => None,
    }
}

fn recorded(step: &Step) -> Option<StopCause> {
    match step {
        Step::RecordStop(stop) => Some(stop.cause),
        _ => None,
    }
}

fn not_ready() -> Health {
    Health::NotReady(cause(Reason::CrashLoopBackOff))
}

fn declined() -> Verdict {
    Verdict::Declined(Refusal { reason: Reason::RestartDeclined, message: "no".into(), retry_at: at(10) })
}

#[test]
fn a_new_workspace_is_claimed_then_started() {
    let s = fresh();
    let step = decide(&s);
    assert_eq!(claimed_number(&step), Some(1));
    assert_eq!(decide(&gone(published(s, &step))), Step::Start);
}

#[test]
fn a_restart_present_before_the_first_pod_is_served_by_that_start() {
    let s = restart_pending(fresh());
    let Step::Claim(claim, _) = decide(&s) else { panic!("no claim") };
    assert_eq!(claim.restart, s.desired.restart.pending);
}

#[test]
fn a_pod_as_wanted_is_left_alone() {
    assert_eq!(decide(&started(Health::Ready)), Step::Rest(Rest::Settled(None)));
    assert_eq!(decide(&started(not_ready())), Step::Rest(Rest::Settled(None)));
}

#[test]
fn a_serving_pod_is_stopped_only_for_a_successor_that_was_verified() {
    for change in [restart_pending, image_changed] {
        let mut s = change(started(Health::Ready));
        assert_eq!(decide(&s), Step::Verify);
        s.verdict = Some(declined());
        assert!(matches!(decide(&s), Step::Rest(Rest::Settled(Some(Waiting::Declined { .. })))));
        s.verdict = Some(Verdict::Pending { until: at(60) });
        assert!(matches!(decide(&s), Step::Rest(Rest::Settled(Some(Waiting::Image { .. })))));
        s.verdict = Some(Verdict::Accepted { note: None });
        assert!(recorded(&decide(&s)).is_some());
    }
}

#[test]
fn a_bad_start_is_replaced_at_once() {
    for change in [restart_pending, image_changed] {
        assert!(recorded(&decide(&change(started(not_ready())))).is_some());
    }
}

#[test]
fn a_stop_is_recorded_before_the_pod_with_that_uid_is_deleted() {
    let s = stopped(started(Health::Ready));
    let step = decide(&s);
    assert_eq!(recorded(&step), Some(StopCause::Suspended));
    assert_eq!(decide(&published(s, &step)), Step::Delete { uid: "uid-3".into() });
}

#[test]
fn a_recorded_stop_is_no_failure() {
    let s = stopped(started(Health::Ready));
    let step = decide(&s);
    let mut s = gone(published(s, &step));
    s.desired.run = Run::Running;
    let Step::Claim(claim, failures) = decide(&s) else { panic!("no claim") };
    assert_eq!((claim.number.0, failures), (4, None));
}

#[test]
fn a_record_is_withdrawn_only_after_a_live_look() {
    let s = stopped(started(Health::Ready));
    let step = decide(&s);
    let mut s = published(s, &step);
    s.desired.run = Run::Running;
    assert_eq!(decide(&s), Step::ReadBoth, "another operator may have carried it out");
    s.is_live = true;
    let rests = Step::Rest(Rest::Settled(None));
    assert_eq!(decide(&s), rests);
    assert_eq!(published(s, &rests).status.last_stop, None);
}

#[test]
fn a_loss_before_a_stop_is_forgotten_by_the_start_after_it() {
    let mut s = started(Health::Ready);
    s.status.failures = Some(Failures { consecutive: 1, ..Default::default() });
    let s = gone(s);
    let step = decide(&s);
    let s = stopped(published(s, &step));
    let step = decide(&s);
    assert!(matches!(step, Step::Rest(Rest::Suspended(_))));
    let mut s = published(s, &step);
    s.desired.run = Run::Running;
    assert!(matches!(decide(&s), Step::Claim(_, None)));
}

#[test]
fn what_terminates_is_waited_for_whatever_is_wanted() {
    let s = terminating(started(Health::Ready));
    #[allow(clippy::large_stack_arrays, reason = "a test has the room")]
    for s in [s.clone(), stopped(s.clone()), restart_pending(s.clone()), image_changed(s)] {
        assert_eq!(decide(&s), Step::Rest(Rest::Stopping));
    }
}

#[test]
fn the_cache_alone_never_says_gone() {
    let mut s = started(Health::Ready);
    s.pod = PodState::Absent;
    assert_eq!(decide(&s), Step::ReadPod);
    assert_eq!(decide(&stopped(s)), Step::ReadPod);
}

#[test]
fn the_first_loss_is_replaced_at_once_and_counted() {
    let Step::Claim(claim, Some(failures)) = decide(&gone(started(Health::Ready))) else {
        panic!("no claim")
    };
    assert_eq!((claim.number.0, failures.consecutive), (4, 1));
}

#[test]
fn the_second_loss_in_a_row_waits_and_new_intent_ends_the_wait() {
    let mut s = started(Health::Ready);
    s.status.failures = Some(Failures { consecutive: 1, ..Default::default() });
    let s = gone(s);
    let step = decide(&s);
    assert!(matches!(&step, Step::RecordLoss(failures) if failures.consecutive == 2));
    let s = published(s, &step);
    assert_eq!(decide(&s), Step::Rest(Rest::BackingOff(at(10))));
    for change in [restart_pending, image_changed] {
        assert!(matches!(decide(&change(s.clone())), Step::Claim(_, None)), "new intent counts from zero");
    }
    let mut later = s;
    later.now = at(11);
    assert!(matches!(decide(&later), Step::Claim(_, Some(failures)) if failures.consecutive == 2));
}

#[test]
fn an_ended_pod_is_deleted_once_its_loss_is_recorded() {
    let s = started(Health::Finished(cause(Reason::Evicted)));
    let step = decide(&s);
    assert!(matches!(step, Step::RecordLoss(_)));
    assert_eq!(decide(&published(s, &step)), Step::Delete { uid: "uid-3".into() });
}

#[test]
fn a_smaller_number_is_stopped_and_a_larger_one_taken_over() {
    let mut s = started(Health::Ready);
    s.pod = ours(4, None, Health::Ready);
    assert_eq!(decide(&s), Step::ReadBoth);
    s.pod = ours(2, None, Health::Ready);
    assert_eq!(decide(&s), Step::ReadBoth);
    s.is_live = true;
    assert_eq!(recorded(&decide(&s)), Some(StopCause::Overtaken));
    s.pod = ours(4, None, Health::Ready);
    assert_eq!(decide(&s), Step::TakeOver(IncarnationNumber(4)));
}

#[test]
fn a_claim_that_moved_on_is_claimed_anew() {
    let s = fresh();
    let step = decide(&s);
    let s = gone(published(s, &step));
    assert_eq!(claimed_number(&decide(&image_changed(s.clone()))), Some(2));
    assert_eq!(claimed_number(&decide(&restart_pending(s))), Some(2));
}

#[test]
fn a_refused_pod_keeps_its_claim() {
    let s = fresh();
    let step = decide(&s);
    let mut s = gone(published(s, &step));
    s.refusal = Some(Refusal { reason: Reason::PodRefused, message: "no".into(), retry_at: at(10) });
    assert!(matches!(decide(&s), Step::Rest(Rest::Refused(_))));
    s.now = at(11);
    assert_eq!(decide(&s), Step::Start);
}

#[test]
fn a_change_waits_for_the_next_start_where_the_strategy_says_so() {
    let s = started(Health::Ready);
    let other = json!({"image": "b:2", "updateStrategy": {"type": "OnRestart"}});
    let mut s = Situation { desired: situation(other, s.status.clone()).desired, ..s };
    assert!(matches!(decide(&s), Step::Rest(Rest::Settled(Some(Waiting::Strategy { .. })))));
    s = restart_pending(s);
    assert_eq!(decide(&s), Step::Verify);
}

#[test]
fn a_volume_that_is_being_deleted_declines_a_restart() {
    let mut s = restart_pending(started(Health::Ready));
    s.volume = VolumeState::Terminating;
    assert!(matches!(
        decide(&s),
        Step::Rest(Rest::Settled(Some(Waiting::Volume { reason: Reason::VolumeTerminating, .. })))
    ));
}

#[test]
fn a_lost_volume_is_made_anew_only_on_a_new_restart() {
    let mut s = gone(started(Health::Ready));
    s.volume = VolumeState::Lost;
    assert_eq!(decide(&s), Step::Rest(Rest::Volume(Reason::VolumeLost)));
    assert!(matches!(decide(&restart_pending(s)), Step::Claim(..)));
}

fn turned(mut s: Situation, turn: Turn) -> Situation {
    s.turn = Some(turn);
    s
}

#[test]
fn a_change_from_outside_asks_the_gate_first() {
    let s = changed_from_outside(started(Health::Ready));
    assert_eq!(decide(&s), Step::TakeTurn(Asker::Serving));
    let Step::Rest(Rest::Settled(Some(Waiting::Turn { what }))) = decide(&turned(s.clone(), Turn::Waits))
    else {
        panic!("it does not wait")
    };
    assert_eq!(what, "changed: image");
    let status = crate::status::compute(&s, &decide(&turned(s.clone(), Turn::Waits)));
    assert!(!rollout::has_place(&status));
    assert_eq!(decide(&turned(s, Turn::Granted)), Step::Verify);
}

#[test]
fn a_place_is_written_down_and_confirmed_before_the_stop_is_recorded() {
    let mut s = turned(changed_from_outside(started(Health::Ready)), Turn::Granted);
    s.verdict = Some(Verdict::Accepted { note: None });
    let step = decide(&s);
    assert_eq!(step, Step::TakePlace);
    let s = published(s, &step);
    assert!(s.has_place());
    assert!(s.condition(ConditionType::Ready).is_some_and(|ready| ready.status == "True"), "it serves");
    assert_eq!(decide(&s), Step::ConfirmTurn);
    assert!(matches!(decide(&turned(s.clone(), Turn::Waits)), Step::Rest(_)), "and may be given back");
    let s = turned(s, Turn::Confirmed);
    let step = decide(&s);
    assert_eq!(recorded(&step), Some(StopCause::Rollout));
    let s = published(s, &step);
    assert!(s.has_place());
    assert_eq!(decide(&s), Step::Delete { uid: "uid-3".into() });
}

#[test]
fn a_stop_recorded_for_a_rollout_is_not_carried_out_for_a_change_that_nobody_verified() {
    let mut s = turned(changed_from_outside(started(Health::Ready)), Turn::Confirmed);
    s.verdict = Some(Verdict::Accepted { note: None });
    let step = decide(&s);
    let mut s = published(s, &step);
    assert!(matches!(decide(&s), Step::Delete { .. }));
    // Another operator, and another class by then.
    (s.turn, s.verdict) = (None, None);
    assert_eq!(decide(&s), Step::Verify);
    s.verdict = Some(declined());
    assert_eq!(decide(&s), Step::ReadBoth, "it may have been carried out already");
    s.is_live = true;
    let step = decide(&s);
    assert!(matches!(step, Step::Rest(Rest::Settled(Some(Waiting::Declined { .. })))));
    let mut s = published(s, &step);
    assert!(s.has_place());
    s.verdict = Some(Verdict::Accepted { note: None });
    assert!(matches!(decide(&s), Step::Delete { .. }));
}

#[test]
fn a_stop_recorded_for_a_rollout_is_carried_out_though_the_change_is_gone() {
    let mut s = turned(changed_from_outside(started(Health::Ready)), Turn::Confirmed);
    s.verdict = Some(Verdict::Accepted { note: None });
    let step = decide(&s);
    let mut s = published(s, &step);
    s.turn = None;
    s.desired = fresh().desired;
    assert_eq!(decide(&s), Step::Delete { uid: "uid-3".into() });
    let rests = Step::Rest(Rest::Settled(None));
    assert!(published(s, &rests).has_place(), "nobody takes back what another may be carrying out");
}

#[test]
fn a_place_lasts_from_the_stop_to_the_first_ready() {
    let mut s = turned(changed_from_outside(started(Health::Ready)), Turn::Confirmed);
    s.verdict = Some(Verdict::Accepted { note: None });
    let step = decide(&s);
    let s = gone(published(s, &step));
    let step = decide(&s);
    assert!(matches!(&step, Step::Claim(claim, _) if claim.cause == Some(StartCause::Rollout)));
    let mut s = published(s, &step);
    assert!(s.has_place());
    s.pod = ours(4, None, Health::Ready);
    let s = published(s, &Step::Rest(Rest::Settled(None)));
    assert!(!s.has_place());
    assert!(s.incarnation().unwrap().ready_time.is_some());
}

#[test]
fn what_is_down_is_changed_without_a_place_and_one_that_has_a_place_keeps_it() {
    let s = changed_from_outside(started(not_ready()));
    assert_eq!(decide(&s), Step::TakeTurn(Asker::Down));
    assert_eq!(recorded(&decide(&turned(s.clone(), Turn::Granted))), Some(StopCause::InputsChanged));
    let mut rolled = s;
    if let Some(incarnation) = &mut rolled.status.incarnation {
        incarnation.cause = Some(StartCause::Rollout);
        incarnation.ready_time = None;
    }
    assert_eq!(recorded(&decide(&turned(rolled, Turn::Granted))), Some(StopCause::Rollout));
}

#[test]
fn what_a_person_changes_asks_nobody() {
    assert_eq!(decide(&image_changed(started(Health::Ready))), Step::Verify);
    let both = restart_pending(changed_from_outside(started(Health::Ready)));
    assert_eq!(decide(&both), Step::Verify);
}

#[test]
fn the_end_of_a_hold_on_the_namespace_asks_the_gate() {
    let held =
        Suspension { reason: Reason::Held, is_namespace_s: true, idle_since: None, message: "held".into() };
    let mut s = fresh();
    s.desired.run = Run::Suspended(held.clone());
    let step = decide(&s);
    let mut s = published(s, &step);
    let held_status = s.status.clone();
    s.desired.run = Run::Running;
    assert_eq!(decide(&s), Step::TakeTurn(Asker::Serving));
    assert_eq!(decide(&turned(s.clone(), Turn::Waits)), Step::Rest(Rest::AwaitingTurn));
    assert_eq!(decide(&turned(s.clone(), Turn::Granted)), Step::TakePlace);
    let s = published(s, &Step::TakePlace);
    assert_eq!(decide(&turned(s.clone(), Turn::Granted)), Step::ConfirmTurn);
    let step = decide(&turned(s.clone(), Turn::Confirmed));
    assert!(matches!(&step, Step::Claim(claim, _) if claim.cause == Some(StartCause::Rollout)));
    assert!(
        matches!(decide(&restart_pending(s.clone())), Step::Claim(claim, _) if claim.cause == Some(StartCause::Restart))
    );
    let mut blocked = s.clone();
    blocked.status = held_status.clone();
    blocked.desired.effective = Err(Blocked::invalid("image", "missing"));
    let step = decide(&blocked);
    assert!(matches!(step, Step::Rest(Rest::Blocked(_))));
    let later = published(blocked, &step);
    let healed = Situation { desired: s.desired.clone(), ..later };
    assert_eq!(decide(&healed), Step::TakeTurn(Asker::Serving), "what was in its way gives nobody a turn");
    let own = Suspension { is_namespace_s: false, ..held };
    let mut s = fresh();
    s.desired.run = Run::Suspended(own);
    let step = decide(&s);
    let mut s = published(s, &step);
    s.desired.run = Run::Running;
    assert!(matches!(decide(&s), Step::Claim(..)), "one's own hold is one's own affair");
}

#[test]
fn what_is_being_deleted_gets_no_new_pod() {
    let mut s = fresh();
    s.is_deleting = true;
    assert_eq!(decide(&s), Step::Rest(Rest::Deleting));
    let mut s = started(Health::Ready);
    s.is_deleting = true;
    assert_eq!(decide(&s), Step::Delete { uid: "uid-3".into() });
}
