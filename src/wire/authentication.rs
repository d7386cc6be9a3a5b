//! The authentication requests of a database.

use bytes::{BufMut, BytesMut};

use crate::wire::error::check_name;
use crate::wire::header::{Header, tag};
use crate::wire::reader::Reader;
use crate::wire::{DecodeError, EncodeError};

const NAME: &str = "authentication request";

/// More mechanisms than any server offers. Limits the memory that an offer of many short names needs.
const MAX_MECHANISMS: usize = 64;

// `src/include/libpq/protocol.h`.
const OK: u32 = 0;
const CLEARTEXT_PASSWORD: u32 = 3;
const MD5_PASSWORD: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// The body of an `Authentication…` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The login succeeded.
    Ok,
    /// Requests the password in clear text.
    CleartextPassword,
    /// Requests the MD5 hash of password, user name and this salt.
    Md5Password {
        /// Four random bytes.
        salt: [u8; 4],
    },
    /// Offers SASL mechanisms, the preferred one first.
    Sasl {
        /// Their names, such as `SCRAM-SHA-256`.
        mechanisms: Vec<&'a str>,
    },
    /// A step of the chosen mechanism.
    SaslContinue(&'a [u8]),
    /// The last step of the chosen mechanism; [`Self::Ok`] follows.
    SaslFinal(&'a [u8]),
    /// A method that the proxy only relays: GSSAPI, SSPI, Kerberos V5, SCM credentials.
    Other {
        /// The number of the method.
        code: u32,
        /// The bytes after the number.
        data: &'a [u8],
    },
}

impl<'a> Authentication<'a> {
    /// Reads the body of an authentication request.
    ///
    /// # Errors
    /// A [`DecodeError`] for a wrong layout; [`DecodeError::Malformed`] for more than 64 mechanisms.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(NAME, body);
        match reader.u32()? {
            OK => reader.finish().map(|()| Self::Ok),
            CLEARTEXT_PASSWORD => reader.finish().map(|()| Self::CleartextPassword),
            MD5_PASSWORD => {
                let salt = reader.array()?;
                reader.finish().map(|()| Self::Md5Password { salt })
            }
            SASL => decode_mechanisms(reader).map(|mechanisms| Self::Sasl { mechanisms }),
            SASL_CONTINUE => Ok(Self::SaslContinue(reader.remainder())),
            SASL_FINAL => Ok(Self::SaslFinal(reader.remainder())),
            code => Ok(Self::Other { code, data: reader.remainder() }),
        }
    }

    /// Appends the whole message.
    ///
    /// # Errors
    /// [`EncodeError`] for the name of a mechanism that is empty or has a zero byte, or for too many bytes. `out` is
    /// unchanged then.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Self::Ok => encode_request(OK, &[], out),
            Self::CleartextPassword => encode_request(CLEARTEXT_PASSWORD, &[], out),
            Self::Md5Password { salt } => encode_request(MD5_PASSWORD, salt, out),
            Self::Sasl { mechanisms } => encode_request(SASL, &encode_mechanisms(mechanisms)?, out),
            Self::SaslContinue(data) => encode_request(SASL_CONTINUE, data, out),
            Self::SaslFinal(data) => encode_request(SASL_FINAL, data, out),
            Self::Other { code, data } => encode_request(*code, data, out),
        }
    }

    /// Whether the client may send a `p` message next.
    #[must_use]
    pub fn expects_answer(&self) -> bool {
        match self {
            Self::Ok | Self::SaslFinal(_) => false,
            Self::CleartextPassword
            | Self::Md5Password { .. }
            | Self::Sasl { .. }
            | Self::SaslContinue(_)
            | Self::Other { .. } => true,
        }
    }
}

fn decode_mechanisms(mut reader: Reader<'_>) -> Result<Vec<&str>, DecodeError> {
    let mut mechanisms = Vec::new();
    loop {
        match reader.text()? {
            "" => break,
            _ if mechanisms.len() == MAX_MECHANISMS => {
                return Err(reader.malformed("more than 64 SASL mechanisms"));
            }
            name => mechanisms.push(name),
        }
    }
    reader.finish().map(|()| mechanisms)
}

fn encode_mechanisms(mechanisms: &[&str]) -> Result<Vec<u8>, EncodeError> {
    let mut list = Vec::new();
    for name in mechanisms {
        check_name("name of a SASL mechanism", name.as_bytes())?;
        list.extend_from_slice(name.as_bytes());
        list.push(0);
    }
    list.push(0);
    Ok(list)
}

