//! A cursor over the body of one message.

use crate::wire::DecodeError;

/// Reads the fields of a message one after the other; a missing byte is an error with the name of the message.
pub(super) struct Reader<'a> {
    message: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'static str, body: &'a [u8]) -> Self {
        Self { message, rest: body }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) =
            self.rest.split_first_chunk().ok_or(DecodeError::Truncated { message: self.message })?;
        self.rest = rest;
        Ok(*field)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The bytes before the next zero byte; reads the zero byte too.
    pub(super) fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let mut parts = self.rest.splitn(2, |byte| *byte == 0);
        let (Some(field), Some(rest)) = (parts.next(), parts.next()) else {
            return Err(DecodeError::Truncated { message: self.message });
        };
        self.rest = rest;
        Ok(field)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.string()?).map_err(|_| DecodeError::NotUtf8 { message: self.message })
    }

    /// The error of a field with an impossible value.
    pub(super) fn malformed(&self, problem: &'static str) -> DecodeError {
        DecodeError::Malformed { message: self.message, problem }
    }

    /// The remaining bytes, possibly none.
    pub(super) fn remainder(self) -> &'a [u8] {
        self.rest
    }

    /// Checks that the message has no more bytes.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { message: self.message, count }),
        }
    }
}
