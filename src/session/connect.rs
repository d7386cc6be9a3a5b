//! Step 4, connect: reaches the hop, makes TLS with it, and decides whether a password may go there.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::message::lost;
use super::{ExcludedMethod, Failure, Hop, Transport};
use crate::catalog::{AuthMethod, AuthMethods, TunnelStream};
use crate::net::{Framed, Socket, dial};
use crate::tls::{ClientCertificate, Negotiation, SslMode, TlsError};
use crate::wire::encode_ssl_request;

/// A connection to the hop.
pub(super) struct HopStream {
    pub(super) framed: Framed,
    /// The hop's name in errors.
    pub(super) name: String,
    pub(super) is_database: bool,
    passwords: Passwords,
    /// The hop has proved its identity by its certificate, or the network between is trusted.
    pub(super) trusted: bool,
    methods: AuthMethods,
    /// The methods are the default, not configured.
    default_methods: bool,
    auth_key: String,
}

/// Whether a password may travel to the hop, and otherwise why not.
#[derive(Clone, Copy)]
enum Passwords {
    Allowed,
    /// Without TLS it would be in clear text.
    NoTls,
    /// Without TLS it would be in clear text for an impostor of the tunnel's entrance.
    UnverifiedTunnel,
}

/// A connection to the hop before TLS.
pub(super) struct Reached {
    /// The hop, with the name of its pod where it is reached through a tunnel.
    pub(super) hop: Hop,
    socket: Socket,
    path: Path,
}

/// How a hop was reached.
#[derive(Clone, Copy)]
enum Path {
    /// By its address.
    Network,
    /// Through a tunnel whose entrance is verified or not.
    Tunnel { verified: bool },
}

impl HopStream {
    /// Never sends a password in clear text, except where the network between is trusted: the mode says `disable`, or the path
    /// is a tunnel that encrypts, to a cluster that has proved its identity. This is the one place that decides it.
    fn new(hop: &Hop, framed: Framed, path: Path) -> Self {
        let is_tls = framed.stream().is_tls();
        let trusted_network =
            hop.tls.mode() == SslMode::Disable || matches!(path, Path::Tunnel { verified: true });
        let trusted = trusted_network || is_tls && hop.tls.verifies();
        let default = if trusted { AuthMethods::ALL } else { AuthMethods::SAFE };
        let passwords = match path {
            _ if is_tls || trusted_network => Passwords::Allowed,
            Path::Network => Passwords::NoTls,
            Path::Tunnel { .. } => Passwords::UnverifiedTunnel,
        };
        Self {
            framed,
            name: hop.name.clone(),
            is_database: hop.is_database,
            passwords,
            trusted,
            methods: hop.require_auth.unwrap_or(default),
            default_methods: hop.require_auth.is_none(),
            auth_key: hop.auth_key.clone(),
        }
    }

    /// Fails where the hop may not use this login method. The error has `no_token`.
    pub(super) fn check_method(&self, method: AuthMethod, no_token: Option<&String>) -> Result<(), Failure> {
        if self.methods.allows(method) {
            return Ok(());
        }
        Err(Failure::ExcludedMethod(ExcludedMethod {
            hop: self.name.clone(),
            method: method.name(),
            key: self.auth_key.clone(),
            unverified: self.default_methods,
            no_token: no_token.cloned(),
        }))
    }

    /// Fails where a password, ours or the application's, would travel in clear text.
    pub(super) fn check_password_allowed(&self) -> Result<(), Failure> {
        let hop = self.name.clone();
        match self.passwords {
            Passwords::Allowed => Ok(()),
            // TLS was not demanded, else there would be no connection in clear text.
            Passwords::NoTls => Err(Failure::NoTls { hop, mode: SslMode::Prefer }),
            Passwords::UnverifiedTunnel => Err(Failure::UnverifiedTunnel(hop)),
        }
    }

    #[cfg(fuzzing)]
    pub(super) fn trusted(framed: Framed, name: &str) -> Self {
        Self {
            framed,
            name: name.to_owned(),
            is_database: true,
            passwords: Passwords::Allowed,
            trusted: true,
            methods: AuthMethods::ALL,
            default_methods: true,
            auth_key: String::new(),
        }
    }
}

