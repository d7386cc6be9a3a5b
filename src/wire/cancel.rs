//! The request to cancel the query of another connection, and its key.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::secret::{Secret, make_room};
use crate::wire::DecodeError;
use crate::wire::reader::Reader;

/// The request code in place of the protocol version (`src/include/libpq/pqcomm.h`).
pub(super) const CANCEL_CODE: u32 = 80_877_102;

/// Names a connection of the database and proves the right to cancel its query.
#[derive(Clone, Debug)]
pub struct CancelRequest {
    /// The process id that the database sent in `BackendKeyData`.
    pub process_id: u32,
    /// The key that came with it.
    pub key: CancelKey,
}

/// The secret of a `BackendKeyData` message: 4 bytes in protocol 3.0, 4 to 256 in 3.2.
#[derive(Clone)]
pub struct CancelKey(Secret);

impl CancelRequest {
    /// Reads the bytes after the request code.
    pub(super) fn decode(fields: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("cancel request", fields);
        let process_id = reader.u32()?;
        Ok(Self { process_id, key: CancelKey::new(reader.remainder())? })
    }

    /// Appends the whole packet, length word included. [Wipe](crate::secret::wipe) `out` once it is sent.
    pub fn encode(&self, out: &mut BytesMut) {
        let length = 12 + self.key.expose().len();
        make_room(out, length);
        out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        out.put_u32(CANCEL_CODE);
        out.put_u32(self.process_id);
        out.put_slice(self.key.expose());
    }

    /// The request as the value of a startup parameter: `PID:HEXKEY`, the process id in decimal digits.
    #[must_use]
    pub fn to_parameter(&self) -> Secret {
        let process_id = self.process_id.to_string();
        let key = self.key.hex();
        let mut value = Vec::with_capacity(process_id.len() + 1 + key.len());
        value.extend_from_slice(process_id.as_bytes());
        value.push(b':');
        value.extend_from_slice(key.expose());
        Secret::new(value)
    }

    /// Reads the form that [`Self::to_parameter`] writes.
    ///
    /// # Errors
    /// [`DecodeError::CancelParameter`] for another form, [`DecodeError::CancelKeyLength`] for a key of another length.
    pub fn from_parameter(value: &[u8]) -> Result<Self, DecodeError> {
        let mut parts = value.splitn(2, |byte| *byte == b':');
        let (Some(process_id), Some(key)) = (parts.next(), parts.next()) else {
            return Err(DecodeError::CancelParameter);
        };
        Ok(Self { process_id: read_decimal(process_id)?, key: CancelKey::from_hex(key)? })
    }
}

impl CancelKey {
    /// The smallest length of a key in bytes.
    pub const MIN: usize = 4;
    /// The largest length of a key in bytes (manual, "Message Formats", `BackendKeyData`).
    pub const MAX: usize = 256;

    /// Copies the bytes.
    ///
    /// # Errors
    /// [`DecodeError::CancelKeyLength`] unless there are 4 to 256.
    pub fn new(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_length(bytes.len())?;
        Ok(Self(Secret::new(bytes)))
    }

    /// Reads hexadecimal digits, upper or lower case, two for a byte.
    ///
    /// # Errors
    /// [`DecodeError::CancelParameter`] for anything else, [`DecodeError::CancelKeyLength`] for a key of another length.
    pub fn from_hex(digits: &[u8]) -> Result<Self, DecodeError> {
        let pairs = digits.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(DecodeError::CancelParameter);
        }
        check_length(pairs.len())?;
        let mut bytes = Vec::with_capacity(pairs.len());
        for pair in pairs {
            bytes.push(read_hex_pair(pair).ok_or(DecodeError::CancelParameter)?);
        }
        Ok(Self(Secret::new(bytes)))
    }

    /// The key in lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> Secret {
        let mut digits = Vec::with_capacity(2 * self.0.len());
        for byte in self.0.expose() {
            digits.push(hex_digit(byte >> 4));
            digits.push(hex_digit(byte & 0x0f));
        }
        Secret::new(digits)
    }

    /// The bytes, to send them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelKey({} bytes)", self.0.len())
    }
}

fn check_length(length: usize) -> Result<(), DecodeError> {
    if (CancelKey::MIN..=CancelKey::MAX).contains(&length) {
        Ok(())
    } else {
        Err(DecodeError::CancelKeyLength { length })
    }
}

/// Accepts digits only; `parse` alone would accept a plus sign too.
fn read_decimal(digits: &[u8]) -> Result<u32, DecodeError> {
    Some(digits)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or(DecodeError::CancelParameter)
}

fn read_hex_pair(pair: &[u8]) -> Option<u8> {
    let mut byte = 0;
    for digit in pair {
        byte = byte << 4 | char::from(*digit).to_digit(16)?;
    }
    u8::try_from(byte).ok()
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_has_the_bytes_of_the_manual() {
        let request = CancelRequest { process_id: 0x0102_0304, key: CancelKey::new(&[9, 8, 7, 6]).unwrap() };
        let mut out = BytesMut::new();
        request.encode(&mut out);
        assert_eq!(out[..], [0, 0, 0, 16, 4, 210, 22, 46, 1, 2, 3, 4, 9, 8, 7, 6]);
    }

    #[test]
    fn keys_have_4_to_256_bytes() {
        for length in [4, 32, 256] {
            assert_eq!(CancelKey::new(&vec![1; length]).unwrap().expose().len(), length);
        }
        for length in [0, 3, 257] {
            let fields = vec![0; 4 + length];
            let refused = CancelRequest::decode(&fields).unwrap_err();
            assert_eq!(refused, DecodeError::CancelKeyLength { length });
        }
        assert_eq!(
            CancelRequest::decode(&[1, 2, 3]).unwrap_err(),
            DecodeError::Truncated { message: "cancel request" }
        );
    }

    #[test]
    fn the_parameter_is_pid_and_hex() {
        let request =
            CancelRequest { process_id: 4711, key: CancelKey::new(&[0x00, 0xde, 0xad, 0x0f]).unwrap() };
        assert_eq!(request.to_parameter().expose(), b"4711:00dead0f");
        let read = CancelRequest::from_parameter(b"4711:00DEad0F").unwrap();
        assert_eq!((read.process_id, read.key.expose()), (4711, request.key.expose()));
    }

    #[test]
    fn other_parameters_are_refused() {
        let malformed: &[&[u8]] = &[
            b"",
            b":",
            b"1",
            b"1 00000000",
            b":00000000",
            b"+1:00000000",
            b"-1:00000000",
            b"4294967296:00000000",
            b"1:0000000",
            b"1:0000000g",
            b"1:000000 0",
            b"1:+0000000",
            b"1:0000:000",
            b"\xff:00000000",
            b"1:\xff0000000",
        ];
        for value in malformed {
            let refused = CancelRequest::from_parameter(value).unwrap_err();
            assert_eq!(refused, DecodeError::CancelParameter, "{}", value.escape_ascii());
        }
        let refused = CancelRequest::from_parameter(b"1:000000").unwrap_err();
        assert_eq!(refused, DecodeError::CancelKeyLength { length: 3 });
        let refused = CancelRequest::from_parameter(&[b"1:", &[b'0'; 514][..]].concat()).unwrap_err();
        assert_eq!(refused, DecodeError::CancelKeyLength { length: 257 });
    }

    #[test]
    fn debug_hides_the_key() {
        let request = CancelRequest { process_id: 7, key: CancelKey::new(&[250; 32]).unwrap() };
        assert_eq!(format!("{request:?}"), "CancelRequest { process_id: 7, key: CancelKey(32 bytes) }");
    }
}
