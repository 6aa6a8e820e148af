//! Pure: what to say next to the operator, and when, after what it answered.

use std::time::Duration;

use crate::{
    answer::Answer,
    refusals::Refusals,
    schedule::{self, Jitter},
};

/// The pace where the operator has not told one yet.
const UNKNOWN_INTERVAL: Duration = Duration::from_secs(30);

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Register,
    Heartbeat,
}

/// Where the conversation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    call: Call,
    /// Number of the next beat in the schedule.
    beat: u32,
    /// Told by the last accepted call.
    interval: Option<Duration>,
    /// Failed calls in a row.
    failures: u32,
    refusals: Refusals,
}

/// What an answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next call, after this pause.
    Call { after: Duration, urgency: Urgency },
    /// This incarnation is stale: its program has to end.
    End,
}

/// What may end a pause before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// News of the program.
    News,
    /// Nothing: the operator asked for the pause, or is in trouble.
    None,
}

/// What an answer is judged by, besides its words.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since the start of this process.
    pub now: Duration,
    /// Which of the tokens that the file held the call was made with.
    pub token: u64,
    pub jitter: Jitter,
}

impl Conversation {
    /// Before the first word.
    pub fn new() -> Self {
        Self { call: Call::Register, beat: 0, interval: None, failures: 0, refusals: Refusals::default() }
    }

    /// The call to make next.
    pub fn call(&self) -> Call {
        self.call
    }

    /// Takes in what that call led to.
    #[must_use]
    pub fn hear(self, answer: &Answer, moment: Moment) -> (Self, Next) {
        let Moment { now, token, jitter } = moment;
        let interval = self.interval.unwrap_or(UNKNOWN_INTERVAL);
        match answer {
            Answer::Accepted(told) => {
                let beat = match self.call {
                    Call::Register => self.beat,
                    Call::Heartbeat => self.beat.saturating_add(1),
                };
                let after = schedule::beat(beat, told.interval, jitter);
                let next = Self { call: Call::Heartbeat, beat, interval: Some(told.interval), ..Self::new() };
                (next, Next::Call { after, urgency: Urgency::News })
            }
            Answer::RegisterFirst if self.call == Call::Heartbeat => {
                // The schedule goes on before it begins again: an operator that forgets at once each time is not
                // asked twice a second for it.
                let beat = if self.beat < schedule::EARLY_BEATS { self.beat + 1 } else { 0 };
                let next = Self { beat, interval: self.interval, ..Self::new() };
                (next, Next::Call { after: Duration::ZERO, urgency: Urgency::None })
            }
            Answer::Suspended => {
                let after = schedule::beat(schedule::EARLY_BEATS, interval, jitter);
                let next = Self { failures: 0, refusals: Refusals::default(), ..self };
                (next, Next::Call { after, urgency: Urgency::None })
            }
            Answer::Refused => {
                let refusals = self.refusals.again(token, now);
                if refusals.are_final(self.interval) {
                    return (Self { refusals, ..self }, Next::End);
                }
                let after = schedule::beat(refusals.count() - 1, interval, jitter);
                let next = Self { interval: self.interval, refusals, ..Self::new() };
                (next, Next::Call { after, urgency: Urgency::None })
            }
            Answer::RegisterFirst => self.try_again(None, jitter),
            Answer::Failed { retry_after, .. } => self.try_again(*retry_after, jitter),
        }
    }

