//! The ErrorResponse for the application: SQLSTATE, a sentence, and what to do.

use std::io;

use super::{DoorError, Failure, Fault};
use crate::catalog::{Hinted, LookupError};
use crate::tls::TlsError;
use crate::wire::{DecodeError, ErrorResponse, Severity, SqlState};

/// What to check where the wrong program answers, or none.
const CHECK_ADDRESS: &str = "Check that it runs, and that its host and port are right in the configuration.";

/// What to do where TLS is required, for an application and for a client of this program.
const USE_TLS: &str =
    "Connect with sslmode=verify-full or sslmode=require; in upstream_proxies of a client, set ssl.mode.";

/// What to do where a server has no target for an application.
const NAME_TARGET: &str = "Connect with TLS to a host name in server_names of a target, set proxy.default_target on the proxy, or \
                           connect through rds-auth-proxy client, which names the target.";

/// What to do where another user of the machine connects to a client.
const OTHER_USER: &str = "Start a client as that user. With proxy.allow_other_users: true every user of this machine logs in with \
                          the AWS identity of this one.";

/// What to do where this proxy demands a client certificate, for an application and for a client of this program.
const SEND_CERTIFICATE: &str = "Send one that a CA in client_ca of the proxy has signed: sslcert and sslkey in libpq; in \
                                upstream_proxies of a client, ssl.client_certificate and ssl.client_private_key.";

/// What to do where the other side demands a client certificate.
const SHOW_CERTIFICATE: &str =
    "Set client_certificate and client_private_key to a certificate that the other side trusts.";

/// What to do where an application binds its login to TLS.
pub(super) const DISABLE_BINDING: &str = "Channel binding cannot pass a proxy: connect with channel_binding=disable. The proxy \
                                          verifies the database's certificate as its ssl.mode says.";

/// How the errors of this program begin, whichever half sends them.
pub(super) const OWN_ERROR: &str = "rds-auth-proxy: ";

/// A part of the error about a password in clear text, as a database with IAM requests it, that must not travel.
pub(super) const CLEARTEXT_NOT_ALLOWED: &str = "uses the login method password, which";

impl Failure {
    /// The SQLSTATE that the application reads; empty where it reads none.
    pub(super) fn sqlstate_read(&self) -> String {
        match self {
            Self::Refused { sqlstate, .. } => sqlstate.clone(),
            other => other.response().map(|_| self.sqlstate().as_str().to_owned()).unwrap_or_default(),
        }
    }

    /// The message for the application. `None` where it has gone, expects no answer, or has the hop's message already.
    #[must_use]
    pub fn response(&self) -> Option<ErrorResponse> {
        // The sender of a cancel request expects no answer.
        if matches!(
            self,
            Self::ApplicationGone(_)
                | Self::BindingWithheld(_)
                | Self::Door(DoorError::CancelWithoutTarget { .. } | DoorError::UnknownKey)
                | Self::CancelRefused(_)
                | Self::Refused { .. }
                | Self::PendingDropped
        ) {
            return None;
        }
        let response =
            ErrorResponse::new(Severity::Fatal, self.sqlstate(), format!("{OWN_ERROR}{}", self.text()));
        Some(match self.hint() {
            Some(hint) => response.with_hint(hint),
            None => response,
        })
    }

    /// The reason why this proxy cannot list the databases names its AWS identity, so it is for its log only.
    fn text(&self) -> String {
        match self {
            Self::Lookup(LookupError::Stale { wanted, .. }) => format!(
                "the target \"{wanted}\" is not known, and the list of RDS databases may be out of date; the log of \
                 the proxy has the reason"
            ),
            Self::Lookup(LookupError::TooOld { name, .. }) => format!(
                "the target \"{name}\" is refused: the list of RDS databases is older than rds.max_age; the log of the proxy \
                 has the reason"
            ),
            Self::Lookup(LookupError::Unlisted { name, rds, problem, .. }) => {
                format!("the target \"{name}\" needs the RDS database \"{rds}\": {problem}")
            }
            _ => self.to_string(),
        }
    }

