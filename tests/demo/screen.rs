//! What a person watching sees.

use std::{io::Write, sync::OnceLock, time::Instant};

static BEGAN: OnceLock<Instant> = OnceLock::new();

/// Opens a chapter, with the time since the first one.
pub fn chapter(title: &str) {
    let seconds = BEGAN.get_or_init(Instant::now).elapsed().as_secs();
    line(&format!("\n=== {title} [{seconds} s]"));
}

/// A command as one would type it.
pub fn command(command: &str) {
    line(&format!("\n$ {command}"));
}

/// What is to be known.
pub fn line(text: &str) {
    // A closed pipe is the reader's wish, not an error.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A claim that was held against the cluster.
pub fn held(claim: &str) {
    line(&format!("  ✓ {claim}"));
}
