//! A cursor over the body of one message.

use crate::wire::DecodeError;

/// Takes the fields of a message off its front; every shortage is an error that names the message.
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(what: &'static str, body: &'a [u8]) -> Self {
        Self { what, rest: body }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) =
            self.rest.split_first_chunk().ok_or(DecodeError::Truncated { what: self.what })?;
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

    /// The bytes up to the next zero byte, which is taken too.
    pub(super) fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let mut parts = self.rest.splitn(2, |byte| *byte == 0);
        let (Some(field), Some(rest)) = (parts.next(), parts.next()) else {
            return Err(DecodeError::Truncated { what: self.what });
        };
        self.rest = rest;
        Ok(field)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.string()?).map_err(|_| DecodeError::NotUtf8 { what: self.what })
    }

    /// All that is left, be it empty.
    pub(super) fn remainder(self) -> &'a [u8] {
        self.rest
    }

    /// Ends the message: nothing may be left.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { what: self.what, count }),
        }
    }
}
