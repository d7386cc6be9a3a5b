//! What goes wrong with a connection: whose fault it is, and what the application reads.

use std::io;
use std::time::Duration;

use crate::net::InvalidAddress;
use crate::target::{LookupError, MintError};
use crate::tls::{Mode, TlsError};
use crate::wire::{DecodeError, EncodeError, ErrorResponse, Severity, SqlState};

/// The end of a connection before it became a session.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The application sent what is no PostgreSQL.
    #[error("the application broke the protocol: {0}")]
    Application(DecodeError),
    /// The application hung up.
    #[error("the application hung up during the login{}", how(.0))]
    ApplicationGone(io::Error),
    /// TLS with the application failed.
    #[error("{0}")]
    ApplicationTls(TlsError),
    /// A TLS handshake where none was agreed on.
    #[error(
        "the application began TLS that was not agreed on; TLS is off here unless proxy.ssl.enabled is set"
    )]
    UnexpectedTls,
    /// TLS without SSLRequest has to name the protocol.
    #[error("the application began TLS without offering the protocol \"postgresql\" by ALPN")]
    DirectTlsWithoutAlpn,
    /// The same request for encryption twice, or after encryption.
    #[error("the application sent {0} twice, or inside encryption")]
    RepeatedRequest(&'static str),
    /// A startup packet lacks what this mode needs.
    #[error("the startup packet has no \"{parameter}\"; {remedy}")]
    MissingParameter {
        /// The parameter.
        parameter: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A cancel request that came without a client between.
    #[error("a cancel request names no target; it has to come through `rds-auth-proxy client`")]
    CancelWithoutTarget,
    /// The target's address cannot be read.
    #[error("the startup parameter \"host\" is no target: {0}")]
    InvalidTarget(InvalidAddress),
    /// A value of the application does not fit into the packet for the hop.
    #[error("the startup packet cannot be sent on: {0}")]
    Startup(EncodeError),
    /// There is no such target, or it is not allowed.
    #[error("{0}")]
    Lookup(LookupError),
    /// No IAM password could be made.
    #[error("{0}")]
    Mint(MintError),
    /// All places are taken.
    #[error("there are too many connections: max_connections of this proxy is {limit}")]
    TooManyConnections {
        /// `max_connections`
        limit: usize,
    },
    /// This address has all the places it may have.
    #[error(
        "there are too many connections from this address: max_connections_per_peer of this proxy is {limit}"
    )]
    TooManyConnectionsOfPeer {
        /// `max_connections_per_peer`
        limit: usize,
    },
    /// The proxy stops.
    #[error("this proxy is shutting down; connect again")]
    ShuttingDown,
    /// The session moved no bytes for `idle_timeout`.
    #[error("the session was idle for {} s, which is the idle_timeout of this proxy", .0.as_secs_f32())]
    Idle(Duration),
    /// The handshake took too long.
    #[error("time ran out after {} s while {doing}", allowed.as_secs_f32())]
    Timeout {
        /// What was being done.
        doing: &'static str,
        /// How long was allowed.
        allowed: Duration,
        /// Who let it run out.
        fault: Fault,
    },
    /// The hop cannot be reached.
    #[error("{hop} cannot be reached: {source}")]
    Unreachable {
        /// The name of the hop.
        hop: String,
        /// Why.
        source: io::Error,
    },
    /// The hop hung up.
    #[error("{hop} hung up during the login{}", how(source))]
    HopGone {
        /// The name of the hop.
        hop: String,
        /// How.
        source: io::Error,
    },
    /// The connection to the hop was lost in the middle of a session.
    #[error("the connection to {hop} was lost{}; what a running statement did is not known", because(reason.as_ref()))]
    HopLost {
        /// The name of the hop.
        hop: String,
        /// How, where it broke and did not simply end.
        reason: Option<io::Error>,
    },
    /// The hop sent what is no PostgreSQL.
    #[error("{hop} broke the protocol: {source}")]
    HopProtocol {
        /// The name of the hop.
        hop: String,
        /// How.
        source: DecodeError,
    },
    /// TLS with the hop failed.
    #[error("{source}")]
    HopTls {
        /// The name of the hop.
        hop: String,
        /// Why.
        source: TlsError,
    },
    /// The hop has no TLS, and it is needed.
    #[error("{hop} has TLS turned off, but the TLS mode {mode} needs it to send a password")]
    NoTls {
        /// The name of the hop.
        hop: String,
        /// The mode it is configured with.
        mode: Mode,
    },
    /// The hop answered the SSLRequest with an error. Its text came in clear from who knows whom, so it is not shown
    /// (as libpq since CVE-2024-10977).
    #[error("{hop} answered with an error before TLS could begin; its log tells which")]
    ErrorBeforeTls {
        /// The name of the hop.
        hop: String,
    },
    /// The hop answered the SSLRequest with nonsense.
    #[error("{hop} does not speak PostgreSQL: it answered an SSLRequest with the byte {byte:#04x}")]
    NotPostgres {
        /// The name of the hop.
        hop: String,
        /// What it said.
        byte: u8,
    },
    /// The hop hung up instead of answering the SSLRequest.
    #[error("{hop} hung up before TLS could begin")]
    HungUpBeforeTls {
        /// The name of the hop.
        hop: String,
    },
    /// A SASL message without a SASL exchange.
    #[error("{hop} broke the protocol: it continued a SASL exchange that never began")]
    UnaskedSasl {
        /// The name of the hop.
        hop: String,
    },
    /// No common SASL mechanism.
    #[error("{hop} offers only the login methods {offered}, none of which can be used here")]
    UnsupportedSasl {
        /// The name of the hop.
        hop: String,
        /// What it offers.
        offered: String,
    },
    /// A login method that is neither answered nor relayed.
    #[error(
        "{hop} asks for the login method number {code} (such as GSSAPI or SSPI), which cannot pass this proxy"
    )]
    UnsupportedMethod {
        /// The name of the hop.
        hop: String,
        /// Its number in the protocol.
        code: u32,
    },
    /// The SCRAM exchange failed.
    #[error("the SCRAM login at {hop} failed: {reason}")]
    Scram {
        /// The name of the hop.
        hop: String,
        /// Why.
        reason: String,
    },
    /// The password cannot be sent.
    #[error("the password cannot be used: {source}")]
    Password {
        /// Why.
        source: EncodeError,
    },
    /// Messages without end before the login result.
    #[error("{hop} sent more than {limit} bytes without finishing the login")]
    EndlessLogin {
        /// The name of the hop.
        hop: String,
        /// How much is heard out.
        limit: usize,
    },
    /// The hop refused, and its words were passed on.
    #[error("{hop} refused the login: {message}")]
    Refused {
        /// The name of the hop.
        hop: String,
        /// Its SQLSTATE.
        sqlstate: String,
        /// Its message.
        message: String,
    },
}

