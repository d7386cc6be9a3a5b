//! The reasons of failures, as a label of metrics and in the log.

use super::Fault;
use Fault::{Application, Database, Hop, Proxy};

/// One row for each reason: its variant, its name, and the sides that may be at fault.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: $faults:expr,)*) => {
        /// Why a connection did not become a session.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The value of the label `reason`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The sides that may be at fault.
            #[must_use]
            pub const fn faults(self) -> &'static [Fault] {
                match self { $(Self::$variant => &$faults,)* }
            }
        }
    };
}

reasons! {
    /// An administrator ended a session.
    Administrator = "administrator": [Proxy],
    /// It closed the connection during the login.
    ApplicationGone = "application_gone": [Application],
    /// Not PostgreSQL, or a broken driver.
    ApplicationProtocol = "application_protocol": [Application],
    /// TLS with the application failed.
    ApplicationTls = "application_tls": [Application],
    /// The log is not read, and `audit.on_full` refuses sessions.
    AuditQueueFull = "audit_queue_full": [Proxy],
    /// It used a login method that is not allowed.
    AuthMethod = "auth_method": [Hop],
    /// No token could be made.
    AwsCredentials = "aws_credentials": [Proxy],
    /// The next server refused a cancel request.
    CancelRefused = "cancel_refused": [Hop],
    /// A cancel request named no target.
    CancelWithoutTarget = "cancel_without_target": [Application],
    /// It chose SCRAM with channel binding.
    ChannelBinding = "channel_binding": [Application],
    /// A client certificate is missing, or not trusted.
    ClientCertificate = "client_certificate": [Application],
    /// The target does not allow the names in the client certificate.
    ClientNotAllowed = "client_not_allowed": [Application],
    /// The database has too many connections.
    DatabaseFull = "database_full": [Database],
    /// The database starts or stops.
    DatabaseUnavailable = "database_unavailable": [Database],
    /// It closed the connection during the login.
    HopGone = "hop_gone": [Hop],
    /// It broke the protocol.
    HopProtocol = "hop_protocol": [Hop],
    /// TLS with the hop failed.
    HopTls = "hop_tls": [Hop],
    /// A session was idle.
    IdleTimeout = "idle_timeout": [Application],
    /// The list of databases is too old.
    ListTooOld = "list_too_old": [Proxy],
    /// A login made room.
    LoginDropped = "login_dropped": [Proxy],
    /// The database refuses the user.
    LoginRefused = "login_refused": [Database, Hop],
    /// `max_connections` is reached.
    MaxConnections = "max_connections": [Proxy],
    /// `max_connections_per_peer` is reached.
    MaxConnectionsPerPeer = "max_connections_per_peer": [Proxy],
    /// `max_logins_per_peer` is reached.
    MaxLoginsPerPeer = "max_logins_per_peer": [Proxy],
    /// `max_logins_per_target` is reached.
    MaxLoginsPerTarget = "max_logins_per_target": [Proxy],
    /// The connection names no target.
    NoTarget = "no_target": [Application],
    /// It is a process of a user that this client does not serve.
    OtherUser = "other_user": [Application],
    /// A pending connection made room.
    PendingDropped = "pending_dropped": [Proxy],
    /// No TLS where it is required.
    Plaintext = "plaintext": [Application],
    /// No PROXY protocol header where one is required, an invalid one, or one where none is expected.
    ProxyHeader = "proxy_header": [Application],
    /// The proxy stops.
    Shutdown = "shutdown": [Proxy],
    /// A parameter is missing or unusable.
    StartupParameters = "startup_parameters": [Application],
    /// The access list refuses the target.
    TargetAcl = "target_acl": [Application],
    /// A deadline was over.
    Timeout = "timeout": [Application, Proxy, Hop],
    /// The IAM token does not fit the login.
    Token = "token": [Application],
    /// There is no such target.
    UnknownTarget = "unknown_target": [Application, Proxy],
    /// The hop cannot be reached.
    Unreachable = "unreachable": [Hop],
    /// The server refused, with a sentence of this program.
    UpstreamRefused = "upstream_refused": [Hop],
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_another_name_and_a_row_in_the_documentation() {
        let page = std::fs::read_to_string("docs/operations.md").unwrap();
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(page.contains(&format!("`{}`", reason.name())), "{reason:?}");
        }
    }
}
