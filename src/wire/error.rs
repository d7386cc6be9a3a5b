//! Errors of decoders and encoders.

use std::ascii::escape_default;

use crate::wire::ProtocolVersion;

/// Bytes that are not a valid message. The peer that sent them is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The length of the first packet is outside its limits. Lengths include the length word.
    #[error(
        "the first packet claims to be {length} bytes long, but a startup packet has 8 to 10,004: either this is \
         not the PostgreSQL protocol, or the connection has too many or too long startup parameters"
    )]
    StartupLength {
        /// The length word.
        length: u32,
    },

    /// The first packet is a header of the PROXY protocol (`HAProxy`, "The PROXY protocol", sections 2.1 and 2.2), and none is
    /// expected.
    #[error(
        "the first packet is a PROXY protocol header, which this proxy accepts only from the networks in \
         proxy.proxy_protocol.from: add the load balancer there, or turn the PROXY protocol off at the load balancer"
    )]
    UnexpectedProxyHeader,

    /// The peer is a load balancer that has to send a header of the PROXY protocol.
    #[error(
        "the connection begins without a PROXY protocol header, which proxy.proxy_protocol.from requires of this address: turn \
         the PROXY protocol on at the load balancer, or remove the address from the list"
    )]
    NoProxyHeader,

    /// The major protocol version is not 3.
    #[error("protocol {version} is not supported, only 3.x is: use a driver for PostgreSQL 7.4 or later")]
    UnsupportedMajor {
        /// The version that the application requested.
        version: ProtocolVersion,
    },

    /// The length of a tagged message is outside its limits. Lengths include the length word.
    #[error(
        "message '{}' claims to be {length} bytes long, but during a login it has {min} to {max}: \
         the peer is broken or not a PostgreSQL {peer}", escape_default(*.tag)
    )]
    MessageLength {
        /// The tag of the message.
        tag: u8,
        /// The side that sends such messages: "server" or "client".
        peer: &'static str,
        /// The length word.
        length: u32,
        /// The smallest length allowed.
        min: usize,
        /// The largest length allowed.
        max: usize,
    },

    /// A message that this part of a login does not allow.
    #[error(
        "message '{}' is not allowed in this part of a login: the peer is broken or not a PostgreSQL {peer}",
        escape_default(*.tag)
    )]
    UnexpectedTag {
        /// The tag of the message.
        tag: u8,
        /// The side that sent it: "server" or "client".
        peer: &'static str,
    },

    /// The message ends before its last field, or a string in it has no terminator.
    #[error("the {message} ends too early: the peer that sent it is broken")]
    Truncated {
        /// The name of the message.
        message: &'static str,
    },

    /// Bytes follow the end of the message.
    #[error("the {message} has {count} bytes too many: the peer that sent it is broken")]
    TrailingBytes {
        /// The name of the message.
        message: &'static str,
        /// The number of bytes that follow.
        count: usize,
    },

    /// A name is not UTF-8.
    #[error("the {message} holds a name that is not UTF-8: the peer that sent it is broken")]
    NotUtf8 {
        /// The name of the message.
        message: &'static str,
    },

    /// A field has an impossible value.
    #[error("the {message} has {problem}: the peer that sent it is broken")]
    Malformed {
        /// The name of the message.
        message: &'static str,
        /// The impossible value.
        problem: &'static str,
    },

    /// The length of a cancel key is not 4 to 256 bytes.
    #[error("a cancel key has {length} bytes, but 4 to 256 are allowed: the peer that sent it is broken")]
    CancelKeyLength {
        /// Its length in bytes.
        length: usize,
    },

    /// The cancel parameter that another rds-auth-proxy sent is malformed.
    #[error(
        "the startup parameter of a cancel request is not of the form PID:HEXKEY: \
         update the rds-auth-proxy that sent it"
    )]
    CancelParameter,
}

/// A value that the protocol cannot carry. The side that made the value is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A zero byte would end the string early, and the receiver would read the rest as another field.
    #[error("the {string} contains a zero byte, which the PostgreSQL protocol cannot carry")]
    ZeroByte {
        /// The name of the string.
        string: &'static str,
    },

    /// A string in a list is empty, which would end the list.
    #[error("the {string} is empty")]
    Empty {
        /// The name of the string.
        string: &'static str,
    },

    /// The message is longer than receivers accept.
    #[error("the {message} would be {length} bytes long, and PostgreSQL accepts at most {limit}")]
    TooLong {
        /// The name of the message.
        message: &'static str,
        /// Its length in bytes, without the length word.
        length: usize,
        /// The largest length in bytes.
        limit: usize,
    },
}

/// Refuses a string with a zero byte: on the wire it would end there.
pub(super) fn check_string(string: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
    if bytes.contains(&0) { Err(EncodeError::ZeroByte { string }) } else { Ok(()) }
}

/// Refuses an empty name, which would end the list it is part of, and a name with a zero byte.
pub(super) fn check_name(string: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
    if bytes.is_empty() { Err(EncodeError::Empty { string }) } else { check_string(string, bytes) }
}
