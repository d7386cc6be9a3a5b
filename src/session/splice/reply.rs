//! What the start of a hop's bytes shows about its last reply. Nothing else of a session is read.

use crate::wire::{ErrorResponse, Header};

/// The most bytes of an error that are kept.
const MAX_ERROR: usize = 1024;

/// The hop's answer to the application's last bytes.
#[derive(Default)]
pub(super) struct Reply {
    state: State,
    /// The bytes of the last write, if they began with an `ErrorResponse` and were few, as the last message of a database is.
    error: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Its first byte has not arrived.
    Expected,
    /// It begins with a message that starts a COPY.
    Copy,
    /// It begins with another message.
    #[default]
    Other,
}

impl Reply {
    /// The application sent bytes: the next byte of the hop begins a message.
    pub(super) fn expect(&mut self) {
        self.state = State::Expected;
    }

    /// The hop's next bytes.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        if self.state == State::Expected {
            self.state = if begins_copy(bytes) { State::Copy } else { State::Other };
        }
        let is_error = bytes.first() == Some(&b'E') && bytes.len() <= MAX_ERROR;
        self.error = is_error.then(|| bytes.to_vec());
    }

    /// Whether it began a COPY. That may run until the application sends something.
    pub(super) fn copying(&self) -> bool {
        self.state == State::Copy
    }

    /// The error that ended the session, if the hop's last bytes were one. An error in the middle of other bytes is not found.
    pub(super) fn fatal(&self) -> Option<ErrorResponse> {
        let (header, body) = self.error.as_ref()?.split_first_chunk::<{ Header::LENGTH }>()?;
        let header = Header::decode(*header).ok()?;
        let error = ErrorResponse::decode(body.get(..header.body_length)?).ok()?;
        error.severity().is_some_and(|severity| matches!(&*severity, "FATAL" | "PANIC")).then_some(error)
    }
}

/// Whether these bytes begin with `CopyInResponse`, `CopyOutResponse`, `CopyBothResponse` or `CopyData`, behind the empty
/// messages that answer an extended query first (PostgreSQL manual, "Message Formats").
fn begins_copy(mut reply: &[u8]) -> bool {
    while let [b'1' | b'2' | b'3' | b'n', 0, 0, 0, 4, rest @ ..] = reply {
        reply = rest;
    }
    matches!(reply, [b'G' | b'H' | b'W' | b'd', ..])
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::wire::{Severity, SqlState};

    #[test]
    fn only_a_fatal_error_at_the_end_is_one() {
        let bytes = |severity| {
            let mut bytes = BytesMut::new();
            ErrorResponse::new(severity, SqlState::AdminShutdown, "terminating").encode(&mut bytes);
            bytes
        };
        let mut reply = Reply::default();
        assert!(reply.fatal().is_none());
        reply.note(&bytes(Severity::Fatal));
        assert_eq!(reply.fatal().unwrap().sqlstate().unwrap(), "57P01");
        reply.note(b"Z\0\0\0\x05I");
        assert!(reply.fatal().is_none(), "the session went on");
        reply.note(&bytes(Severity::Error));
        assert!(reply.fatal().is_none());
        for end in 0..bytes(Severity::Fatal).len() {
            reply.note(&bytes(Severity::Fatal)[..end]);
            assert!(reply.fatal().is_none(), "cut at {end}");
        }
    }
}
