//! What can be wrong with bytes that came in, and with values that are to go out.

use std::ascii::escape_default;

use crate::wire::ProtocolVersion;

/// Bytes that are not the message they should be. The peer that sent them is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The length word of the first packet is out of bounds. `length` counts the word itself.
    #[error(
        "the first packet claims to be {length} bytes long, but a startup packet has 8 to 10,004: either this is \
         not the PostgreSQL protocol, or the connection has too many or too long startup parameters"
    )]
    StartupLength {
        /// The length word as it was sent.
        length: u32,
    },

    /// A major protocol version that is not 3.
    #[error("protocol {version} is not supported, only 3.x is: use a driver for PostgreSQL 7.4 or later")]
    UnsupportedMajor {
        /// What the application asked for.
        version: ProtocolVersion,
    },

    /// The length word of a tagged message is out of bounds. `length` counts the word itself.
    #[error(
        "message '{}' claims to be {length} bytes long, but during a login it has {least} to {most}: \
         the peer is broken or not a PostgreSQL {peer}", escape_default(*.tag)
    )]
    MessageLength {
        /// The message's tag.
        tag: u8,
        /// Who sends such messages: "server" or "client".
        peer: &'static str,
        /// The length word as it was sent.
        length: u32,
        /// The least it may be.
        least: usize,
        /// The most it may be.
        most: usize,
    },

    /// A message that does not belong into this part of a login.
    #[error(
        "message '{}' has no place in this part of a login: the peer is broken or not a PostgreSQL {peer}",
        escape_default(*.tag)
    )]
    UnexpectedTag {
        /// The message's tag.
        tag: u8,
        /// Who should have sent something else: "server" or "client".
        peer: &'static str,
    },

    /// The message ends before all of its fields, or a string in it has no end.
    #[error("the {what} ends too early: the peer that sent it is broken")]
    Truncated {
        /// Which message.
        what: &'static str,
    },

    /// Bytes follow the end of the message.
    #[error("the {what} has {count} bytes too many: the peer that sent it is broken")]
    TrailingBytes {
        /// Which message.
        what: &'static str,
        /// How many bytes follow.
        count: usize,
    },

    /// A name that has to be text is not UTF-8.
    #[error("the {what} holds a name that is not UTF-8: the peer that sent it is broken")]
    NotUtf8 {
        /// Which message.
        what: &'static str,
    },

    /// A field has a value that it cannot have.
    #[error("the {what} has {fault}: the peer that sent it is broken")]
    Malformed {
        /// Which message.
        what: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },

    /// A cancel key that is not 4 to 256 bytes long.
    #[error("a cancel key of {length} bytes, but it has 4 to 256: the peer that sent it is broken")]
    CancelKeyLength {
        /// How long it is, in bytes.
        length: usize,
    },

    /// The cancel parameter of another rds-auth-proxy cannot be read.
    #[error(
        "the startup parameter of a cancel request is not of the form PID:HEXKEY: \
         update the rds-auth-proxy that sent it"
    )]
    CancelParameter,
}

/// A value that has no form on the wire. Whoever made the value is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A zero byte would end the string early and let the rest be read as something else.
    #[error("the {what} contains a zero byte, which the PostgreSQL protocol cannot carry")]
    ZeroByte {
        /// Which string.
        what: &'static str,
    },

    /// A string that may not be empty, because an empty one ends the list it stands in.
    #[error("the {what} is empty")]
    Empty {
        /// Which string.
        what: &'static str,
    },

    /// The message would be refused by every receiver.
    #[error("the {what} would be {length} bytes long, and PostgreSQL accepts at most {limit}")]
    TooLong {
        /// Which message.
        what: &'static str,
        /// How long it would be, in bytes, without its length word.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
}

/// Refuses a string that the wire cannot carry: strings there end at the first zero byte.
pub(super) fn check_string(what: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
    if bytes.contains(&0) { Err(EncodeError::ZeroByte { what }) } else { Ok(()) }
}

/// Refuses a name that would end the list it stands in.
pub(super) fn check_name(what: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
    if bytes.is_empty() { Err(EncodeError::Empty { what }) } else { check_string(what, bytes) }
}
