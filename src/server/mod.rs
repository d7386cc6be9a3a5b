//! The role of `server`: every connection goes to the target that a client of this program names in the startup packet, else to
//! that of the front door, if the directory has it and the access list allows it.

use std::sync::Arc;
use std::time::SystemTime;

use crate::catalog::{AwsClock, Directory, Signer, Target, TokenRule};
use crate::net::HostPort;
use crate::secret::Secret;
use crate::session::{
    Action, CANCEL, Door, DoorError, Failure, HOST, Hop, Login, Opening, PASSWORD, Request, Role, Route,
    VERSION,
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
        let Request { opening, door } = request;
        match opening {
            Opening::Startup(startup) if startup.get(HOST).is_some() => self.route(startup, &door).await,
            Opening::Startup(startup) => {
                let server_name = door.server_name.clone();
                let target = self.at_front_door(&door, DoorError::NoTarget { server_name }).await?;
                // Its parameters go to the database as they are, and it answers the password request itself.
                let login = self.login(startup, None, &target)?;
                Ok(route(&target, Action::Session(login)))
            }
            Opening::Cancel(cancel) => {
                let server_name = door.server_name.clone();
                let target =
                    self.at_front_door(&door, DoorError::CancelWithoutTarget { server_name }).await?;
                Ok(route(&target, Action::Cancel(FirstPacket::Cancel(cancel))))
            }
        }
    }

    fn target_name(&self, Request { opening, door }: &Request) -> Option<String> {
        let host = match opening {
            Opening::Startup(startup) => startup.text(HOST),
            Opening::Cancel(_) => None,
        };
        match host {
            Some(host) => self.directory.name_at(&host.parse().ok()?),
            None => self
                .directory
                .front_door()
                .target(door.server_name.as_deref())
                .map(|name| name.as_ref().into()),
        }
    }
}

impl Server {
    /// The target of a connection that names none in its packet; `unnamed` is the error if the door leads to none.
    async fn at_front_door(&self, door: &Door, unnamed: DoorError) -> Result<Target, Failure> {
        let front_door = self.directory.front_door();
        let name = front_door.target(door.server_name.as_deref()).ok_or(Failure::Door(unnamed))?;
        let target = self.directory.by_name(name).await.map_err(Failure::Lookup)?;
        door.admit(&target).map_err(Failure::Door)?;
        Ok(target)
    }

    /// The route of a client of this program.
    async fn route(&self, mut startup: StartupMessage, door: &Door) -> Result<Route, Failure> {
        if self.directory.front_door().refuses_host {
            return Err(Failure::Door(DoorError::HostParameter));
        }
        let host = startup.remove(HOST).map(|host| String::from_utf8_lossy(host.expose()).into_owned());
        let address: HostPort = host.unwrap_or_default().parse().map_err(Failure::InvalidTarget)?;
        let password = startup.remove(PASSWORD);
        let cancel = startup.remove(CANCEL);
        drop(startup.remove(VERSION));
        let target = self.directory.by_host(&address).await.map_err(Failure::Lookup)?;
        door.admit(&target).map_err(Failure::Door)?;
        let action = if let Some(cancel) = cancel {
            let cancel = CancelRequest::from_parameter(cancel.expose()).map_err(Failure::Application)?;
            Action::Cancel(FirstPacket::Cancel(cancel))
        } else {
            let login = self.login(startup, password, &target)?;
            Action::Session(Box::new(Login { of_client: true, ..*login }))
        };
        Ok(route(&target, action))
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
            of_client: false,
        }))
    }
}

fn route(target: &Target, action: Action) -> Route {
    Route { hop: Hop::database(target), target: target.name.clone(), action }
}
