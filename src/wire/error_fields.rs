//! Two fields of an error or notice: its severity, and its error code (SQLSTATE).

use std::fmt;

/// The severities of PostgreSQL (manual, "Error and Notice Message Fields").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
    /// The whole server stops.
    Panic,
    /// A notice: something is likely wrong.
    Warning,
    /// A notice: something worth knowing.
    Notice,
    /// A notice for developers.
    Debug,
    /// A notice that was asked for.
    Info,
    /// A notice for administrators.
    Log,
}

/// A five-character code under the name PostgreSQL gives it (manual, "PostgreSQL Error Codes"; `errcodes.txt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SqlState {
    /// 08001: the next hop cannot be reached.
    SqlclientUnableToEstablishSqlconnection,
    /// 08004: the next hop refused the connection.
    SqlserverRejectedEstablishmentOfSqlconnection,
    /// 08006: the connection broke, or a peer was silent for too long.
    ConnectionFailure,
    /// 08P01: a peer does not keep to the protocol.
    ProtocolViolation,
    /// 0A000
    FeatureNotSupported,
    /// 28000: the user may not log in this way, or not there.
    InvalidAuthorizationSpecification,
    /// 28P01
    InvalidPassword,
    /// 3D000: no such database.
    InvalidCatalogName,
    /// 53300
    TooManyConnections,
    /// 57014
    QueryCanceled,
    /// 57P01: the server, or this proxy, shuts down.
    AdminShutdown,
    /// 57P05: the session was idle for too long.
    IdleSessionTimeout,
    /// 57P03: the server starts up or recovers.
    CannotConnectNow,
    /// XX000: a fault of the proxy itself.
    InternalError,
}

impl Severity {
    /// The word in fields `S` and `V`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Log => "LOG",
        }
    }
}

impl SqlState {
    /// The five characters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SqlclientUnableToEstablishSqlconnection => "08001",
            Self::SqlserverRejectedEstablishmentOfSqlconnection => "08004",
            Self::ConnectionFailure => "08006",
            Self::ProtocolViolation => "08P01",
            Self::FeatureNotSupported => "0A000",
            Self::InvalidAuthorizationSpecification => "28000",
            Self::InvalidPassword => "28P01",
            Self::InvalidCatalogName => "3D000",
            Self::TooManyConnections => "53300",
            Self::QueryCanceled => "57014",
            Self::AdminShutdown => "57P01",
            Self::IdleSessionTimeout => "57P05",
            Self::CannotConnectNow => "57P03",
            Self::InternalError => "XX000",
        }
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
