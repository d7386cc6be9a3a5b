//! Large buffers that belong to the worker thread, not to the session.

use std::cell::RefCell;

/// Size of a buffer in bytes: several TLS records of 16 KiB, or a full socket read.
const SIZE: usize = 64 * 1024;

/// How many idle buffers a thread keeps. A session in motion uses one or two at a time; what a burst needed beyond
/// that goes back to the allocator.
const KEPT: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer with the bytes that were read and not yet written, taken from the thread's pool and returned to it when
/// dropped. A session without bytes in flight holds none, which is what keeps idle sessions small.
pub struct Buffer {
    space: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer, allocated only if the pool has none.
    #[must_use]
    pub fn take() -> Self {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        let space = pooled.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
        Self { space, start: 0, end: 0 }
    }

    /// The bytes that are still to be written.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.space.get(self.start..self.end).unwrap_or_default()
    }

    /// The space that can still be read into.
    pub fn free(&mut self) -> &mut [u8] {
        self.space.get_mut(self.end..).unwrap_or_default()
    }

    /// Counts `amount` bytes of [`Buffer::free`] as read.
    pub fn filled(&mut self, amount: usize) {
        self.end = (self.end + amount).min(self.space.len());
    }

    /// Counts `amount` bytes of [`Buffer::unread`] as written.
    pub fn consumed(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Appends what fits of `bytes` and tells how much that was.
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
        // A thread that is ending has no pool any more; then the buffer is simply freed.
        let _ended = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT {
                pool.push(space);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_not_yet_written() {
        let mut buffer = Buffer::take();
        assert_eq!(buffer.append(b"hello"), 5);
        buffer.consumed(2);
        assert_eq!(buffer.unread(), b"llo");
        buffer.consumed(3);
        assert!(buffer.unread().is_empty());
        assert_eq!(buffer.free().len(), SIZE, "an emptied buffer starts over");
    }

    #[test]
    fn never_takes_more_than_it_has_room_for() {
        let mut buffer = Buffer::take();
        assert_eq!(buffer.append(&vec![1; SIZE + 1]), SIZE);
        assert_eq!(buffer.append(b"x"), 0);
        buffer.filled(SIZE);
        assert_eq!(buffer.unread().len(), SIZE);
    }

    #[test]
    fn the_pool_is_bounded() {
        let taken: Vec<_> = (0..KEPT * 2).map(|_| Buffer::take()).collect();
        drop(taken);
        POOL.with(|pool| assert_eq!(pool.borrow().len(), KEPT));
    }
}
