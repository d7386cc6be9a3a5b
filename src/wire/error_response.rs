//! Errors and notices of a database or of the proxy.

use std::borrow::Cow;
use std::fmt;
use std::iter;

use bytes::{BufMut, BytesMut};

use crate::wire::header::{Header, MAX_LOGIN_MESSAGE, tag};
use crate::wire::reader::Reader;
use crate::wire::{DecodeError, Severity, SqlState};

/// The most bytes in the body of an error with a text of the proxy. Before `AuthenticationOk` libpq treats a longer error
/// as one of a server before 7.4 (`MAX_ERRLEN` in `fe-connect.c`, which includes the length word).
const MAX_OWN_BODY: usize = 30_000 - 4;

/// The fields of an `ErrorResponse` or a `NoticeResponse` in their order, unknown ones included (manual, "Error and Notice
/// Message Fields").
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// A sequence of `code value 0` as on the wire, without the final zero byte.
    fields: Vec<u8>,
}

impl ErrorResponse {
    /// An error of the proxy. Cuts texts that are too long and replaces zero bytes by U+FFFD.
    #[must_use]
    pub fn new(severity: Severity, sqlstate: SqlState, message: impl Into<String>) -> Self {
        let mut response = Self { fields: Vec::new() };
        response.set(b'S', severity.as_str());
        response.set(b'V', severity.as_str());
        response.set(b'C', sqlstate.as_str());
        response.set(b'M', &message.into());
        response
    }

    /// Adds a detail: the facts behind the message.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.set(b'D', &detail.into());
        self
    }

    /// Adds a hint: what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.set(b'H', &hint.into());
        self
    }

    /// Reads the body of an `ErrorResponse` or a `NoticeResponse`.
    ///
    /// # Errors
    /// A [`DecodeError`] for a wrong layout; [`DecodeError::Malformed`] above [`MAX_LOGIN_MESSAGE`] bytes.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("error or notice", body);
        if body.len() > MAX_LOGIN_MESSAGE {
            return Err(reader.malformed("too many bytes"));
        }
        while reader.byte()? != 0 {
            reader.string()?;
        }
        reader.finish()?;
        let fields = body.split_last().map_or(body, |(_terminator, fields)| fields);
        Ok(Self { fields: fields.to_vec() })
    }

    /// Appends an `ErrorResponse` with these fields.
    pub fn encode(&self, out: &mut BytesMut) {
        self.encode_as(tag::ERROR_RESPONSE, out);
    }

    /// Appends a `NoticeResponse` with these fields.
    pub fn encode_as_notice(&self, out: &mut BytesMut) {
        self.encode_as(tag::NOTICE_RESPONSE, out);
    }

    /// Appends a message with this tag and these fields.
    fn encode_as(&self, tag: u8, out: &mut BytesMut) {
        Header { tag, body_length: self.fields.len() + 1 }.encode(out);
        out.put_slice(&self.fields);
        out.put_u8(0);
    }

    /// The value of the first field with this code.
    #[must_use]
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.fields().find(|(known, _)| *known == code).map(|(_, value)| value)
    }

    /// Codes and values in their order.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut fields = self.fields.split(|byte| *byte == 0);
        iter::from_fn(move || fields.next()?.split_first().map(|(code, value)| (*code, value)))
    }

    /// The severity, such as `ERROR` or `FATAL`; untranslated if the server is 9.6 or later.
    #[must_use]
    pub fn severity(&self) -> Option<Cow<'_, str>> {
        self.text(b'V').or_else(|| self.text(b'S'))
    }

    /// The SQLSTATE, five characters.
    #[must_use]
    pub fn sqlstate(&self) -> Option<Cow<'_, str>> {
        self.text(b'C')
    }

    /// Whether the SQLSTATE is this one.
    #[must_use]
    pub fn is(&self, sqlstate: SqlState) -> bool {
        self.get(b'C') == Some(sqlstate.as_str().as_bytes())
    }

    /// The primary message, usually one line.
    #[must_use]
    pub fn message(&self) -> Option<Cow<'_, str>> {
        self.text(b'M')
    }

    /// The facts behind the message.
    #[must_use]
    pub fn detail(&self) -> Option<Cow<'_, str>> {
        self.text(b'D')
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<Cow<'_, str>> {
        self.text(b'H')
    }

    /// Sets or replaces the hint. Does nothing if the other fields leave no room for it.
    pub fn set_hint(&mut self, hint: impl Into<String>) {
        self.set(b'H', &hint.into());
    }

    fn text(&self, code: u8) -> Option<Cow<'_, str>> {
        self.get(code).map(String::from_utf8_lossy)
    }

    /// Replaces the first field with this code, or appends one.
    fn set(&mut self, code: u8, text: &str) {
        let old_length = self.get(code).map_or(0, |old| old.len() + 2);
        // 3: the code and terminator of the field, and the terminator of the message.
        let Some(room) = (MAX_OWN_BODY + old_length).checked_sub(self.fields.len() + 3) else { return };
        let text = text.replace('\0', "\u{fffd}");
        let text = text.get(..text.floor_char_boundary(room)).unwrap_or_default();

        let mut fields = Vec::with_capacity(self.fields.len() + text.len() + 2);
        let mut new = Some(text.as_bytes());
        for (known, old) in self.fields() {
            let value = if known == code { new.take().unwrap_or(old) } else { old };
            push_field(&mut fields, known, value);
        }
        if let Some(value) = new {
            push_field(&mut fields, code, value);
        }
        self.fields = fields;
    }
}

