//! What a database says when something fails or is worth knowing, and what we say in its place.

use std::borrow::Cow;
use std::fmt;
use std::iter;

use bytes::{BufMut, BytesMut};

use crate::wire::header::{Header, MAX_LOGIN_MESSAGE, tag};
use crate::wire::reader::Reader;
use crate::wire::{DecodeError, Severity, SqlState};

/// How long the body of a message with a text of ours may become: libpq takes a longer error before `AuthenticationOk`
/// for one of a server before 7.4 (`MAX_ERRLEN` in `fe-connect.c`, which counts the length word).
const MAX_OWN_BODY: usize = 30_000 - 4;

/// The fields of an `ErrorResponse` or a `NoticeResponse`, in the order they were sent.
///
/// Fields that nobody here knows are kept word for word (manual, "Error and Notice Message Fields").
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// `code value 0`, again and again, as on the wire, without the last terminator.
    fields: Vec<u8>,
}

impl ErrorResponse {
    /// An error of our own. Texts that are too long are cut, zero bytes in them replaced.
    #[must_use]
    pub fn new(severity: Severity, sqlstate: SqlState, message: impl Into<String>) -> Self {
        let mut response = Self { fields: Vec::new() };
        response.set(b'S', severity.as_str());
        response.set(b'V', severity.as_str());
        response.set(b'C', sqlstate.as_str());
        response.set(b'M', &message.into());
        response
    }

