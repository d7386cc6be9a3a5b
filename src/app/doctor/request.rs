//! What to examine.

use std::path::PathBuf;

/// What to examine.
pub(crate) struct Request {
    /// The configuration; absent: where a client looks for it.
    pub(crate) configfile: Option<PathBuf>,
    /// The AWS profile, in place of that of the configuration.
    pub(crate) profile: Option<String>,
    /// The name of the target; absent: the only one.
    pub(crate) target: Option<String>,
    /// The name of the upstream proxy; absent: the one that a client takes.
    pub(crate) proxy_target: Option<String>,
    /// The database user; absent: no login.
    pub(crate) user: Option<String>,
    /// The way without a server.
    pub(crate) direct: bool,
}