/// Shows all fields: they are meant for the application and the log.
impl fmt::Debug for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.fields().map(|(code, value)| (char::from(code), String::from_utf8_lossy(value))))
            .finish()
    }
}

fn push_field(fields: &mut Vec<u8>, code: u8, value: &[u8]) {
    fields.push(code);
    fields.extend_from_slice(value);
    fields.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> ErrorResponse {
        ErrorResponse::new(Severity::Fatal, SqlState::InvalidPassword, "no")
    }

    fn encode(error: &ErrorResponse) -> BytesMut {
        let mut out = BytesMut::new();
        error.encode(&mut out);
        out
    }

    #[test]
    fn debug_shows_the_fields() {
        assert_eq!(format!("{:?}", example()), r#"{'S': "FATAL", 'V': "FATAL", 'C': "28P01", 'M': "no"}"#);
    }

    #[test]
    fn an_error_of_the_proxy_has_the_bytes_of_the_manual() {
        let out = encode(&example().with_detail("d").with_hint("h"));
        assert_eq!(out[..], b"E\0\0\0\x24SFATAL\0VFATAL\0C28P01\0Mno\0Dd\0Hh\0\0"[..]);
        let mut out = BytesMut::new();
        ErrorResponse::new(Severity::Notice, SqlState::AdminShutdown, "")
            .encode_as(tag::NOTICE_RESPONSE, &mut out);
        assert_eq!(out[..], b"N\0\0\0\x1eSNOTICE\0VNOTICE\0C57P01\0M\0\0"[..]);
    }

    #[test]
    fn accessors_return_their_fields() {
        let error = example().with_hint("h\u{e4}");
        assert_eq!(error.severity().as_deref(), Some("FATAL"));
        assert_eq!(error.sqlstate().as_deref(), Some("28P01"));
        assert!(error.is(SqlState::InvalidPassword) && !error.is(SqlState::InternalError));
        assert_eq!(error.message().as_deref(), Some("no"));
        assert_eq!(error.hint().as_deref(), Some("h\u{e4}"));
        assert_eq!(error.detail(), None);
        assert_eq!(ErrorResponse::decode(b"SERROR\0\0").unwrap().severity().as_deref(), Some("ERROR"));
    }

    #[test]
    fn a_new_hint_keeps_unknown_and_non_utf8_fields() {
        let mut error = ErrorResponse::decode(b"SFATAL\0x\xff\0Hold\0M\0Hsecond\0yz\0\0").unwrap();
        error.set_hint("new");
        assert_eq!(encode(&error)[5..], b"SFATAL\0x\xff\0Hnew\0M\0Hsecond\0yz\0\0"[..]);
    }

    #[test]
    fn broken_layouts_are_refused() {
        for body in [&b""[..], b"S", b"SFATAL", b"SFATAL\0", b"SFATAL\0M\0"] {
            assert!(matches!(ErrorResponse::decode(body), Err(DecodeError::Truncated { .. })), "{body:?}");
        }
        let refused = ErrorResponse::decode(b"SFATAL\0\0Mx\0").unwrap_err();
        assert_eq!(refused, DecodeError::TrailingBytes { message: "error or notice", count: 3 });
        assert_eq!(ErrorResponse::decode(b"\0").unwrap().fields().count(), 0);
        assert!(ErrorResponse::decode(&vec![b'x'; MAX_LOGIN_MESSAGE + 1]).is_err());
    }

    #[test]
    fn zero_bytes_cannot_inject_fields() {
        let error = ErrorResponse::new(Severity::Error, SqlState::InternalError, "a\0Hforged");
        assert_eq!(error.hint(), None);
        assert_eq!(error.message().as_deref(), Some("a\u{fffd}Hforged"));
    }

    #[test]
    fn a_message_without_room_gets_no_hint() {
        let body = [b"M", &vec![b'x'; 40_000][..], b"\0\0"].concat();
        let mut error = ErrorResponse::decode(&body).unwrap();
        error.set_hint("h");
        assert_eq!(error.hint(), None);
        assert_eq!(error.message().map(|message| message.len()), Some(40_000));
    }
}