    /// The same with a detail: facts behind the message.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.set(b'D', &detail.into());
        self
    }

    /// The same with a hint: what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.set(b'H', &hint.into());
        self
    }

    /// Reads the body of an `ErrorResponse` or a `NoticeResponse`.
    ///
    /// # Errors
    /// What is wrong with the layout, or [`DecodeError::Malformed`] beyond [`MAX_LOGIN_MESSAGE`] bytes.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "error or notice";
        if body.len() > MAX_LOGIN_MESSAGE {
            return Err(DecodeError::Malformed { what: WHAT, fault: "too many bytes" });
        }
        let mut reader = Reader::new(WHAT, body);
        while reader.byte()? != 0 {
            reader.string()?;
        }
        reader.finish()?;
        let fields = body.split_last().map_or(body, |(_terminator, fields)| fields);
        Ok(Self { fields: fields.to_vec() })
    }

    /// Appends it as an `ErrorResponse`.
    pub fn encode(&self, out: &mut BytesMut) {
        self.encode_as(tag::ERROR_RESPONSE, out);
    }

    /// Appends it with this tag: both messages have the same body.
    pub(super) fn encode_as(&self, tag: u8, out: &mut BytesMut) {
        Header { tag, body_length: self.fields.len() + 1 }.encode(out);
        out.put_slice(&self.fields);
        out.put_u8(0);
    }

    /// The value of a field; of the first where there are several.
    #[must_use]
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.fields().find(|(known, _)| *known == code).map(|(_, value)| value)
    }

    /// Codes and values in order.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut fields = self.fields.split(|byte| *byte == 0);
        iter::from_fn(move || fields.next()?.split_first().map(|(code, value)| (*code, value)))
    }

    /// `ERROR`, `FATAL` and so on; the untranslated word where the server sends it (from 9.6).
    #[must_use]
    pub fn severity(&self) -> Option<Cow<'_, str>> {
        self.text(b'V').or_else(|| self.text(b'S'))
    }

    /// The five-character code.
    #[must_use]
    pub fn sqlstate(&self) -> Option<Cow<'_, str>> {
        self.text(b'C')
    }

    /// Whether it has this code.
    #[must_use]
    pub fn is(&self, sqlstate: SqlState) -> bool {
        self.get(b'C') == Some(sqlstate.as_str().as_bytes())
    }

    /// What happened, in one line.
    #[must_use]
    pub fn message(&self) -> Option<Cow<'_, str>> {
        self.text(b'M')
    }

    /// The facts behind it.
    #[must_use]
    pub fn detail(&self) -> Option<Cow<'_, str>> {
        self.text(b'D')
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<Cow<'_, str>> {
        self.text(b'H')
    }

    /// Gives it a hint, or another one; all else stays as it is. It stays away where the message is too long for one.
    pub fn set_hint(&mut self, hint: impl Into<String>) {
        self.set(b'H', &hint.into());
    }

    fn text(&self, code: u8) -> Option<Cow<'_, str>> {
        self.get(code).map(String::from_utf8_lossy)
    }

    /// Replaces the first field of that code, or appends one.
    fn set(&mut self, code: u8, text: &str) {
        let old_length = self.get(code).map_or(0, |old| old.len() + 2);
        // Beside the text: its code and its end, and the end of the message.
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

    /// They are the words of a database or our own, meant for the application and the log.
    #[test]
    fn debug_shows_the_fields() {
        let shown = format!("{:?}", example());
        assert_eq!(shown, r#"{'S': "FATAL", 'V': "FATAL", 'C': "28P01", 'M': "no"}"#);
    }

    #[test]
    fn an_error_of_ours_has_the_bytes_of_the_manual() {
        let mut out = BytesMut::new();
        example().with_detail("d").with_hint("h").encode(&mut out);
        assert_eq!(out[..], b"E\0\0\0\x24SFATAL\0VFATAL\0C28P01\0Mno\0Dd\0Hh\0\0"[..]);
        let mut out = BytesMut::new();
        ErrorResponse::new(Severity::Notice, SqlState::AdminShutdown, "")
            .encode_as(tag::NOTICE_RESPONSE, &mut out);
        assert_eq!(out[..], b"N\0\0\0\x1eSNOTICE\0VNOTICE\0C57P01\0M\0\0"[..]);
    }

    #[test]
    fn fields_are_read_by_name() {
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
    fn a_new_hint_leaves_unknown_and_odd_fields_alone() {
        let mut error = ErrorResponse::decode(b"SFATAL\0x\xff\0Hold\0M\0Hsecond\0yz\0\0").unwrap();
        error.set_hint("new");
        let mut out = BytesMut::new();
        error.encode(&mut out);
        assert_eq!(out[5..], b"SFATAL\0x\xff\0Hnew\0M\0Hsecond\0yz\0\0"[..]);
    }

    #[test]
    fn broken_layouts_are_refused() {
        for body in [&b""[..], b"S", b"SFATAL", b"SFATAL\0", b"SFATAL\0M\0"] {
            assert!(matches!(ErrorResponse::decode(body), Err(DecodeError::Truncated { .. })), "{body:?}");
        }
        let refused = ErrorResponse::decode(b"SFATAL\0\0Mx\0").unwrap_err();
        assert_eq!(refused, DecodeError::TrailingBytes { what: "error or notice", count: 3 });
        assert_eq!(ErrorResponse::decode(b"\0").unwrap().fields().count(), 0);
        assert!(ErrorResponse::decode(&vec![b'x'; MAX_LOGIN_MESSAGE + 1]).is_err());
    }

    #[test]
    fn zero_bytes_cannot_forge_fields() {
        let error = ErrorResponse::new(Severity::Error, SqlState::InternalError, "a\0Hforged");
        assert_eq!(error.hint(), None);
        assert_eq!(error.message().as_deref(), Some("a\u{fffd}Hforged"));
    }

    #[test]
    fn texts_are_cut_at_what_libpq_reads() {
        let error = ErrorResponse::new(Severity::Error, SqlState::InternalError, "\u{20ac}".repeat(20_000));
        let mut out = BytesMut::new();
        error.clone().with_hint("h").encode(&mut out);
        assert!((29_990..=30_001).contains(&out.len()), "{}", out.len());
        assert_eq!(ErrorResponse::decode(&out[5..]).unwrap().message(), error.message());
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
