//! The packets of the PostgreSQL protocol that the fake servers read and write.
//!
//! Written from the PostgreSQL manual, "Message Formats", without `rds_auth_proxy::wire`: a mistake there must not be
//! repeated here.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const CANCEL_REQUEST: u32 = request(5678);
const SSL_REQUEST: u32 = request(5679);
const GSSENC_REQUEST: u32 = request(5680);

/// PostgreSQL's `MAX_STARTUP_PACKET_LENGTH` (`src/include/libpq/pqcomm.h`).
const LONGEST_STARTUP: usize = 10_000;
/// PostgreSQL's `PG_MAX_AUTH_TOKEN_LENGTH` (`src/include/libpq/auth.h`).
const LONGEST_PASSWORD: usize = 65_535;

/// A first packet, which has no type byte. `Vec<u8>` holds the whole packet with its length word.
#[derive(Debug)]
pub enum FirstPacket {
    SslRequest,
    GssencRequest,
    CancelRequest(Vec<u8>),
    Startup(Startup),
}

/// A startup packet.
#[derive(Clone, Debug)]
pub struct Startup {
    pub bytes: Vec<u8>,
    /// Major version in the upper half.
    pub version: u32,
    /// Names and values, in the order sent.
    pub parameters: Vec<(String, String)>,
}

impl Startup {
    /// The value of a parameter.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of `user`; empty if the packet has none.
    pub fn user(&self) -> &str {
        self.find("user").unwrap_or_default()
    }
}

/// Reads one first packet and not a byte more.
pub async fn read_first(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<FirstPacket> {
    let length = stream.read_u32().await?;
    let mut bytes = length.to_be_bytes().to_vec();
    let length = length as usize;
    if !(8..=LONGEST_STARTUP).contains(&length) {
        return Err(invalid(format!("a startup packet of {length} bytes")));
    }
    bytes.resize(length, 0);
    stream.read_exact(&mut bytes[4..]).await?;
    let code = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    match code {
        SSL_REQUEST => Ok(FirstPacket::SslRequest),
        GSSENC_REQUEST => Ok(FirstPacket::GssencRequest),
        CANCEL_REQUEST => Ok(FirstPacket::CancelRequest(bytes)),
        version => {
            let parameters = parse_parameters(&bytes[8..])?;
            Ok(FirstPacket::Startup(Startup { bytes, version, parameters }))
        }
    }
}

/// Requests a cleartext password and reads it.
pub async fn request_password(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<String> {
    stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).await?;
    stream.flush().await?;
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await? as usize;
    if kind != b'p' || !(5..=LONGEST_PASSWORD).contains(&length) {
        return Err(invalid(format!("message {kind} of {length} bytes instead of a password")));
    }
    let mut bytes = vec![0; length - 4];
    stream.read_exact(&mut bytes).await?;
    if bytes.pop() != Some(0) {
        return Err(invalid("a password without its final zero".into()));
    }
    String::from_utf8(bytes).map_err(|_| invalid("a password that is not UTF-8".into()))
}

/// Sends a FATAL ErrorResponse.
pub async fn refuse(stream: &mut (impl AsyncWrite + Unpin), code: &str, message: &str) -> io::Result<()> {
    let mut fields = Vec::new();
    for (kind, value) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', message)] {
        fields.push(kind);
        fields.extend_from_slice(value.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    stream.write_u8(b'E').await?;
    stream.write_u32(u32::try_from(fields.len() + 4).unwrap()).await?;
    stream.write_all(&fields).await?;
    stream.flush().await
}

/// A request code: 1234 where a startup packet has its major version.
const fn request(minor: u32) -> u32 {
    1234 * 0x1_0000 + minor
}

/// Parses names and values, each followed by a zero byte, and a final zero byte.
fn parse_parameters(bytes: &[u8]) -> io::Result<Vec<(String, String)>> {
    let bytes = bytes.strip_suffix(&[0]).ok_or(invalid("a startup packet without its final zero".into()))?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let bytes =
        bytes.strip_suffix(&[0]).ok_or(invalid("a startup parameter without its final zero".into()))?;
    let texts: Vec<_> =
        bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    if texts.len() % 2 == 1 {
        return Err(invalid("a startup parameter without a value".into()));
    }
    Ok(texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
