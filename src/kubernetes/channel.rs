//! The websocket to one pod as a stream of bytes.
//!
//! Each message begins with a channel number: 0 carries data, 1 the text of an error. The first message on each channel
//! holds the port in two bytes (k8s.io/kubelet, `pkg/cri/streaming/portforward/websocket.go`). The protocol has no
//! half-close, so a local shutdown does not reach the pod.

mod errors;
mod io_traits;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use self::errors::{connection_failed, late_refusal, never_connected, path_dead, stream_failed};
use super::keepalive::{Keepalive, Tick};
use super::metrics;
use super::timeouts::Timeouts;

/// The channel numbers.
const DATA: u8 = 0;
const ERROR: u8 = 1;

/// The most data in one message to the pod, in bytes.
const MAX_SENT: usize = 64 * 1024;

/// The largest message from the pod, in bytes. Kubelets send 32 KiB.
const MAX_RECEIVED: usize = 4 * 1024 * 1024;

/// For the port numbers, which every kubelet sends immediately.
const PORT_NUMBERS_TIMEOUT: Duration = Duration::from_secs(1);

/// Small buffers of a fixed size, because most sessions are idle. At most one message waits to be sent.
pub(super) fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_SENT)
        .max_message_size(Some(MAX_RECEIVED))
        .max_frame_size(Some(MAX_RECEIVED))
}

/// A stream to a port of a pod.
pub(super) struct Channel<S> {
    socket: WebSocketStream<S>,
    pod: String,
    port: u16,
    /// Whether the pod has sent data.
    pod_sent_data: bool,
    /// Data from the pod that the local side has not read.
    unread: Bytes,
    /// How many bytes of the port number are missing on each channel.
    port_bytes_left: [usize; 2],
    keepalive: Keepalive,
    /// Whether the local side waits for data.
    reading: bool,
    linger: Duration,
    /// When the local side shut down writing, or when data last arrived since.
    shutdown_at: Option<Instant>,
    ended: bool,
    /// Set when the pod refuses this stream after it was opened.
    refused_late: Option<Arc<AtomicBool>>,
    _counted: metrics::OpenStream,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    pub(super) fn new(socket: WebSocketStream<S>, pod: &str, port: u16, timeouts: &Timeouts) -> Self {
        Self {
            socket,
            pod: pod.to_owned(),
            port,
            pod_sent_data: false,
            unread: Bytes::new(),
            port_bytes_left: [2, 2],
            keepalive: Keepalive::new(timeouts.ping_interval),
            reading: false,
            linger: timeouts.linger,
            shutdown_at: None,
            ended: false,
            refused_late: None,
            _counted: metrics::OpenStream::new(),
        }
    }

    pub(super) fn pod(&self) -> &str {
        &self.pod
    }

    /// Sets `refused` if the pod refuses from now on.
    pub(super) fn report_late_refusal(&mut self, refused: Arc<AtomicBool>) {
        self.refused_late = Some(refused);
    }

    /// Waits `limit` for a refusal: a kubelet accepts the websocket before it dials the port, and does not report that
    /// it reached the port. A later refusal is an error of the stream, a [`LateRefusal`](crate::catalog::LateRefusal).
    pub(super) async fn await_refusal(&mut self, limit: Duration) -> io::Result<()> {
        let port_numbers = self.receive_while(|channel| channel.port_bytes_left != [0, 0]);
        timeout(PORT_NUMBERS_TIMEOUT, port_numbers).await.unwrap_or(Ok(()))?;
        timeout(limit, self.receive_while(|_| true)).await.unwrap_or(Ok(()))?;
        if self.ended { Err(stream_failed(&self.pod, "it was closed immediately")) } else { Ok(()) }
    }

    /// Receives messages until there is data, the stream ends, or `more` is false.
    async fn receive_while(&mut self, more: impl Fn(&Self) -> bool) -> io::Result<()> {
        while more(self) && self.unread.is_empty() && !self.ended {
            poll_fn(|context| self.poll_message(context)).await?;
        }
        Ok(())
    }

