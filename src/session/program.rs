//! Which program an upstream proxy is, by its answer to a host that no target can have.

use std::time::Duration;

use tokio::time::timeout;

use super::message::{FromHop, flush_to_hop, read_from_hop};
use super::probe::Probe;
use super::response::OWN_ERROR;
use super::{Failure, HOST};
use crate::wire::{BackendMessage, ErrorResponse, ProtocolVersion, StartupMessage};

/// How long the answer may take. All servers give it without a database.
const ANSWER: Duration = Duration::from_secs(5);

/// A target that does not exist: an address has a port.
const NO_TARGET: &[u8] = b"rds-auth-proxy-doctor";

/// The program behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A server of this program.
    This,
    /// A server of the Go program.
    Go,
    /// Neither.
    Other,
}

impl Probe {
    /// The program at the other end. Where TLS has not shown it, sends a startup packet for a host that is no target: a server of
    /// this program and one of the Go program refuse it, each in its own way.
    pub async fn program(mut self) -> Result<Program, Failure> {
        if self.knows_extension {
            return Ok(Program::This);
        }
        let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
        startup.set("user", NO_TARGET).map_err(Failure::Startup)?;
        startup.set(HOST, NO_TARGET).map_err(Failure::Startup)?;
        startup.encode(self.framed.out()).map_err(Failure::Startup)?;
        flush_to_hop(&mut self.framed, &self.name).await?;
        match timeout(ANSWER, read_from_hop(&mut self.framed, &self.name)).await {
            Ok(Ok(answer)) => Ok(program_of(&answer)),
            Ok(Err(Failure::HopProtocol { .. })) | Err(_) => Ok(Program::Other),
            Ok(Err(failure)) => Err(failure),
        }
    }
}

fn program_of(FromHop { tag, body }: &FromHop) -> Program {
    match BackendMessage::decode(*tag, body.expose()) {
        Ok(BackendMessage::Error(error)) => program_that_refuses(&error),
        _ => Program::Other,
    }
}

/// The Go program sends severity and message only. PostgreSQL and the proxies in front of it send a SQLSTATE with every error
/// (PostgreSQL manual, "Error and Notice Message Fields").
fn program_that_refuses(error: &ErrorResponse) -> Program {
    let own = error.message().is_some_and(|message| message.starts_with(OWN_ERROR));
    match error.sqlstate() {
        _ if own => Program::This,
        None => Program::Go,
        Some(_) => Program::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Severity, SqlState};

    #[test]
    fn each_program_refuses_in_its_own_way() {
        let own = Failure::MissingParameter { parameter: HOST, remedy: "x" }.response().unwrap();
        assert_eq!(program_that_refuses(&own), Program::This);
        let go = ErrorResponse::decode(b"SFATAL\0Mhost not allowed\0\0").unwrap();
        assert_eq!(program_that_refuses(&go), Program::Go);
        let postgres = ErrorResponse::new(Severity::Fatal, SqlState::ProtocolViolation, "no such parameter");
        assert_eq!(program_that_refuses(&postgres), Program::Other);
    }
}
