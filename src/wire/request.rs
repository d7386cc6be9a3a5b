//! The untagged packets at the beginning of a connection.

use bytes::{BufMut, BytesMut};

use crate::wire::cancel::CANCEL_CODE;
use crate::wire::reader::Reader;
use crate::wire::startup::MAX_STARTUP_PACKET;
use crate::wire::{CancelRequest, DecodeError, EncodeError, ProtocolVersion, StartupMessage};

// `src/include/libpq/pqcomm.h`: versions of a major 1234, which no server speaks.
const SSL_CODE: u32 = 80_877_103;
const GSSENC_CODE: u32 = 80_877_104;

/// How the two versions of a PROXY protocol header begin: "PROXY " and a signature (`HAProxy`, "The PROXY protocol", sections
/// 2.1 and 2.2).
const PROXY_HEADERS: [[u8; 4]; 2] = [*b"PROX", *b"\r\n\r\n"];

/// The first packet of an application, and the next one after the answer to an `SSLRequest` or a `GSSENCRequest`.
#[derive(Debug)]
pub enum FirstPacket {
    /// Requests TLS; the answer is one byte, `S` or `N`.
    Ssl,
    /// Requests GSSAPI encryption; the answer is one byte, `G` or `N`.
    GssEnc,
    /// Requests to cancel the query of another connection; there is no answer.
    Cancel(CancelRequest),
    /// Requests a login.
    Startup(StartupMessage),
}

/// The number of bytes after the length word of a first packet: 4 to [`MAX_STARTUP_PACKET`].
///
/// # Errors
/// [`DecodeError::StartupLength`] for any other length, [`DecodeError::UnexpectedProxyHeader`] where a PROXY protocol header begins so.
pub fn startup_body_length(length_word: [u8; 4]) -> Result<usize, DecodeError> {
    let length = u32::from_be_bytes(length_word);
    usize::try_from(length)
        .ok()
        .and_then(|total| total.checked_sub(4))
        .filter(|body| (4..=MAX_STARTUP_PACKET).contains(body))
        .ok_or(if PROXY_HEADERS.contains(&length_word) {
            DecodeError::UnexpectedProxyHeader
        } else {
            DecodeError::StartupLength { length }
        })
}

impl FirstPacket {
    /// Reads a packet; `body` is everything after the length word.
    ///
    /// # Errors
    /// [`DecodeError::UnsupportedMajor`] for any version but 3.x, else another [`DecodeError`].
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("first packet", body);
        match reader.u32()? {
            SSL_CODE => reader.finish().map(|()| Self::Ssl),
            GSSENC_CODE => reader.finish().map(|()| Self::GssEnc),
            CANCEL_CODE => CancelRequest::decode(reader.remainder()).map(Self::Cancel),
            code => {
                let version = ProtocolVersion::from_wire(code);
                if version.major != 3 {
                    return Err(DecodeError::UnsupportedMajor { version });
                }
                StartupMessage::decode(version, reader.remainder()).map(Self::Startup)
            }
        }
    }

    /// Appends the whole packet, length word included. A startup packet may hold a password: see
    /// [`StartupMessage::encode`].
    ///
    /// # Errors
    /// Those of [`StartupMessage::encode`].
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Self::Ssl => encode_code(SSL_CODE, out),
            Self::GssEnc => encode_code(GSSENC_CODE, out),
            Self::Cancel(request) => request.encode(out),
            Self::Startup(startup) => startup.encode(out)?,
        }
        Ok(())
    }
}

/// Appends an `SSLRequest`. The answer is exactly one byte.
pub fn encode_ssl_request(out: &mut BytesMut) {
    encode_code(SSL_CODE, out);
}

fn encode_code(code: u32, out: &mut BytesMut) {
    out.put_u32(8);
    out.put_u32(code);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_outside_of_the_limits_are_refused() {
        for length in [0, 1, 3, 4, 7, 10_005, 1 << 31, u32::MAX, u32::from_be_bytes(*b"GET ")] {
            let refused = startup_body_length(length.to_be_bytes());
            assert_eq!(refused, Err(DecodeError::StartupLength { length }), "{length}");
        }
        assert_eq!(startup_body_length(8_u32.to_be_bytes()), Ok(4));
        assert_eq!(startup_body_length(10_004_u32.to_be_bytes()), Ok(MAX_STARTUP_PACKET));
    }

    #[test]
    fn requests_for_encryption_are_four_bytes_and_no_more() {
        assert!(matches!(FirstPacket::decode(&[4, 210, 22, 47]), Ok(FirstPacket::Ssl)));
        assert!(matches!(FirstPacket::decode(&[4, 210, 22, 48]), Ok(FirstPacket::GssEnc)));
        for code in [SSL_CODE, GSSENC_CODE] {
            let mut body = code.to_be_bytes().to_vec();
            body.push(0);
            let refused = FirstPacket::decode(&body).unwrap_err();
            assert_eq!(refused, DecodeError::TrailingBytes { message: "first packet", count: 1 });
        }
    }

    #[test]
    fn an_ssl_request_has_the_bytes_of_the_manual() {
        let mut out = BytesMut::new();
        encode_ssl_request(&mut out);
        assert_eq!(out[..], [0, 0, 0, 8, 4, 210, 22, 47]);
    }

    #[test]
    fn only_major_version_3_is_accepted() {
        for (major, minor) in [(0, 0), (1, 0), (2, 0), (4, 0), (1234, 5677), (1234, 5681), (u16::MAX, 3)] {
            let version = ProtocolVersion { major, minor };
            let mut body = version.to_wire().to_be_bytes().to_vec();
            body.push(0);
            let refused = FirstPacket::decode(&body).unwrap_err();
            assert_eq!(refused, DecodeError::UnsupportedMajor { version });
            assert!(refused.to_string().contains(&format!("{major}.{minor}")));
        }
    }

    #[test]
    fn every_minor_version_of_3_is_accepted() {
        for minor in [0, 1, 2, 3, 9999, u16::MAX] {
            let version = ProtocolVersion { major: 3, minor };
            let mut body = version.to_wire().to_be_bytes().to_vec();
            body.push(0);
            let Ok(FirstPacket::Startup(startup)) = FirstPacket::decode(&body) else { panic!("{version}") };
            assert_eq!(startup.version, version);
        }
    }
}
