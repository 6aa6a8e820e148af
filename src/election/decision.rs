//! Pure: what a candidate does next about the Lease, from what it saw of it and when, by its own clock alone.

use std::{num::NonZeroU16, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::Instant;

use super::{leadership::Leader, lease};
use crate::backoff::{self, Jitter};

/// How long things may take. All follow from the lease's duration, so that none of them can make two leaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    lease_duration: Duration,
}

impl Default for Parameters {
    /// 15 s, 10 s and 2 s, as in most operators.
    fn default() -> Self {
        Self { lease_duration: Duration::from_secs(15) }
    }
}

impl Parameters {
    /// The API keeps whole seconds.
    pub fn of_lease(seconds: NonZeroU16) -> Self {
        Self { lease_duration: Duration::from_secs(seconds.get().into()) }
    }

    /// How long a Lease must be seen unchanged to be taken from its holder.
    pub fn lease_duration(self) -> Duration {
        self.lease_duration
    }

    /// How long after the beginning of its last renewal a leader leads. A third shorter than the lease: room for
    /// clocks that run unequally fast, and for writes that are under way.
    pub fn renew_deadline(self) -> Duration {
        self.lease_duration * 2 / 3
    }

    /// How often a leader renews, and how soon whatever failed is tried again.
    pub fn retry_period(self) -> Duration {
        self.lease_duration * 2 / 15
    }

    /// How often the others look. So short that even a clock that is slow by a twentieth lets a leader that was
    /// killed be replaced 17 s later.
    pub fn poll_period(self) -> Duration {
        self.lease_duration / 30
    }

    /// How long one call may take: within the renew deadline there is time for another.
    pub fn call_limit(self) -> Duration {
        self.renew_deadline() / 2
    }
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To lead, as soon as nobody else does.
    Lead,
    /// To give the Lease back and be done.
    Leave,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the Lease.
    Look,
    /// Write it, on the condition that it is still the one that was seen.
    Write(Write),
    /// Lead no longer.
    StepDown,
    /// Nothing before then.
    Wait(Instant),
    /// Nothing any more.
    Stop,
}

/// How the Lease is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// There is none.
    Create,
    /// It is nobody's, or its holder let it run out.
    Take,
    /// It is ours.
    Renew,
    /// It becomes nobody's.
    Release,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This is there, or nothing.
    Read(Option<Lease>),
    /// This is what we wrote.
    Written(Lease),
    /// It is not what was seen any more.
    Overtaken,
    /// It may have been done or not.
    Failed,
}

/// When a call was made.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub began: Instant,
    pub ended: Instant,
}

/// What was last heard of the Lease.
#[allow(clippy::large_enum_variant, reason = "one per process")]
#[derive(Clone, Debug)]
enum Seen {
    Unknown,
    /// There has been none since we look.
    Never,
    /// It has been exactly this at least since then.
    There {
        lease: Lease,
        since: Instant,
    },
    /// There was one, whose holder may not have noticed yet.
    Gone {
        since: Instant,
    },
}

