//! What the application reads of a failure: SQLSTATE, a sentence, and what to do.

use std::io;

use super::Failure;
use crate::catalog::LookupError;
use crate::tls::TlsError;
use crate::wire::{DecodeError, ErrorResponse, Severity, SqlState};

/// What to look at where somebody else answers than was meant, or nobody.
const CHECK_ADDRESS: &str = "Check that it runs, and that its host and port are right in the configuration.";

/// What to do where the other side wants to know who we are.
const SHOW_CERTIFICATE: &str =
    "Set client_certificate and client_private_key to a certificate that the other side trusts.";

impl Failure {
    /// What the application reads; nothing where it has gone or the hop's own words were passed on already.
    #[must_use]
    pub fn response(&self) -> Option<ErrorResponse> {
        // Who sends a cancel request expects no answer.
        if matches!(
            self,
            Self::ApplicationGone(_)
                | Self::CancelWithoutTarget
                | Self::CancelRefused { .. }
                | Self::Refused { .. }
                | Self::Unheard
        ) {
            return None;
        }
        let response =
            ErrorResponse::new(Severity::Fatal, self.sqlstate(), format!("rds-auth-proxy: {}", self.text()));
        Some(match self.hint() {
            Some(hint) => response.with_hint(hint),
            None => response,
        })
    }

    /// Why this proxy cannot list the databases is for those who run it: the reason names its AWS identity.
    fn text(&self) -> String {
        match self {
            Self::Lookup(LookupError::Stale { wanted, .. }) => format!(
                "the target \"{wanted}\" is not known, and the list of RDS databases may be out of date; the log of \
                 the proxy tells why"
            ),
            _ => self.to_string(),
        }
    }

    fn sqlstate(&self) -> SqlState {
        match self {
            Self::Lookup(LookupError::Unknown { .. } | LookupError::Ambiguous { .. }) => {
                SqlState::InvalidCatalogName
            }
            Self::MissingParameter { .. } | Self::InvalidTarget(_) | Self::Lookup(_) | Self::Mint(_) => {
                SqlState::InvalidAuthorizationSpecification
            }
            Self::TooManyConnections { .. } | Self::TooManyConnectionsOfPeer { .. } => {
                SqlState::TooManyConnections
            }
            Self::ShuttingDown => SqlState::AdminShutdown,
            Self::Idle(_) => SqlState::IdleSessionTimeout,
            Self::Timeout { .. } | Self::HopGone { .. } | Self::HopLost { .. } => SqlState::ConnectionFailure,
            Self::Scram { .. } | Self::Password { .. } => SqlState::InvalidPassword,
            Self::Application(DecodeError::UnsupportedMajor { .. })
            | Self::UnsupportedSasl { .. }
            | Self::UnsupportedMethod { .. } => SqlState::FeatureNotSupported,
            Self::Unreachable { .. }
            | Self::HopTls { .. }
            | Self::NoTls { .. }
            | Self::ErrorBeforeTls { .. }
            | Self::NotPostgres { .. }
            | Self::HungUpBeforeTls { .. } => SqlState::SqlclientUnableToEstablishSqlconnection,
            _ => SqlState::ProtocolViolation,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Mint(error) => Some(error.remedy.clone()),
            Self::NoTls { hop, .. } => Some(format!(
                "Turn TLS on at {hop}, or set its ssl mode to disable if the network between is trusted."
            )),
            Self::HopGone { hop, .. } => Some(format!("The log of {hop} tells why.")),
            Self::HopTls { source: TlsError::OwnCertificate { .. }, .. } => Some(SHOW_CERTIFICATE.into()),
            Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
                Some(CHECK_ADDRESS.into())
            }
            Self::NotPostgres { .. } | Self::HungUpBeforeTls { .. } => Some(CHECK_ADDRESS.into()),
            Self::Lookup(LookupError::Unknown { .. }) => Some(
                "Check the name, that the database has IAM authentication on and the tags of target_acl, \
                 and that the proxy's AWS identity may list it."
                    .into(),
            ),
            _ => None,
        }
    }
}