/// Opens a connection to the hop within `limit`, then makes the TLS that the hop's mode demands.
pub(super) async fn connect(
    hop: &Hop,
    limit: Duration,
    certificate: ClientCertificate,
) -> Result<HopStream, Failure> {
    secure(reach(hop, limit).await?, certificate).await
}

/// Opens a connection to the hop within `limit`.
pub(super) async fn reach(hop: &Hop, limit: Duration) -> Result<Reached, Failure> {
    dial_hop(hop, limit).await.map_err(|source| Failure::Unreachable { hop: hop.name.clone(), source })
}

/// Makes the TLS that the hop's mode demands.
pub(super) async fn secure(reached: Reached, certificate: ClientCertificate) -> Result<HopStream, Failure> {
    let Reached { hop, mut socket, path } = reached;
    let mode = hop.tls.mode();
    if mode == SslMode::Disable {
        return Ok(HopStream::new(&hop, Framed::new(socket), path));
    }
    let name = || hop.name.clone();
    if hop.tls.settings().negotiation == Negotiation::Direct {
        return secure_directly(&hop, socket, path, certificate).await;
    }
    match request_tls(&mut socket).await.map_err(|source| lost(&hop.name, source))? {
        Some(b'S') => {
            let encrypted = hop.tls.connect(socket, hop.transport.host(), certificate).await;
            let stream = encrypted.map_err(|source| Failure::HopTls { hop: name(), source })?;
            Ok(HopStream::new(&hop, Framed::new(stream), path))
        }
        Some(b'N') if mode == SslMode::Prefer => Ok(HopStream::new(&hop, Framed::new(socket), path)),
        Some(b'N') => Err(Failure::NoTls { hop: name(), mode }),
        Some(b'E') => Err(Failure::ErrorBeforeTls(name())),
        Some(byte) => Err(Failure::NotPostgres(name(), byte)),
        None => Err(Failure::HungUpBeforeTls(name())),
    }
}

/// Makes TLS without an SSLRequest. As for libpq, the hop has to confirm the protocol: it could be a server of another one.
async fn secure_directly(
    hop: &Hop,
    socket: Socket,
    path: Path,
    certificate: ClientCertificate,
) -> Result<HopStream, Failure> {
    let name = || hop.name.clone();
    match hop.tls.connect(socket, hop.transport.host(), certificate).await {
        Ok(stream) if stream.alpn().is_some() => Ok(HopStream::new(hop, Framed::new(stream), path)),
        // PostgreSQL before 17 takes the handshake for a startup packet of an impossible length, and closes.
        Ok(_) | Err(TlsError::HungUp(_)) => Err(Failure::NoDirectTls(name())),
        Err(source) => Err(Failure::HopTls { hop: name(), source }),
    }
}

/// Whether to connect once more, now without the client certificate: nobody configured it, and the hop refuses it. A server
/// may request one and go on without, as pgbouncer does.
pub(super) fn withhold_after(failure: &Failure, hop: &Hop, certificate: &mut ClientCertificate) -> bool {
    let refused = matches!(failure, Failure::HopTls { source: TlsError::OwnCertificate { .. }, .. });
    let withhold = refused && *certificate == ClientCertificate::Shown && hop.tls.certificate().is_none();
    if withhold {
        *certificate = ClientCertificate::Withheld;
    }
    withhold
}

async fn dial_hop(hop: &Hop, limit: Duration) -> std::io::Result<Reached> {
    match &hop.transport {
        Transport::Address(address) | Transport::Database { address, .. } => {
            Ok(Reached { hop: hop.clone(), socket: dial(address, limit).await?, path: Path::Network })
        }
        Transport::Tunnel { dial, .. } => {
            let TunnelStream { socket, end, verified } = dial.dial(limit).await?;
            let name = format!("{} ({end})", hop.name);
            Ok(Reached { hop: Hop { name, ..hop.clone() }, socket, path: Path::Tunnel { verified } })
        }
    }
}

/// Sends an SSLRequest and reads the answer, which is one byte: what follows it belongs to TLS. `None` at the end of the
/// stream.
async fn request_tls(socket: &mut Socket) -> std::io::Result<Option<u8>> {
    let mut request = BytesMut::new();
    encode_ssl_request(&mut request);
    socket.write_all(&request).await?;
    socket.flush().await?;
    let mut answer = [0];
    Ok((socket.read(&mut answer).await? == 1).then_some(answer[0]))
}
