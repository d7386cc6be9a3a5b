//! The role of `server`: every connection goes to the target that the client names, if the directory has it and the access
//! list allows it.

use std::sync::Arc;
use std::time::SystemTime;

use crate::catalog::{AwsClock, Directory, Signer, Target, TokenRule};
use crate::net::HostPort;
use crate::secret::Secret;
use crate::session::{
    Action, CANCEL, DoorError, Failure, HOST, Hop, Login, Opening, PASSWORD, Request, Role, Route, VERSION,
};
use crate::wire::{CancelRequest, FirstPacket, StartupMessage};

/// The policy of `server`.
pub struct Server {
    directory: Arc<Directory>,
    require_iam: bool,
    clock: AwsClock,
}

impl Server {
    /// A server for the targets of the directory. With `require_iam` a target with IAM authentication accepts IAM tokens only.
    /// `clock` shows how far the clock of a signer is off.
    #[must_use]
    pub fn new(directory: Arc<Directory>, require_iam: bool, clock: AwsClock) -> Self {
        Self { directory, require_iam, clock }
    }
}

impl Role for Server {
    async fn authorize(&self, request: Request) -> Result<Route, Failure> {
        match request.opening {
            Opening::Startup(startup) => self.route(startup).await,
            // It names no host, and the server keeps no list of sessions.
            Opening::Cancel(_) => Err(Failure::Door(DoorError::CancelWithoutTarget)),
        }
    }

    fn target_name(&self, request: &Request) -> Option<String> {
        let Opening::Startup(startup) = &request.opening else { return None };
        self.directory.name_at(&startup.text(HOST)?.parse().ok()?)
    }

    fn serves_clients(&self) -> bool {
        true
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
        drop(startup.remove(VERSION));
        let target = self.directory.by_host(&address).await.map_err(Failure::Lookup)?;
        let action = if let Some(cancel) = cancel {
            let cancel = CancelRequest::from_parameter(cancel.expose()).map_err(Failure::Application)?;
            Action::Cancel(FirstPacket::Cancel(cancel))
        } else {
            self.login(startup, password, &target).map(Action::Session)?
        };
        Ok(Route { hop: Hop::database(&target), target: target.name, action })
    }

    /// Checks a password that is an IAM token, or has to be one, before the database is dialled.
    fn login(
        &self,
        startup: StartupMessage,
        password: Option<Secret>,
        target: &Target,
    ) -> Result<Box<Login>, Failure> {
        let rule = TokenRule {
            address: target.address.clone(),
            iam: target.iam.clone(),
            user: startup.text("user").unwrap_or_default(),
            required: self.require_iam && target.iam.is_some(),
        };
        let claim = match &password {
            Some(password) => rule.check(password.expose(), SystemTime::now()).map_err(Failure::Token)?,
            None => None,
        };
        Ok(Box::new(Login {
            startup,
            password,
            signed: claim.as_ref().map(|claim| claim.signed),
            signer: claim.map(|claim| Signer { access_key_id: claim.access_key_id, arn: None }),
            iam: target.iam.as_ref().map(|iam| iam.service),
            token_rule: Some(rule),
            // The client makes the tokens.
            no_token: None,
            // The client sends it.
            notice: None,
            clock: self.clock.clone(),
        }))
    }
}
