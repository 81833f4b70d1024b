//! Buffers for what is on its way through a connection, lent and given back.
//!
//! The one that this thread gave back last is lent first: it is the one that its cache still holds. A
//! connection has one only while bytes move, so that many slow ones need little memory.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use bytes::Bytes;

/// What one read, or one write, of a socket takes, and a record's length besides: what was decrypted
/// moves to the front of what came, and what was encrypted is longer than what it was made from.
pub(super) const BUFFER_BYTES: usize = (256 + 16) << 10;
/// Buffers kept for the next. As many as there are threads would do; more are freed.
const KEPT_MAX: usize = 16;
/// A frame of at most so many bytes is copied, so that a slow connection's does not hold a buffer.
const SMALL_BYTES: usize = 16 << 10;

/// A stock of buffers. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers {
    /// The one that was given back last is the last.
    free: Arc<Mutex<Vec<Kept>>>,
}

/// A buffer's bytes, and the thread that gave it back.
type Kept = (ThreadId, Box<[u8]>);

/// A buffer of [`BUFFER_BYTES`] with whatever was in it before. Goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    stock: Buffers,
}

/// The first bytes of a buffer.
struct Filled {
    buffer: Buffer,
    len: usize,
}

impl Buffers {
    pub(super) fn lend(&self) -> Buffer {
        let here = thread::current().id();
        let mut stock = self.lock();
        let warm = stock.iter().rposition(|(last, _)| *last == here);
        let free = warm.map(|at| stock.remove(at)).or_else(|| stock.pop()).map(|(_, bytes)| bytes);
        drop(stock);
        let bytes = free.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
        Buffer { bytes, stock: self.clone() }
    }

    // No code path panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// The first `len` bytes, as a frame. The buffer goes back when the last of its frames is dropped.
    pub(super) fn freeze(self, len: usize) -> Bytes {
        if len <= SMALL_BYTES {
            return Bytes::copy_from_slice(&self[..len]);
        }
        Bytes::from_owner(Filled { buffer: self, len })
    }
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.stock.lock();
        if free.len() < KEPT_MAX {
            free.push((thread::current().id(), bytes));
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
