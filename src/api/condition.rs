//! Condition types and reasons: each word once. `docs/conditions.md` explains every row of [`ConditionType::rows`]; a test
//! holds the two together.

use std::fmt;

use super::words::words;

words! {
    /// What a condition speaks of. The order is that of the status: the summary first.
    ConditionType {
        /// The summary: the running Pod serves.
        Ready,
        /// The operator is on its way to what was asked for (kstatus).
        Reconciling,
        /// It does not get there by itself (kstatus).
        Stalled,
        /// The spec is valid and its class was found.
        Accepted,
        /// The volume is there.
        StorageReady,
        /// The Pod is there and Ready.
        PodReady,
        /// The running incarnation registered, where that is required.
        Registered,
        /// There is no Pod because somebody wants none.
        Suspended,
        /// The Pod runs the newest inputs.
        UpToDate,
    }
}

words! {
    /// Value of a condition.
    ConditionStatus { True, False, Unknown }
}

words! {
    /// Why a condition is as it is. Also the reason of events.
    Reason {
        /// The spec is valid and its class was found.
        Accepted,
        /// The Pod is Ready.
        Running,
        /// The volume claim is bound.
        Bound,
        /// The existing claim is bound.
        ExistingClaim,
        /// The program registered.
        Registered,
        /// Nobody asks for this.
        NotRequired,
        /// Nobody wants it stopped.
        NotSuspended,
        /// The Pod runs the newest inputs.
        UpToDate,
        /// On the way.
        Progressing,
        /// Pass after pass fails: the API server, or what it asks, does not do what is needed.
        ReconcileFailed,
        /// Nothing is left to do.
        Settled,
        /// There is no Pod to speak of.
        NoPod,

        /// The class named does not exist.
        ClassNotFound,
        /// The class named is not for this namespace.
        ClassNotAllowed,
        /// The spec can't be made into a Pod.
        InvalidSpec,
        /// The spec asks for more than its class allows.
        OutOfBounds,
        /// An environment variable is not allowed.
        ForbiddenEnvironment,
        /// An object of the workspace's name belongs to somebody else.
        NameTaken,
        /// A Secret, ConfigMap or claim the workspace refers to is missing, or a key in it.
        ReferenceMissing,

        /// The volume claim is not bound yet.
        VolumePending,
        /// The volume claim is being deleted.
        VolumeTerminating,
        /// A volume that was bound is gone.
        VolumeLost,
        /// The node can't attach or mount the volume.
        VolumeAttachFailed,

        /// The API server refused the Pod.
        PodRefused,
        /// The API server refused the volume claim.
        VolumeRefused,
        /// The API server refused the Service.
        ServiceRefused,
        /// The API server refused the network policy.
        NetworkPolicyRefused,
        /// The API server refused the disruption budget.
        DisruptionBudgetRefused,
        /// A `ResourceQuota` leaves no room for the Pod.
        QuotaExceeded,
        /// No node fits.
        Unschedulable,
        /// The image can't be had.
        ErrImagePull,
        /// The image can't be had; the kubelet tries again.
        ImagePullBackOff,
        /// The container can't be made.
        CreateContainerConfigError,
        /// An init container failed.
        InitFailed,
        /// The program ends again and again.
        CrashLoopBackOff,
        /// The program used more memory than its limit.
        OOMKilled,
        /// The node pushed the Pod out.
        Evicted,
        /// The Pod ended.
        PodFailed,
        /// The Pod was deleted by somebody else.
        PodDeleted,
        /// The node does not answer.
        NodeLost,
        /// Started, not Ready yet.
        AwaitingReadiness,
        /// Started, and the program has not registered yet.
        AwaitingRegistration,
        /// The program registered, and has not been heard for three intervals.
        HeartbeatLost,
        /// The next start waits, after failures in a row.
        BackingOff,
        /// The deadline of this start has passed.
        DeadlineExceeded,

        /// The Pod is being stopped.
        Stopping,
        /// `spec.runState` is Stopped.
        Stopped,
        /// A hold keeps it stopped.
        Held,
        /// Nobody used it for a while, and nothing else keeps it stopped.
        Idle,
        /// Holds on its namespace, and nothing else, keep it stopped.
        NamespaceHeld,
        /// The workspace is being deleted, or a former one of the same name.
        Terminating,

        /// The new image is being looked for.
        CheckingImage,
        /// The change or restart can't be carried out; the old Pod serves.
        RestartDeclined,
        /// The change waits for the next start.
        AwaitingRestart,
        /// The change waits until the program is idle.
        AwaitingIdle,
        /// The change waits for its turn in the class's rollout.
        AwaitingRollout,
        /// Its turn in the class's rollout has come.
        RollingOut,
    }
}

