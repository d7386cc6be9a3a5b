//! One HTTP request over a Unix socket.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::process::CommandError;

/// How long the proxy may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of an answer: some 100,000 sessions.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// The body of the answer to a GET request.
pub(super) fn get(socket: &Path, path: &str) -> Result<Vec<u8>, CommandError> {
    send(socket, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}

/// The body of the answer to a POST request with this body.
pub(super) fn post(socket: &Path, path: &str, body: &str) -> Result<Vec<u8>, CommandError> {
    send(socket, &format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn send(socket: &Path, request: &str) -> Result<Vec<u8>, CommandError> {
    let answer = exchange(socket, request.as_bytes()).map_err(|error| unreachable(socket, &error))?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = answer.split_at_checked(end.map_or(0, |end| end + 4)).unwrap_or_default();
    let head = String::from_utf8_lossy(head);
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_vec()),
        Some(_) if !body.is_empty() => Err(CommandError::runtime(String::from_utf8_lossy(body).trim_end())),
        Some(status) => {
            Err(CommandError::runtime(format!("the admin_socket answers with the status {status}")))
        }
        None => {
            Err(CommandError::runtime(format!("{} is no admin_socket of this program", socket.display())))
        }
    }
}

#[cfg(unix)]
fn exchange(socket: &Path, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(not(unix))]
fn exchange(_: &Path, _: &[u8]) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets here"))
}

fn unreachable(socket: &Path, error: &io::Error) -> CommandError {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "; start the proxy with this proxy.admin_socket, or name another socket with --socket"
        }
        io::ErrorKind::PermissionDenied => "; run this command as the user of the proxy, or as root",
        _ => "",
    };
    CommandError::runtime(format!("the admin_socket {} cannot be reached: {error}{remedy}", socket.display()))
}
