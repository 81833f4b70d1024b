//! Buffers for what is on its way through TLS, lent and given back.
//!
//! The one that was given back last is lent first: it is the one that the cache still holds. A
//! connection has one only while bytes move, so that many slow ones need little memory.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one read, or one write, of a socket takes at most.
pub(super) const BUFFER_BYTES: usize = 256 << 10;
/// Buffers kept for the next. As many as there are threads would do; more are freed.
const KEPT_MAX: usize = 16;

/// A stock of buffers. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<Box<[u8]>>>>,
}

/// A buffer of [`BUFFER_BYTES`] with whatever was in it before. Goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    stock: Buffers,
}

impl Buffers {
    pub(super) fn lend(&self) -> Buffer {
        let free = self.lock().pop();
        let bytes = free.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
        Buffer { bytes, stock: self.clone() }
    }

    // No code path panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Vec<Box<[u8]>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.stock.lock();
        if free.len() < KEPT_MAX {
            free.push(bytes);
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
