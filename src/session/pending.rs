//! A pending connection: it was accepted, and its startup packet has not arrived.

use super::deadline::Deadline;
use super::negotiate::Refused;
use super::slots::Permit;
use super::{Door, Failure, Fault};
use crate::net::{Accepted, PendingPermit};
use crate::shutdown::Shutdown;

/// A connection that was accepted and counted.
pub(super) struct Admitted {
    pub(super) id: u64,
    pub(super) accepted: Accepted,
    pub(super) door: Door,
    pub(super) permit: PendingPermit,
}

/// What ends the wait for the application's next bytes.
pub(super) struct Pending<'a> {
    pub(super) permit: &'a Permit,
    pub(super) deadline: &'a Deadline,
    pub(super) shutdown: &'a Shutdown,
}

impl Pending<'_> {
    /// Runs a part that waits for the application; `doing` says for what.
    pub(super) async fn wait<T>(
        &self,
        doing: &'static str,
        part: impl Future<Output = Result<T, Refused>>,
    ) -> Result<T, Refused> {
        tokio::select! {
            done = self.deadline.blaming(Fault::Application, doing, part) => done,
            () = self.permit.dropped() => Err(Failure::PendingDropped.into()),
            // Before the startup packet there is nothing to answer.
            () = self.shutdown.ended() => Err(Failure::ShuttingDown.into()),
        }
    }
}