fn encode_request(code: u32, data: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    Header::for_body(tag::AUTHENTICATION, NAME, 4 + data.len())?.encode(out);
    out.put_u32(code);
    out.put_slice(data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(request: &Authentication<'_>) -> BytesMut {
        let mut out = BytesMut::new();
        request.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn requests_have_the_bytes_of_the_manual() {
        assert_eq!(encode(&Authentication::Ok)[..], b"R\0\0\0\x08\0\0\0\0"[..]);
        assert_eq!(encode(&Authentication::CleartextPassword)[..], b"R\0\0\0\x08\0\0\0\x03"[..]);
        assert_eq!(
            encode(&Authentication::Md5Password { salt: *b"salt" })[..],
            b"R\0\0\0\x0c\0\0\0\x05salt"[..]
        );
        assert_eq!(
            encode(&Authentication::Sasl { mechanisms: vec!["A", "BC"] })[..],
            b"R\0\0\0\x0e\0\0\0\x0aA\0BC\0\0"[..]
        );
        assert_eq!(encode(&Authentication::SaslContinue(b"x"))[..], b"R\0\0\0\x09\0\0\0\x0bx"[..]);
        assert_eq!(encode(&Authentication::SaslFinal(b"y"))[..], b"R\0\0\0\x09\0\0\0\x0cy"[..]);
    }

    #[test]
    fn an_offer_can_be_shortened() {
        let Ok(Authentication::Sasl { mut mechanisms }) =
            Authentication::decode(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
        else {
            panic!("not a SASL offer")
        };
        mechanisms.retain(|name| !name.ends_with("-PLUS"));
        assert_eq!(encode(&Authentication::Sasl { mechanisms })[9..], b"SCRAM-SHA-256\0\0"[..]);
    }

    #[test]
    fn broken_layouts_are_refused() {
        let truncated = Err(DecodeError::Truncated { message: NAME });
        for body in [&b""[..], b"\0\0\0", b"\0\0\0\x05abc", b"\0\0\0\x0a", b"\0\0\0\x0aA", b"\0\0\0\x0aA\0"] {
            assert_eq!(Authentication::decode(body), truncated, "{body:?}");
        }
        let trailing = Err(DecodeError::TrailingBytes { message: NAME, count: 1 });
        for body in [&b"\0\0\0\0x"[..], b"\0\0\0\x03x", b"\0\0\0\x05abcdx", b"\0\0\0\x0aA\0\0x"] {
            assert_eq!(Authentication::decode(body), trailing, "{body:?}");
        }
        assert_eq!(
            Authentication::decode(b"\0\0\0\x0a\xff\0\0"),
            Err(DecodeError::NotUtf8 { message: NAME })
        );
    }

    #[test]
    fn an_offer_of_too_many_mechanisms_is_refused() {
        let offer = |count| [b"\0\0\0\x0a", &b"A\0".repeat(count)[..], b"\0"].concat();
        assert!(Authentication::decode(&offer(MAX_MECHANISMS)).is_ok());
        assert!(matches!(
            Authentication::decode(&offer(MAX_MECHANISMS + 1)),
            Err(DecodeError::Malformed { .. })
        ));
    }

    #[test]
    fn mechanism_names_that_would_end_the_offer_are_refused() {
        for (name, problem) in [("", "empty"), ("A\0", "zero byte")] {
            let mut out = BytesMut::new();
            let refused = Authentication::Sasl { mechanisms: vec![name] }.encode(&mut out).unwrap_err();
            assert!(refused.to_string().contains(problem), "{refused}");
            assert!(out.is_empty());
        }
    }

    #[test]
    fn ok_and_sasl_final_expect_no_answer() {
        assert!(!Authentication::Ok.expects_answer());
        assert!(!Authentication::SaslFinal(b"").expects_answer());
        assert!(Authentication::CleartextPassword.expects_answer());
        assert!(Authentication::Md5Password { salt: [0; 4] }.expects_answer());
        assert!(Authentication::Sasl { mechanisms: vec![] }.expects_answer());
        assert!(Authentication::SaslContinue(b"").expects_answer());
        assert!(Authentication::Other { code: 7, data: b"" }.expects_answer());
    }
}
