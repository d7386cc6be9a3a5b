//! Step 3, authorize: the role decides where a connection goes. This is the only step that differs between roles.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{Failure, Opening};
use crate::catalog::{Dial, Target};
use crate::net::Address;
use crate::secret::Secret;
use crate::tls::Connector;
use crate::wire::{FirstPacket, StartupMessage};

/// The policy of a mode of this program.
pub trait Role: Send + Sync + 'static {
    /// Decides the route of a connection, or refuses it with the reason that the application reads.
    fn authorize(&self, request: Request) -> impl Future<Output = Result<Route, Failure>> + Send;
}

/// What an application asks for.
pub struct Request {
    /// Its first packet.
    pub opening: Opening,
}

/// Where a connection goes and what happens there.
pub struct Route {
    /// The name of the target, for people.
    pub target: String,
    /// The next hop.
    pub hop: Hop,
    /// What to do there.
    pub action: Action,
}

/// What is done at the hop.
pub enum Action {
    /// A session is opened.
    Session {
        /// The startup packet that the hop gets.
        startup: StartupMessage,
        /// What answers the hop's password request; without it the application is asked.
        password: Option<Secret>,
        /// Who signed the IAM token that this session logs in with, where it does: an ARN or an access key id.
        identity: Option<String>,
    },
    /// A query is cancelled.
    Cancel {
        /// The packet that does it; the hop closes the connection once it has acted.
        packet: FirstPacket,
    },
}

/// The next server on the transport: an upstream proxy or the database.
#[derive(Clone)]
pub struct Hop {
    /// How it is called in errors.
    pub name: String,
    /// The way to it.
    pub transport: Transport,
    /// TLS towards it.
    pub tls: Arc<Connector>,
}

impl Hop {
    /// The database itself.
    #[must_use]
    pub fn database(target: &Target) -> Self {
        Self {
            name: format!("the database {} at {}", target.name, target.address),
            transport: Transport::Address(Address::Tcp(target.address.clone())),
            tls: Arc::clone(&target.tls),
        }
    }
}

/// How a hop is reached.
#[derive(Clone)]
pub enum Transport {
    /// Through a socket.
    Address(Address),
    /// Through a tunnel.
    Tunnel {
        /// Opens a stream of it.
        dial: Arc<dyn Dial>,
        /// The name that the certificate at its end has to have, where it is verified.
        host: String,
    },
}

impl Transport {
    /// The name for TLS: what was dialled.
    pub(super) fn host(&self) -> &str {
        match self {
            Self::Address(Address::Tcp(address)) => &address.host,
            Self::Address(Address::Unix(_)) => "localhost",
            Self::Tunnel { host, .. } => host,
        }
    }

    /// How long reaching it may take where `left` is left of the handshake. `connect_timeout` is for addresses: a
    /// tunnel may have to wait for a pod.
    pub(super) fn limit(&self, connect_timeout: Duration, left: Duration) -> Duration {
        match self {
            Self::Address(_) => left.min(connect_timeout),
            Self::Tunnel { .. } => left,
        }
    }
}
