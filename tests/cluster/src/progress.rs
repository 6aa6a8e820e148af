use std::{sync::OnceLock, time::Instant};

static BEGAN: OnceLock<Instant> = OnceLock::new();

/// Tells a person what is being done, with the time since the first line.
pub(crate) struct Progress;

impl Progress {
    pub(crate) fn say(what: &str) {
        let seconds = BEGAN.get_or_init(Instant::now).elapsed().as_secs_f32();
        eprintln!("[{seconds:5.1}s] {what}");
    }
}
