//! Locks around what is only a cache.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a panicking thread left behind is still only a cache.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
