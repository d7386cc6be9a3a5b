//! The door by which a connection came in: what its listener and its TLS session say about the target.

use std::sync::Arc;

use crate::catalog::Target;
use crate::tls::{ClientCertificateError, VerifiedClient};

/// How many names of a certificate an error has.
const SHOWN: usize = 8;

/// Where a connection came in. The role chooses the target by it, before it looks into the packet.
#[derive(Clone, Default)]
pub struct Door {
    /// The name of the target that the listener is for; absent at a door that several targets share. For a cancel request at a
    /// shared door it is the target of the session that has the key.
    pub target: Option<Arc<str>>,
    /// The server name of the application's TLS session (SNI); absent without TLS, or if the application sent none.
    pub server_name: Option<String>,
    /// The application by its verified client certificate; absent if it sent none, or none was requested.
    pub client: Option<Arc<VerifiedClient>>,
}

impl Door {
    /// The listener of one target.
    #[must_use]
    pub fn of(target: &str) -> Self {
        Self { target: Some(target.into()), ..Self::default() }
    }

    /// A listener for several targets, or for those that the packet names.
    #[must_use]
    pub fn shared() -> Self {
        Self::default()
    }

    /// Refuses an application whose client certificate has none of the names that the target allows. Each role calls it for the
    /// target of every session and cancel request, whatever led to that target.
    pub fn admit(&self, target: &Target) -> Result<(), DoorError> {
        let Some(allowed) = &target.allowed_clients else { return Ok(()) };
        let target = target.name.clone();
        match self.client.as_deref() {
            client if allowed.allow(client) => Ok(()),
            Some(client) => {
                let mut names: Vec<_> = client.names().take(SHOWN + 1).collect();
                if names.len() > SHOWN {
                    names.truncate(SHOWN);
                    names.push("…");
                }
                Err(DoorError::ClientNotAllowed { target, names: names.join(", ") })
            }
            None => Err(DoorError::NoClientCertificate { target }),
        }
    }
}

/// The door by which a connection came in leads to no target, or is closed to the application.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// The application named no database.
    #[error(
        "the startup packet has no \"database\", which names the target at this port; write TARGET or TARGET/DATABASE, as in \
         \"{example}\""
    )]
    Unnamed {
        /// What it could have written.
        example: String,
    },
    /// There is no such target.
    #[error("no target of this client is called \"{wanted}\"; {advice}")]
    Unknown {
        /// The requested name, or the whole `database`.
        wanted: String,
        /// The nearest names, or what else to do.
        advice: String,
        /// What the application could have written.
        example: String,
    },
    /// The server has no target for a connection without the parameter `host`.
    #[error("this connection names no target: {}, and proxy.default_target is not set", unnamed(server_name.as_deref()))]
    NoTarget {
        /// The server name of its TLS session.
        server_name: Option<String>,
    },
    /// The same for a cancel request.
    #[error(
        "a cancel request names no target: {}, and proxy.default_target is not set; libpq before 17 and many drivers \
         send cancel requests in clear text, without a name",
        unnamed(server_name.as_deref())
    )]
    CancelWithoutTarget {
        /// The server name of its TLS session.
        server_name: Option<String>,
    },
    /// The server lets no connection name its target.
    #[error(
        "the startup parameter \"host\" is not accepted here, because proxy.accept_host_parameter is false"
    )]
    HostParameter,
    /// The listener does not accept its client certificate, or the lack of one.
    #[error("{0}")]
    Certificate(ClientCertificateError),
    /// The target does not allow its client certificate.
    #[error(
        "the target \"{target}\" does not allow this client certificate: allowed_client_names has none of its names ({names})"
    )]
    ClientNotAllowed {
        /// The name of the target.
        target: String,
        /// Those in the certificate.
        names: String,
    },
    /// The target allows certain client certificates, and the application sent none.
    #[error("the target \"{target}\" is for certain client certificates, and the application sent none")]
    NoClientCertificate {
        /// The name of the target.
        target: String,
    },
    /// The cancel request is for no session of this process.
    #[error("no session of this client has the key of this cancel request")]
    UnknownKey,
}

fn unnamed(server_name: Option<&str>) -> String {
    match server_name {
        Some(name) => format!("no target has its TLS server name \"{name}\" in server_names"),
        None => "it has no TLS server name (SNI)".into(),
    }
}
