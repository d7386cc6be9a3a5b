//! The websocket to one pod as a stream of bytes.
//!
//! Messages begin with the number of a channel: 0 carries data, 1 the text of an error. The first message on each
//! holds the port in two bytes (k8s.io/kubelet, `pkg/cri/streaming/portforward/websocket.go`). The protocol has no
//! half-close: an end of ours stays with us.

mod io_traits;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
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

use super::error::TunnelError;
use super::explain::quote;
use super::keepalive::{Keepalive, Tick};
use super::metrics;
use super::timeouts::Timeouts;

/// The channels.
const DATA: u8 = 0;
const ERROR: u8 = 1;

/// The most that one message of ours carries, in bytes.
const MESSAGE: usize = 64 * 1024;

/// The most that one message of the pod may carry. Kubelets send 32 KiB.
const LONGEST: usize = 4 * 1024 * 1024;

/// How long to wait for the port numbers, which every kubelet sends at once.
const GREETING: Duration = Duration::from_secs(1);

/// Buffers that do not hold an idle session's memory, and that do not grow: at most one message of ours waits.
pub(super) fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MESSAGE)
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST))
}

/// A stream to a port of a pod.
pub(super) struct Channel<S> {
    socket: WebSocketStream<S>,
    pod: String,
    port: u16,
    /// Whether the pod has said anything.
    spoke: bool,
    unread: Bytes,
    /// How many bytes of the port number are still to come on each channel.
    port_left: [usize; 2],
    keepalive: Keepalive,
    waiting: bool,
    linger: Duration,
    shut: Option<Instant>,
    ended: bool,
    _counted: metrics::OpenStream,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    pub(super) fn new(socket: WebSocketStream<S>, pod: &str, port: u16, timeouts: &Timeouts) -> Self {
        Self {
            socket,
            pod: pod.to_owned(),
            port,
            spoke: false,
            unread: Bytes::new(),
            port_left: [2, 2],
            keepalive: Keepalive::new(timeouts.ping_interval),
            waiting: false,
            linger: timeouts.linger,
            shut: None,
            ended: false,
            _counted: metrics::OpenStream::open(),
        }
    }

    /// Gives the pod a moment to refuse after all: a kubelet accepts the websocket before it dials the port. There is
    /// no sign that the port was reached, so the absence of a refusal has to do. One that comes later is an error of
    /// the stream with the same text, a `LateRefusal`.
    pub(super) async fn hear_out(&mut self, moment: Duration) -> io::Result<()> {
        timeout(GREETING, self.hear(|channel| channel.port_left != [0, 0])).await.unwrap_or(Ok(()))?;
        timeout(moment, self.hear(|_| true)).await.unwrap_or(Ok(()))?;
        if self.ended { Err(broken(&self.pod, "it was closed at once")) } else { Ok(()) }
    }

    /// Takes messages in until there is data, an end, or enough.
    async fn hear(&mut self, more: impl Fn(&Self) -> bool) -> io::Result<()> {
        while more(self) && self.unread.is_empty() && !self.ended {
            poll_fn(|context| self.poll_message(context)).await?;
        }
        Ok(())
    }

    /// Takes in one message, or notices the end.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => {
                    self.keepalive.heard();
                    return Poll::Ready(self.take(message));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.fail(lost(&error))),
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {}
            }
            if let Some(shut) = self.shut
                && Instant::now() >= shut + self.linger
            {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_keepalive(context, true))?;
        }
    }

    fn take(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Binary(bytes) => self.take_bytes(bytes),
            Message::Close(frame) => match frame {
                Some(frame) if frame.code != CloseCode::Normal => {
                    self.fail(self.refused(&format!("{} {}", frame.code, frame.reason)))
                }
                _ => {
                    self.ended = true;
                    Ok(())
                }
            },
            Message::Pong(_) => {
                self.keepalive.answered();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_bytes(&mut self, mut bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let channel = bytes.split_to(1).first().copied().unwrap_or_default();
        let Some(left) = self.port_left.get_mut(usize::from(channel)) else { return Ok(()) };
        let port = bytes.split_to(bytes.len().min(*left));
        *left -= port.len();
        if bytes.is_empty() {
            return Ok(());
        }
        match channel {
            DATA => (self.unread, self.spoke) = (bytes, true),
            ERROR => return self.fail(self.refused(&String::from_utf8_lossy(&bytes))),
            _ => {}
        }
        if let Some(shut) = &mut self.shut {
            *shut = Instant::now();
        }
        Ok(())
    }

    /// What an error means that the pod's side reports: as long as the pod has not spoken, that nobody listens there.
    fn refused(&self, said: &str) -> io::Error {
        let error = broken(&self.pod, said);
        let words = ["refused", "failed to connect", "failed to dial"];
        let lower = said.to_ascii_lowercase();
        if self.spoke || !words.iter().any(|word| lower.contains(word)) {
            return error;
        }
        TunnelError::PortRefused { pod: self.pod.clone(), port: self.port, reason: error.to_string() }.into()
    }

    /// An error after our own end is how a pod closes that had something left to say; nobody asks any more.
    fn fail(&mut self, error: io::Error) -> io::Result<()> {
        self.ended = true;
        if self.shut.is_some() { Ok(()) } else { Err(error) }
    }

    fn poll_keepalive(&mut self, context: &mut Context<'_>, listening: bool) -> Poll<io::Result<()>> {
        if ready!(self.keepalive.poll(context, listening)) == Tick::Dead {
            let silence = self.keepalive.patience();
            let text =
                format!("nothing was heard from the API server for {silence:.0?}; the network path is dead");
            return Poll::Ready(self.fail(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        if self.shut.is_some() {
            self.keepalive.hasten(self.linger);
        }
        // A message that waits to be sent does for a ping.
        if let Poll::Ready(Ok(())) = Pin::new(&mut self.socket).poll_ready(context) {
            Pin::new(&mut self.socket)
                .start_send(Message::Ping(Bytes::new()))
                .map_err(|error| lost(&error))?;
        }
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        Poll::Ready(match flushed {
            Poll::Ready(flushed) => flushed.map_err(|error| lost(&error)),
            Poll::Pending => Ok(()),
        })
    }
}

fn lost(error: &tungstenite::Error) -> io::Error {
    let closed = || (io::ErrorKind::ConnectionReset, "it was closed without a word".to_owned());
    let (kind, reason) = match error {
        // The end of a session is not the end of a stream; a reader must not take it for one.
        tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => closed(),
        tungstenite::Error::Io(error) => (error.kind(), error.to_string()),
        tungstenite::Error::Protocol(_) => closed(),
        other => (io::ErrorKind::ConnectionReset, other.to_string()),
    };
    io::Error::new(kind, format!("the connection to the API server broke off: {}", quote(&reason)))
}

fn broken(pod: &str, said: &str) -> io::Error {
    let text = format!("the stream to pod {pod} broke off: {}", quote(said));
    io::Error::new(io::ErrorKind::ConnectionReset, text)
}
