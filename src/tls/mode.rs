//! How much TLS is asked for.

use std::fmt;
use std::str::FromStr;

/// What a connection demands of TLS, with the names and meaning of libpq's `sslmode` (PostgreSQL manual, "SSL
/// Support").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No TLS.
    Disable,
    /// TLS if the server has it; the certificate is not checked.
    Prefer,
    /// TLS; the certificate is not checked, unless a root certificate is given: then as [`Mode::VerifyCa`].
    Require,
    /// TLS with a certificate of a trusted CA, for whatever name.
    VerifyCa,
    /// TLS with a certificate of a trusted CA for the name that was dialled.
    VerifyFull,
}

/// The text is no TLS mode.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a TLS mode; the modes are {}", Mode::NAMES.join(", "))]
pub struct UnknownMode {
    text: String,
}

impl Mode {
    /// All names that are read, for error messages.
    pub const NAMES: [&'static str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "disable" => Ok(Self::Disable),
            // The Go program wrote it with -ed.
            "prefer" | "preferred" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(UnknownMode { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in Mode::NAMES {
            assert_eq!(name.parse::<Mode>().unwrap().name(), name);
        }
        assert_eq!("preferred".parse(), Ok(Mode::Prefer));
        assert!("Require".parse::<Mode>().is_err());
    }
}
