//! The reasons of failures, as a label of metrics and in the log.

use super::Fault;

/// Why a connection did not become a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An administrator ended a session.
    Administrator,
    /// It closed the connection during the login.
    ApplicationGone,
    /// Not PostgreSQL, or a broken driver.
    ApplicationProtocol,
    /// TLS with the application failed.
    ApplicationTls,
    /// The log is not read, and `audit.on_full` refuses sessions.
    AuditQueueFull,
    /// It used a login method that is not allowed.
    AuthMethod,
    /// No token could be made.
    AwsCredentials,
    /// The next server refused a cancel request.
    CancelRefused,
    /// A cancel request named no target.
    CancelWithoutTarget,
    /// The database has too many connections.
    DatabaseFull,
    /// The database starts or stops.
    DatabaseUnavailable,
    /// It closed the connection during the login.
    HopGone,
    /// It broke the protocol.
    HopProtocol,
    /// TLS with the hop failed.
    HopTls,
    /// A session was idle.
    IdleTimeout,
    /// The list of databases is too old.
    ListTooOld,
    /// A login made room.
    LoginDropped,
    /// The database refuses the user.
    LoginRefused,
    /// `max_connections` is reached.
    MaxConnections,
    /// `max_connections_per_peer` is reached.
    MaxConnectionsPerPeer,
    /// `max_logins_per_peer` is reached.
    MaxLoginsPerPeer,
    /// `max_logins_per_target` is reached.
    MaxLoginsPerTarget,
    /// A pending connection made room.
    PendingDropped,
    /// No TLS where it is required.
    Plaintext,
    /// The proxy stops.
    Shutdown,
    /// A parameter is missing or unusable.
    StartupParameters,
    /// The access list refuses the target.
    TargetAcl,
    /// A deadline was over.
    Timeout,
    /// The IAM token does not fit the login.
    Token,
    /// There is no such target.
    UnknownTarget,
    /// The hop cannot be reached.
    Unreachable,
    /// The server refused, with a sentence of this program.
    UpstreamRefused,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 32] = [
        Self::Administrator,
        Self::ApplicationGone,
        Self::ApplicationProtocol,
        Self::ApplicationTls,
        Self::AuditQueueFull,
        Self::AuthMethod,
        Self::AwsCredentials,
        Self::CancelRefused,
        Self::CancelWithoutTarget,
        Self::DatabaseFull,
        Self::DatabaseUnavailable,
        Self::HopGone,
        Self::HopProtocol,
        Self::HopTls,
        Self::IdleTimeout,
        Self::ListTooOld,
        Self::LoginDropped,
        Self::LoginRefused,
        Self::MaxConnections,
        Self::MaxConnectionsPerPeer,
        Self::MaxLoginsPerPeer,
        Self::MaxLoginsPerTarget,
        Self::PendingDropped,
        Self::Plaintext,
        Self::Shutdown,
        Self::StartupParameters,
        Self::TargetAcl,
        Self::Timeout,
        Self::Token,
        Self::UnknownTarget,
        Self::Unreachable,
        Self::UpstreamRefused,
    ];

    /// Its name, and the sides that may be at fault.
    const fn row(self) -> (&'static str, &'static [Fault]) {
        use Fault::{Application, Database, Hop, Proxy};
        match self {
            Self::Administrator => ("administrator", &[Proxy]),
            Self::ApplicationGone => ("application_gone", &[Application]),
            Self::ApplicationProtocol => ("application_protocol", &[Application]),
            Self::ApplicationTls => ("application_tls", &[Application]),
            Self::AuditQueueFull => ("audit_queue_full", &[Proxy]),
            Self::AuthMethod => ("auth_method", &[Hop]),
            Self::AwsCredentials => ("aws_credentials", &[Proxy]),
            Self::CancelRefused => ("cancel_refused", &[Hop]),
            Self::CancelWithoutTarget => ("cancel_without_target", &[Application]),
            Self::DatabaseFull => ("database_full", &[Database]),
            Self::DatabaseUnavailable => ("database_unavailable", &[Database]),
            Self::HopGone => ("hop_gone", &[Hop]),
            Self::HopProtocol => ("hop_protocol", &[Hop]),
            Self::HopTls => ("hop_tls", &[Hop]),
            Self::IdleTimeout => ("idle_timeout", &[Application]),
            Self::ListTooOld => ("list_too_old", &[Proxy]),
            Self::LoginDropped => ("login_dropped", &[Proxy]),
            Self::LoginRefused => ("login_refused", &[Database, Hop]),
            Self::MaxConnections => ("max_connections", &[Proxy]),
            Self::MaxConnectionsPerPeer => ("max_connections_per_peer", &[Proxy]),
            Self::MaxLoginsPerPeer => ("max_logins_per_peer", &[Proxy]),
            Self::MaxLoginsPerTarget => ("max_logins_per_target", &[Proxy]),
            Self::PendingDropped => ("pending_dropped", &[Proxy]),
            Self::Plaintext => ("plaintext", &[Application]),
            Self::Shutdown => ("shutdown", &[Proxy]),
            Self::StartupParameters => ("startup_parameters", &[Application]),
            Self::TargetAcl => ("target_acl", &[Application]),
            Self::Timeout => ("timeout", &[Application, Proxy, Hop]),
            Self::Token => ("token", &[Application]),
            Self::UnknownTarget => ("unknown_target", &[Application, Proxy]),
            Self::Unreachable => ("unreachable", &[Hop]),
            Self::UpstreamRefused => ("upstream_refused", &[Hop]),
        }
    }

    /// The value of the label `reason`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The sides that may be at fault.
    #[must_use]
    pub const fn faults(self) -> &'static [Fault] {
        self.row().1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_is_in_the_list_and_has_a_row_in_the_documentation() {
        let page = std::fs::read_to_string("docs/operations.md").unwrap();
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(page.contains(&format!("`{}`", reason.name())), "{reason:?}");
        }
    }
}
