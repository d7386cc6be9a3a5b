//! The TLS mode of a connection.

use std::fmt;
use std::str::FromStr;

/// libpq's `sslmode`: how much TLS a connection demands (PostgreSQL manual, "SSL Support").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS if the server supports it; the certificate is not verified.
    Prefer,
    /// TLS; the certificate is not verified, unless a root certificate is configured: then as [`SslMode::VerifyCa`].
    Require,
    /// TLS with a certificate of a trusted CA, for any name.
    VerifyCa,
    /// TLS with a certificate of a trusted CA for the dialled name.
    VerifyFull,
}

/// The text is no TLS mode.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a TLS mode; the modes are {}", SslMode::NAMES.join(", "))]
pub struct UnknownSslMode {
    text: String,
}

impl SslMode {
    /// The names of all modes, for error messages.
    pub const NAMES: [&'static str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

    /// Whether it verifies certificates, whatever roots are configured.
    #[must_use]
    pub fn verifies(self) -> bool {
        match self {
            Self::VerifyCa | Self::VerifyFull => true,
            Self::Disable | Self::Prefer | Self::Require => false,
        }
    }

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

impl FromStr for SslMode {
    type Err = UnknownSslMode;

    fn from_str(text: &str) -> Result<Self, UnknownSslMode> {
        match text {
            "disable" => Ok(Self::Disable),
            // The spelling of the Go program.
            "prefer" | "preferred" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(UnknownSslMode { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_mode() {
        for name in SslMode::NAMES {
            assert_eq!(name.parse::<SslMode>().unwrap().name(), name);
        }
        assert_eq!("preferred".parse(), Ok(SslMode::Prefer));
        assert!("Require".parse::<SslMode>().is_err());
    }
}
