//! Step 2, negotiate: encryption towards the application, until its startup packet or cancel request arrives.

use super::Failure;
use super::message::{flush_to_app, read_first_packet};
use crate::net::{Framed, Stream};
use crate::tls::{ALPN, Acceptor, ClientCertificateError, EXTENSION_ALPN, Encrypted, VerifiedClient};
use crate::wire::{CancelRequest, FirstPacket, StartupMessage};

/// The first byte of a TLS handshake record (RFC 8446 section 5.1). The length word of a startup packet always
/// begins with zero.
const TLS_HANDSHAKE: u8 = 0x16;

/// The packet that ends the negotiation.
pub enum Opening {
    /// It opens a session.
    Startup(StartupMessage),
    /// It cancels the query of another connection.
    Cancel(CancelRequest),
}

/// A connection whose first packet has arrived.
pub(super) struct Negotiated {
    pub(super) app: Framed,
    pub(super) opening: Opening,
    pub(super) client: Client,
}

/// The verified certificate of an application, if it sent one; or why it must not be served. It gets the reason only after its first
/// packet, which it sends in any case.
type Client = Result<Option<VerifiedClient>, ClientCertificateError>;

/// A connection that cannot be served, with its stream if that can still carry a message.
pub(super) struct Refused {
    pub(super) app: Option<Framed>,
    pub(super) failure: Failure,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { app: None, failure }
    }
}

/// Answers the requests for encryption and returns the packet after them. `acceptor` is absent where TLS is off.
pub(super) async fn negotiate(mut app: Framed, acceptor: Option<Acceptor>) -> Result<Negotiated, Refused> {
    let mut client = Ok(None);
    // The manual allows GSSENCRequest and SSLRequest once each, in this order or the other.
    let (mut tls_requested, mut gss_requested) = (false, false);
    loop {
        let packet = match next_packet(&mut app).await {
            Ok(packet) => packet,
            Err(Unread::DirectTls(first)) => {
                if app.stream().is_tls() || tls_requested || gss_requested {
                    return Err(refuse(app, Failure::UnexpectedTls));
                }
                (app, client) = upgrade(app, acceptor.as_ref(), &first).await?;
                if ![Some(ALPN), Some(EXTENSION_ALPN)].contains(&app.stream().alpn()) {
                    return Err(refuse(app, Failure::DirectTlsWithoutAlpn));
                }
                continue;
            }
            Err(Unread::Failed(failure)) => return Err(refuse(app, failure)),
        };
        match packet {
            FirstPacket::Startup(startup) => {
                return Ok(Negotiated { app, opening: Opening::Startup(startup), client });
            }
            FirstPacket::Cancel(cancel) => {
                return Ok(Negotiated { app, opening: Opening::Cancel(cancel), client });
            }
            FirstPacket::Ssl if tls_requested || app.stream().is_tls() => {
                return Err(refuse(app, Failure::RepeatedRequest("SSLRequest")));
            }
            FirstPacket::GssEnc if gss_requested || app.stream().is_tls() => {
                return Err(refuse(app, Failure::RepeatedRequest("GSSENCRequest")));
            }
            FirstPacket::GssEnc => {
                gss_requested = true;
                app = answer(app, b'N').await?;
            }
            FirstPacket::Ssl => {
                tls_requested = true;
                if acceptor.is_some() {
                    app = answer(app, b'S').await?;
                    (app, client) = upgrade(app, acceptor.as_ref(), &[]).await?;
                } else {
                    app = answer(app, b'N').await?;
                }
            }
        }
    }
}

enum Unread {
    DirectTls([u8; 4]),
    Failed(Failure),
}

async fn next_packet(app: &mut Framed) -> Result<FirstPacket, Unread> {
    let length = match app.read_array::<4>().await {
        Ok(length) => length,
        Err(error) => return Err(Unread::Failed(Failure::ApplicationGone(error))),
    };
    if length.first() == Some(&TLS_HANDSHAKE) {
        return Err(Unread::DirectTls(length));
    }
    read_first_packet(app, length).await.map_err(Unread::Failed)
}

async fn answer(mut app: Framed, byte: u8) -> Result<Framed, Refused> {
    app.out().extend_from_slice(&[byte]);
    flush_to_app(&mut app).await?;
    Ok(app)
}

/// Makes TLS. After a failed handshake no message can be sent to the application.
async fn upgrade(
    app: Framed,
    acceptor: Option<&Acceptor>,
    first: &[u8],
) -> Result<(Framed, Client), Refused> {
    let (Some(acceptor), Stream::Plain(socket)) = (acceptor, app.into_stream()) else {
        return Err(Failure::UnexpectedTls.into());
    };
    let Encrypted { stream, client } =
        acceptor.accept(socket, first).await.map_err(Failure::ApplicationTls)?;
    Ok((Framed::new(stream), client))
}

fn refuse(app: Framed, failure: Failure) -> Refused {
    Refused { app: Some(app), failure }
}
