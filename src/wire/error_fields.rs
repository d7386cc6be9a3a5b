//! Two fields of an error or notice: the severity and the error code (SQLSTATE).

use std::fmt;

/// The severity of an error or notice (manual, "Error and Notice Message Fields").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
    /// The whole server stops.
    Panic,
    /// A notice of a likely problem.
    Warning,
    /// A notice for users.
    Notice,
    /// A notice for developers.
    Debug,
    /// A notice that the user requested.
    Info,
    /// A notice for administrators.
    Log,
}

/// An error code that the proxy sends or compares with. Names as in PostgreSQL (manual, "PostgreSQL Error Codes";
/// `errcodes.txt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SqlState {
    /// 00000: no error.
    SuccessfulCompletion,
    /// 08001: the next hop cannot be reached.
    SqlclientUnableToEstablishSqlconnection,
    /// 08004: the next hop refused the connection.
    SqlserverRejectedEstablishmentOfSqlconnection,
    /// 08006: the connection broke, or a peer was silent for too long.
    ConnectionFailure,
    /// 08P01: a peer violates the protocol.
    ProtocolViolation,
    /// 0A000: the server does not support a feature.
    FeatureNotSupported,
    /// 28000: the user may not log in to this target, or not by this method.
    InvalidAuthorizationSpecification,
    /// 28P01: the password is wrong.
    InvalidPassword,
    /// 3D000: the database does not exist.
    InvalidCatalogName,
    /// 53000: the server or this proxy lacks a resource.
    InsufficientResources,
    /// 53300: the server or this proxy has too many connections.
    TooManyConnections,
    /// 57014: a client cancelled the query.
    QueryCanceled,
    /// 57P01: the server, or this proxy, shuts down.
    AdminShutdown,
    /// 57P05: the session was idle for too long.
    IdleSessionTimeout,
    /// 57P03: the server starts up or recovers.
    CannotConnectNow,
    /// XX000: an error of the proxy itself.
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
            Self::SuccessfulCompletion => "00000",
            Self::SqlclientUnableToEstablishSqlconnection => "08001",
            Self::SqlserverRejectedEstablishmentOfSqlconnection => "08004",
            Self::ConnectionFailure => "08006",
            Self::ProtocolViolation => "08P01",
            Self::FeatureNotSupported => "0A000",
            Self::InvalidAuthorizationSpecification => "28000",
            Self::InvalidPassword => "28P01",
            Self::InvalidCatalogName => "3D000",
            Self::InsufficientResources => "53000",
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
