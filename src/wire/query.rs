//! The simple query protocol, for queries with one value (PostgreSQL manual, "Simple Query").

use bytes::{BufMut, BytesMut};

use crate::wire::error::check_string;
use crate::wire::header::{Header, MAX_LOGIN_MESSAGE};
use crate::wire::reader::Reader;
use crate::wire::{DecodeError, EncodeError, ErrorResponse};

const QUERY: &str = "query";
const DATA_ROW: &str = "data row";

/// The message that ends a session.
pub const TERMINATE: &[u8] = &[b'X', 0, 0, 0, 4];

/// A message of a database that answers a query.
#[derive(PartialEq, Eq)]
pub enum Answer {
    /// The first value of a row, in text form; absent where it is NULL.
    Row(Option<String>),
    /// The query failed.
    Error(ErrorResponse),
    /// The database waits for the next query.
    Ready,
    /// Everything else, such as the description of the rows.
    Other,
}

/// Appends a `Query`.
///
/// # Errors
/// [`EncodeError`] for a text with a zero byte.
pub fn encode_query(sql: &str, out: &mut BytesMut) -> Result<(), EncodeError> {
    check_string(QUERY, sql.as_bytes())?;
    Header::for_body(b'Q', QUERY, sql.len() + 1)?.encode(out);
    out.put_slice(sql.as_bytes());
    out.put_u8(0);
    Ok(())
}

impl Answer {
    /// Reads the header of an answer.
    ///
    /// # Errors
    /// [`DecodeError::MessageLength`] for a body above [`MAX_LOGIN_MESSAGE`].
    pub fn header(bytes: [u8; Header::LENGTH]) -> Result<Header, DecodeError> {
        Header::within(bytes, "server", 0, MAX_LOGIN_MESSAGE)
    }

    /// Reads the body of the message with this tag.
    ///
    /// # Errors
    /// A [`DecodeError`] for a wrong layout.
    pub fn decode(tag: u8, body: &[u8]) -> Result<Self, DecodeError> {
        match tag {
            b'D' => first_value(body).map(Self::Row),
            b'E' => ErrorResponse::decode(body).map(Self::Error),
            b'Z' => Ok(Self::Ready),
            _ => Ok(Self::Other),
        }
    }
}

/// A `DataRow` has the number of values, and each value with its length before it, which is -1 for NULL.
fn first_value(body: &[u8]) -> Result<Option<String>, DecodeError> {
    let mut reader = Reader::new(DATA_ROW, body);
    if reader.array()? == [0, 0] {
        return Ok(None);
    }
    let length = reader.u32()?;
    if length == u32::MAX {
        return Ok(None);
    }
    let value = reader.remainder().get(..usize::try_from(length).unwrap_or(usize::MAX));
    let value = value.ok_or(DecodeError::Truncated { message: DATA_ROW })?;
    Ok(Some(String::from_utf8_lossy(value).into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_is_a_text_with_a_zero_byte() {
        let mut out = BytesMut::new();
        encode_query("select 1", &mut out).unwrap();
        assert_eq!(&out[..], b"Q\0\0\0\x0dselect 1\0");
        assert!(encode_query("a\0b", &mut out).is_err());
    }

    #[test]
    fn the_first_value_of_a_row_is_read() {
        let row = |body: &[u8]| Answer::decode(b'D', body).ok();
        assert!(row(b"\0\x02\0\0\0\x02ab\0\0\0\0") == Some(Answer::Row(Some("ab".into()))));
        assert!(row(b"\0\x01\xff\xff\xff\xff") == Some(Answer::Row(None)));
        assert!(row(b"\0\0") == Some(Answer::Row(None)));
        assert!(row(b"\0\x01\0\0\0\x03ab").is_none());
        assert!(Answer::decode(b'Z', b"I").unwrap() == Answer::Ready);
        assert!(Answer::decode(b'T', b"").unwrap() == Answer::Other);
    }

    proptest! {
        #[test]
        fn any_body_has_an_answer_or_an_error(tag in any::<u8>(), body in any::<Vec<u8>>()) {
            let _total = Answer::decode(tag, &body);
        }
    }
}
