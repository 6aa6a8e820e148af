//! Counting lost Pods. The count stands in status, so a restart of the operator forgives nothing.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{
        IncarnationNumber, WorkspaceStatus,
        status::{Failure, Failures},
    },
    backoff::{self, Jitter},
    health::Cause,
    protection::Protection,
};

/// How long an incarnation must have been Ready for its loss to count as the first.
pub const FORGIVEN_AFTER: Duration = Duration::from_mins(10);

/// The loss of incarnation `number` for `cause`, counted on from what `status` remembers. The first in a row is
/// replaced at once.
pub fn count(
    status: &WorkspaceStatus,
    number: IncarnationNumber,
    cause: &Cause,
    ready_since: Option<Timestamp>,
    jitter: Jitter,
    now: Timestamp,
) -> Failures {
    let forgiven = was_ready_long(ready_since, now);
    let counted = status.failures.as_ref().filter(|_| !forgiven && Protection::BackoffInStatus.holds());
    let before = counted.map_or(0, |failures| failures.consecutive);
    let consecutive = before.saturating_add(1);
    let delay = match u32::try_from(consecutive).unwrap_or(1) {
        0 | 1 => Duration::ZERO,
        k => backoff::delay(k - 1, backoff::BASE, backoff::CAP, jitter),
    };
    let next_start_time =
        (!delay.is_zero()).then(|| Time(whole_seconds(now.saturating_add(delay).unwrap_or(now))));
    Failures {
        consecutive,
        next_start_time,
        last: Some(Failure {
            incarnation: number,
            reason: cause.reason.to_string(),
            message: clipped(&cause.message),
            exit_code: cause.exit_code,
            time: Some(Time(whole_seconds(now))),
        }),
    }
}

/// Whether it was Ready long enough for what failed before not to count.
pub fn was_ready_long(ready_since: Option<Timestamp>, now: Timestamp) -> bool {
    ready_since.is_some_and(|since| {
        now.duration_since(since) >= jiff::SignedDuration::try_from(FORGIVEN_AFTER).unwrap_or_default()
    })
}

/// A runtime may quote a whole command line. What is longer than this could not be written.
pub fn clipped(message: &str) -> String {
    const MOST: usize = 4096;
    message.chars().take(MOST).collect()
}

/// The API keeps whole seconds; what is compared later must be what was written.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::Reason;

    fn cause() -> Cause {
        Cause { reason: Reason::PodFailed, message: "x".into(), exit_code: None, review_at: None }
    }

    fn after(consecutive: i32, ready_seconds: Option<i64>) -> Failures {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let failures = Some(Failures { consecutive, ..Default::default() });
        let status = WorkspaceStatus { failures, ..Default::default() };
        let since = ready_seconds.map(|seconds| Timestamp::from_second(1_000_000 - seconds).unwrap());
        count(&status, IncarnationNumber(1), &cause(), since, Jitter::NONE, now)
    }

    fn wait(failures: &Failures) -> i64 {
        failures.next_start_time.as_ref().map_or(0, |time| time.0.as_second() - 1_000_000)
    }

    #[test]
    fn the_first_loss_is_replaced_at_once_and_the_second_after_ten_seconds() {
        assert_eq!((wait(&after(0, None)), wait(&after(1, None)), wait(&after(2, None))), (0, 10, 20));
    }

    #[test]
    fn ten_ready_minutes_start_the_count_anew() {
        assert_eq!(after(5, Some(600)).consecutive, 1);
        assert_eq!(after(5, Some(599)).consecutive, 6);
    }

    #[test]
    fn a_message_longer_than_a_status_takes_is_clipped() {
        let cause = Cause { message: "x".repeat(40_000), ..cause() };
        let now = Timestamp::from_second(0).unwrap();
        let failures =
            count(&WorkspaceStatus::default(), IncarnationNumber(1), &cause, None, Jitter::NONE, now);
        assert_eq!(failures.last.unwrap().message.len(), 4096);
    }

    proptest! {
        #[test]
        fn the_delay_never_shrinks_and_stays_below_its_cap(k in 0_i32..1000) {
            prop_assert!(wait(&after(k, None)) <= wait(&after(k + 1, None)));
            prop_assert!(wait(&after(k, None)) <= 300);
        }
    }
}
