//! The startup packet and its parameters.

use std::borrow::Cow;
use std::fmt;
use std::iter;

use bytes::{BufMut, BytesMut};

use crate::secret::{Secret, make_room};
use crate::wire::error::{check_name, check_string};
use crate::wire::reader::Reader;
use crate::wire::{DecodeError, EncodeError, ProtocolVersion};

/// The most bytes after the length word of a startup packet: `MAX_STARTUP_PACKET_LENGTH` in PostgreSQL's
/// `src/include/libpq/pqcomm.h`, compared with the length without the word (`backend_startup.c`).
pub const MAX_STARTUP_PACKET: usize = 10_000;

const NAME: &str = "startup packet";

/// A protocol version and parameters in their order, duplicates included.
///
/// Names and values are bytes, because the startup packet defines no encoding. A value may be a password, so all values
/// are wiped when dropped and hidden from `Debug`.
#[derive(Clone)]
pub struct StartupMessage {
    /// The version that the application requested; its major is 3 in a decoded message.
    pub version: ProtocolVersion,
    /// A sequence of `name 0 value 0` as on the wire, without the final zero byte. No name is empty.
    pairs: Secret,
}

impl StartupMessage {
    /// A message without parameters.
    #[must_use]
    pub fn new(version: ProtocolVersion) -> Self {
        Self { version, pairs: Secret::new([]) }
    }

    /// Reads the parameters after the version.
    pub(super) fn decode(version: ProtocolVersion, list: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(NAME, list);
        while !reader.string()?.is_empty() {
            reader.string()?;
        }
        reader.finish()?;
        let pairs = list.split_last().map_or(list, |(_terminator, pairs)| pairs);
        Ok(Self { version, pairs: Secret::new(pairs) })
    }

    /// The value of a parameter, the last one if there are several, as in PostgreSQL (`ProcessStartupPacket` in
    /// `backend_startup.c`).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().filter(|(known, _)| *known == name.as_bytes()).map(|(_, value)| value).last()
    }

    /// The value of a parameter as text, with U+FFFD for bytes that are not UTF-8. Not for secrets: the copy is not wiped.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Removes a parameter with its duplicates and returns the value that [`Self::get`] gave.
    pub fn remove(&mut self, name: &str) -> Option<Secret> {
        let removed = Secret::new(self.get(name)?);
        let mut pairs = Vec::with_capacity(self.pairs.len());
        for (known, value) in self.iter().filter(|(known, _)| *known != name.as_bytes()) {
            push_pair(&mut pairs, known, value);
        }
        self.pairs = Secret::new(pairs);
        Some(removed)
    }

    /// Sets a parameter: replaces its first occurrence or appends it, and removes further occurrences.
    ///
    /// # Errors
    /// [`EncodeError::Empty`] for an empty name, [`EncodeError::ZeroByte`] for a name or value with a zero byte. The
    /// message is unchanged then.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), EncodeError> {
        check_name("name of a startup parameter", name.as_bytes())?;
        check_string("value of a startup parameter", value)?;
        // Enough for both cases: a vector that grows leaves copies of passwords behind.
        let mut pairs = Vec::with_capacity(self.pairs.len() + name.len() + value.len() + 2);
        let mut replaced = false;
        for (known, old) in self.iter() {
            if known != name.as_bytes() {
                push_pair(&mut pairs, known, old);
            } else if !replaced {
                push_pair(&mut pairs, known, value);
                replaced = true;
            }
        }
        if !replaced {
            push_pair(&mut pairs, name.as_bytes(), value);
        }
        self.pairs = Secret::new(pairs);
        Ok(())
    }

    /// The names, for log lines, with U+FFFD for bytes that are not UTF-8.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.iter().map(|(name, _)| String::from_utf8_lossy(name))
    }

    /// Names and values in their order. A value may be a password.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut pieces = self.pairs.expose().split(|byte| *byte == 0);
        iter::from_fn(move || Some((pieces.next()?, pieces.next()?)))
    }

    /// Appends the whole packet, length word included.
    ///
    /// A parameter may be a password: send `out` and [wipe](crate::secret::wipe) it. The space is reserved before the
    /// first byte is written, so no copy stays in a smaller buffer.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] above [`MAX_STARTUP_PACKET`]; `out` is unchanged then.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        let length = 4 + self.pairs.len() + 1;
        if length > MAX_STARTUP_PACKET {
            return Err(EncodeError::TooLong { message: NAME, length, limit: MAX_STARTUP_PACKET });
        }
        let word = u32::try_from(4 + length).unwrap_or(u32::MAX);
        make_room(out, 4 + length);
        out.put_u32(word);
        out.put_u32(self.version.to_wire());
        out.put_slice(self.pairs.expose());
        out.put_u8(0);
        Ok(())
    }
}

