//! The side at fault and the reason of a failure, for logs and metrics.

use super::response::OWN_ERROR;
use super::{DoorError, Failure, Fault, Reason};
use crate::catalog::LookupError;
use crate::wire::{DecodeError, SqlState};

impl Failure {
    /// The side at fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Application(_)
            | Self::ProxyHeader(_)
            | Self::ApplicationGone(_)
            | Self::BindingWithheld(_)
            | Self::ChannelBinding
            | Self::ApplicationTls(_)
            | Self::UnexpectedTls
            | Self::DirectTlsWithoutAlpn
            | Self::Plaintext
            | Self::OtherUser(_)
            | Self::RepeatedRequest(_)
            | Self::MissingParameter { .. }
            | Self::InvalidTarget(_)
            | Self::Startup(_)
            | Self::Password(_)
            | Self::Token(_)
            | Self::Door(_)
            | Self::Idle(_)
            | Self::Lookup(
                LookupError::Unknown { .. }
                | LookupError::Ambiguous { .. }
                | LookupError::OnlyCaseDiffers { .. }
                | LookupError::Refused { .. },
            ) => Fault::Application,
            Self::Lookup(
                LookupError::Stale { .. } | LookupError::TooOld { .. } | LookupError::Unlisted { .. },
            )
            | Self::Mint(_)
            | Self::AuditQueueFull
            | Self::TooManyConnections(_)
            | Self::TooManyConnectionsOfPeer(_)
            | Self::TooManyLogins(_)
            | Self::LoginDropped(_)
            | Self::PendingDropped
            | Self::Ended(_)
            | Self::ShuttingDown => Fault::Proxy,
            // The half behind the hop refused it, with a sentence of this program.
            Self::Refused { message, .. } if message.starts_with(OWN_ERROR) => Fault::Hop,
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
            | Self::NoDirectTls(_)
            | Self::UnverifiedTunnel(_)
            | Self::ErrorBeforeTls(_)
            | Self::NotPostgres(..)
            | Self::HungUpBeforeTls(_)
            | Self::LoginOrder { .. }
            | Self::ExcludedMethod(_)
            | Self::SecondPasswordRequest(_)
            | Self::UnsupportedSasl { .. }
            | Self::UnsupportedMethod(..)
            | Self::Scram { .. }
            | Self::EndlessLogin(..) => Fault::Hop,
        }
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::ProxyHeader(_) | Self::Application(DecodeError::UnexpectedProxyHeader) => {
                Reason::ProxyHeader
            }
            Self::Application(_)
            | Self::UnexpectedTls
            | Self::DirectTlsWithoutAlpn
            | Self::RepeatedRequest(_) => Reason::ApplicationProtocol,
            Self::Plaintext => Reason::Plaintext,
            Self::OtherUser(_) => Reason::OtherUser,
            Self::ApplicationGone(_) | Self::BindingWithheld(_) => Reason::ApplicationGone,
            Self::ChannelBinding => Reason::ChannelBinding,
            Self::ApplicationTls(_) => Reason::ApplicationTls,
            Self::MissingParameter { .. }
            | Self::InvalidTarget(_)
            | Self::Startup(_)
            | Self::Password(_)
            | Self::Door(DoorError::HostParameter) => Reason::StartupParameters,
            Self::Door(DoorError::CancelWithoutTarget { .. } | DoorError::UnknownKey) => {
                Reason::CancelWithoutTarget
            }
            Self::Door(DoorError::NoTarget { .. }) => Reason::NoTarget,
            Self::Door(DoorError::Certificate(_)) => Reason::ClientCertificate,
            Self::Door(DoorError::ClientNotAllowed { .. } | DoorError::NoClientCertificate { .. }) => {
                Reason::ClientNotAllowed
            }
            Self::CancelRefused(_) => Reason::CancelRefused,
            Self::Lookup(LookupError::Refused { .. }) => Reason::TargetAcl,
            Self::Lookup(LookupError::TooOld { .. }) => Reason::ListTooOld,
            Self::Door(DoorError::Unnamed { .. } | DoorError::Unknown { .. })
            | Self::Lookup(
                LookupError::Unknown { .. }
                | LookupError::Ambiguous { .. }
                | LookupError::OnlyCaseDiffers { .. }
                | LookupError::Stale { .. }
                | LookupError::Unlisted { .. },
            ) => Reason::UnknownTarget,
            Self::Mint(_) => Reason::AwsCredentials,
            Self::AuditQueueFull => Reason::AuditQueueFull,
            Self::TooManyConnections(_) => Reason::MaxConnections,
            Self::TooManyConnectionsOfPeer(_) => Reason::MaxConnectionsPerPeer,
            Self::TooManyLogins(full) => full.reason,
            Self::LoginDropped(_) => Reason::LoginDropped,
            Self::PendingDropped => Reason::PendingDropped,
            Self::ShuttingDown => Reason::Shutdown,
            Self::Idle(_) => Reason::IdleTimeout,
            Self::Ended(_) => Reason::Administrator,
            Self::Timeout { .. } | Self::Silent(..) => Reason::Timeout,
            Self::Unreachable { .. } | Self::RefusedLate { .. } => Reason::Unreachable,
            Self::HopGone { .. } | Self::HopLost { .. } => Reason::HopGone,
            Self::HopTls { .. }
            | Self::NoTls { .. }
            | Self::NoDirectTls(_)
            | Self::UnverifiedTunnel(_)
            | Self::ErrorBeforeTls(_)
            | Self::HungUpBeforeTls(_) => Reason::HopTls,
            Self::HopProtocol { .. }
            | Self::NotPostgres(..)
            | Self::LoginOrder { .. }
            | Self::SecondPasswordRequest(_)
            | Self::UnsupportedSasl { .. }
            | Self::UnsupportedMethod(..)
            | Self::EndlessLogin(..) => Reason::HopProtocol,
            Self::ExcludedMethod(_) => Reason::AuthMethod,
            Self::Token(_) => Reason::Token,
            Self::Scram { .. } => Reason::LoginRefused,
            Self::Refused { sqlstate, message, .. } => refused(sqlstate, message),
        }
    }
}

/// The reason of a refusal that was relayed.
fn refused(sqlstate: &str, message: &str) -> Reason {
    let is = |state: SqlState| sqlstate == state.as_str();
    if message.starts_with(OWN_ERROR) {
        Reason::UpstreamRefused
    } else if is(SqlState::TooManyConnections) {
        Reason::DatabaseFull
    } else if is(SqlState::CannotConnectNow) || is(SqlState::AdminShutdown) {
        Reason::DatabaseUnavailable
    } else {
        Reason::LoginRefused
    }
}
