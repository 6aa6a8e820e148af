//! Pure: with what code the agent exits.

/// The incarnation is stale (EX_CONFIG).
pub const STALE: u8 = 78;
/// Something the agent itself needs is missing (EX_OSERR).
pub const BROKEN: u8 = 71;
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
const SIGNALLED: i32 = 128;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    /// By a signal.
    Signalled(i32),
}

/// The code a shell would give.
pub fn code(end: End) -> u8 {
    let code = match end {
        End::Exited(code) => code,
        End::Signalled(signal) => SIGNALLED + signal,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The code for a command that could not be started, as shells give it.
pub fn code_of_start(error: std::io::ErrorKind) -> u8 {
    if error == std::io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(code(End::Exited(0)), 0);
        assert_eq!(code(End::Exited(255)), 255);
        assert_eq!(code(End::Signalled(15)), 143);
        assert_eq!(code_of_start(std::io::ErrorKind::NotFound), 127);
        assert_eq!(code_of_start(std::io::ErrorKind::PermissionDenied), 126);
    }
}
