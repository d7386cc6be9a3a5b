//! The ways to run, and what each of them uses.

/// What runs. Some defaults depend on it, and so do the files that are read: those of sections that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On the developer's machine. It connects to one of `upstream_proxies`, and makes no TLS with databases.
    Client,
    /// The same with `--direct`: it connects to the databases, and to no upstream proxy.
    DirectClient,
    /// Beside the databases.
    Server,
}

impl Mode {
    /// Whether it makes TLS with databases, and so uses the files of `targets` and `rds`.
    pub(super) fn dials_databases(self) -> bool {
        match self {
            Self::Client => false,
            Self::DirectClient | Self::Server => true,
        }
    }

    /// Whether it connects to one of `upstream_proxies`.
    pub(super) fn dials_upstreams(self) -> bool {
        match self {
            Self::Client => true,
            Self::DirectClient | Self::Server => false,
        }
    }
}
