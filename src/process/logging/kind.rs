//! The kinds of log lines.

use tracing::Metadata;

use crate::{credentials, session};

/// Two kinds of lines, so that a flood of the one does not displace the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Audit,
    Log,
}

#[derive(Default)]
pub(super) struct PerKind<T> {
    pub(super) audit: T,
    pub(super) log: T,
}

impl PerKind<u64> {
    pub(super) const fn any(&self) -> bool {
        self.audit + self.log > 0
    }

    pub(super) const fn add(&mut self, other: &Self) {
        self.audit += other.audit;
        self.log += other.log;
    }
}

impl<T> PerKind<T> {
    pub(super) const fn of(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Audit => &mut self.audit,
            Kind::Log => &mut self.log,
        }
    }
}

impl Kind {
    pub(super) fn of(metadata: &Metadata<'_>) -> Self {
        let audit = [session::AUDIT_MODULE, credentials::AUDIT_MODULE];
        if audit.contains(&metadata.target()) { Self::Audit } else { Self::Log }
    }

    /// The most bytes of its lines that wait.
    pub(super) const fn limit(self) -> usize {
        match self {
            Self::Audit => 1024 * 1024,
            Self::Log => 256 * 1024,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Log => "log",
        }
    }
}
