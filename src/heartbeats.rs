//! What this process has heard from programs: when each was heard last, and what it does. Kept in memory only; of a
//! thousand heartbeats one is worth a write, the one that tells something new.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    api::{WorkspaceStatus, status::ActivityState},
    backoff::after,
    lock::lock,
    registration::Beat,
};

/// So many intervals without a word are silence.
const PATIENCE: u32 = 3;
/// Who was not heard for so many has missed a word already.
const MISSING: u32 = 2;
/// Of fewer than this many nothing is said about most.
const MANY: usize = 3;

/// What has been heard of each Pod, by its UID: a late word of a former start is nobody else's.
#[derive(Debug)]
pub struct Heartbeats {
    interval: Duration,
    heard: Mutex<HashMap<String, Heard>>,
    /// Whether most were missing when they were looked at last.
    are_most_missing: AtomicBool,
}

#[derive(Clone, Debug)]
struct Heard {
    namespace: String,
    name: String,
    pulse: Pulse,
    /// Whether its silence was told.
    is_told_silent: bool,
}

/// What is known of a program from its heartbeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// When it was heard last by this process.
    pub heard: Option<Timestamp>,
    /// From when on silence counts: when it was heard last, or when this process began to listen.
    pub since: Timestamp,
    pub doing: Doing,
    pub message: Option<String>,
    pub silence: Silence,
}

/// Whether a program is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is.
    No,
    /// It is not, and others are.
    Its,
    /// Most are not: what they speak to, or the way there, is at fault.
    Everybodys,
}

impl Pulse {
    /// Whether it was not heard for too long.
    pub fn is_silent(&self) -> bool {
        self.silence != Silence::No
    }
}

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It can't tell.
    Unknown,
    Busy {
        since: Timestamp,
    },
    Idle {
        /// The last activity there was.
        since: Timestamp,
    },
}

impl Doing {
    /// What `beat`, heard at `now`, makes of it. What is told of the future is of now: clocks differ.
    fn after(self, beat: &Beat, now: Timestamp) -> Self {
        let active = beat.activity.map(|time| time.min(now));
        match (beat.busy, self) {
            (Some(true), Self::Busy { since }) => Self::Busy { since },
            (Some(true), _) => Self::Busy { since: now },
            // The end of being busy was an activity, unless the program says when.
            (Some(false), Self::Busy { .. } | Self::Unknown) => Self::Idle { since: active.unwrap_or(now) },
            (Some(false), Self::Idle { since }) => {
                Self::Idle { since: active.map_or(since, |active| active.max(since)) }
            }
            (None, _) => active.map_or(Self::Unknown, |since| Self::Idle { since }),
        }
    }

    /// What it did by `status`, if that speaks of the Pod with this UID.
    pub fn told(status: &WorkspaceStatus, uid: &str) -> Self {
        let is_its = status.incarnation.as_ref().and_then(|one| one.pod_uid.as_deref()) == Some(uid);
        let activity = status.activity.as_ref().filter(|_| is_its);
        match activity.and_then(|activity| Some((activity.state, activity.since.as_ref()?.0))) {
            Some((ActivityState::Busy, since)) => Self::Busy { since },
            Some((ActivityState::Idle, since)) => Self::Idle { since },
            Some((ActivityState::Silent, _)) | None => Self::Unknown,
        }
    }

    fn unless_idle(self) -> Self {
        if matches!(self, Self::Idle { .. }) { Self::Unknown } else { self }
    }

    fn is_same_state(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// Who was heard.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// UID of the Pod.
    pub uid: &'a str,
    pub namespace: &'a str,
    /// The workspace.
    pub name: &'a str,
    /// What it did by the last word on it.
    pub before: Doing,
}

impl Heartbeats {
    /// Nothing heard yet from programs that are to be heard every `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, heard: Mutex::default(), are_most_missing: AtomicBool::new(false) }
    }

