//! Whole messages, to and from either side of a login.

use std::io;

use bytes::BytesMut;

use super::Failure;
use crate::catalog::LateRefusal;
use crate::net::Framed;
use crate::secret::Secret;
use crate::tls::TlsError;
use crate::wire::{
    ErrorResponse, FirstPacket, Header, Severity, SqlState, password_body_length, startup_body_length,
};

/// The most bytes of an old error's text.
const MAX_OLD_ERROR: usize = 1024;

/// A message of the hop during the login.
pub(super) struct FromHop {
    pub(super) tag: u8,
    /// A secret: it may be the key that cancels queries.
    pub(super) body: Secret,
}

/// The first packet of an application, whose length word was already read.
pub(super) async fn read_first_packet(app: &mut Framed, length: [u8; 4]) -> Result<FirstPacket, Failure> {
    let length = startup_body_length(length).map_err(Failure::Application)?;
    let body = app.read_body(length).await.map_err(Failure::ApplicationGone)?;
    FirstPacket::decode(body.expose()).map_err(Failure::Application)
}

/// The next message of the hop.
pub(super) async fn read_from_hop(hop: &mut Framed, name: &str) -> Result<FromHop, Failure> {
    let gone = |source| lost(name, source);
    let invalid = |source| Failure::HopProtocol { hop: name.to_owned(), source };
    let header = hop.read_array().await.map_err(gone)?;
    if is_old_error(header) {
        return old_error(hop, header).await.map_err(gone);
    }
    let header = Header::decode(header).map_err(invalid)?;
    let body = hop.read_body(header.body_length).await.map_err(gone)?;
    Ok(FromHop { tag: header.tag, body })
}

/// Whether a message is an error in the format of PostgreSQL before 7.4: `E`, the text and a zero byte, without a length. The
/// postmaster still sends it where it cannot start a process for the connection (`report_fork_failure_to_client` in
/// postmaster.c). As in libpq, a length that no error has tells them apart: here it is the beginning of a text.
fn is_old_error(header: [u8; Header::LENGTH]) -> bool {
    let [tag, length @ ..] = header;
    tag == b'E' && length.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}

/// The same error in today's format.
async fn old_error(hop: &mut Framed, header: [u8; Header::LENGTH]) -> io::Result<FromHop> {
    let [tag, start @ ..] = header;
    let mut text = start.to_vec();
    while text.len() < MAX_OLD_ERROR {
        match hop.read_byte().await? {
            None | Some(0) => break,
            Some(byte) => text.push(byte),
        }
    }
    let text = String::from_utf8_lossy(&text);
    let mut body = BytesMut::new();
    ErrorResponse::new(Severity::Fatal, SqlState::CannotConnectNow, text.trim_end()).encode(&mut body);
    Ok(FromHop { tag, body: Secret::new(body.get(Header::LENGTH..).unwrap_or_default().to_vec()) })
}

/// The application's answer to a password request: header and body as received.
pub(super) async fn read_password(app: &mut Framed) -> Result<Secret, Failure> {
    let header = app.read_array::<{ Header::LENGTH }>().await.map_err(Failure::ApplicationGone)?;
    let length = password_body_length(header).map_err(Failure::Application)?;
    let body = app.read_body(length).await.map_err(Failure::ApplicationGone)?;
    let mut message = Vec::with_capacity(header.len() + length);
    message.extend_from_slice(&header);
    message.extend_from_slice(body.expose());
    Ok(Secret::new(message))
}

/// Sends the bytes encoded for the hop.
pub(super) async fn flush_to_hop(hop: &mut Framed, name: &str) -> Result<(), Failure> {
    hop.flush().await.map_err(|source| lost(name, source))
}

/// The failure that an error on the connection to the hop means.
pub(super) fn lost(name: &str, source: io::Error) -> Failure {
    let hop = name.to_owned();
    if LateRefusal::is_in(&source) {
        return Failure::RefusedLate { hop, source };
    }
    match TlsError::from_alert(name, &source) {
        Some(source) => Failure::HopTls { hop, source },
        None => Failure::HopGone { hop, source },
    }
}

/// Sends the bytes encoded for the application.
pub(super) async fn flush_to_app(app: &mut Framed) -> Result<(), Failure> {
    app.flush().await.map_err(Failure::ApplicationGone)
}