/// Who has to do something about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The application or the one who started it.
    Application,
    /// This proxy, its configuration or its AWS credentials.
    Proxy,
    /// The next hop or the way to it.
    Hop,
    /// The database, which said so itself.
    Database,
}

impl Fault {
    /// Its name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Proxy => "proxy",
            Self::Hop => "hop",
            Self::Database => "database",
        }
    }
}

impl Failure {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Application(_)
            | Self::ApplicationGone(_)
            | Self::ApplicationTls(_)
            | Self::UnexpectedTls
            | Self::DirectTlsWithoutAlpn
            | Self::RepeatedRequest(_)
            | Self::MissingParameter { .. }
            | Self::CancelWithoutTarget
            | Self::InvalidTarget(_)
            | Self::Startup(_)
            | Self::Password { .. }
            | Self::Idle(_)
            | Self::Lookup(LookupError::Unknown { .. } | LookupError::Ambiguous { .. }) => Fault::Application,
            Self::Lookup(_)
            | Self::Mint(_)
            | Self::TooManyConnections { .. }
            | Self::TooManyConnectionsOfPeer { .. }
            | Self::ShuttingDown => Fault::Proxy,
            Self::Refused { .. } => Fault::Database,
            Self::Timeout { fault, .. } => *fault,
            _ => Fault::Hop,
        }
    }

    /// A word for it, for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Application(_)
            | Self::UnexpectedTls
            | Self::DirectTlsWithoutAlpn
            | Self::RepeatedRequest(_) => "application_protocol",
            Self::ApplicationGone(_) => "application_gone",
            Self::ApplicationTls(_) => "application_tls",
            Self::MissingParameter { .. }
            | Self::InvalidTarget(_)
            | Self::Startup(_)
            | Self::Password { .. } => "startup_parameters",
            Self::CancelWithoutTarget => "cancel_without_target",
            Self::Lookup(LookupError::Refused { .. }) => "target_acl",
            Self::Lookup(_) => "unknown_target",
            Self::Mint(_) => "aws_credentials",
            Self::TooManyConnections { .. } => "max_connections",
            Self::TooManyConnectionsOfPeer { .. } => "max_connections_per_peer",
            Self::ShuttingDown => "shutdown",
            Self::Idle(_) => "idle_timeout",
            Self::Timeout { .. } => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::HopGone { .. } | Self::HopLost { .. } => "hop_gone",
            Self::HopTls { .. }
            | Self::NoTls { .. }
            | Self::ErrorBeforeTls { .. }
            | Self::HungUpBeforeTls { .. } => "hop_tls",
            Self::HopProtocol { .. }
            | Self::NotPostgres { .. }
            | Self::UnaskedSasl { .. }
            | Self::UnsupportedSasl { .. }
            | Self::UnsupportedMethod { .. }
            | Self::EndlessLogin { .. } => "hop_protocol",
            Self::Scram { .. } | Self::Refused { .. } => "login_refused",
        }
    }

    /// What the application reads; nothing where it has gone or the hop's own words were passed on already.
    #[must_use]
    pub fn response(&self) -> Option<ErrorResponse> {
        // Who sends a cancel request expects no answer.
        if matches!(self, Self::ApplicationGone(_) | Self::CancelWithoutTarget | Self::Refused { .. }) {
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
            Self::ShuttingDown | Self::Idle(_) => SqlState::AdminShutdown,
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
            Self::Lookup(LookupError::Unknown { .. }) => Some(
                "Check the name, that the database has IAM authentication on and the tags of target_acl, \
                 and that the proxy's AWS identity may list it."
                    .into(),
            ),
            _ => None,
        }
    }
}

/// A plain end has no reason; what the libraries say of it is about their own interfaces.
fn how(source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::UnexpectedEof { String::new() } else { format!(": {source}") }
}

fn because(reason: Option<&io::Error>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}
