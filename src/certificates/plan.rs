//! Which certificate is to be made, used or dropped next: one pure, total function over what is stored.
//!
//! A CA takes no part before clients have it, and stays with them until nothing it signed is in use:
//!
//! | | In the bundle | Signs |
//! |---|---|---|
//! | the CA is in its last third: the next one is introduced | old, next | old |
//! | a propagation period later | old, next | next |
//! | another one later | next | next |
//!
//! The only clock is the certificates' own: when one was made follows from its start. So nothing else is stored.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use super::name::Name;

/// How long a CA signs or is trusted at most.
pub const AUTHORITY_LIFE: Duration = Duration::from_hours(2 * 365 * 24);
/// How long a certificate is served at most.
pub const SERVING_LIFE: Duration = Duration::from_hours(90 * 24);
/// By how much a certificate starts before it is made: clocks differ.
pub const BACKDATE: Duration = Duration::from_hours(1);
/// How long a new bundle takes at most until every client has it. Far more than the kubelet's two minutes: replicas
/// look once a minute, and many Pods are patched one after the other.
pub const PROPAGATION: Duration = Duration::from_hours(1);

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Life {
    /// Of a certificate that is made now.
    pub fn begin(now: Timestamp, length: Duration) -> Self {
        let from = now.saturating_sub(BACKDATE).unwrap_or(Timestamp::MIN);
        Self { from, until: now.saturating_add(length).unwrap_or(Timestamp::MAX) }
    }

    pub fn holds(self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// In its last third, or over.
    fn is_ending(self, now: Timestamp) -> bool {
        let third = self.until.duration_since(self.from) / 3;
        now >= self.until.saturating_sub(third).unwrap_or(Timestamp::MIN)
    }

    /// Made a propagation period ago.
    fn is_settled(self, now: Timestamp) -> bool {
        self.from.saturating_add(BACKDATE + PROPAGATION).is_ok_and(|settled| settled <= now)
    }
}

/// A CA of the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    pub life: Life,
    /// Its key is there.
    pub can_sign: bool,
}

/// The certificate that is served. Its key is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    pub life: Life,
    /// Former names, too: see `stored.rs`.
    pub names: BTreeSet<Name>,
    /// Which of the bundle's CAs signed it.
    pub signer: Option<usize>,
}

/// What is stored, as far as the plan depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// In the order of their introduction.
    pub authorities: Vec<Authority>,
    pub serving: Option<Serving>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Make a CA and put it at the end of the bundle.
    Introduce,
    /// Make a serving certificate, signed by that CA.
    Sign { by: usize },
    /// Take that CA out of the bundle.
    Drop { authority: usize },
}

/// The next step. After a few of them, which change nothing but the facts, it is to keep what there is.
pub fn plan(facts: &Facts, wanted: &BTreeSet<Name>, now: Timestamp) -> Step {
    if let Some(authority) = (0..facts.authorities.len()).find(|index| is_over(facts, *index, now)) {
        return Step::Drop { authority };
    }
    let able = |authority: &Authority| authority.can_sign && authority.life.holds(now);
    if !facts.authorities.iter().any(|one| able(one) && !one.life.is_ending(now)) {
        return Step::Introduce;
    }
    // The newest that clients have; without one, the one they have had the most time to get.
    let settled = facts.authorities.iter().rposition(|one| able(one) && one.life.is_settled(now));
    let Some(by) = settled.or_else(|| facts.authorities.iter().position(able)) else {
        return Step::Introduce;
    };
    let Some((serving, signer)) = served(facts, now) else {
        return Step::Sign { by };
    };
    let is_due = signer != by || serving.life.is_ending(now) || !wanted.is_subset(&serving.names);
    // What is served well enough is not given up for what nobody trusts yet.
    let is_trusted = signer == by || settled.is_some();
    if is_due && is_trusted { Step::Sign { by } } else { Step::Keep }
}

/// What is served, if clients can trust it.
fn served(facts: &Facts, now: Timestamp) -> Option<(&Serving, usize)> {
    let serving = facts.serving.as_ref().filter(|serving| serving.life.holds(now))?;
    let signer = serving
        .signer
        .filter(|signer| facts.authorities.get(*signer).is_some_and(|authority| authority.life.holds(now)))?;
    Some((serving, signer))
}

