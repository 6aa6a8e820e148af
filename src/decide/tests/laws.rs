//! Laws over many situations.

use proptest::prelude::*;

use super::*;

/// Any situation at all, from a few choices for each thing that is known.
fn any_situation() -> impl Strategy<Value = Situation> {
    let health =
        prop_oneof![Just(Health::Ready), Just(not_ready()), Just(Health::Finished(cause(Reason::PodFailed)))];
    let volume = prop::sample::select(vec![
        VolumeState::NotRequired,
        VolumeState::Absent,
        VolumeState::Pending,
        VolumeState::Bound { note: None },
        VolumeState::Terminating,
        VolumeState::Lost,
    ]);
    let verdict = prop::sample::select(vec![
        None,
        Some(Verdict::Accepted { note: None }),
        Some(Verdict::Pending { until: at(60) }),
        Some(declined()),
    ]);
    let flags = prop::collection::vec(any::<bool>(), 9);
    let turn =
        prop::sample::select(vec![None, Some(Turn::Waits), Some(Turn::Granted), Some(Turn::Confirmed)]);
    (health, volume, verdict, turn, flags, 0..7_usize, 1..5_i64).prop_map(
        |(health, volume, verdict, turn, flags, pod, number)| {
            let mut s = if flags[0] { started(health.clone()) } else { fresh() };
            s.volume = volume;
            s.verdict = verdict;
            s.turn = turn;
            s.is_deleting = flags[1];
            s.is_live = flags[2];
            if flags[3] {
                s = restart_pending(s);
            }
            if flags[4] {
                s = image_changed(s);
            }
            if flags[8] {
                s = changed_from_outside(s);
            }
            if flags[5] {
                s = stopped(s);
            }
            if flags[6] {
                s.desired.effective = Err(Blocked::invalid("image", "missing"));
            }
            if flags[7] {
                s.status.failures = Some(Failures { consecutive: 3, ..Default::default() });
            }
            match pod {
                0 => s.pod = PodState::Absent,
                1 => s.pod = PodState::Gone,
                2 => s.pod = PodState::Former,
                3 => s.pod = ours(number, None, health),
                4 => s = terminating(s),
                _ => {}
            }
            s
        },
    )
}

/// Whether a step changes the world, other than status.
fn touches_pods(step: &Step) -> bool {
    matches!(step, Step::Delete { .. } | Step::Start)
}

proptest! {
    #[test]
    fn a_pod_is_deleted_only_under_deletion_or_after_a_record(s in any_situation()) {
        if let Step::Delete { .. } = decide(&s) {
            prop_assert!(s.is_deleting || s.status.last_stop.is_some() || s.is_loss_recorded());
        }
    }

    #[test]
    fn nothing_is_started_beside_a_living_pod_or_before_its_claim(s in any_situation()) {
        if decide(&s) == Step::Start {
            prop_assert!(matches!(s.pod, PodState::Gone | PodState::Absent));
            prop_assert!(s.incarnation().is_some());
        }
    }

    #[test]
    fn a_claim_always_takes_the_next_number(s in any_situation()) {
        if let Some(number) = claimed_number(&decide(&s)) {
            prop_assert_eq!(number, s.number().0 + 1);
        }
    }

    #[test]
    fn nobody_who_wants_it_stopped_or_deleted_gets_a_pod(s in any_situation()) {
        let step = decide(&s);
        let unwanted = s.is_deleting || matches!(s.desired.run, Run::Suspended(_));
        prop_assert!(!unwanted || !matches!(step, Step::Start | Step::Claim(..)));
    }

    #[test]
    fn a_step_that_writes_status_leads_on_to_another_step(s in any_situation()) {
        let step = decide(&s);
        if matches!(step, Step::RecordStop(_) | Step::RecordLoss(_)) {
            let next = decide(&published(s, &step));
            prop_assert!(next != step, "{next:?} for ever");
        }
    }

    #[test]
    fn deciding_twice_gives_the_same(s in any_situation()) {
        prop_assert_eq!(decide(&s), decide(&s.clone()));
        prop_assert!(!touches_pods(&decide(&terminating(s))) );
    }

    #[test]
    fn every_condition_told_has_its_row(s in any_situation()) {
        let step = decide(&s);
        let status: WorkspaceStatus = crate::status::compute(&s, &step);
        let types: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        prop_assert_eq!(types, ConditionType::ALL.iter().map(|type_| type_.as_str()).collect::<Vec<_>>());
        for (condition, type_) in status.conditions.iter().zip(ConditionType::ALL) {
            let is_row = type_.rows().iter().any(|(status, reasons)| {
                status.as_str() == condition.status && reasons.iter().any(|reason| reason.as_str() == condition.reason)
            });
            prop_assert!(is_row, "{} {} {} after {:?}", condition.type_, condition.status, condition.reason, step);
        }
    }

    #[test]
    fn never_both_reconciling_and_stalled(s in any_situation()) {
        let status = crate::status::compute(&s, &decide(&s));
        let is_true = |name: &str| status.conditions.iter().any(|c| c.type_ == name && c.status == "True");
        prop_assert!(!(is_true("Reconciling") && is_true("Stalled")));
    }

    #[test]
    fn a_status_that_was_published_is_not_worth_publishing_again(s in any_situation()) {
        let step = decide(&s);
        if matches!(step, Step::Rest(_)) {
            let again = published(s, &step);
            let step = decide(&again);
            if matches!(step, Step::Rest(_)) {
                let next = crate::status::compute(&again, &step);
                prop_assert!(!crate::status::is_worth_writing(&again.status, &next), "{:#?}\n{:#?}", again.status, next);
            }
        }
    }
}