impl ConditionType {
    /// The (status, reason) pairs this condition can have.
    #[allow(clippy::too_many_lines, reason = "a table")]
    pub fn rows(self) -> &'static [(ConditionStatus, &'static [Reason])] {
        use ConditionStatus::{False, True, Unknown};
        use Reason as R;
        match self {
            Self::Ready => &[
                (True, &[R::Running]),
                (
                    False,
                    &[
                        R::ClassNotFound,
                        R::ClassNotAllowed,
                        R::InvalidSpec,
                        R::OutOfBounds,
                        R::ForbiddenEnvironment,
                        R::NameTaken,
                        R::ReferenceMissing,
                        R::VolumePending,
                        R::VolumeTerminating,
                        R::VolumeLost,
                        R::VolumeAttachFailed,
                        R::PodRefused,
                        R::VolumeRefused,
                        R::ServiceRefused,
                        R::NetworkPolicyRefused,
                        R::QuotaExceeded,
                        R::Unschedulable,
                        R::ErrImagePull,
                        R::ImagePullBackOff,
                        R::CreateContainerConfigError,
                        R::InitFailed,
                        R::CrashLoopBackOff,
                        R::OOMKilled,
                        R::Evicted,
                        R::PodFailed,
                        R::PodDeleted,
                        R::NodeLost,
                        R::AwaitingReadiness,
                        R::AwaitingRegistration,
                        R::HeartbeatLost,
                        R::AwaitingRollout,
                        R::BackingOff,
                        R::Stopping,
                        R::Stopped,
                        R::Held,
                        R::Idle,
                        R::Terminating,
                        R::ReconcileFailed,
                    ],
                ),
            ],
            Self::Reconciling => &[
                (True, &[R::Progressing, R::ReconcileFailed]),
                (
                    False,
                    &[
                        R::Settled,
                        R::DeadlineExceeded,
                        R::ClassNotAllowed,
                        R::InvalidSpec,
                        R::OutOfBounds,
                        R::ForbiddenEnvironment,
                        R::PodRefused,
                        R::VolumeRefused,
                        R::ServiceRefused,
                        R::NetworkPolicyRefused,
                        R::DisruptionBudgetRefused,
                        R::VolumeLost,
                    ],
                ),
            ],
            Self::Stalled => &[
                (
                    True,
                    &[
                        R::DeadlineExceeded,
                        R::ClassNotAllowed,
                        R::InvalidSpec,
                        R::OutOfBounds,
                        R::ForbiddenEnvironment,
                        R::PodRefused,
                        R::VolumeRefused,
                        R::ServiceRefused,
                        R::NetworkPolicyRefused,
                        R::DisruptionBudgetRefused,
                        R::VolumeLost,
                    ],
                ),
                (False, &[R::Progressing, R::Settled]),
            ],
            Self::Accepted => &[
                (True, &[R::Accepted]),
                (
                    False,
                    &[
                        R::ClassNotFound,
                        R::ClassNotAllowed,
                        R::InvalidSpec,
                        R::OutOfBounds,
                        R::ForbiddenEnvironment,
                    ],
                ),
            ],
            Self::StorageReady => &[
                (True, &[R::Bound, R::ExistingClaim, R::NotRequired]),
                (False, &[R::VolumePending, R::VolumeTerminating, R::VolumeLost, R::ReferenceMissing]),
                (
                    Unknown,
                    &[
                        R::InvalidSpec,
                        R::ClassNotFound,
                        R::ClassNotAllowed,
                        R::OutOfBounds,
                        R::ForbiddenEnvironment,
                    ],
                ),
            ],
            Self::PodReady => &[
                (True, &[R::Running]),
                (
                    False,
                    &[
                        R::NoPod,
                        R::VolumeAttachFailed,
                        R::Unschedulable,
                        R::ErrImagePull,
                        R::ImagePullBackOff,
                        R::CreateContainerConfigError,
                        R::InitFailed,
                        R::CrashLoopBackOff,
                        R::OOMKilled,
                        R::Evicted,
                        R::PodFailed,
                        R::NodeLost,
                        R::AwaitingReadiness,
                        R::AwaitingRegistration,
                        R::Stopping,
                    ],
                ),
            ],
            Self::Registered => &[
                (True, &[R::Registered, R::NotRequired]),
                (False, &[R::AwaitingRegistration, R::HeartbeatLost]),
                (Unknown, &[R::NoPod]),
            ],
            Self::Suspended => &[
                (True, &[R::Stopped, R::Held, R::Idle, R::NamespaceHeld]),
                (False, &[R::NotSuspended, R::AwaitingRollout, R::Stopping]),
            ],
            Self::UpToDate => &[
                (True, &[R::UpToDate]),
                (
                    False,
                    &[
                        R::AwaitingRestart,
                        R::AwaitingIdle,
                        R::AwaitingRollout,
                        R::RollingOut,
                        R::CheckingImage,
                        R::RestartDeclined,
                        R::NameTaken,
                        R::ServiceRefused,
                        R::NetworkPolicyRefused,
                        R::DisruptionBudgetRefused,
                        R::PodRefused,
                        R::QuotaExceeded,
                        R::ReferenceMissing,
                        R::VolumeTerminating,
                        R::VolumeLost,
                        R::ClassNotFound,
                        R::ClassNotAllowed,
                        R::InvalidSpec,
                        R::OutOfBounds,
                        R::ForbiddenEnvironment,
                        R::Terminating,
                        R::Progressing,
                    ],
                ),
                (Unknown, &[R::NoPod]),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
    }

    #[test]
    fn every_reason_is_used_by_some_condition() {
        for reason in Reason::ALL {
            let used = ConditionType::ALL
                .iter()
                .any(|kind| kind.rows().iter().any(|(_, reasons)| reasons.contains(reason)));
            assert!(used, "no condition has the reason {reason}");
        }
    }
}
