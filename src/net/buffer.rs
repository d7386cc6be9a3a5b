//! Large buffers from a pool per worker thread.

use std::cell::RefCell;

/// Size of a buffer in bytes: four TLS records of 16 KiB.
const SIZE: usize = 64 * 1024;

/// How many idle buffers a thread keeps; it frees the rest. A busy session uses one or two at a time.
const MAX_POOLED: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer for bytes that were read and not yet written. It comes from the thread's pool and returns there when
/// dropped. A session without bytes in flight holds none, which keeps idle sessions small.
pub struct Buffer {
    space: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer from the pool, or a new one if the pool is empty.
    #[must_use]
    pub fn take() -> Self {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        let space = pooled.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
        Self { space, start: 0, end: 0 }
    }

    /// The bytes that were read and not yet written.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.space.get(self.start..self.end).unwrap_or_default()
    }

    /// The free space to read into.
    pub fn free(&mut self) -> &mut [u8] {
        self.space.get_mut(self.end..).unwrap_or_default()
    }

    /// Marks `amount` bytes of [`Buffer::free`] as read.
    pub fn filled(&mut self, amount: usize) {
        self.end = (self.end + amount).min(self.space.len());
    }

    /// Marks `amount` bytes of [`Buffer::unread`] as written.
    pub fn consumed(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Appends as many of `bytes` as fit and returns their number.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let free = self.free();
        let amount = bytes.len().min(free.len());
        if let (Some(to), Some(from)) = (free.get_mut(..amount), bytes.get(..amount)) {
            to.copy_from_slice(from);
        }
        self.filled(amount);
        amount
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let space = std::mem::take(&mut self.space);
        // A thread that ends has no pool; then the buffer is freed.
        let _returned = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < MAX_POOLED {
                pool.push(space);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwritten_bytes_are_kept() {
        let mut buffer = Buffer::take();
        assert_eq!(buffer.append(b"hello"), 5);
        buffer.consumed(2);
        assert_eq!(buffer.unread(), b"llo");
        buffer.consumed(3);
        assert!(buffer.unread().is_empty());
        assert_eq!(buffer.free().len(), SIZE, "an empty buffer starts again at its beginning");
    }

    #[test]
    fn append_stops_when_the_buffer_is_full() {
        let mut buffer = Buffer::take();
        assert_eq!(buffer.append(&vec![1; SIZE + 1]), SIZE);
        assert_eq!(buffer.append(b"x"), 0);
        buffer.filled(SIZE);
        assert_eq!(buffer.unread().len(), SIZE);
    }

    #[test]
    fn the_pool_is_bounded() {
        let taken: Vec<_> = (0..MAX_POOLED * 2).map(|_| Buffer::take()).collect();
        drop(taken);
        POOL.with(|pool| assert_eq!(pool.borrow().len(), MAX_POOLED));
    }
}
