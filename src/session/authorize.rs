//! Step 3, authorize: the role decides where a connection goes. This is the only step that differs between roles.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Door, Failure, Opening};
use crate::catalog::{AuthMethods, AwsClock, Dial, IamService, PersonLogin, Signer, Target, TokenRule};
use crate::net::Address;
use crate::secret::Secret;
use crate::tls::{Connector, VerifiedClient};
use crate::wire::{CancelRequest, ErrorResponse, FirstPacket, StartupMessage};

/// The startup parameter that names the target, as `ADDRESS:PORT`.
///
/// This one, the next two and [`VERSION`](super::VERSION) are the contract between client and server: the client adds them, the
/// server removes them, and the database never sees them. The first two are those of the Go program of the same name.
pub const HOST: &str = "host";

/// The startup parameter with the password or IAM token. Without it the application answers the database's password
/// request.
pub const PASSWORD: &str = "password";

/// The startup parameter that makes the packet a cancel request, as `PID:HEXKEY`.
pub const CANCEL: &str = "rds-auth-proxy.cancel";

/// The policy of a mode of this program.
pub trait Role: Send + Sync + 'static {
    /// Decides the route of a connection, or refuses it with the reason that the application reads.
    fn authorize(&self, request: Request) -> impl Future<Output = Result<Route, Failure>> + Send;

    /// The name of the target that a connection is for, if it is known without waiting. For the log and metrics only.
    fn target_name(&self, request: &Request) -> Option<String>;

    /// The logins of a person, for which [`Role::authorize`] may have to wait.
    fn person_login(&self) -> PersonLogin {
        PersonLogin::default()
    }
}

/// What an application requests.
pub struct Request {
    /// Its first packet.
    pub opening: Opening,
    /// Where it came in.
    pub door: Door,
}

impl Request {
    /// The request that cancels the query of a session of this application with this target.
    pub(super) fn to_cancel(
        cancel: CancelRequest,
        target: &str,
        client: Option<Arc<VerifiedClient>>,
    ) -> Self {
        Self { opening: Opening::Cancel(cancel), door: Door { client, ..Door::of(target) } }
    }

    /// Whether this may be a cancel request, which is served beyond the limits too. From a client it arrives as a startup
    /// packet with a parameter; whether that counts is decided by the role.
    pub(super) fn may_cancel(&self) -> bool {
        match &self.opening {
            Opening::Cancel(_) => true,
            Opening::Startup(startup) => startup.get(CANCEL).is_some(),
        }
    }
}

/// Where a connection goes and what happens there.
pub struct Route {
    /// The name of the target, for people.
    pub target: String,
    /// The next server on the way.
    pub hop: Hop,
    /// What is done there.
    pub action: Action,
}

/// What is done at the hop.
pub enum Action {
    /// Opens a session.
    Session(Box<Login>),
    /// Cancels a query by this packet. The hop closes the connection once it has acted.
    Cancel(FirstPacket),
}

/// What a session begins with.
pub struct Login {
    /// The startup packet that the hop gets.
    pub startup: StartupMessage,
    /// The answer to the hop's password request. Without it the request is relayed to the application.
    pub password: Option<Secret>,
    /// The signer of the IAM token that this session logs in with, if it does. It is a claim until the database has verified
    /// the token.
    pub signer: Option<Signer>,
    /// When the token was signed, by the signer's clock; absent where this process signed it.
    pub signed: Option<SystemTime>,
    /// The service that verifies IAM tokens for the target; absent where it accepts none.
    pub iam: Option<IamService>,
    /// What a password of the application must satisfy before it is relayed in clear text.
    pub token_rule: Option<TokenRule>,
    /// Why there is no token for a database that may verify tokens, and what to do: whole sentences for the application whose
    /// password the database refuses.
    pub no_token: Option<String>,
    /// A notice that the application reads at the end of the login.
    pub notice: Option<ErrorResponse>,
    /// The clock by which the database judges a token.
    pub clock: AwsClock,
    /// The application is a client of this program, whose version the metrics show.
    pub of_client: bool,
}

impl Login {
    /// Whether this side sends a password, in the startup packet or as an answer.
    pub(super) fn has_password(&self) -> bool {
        self.password.is_some() || self.sends_password()
    }

    /// Whether the startup packet has the password. Then the hop answers the database, and has nothing to request.
    pub(super) fn sends_password(&self) -> bool {
        self.startup.get(PASSWORD).is_some()
    }
}

/// The next server on the way: an upstream proxy or the database.
#[derive(Clone)]
pub struct Hop {
    /// Its name in errors.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// TLS towards it.
    pub tls: Arc<Connector>,
    /// The login methods that it may use; absent: the default for its TLS.
    pub require_auth: Option<AuthMethods>,
    /// The configuration key of `require_auth`, for errors.
    pub auth_key: String,
    /// It is the database, not another half of this product.
    pub is_database: bool,
}

impl Hop {
    /// The database itself.
    #[must_use]
    pub fn database(target: &Target) -> Self {
        Self {
            name: format!("the database {} at {}", target.name, target.dialled()),
            transport: Transport::Database {
                address: Address::Tcp(target.dialled().clone()),
                host: target.address.host.clone(),
            },
            tls: Arc::clone(&target.tls),
            require_auth: target.require_auth,
            auth_key: format!("targets.{}.require_auth", target.name),
            is_database: true,
        }
    }
}

/// How a hop is reached.
#[derive(Clone)]
pub enum Transport {
    /// Through a socket.
    Address(Address),
    /// Through a socket, to a database that may have another name.
    Database {
        /// The dialled address.
        address: Address,
        /// The name that its certificate must have, where it is verified.
        host: String,
    },
    /// Through a tunnel.
    Tunnel {
        /// Opens a stream of it.
        dial: Arc<dyn Dial>,
        /// The name that the certificate at its end must have, where it is verified.
        host: String,
    },
}

impl Transport {
    /// The name for TLS: the dialled one, unless the hop has another.
    pub(super) fn host(&self) -> &str {
        match self {
            Self::Address(Address::Tcp(address)) => &address.host,
            Self::Address(Address::Unix(_)) => "localhost",
            Self::Database { host, .. } | Self::Tunnel { host, .. } => host,
        }
    }

    /// How long reaching it may take where `left` is left of the handshake. `connect_timeout` applies to addresses only: a
    /// tunnel may have to wait for a pod.
    pub(super) fn limit(&self, connect_timeout: Duration, left: Duration) -> Duration {
        match self {
            Self::Address(_) | Self::Database { .. } => left.min(connect_timeout),
            Self::Tunnel { .. } => left,
        }
    }
}