    /// How often a program is to be heard.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Takes note of `beat`. Answers whether it tells something that is worth a visit.
    pub fn note(&self, speaker: Speaker<'_>, beat: &Beat, now: Timestamp) -> bool {
        let mut heard = lock(&self.heard);
        let entry = heard.entry(speaker.uid.to_owned()).or_insert_with(|| Heard::of(speaker, now));
        let is_first = entry.pulse.heard.is_none();
        // What status tells of its idle time may leave out what it did while nobody listened.
        let before = if is_first && beat.activity.is_none() {
            entry.pulse.doing.unless_idle()
        } else {
            entry.pulse.doing
        };
        let doing = before.after(beat, now);
        let is_news = is_first || entry.is_told_silent || !doing.is_same_state(entry.pulse.doing);
        let message = beat.message.clone();
        entry.pulse = Pulse { heard: Some(now), since: now, doing, message, silence: Silence::No };
        entry.is_told_silent = false;
        is_news
    }

    /// What is known of a program that has registered. Who was not heard by this process yet gets as much time as if it
    /// had been heard right now: whatever was before, somebody else looked after it.
    pub fn pulse(&self, speaker: Speaker<'_>, now: Timestamp) -> Pulse {
        let mut heard = lock(&self.heard);
        let entry = heard.entry(speaker.uid.to_owned()).or_insert_with(|| Heard::of(speaker, now));
        let mut pulse = entry.pulse.clone();
        entry.is_told_silent = self.is_overdue(&pulse, now);
        if entry.is_told_silent {
            let are_most = self.are_most_missing.load(Ordering::Relaxed);
            pulse.silence = if are_most { Silence::Everybodys } else { Silence::Its };
        }
        pulse
    }

    /// Looks around: those that fell silent and whose silence was not told, as UID, namespace and name of each. All that
    /// are silent, where it turns out to be everybody's silence, or not to be any more.
    pub fn newly_silent(&self, now: Timestamp) -> Vec<(String, String, String)> {
        let mut heard = lock(&self.heard);
        let is_missing = |one: &&Heard| now >= after(one.pulse.since, self.interval * MISSING);
        let missing = heard.values().filter(is_missing).count();
        let are_most = heard.len() >= MANY && missing * 2 > heard.len();
        let has_turned = self.are_most_missing.swap(are_most, Ordering::Relaxed) != are_most;
        let silent = heard
            .iter_mut()
            .filter(|(_, one)| (has_turned || !one.is_told_silent) && self.is_overdue(&one.pulse, now));
        silent
            .map(|(uid, one)| {
                one.is_told_silent = true;
                (uid.clone(), one.namespace.clone(), one.name.clone())
            })
            .collect()
    }

    /// The Pod with this UID is gone.
    pub fn forget(&self, uid: &str) {
        lock(&self.heard).remove(uid);
    }

    fn is_overdue(&self, pulse: &Pulse, now: Timestamp) -> bool {
        now >= after(pulse.since, self.interval * PATIENCE)
    }
}