/// Whether a CA has no further part: it ended; or what it signed is out of use; or it can never sign.
fn is_over(facts: &Facts, index: usize, now: Timestamp) -> bool {
    let Some(authority) = facts.authorities.get(index) else { return false };
    if authority.life.until <= now {
        return true;
    }
    let Some(serving) = &facts.serving else { return false };
    match serving.signer.map(|signer| index.cmp(&signer)) {
        Some(std::cmp::Ordering::Less) => serving.life.is_settled(now),
        Some(std::cmp::Ordering::Greater) => !authority.can_sign,
        Some(std::cmp::Ordering::Equal) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn ago(hours: i64) -> Timestamp {
        NOW - hours.hours()
    }

    fn names(names: &[&str]) -> BTreeSet<Name> {
        names.iter().map(|name| Name::parse(name).unwrap()).collect()
    }

    fn authority(made: Timestamp) -> Authority {
        Authority { life: Life::begin(made, AUTHORITY_LIFE), can_sign: true }
    }

    fn serving(made: Timestamp, signer: usize) -> Serving {
        let life = Life::begin(made, SERVING_LIFE);
        Serving { life, names: names(&["a", "b"]), signer: Some(signer) }
    }

    fn step(authorities: &[Authority], serving: impl Into<Option<Serving>>) -> Step {
        plan(&Facts { authorities: authorities.to_vec(), serving: serving.into() }, &names(&["a"]), NOW)
    }

    const DAY: i64 = 24;

    #[test]
    fn where_nothing_is_stored_all_is_made() {
        assert_eq!(step(&[], None::<Serving>), Step::Introduce);
        assert_eq!(step(&[authority(NOW)], None::<Serving>), Step::Sign { by: 0 });
        assert_eq!(step(&[authority(NOW)], serving(NOW, 0)), Step::Keep);
    }

    #[test]
    fn a_serving_certificate_is_renewed_in_its_last_third() {
        let authorities = [authority(ago(100 * DAY))];
        assert_eq!(step(&authorities, serving(ago(59 * DAY), 0)), Step::Keep);
        assert_eq!(step(&authorities, serving(ago(61 * DAY), 0)), Step::Sign { by: 0 });
    }

    #[test]
    fn a_serving_certificate_is_for_every_wanted_name() {
        let authorities = [authority(ago(DAY))];
        let mut narrow = serving(ago(DAY), 0);
        narrow.names = names(&["b"]);
        assert_eq!(step(&authorities, narrow), Step::Sign { by: 0 });
        assert_eq!(step(&authorities, serving(ago(DAY), 0)), Step::Keep, "one name more does no harm");
    }

    #[test]
    fn a_certificate_of_a_strange_ca_is_replaced() {
        let mut strange = serving(ago(DAY), 0);
        strange.signer = None;
        assert_eq!(step(&[authority(ago(DAY))], strange), Step::Sign { by: 0 });
    }

    #[test]
    fn the_next_ca_is_introduced_before_it_signs_and_the_old_one_stays_after() {
        let old = authority(ago(490 * DAY));
        assert_eq!(step(&[old], serving(ago(DAY), 0)), Step::Introduce);
        assert_eq!(step(&[old, authority(NOW)], serving(ago(DAY), 0)), Step::Keep);
        assert_eq!(step(&[old, authority(ago(1))], serving(ago(DAY), 0)), Step::Sign { by: 1 });
        assert_eq!(step(&[old, authority(ago(1))], serving(NOW, 1)), Step::Keep);
        assert_eq!(step(&[old, authority(ago(2))], serving(ago(1), 1)), Step::Drop { authority: 0 });
    }

    #[test]
    fn while_the_next_ca_is_on_its_way_the_old_one_renews() {
        let authorities = [authority(ago(490 * DAY)), authority(NOW)];
        assert_eq!(step(&authorities, serving(ago(61 * DAY), 0)), Step::Sign { by: 0 });
    }

    #[test]
    fn a_lost_key_of_the_ca_costs_no_client_its_trust() {
        let lost = Authority { can_sign: false, ..authority(ago(DAY)) };
        assert_eq!(step(&[lost], serving(ago(DAY), 0)), Step::Introduce);
        assert_eq!(step(&[lost, authority(NOW)], serving(ago(DAY), 0)), Step::Keep);
        assert_eq!(step(&[lost, authority(ago(1))], serving(ago(DAY), 0)), Step::Sign { by: 1 });
    }

    #[test]
    fn an_ended_ca_is_dropped_and_a_next_one_without_a_key_too() {
        let ended = authority(ago(731 * DAY));
        assert_eq!(step(&[ended, authority(ago(DAY))], serving(NOW, 1)), Step::Drop { authority: 0 });
        let useless = Authority { can_sign: false, ..authority(NOW) };
        assert_eq!(step(&[authority(ago(DAY)), useless], serving(NOW, 0)), Step::Drop { authority: 1 });
    }

    fn any_life(length: Duration) -> impl Strategy<Value = Life> {
        (-800 * DAY..10).prop_map(move |hours| Life::begin(NOW + hours.hours(), length))
    }

    prop_compose! {
        fn any_facts()(
            authorities in proptest::collection::vec(
                (any_life(AUTHORITY_LIFE), any::<bool>()).prop_map(|(life, can_sign)| Authority { life, can_sign }),
                0..5,
            ),
            serving in proptest::option::of(
                (any_life(SERVING_LIFE), proptest::option::of(0_usize..6), any::<bool>())
                    .prop_map(|(life, signer, wide)| Serving {
                        life,
                        names: names(if wide { &["a", "b"] } else { &["b"] }),
                        signer,
                    }),
            ),
        ) -> Facts {
            Facts { authorities, serving }
        }
    }

    /// What carrying a step out makes of the facts.
    fn taken(mut facts: Facts, step: Step, now: Timestamp) -> Facts {
        match step {
            Step::Keep => {}
            Step::Introduce => facts.authorities.push(authority(now)),
            Step::Sign { by } => facts.serving = Some(serving(now, by)),
            Step::Drop { authority } => {
                facts.authorities.remove(authority);
                if let Some(serving) = &mut facts.serving {
                    serving.signer = match serving.signer {
                        Some(signer) if signer == authority => None,
                        Some(signer) if signer > authority => Some(signer - 1),
                        other => other,
                    };
                }
            }
        }
        facts
    }

    proptest! {
        #[test]
        fn whatever_is_stored_a_few_steps_lead_to_what_can_be_served(facts in any_facts()) {
            let wanted = names(&["a"]);
            let mut facts = facts;
            let mut steps = 0;
            loop {
                let step = plan(&facts, &wanted, NOW);
                if step == Step::Keep { break }
                facts = taken(facts, step, NOW);
                steps += 1;
                prop_assert!(steps <= super::super::stored::STEPS, "{facts:?}");
            }
            prop_assert!(served(&facts, NOW).is_some(), "{facts:?}");
        }
    }
}
