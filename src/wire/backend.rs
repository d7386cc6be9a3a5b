//! The messages that a database sends between the startup packet and the first query.

use bytes::{BufMut, BytesMut};

use crate::wire::error::{check_name, check_string};
use crate::wire::header::{Header, tag};
use crate::wire::reader::Reader;
use crate::wire::{Authentication, CancelKey, DecodeError, EncodeError, ErrorResponse, ProtocolVersion};

const PARAMETER_STATUS: &str = "parameter status";
const KEY_DATA: &str = "backend key data";
const NEGOTIATE: &str = "protocol negotiation";
const READY: &str = "ready for query";

/// A message of a database during a login.
#[derive(Clone, Debug)]
pub enum BackendMessage<'a> {
    /// Requests a password, or accepts the login.
    Authentication(Authentication<'a>),
    /// The login failed; the connection ends.
    Error(ErrorResponse),
    /// A notice, which may arrive at any time.
    Notice(ErrorResponse),
    /// The value of a setting that drivers need.
    ParameterStatus {
        /// Its name.
        name: &'a [u8],
        /// Its value, in the client's encoding.
        value: &'a [u8],
    },
    /// Process id and key for a later `CancelRequest`.
    BackendKeyData {
        /// The process that serves this connection.
        process_id: u32,
        /// The secret that allows to cancel its query.
        key: CancelKey,
    },
    /// The database does not know the minor version, or some `_pq_.` parameters of the startup packet.
    NegotiateProtocolVersion {
        /// The newest version that it knows and continues with.
        version: ProtocolVersion,
        /// The parameters that it does not know.
        unrecognized: Vec<&'a [u8]>,
    },
    /// The login is complete; the client may send queries.
    ReadyForQuery {
        /// `I`: idle. `T` and `E`: in a transaction, which is impossible during a login.
        status: u8,
    },
}

impl<'a> BackendMessage<'a> {
    /// Reads the body of the message with this tag.
    ///
    /// # Errors
    /// [`DecodeError::UnexpectedTag`] for a message that a login does not allow, else another [`DecodeError`].
    pub fn decode(tag: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        match tag {
            tag::AUTHENTICATION => Authentication::decode(body).map(Self::Authentication),
            tag::ERROR_RESPONSE => ErrorResponse::decode(body).map(Self::Error),
            tag::NOTICE_RESPONSE => ErrorResponse::decode(body).map(Self::Notice),
            tag::PARAMETER_STATUS => decode_parameter_status(body),
            tag::BACKEND_KEY_DATA => decode_key_data(body),
            tag::NEGOTIATE_PROTOCOL_VERSION => decode_negotiation(body),
            tag::READY_FOR_QUERY => decode_ready(body),
            tag => Err(DecodeError::UnexpectedTag { tag, peer: "server" }),
        }
    }

    /// Appends the whole message.
    ///
    /// # Errors
    /// [`EncodeError`] for a value that the protocol cannot carry. `out` is unchanged then.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Self::Authentication(request) => request.encode(out)?,
            Self::Error(error) => error.encode(out),
            Self::Notice(notice) => notice.encode_as_notice(out),
            Self::ParameterStatus { name, value } => encode_parameter_status(name, value, out)?,
            Self::BackendKeyData { process_id, key } => encode_key_data(*process_id, key, out)?,
            Self::NegotiateProtocolVersion { version, unrecognized } => {
                encode_negotiation(*version, unrecognized, out)?;
            }
            Self::ReadyForQuery { status } => {
                Header::for_body(tag::READY_FOR_QUERY, READY, 1)?.encode(out);
                out.put_u8(*status);
            }
        }
        Ok(())
    }
}

fn decode_parameter_status(body: &[u8]) -> Result<BackendMessage<'_>, DecodeError> {
    let mut reader = Reader::new(PARAMETER_STATUS, body);
    let (name, value) = (reader.string()?, reader.string()?);
    reader.finish().map(|()| BackendMessage::ParameterStatus { name, value })
}

fn decode_key_data(body: &[u8]) -> Result<BackendMessage<'_>, DecodeError> {
    let mut reader = Reader::new(KEY_DATA, body);
    let process_id = reader.u32()?;
    let key = CancelKey::new(reader.remainder())?;
    Ok(BackendMessage::BackendKeyData { process_id, key })
}

fn decode_negotiation(body: &[u8]) -> Result<BackendMessage<'_>, DecodeError> {
    let mut reader = Reader::new(NEGOTIATE, body);
    let version = ProtocolVersion::from_wire(reader.u32()?);
    let count = reader.u32()?;
    // The count may be false, so nothing is allocated for it.
    let mut unrecognized = Vec::new();
    for _ in 0..count {
        match reader.string()? {
            b"" => return Err(reader.malformed("a parameter without a name")),
            name => unrecognized.push(name),
        }
    }
    reader.finish().map(|()| BackendMessage::NegotiateProtocolVersion { version, unrecognized })
}

fn decode_ready(body: &[u8]) -> Result<BackendMessage<'_>, DecodeError> {
    let mut reader = Reader::new(READY, body);
    let status = reader.byte()?;
    reader.finish().map(|()| BackendMessage::ReadyForQuery { status })
}

