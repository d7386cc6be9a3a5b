//! What all AWS identities of the process share.

use super::login::Logins;
use crate::catalog::AwsClock;

/// The clock of AWS, and the logins of a person.
#[derive(Clone, Default)]
pub struct Shared {
    pub(super) clock: AwsClock,
    pub(super) logins: Logins,
}

impl Shared {
    /// `may_log_in`: whether a person at a terminal can open a session that the credentials need.
    #[must_use]
    pub fn new(may_log_in: bool) -> Self {
        Self { clock: AwsClock::default(), logins: Logins::new(may_log_in) }
    }
}
