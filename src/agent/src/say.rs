//! What the agent itself says: a line on stderr, beside what its command writes there.

use std::{error::Error, io::Write};

/// Says a line. That nobody can hear it is no reason to end.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "workspace-agent: {line}");
}

/// An error with what caused it, in one line.
pub fn told(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
