//! Steps 4 and 5 of one login: its turn, the hop, and the session there.

use tracing::debug;

use super::audit::Record;
use super::authenticate::{LoggedIn, authenticate};
use super::connect::{HopStream, connect};
use super::deadline::Deadline;
use super::logins::Turn;
use super::{Failure, Hop, Limits, Login};
use crate::net::Framed;

/// How many tunnel streams a login may try, where pods refuse them after they were opened.
const STREAMS: u32 = 4;

/// What a login needs.
pub(super) struct Attempt<'a> {
    pub(super) app: &'a mut Framed,
    pub(super) hop: &'a Hop,
    pub(super) login: &'a Login,
    pub(super) limits: &'a Limits,
    pub(super) record: &'a mut Record,
    pub(super) deadline: &'a mut Deadline,
}

impl Attempt<'_> {
    /// Waits for the turn of the login, then connects and authenticates. A pod may refuse a stream after it was opened: then the
    /// pod has received nothing and the application nothing either, so both steps are repeated on another stream.
    pub(super) async fn run(&mut self, turn: &mut Turn) -> Result<(HopStream, LoggedIn), Failure> {
        if turn.begin(self.deadline.left_to_try()).await? {
            self.record.waited();
        }
        let mut streams = 1;
        loop {
            match self.log_in(turn).await {
                Err(Failure::RefusedLate { hop, source }) => {
                    if streams == STREAMS {
                        return Err(Failure::Unreachable { hop, source });
                    }
                    debug!(error = %source, "the pod refused an open stream; opening another one");
                    streams += 1;
                }
                done => return done,
            }
        }
    }

    async fn log_in(&mut self, turn: &Turn) -> Result<(HopStream, LoggedIn), Failure> {
        let limit = self.hop.transport.limit(self.limits.connect_timeout, self.deadline.left_to_try());
        let connecting = connect(self.hop, limit);
        let mut stream = self.deadline.within("connecting to the next hop", connecting).await?;
        self.record.connected(&stream.framed);
        let logged_in = authenticate(self.app, &mut stream, self.login, turn, self.deadline).await?;
        Ok((stream, logged_in))
    }
}
