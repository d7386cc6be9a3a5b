//! The way for `tests/fuzz` into steps that are nobody else's business. Only in builds of cargo-fuzz.

use std::time::Duration;

use super::authenticate::{Attempt, authenticate};
use super::deadline::Deadline;
use super::{Failure, Opening};
use crate::net::{Framed, Socket};
use crate::secret::Secret;
use crate::tls::Acceptor;
use crate::wire::{CancelRequest, StartupMessage};

/// How long a login may take; nothing in memory takes as long.
const LONG: Duration = Duration::from_mins(1);

/// The step `negotiate`. A refusal comes with the connection if the application can still be told.
pub async fn negotiate(
    socket: Socket,
    acceptor: Option<&Acceptor>,
) -> Result<(Framed, Opening), (Option<Framed>, Failure)> {
    super::negotiate::negotiate(socket, acceptor).await.map_err(|refused| (refused.app, refused.failure))
}

/// The step `authenticate`, with a password of ours or with the application's.
pub async fn login(
    app: &mut Framed,
    hop: &mut Framed,
    startup: StartupMessage,
    password: Option<&Secret>,
) -> Result<Option<CancelRequest>, Failure> {
    let attempt =
        Attempt { startup, password, identity: Some("someone"), hop_name: "hop", unprotected: false };
    authenticate(app, hop, attempt, &mut Deadline::new(LONG)).await
}
