//! The role of `server`: every connection goes to the target that the client names, if the directory has it and the access
//! list allows it.

mod token;

use std::sync::Arc;

use crate::catalog::Directory;
use crate::net::HostPort;
use crate::session::{Action, CANCEL, Failure, HOST, Hop, Login, Opening, PASSWORD, Request, Role, Route};
use crate::wire::{CancelRequest, FirstPacket, StartupMessage};

/// The policy of `server`.
pub struct Server {
    directory: Arc<Directory>,
}

impl Server {
    /// A server for the targets of the directory.
    #[must_use]
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory }
    }
}

impl Role for Server {
    async fn authorize(&self, request: Request) -> Result<Route, Failure> {
        match request.opening {
            Opening::Startup(startup) => self.route(startup).await,
            // It names no host, and the server keeps no list of sessions.
            Opening::Cancel(_) => Err(Failure::CancelWithoutTarget),
        }
    }
}

impl Server {
    async fn route(&self, mut startup: StartupMessage) -> Result<Route, Failure> {
        let host = startup.remove(HOST).ok_or(Failure::MissingParameter {
            parameter: HOST,
            remedy: "applications connect to `rds-auth-proxy client`, which adds it",
        })?;
        let address: HostPort =
            String::from_utf8_lossy(host.expose()).parse().map_err(Failure::InvalidTarget)?;
        let password = startup.remove(PASSWORD);
        let cancel = startup.remove(CANCEL);
        let target = self.directory.by_host(&address).await.map_err(Failure::Lookup)?;
        let action = if let Some(cancel) = cancel {
            let cancel = CancelRequest::from_parameter(cancel.expose()).map_err(Failure::Application)?;
            Action::Cancel(FirstPacket::Cancel(cancel))
        } else {
            let identity = password.as_ref().and_then(|password| token::access_key_id(password.expose()));
            Action::Session(Login { startup, password, identity })
        };
        Ok(Route { hop: Hop::database(&target), target: target.name, action })
    }
}
