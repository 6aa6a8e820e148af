//! What a failed assertion said, for the report of its run.

use std::{cell::RefCell, panic};

thread_local! {
    // A run has its own thread.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on a panic is kept, and not printed.
pub fn keep() {
    panic::set_hook(Box::new(|panic| LAST.set(panic.to_string())));
}

/// What the last one on this thread said.
pub fn take() -> String {
    LAST.take()
}
