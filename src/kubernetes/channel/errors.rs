//! The errors of a channel.

use std::io;
use std::time::Duration;

use tokio_tungstenite::tungstenite;

use crate::catalog::LateRefusal;
use crate::kubernetes::error::TunnelError;
use crate::kubernetes::explain::quote;

/// The connection that carries the websocket has failed.
pub(super) fn connection_failed(error: &tungstenite::Error) -> io::Error {
    let closed = || (io::ErrorKind::ConnectionReset, "it was closed without a close message".to_owned());
    let (kind, reason) = match error {
        // A reader would take `UnexpectedEof` for the end of the stream.
        tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => closed(),
        tungstenite::Error::Io(error) => (error.kind(), error.to_string()),
        tungstenite::Error::Protocol(_) => closed(),
        other => (io::ErrorKind::ConnectionReset, other.to_string()),
    };
    io::Error::new(kind, format!("the connection to the API server failed: {}", quote(&reason)))
}

/// Nothing has arrived for the duration of `silence`.
pub(super) fn path_dead(silence: Duration) -> io::Error {
    let text = format!("the API server has sent nothing for {silence:.0?}; the network path is dead");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// The pod's side has ended the stream.
pub(super) fn stream_failed(pod: &str, reason: &str) -> io::Error {
    let text = format!("the stream to pod {pod} failed: {}", quote(reason));
    io::Error::new(io::ErrorKind::ConnectionReset, text)
}

/// The pod's side has ended the stream with this report before the pod sent data. If the report is about a failed
/// connection, the port refuses connections.
pub(super) fn never_connected(pod: &str, port: u16, report: &str) -> io::Error {
    let error = stream_failed(pod, report);
    let refusals = ["refused", "failed to connect", "failed to dial"];
    let report = report.to_ascii_lowercase();
    if !refusals.iter().any(|refusal| report.contains(refusal)) {
        return error;
    }
    // The text of containerd is three lines of namespaces and addresses, with this at its end.
    let no_listener = report.contains("connection refused");
    let reason = if no_listener { "no process listens there".to_owned() } else { error.to_string() };
    TunnelError::PortRefused { pod: pod.to_owned(), port, reason }.into()
}

/// The same error for a stream that was opened before, and on which the pod has sent nothing: a [`LateRefusal`], unless the time
/// for another stream is over.
pub(super) fn late_refusal(error: &io::Error) -> Option<io::Error> {
    (error.kind() != io::ErrorKind::TimedOut).then(|| LateRefusal::into_error(error.to_string()))
}