fn encode_parameter_status(name: &[u8], value: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    check_string("name of a parameter", name)?;
    check_string("value of a parameter", value)?;
    Header::for_body(tag::PARAMETER_STATUS, PARAMETER_STATUS, name.len() + value.len() + 2)?.encode(out);
    out.put_slice(name);
    out.put_u8(0);
    out.put_slice(value);
    out.put_u8(0);
    Ok(())
}

fn encode_key_data(process_id: u32, key: &CancelKey, out: &mut BytesMut) -> Result<(), EncodeError> {
    Header::for_body(tag::BACKEND_KEY_DATA, KEY_DATA, 4 + key.expose().len())?.encode(out);
    out.put_u32(process_id);
    out.put_slice(key.expose());
    Ok(())
}

fn encode_negotiation(
    version: ProtocolVersion,
    unrecognized: &[&[u8]],
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    for name in unrecognized {
        check_name("name of a protocol parameter", name)?;
    }
    let names: usize = unrecognized.iter().map(|name| name.len() + 1).sum();
    Header::for_body(tag::NEGOTIATE_PROTOCOL_VERSION, NEGOTIATE, 8 + names)?.encode(out);
    out.put_u32(version.to_wire());
    out.put_u32(u32::try_from(unrecognized.len()).unwrap_or(u32::MAX));
    for name in unrecognized {
        out.put_slice(name);
        out.put_u8(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(message: &BackendMessage<'_>) -> BytesMut {
        let mut out = BytesMut::new();
        message.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn messages_have_the_bytes_of_the_manual() {
        let status = BackendMessage::ParameterStatus { name: b"a", value: b"" };
        assert_eq!(encode(&status)[..], b"S\0\0\0\x07a\0\0"[..]);
        let key = CancelKey::new(b"12345").unwrap();
        let key_data = BackendMessage::BackendKeyData { process_id: 258, key };
        assert_eq!(encode(&key_data)[..], b"K\0\0\0\x0d\0\0\x01\x0212345"[..]);
        let negotiate = BackendMessage::NegotiateProtocolVersion {
            version: ProtocolVersion::V3_2,
            unrecognized: vec![b"_pq_.a", b"_pq_.b"],
        };
        assert_eq!(encode(&negotiate)[..], b"v\0\0\0\x1a\0\x03\0\x02\0\0\0\x02_pq_.a\0_pq_.b\0"[..]);
        assert_eq!(encode(&BackendMessage::ReadyForQuery { status: b'I' })[..], b"Z\0\0\0\x05I"[..]);
    }

    #[test]
    fn a_false_count_is_refused() {
        for count in [1, 3, 1 << 31, u32::MAX] {
            let body = [&b"\0\x03\0\0"[..], &count.to_be_bytes()[..]].concat();
            let refused = BackendMessage::decode(b'v', &body).unwrap_err();
            assert_eq!(refused, DecodeError::Truncated { message: NEGOTIATE });
        }
        let refused = BackendMessage::decode(b'v', b"\0\x03\0\0\0\0\0\0a\0").unwrap_err();
        assert_eq!(refused, DecodeError::TrailingBytes { message: NEGOTIATE, count: 2 });
        let refused = BackendMessage::decode(b'v', b"\0\x03\0\0\0\0\0\x01\0").unwrap_err();
        assert!(matches!(refused, DecodeError::Malformed { .. }));
    }

    #[test]
    fn broken_layouts_are_refused() {
        for (tag, body) in
            [(b'S', &b"a\0b"[..]), (b'S', b""), (b'K', b"\0\0\0"), (b'v', b"\0\x03\0\0"), (b'Z', b"")]
        {
            let refused = BackendMessage::decode(tag, body).unwrap_err();
            assert!(matches!(refused, DecodeError::Truncated { .. }), "{refused}");
        }
        for (tag, body) in [(b'S', &b"a\0b\0c"[..]), (b'Z', b"II")] {
            let refused = BackendMessage::decode(tag, body).unwrap_err();
            assert!(matches!(refused, DecodeError::TrailingBytes { count: 1, .. }), "{refused}");
        }
        let refused = BackendMessage::decode(b'K', b"\0\0\0\x01abc").unwrap_err();
        assert_eq!(refused, DecodeError::CancelKeyLength { length: 3 });
        let refused = BackendMessage::decode(b'T', b"").unwrap_err();
        assert_eq!(refused, DecodeError::UnexpectedTag { tag: b'T', peer: "server" });
    }

    #[test]
    fn debug_hides_the_cancel_key() {
        let key = CancelKey::new(b"swordfish").unwrap();
        let shown = format!("{:?}", BackendMessage::BackendKeyData { process_id: 1, key });
        assert!(!shown.contains("swordfish") && !shown.contains("115"), "{shown}");
    }

    #[test]
    fn messages_that_no_receiver_accepts_are_refused() {
        let long = vec![b'x'; 70_000];
        let messages = [
            BackendMessage::ParameterStatus { name: b"a\0", value: b"" },
            BackendMessage::ParameterStatus { name: b"a", value: &long },
            BackendMessage::Authentication(Authentication::SaslContinue(&long)),
            BackendMessage::NegotiateProtocolVersion {
                version: ProtocolVersion::V3_0,
                unrecognized: vec![&long],
            },
            BackendMessage::NegotiateProtocolVersion {
                version: ProtocolVersion::V3_0,
                unrecognized: vec![b""],
            },
        ];
        for message in messages {
            let mut out = BytesMut::new();
            message.encode(&mut out).unwrap_err();
            assert!(out.is_empty());
        }
    }
}
