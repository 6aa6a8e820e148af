//! The steps that the activity of the program leads to.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    apply,
    backoff::after,
    error::Error,
    idle_probe, observe,
    resolve::activity::{IdleStop, Source},
    situation::{Look, Looked, PodState, Situation},
};

use super::Pass;

/// How soon a program is asked for its activity once more.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

impl Pass<'_> {
    /// Asks the program when it was active last.
    pub(super) async fn look(&mut self, situation: &mut Situation) {
        let (PodState::Ours(pod), Ok(effective)) = (&mut situation.pod, &situation.desired.effective) else {
            return;
        };
        let Some(IdleStop { source: Source::Probe(probe), .. }) = &effective.idle else { return };
        let look = match idle_probe::look(&pod.view, probe).await {
            // Its clock may be ahead of ours.
            Ok(last) => Look::Active { last: last.min(situation.now) },
            Err(error) => {
                tracing::info!(
                    error = &error as &dyn std::error::Error,
                    "asking the program for its activity"
                );
                Look::Failed
            }
        };
        let before = pod.looked.and_then(|looked| looked.last);
        let last = match look {
            Look::Active { last } => Some(last),
            Look::Failed => before,
        };
        let looked = Looked { last, next: after(situation.now, LOOK_AGAIN) };
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
