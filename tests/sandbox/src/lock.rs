//! A mutex that outlives a panicking test: the sandbox reports what it holds even then.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, and takes the value even when another thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
