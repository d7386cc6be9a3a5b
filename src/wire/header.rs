//! Tag and length of a tagged message, and the limits of the length during a login.

use bytes::{BufMut, BytesMut};

use crate::secret::make_room;
use crate::wire::startup::MAX_STARTUP_PACKET;
use crate::wire::{CancelKey, DecodeError, EncodeError};

/// The most bytes in the body of any message during a login.
///
/// Libpq accepts authentication requests up to 2,000 bytes, errors before `AuthenticationOk` up to 30,000, and later
/// errors and notices of any size (`fe-connect.c`, `fe-protocol3.c`). No server sends a message as long as this limit, and
/// the proxy has the memory for one of that length on every connection at once.
pub const MAX_LOGIN_MESSAGE: usize = 65_535;

/// The tags of the messages of a database (`src/include/libpq/protocol.h`).
pub(super) mod tag {
    pub(in crate::wire) const AUTHENTICATION: u8 = b'R';
    pub(in crate::wire) const BACKEND_KEY_DATA: u8 = b'K';
    pub(in crate::wire) const ERROR_RESPONSE: u8 = b'E';
    pub(in crate::wire) const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    pub(in crate::wire) const NOTICE_RESPONSE: u8 = b'N';
    pub(in crate::wire) const PARAMETER_STATUS: u8 = b'S';
    pub(in crate::wire) const READY_FOR_QUERY: u8 = b'Z';
}

/// The first five bytes of a tagged message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tag, which names the message.
    pub tag: u8,
    /// The number of bytes after the header.
    pub body_length: usize,
}

impl Header {
    /// The length of a header in bytes: tag and length word.
    pub const LENGTH: usize = 5;

    /// Reads the header of a message that a database sends during a login.
    ///
    /// # Errors
    /// [`DecodeError::UnexpectedTag`] for a message that a login does not allow, [`DecodeError::MessageLength`] for a
    /// length outside the limits of the message.
    pub fn decode(bytes: [u8; Self::LENGTH]) -> Result<Self, DecodeError> {
        let [tag, ..] = bytes;
        let Some((min, max)) = body_limits(tag) else {
            return Err(DecodeError::UnexpectedTag { tag, peer: "server" });
        };
        Self::within(bytes, "server", min, max)
    }

    /// Appends the header and reserves space for the body, which the caller appends next.
    pub fn encode(self, out: &mut BytesMut) {
        make_room(out, Self::LENGTH + self.body_length);
        out.put_u8(self.tag);
        // The callers have checked the length of the body.
        out.put_u32(u32::try_from(self.body_length.saturating_add(4)).unwrap_or(u32::MAX));
    }

    /// Reads a header of `peer`; `min` and `max` limit the length of the body.
    pub(super) fn within(
        [tag, length_word @ ..]: [u8; Self::LENGTH],
        peer: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Self, DecodeError> {
        let length = u32::from_be_bytes(length_word);
        usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_sub(4))
            .filter(|body| (min..=max).contains(body))
            .map(|body_length| Self { tag, body_length })
            .ok_or(DecodeError::MessageLength { tag, peer, length, min: min + 4, max: max + 4 })
    }

    /// The header of a message to send. Fails if receivers refuse a body of this length.
    pub(super) fn for_body(tag: u8, message: &'static str, length: usize) -> Result<Self, EncodeError> {
        let (_, limit) = body_limits(tag).unwrap_or((0, MAX_LOGIN_MESSAGE));
        if length > limit {
            return Err(EncodeError::TooLong { message, length, limit });
        }
        Ok(Self { tag, body_length: length })
    }
}

/// The shortest and the longest body of each message of a login.
fn body_limits(tag: u8) -> Option<(usize, usize)> {
    match tag {
        tag::AUTHENTICATION => Some((4, MAX_LOGIN_MESSAGE)),
        tag::ERROR_RESPONSE | tag::NOTICE_RESPONSE => Some((1, MAX_LOGIN_MESSAGE)),
        tag::PARAMETER_STATUS => Some((2, MAX_LOGIN_MESSAGE)),
        tag::BACKEND_KEY_DATA => Some((4 + CancelKey::MIN, 4 + CancelKey::MAX)),
        // The names in it come from the startup packet.
        tag::NEGOTIATE_PROTOCOL_VERSION => Some((8, 8 + MAX_STARTUP_PACKET)),
        tag::READY_FOR_QUERY => Some((1, 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: &[u8] = b"RENSKvZ";

    fn decode(tag: u8, length: u32) -> Result<Header, DecodeError> {
        let [a, b, c, d] = length.to_be_bytes();
        Header::decode([tag, a, b, c, d])
    }

    #[test]
    fn impossible_lengths_are_refused_for_every_tag() {
        for tag in TAGS {
            for length in [0, 3, 4, 65_540, 1 << 31, u32::MAX, u32::from_be_bytes(*b"ATAL")] {
                let refused = decode(*tag, length).unwrap_err();
                let named = matches!(refused, DecodeError::MessageLength { tag: t, length: l, .. } if t == *tag && l == length);
                assert!(named, "{refused}");
            }
        }
    }

    #[test]
    fn each_tag_has_its_limits() {
        let limits = [
            (b'R', 8, 65_539),
            (b'E', 5, 65_539),
            (b'N', 5, 65_539),
            (b'S', 6, 65_539),
            (b'K', 12, 264),
            (b'v', 12, 10_012),
            (b'Z', 5, 5),
        ];
        for (tag, min, max) in limits {
            assert_eq!(decode(tag, min).unwrap().body_length, min as usize - 4);
            assert_eq!(decode(tag, max).unwrap().body_length, max as usize - 4);
            assert!(decode(tag, min - 1).is_err() && decode(tag, max + 1).is_err(), "{}", char::from(tag));
        }
    }

    #[test]
    fn an_unknown_tag_is_refused_and_named() {
        for tag in (0..=u8::MAX).filter(|tag| !TAGS.contains(tag)) {
            assert_eq!(decode(tag, 8), Err(DecodeError::UnexpectedTag { tag, peer: "server" }));
        }
        assert!(decode(b'H', 8).unwrap_err().to_string().contains("'H'"));
        assert!(decode(0xff, 8).unwrap_err().to_string().contains("'\\xff'"));
    }

    #[test]
    fn a_header_reserves_space_for_its_body() {
        let mut out = BytesMut::with_capacity(8);
        Header { tag: b'p', body_length: 2_000 }.encode(&mut out);
        let (start, free) = (out.as_ptr(), out.capacity() - out.len());
        out.put_bytes(b'x', 2_000);
        assert!(free >= 2_000 && start == out.as_ptr(), "{free}");
    }
}
