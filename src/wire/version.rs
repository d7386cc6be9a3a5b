//! The version of the protocol.

use std::fmt;

/// A protocol version, such as 3.0 (all of PostgreSQL 7.4 to 17) or 3.2 (PostgreSQL 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProtocolVersion {
    /// Versions with different majors are incompatible. Only 3 is in use.
    pub major: u16,
    /// A server with a lower minor sends `NegotiateProtocolVersion` and continues with its own.
    pub minor: u16,
}

impl ProtocolVersion {
    /// The version that every driver and every server supports.
    pub const V3_0: Self = Self { major: 3, minor: 0 };
    /// PostgreSQL 18: cancel keys may be longer than 4 bytes.
    pub const V3_2: Self = Self { major: 3, minor: 2 };

    pub(super) fn from_wire(code: u32) -> Self {
        let [major_high, major_low, minor_high, minor_low] = code.to_be_bytes();
        Self {
            major: u16::from_be_bytes([major_high, major_low]),
            minor: u16::from_be_bytes([minor_high, minor_low]),
        }
    }

    pub(super) fn to_wire(self) -> u32 {
        u32::from(self.major) << 16 | u32::from(self.minor)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