impl Seen {
    fn next(&self, lease: Option<Lease>, now: Instant) -> Self {
        match (self, lease) {
            (Self::There { lease: before, since }, Some(lease)) if *before == lease => {
                Self::There { lease, since: *since }
            }
            // Not when the call began: the holder may have renewed it while the call was under way.
            (_, Some(lease)) => Self::There { lease, since: now },
            (Self::Unknown | Self::Never, None) => Self::Never,
            (Self::There { .. }, None) => Self::Gone { since: now },
            (Self::Gone { since }, None) => Self::Gone { since: *since },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Follows,
    /// The last renewal that succeeded began then.
    Leads {
        renewed: Instant,
    },
}

/// One that stands for election, and all it knows.
#[derive(Clone, Debug)]
pub struct Candidate {
    identity: String,
    parameters: Parameters,
    role: Role,
    seen: Seen,
    /// Whether `seen` is what the last call told: not while one is under way, nor after one that failed.
    is_fresh: bool,
    /// When the next call is due, if nothing calls for an earlier one.
    due: Instant,
}

impl Candidate {
    /// One that knows nothing yet.
    pub fn new(identity: String, parameters: Parameters, now: Instant) -> Self {
        let (role, seen) = (Role::Follows, Seen::Unknown);
        Self { identity, parameters, role, seen, is_fresh: false, due: now }
    }

    /// The next action.
    pub fn decide(&self, aim: Aim, now: Instant) -> Action {
        match (aim, self.leads_until()) {
            (Aim::Lead, Some(until)) => self.hold(until, now),
            (Aim::Lead, None) => self.stand(now),
            (Aim::Leave, Some(_)) => Action::StepDown,
            (Aim::Leave, None) => self.leave(now),
        }
    }

    fn hold(&self, until: Instant, now: Instant) -> Action {
        let is_there = matches!(self.seen, Seen::There { .. });
        if now >= until || (is_there && !self.is_holder()) {
            return Action::StepDown;
        }
        if now < self.due {
            return Action::Wait(self.due.min(until));
        }
        match (self.is_fresh, is_there) {
            (false, _) => Action::Look,
            (true, true) => Action::Write(Write::Renew),
            (true, false) => Action::Write(Write::Create),
        }
    }

    fn stand(&self, now: Instant) -> Action {
        if !self.is_fresh {
            return self.look(now, None);
        }
        let own = self.parameters.lease_duration;
        let (free_at, write) = match &self.seen {
            Seen::Unknown => return self.look(now, None),
            Seen::Never => return Action::Write(Write::Create),
            // Ours without leading: a write of ours was done after we had given it up.
            Seen::There { .. } if self.is_holder() => return Action::Write(Write::Renew),
            Seen::There { lease, .. } if lease::holder(lease).is_none() => return Action::Write(Write::Take),
            Seen::There { lease, since } => (*since + lease::duration(lease).max(own), Write::Take),
            Seen::Gone { since } => (*since + own, Write::Create),
        };
        if now >= free_at { Action::Write(write) } else { self.look(now, Some(free_at)) }
    }

    fn leave(&self, now: Instant) -> Action {
        match self.seen {
            Seen::Unknown => Action::Stop,
            _ if !self.is_fresh => self.look(now, None),
            Seen::There { .. } if self.is_holder() => Action::Write(Write::Release),
            Seen::Never | Seen::There { .. } | Seen::Gone { .. } => Action::Stop,
        }
    }

    fn look(&self, now: Instant, not_later: Option<Instant>) -> Action {
        if now >= self.due {
            return Action::Look;
        }
        Action::Wait(not_later.map_or(self.due, |limit| limit.min(self.due)))
    }

    /// A call begins. If it is dropped, nobody knows what came of it.
    pub fn ask(&mut self) {
        self.is_fresh = false;
    }

    /// When a call that began then is given up.
    pub fn give_up_at(&self, began: Instant) -> Instant {
        let limit = began + self.parameters.call_limit();
        self.leads_until().map_or(limit, |until| until.min(limit))
    }

    /// Takes in what a call came to.
    pub fn told(&mut self, answer: Answer, call: Call, jitter: Jitter) {
        let Call { began, ended } = call;
        // Whoever asked meanwhile was told that we lead no longer. From here on we lead anew, or not at all.
        if self.leads_until().is_some_and(|until| ended >= until) {
            self.step_down();
        }
        let (retry, poll) = (self.parameters.retry_period(), self.parameters.poll_period());
        let pause = match answer {
            Answer::Read(lease) => {
                self.see(lease, ended);
                if self.leads_until().is_some() { Duration::ZERO } else { poll }
            }
            Answer::Written(lease) => {
                self.see(Some(lease), ended);
                let is_in_time = ended < began + self.parameters.renew_deadline();
                let leads = is_in_time && self.is_holder();
                self.role = if leads { Role::Leads { renewed: began } } else { Role::Follows };
                retry
            }
            Answer::Overtaken => poll,
            Answer::Failed => retry,
        };
        self.due = began + backoff::delay(1, pause, pause, jitter);
    }

    fn see(&mut self, lease: Option<Lease>, now: Instant) {
        self.seen = self.seen.next(lease, now);
        self.is_fresh = true;
    }

    /// Leads no longer.
    pub fn step_down(&mut self) {
        self.role = Role::Follows;
    }

    /// Until when it leads, if nothing is renewed.
    pub fn leads_until(&self) -> Option<Instant> {
        match self.role {
            Role::Leads { renewed } => Some(renewed + self.parameters.renew_deadline()),
            Role::Follows => None,
        }
    }

    /// The Lease as it was last seen.
    pub fn seen(&self) -> Option<&Lease> {
        match &self.seen {
            Seen::There { lease, .. } => Some(lease),
            Seen::Unknown | Seen::Never | Seen::Gone { .. } => None,
        }
    }

    /// Who leads, while it is not us.
    pub fn other(&self) -> Leader {
        let holder = |lease| lease::holder(lease).filter(|holder| *holder != self.identity);
        match self.seen().and_then(|lease| Some((lease, holder(lease)?))) {
            Some((lease, identity)) => Leader::Other {
                identity: identity.to_owned(),
                address: lease::address(lease).map(str::to_owned),
            },
            None => Leader::Nobody,
        }
    }

    fn is_holder(&self) -> bool {
        self.seen().and_then(lease::holder) == Some(&self.identity)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::election::lease::Holder;

    /// What `us` knows, and how late it is.
    struct Case {
        candidate: Candidate,
        now: Instant,
    }

    impl Case {
        /// It saw this so long ago.
        fn new(seen: Option<Lease>, seconds: u64) -> Self {
            let began = Instant::now();
            let mut candidate = Candidate::new("us".to_owned(), Parameters::default(), began);
            candidate.told(Answer::Read(seen), at(began, began), Jitter::NONE);
            Self { candidate, now: began + Duration::from_secs(seconds) }
        }

        /// Its last renewal began so long ago.
        fn leading(seconds: u64) -> Self {
            let mut case = Self::new(None, 0);
            case.told(Answer::Written(held_by("us")));
            case.after(seconds)
        }

        fn told(&mut self, answer: Answer) {
            self.candidate.ask();
            self.candidate.told(answer, at(self.now, self.now), Jitter::NONE);
        }

        fn after(mut self, seconds: u64) -> Self {
            self.now += Duration::from_secs(seconds);
            self
        }

        fn decided(&self, aim: Aim) -> String {
            match self.candidate.decide(aim, self.now) {
                Action::Wait(until) => format!("wait {} ms", (until - self.now).as_millis()),
                action => format!("{action:?}"),
            }
        }

        fn leads(&self) -> bool {
            self.candidate.leads_until().is_some()
        }
    }

    fn at(began: Instant, ended: Instant) -> Call {
        Call { began, ended }
    }

    fn holder(identity: &str) -> Holder {
        Holder { identity: identity.to_owned(), address: None, duration: Duration::from_secs(15) }
    }

    fn held_by(identity: &str) -> Lease {
        holder(identity).written(Write::Take, None, Timestamp::UNIX_EPOCH)
    }

    fn released() -> Lease {
        holder("them").written(Write::Release, Some(held_by("them")), Timestamp::UNIX_EPOCH)
    }

    fn lasting(seconds: i32) -> Lease {
        let mut lease = held_by("them");
        lease.spec.get_or_insert_default().lease_duration_seconds = Some(seconds);
        lease
    }

    #[test]
    fn who_does_not_lead_takes_what_is_free() {
        let cases = [
            (None, 0, "Write(Create)"),
            (Some(released()), 0, "Write(Take)"),
            (Some(Lease::default()), 0, "Write(Take)"),
            (Some(held_by("us")), 0, "Write(Renew)"),
            (Some(held_by("them")), 0, "wait 500 ms"),
            (Some(held_by("them")), 14, "Look"),
            (Some(held_by("them")), 15, "Write(Take)"),
            (Some(lasting(20)), 19, "Look"),
            (Some(lasting(20)), 20, "Write(Take)"),
            (Some(lasting(1)), 14, "Look"),
            (Some(lasting(-1)), 14, "Look"),
        ];
        for (seen, seconds, decided) in cases {
            let told = format!("{seen:?} for {seconds} s");
            assert_eq!(Case::new(seen, seconds).decided(Aim::Lead), decided, "{told}");
        }
    }

    #[test]
    fn nothing_is_done_before_a_look() {
        let now = Instant::now();
        let candidate = Candidate::new("us".to_owned(), Parameters::default(), now);
        assert_eq!(candidate.decide(Aim::Lead, now), Action::Look);
        assert_eq!(candidate.decide(Aim::Leave, now), Action::Stop);
    }

    #[test]
    fn a_change_however_small_counts_as_a_sign_of_life() {
        let mut case = Case::new(Some(held_by("them")), 14);
        let renewed = holder("them").written(Write::Renew, Some(held_by("them")), Timestamp::UNIX_EPOCH);
        case.told(Answer::Read(Some(renewed.clone())));
        let mut case = case.after(14);
        assert_eq!(case.decided(Aim::Lead), "Look");
        case.told(Answer::Read(Some(renewed)));
        assert_eq!(case.after(1).decided(Aim::Lead), "Write(Take)");
    }

    #[test]
    fn a_renewal_counts_from_its_beginning_and_what_is_seen_from_its_answer() {
        let (began, now) = (Instant::now(), Instant::now() + Duration::from_secs(4));
        let told = |answer| {
            let mut candidate = Candidate::new("us".to_owned(), Parameters::default(), began);
            candidate.told(answer, at(began, now), Jitter::NONE);
            candidate
        };
        let leads_until = told(Answer::Written(held_by("us"))).leads_until();
        assert_eq!(leads_until, Some(began + Duration::from_secs(10)));
        let follows = told(Answer::Read(Some(held_by("them"))));
        assert_eq!(follows.decide(Aim::Lead, now + Duration::from_secs(14)), Action::Look);
        assert_eq!(follows.decide(Aim::Lead, now + Duration::from_secs(15)), Action::Write(Write::Take));
    }

    #[test]
    fn a_lease_that_vanished_is_not_made_before_its_holder_must_have_noticed() {
        let mut case = Case::new(Some(held_by("them")), 14);
        case.told(Answer::Read(None));
        let case = case.after(14);
        assert_eq!(case.decided(Aim::Lead), "Look");
        assert_eq!(case.after(1).decided(Aim::Lead), "Write(Create)");
    }

    #[test]
    fn after_a_write_that_came_to_nothing_comes_a_look() {
        for (answer, pause) in [(Answer::Overtaken, "wait 500 ms"), (Answer::Failed, "wait 2000 ms")] {
            let mut case = Case::new(Some(released()), 0);
            case.told(answer);
            assert_eq!(case.decided(Aim::Lead), pause);
            assert_eq!(case.after(2).decided(Aim::Lead), "Look");
        }
    }

    #[test]
    fn a_leader_renews_until_the_deadline_and_not_beyond() {
        assert_eq!(Case::leading(0).decided(Aim::Lead), "wait 2000 ms");
        assert_eq!(Case::leading(2).decided(Aim::Lead), "Write(Renew)");
        assert_eq!(Case::leading(10).decided(Aim::Lead), "StepDown");
        let mut failing = Case::leading(9);
        failing.told(Answer::Failed);
        assert_eq!(failing.decided(Aim::Lead), "wait 1000 ms", "the deadline is earlier than the next try");
        assert_eq!(failing.after(1).decided(Aim::Lead), "StepDown");
    }

    #[test]
    fn a_leader_that_failed_looks_and_then_renews_at_once() {
        let mut case = Case::leading(2);
        case.told(Answer::Failed);
        let mut case = case.after(2);
        assert_eq!(case.decided(Aim::Lead), "Look");
        case.told(Answer::Read(Some(held_by("us"))));
        assert_eq!(case.decided(Aim::Lead), "Write(Renew)");
        case.told(Answer::Read(None));
        assert_eq!(case.decided(Aim::Lead), "Write(Create)");
    }

    #[test]
    fn a_leader_steps_down_for_another_holder_and_for_none() {
        for seen in [held_by("them"), released()] {
            let mut case = Case::leading(2);
            case.told(Answer::Read(Some(seen)));
            assert_eq!(case.decided(Aim::Lead), "StepDown");
        }
    }

    #[test]
    fn an_answer_after_the_deadline_makes_no_leader() {
        let mut case = Case::leading(0);
        let began = case.now + Duration::from_secs(9);
        let ended = began + Duration::from_secs(10);
        case.candidate.told(Answer::Written(held_by("us")), at(began, ended), Jitter::NONE);
        assert!(!case.leads());
    }

    #[test]
    fn the_call_under_way_is_given_up_at_the_deadline() {
        let case = Case::leading(0);
        let given_up_after = |seconds| {
            let began = case.now + Duration::from_secs(seconds);
            (case.candidate.give_up_at(began) - began).as_secs()
        };
        assert_eq!((given_up_after(2), given_up_after(8)), (5, 2));
    }

    #[test]
    fn who_leaves_steps_down_first_and_gives_back_only_what_is_its_own() {
        let mut case = Case::leading(1);
        assert_eq!(case.decided(Aim::Leave), "StepDown");
        case.candidate.step_down();
        assert_eq!(case.decided(Aim::Leave), "Write(Release)");
        case.told(Answer::Written(released()));
        assert_eq!(case.decided(Aim::Leave), "Stop");
        for seen in [None, Some(held_by("them")), Some(released())] {
            assert_eq!(Case::new(seen, 0).decided(Aim::Leave), "Stop");
        }
    }

    #[test]
    fn who_leaves_in_the_middle_of_a_call_looks_what_became_of_it() {
        let mut case = Case::leading(2);
        case.candidate.ask();
        case.candidate.step_down();
        assert_eq!(case.decided(Aim::Leave), "Look");
    }

    proptest! {
        #[test]
        fn every_lease_leaves_room_for_unequal_clocks(seconds in 1_u16..) {
            let parameters = Parameters::of_lease(NonZeroU16::new(seconds).unwrap());
            let (slow, fast) = (parameters.renew_deadline().div_f64(0.95), parameters.lease_duration().div_f64(1.05));
            prop_assert!(slow < fast);
            prop_assert!(parameters.retry_period() * 4 < parameters.renew_deadline());
            prop_assert!(!parameters.poll_period().is_zero());
        }
    }
}
