//! Whether the checks would notice: each protection is switched off once, and the same story is told with it and without
//! it. With it nothing that must never happen does; without it something does, and its invariant is named.
//!
//! | protection | what it guards against in its story | invariant |
//! |---|---|---|
//! | UidPrecondition | a deletion that arrives late, when another operator has replaced the Pod | I9 |
//! | ConditionalClaim | a claim that arrives late, when another operator is two starts ahead | I2 |
//! | LiveGoneCheck | a Pod that the cache lost, for somebody took its label away | I1 |
//! | RecordedStop | a crash after the deletion, and an annotation that is taken away | I17 |
//! | OwnershipCheck | a Service of that name that is a stranger's | I14 |
//! | HashOverInputs | a change of what needs no new Pod | I9 |
//! | BackoffInStatus | a Pod that is lost again and again, and an operator that ends in between | I11 |
//! | StaleReportRejection | a program that registers when the next start is claimed | I8 |
//! | RolloutGate | a class whose image changes | I18 |
//!
//! There is none that no check can see.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod failing;
mod late;
mod mistaken;
mod outside;

use std::collections::BTreeSet;

use test_invariants::{Invariant, check};
use test_world::World;
use workspace_operator::protection::{Protection, Without};

/// Tells a story with the protection and without it. The runtime has to be of one thread, as the switch is.
async fn notice(protection: Protection, invariant: Invariant, story: impl AsyncFn(&mut World)) {
    assert_eq!(broken(&story).await, BTreeSet::new(), "with {protection:?}");
    let off = Without::the(protection);
    let broken = broken(&story).await;
    drop(off);
    assert!(broken.contains(&invariant), "without {protection:?} only {broken:?} are seen to be broken");
}

/// The invariants that a story breaks, in a world of its own.
async fn broken(story: impl AsyncFn(&mut World)) -> BTreeSet<Invariant> {
    let mut world = World::in_memory_without_operator().await;
    story(&mut world).await;
    world.kill_operator().await;
    let violations = check(&world.recorder.history());
    // They are what is asked for here.
    world.recorder.forget();
    for violation in &violations {
        eprintln!("{violation}");
    }
    violations.into_iter().map(|violation| violation.invariant).collect()
}