    fn sqlstate(&self) -> SqlState {
        match self {
            Self::Lookup(
                LookupError::Unknown { .. }
                | LookupError::Ambiguous { .. }
                | LookupError::OnlyCaseDiffers { .. },
            )
            | Self::Door(DoorError::Unnamed { .. } | DoorError::Unknown { .. }) => {
                SqlState::InvalidCatalogName
            }
            Self::Door(DoorError::NoTarget { .. }) => SqlState::SqlserverRejectedEstablishmentOfSqlconnection,
            Self::Plaintext
            | Self::OtherUser(_)
            | Self::Door(
                DoorError::HostParameter
                | DoorError::Certificate(_)
                | DoorError::ClientNotAllowed { .. }
                | DoorError::NoClientCertificate { .. },
            )
            | Self::MissingParameter { .. }
            | Self::InvalidTarget(_)
            | Self::Lookup(
                LookupError::Refused { .. }
                | LookupError::Stale { .. }
                | LookupError::TooOld { .. }
                | LookupError::Unlisted { .. },
            )
            | Self::ChannelBinding
            | Self::ExcludedMethod(_)
            | Self::Token(_)
            | Self::Mint(_) => SqlState::InvalidAuthorizationSpecification,
            Self::AuditQueueFull => SqlState::InsufficientResources,
            Self::TooManyConnections(_)
            | Self::TooManyConnectionsOfPeer(_)
            | Self::TooManyLogins(_)
            | Self::LoginDropped(_) => SqlState::TooManyConnections,
            Self::ShuttingDown | Self::Ended(_) => SqlState::AdminShutdown,
            Self::Idle(_) => SqlState::IdleSessionTimeout,
            Self::Timeout { fault: Fault::Application, .. } | Self::HopLost { .. } => {
                SqlState::ConnectionFailure
            }
            // libpq goes on to the next host of a list, and `pg_isready` does not report that connections are accepted
            // (`ERRCODE_CANNOT_CONNECT_NOW` in fe-connect.c).
            Self::Timeout { fault: Fault::Proxy | Fault::Hop | Fault::Database, .. }
            | Self::Silent(..)
            | Self::HopGone { .. }
            | Self::HungUpBeforeTls(_)
            | Self::HopTls { source: TlsError::HungUp(_), .. } => SqlState::CannotConnectNow,
            Self::Unreachable { source, .. } | Self::RefusedLate { source, .. } if may_recover(source) => {
                SqlState::CannotConnectNow
            }
            Self::Scram { .. } | Self::Password(_) => SqlState::InvalidPassword,
            Self::Application(DecodeError::UnsupportedMajor { .. })
            | Self::UnsupportedSasl { .. }
            | Self::UnsupportedMethod(..) => SqlState::FeatureNotSupported,
            Self::Unreachable { .. }
            | Self::RefusedLate { .. }
            | Self::HopTls { .. }
            | Self::NoTls { .. }
            | Self::NoDirectTls(_)
            | Self::UnverifiedTunnel(_)
            | Self::ErrorBeforeTls(_)
            | Self::NotPostgres(..) => SqlState::SqlclientUnableToEstablishSqlconnection,
            Self::Application(_)
            | Self::ProxyHeader(_)
            | Self::ApplicationGone(_)
            | Self::BindingWithheld(_)
            | Self::ApplicationTls(_)
            | Self::UnexpectedTls
            | Self::DirectTlsWithoutAlpn
            | Self::RepeatedRequest(_)
            | Self::Door(DoorError::CancelWithoutTarget { .. } | DoorError::UnknownKey)
            | Self::CancelRefused(_)
            | Self::Startup(_)
            | Self::PendingDropped
            | Self::HopProtocol { .. }
            | Self::LoginOrder { .. }
            | Self::SecondPasswordRequest(_)
            | Self::EndlessLogin(..)
            | Self::Refused { .. } => SqlState::ProtocolViolation,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Mint(error) => Some(error.remedy.clone()),
            Self::Plaintext => Some(USE_TLS.into()),
            Self::OtherUser(_) => Some(OTHER_USER.into()),
            Self::NoTls { hop, .. } => Some(format!(
                "Turn TLS on at {hop}, or set its ssl mode to disable if the network between is trusted."
            )),
            Self::UnverifiedTunnel(hop) => Some(format!(
                "Give the kubeconfig the CA of the cluster in place of insecure-skip-tls-verify or http://, turn TLS on at \
                 {hop}, or set its ssl mode to disable if the network between is trusted."
            )),
            Self::HopGone { hop, .. } | Self::HopTls { hop, source: TlsError::HungUp(_) } => {
                Some(format!("The log of {hop} has the reason."))
            }
            Self::Silent(hop, _) => Some(format!(
                "A paused database, as of Aurora Serverless, resumes in 15 s or more: connect again. Otherwise the log of {hop} \
                 has the reason."
            )),
            Self::HopTls { source: TlsError::OwnCertificate { .. }, .. } => Some(SHOW_CERTIFICATE.into()),
            Self::Unreachable { source, .. } if Hinted::hint_of(source).is_some() => {
                Hinted::hint_of(source).map(str::to_owned)
            }
            Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
                Some(CHECK_ADDRESS.into())
            }
            Self::NotPostgres(..) | Self::HungUpBeforeTls(_) => Some(CHECK_ADDRESS.into()),
            Self::ChannelBinding => Some(DISABLE_BINDING.into()),
            Self::ExcludedMethod(method) => method.hint(),
            Self::Door(DoorError::NoTarget { .. }) => Some(NAME_TARGET.into()),
            Self::Door(DoorError::Certificate(_) | DoorError::NoClientCertificate { .. }) => {
                Some(SEND_CERTIFICATE.into())
            }
            Self::Door(DoorError::Unknown { example, .. }) => Some(format!(
                "At this port the database names the target: TARGET or TARGET/DATABASE, as in \"{example}\"."
            )),
            Self::Lookup(LookupError::Unknown { .. }) => Some(
                "Check the name, that the database has IAM authentication on and the tags of target_acl, \
                 and that the proxy's AWS identity may list it."
                    .into(),
            ),
            _ => None,
        }
    }
}

/// Whether a later attempt may reach the hop. A rule of Kubernetes or a missing file stays until somebody changes it.
fn may_recover(source: &io::Error) -> bool {
    !matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput)
}
