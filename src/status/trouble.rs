//! The status while pass after pass fails: what is known stays said, and with it why it goes no further.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{ConditionStatus, ConditionType, Reason, WorkspaceStatus};

use super::{Told, merge};

/// `known`, with the `cause` that keeps the operator from going on. Past the deadline, counted from when `said` began to
/// speak of being on the way, it is stuck. A workspace of which nothing was said yet is not Ready.
pub fn trouble(
    said: &WorkspaceStatus,
    known: &WorkspaceStatus,
    generation: Option<i64>,
    deadline: Duration,
    cause: &str,
    now: Timestamp,
) -> WorkspaceStatus {
    let condition = |type_: ConditionType| said.conditions.iter().find(|one| one.type_ == type_.as_str());
    let since = condition(ConditionType::Reconciling)
        .filter(|reconciling| reconciling.status == "True")
        .map_or(now, |reconciling| reconciling.last_transition_time.0);
    let was_stuck = condition(ConditionType::Stalled).is_some_and(|stalled| {
        stalled.status == "True"
            && stalled.reason == Reason::DeadlineExceeded.as_str()
            && stalled.observed_generation == generation
    });
    let told =
        |type_, status, reason, message: &str| Told { type_, status, reason, message: message.to_owned() };
    let is_stuck = was_stuck || since.saturating_add(deadline).is_ok_and(|until| now >= until);
    let mut news = if is_stuck {
        let message = format!("not done within {} s: {cause}", deadline.as_secs());
        vec![
            told(ConditionType::Reconciling, ConditionStatus::False, Reason::DeadlineExceeded, ""),
            told(ConditionType::Stalled, ConditionStatus::True, Reason::DeadlineExceeded, &message),
        ]
    } else {
        vec![
            told(ConditionType::Reconciling, ConditionStatus::True, Reason::ReconcileFailed, cause),
            told(ConditionType::Stalled, ConditionStatus::False, Reason::Progressing, ""),
        ]
    };
    if !known.conditions.iter().any(|one| one.type_ == ConditionType::Ready.as_str()) {
        news.insert(0, told(ConditionType::Ready, ConditionStatus::False, Reason::ReconcileFailed, cause));
    }
    let mut merged = merge(&said.conditions, news, generation, now);
    let mut conditions = Vec::new();
    // Each in the place it has.
    for one in &known.conditions {
        let new = merged.iter().position(|new| new.type_ == one.type_);
        conditions.push(new.map_or_else(|| one.clone(), |at| merged.remove(at)));
    }
    conditions.extend(merged);
    WorkspaceStatus { observed_generation: generation, conditions, ..known.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_mins(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn said(status: &WorkspaceStatus, type_: ConditionType) -> (&str, &str, &str) {
        let found = status.conditions.iter().find(|one| one.type_ == type_.as_str()).unwrap();
        (&found.status, &found.reason, &found.message)
    }

    #[test]
    fn what_nobody_knows_anything_of_is_not_ready_and_says_why() {
        let first = trouble(
            &WorkspaceStatus::default(),
            &WorkspaceStatus::default(),
            Some(1),
            DEADLINE,
            "get Secret s: no",
            at(0),
        );
        assert_eq!(said(&first, ConditionType::Ready), ("False", "ReconcileFailed", "get Secret s: no"));
        assert_eq!(said(&first, ConditionType::Reconciling), ("True", "ReconcileFailed", "get Secret s: no"));
        assert_eq!(said(&first, ConditionType::Stalled).0, "False");
        assert_eq!(first.observed_generation, Some(1));
    }

    #[test]
    fn it_is_stuck_past_its_deadline_and_stays_so_until_something_new_is_wanted() {
        let first =
            trouble(&WorkspaceStatus::default(), &WorkspaceStatus::default(), Some(1), DEADLINE, "no", at(0));
        let late = trouble(&first, &first, Some(1), DEADLINE, "no", at(60));
        assert_eq!(
            said(&late, ConditionType::Stalled),
            ("True", "DeadlineExceeded", "not done within 60 s: no")
        );
        assert_eq!(said(&late, ConditionType::Reconciling).0, "False");
        let later = trouble(&late, &late, Some(1), DEADLINE, "no", at(61));
        assert_eq!(later, late, "it says the same twice");
        let newer = trouble(&late, &late, Some(2), DEADLINE, "no", at(62));
        assert_eq!(said(&newer, ConditionType::Stalled).0, "False");
    }

    #[test]
    fn the_deadline_counts_from_what_was_said_whatever_the_pass_found_out() {
        let nothing = WorkspaceStatus::default();
        let first = trouble(&nothing, &nothing, Some(1), DEADLINE, "no", at(0));
        let late = trouble(&first, &nothing, Some(1), DEADLINE, "no", at(60));
        assert_eq!(said(&late, ConditionType::Stalled).0, "True");
    }

    #[test]
    fn what_was_known_stays_said_in_its_order() {
        let mut known =
            trouble(&WorkspaceStatus::default(), &WorkspaceStatus::default(), Some(1), DEADLINE, "no", at(0));
        for condition in &mut known.conditions {
            if condition.type_ == ConditionType::Ready.as_str() {
                condition.status = "True".to_owned();
            }
        }
        let next = trouble(&known, &known, Some(1), DEADLINE, "no", at(1));
        assert_eq!(said(&next, ConditionType::Ready).0, "True");
        let types = |status: &WorkspaceStatus| -> Vec<String> {
            status.conditions.iter().map(|one| one.type_.clone()).collect()
        };
        assert_eq!(types(&next), types(&known));
    }
}
