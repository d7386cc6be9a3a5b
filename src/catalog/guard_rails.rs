//! What the tags of a database in RDS set for the sessions of a client.

use std::time::Duration;

/// The guard rails of a database, from its tags. They protect from mistakes and are no lock: an application that sets a
/// parameter itself overrides the one here. The rights in the database decide what a user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardRails {
    /// The tag `rds-auth-proxy:read-only`: transactions are read-only unless they say otherwise (`default_transaction_read_only`).
    pub read_only: bool,
    /// The tag `rds-auth-proxy:statement-timeout`: how long a statement may run (`statement_timeout`); from
    /// [`Self::SHORTEST`] to [`Self::LONGEST`].
    pub statement_timeout: Option<Duration>,
    /// The tag `rds-auth-proxy:notice`: what the application reads at its login. One line, not empty, of at most
    /// [`Self::MAX_NOTICE`] characters.
    pub notice: Option<String>,
}

impl GuardRails {
    /// The shortest `statement_timeout` that PostgreSQL has: 0 stands for no limit (manual, "Statement Behavior").
    pub const SHORTEST: Duration = Duration::from_millis(1);

    /// The longest one: `INT_MAX` milliseconds, about 24.8 days (`guc_parameters.dat` in PostgreSQL).
    pub const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

    /// The most characters of a notice, which is the most that a tag's value has (Amazon RDS User Guide, "Tagging Amazon RDS
    /// resources").
    pub const MAX_NOTICE: usize = 256;
}