    /// Receives one message, or notices the end.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => {
                    self.keepalive.message_received();
                    return Poll::Ready(self.handle(message));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.fail(connection_failed(&error))),
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {}
            }
            if let Some(shutdown_at) = self.shutdown_at
                && Instant::now() >= shutdown_at + self.linger
            {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_keepalive(context, true))?;
        }
    }

    fn handle(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Binary(bytes) => self.handle_bytes(bytes),
            Message::Close(Some(frame)) if frame.code != CloseCode::Normal => {
                self.fail(self.pod_error(&format!("{} {}", frame.code, frame.reason)))
            }
            Message::Close(_) => {
                self.ended = true;
                Ok(())
            }
            Message::Pong(_) => {
                self.keepalive.pong_received();
                Ok(())
            }
            Message::Text(_) | Message::Ping(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn handle_bytes(&mut self, mut bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let channel = bytes.split_to(1).first().copied().unwrap_or_default();
        let Some(left) = self.port_bytes_left.get_mut(usize::from(channel)) else { return Ok(()) };
        let port = bytes.split_to(bytes.len().min(*left));
        *left -= port.len();
        if bytes.is_empty() {
            return Ok(());
        }
        match channel {
            DATA => (self.unread, self.pod_sent_data) = (bytes, true),
            ERROR => return self.fail(self.pod_error(&String::from_utf8_lossy(&bytes))),
            _ => {}
        }
        if let Some(shutdown_at) = &mut self.shutdown_at {
            *shutdown_at = Instant::now();
        }
        Ok(())
    }

    fn pod_error(&self, report: &str) -> io::Error {
        if self.pod_sent_data {
            stream_failed(&self.pod, report)
        } else {
            never_connected(&self.pod, self.port, report)
        }
    }

    /// The error of a stream that was opened before. What fails before the pod has sent data may work on another stream.
    fn opened_before(&self, error: io::Error) -> io::Error {
        let Some(refusal) = late_refusal(&error).filter(|_| !self.pod_sent_data) else { return error };
        if let Some(refused) = &self.refused_late {
            refused.store(true, Ordering::Relaxed);
        }
        refusal
    }

    /// The error of a write that failed. The pod's side may have sent the reason before.
    fn write_failed(&mut self, context: &mut Context<'_>, error: &tungstenite::Error) -> io::Error {
        while let Poll::Ready(Some(Ok(message))) = Pin::new(&mut self.socket).poll_next(context) {
            if let Err(reason) = self.handle(message) {
                return self.opened_before(reason);
            }
            if !self.unread.is_empty() {
                break;
            }
        }
        self.opened_before(connection_failed(error))
    }

    /// Ends the stream. After a local shutdown an error is an end: a pod that has data left to send closes that way.
    fn fail(&mut self, error: io::Error) -> io::Result<()> {
        self.ended = true;
        if self.shutdown_at.is_some() { Ok(()) } else { Err(error) }
    }

    fn poll_keepalive(&mut self, context: &mut Context<'_>, reading: bool) -> Poll<io::Result<()>> {
        if ready!(self.keepalive.poll(context, reading)) == Tick::Dead {
            return Poll::Ready(self.fail(path_dead(self.keepalive.timeout())));
        }
        if self.shutdown_at.is_some() {
            self.keepalive.shorten(self.linger);
        }
        // A message that waits to be sent serves as the ping.
        if let Poll::Ready(Ok(())) = Pin::new(&mut self.socket).poll_ready(context) {
            Pin::new(&mut self.socket)
                .start_send(Message::Ping(Bytes::new()))
                .map_err(|error| connection_failed(&error))?;
        }
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        Poll::Ready(match flushed {
            Poll::Ready(flushed) => flushed.map_err(|error| connection_failed(&error)),
            Poll::Pending => Ok(()),
        })
    }
}