    fn try_again(self, retry_after: Option<Duration>, jitter: Jitter) -> (Self, Next) {
        let failures = self.failures.saturating_add(1);
        let longest = schedule::LONGEST_BACKOFF.min(self.interval.unwrap_or(UNKNOWN_INTERVAL));
        let after = retry_after.unwrap_or_default() + schedule::backoff(failures, longest, jitter);
        let next = Self { failures, refusals: self.refusals.interrupted(), ..self };
        (next, Next::Call { after, urgency: Urgency::None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::Registration;

    fn accepted() -> Answer {
        let interval = Duration::from_secs(30);
        Answer::Accepted(Registration { workspace: "x".to_owned(), incarnation: 1, interval })
    }

    fn moment(now: u64) -> Moment {
        Moment { now: Duration::from_secs(now), token: 1, jitter: Jitter::new(1 << 31) }
    }

    /// What is called, and after how many seconds, when these answers come at once.
    fn calls(answers: &[Answer]) -> Vec<(Call, u64)> {
        let mut conversation = Conversation::new();
        let mut told = Vec::new();
        for answer in answers {
            let (next, Next::Call { after, .. }) = conversation.hear(answer, moment(0)) else { panic!() };
            told.push((next.call(), after.as_secs()));
            conversation = next;
        }
        told
    }

    #[test]
    fn it_registers_and_then_beats_by_the_schedule() {
        use Call::Heartbeat;
        let told = calls(&vec![accepted(); 7]);
        assert_eq!(told.iter().map(|(_, after)| *after).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30]);
        assert!(told.iter().all(|(call, _)| *call == Heartbeat));
    }

    #[test]
    fn told_to_register_first_it_does_so_at_once_and_goes_on() {
        use Call::{Heartbeat, Register};
        let told = calls(&[accepted(), Answer::RegisterFirst, accepted(), accepted()]);
        assert_eq!(told, [(Heartbeat, 1), (Register, 0), (Heartbeat, 2), (Heartbeat, 4)]);
    }

    #[test]
    fn a_registration_lost_late_is_followed_by_early_beats_again() {
        let mut answers = vec![accepted(); 6];
        answers.extend([Answer::RegisterFirst, accepted()]);
        assert_eq!(calls(&answers).last(), Some(&(Call::Heartbeat, 1)));
    }

    #[test]
    fn suspended_it_beats_on_and_does_not_register() {
        use Call::Heartbeat;
        let told = calls(&[accepted(), Answer::Suspended, Answer::Suspended, accepted()]);
        assert_eq!(told, [(Heartbeat, 1), (Heartbeat, 30), (Heartbeat, 30), (Heartbeat, 2)]);
    }

    #[test]
    fn a_failed_beat_is_repeated_as_a_beat() {
        let told = calls(&[accepted(), Answer::failed("cut"), accepted()]);
        assert_eq!(told, [(Call::Heartbeat, 1), (Call::Heartbeat, 0), (Call::Heartbeat, 2)]);
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept_whole() {
        let busy = Answer::Failed { why: String::new(), retry_after: Some(Duration::from_secs(9)) };
        let (_, next) = Conversation::new().hear(&busy, moment(0));
        let Next::Call { after, urgency } = next else { panic!() };
        assert!(after >= Duration::from_secs(9));
        assert_eq!(urgency, Urgency::None);
    }

    /// At which second it ends, if each call is answered by `answer` of the seconds passed.
    fn ends(answer: impl Fn(u64) -> Answer) -> Option<u64> {
        let (mut conversation, mut now) = (Conversation::new(), Duration::ZERO);
        for _ in 0..200 {
            let at = Moment { now, ..moment(0) };
            match conversation.hear(&answer(now.as_secs()), at) {
                (_, Next::End) => return Some(now.as_secs()),
                (next, Next::Call { after, .. }) => {
                    conversation = next;
                    now += after;
                }
            }
        }
        None
    }

    #[test]
    fn refused_from_the_start_it_ends_after_half_a_minute() {
        assert_eq!(ends(|_| Answer::Refused), Some(31));
    }

    #[test]
    fn refused_while_it_beats_it_ends_after_three_intervals() {
        let ended = ends(|now| if now < 10 { accepted() } else { Answer::Refused });
        assert!((100..=140).contains(&ended.unwrap()), "{ended:?}");
    }

    #[test]
    fn a_refusal_that_passes_is_forgotten() {
        assert_eq!(ends(|now| if now % 20 < 10 { Answer::Refused } else { accepted() }), None);
    }

    #[test]
    fn after_a_refusal_it_registers_with_what_the_file_says_then() {
        let told = calls(&[accepted(), Answer::Refused, accepted()]);
        assert_eq!(told, [(Call::Heartbeat, 1), (Call::Register, 1), (Call::Heartbeat, 1)]);
    }

    fn any_answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            Just(accepted()),
            Just(Answer::RegisterFirst),
            Just(Answer::Suspended),
            Just(Answer::failed("cut")),
        ]
    }

    proptest! {
        #[test]
        fn nothing_but_refusals_ever_ends_it(answers in prop::collection::vec(any_answer(), 0..50)) {
            let mut conversation = Conversation::new();
            for answer in answers {
                let (next, outcome) = conversation.hear(&answer, moment(0));
                prop_assert_ne!(outcome, Next::End);
                conversation = next;
            }
        }

        #[test]
        fn it_calls_at_most_twice_in_any_second_that_is_not_a_failure(
            answers in prop::collection::vec(prop_oneof![Just(accepted()), Just(Answer::RegisterFirst)], 1..50),
        ) {
            let mut conversation = Conversation::new();
            let mut at_once = 0;
            for answer in answers {
                let (next, outcome) = conversation.hear(&answer, moment(0));
                let Next::Call { after, .. } = outcome else { panic!() };
                at_once = if after < Duration::from_millis(500) { at_once + 1 } else { 0 };
                prop_assert!(at_once <= 2);
                conversation = next;
            }
        }
    }
}
