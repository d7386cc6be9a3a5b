//! How bad an error or a notice is.

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
