use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::{error::Error, progress::Progress};

const PAUSE: Duration = Duration::from_millis(100);
const SAY_AGAIN: Duration = Duration::from_secs(15);

/// Asks again and again until `check` finds what is awaited. An error of `check` ends the waiting at once.
pub async fn until<T, F, Fut>(awaited: impl Into<String>, limit: Duration, mut check: F) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>, Error>>,
{
    let awaited = awaited.into();
    let began = Instant::now();
    let mut last_said = began;
    loop {
        // A check that hangs (a server that accepts and never answers) must not outlast the limit.
        let left = limit.saturating_sub(began.elapsed());
        if let Ok(answer) = tokio::time::timeout(left, check()).await
            && let Some(found) = answer?
        {
            return Ok(found);
        }
        if began.elapsed() >= limit {
            return Err(Error::Timeout { awaited, limit });
        }
        if last_said.elapsed() >= SAY_AGAIN {
            last_said = Instant::now();
            Progress::say(&format!("still waiting for {awaited} ({} s)", began.elapsed().as_secs()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
