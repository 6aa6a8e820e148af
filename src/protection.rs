//! What keeps workspaces safe, each by its name: so that a test can do without one of them, and see that its checks
//! then fail. Only test builds can; see the feature `switchable-protections`.

/// One way in which something is kept from going wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// A Pod is deleted by its UID, so never its successor.
    UidPrecondition,
    /// A claim is written over the version it was decided on, so never over another's.
    ConditionalClaim,
    /// A Pod counts as gone only when the API server says so, whatever the cache tells.
    LiveGoneCheck,
    /// A stop is written down before the Pod is deleted, so an operator that dies knows its own doing.
    RecordedStop,
    /// What another owns is left alone.
    OwnershipCheck,
    /// Only what a person chose restarts a Pod, not what became of it.
    HashOverInputs,
    /// How long the next start has to wait outlives the operator.
    BackoffInStatus,
    /// What is said of a start that was overtaken changes nothing.
    StaleReportRejection,
    /// Not more than so many of a class are changed at a time.
    RolloutGate,
}

impl Protection {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::UidPrecondition,
        Self::ConditionalClaim,
        Self::LiveGoneCheck,
        Self::RecordedStop,
        Self::OwnershipCheck,
        Self::HashOverInputs,
        Self::BackoffInStatus,
        Self::StaleReportRejection,
        Self::RolloutGate,
    ];

    /// Whether it is in force: always, but where a test does without it.
    #[cfg(not(feature = "switchable-protections"))]
    #[inline]
    pub const fn holds(self) -> bool {
        true
    }

    /// Whether it is in force: always, but where a test does without it.
    #[cfg(feature = "switchable-protections")]
    pub fn holds(self) -> bool {
        switch::OFF.get() != Some(self)
    }
}

#[cfg(feature = "switchable-protections")]
pub use switch::Without;

#[cfg(feature = "switchable-protections")]
mod switch {
    use std::cell::Cell;

    use super::Protection;

    thread_local! {
        // Of one thread, so that tests beside each other don't meet.
        pub(super) static OFF: Cell<Option<Protection>> = const { Cell::new(None) };
    }

    /// While this lives, this thread does without one protection.
    #[must_use = "the protection is back when this is dropped"]
    #[derive(Debug)]
    pub struct Without(());

    impl Without {
        /// Switches it off. An operator under test has to run on this thread alone.
        pub fn the(protection: Protection) -> Self {
            OFF.set(Some(protection));
            Self(())
        }
    }

    impl Drop for Without {
        fn drop(&mut self) {
            OFF.set(None);
        }
    }
}
