//! Passwords, tokens and keys in memory.

use bytes::BytesMut;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes that nobody may see: a password, an IAM token, a private key.
///
/// It has no `Debug`, `Display` or `Serialize`, so no log line, error or dump can hold it by accident, and its
/// memory is zeroed when it is dropped. What needs the bytes calls [`Secret::expose`], which is easy to find.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over; the caller keeps no copy.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves, for the one place that sends or signs with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Overwrites a buffer that held a secret on its way out, its unused room included, and empties it.
pub fn wipe(buffer: &mut BytesMut) {
    buffer.clear();
    buffer.spare_capacity_mut().zeroize();
}

/// Makes room for `additional` bytes. Unlike `BytesMut::reserve` it wipes the memory that the buffer moves out of.
pub fn make_room(buffer: &mut BytesMut, additional: usize) {
    if buffer.capacity() - buffer.len() >= additional {
        return;
    }
    let mut larger = BytesMut::with_capacity((buffer.len() + additional).max(2 * buffer.capacity()));
    larger.extend_from_slice(buffer);
    wipe(buffer);
    *buffer = larger;
}

#[cfg(test)]
#[cfg(target_os = "linux")]
pub(crate) mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// Reads this process's memory as the kernel sees it: what a dump would hold.
    pub(crate) fn memory_at(address: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0xff; length];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, address as u64).unwrap();
        bytes
    }

    #[test]
    fn a_wiped_buffer_holds_nothing_even_where_it_was_already_emptied() {
        let mut buffer = BytesMut::with_capacity(64);
        buffer.extend_from_slice(b"hunter2, and more of it");
        let (address, length) = (buffer.as_ptr() as usize, buffer.len());
        assert_eq!(memory_at(address, length), b"hunter2, and more of it");
        buffer.truncate(7);
        wipe(&mut buffer);
        assert!(buffer.is_empty());
        assert_eq!(memory_at(address, length), vec![0; length]);
    }

    #[test]
    fn a_buffer_that_grows_leaves_nothing_where_it_was() {
        let mut buffer = BytesMut::with_capacity(64);
        buffer.extend_from_slice(b"hunter2, and more of it, and more than that");
        let (address, length) = (buffer.as_ptr() as usize, buffer.len());
        make_room(&mut buffer, 64 - length);
        assert_eq!(buffer.as_ptr() as usize, address, "there was room");
        make_room(&mut buffer, 4096);
        assert!(buffer.capacity() >= length + 4096);
        assert_eq!(&buffer[..], b"hunter2, and more of it, and more than that");
        // The allocator has written into its beginning by now.
        assert_eq!(memory_at(address + 24, length - 24), vec![0; length - 24]);
    }
}
