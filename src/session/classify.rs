//! The side at fault and the reason of a failure, for logs and metrics.

use super::{Failure, Fault};
use crate::catalog::LookupError;

impl Failure {
    /// The side at fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Application(_)
            | Self::ApplicationGone(_)
            | Self::ApplicationTls(_)
            | Self::UnexpectedTls
            | Self::DirectTlsWithoutAlpn
            | Self::Plaintext
            | Self::RepeatedRequest(_)
            | Self::MissingParameter { .. }
            | Self::CancelWithoutTarget
            | Self::InvalidTarget(_)
            | Self::Startup(_)
            | Self::Password(_)
            | Self::Token(_)
            | Self::Idle(_)
            | Self::Lookup(LookupError::Unknown { .. } | LookupError::Ambiguous { .. }) => Fault::Application,
            Self::Lookup(
                LookupError::Refused { .. } | LookupError::Stale { .. } | LookupError::TooOld { .. },
            )
            | Self::Mint(_)
            | Self::TooManyConnections(_)
            | Self::TooManyConnectionsOfPeer(_)
            | Self::TooManyLogins(_)
            | Self::LoginDropped(_)
            | Self::PendingDropped
            | Self::ShuttingDown => Fault::Proxy,
            Self::Refused { .. } => Fault::Database,
            Self::Timeout { fault, .. } => *fault,
            Self::CancelRefused(_)
            | Self::Silent(..)
            | Self::Unreachable { .. }
            | Self::RefusedLate { .. }
            | Self::HopGone { .. }
            | Self::HopLost { .. }
            | Self::HopProtocol { .. }
            | Self::HopTls { .. }
            | Self::NoTls { .. }
            | Self::UnverifiedTunnel(_)
            | Self::ErrorBeforeTls(_)
            | Self::NotPostgres { .. }
            | Self::HungUpBeforeTls(_)
            | Self::LoginOrder { .. }
            | Self::MethodNotAllowed { .. }
            | Self::SecondPasswordRequest(_)
            | Self::UnsupportedSasl { .. }
            | Self::UnsupportedMethod { .. }
            | Self::Scram { .. }
            | Self::EndlessLogin(..) => Fault::Hop,
        }
    }

    /// The reason as a label of metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Application(_)
            | Self::UnexpectedTls
            | Self::DirectTlsWithoutAlpn
            | Self::RepeatedRequest(_) => "application_protocol",
            Self::Plaintext => "plaintext",
            Self::ApplicationGone(_) => "application_gone",
            Self::ApplicationTls(_) => "application_tls",
            Self::MissingParameter { .. } | Self::InvalidTarget(_) | Self::Startup(_) | Self::Password(_) => {
                "startup_parameters"
            }
            Self::CancelWithoutTarget => "cancel_without_target",
            Self::CancelRefused(_) => "cancel_refused",
            Self::Lookup(LookupError::Refused { .. }) => "target_acl",
            Self::Lookup(LookupError::TooOld { .. }) => "list_too_old",
            Self::Lookup(
                LookupError::Unknown { .. } | LookupError::Ambiguous { .. } | LookupError::Stale { .. },
            ) => "unknown_target",
            Self::Mint(_) => "aws_credentials",
            Self::TooManyConnections(_) => "max_connections",
            Self::TooManyConnectionsOfPeer(_) => "max_connections_per_peer",
            Self::TooManyLogins(full) => full.key,
            Self::LoginDropped(_) => "login_dropped",
            Self::PendingDropped => "pending_dropped",
            Self::ShuttingDown => "shutdown",
            Self::Idle(_) => "idle_timeout",
            Self::Timeout { .. } | Self::Silent(..) => "timeout",
            Self::Unreachable { .. } | Self::RefusedLate { .. } => "unreachable",
            Self::HopGone { .. } | Self::HopLost { .. } => "hop_gone",
            Self::HopTls { .. }
            | Self::NoTls { .. }
            | Self::UnverifiedTunnel(_)
            | Self::ErrorBeforeTls(_)
            | Self::HungUpBeforeTls(_) => "hop_tls",
            Self::HopProtocol { .. }
            | Self::NotPostgres { .. }
            | Self::LoginOrder { .. }
            | Self::SecondPasswordRequest(_)
            | Self::UnsupportedSasl { .. }
            | Self::UnsupportedMethod { .. }
            | Self::EndlessLogin(..) => "hop_protocol",
            Self::MethodNotAllowed { .. } => "auth_method",
            Self::Token(_) => "token",
            Self::Scram { .. } | Self::Refused { .. } => "login_refused",
        }
    }
}
