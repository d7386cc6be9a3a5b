//! The answers to authentication requests. All of them have the tag `p`.

use bytes::{BufMut, BytesMut};

use crate::secret::Secret;
use crate::wire::error::{check_name, check_string};
use crate::wire::header::Header;
use crate::wire::reader::Reader;
use crate::wire::{DecodeError, EncodeError};

/// The largest length word of a `p` message, which includes itself: `PG_MAX_AUTH_TOKEN_LENGTH` in PostgreSQL's
/// `src/backend/libpq/auth.c`.
pub const MAX_PASSWORD_MESSAGE: usize = 65_535;

const TAG: u8 = b'p';
const MAX_BODY: usize = MAX_PASSWORD_MESSAGE - 4;
const PASSWORD: &str = "password message";
const SASL_INITIAL: &str = "initial SASL response";
const SASL: &str = "SASL response";

/// The number of bytes after the header of a `p` message. The bytes are a password or derived from one: keep them in
/// a [`Secret`] or [wipe](crate::secret::wipe) them.
///
/// # Errors
/// [`DecodeError::UnexpectedTag`] for another message, [`DecodeError::MessageLength`] above
/// [`MAX_PASSWORD_MESSAGE`].
pub fn password_body_length(header: [u8; Header::LENGTH]) -> Result<usize, DecodeError> {
    match header {
        [TAG, ..] => Header::within(header, "client", 0, MAX_BODY).map(|header| header.body_length),
        [tag, ..] => Err(DecodeError::UnexpectedTag { tag, peer: "client" }),
    }
}

/// Appends a `PasswordMessage`: a cleartext password or an MD5 hash.
///
/// Send `out` and [wipe](crate::secret::wipe) it, because it holds the password. The space is reserved before the first
/// byte is written, so no copy stays in a smaller buffer. The same is true for the two functions below.
///
/// # Errors
/// [`EncodeError::ZeroByte`] for a password with a zero byte, [`EncodeError::TooLong`] above
/// [`MAX_PASSWORD_MESSAGE`]. `out` is unchanged then.
pub fn encode_password(password: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    check_string("password", password)?;
    encode_header(PASSWORD, password.len() + 1, out)?;
    out.put_slice(password);
    out.put_u8(0);
    Ok(())
}

/// Appends a `SASLInitialResponse`: the chosen mechanism and its first message.
///
/// # Errors
/// [`EncodeError`] for the name of a mechanism that is empty or has a zero byte, or for too many bytes.
pub fn encode_sasl_initial_response(
    mechanism: &str,
    data: &[u8],
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    check_name("name of a SASL mechanism", mechanism.as_bytes())?;
    encode_header(SASL_INITIAL, mechanism.len() + 1 + 4 + data.len(), out)?;
    out.put_slice(mechanism.as_bytes());
    out.put_u8(0);
    out.put_u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
    out.put_slice(data);
    Ok(())
}

/// Appends a `SASLResponse`: a later message of the chosen mechanism. Its body is `data`.
///
/// # Errors
/// [`EncodeError::TooLong`] above [`MAX_PASSWORD_MESSAGE`].
pub fn encode_sasl_response(data: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    encode_header(SASL, data.len(), out)?;
    out.put_slice(data);
    Ok(())
}

/// Reads the body of a `PasswordMessage`.
///
/// # Errors
/// [`DecodeError`] unless the first zero byte is the last byte.
pub fn decode_password(body: &[u8]) -> Result<Secret, DecodeError> {
    let mut reader = Reader::new(PASSWORD, body);
    let password = reader.string()?;
    reader.finish().map(|()| Secret::new(password))
}

/// The first answer to a SASL offer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslInitialResponse<'a> {
    /// The chosen mechanism.
    pub mechanism: &'a str,
    /// Its first message, if there is one.
    pub data: Option<&'a [u8]>,
}