impl Heard {
    fn of(speaker: Speaker<'_>, now: Timestamp) -> Self {
        Self {
            namespace: speaker.namespace.to_owned(),
            name: speaker.name.to_owned(),
            pulse: Pulse {
                heard: None,
                since: now,
                doing: speaker.before,
                message: None,
                silence: Silence::No,
            },
            is_told_silent: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fixtures::{at, now},
        registration::Process,
    };

    const X: Speaker<'_> = Speaker { uid: "1", namespace: "ns", name: "x", before: Doing::Unknown };

    fn beat(busy: Option<bool>, activity: Option<i64>) -> Beat {
        Beat { process: Process::of("a"), busy, activity: activity.map(at), message: None }
    }

    fn heartbeats() -> Heartbeats {
        Heartbeats::new(Duration::from_secs(30))
    }

    #[test]
    fn three_intervals_without_a_word_are_silence_and_a_word_ends_it() {
        let heartbeats = heartbeats();
        heartbeats.note(X, &beat(None, None), now());
        assert!(!heartbeats.pulse(X, at(89)).is_silent());
        assert!(heartbeats.newly_silent(at(89)).is_empty());
        assert_eq!(heartbeats.newly_silent(at(90)).len(), 1);
        assert!(heartbeats.newly_silent(at(91)).is_empty(), "it is told once");
        assert!(heartbeats.pulse(X, at(90)).is_silent());
        assert!(heartbeats.note(X, &beat(None, None), at(100)), "its return is news");
        assert!(!heartbeats.pulse(X, at(100)).is_silent());
    }

    #[test]
    fn where_most_are_not_heard_it_is_nobody_s_own_silence() {
        let heartbeats = heartbeats();
        let speakers = ["1", "2", "3", "4"].map(|uid| Speaker { uid, ..X });
        for (seconds, speaker) in (0_i64..).step_by(10).zip(speakers) {
            heartbeats.note(speaker, &beat(None, None), at(seconds));
        }
        assert_eq!(heartbeats.newly_silent(at(90)).len(), 1);
        assert_eq!(heartbeats.pulse(X, at(90)).silence, Silence::Everybodys, "all but one are missing");
        for speaker in &speakers[1..] {
            heartbeats.note(*speaker, &beat(None, None), at(85));
        }
        assert_eq!(heartbeats.newly_silent(at(90)).len(), 1, "what turned out is told again");
        assert_eq!(heartbeats.pulse(X, at(90)).silence, Silence::Its);
        assert_eq!(heartbeats.pulse(speakers[1], at(90)).silence, Silence::No);
    }

    #[test]
    fn who_was_never_heard_here_gets_as_much_time_as_anybody() {
        let heartbeats = heartbeats();
        assert!(!heartbeats.pulse(X, at(1000)).is_silent());
        assert!(!heartbeats.pulse(X, at(1089)).is_silent());
        assert!(heartbeats.pulse(X, at(1090)).is_silent());
    }

    #[test]
    fn another_leader_goes_on_from_what_status_tells_and_has_heard_nothing() {
        let status = |uid: &str| -> WorkspaceStatus {
            serde_json::from_value(serde_json::json!({"incarnation": {"number": 1, "podUID": uid},
                "activity": {"state": "Idle", "since": "2026-01-01T12:00:00Z"}}))
            .unwrap()
        };
        assert_eq!(Doing::told(&status("2"), "1"), Doing::Unknown, "that is of another start");
        let before = Doing::told(&status("1"), "1");
        let heartbeats = heartbeats();
        let pulse = heartbeats.pulse(Speaker { before, ..X }, at(60));
        assert_eq!((pulse.heard, pulse.doing), (None, Doing::Idle { since: now() }));
        assert!(heartbeats.note(X, &beat(Some(false), Some(0)), at(61)), "its first word is waited for");
        assert_eq!(heartbeats.pulse(X, at(61)).doing, Doing::Idle { since: now() });
        let other = Speaker { uid: "2", before, ..X };
        heartbeats.note(other, &beat(Some(false), None), at(61));
        let doing = heartbeats.pulse(other, at(61)).doing;
        assert_eq!(doing, Doing::Idle { since: at(61) }, "it may have been busy while nobody listened");
    }

    #[test]
    fn what_the_program_does_follows_its_words() {
        let idle = |seconds: i64| Doing::Idle { since: at(seconds) };
        let busy = |seconds: i64| Doing::Busy { since: at(seconds) };
        for (before, said, heard, after) in [
            (Doing::Unknown, beat(None, None), 5, Doing::Unknown),
            (Doing::Unknown, beat(Some(true), None), 5, busy(5)),
            (busy(1), beat(Some(true), Some(4)), 5, busy(1)),
            (busy(1), beat(Some(false), None), 5, idle(5)),
            (busy(1), beat(Some(false), Some(3)), 5, idle(3)),
            (idle(1), beat(Some(false), None), 5, idle(1)),
            (idle(1), beat(Some(false), Some(4)), 5, idle(4)),
            (idle(4), beat(Some(false), Some(1)), 5, idle(4)),
            (idle(1), beat(Some(false), Some(60)), 5, idle(5)),
            (Doing::Unknown, beat(None, Some(4)), 5, idle(4)),
            (idle(1), beat(None, None), 5, Doing::Unknown),
        ] {
            assert_eq!(before.after(&said, at(heard)), after, "{before:?} {said:?}");
        }
    }

    proptest! {
        #[test]
        fn only_a_change_of_state_is_worth_a_visit(said in prop::collection::vec((prop::option::of(any::<bool>()), 0..20_i64), 1..40)) {
            let heartbeats = heartbeats();
            let (mut before, mut time, mut is_first) = (Doing::Unknown, 0, true);
            for (busy, step) in said {
                time += step;
                let news = heartbeats.note(X, &beat(busy, None), at(time));
                let doing = heartbeats.pulse(X, at(time)).doing;
                prop_assert_eq!(news, is_first || !doing.is_same_state(before));
                (before, is_first) = (doing, false);
            }
        }
    }
}
