//! The side that causes a failure.

/// The side that caused a failure, and has to fix it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The application or its user.
    Application,
    /// This proxy, its configuration or its AWS credentials.
    Proxy,
    /// The next hop or the network to it.
    Hop,
    /// The database, by its own ErrorResponse.
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