impl fmt::Debug for StartupMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.debug_struct("StartupMessage")
            .field("version", &self.version)
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

fn push_pair(pairs: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    pairs.extend_from_slice(name);
    pairs.push(0);
    pairs.extend_from_slice(value);
    pairs.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(list: &[u8]) -> Result<StartupMessage, DecodeError> {
        StartupMessage::decode(ProtocolVersion::V3_0, list)
    }

    fn pairs(startup: &StartupMessage) -> Vec<(&[u8], &[u8])> {
        startup.iter().collect()
    }

    #[test]
    fn order_duplicates_and_non_utf8_bytes_are_kept() {
        let startup = decode(b"user\0a\0x\0\0user\0\xff\0_pq_.y\0=\0\0").unwrap();
        assert_eq!(
            pairs(&startup),
            [
                (&b"user"[..], &b"a"[..]),
                (&b"x"[..], &b""[..]),
                (&b"user"[..], &b"\xff"[..]),
                (&b"_pq_.y"[..], &b"="[..])
            ]
        );
    }

    #[test]
    fn get_returns_the_last_duplicate_as_postgresql_does() {
        let startup = decode(b"user\0first\0user\0last\0\0").unwrap();
        assert_eq!(startup.get("user"), Some(&b"last"[..]));
        assert_eq!(startup.text("user").as_deref(), Some("last"));
        assert_eq!(startup.get("use"), None);
    }

    #[test]
    fn a_list_without_its_terminator_is_refused() {
        let truncated = DecodeError::Truncated { message: NAME };
        for list in [&b""[..], b"user", b"user\0", b"user\0a", b"user\0a\0", b"user\0\0"] {
            assert_eq!(decode(list).unwrap_err(), truncated, "{list:?}");
        }
        assert_eq!(decode(b"\0\0").unwrap_err(), DecodeError::TrailingBytes { message: NAME, count: 1 });
        assert_eq!(
            decode(b"user\0a\0\0b\0").unwrap_err(),
            DecodeError::TrailingBytes { message: NAME, count: 2 }
        );
    }

    #[test]
    fn set_replaces_in_place_or_appends() {
        let mut startup = decode(b"a\0one\0b\0two\0a\0three\0\0").unwrap();
        startup.set("a", b"new").unwrap();
        startup.set("c", b"").unwrap();
        assert_eq!(
            pairs(&startup),
            [(&b"a"[..], &b"new"[..]), (&b"b"[..], &b"two"[..]), (&b"c"[..], &b""[..])]
        );
    }

    #[test]
    fn set_refuses_empty_names_and_zero_bytes() {
        let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
        assert!(matches!(startup.set("", b"x"), Err(EncodeError::Empty { .. })));
        assert!(matches!(startup.set("a\0b", b"x"), Err(EncodeError::ZeroByte { .. })));
        assert!(matches!(startup.set("a", b"x\0host\0evil"), Err(EncodeError::ZeroByte { .. })));
        assert_eq!(startup.iter().count(), 0);
    }

    #[test]
    fn remove_removes_every_duplicate() {
        let mut startup = decode(b"password\0old\0user\0u\0password\0new\0\0").unwrap();
        let removed = startup.remove("password").unwrap();
        assert_eq!(removed.expose(), b"new");
        assert_eq!(pairs(&startup), [(&b"user"[..], &b"u"[..])]);
        assert!(startup.remove("password").is_none());
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let mut startup = StartupMessage::new(ProtocolVersion::V3_2);
        startup.set("user", b"alice").unwrap();
        startup.set("password", b"hunter2").unwrap();
        let shown = format!("{startup:?}");
        assert!(shown.contains("user") && shown.contains("password"), "{shown}");
        assert!(!shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_length_limit_is_that_of_postgresql() {
        let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
        let fitting = vec![b'x'; MAX_STARTUP_PACKET - 4 - "password".len() - 2 - 1];
        startup.set("password", &fitting).unwrap();
        let mut out = BytesMut::new();
        startup.encode(&mut out).unwrap();
        assert_eq!(out.len(), 4 + MAX_STARTUP_PACKET);

        startup.set("password", &[&fitting[..], b"x"].concat()).unwrap();
        let mut out = BytesMut::new();
        assert!(matches!(startup.encode(&mut out), Err(EncodeError::TooLong { length: 10_001, .. })));
        assert!(out.is_empty());
    }
}
