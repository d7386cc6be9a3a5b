//! Why a connection fails. `classify.rs` has the side at fault, `response.rs` the message for the application.

use std::io;
use std::time::Duration;

use super::failure_text::{because, how};
use super::{DoorError, ExcludedMethod, Fault, TooManyLogins};
use crate::catalog::{LookupError, MintError, TokenError};
use crate::net::InvalidAddress;
use crate::tls::{SslMode, TlsError};
use crate::wire::{DecodeError, EncodeError};

/// The end of a connection before it became a session.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The application sent bytes that are no PostgreSQL message.
    #[error("the application broke the protocol: {0}")]
    Application(DecodeError),
    /// A load balancer sent an invalid header of the PROXY protocol, or none.
    #[error("the load balancer broke the protocol: {0}")]
    ProxyHeader(DecodeError),
    /// The application hung up.
    #[error("the application hung up during the login{}", how(.0))]
    ApplicationGone(io::Error),
    /// The application hung up at an offer of SCRAM from which the proxy had taken the mechanism with channel binding.
    #[error("the application hung up when SCRAM was offered without channel binding{}; if it requires binding, connect with channel_binding=disable", how(.0))]
    BindingWithheld(io::Error),
    /// The application chose SCRAM with channel binding.
    #[error("the application binds its login to its TLS session, which ends at this proxy")]
    ChannelBinding,
    /// TLS with the application failed.
    #[error("{0}")]
    ApplicationTls(TlsError),
    /// A TLS handshake where none was agreed on.
    #[error("the application began TLS that was not agreed on; set proxy.ssl.enabled to accept TLS")]
    UnexpectedTls,
    /// TLS without an SSLRequest must name the protocol.
    #[error("the application began TLS without offering the protocol \"postgresql\" by ALPN")]
    DirectTlsWithoutAlpn,
    /// No TLS where `proxy.ssl.required` is set.
    #[error("this proxy requires TLS, and the application connected without TLS")]
    Plaintext,
    /// The application is a process of a user that this client does not serve; its user id.
    #[error("this client serves only the user that runs it and root, not user id {0}")]
    OtherUser(u32),
    /// The same request for encryption twice, or after encryption.
    #[error("the application sent {0} twice, or inside encryption")]
    RepeatedRequest(&'static str),
    /// A startup packet lacks what this mode needs.
    #[error("the startup packet has no \"{parameter}\"; {remedy}")]
    MissingParameter {
        /// The parameter.
        parameter: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The hop did not pass a cancel request on.
    #[error("{0} refused a cancel request; its log has the reason")]
    CancelRefused(String),
    /// The target's address cannot be read.
    #[error("the startup parameter \"host\" is no target: {0}")]
    InvalidTarget(InvalidAddress),
    /// A value of the application does not fit into the packet for the hop.
    #[error("the startup packet cannot be sent on: {0}")]
    Startup(EncodeError),
    /// There is no such target, or it is not allowed.
    #[error("{0}")]
    Lookup(LookupError),
    /// The door by which the connection came in leads to no target.
    #[error("{0}")]
    Door(DoorError),
    /// No IAM password could be made.
    #[error("{0}")]
    Mint(MintError),
    /// `audit.on_full` is `refuse`, and the log is not read.
    #[error(
        "new sessions are refused: audit lines could be lost, because the log of this proxy is not read or not written"
    )]
    AuditQueueFull,
    /// All slots are taken.
    #[error("there are too many connections: max_connections of this proxy is {0}")]
    TooManyConnections(usize),
    /// This address has as many slots as one may have.
    #[error(
        "there are too many connections from this address: max_connections_per_peer of this proxy is {0}"
    )]
    TooManyConnectionsOfPeer(usize),
    /// No turn for a login came within the handshake's time.
    #[error("{0}")]
    TooManyLogins(TooManyLogins),
    /// A login that waited made room for a newer one, or for a new connection.
    #[error("dropped while waiting for {0}: too many logins are under way")]
    LoginDropped(&'static str),
    /// The startup packet did not arrive before newer connections needed the room.
    #[error("dropped before the startup packet: too many pending connections")]
    PendingDropped,
    /// The proxy stops.
    #[error("this proxy is shutting down; connect again")]
    ShuttingDown,
    /// The session moved no bytes for `idle_timeout`.
    #[error("the session was idle for {} s, which is the idle_timeout of this proxy", .0.as_secs_f32())]
    Idle(Duration),
    /// An administrator ended the session, for this reason; it may be empty.
    #[error("an administrator ended this session{}{}", if .0.is_empty() { "" } else { ": " }, .0)]
    Ended(String),
    /// The handshake took too long.
    #[error("time ran out after {} s while {doing}", allowed.as_secs_f32())]
    Timeout {
        /// What the proxy was doing.
        doing: String,
        /// How long was allowed.
        allowed: Duration,
        /// The side at fault.
        fault: Fault,
    },
    /// The hop accepted the connection and did not answer for as long as this.
    #[error("time ran out after {waited} s while waiting for {0} to finish the login", waited = .1.as_secs_f32())]
    Silent(String, Duration),
    /// The hop cannot be reached.
    #[error("{hop} cannot be reached: {source}")]
    Unreachable {
        /// The name of the hop.
        hop: String,
        /// Why.
        source: io::Error,
    },
    /// The pod refused the stream of a tunnel after it was opened. It has received nothing, so another stream may work.
    #[error("{hop} cannot be reached: {source}")]
    RefusedLate {
        /// The name of the hop.
        hop: String,
        /// Why.
        source: io::Error,
    },
    /// The hop hung up.
    #[error("{hop} hung up during the login{}", how(source))]
    HopGone {
        /// The name of the hop.
        hop: String,
        /// How.
        source: io::Error,
    },
    /// The connection to the hop was lost in the middle of a session.
    #[error("the connection to {hop} was lost{}; what a running statement did is not known", because(reason.as_ref()))]
    HopLost {
        /// The name of the hop.
        hop: String,
        /// The error, where there was one and not only an end.
        reason: Option<io::Error>,
    },
    /// The hop sent bytes that are no PostgreSQL message.
    #[error("{hop} broke the protocol: {source}")]
    HopProtocol {
        /// The name of the hop.
        hop: String,
        /// How.
        source: DecodeError,
    },
    /// TLS with the hop failed.
    #[error("{source}")]
    HopTls {
        /// The name of the hop.
        hop: String,
        /// Why.
        source: TlsError,
    },
    /// The hop has no TLS, and it is needed.
    #[error("{hop} has TLS turned off, but the TLS mode {mode} needs it to send a password")]
    NoTls {
        /// The name of the hop.
        hop: String,
        /// The mode it is configured with.
        mode: SslMode,
    },
    /// The hop did not confirm the protocol of PostgreSQL, or closed.
    #[error("{0} does not accept direct TLS; it needs PostgreSQL 17 or later, or ssl.negotiation: postgres")]
    NoDirectTls(String),
    /// The hop has no TLS, and an impostor of the tunnel's entrance could read a password.
    #[error(
        "{0} has TLS turned off, and the kubeconfig does not verify the API server: a password could reach an impostor"
    )]
    UnverifiedTunnel(String),
    /// The hop answered the SSLRequest with an error in plaintext, which is not shown (as libpq since CVE-2024-10977).
    #[error("{0} answered with an error before TLS could begin; its log has it")]
    ErrorBeforeTls(String),
    /// The hop answered the SSLRequest with an invalid byte.
    #[error("{0} does not speak PostgreSQL: it answered an SSLRequest with the byte {1:#04x}")]
    NotPostgres(String, u8),
    /// The hop hung up instead of answering the SSLRequest.
    #[error("{0} hung up before TLS could begin")]
    HungUpBeforeTls(String),
    /// The hop's messages come in an order that PostgreSQL does not have.
    #[error("{hop} broke the protocol: {reason}")]
    LoginOrder {
        /// The name of the hop.
        hop: String,
        /// The cause.
        reason: &'static str,
    },
    /// The hop uses a login method that `require_auth` excludes.
    #[error("{0}")]
    ExcludedMethod(ExcludedMethod),
    /// The hop has the password already. A second request is an attempt to obtain another one.
    #[error("{0} requested a password after it had received one; this request is not relayed")]
    SecondPasswordRequest(String),
    /// The password must not be sent to this target.
    #[error("the login is refused: {0}")]
    Token(TokenError),
    /// No common SASL mechanism.
    #[error("{hop} offers only the login methods {offered}, none of which can be used here")]
    UnsupportedSasl {
        /// The name of the hop.
        hop: String,
        /// What it offers.
        offered: String,
    },
    /// A login method that is neither answered nor relayed.
    #[error(
        "{0} asks for the login method number {1} (such as GSSAPI or SSPI), which cannot pass this proxy"
    )]
    UnsupportedMethod(String, u32),
    /// The SCRAM exchange failed.
    #[error("the SCRAM login at {hop} failed: {reason}")]
    Scram {
        /// The name of the hop.
        hop: String,
        /// Why.
        reason: String,
    },
    /// The password cannot be sent.
    #[error("the password cannot be used: {0}")]
    Password(EncodeError),
    /// The hop sent too many bytes before the login result.
    #[error("{0} sent more than {1} bytes without finishing the login")]
    EndlessLogin(String, usize),
    /// The hop refused the login, and its message was relayed.
    #[error("{hop} refused the login: {message}")]
    Refused {
        /// The name of the hop.
        hop: String,
        /// Its SQLSTATE.
        sqlstate: String,
        /// Its message.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;
    use crate::net::{Framed, Socket};
    use crate::session::negotiate::negotiate;

    const STARTUP: &[u8] = b"\0\0\0\x2c\0\x03\0\0user\0alice\0password\0hunter2hunter2\0\0";

    /// A startup packet with a password in it that is cut off, and one with a wrong byte, at every place.
    #[tokio::test]
    async fn no_failure_of_a_login_shows_the_packet() {
        assert!(negotiated(STARTUP).await.is_none(), "the whole packet is valid");
        let cut = (0..STARTUP.len()).map(|end| STARTUP[..end].to_vec());
        let wrong = (0..STARTUP.len()).flat_map(|place| {
            [0, b'x', 0xff].map(|byte| {
                let mut packet = STARTUP.to_vec();
                packet[place] = byte;
                packet
            })
        });
        let mut failures = Vec::new();
        for packet in cut.chain(wrong) {
            failures.extend(negotiated(&packet).await);
        }
        assert!(failures.len() > 50, "{}", failures.len());
        let text: String = failures.iter().map(ToString::to_string).collect();
        let shown = format!("{failures:?} {text}");
        // Neither as text nor as a list of bytes.
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117, 110"), "{shown}");
    }

    async fn negotiated(packet: &[u8]) -> Option<Failure> {
        let (mut app, socket) = duplex(1024);
        app.write_all(packet).await.unwrap();
        drop(app);
        negotiate(Framed::new(Socket::Tunnel(Box::new(socket))), None)
            .await
            .err()
            .map(|refused| refused.failure)
    }
}
