//! The role of `client`: every connection goes to the target of its door, with an IAM password made for it.

mod guard_rails;
mod targets;

use std::sync::Arc;

use crate::catalog::{AwsClock, Mint, PersonLogin, Signer, Target};
use crate::secret::Secret;
use crate::session::{
    Action, CANCEL, Failure, HOST, Hop, Login, Opening, PASSWORD, Request, Role, Route, VERSION,
};
use crate::wire::{CancelRequest, FirstPacket, ProtocolVersion, StartupMessage};

pub use targets::Targets;

/// The policy of `client`.
pub struct Client {
    /// The targets, one or several.
    pub targets: Targets,
    /// The hop, and the side that answers the database's password request.
    pub upstream_mode: UpstreamMode,
    /// A password in place of an IAM token.
    pub password: Option<Secret>,
    /// Makes IAM tokens.
    pub mint: Option<Arc<dyn Mint>>,
    /// Whether RDS has listed its databases.
    pub is_discovered: bool,
    /// Shows how far the clock of this machine is off, which signs the tokens.
    pub clock: AwsClock,
}

/// The hop of a client, and the side that answers the database's password request.
pub enum UpstreamMode {
    /// An upstream proxy. It gets the password in the startup packet and answers the request.
    PasswordInStartup(Hop),
    /// An upstream proxy that does not get the password. It relays the request, and the client answers
    /// (`aws_auth_only`).
    AuthOnly(Hop),
    /// The database itself. The client answers.
    Direct,
}

impl Role for Client {
    async fn authorize(&self, request: Request) -> Result<Route, Failure> {
        let Request { mut opening, door } = request;
        let target = match &mut opening {
            Opening::Startup(startup) => self.targets.of_session(&door, startup)?,
            Opening::Cancel(_) => self.targets.of_cancel(&door)?,
        };
        door.admit(&target).map_err(Failure::Door)?;
        let action = match opening {
            Opening::Startup(startup) => Action::Session(self.login(&target, startup).await?),
            Opening::Cancel(cancel) => Action::Cancel(self.cancel(&target, cancel)?),
        };
        let hop = match &self.upstream_mode {
            UpstreamMode::PasswordInStartup(hop) | UpstreamMode::AuthOnly(hop) => hop.clone(),
            UpstreamMode::Direct => Hop::database(&target),
        };
        Ok(Route { target: target.name.clone(), hop, action })
    }

    fn person_login(&self) -> PersonLogin {
        self.mint.as_ref().map(|mint| mint.person_login()).unwrap_or_default()
    }

    fn target_name(&self, request: &Request) -> Option<String> {
        self.targets.name(request)
    }
}

impl Client {
    async fn login(&self, target: &Target, mut startup: StartupMessage) -> Result<Box<Login>, Failure> {
        // This process states its own version, where the hop requests it.
        drop(startup.remove(VERSION));
        let (mut password, signer) = self.credential(target, &startup).await?;
        let no_token = if password.is_none() { self.no_token(target) } else { None };
        guard_rails::set_parameters(&target.guard_rails, &mut startup)?;
        if let Some(signer) = &signer {
            guard_rails::name_session(signer, &mut startup)?;
        }
        match &self.upstream_mode {
            UpstreamMode::PasswordInStartup(_) => {
                name_target(target, &mut startup)?;
                if let Some(password) = password.take() {
                    startup.set(PASSWORD, password.expose()).map_err(Failure::Startup)?;
                }
            }
            UpstreamMode::AuthOnly(_) => name_target(target, &mut startup)?,
            UpstreamMode::Direct => {}
        }
        // A client does not see what the database behind an upstream proxy requests, so it has only its own word.
        let iam = target.iam.as_ref().filter(|_| signer.is_some()).map(|iam| iam.service);
        Ok(Box::new(Login {
            startup,
            password,
            iam,
            signer,
            signed: None,
            token_rule: None,
            no_token,
            notice: guard_rails::notice(&target.guard_rails),
            clock: self.clock.clone(),
            of_client: false,
        }))
    }

    /// The configured password, else an IAM token for this user and its signer; neither where the target has no IAM.
    async fn credential(
        &self,
        target: &Target,
        startup: &StartupMessage,
    ) -> Result<(Option<Secret>, Option<Signer>), Failure> {
        if let Some(password) = &self.password {
            return Ok((Some(password.clone()), None));
        }
        let (Some(mint), Some(iam)) = (&self.mint, &target.iam) else { return Ok((None, None)) };
        let user = startup.text("user").filter(|user| !user.is_empty()).ok_or(Failure::MissingParameter {
            parameter: "user",
            remedy: "name the database user to log in as",
        })?;
        let minted = mint.mint(&target.address, iam, &user).await.map_err(Failure::Mint)?;
        Ok((Some(minted.token), Some(minted.signer)))
    }

    /// Why a target without IAM gets no token, where this process makes tokens: its host may be another name of a database in RDS.
    fn no_token(&self, target: &Target) -> Option<String> {
        let Target { name, address, iam: None, .. } = target else { return None };
        self.mint.as_ref()?;
        Some(if self.is_discovered {
            format!(
                "No IAM token is made for {address}, because RDS does not list that host. If it is another name of a database \
                 or proxy in RDS, such as a CNAME, set targets.{name}.rds to the name in RDS."
            )
        } else {
            format!(
                "No IAM token is made for {address}, because RDS had not listed its databases when the client started; its log \
                 has the reason."
            )
        })
    }

    /// A server keeps no state, so a cancel request has to name the host too. A server that does not know the parameter
    /// refuses the packet for the missing user, before it has any effect.
    fn cancel(&self, target: &Target, cancel: CancelRequest) -> Result<FirstPacket, Failure> {
        if matches!(self.upstream_mode, UpstreamMode::Direct) {
            return Ok(FirstPacket::Cancel(cancel));
        }
        let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
        name_target(target, &mut startup)?;
        startup.set(CANCEL, cancel.to_parameter().expose()).map_err(Failure::Startup)?;
        Ok(FirstPacket::Startup(startup))
    }
}

fn name_target(target: &Target, startup: &mut StartupMessage) -> Result<(), Failure> {
    startup.set(HOST, target.address.to_string().as_bytes()).map_err(Failure::Startup)
}
