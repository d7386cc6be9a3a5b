//! The role of `client`: every connection goes to the one target that was picked, with an IAM password made for it.

use std::sync::Arc;

use crate::catalog::{Mint, Target};
use crate::secret::Secret;
use crate::session::contract::{CANCEL, HOST, PASSWORD};
use crate::session::{Action, Failure, Hop, Opening, Request, Role, Route};
use crate::wire::{CancelRequest, FirstPacket, ProtocolVersion, StartupMessage};

/// The policy of `client`.
pub struct Client {
    /// Where every connection is to go.
    pub target: Target,
    /// How it gets there.
    pub upstream_mode: UpstreamMode,
    /// A password to use in place of an IAM token.
    pub password: Option<Secret>,
    /// Makes IAM tokens.
    pub mint: Option<Arc<dyn Mint>>,
}

/// The way to the target, and who answers the database's password request.
pub enum UpstreamMode {
    /// An upstream proxy, which gets the password in the startup packet and answers.
    PasswordInStartup(Hop),
    /// An upstream proxy that is not trusted with the password, or has no use for it: the request is relayed and
    /// answered here (`aws_auth_only`).
    AuthOnly(Hop),
    /// No proxy: straight to the database.
    Direct,
}

/// What to log in with.
struct Credential {
    password: Secret,
    identity: Option<String>,
}

impl Role for Client {
    async fn authorize(&self, request: Request) -> Result<Route, Failure> {
        let action = match request.opening {
            Opening::Startup(startup) => self.session(startup).await?,
            Opening::Cancel(cancel) => Action::Cancel { packet: self.cancel(cancel)? },
        };
        Ok(Route { target: self.target.name.clone(), hop: self.hop(), action })
    }
}

impl Client {
    fn hop(&self) -> Hop {
        match &self.upstream_mode {
            UpstreamMode::PasswordInStartup(hop) | UpstreamMode::AuthOnly(hop) => hop.clone(),
            UpstreamMode::Direct => Hop::database(&self.target),
        }
    }

    async fn session(&self, mut startup: StartupMessage) -> Result<Action, Failure> {
        let credential = self.credential(&startup).await?;
        let (password, identity) = match credential {
            Some(credential) => (Some(credential.password), credential.identity),
            None => (None, None),
        };
        if !matches!(self.upstream_mode, UpstreamMode::Direct) {
            self.name_target(&mut startup)?;
        }
        match (&self.upstream_mode, &password) {
            (UpstreamMode::PasswordInStartup(_), Some(password)) => {
                startup.set(PASSWORD, password.expose()).map_err(Failure::Startup)?;
                Ok(Action::Session { startup, password: None, identity })
            }
            _ => Ok(Action::Session { startup, password, identity }),
        }
    }

    /// The password that was given, else an IAM token for this user; neither where the target has no IAM.
    async fn credential(&self, startup: &StartupMessage) -> Result<Option<Credential>, Failure> {
        if let Some(password) = &self.password {
            return Ok(Some(Credential { password: password.clone(), identity: None }));
        }
        let (Some(mint), Some(iam)) = (&self.mint, &self.target.iam) else { return Ok(None) };
        let user = startup.text("user").filter(|user| !user.is_empty()).ok_or(Failure::MissingParameter {
            parameter: "user",
            remedy: "name the database user to log in as",
        })?;
        let minted = mint.mint(&self.target.address, &iam.region, &user).await.map_err(Failure::Mint)?;
        Ok(Some(Credential { password: minted.token, identity: Some(minted.identity) }))
    }

    /// A server keeps no state, so a cancel request has to name the host as well. One that does not know the
    /// parameter refuses the login for want of a user, before it has any effect.
    fn cancel(&self, cancel: CancelRequest) -> Result<FirstPacket, Failure> {
        if matches!(self.upstream_mode, UpstreamMode::Direct) {
            return Ok(FirstPacket::Cancel(cancel));
        }
        let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
        self.name_target(&mut startup)?;
        startup.set(CANCEL, cancel.to_parameter().expose()).map_err(Failure::Startup)?;
        Ok(FirstPacket::Startup(startup))
    }

    fn name_target(&self, startup: &mut StartupMessage) -> Result<(), Failure> {
        startup.set(HOST, self.target.address.to_string().as_bytes()).map_err(Failure::Startup)
    }
}