impl<'a> SaslInitialResponse<'a> {
    /// Reads the body of a `SASLInitialResponse`.
    ///
    /// # Errors
    /// [`DecodeError`] if the layout is wrong or the length field does not match the data.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(SASL_INITIAL, body);
        let mechanism = reader.text()?;
        let length = reader.u32()?;
        let rest = reader.remainder();
        match length {
            // -1: no data.
            u32::MAX if rest.is_empty() => Ok(Self { mechanism, data: None }),
            length if usize::try_from(length) == Ok(rest.len()) => Ok(Self { mechanism, data: Some(rest) }),
            _ => Err(DecodeError::Malformed {
                message: SASL_INITIAL,
                problem: "a length that does not match its data",
            }),
        }
    }
}

fn encode_header(message: &'static str, length: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    if length > MAX_BODY {
        return Err(EncodeError::TooLong { message, length, limit: MAX_BODY });
    }
    Header { tag: TAG, body_length: length }.encode(out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_bytes_of_the_manual() {
        let mut out = BytesMut::new();
        encode_password(b"secret", &mut out).unwrap();
        encode_sasl_initial_response("SCRAM-SHA-256", b"n,,", &mut out).unwrap();
        encode_sasl_response(b"c=", &mut out).unwrap();
        assert_eq!(out[..], b"p\0\0\0\x0bsecret\0p\0\0\0\x19SCRAM-SHA-256\0\0\0\0\x03n,,p\0\0\0\x06c="[..]);
    }

    #[test]
    fn lengths_outside_of_the_limits_are_refused() {
        let decode = |length: u32| {
            let [a, b, c, d] = length.to_be_bytes();
            password_body_length([b'p', a, b, c, d])
        };
        for length in [0, 3, 65_536, 1 << 31, u32::MAX] {
            let refused =
                matches!(decode(length), Err(DecodeError::MessageLength { length: l, .. }) if l == length);
            assert!(refused, "{length}");
        }
        assert_eq!(decode(4), Ok(0));
        assert_eq!(decode(65_535), Ok(65_531));
        let refused = password_body_length(*b"X\0\0\0\x04").unwrap_err();
        assert_eq!(refused, DecodeError::UnexpectedTag { tag: b'X', peer: "client" });
    }

    #[test]
    fn long_tokens_fit_and_longer_ones_are_refused() {
        let mut out = BytesMut::new();
        encode_password(&vec![b'x'; MAX_BODY - 1], &mut out).unwrap();
        assert_eq!(out.len(), 1 + MAX_PASSWORD_MESSAGE);
        let mut out = BytesMut::new();
        assert!(matches!(
            encode_password(&vec![b'x'; MAX_BODY], &mut out),
            Err(EncodeError::TooLong { length: 65_532, limit: 65_531, .. })
        ));
        assert!(encode_sasl_response(&vec![b'x'; MAX_BODY + 1], &mut out).is_err());
        assert!(encode_password(b"a\0b", &mut out).is_err());
        assert!(encode_sasl_initial_response("", b"", &mut out).is_err());
        assert!(out.is_empty());
    }

    #[test]
    fn broken_layouts_are_refused() {
        assert!(matches!(decode_password(b"abc").map(|_| ()), Err(DecodeError::Truncated { .. })));
        assert!(matches!(decode_password(b"a\0b\0").map(|_| ()), Err(DecodeError::TrailingBytes { .. })));
        let none = SaslInitialResponse::decode(b"M\0\xff\xff\xff\xff").map(|response| response.data);
        assert_eq!(none, Ok(None));
        for body in [&b"M\0\xff\xff\xff\xffx"[..], b"M\0\0\0\0\x02x", b"M\0\0\0\0\0x", b"M\0\x80\0\0\0x"] {
            let refused = SaslInitialResponse::decode(body).map(|_| ());
            assert!(matches!(refused, Err(DecodeError::Malformed { .. })), "{body:?}");
        }
    }
}
