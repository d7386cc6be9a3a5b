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
