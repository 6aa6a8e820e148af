//! The steps that the activity of the program leads to.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    apply,
    backoff::{self, after},
    error::Error,
    idle_probe, observe,
    resolve::activity::{IdleStop, Source},
    situation::{Look, Looked, PodState, Situation},
};

use super::Pass;

/// How soon a program is asked for its activity once more.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// The same where it gives no answer again and again.
const LONGEST: Duration = Duration::from_mins(15);
/// The same where too many others are being asked.
const WAIT: Duration = Duration::from_secs(15);

impl Pass<'_> {
    /// Asks the program when it was active last.
    pub(super) async fn look(&mut self, situation: &mut Situation) {
        let (PodState::Ours(pod), Ok(effective)) = (&mut situation.pod, &situation.desired.effective) else {
            return;
        };
        let Some(IdleStop { source: Source::Probe(probe), .. }) = &effective.idle else { return };
        let before = pod.looked;
        let last = before.and_then(|looked| looked.last);
        let failures = before.map_or(0, |looked| looked.failures);
        let (look, looked) = match self.ctx.looks.try_acquire() {
            // Its turn comes.
            Err(_) => (Look::Failed, Looked { last, failures, next: after(situation.now, WAIT) }),
            Ok(_look) => match idle_probe::look(&pod.view, probe).await {
                Ok(last) => {
                    // Its clock may be ahead of ours.
                    let last = last.min(situation.now);
                    let next = after(situation.now, LOOK_AGAIN);
                    (Look::Active { last }, Looked { last: Some(last), failures: 0, next })
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::info!(error, "asking the program for its activity");
                    let failures = failures.saturating_add(1);
                    let delay = backoff::delay(failures, LOOK_AGAIN, LONGEST, situation.jitter);
                    (Look::Failed, Looked { last, failures, next: after(situation.now, delay) })
                }
            },
        };
        pod.looked = Some(looked);
        self.memory.looked = Some((pod.view.uid().to_owned(), looked));
        situation.look = Some(look);
    }

    /// Sets the operator's own hold, or takes it away, and looks again.
    pub(super) async fn set_idle_hold(
        &mut self,
        situation: &mut Situation,
        since: Option<Timestamp>,
    ) -> Result<(), Error> {
        let written = apply::workspace::set_idle_hold(&self.ctx.client, &self.workspace, since).await?;
        tracing::info!(idle = since.is_some(), "changed the hold for want of activity");
        self.memory.written = Some(Arc::clone(&written));
        self.workspace = written;
        let observed = self.observe().await?;
        *situation = Situation { pod: situation.pod.clone(), look: situation.look, ..observed };
        observe::listen(self.ctx, situation);
        Ok(())
    }
}
