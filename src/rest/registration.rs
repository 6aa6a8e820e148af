//! Takes the registration of a container back that was restarted in place: another process runs in it now.

use crate::{apply, context::Context, error::Error, registration::Mark, situation::PodFacts};

/// By the version of the Pod that was judged: whoever registers meanwhile, or is restarted once more, is looked at again.
pub(super) async fn adjust(ctx: &Context, pod: &PodFacts) -> Result<(), Error> {
    match Mark::of(&pod.view) {
        Some(mark) if pod.view.requires_registration() && !mark.is_current(&pod.view) => {
            tracing::info!("the container was restarted: its program has to register again");
            apply::pod::unregister(&ctx.client, &pod.view, ctx.now()).await
        }
        _ => Ok(()),
    }
}
