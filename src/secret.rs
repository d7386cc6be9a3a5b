//! Passwords, tokens and keys in memory, and who may read their files.

use std::path::Path;

use bytes::BytesMut;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Secret bytes: a password, an IAM token, a private key.
///
/// Has no `Debug`, `Display` or `Serialize`, so it cannot reach a log line, an error or a dump by accident. Its memory is
/// zeroed when dropped. Code that needs the bytes calls [`Secret::expose`], which is easy to find.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes ownership of the bytes; the caller keeps no copy.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, to send them or to sign with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// In a time that depends on the lengths only.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// Whether every user of this machine may read the file, by its mode. Always false for a file that is missing or not regular, such
/// as a pipe, and outside of Unix.
#[must_use]
pub fn everyone_may_read(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        const READ_BY_OTHERS: u32 = 0o004;

        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & READ_BY_OTHERS != 0)
    }
    #[cfg(not(unix))]
    {
        let _: &Path = path;
        false
    }
}

/// Empties a buffer that held a secret and zeroes its memory, unused capacity included.
pub fn wipe(buffer: &mut BytesMut) {
    buffer.clear();
    buffer.spare_capacity_mut().zeroize();
}

/// Reserves space for `additional` bytes. Unlike `BytesMut::reserve` it wipes the old memory when the buffer moves.
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

    /// Reads the memory of this process through the kernel, as a dump would.
    pub(crate) fn memory_at(address: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0xff; length];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, address as u64).unwrap();
        bytes
    }

    #[test]
    fn wiping_zeroes_bytes_that_were_already_removed() {
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
    fn a_growing_buffer_wipes_its_old_memory() {
        let mut buffer = BytesMut::with_capacity(64);
        buffer.extend_from_slice(b"hunter2, and more of it, and more than that");
        let (address, length) = (buffer.as_ptr() as usize, buffer.len());
        make_room(&mut buffer, 64 - length);
        assert_eq!(buffer.as_ptr() as usize, address, "there was enough space");
        make_room(&mut buffer, 4096);
        assert!(buffer.capacity() >= length + 4096);
        assert_eq!(&buffer[..], b"hunter2, and more of it, and more than that");
        // The allocator overwrites the first 24 bytes of freed memory.
        assert_eq!(memory_at(address + 24, length - 24), vec![0; length - 24]);
    }
}
