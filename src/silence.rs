//! Notices programs that fell silent. Each is looked at when that happens, not each at its own pace.

use std::time::Duration;

use crate::{api::class::Backend, context::Context};

/// How often is looked.
const PACE: Duration = Duration::from_secs(1);

/// Has workspaces visited whose program fell silent, for as long as it is polled.
pub async fn watch(ctx: &Context) {
    loop {
        tokio::time::sleep(PACE).await;
        for (uid, namespace, name) in ctx.heartbeats.newly_silent(ctx.now()) {
            let lives = Backend::ALL.into_iter().any(|backend| {
                let incarnation = ctx.stores.incarnation(backend, &namespace, &name);
                incarnation.is_some_and(|incarnation| incarnation.uid() == uid)
            });
            if lives {
                ctx.waker.wake(&namespace, &name);
            } else {
                // It is gone, and nothing more to be said of it.
                ctx.heartbeats.forget(&uid);
            }
        }
    }
}
