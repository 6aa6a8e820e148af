//! Notices programs that fell silent. Each is looked at when that happens, not each at its own pace.

use std::time::Duration;

use crate::{context::Context, stores::Stores};

/// How often is looked.
const PACE: Duration = Duration::from_secs(1);

/// Has workspaces visited whose program fell silent, for as long as it is polled.
pub async fn watch(ctx: &Context) {
    loop {
        tokio::time::sleep(PACE).await;
        for (uid, namespace, name) in ctx.heartbeats.newly_silent(ctx.now()) {
            match Stores::child(&ctx.stores.pods, &namespace, &name) {
                Some(pod) if pod.uid() == uid => ctx.waker.wake(&namespace, &name),
                // Its Pod is gone, and nothing more to be said of it.
                _ => ctx.heartbeats.forget(&uid),
            }
        }
    }
}
