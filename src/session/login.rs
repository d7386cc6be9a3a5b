//! Steps 4 and 5: connects to the hop and logs in there, and once more where that comes to nothing.

use std::io::ErrorKind;

use tracing::debug;

use super::audit::Record;
use super::authenticate::{Attempt, authenticate};
use super::connect::connect;
use super::contract::PASSWORD;
use super::deadline::Deadline;
use super::{Failure, Hop, Limits};
use crate::net::Framed;
use crate::secret::Secret;
use crate::tls::SslMode;
use crate::wire::{CancelRequest, StartupMessage};

/// How many streams a login may begin on, where pods refuse them after they were opened.
const STREAMS: u32 = 4;

/// What a session begins with.
pub(super) struct Login {
    pub(super) startup: StartupMessage,
    pub(super) password: Option<Secret>,
    pub(super) identity: Option<String>,
}

impl Login {
    /// Reaches the hop and logs in there; returns how to cancel what will run. A pod may refuse a stream that counted as
    /// open already: then nobody has got what was sent on it, and the application has heard nothing, so all begins
    /// anew on another stream.
    pub(super) async fn run(
        &self,
        app: &mut Framed,
        hop: &Hop,
        limits: &Limits,
        deadline: &mut Deadline,
        record: &mut Record,
    ) -> Result<(Framed, Option<CancelRequest>), Failure> {
        let mut streams = 1;
        loop {
            let limit = hop.transport.limit(limits.connect_timeout, deadline.left_to_try());
            let connecting = connect(hop, limit, self.carries_password());
            let tried = match deadline.within("connecting to the next hop", connecting).await {
                Ok(mut framed) => {
                    record.connected(&framed);
                    let attempt = self.attempt(hop, &framed);
                    authenticate(app, &mut framed, attempt, deadline).await.map(|cancel| (framed, cancel))
                }
                Err(failure) => Err(failure),
            };
            match tried {
                Err(Failure::HopGone { hop, source }) if source.kind() == ErrorKind::ConnectionRefused => {
                    if streams == STREAMS {
                        return Err(Failure::Unreachable { hop, source });
                    }
                    debug!(error = %source, "refused after all; opening another stream");
                    streams += 1;
                }
                done => return done,
            }
        }
    }

    fn attempt<'a>(&'a self, hop: &'a Hop, framed: &Framed) -> Attempt<'a> {
        Attempt {
            startup: self.startup.clone(),
            password: self.password.as_ref(),
            identity: self.identity.as_deref(),
            hop_name: &hop.name,
            unprotected: hop.tls.mode() == SslMode::Prefer && !framed.stream().is_tls(),
        }
    }

    fn carries_password(&self) -> bool {
        self.password.is_some() || self.startup.get(PASSWORD).is_some()
    }
}
