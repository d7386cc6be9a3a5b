//! Step 6, splice: bytes both ways until both sides are done. Nothing is parsed, logged or allocated per message.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

pub(super) use self::activity::Activity;
pub(super) use self::direction::Side;
use self::direction::{Broken, Direction, TAIL};
use crate::net::Stream;
use crate::wire::{ErrorResponse, TERMINATE};

mod activity;
mod direction;
mod reply;
#[cfg(test)]
mod tests;

/// How long the second side may stay silent once the first has closed.
const LINGER: Duration = Duration::from_secs(10);

/// `ReadyForQuery`, without the byte of the transaction status.
const READY_FOR_QUERY: &[u8] = &[b'Z', 0, 0, 0, 5];

/// Two joined streams.
pub(super) struct Splice {
    app: Stream,
    hop: Stream,
    up: Direction,
    down: Direction,
    idle: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    last_move: Instant,
    activity: Arc<Activity>,
    /// The side that sent the last bytes.
    last_sender: Side,
    first_closed: Option<Side>,
    broken: Option<Broken>,
}

/// How a splice ended.
#[derive(Debug)]
pub(super) enum End {
    /// All bytes were moved; this side closed first.
    Closed(Side),
    /// This side's connection broke.
    Broken(Side, io::Error),
    /// This side closed, and the other neither closed nor sent anything more.
    Lingered(Side),
    /// Nothing moved for as long as `idle_timeout`.
    Idle(Duration),
    /// The proxy stops.
    Shutdown,
    /// An administrator ended it, for this reason; it may be empty.
    Administrator(String),
}

impl Splice {
    pub(super) fn new(app: Stream, hop: Stream, idle: Option<Duration>) -> Self {
        let last_move = Instant::now();
        let activity = Arc::new(Activity::new(last_move));
        let (up, down) = (Direction::new(Side::App), Direction::new(Side::Hop));
        let (timer, last_sender, first_closed, broken) = (None, Side::Hop, None, None);
        Self { app, hop, up, down, idle, timer, last_move, activity, last_sender, first_closed, broken }
    }

    /// Moves bytes until a side ends. Cancel safe: a second call continues without losing a byte.
    pub(super) async fn run(&mut self) -> End {
        poll_fn(|context| self.poll(context)).await
    }

    /// What it has moved, for readers outside its task.
    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    /// Bytes from the application to the hop.
    pub(super) fn sent(&self) -> u64 {
        self.up.moved
    }

    /// Bytes from the hop to the application.
    pub(super) fn received(&self) -> u64 {
        self.down.moved
    }

    /// Whether the application is between two messages and has not sent Terminate, so that it can read an ErrorResponse of
    /// the proxy.
    ///
    /// This is a heuristic, since nothing is parsed: the last bytes that the hop sent look like a whole `ReadyForQuery` that
    /// follows another message. The data of a COPY can imitate them. So the answer is no from the start of a COPY, as far
    /// as that is visible, until the application sends its next message.
    pub(super) fn may_speak(&self) -> bool {
        self.is_ready() && !self.down.reply.copying() && !self.terminated()
    }

    /// Whether the database may be busy with this session: it received bytes since it was last ready for a query, or it is
    /// in the middle of an answer.
    pub(super) fn may_be_busy(&self) -> bool {
        (self.last_sender == Side::App || !self.is_ready()) && !self.terminated()
    }

    /// The error by which the hop ended the session, if its last bytes were one.
    pub(super) fn fatal(&self) -> Option<ErrorResponse> {
        self.down.reply.fatal()
    }

    /// Whether the hop waits for the application's next message, so that it can read a Terminate of the proxy.
    pub(super) fn hop_is_idle(&self) -> bool {
        !self.may_be_busy() && !self.terminated() && self.down.is_open() && self.up.is_open()
    }

    /// The application's side and the hop's, for the last messages.
    pub(super) fn into_sides(self) -> (Stream, Stream) {
        (self.app, self.hop)
    }

    /// Whether the last message of the hop, and all of it was written to the application, is `ReadyForQuery`.
    fn is_ready(&self) -> bool {
        self.down.is_clear() && (self.down.moved == 0 || ends_ready(self.down.tail))
    }

    fn terminated(&self) -> bool {
        self.up.tail.ends_with(TERMINATE)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let (sent, received) = (self.up.moved, self.down.moved);
        let up = self.up.poll(context, &mut self.app, &mut self.hop);
        if self.up.moved != sent {
            self.down.reply.expect();
        }
        let down = self.down.poll(context, &mut self.hop, &mut self.app);
        for broken in [up, down].into_iter().filter_map(broke) {
            self.broken.get_or_insert(broken);
        }
        if self.first_closed.is_none() {
            self.first_closed = self.closed();
            if self.first_closed.is_some() {
                // The linger counts from the close, however long the silence before it.
                self.last_move = Instant::now();
            }
        }
        if let (Some(side), true) = (self.first_closed, self.is_over()) {
            return Poll::Ready(self.or_broken(End::Closed(side)));
        }
        if (self.up.moved, self.down.moved) != (sent, received) {
            self.last_move = Instant::now();
            self.activity.note(self.up.moved, self.down.moved, self.last_move);
            // Where both moved, the hop's bytes may answer an earlier message.
            self.last_sender = if self.up.moved == sent { Side::Hop } else { Side::App };
        }
        let end = ready!(self.poll_timer(context));
        Poll::Ready(self.or_broken(end))
    }

    fn or_broken(&mut self, end: End) -> End {
        self.broken.take().map_or(end, |(side, error)| End::Broken(side, error))
    }

    /// Whether there is nothing more to move. The bytes a side sent before its connection broke are still delivered. A hop
    /// that has ended answers nothing, so further bytes of the application are dropped.
    fn is_over(&self) -> bool {
        match self.broken {
            Some((Side::App, _)) => self.up.is_done(),
            Some((Side::Hop, _)) | None => self.down.is_done(),
        }
    }

    /// The side that has closed. A hop that closes after the application's Terminate only follows.
    fn closed(&self) -> Option<Side> {
        if let Some((side, _)) = self.broken {
            return Some(side);
        }
        let mut directions = [&self.up, &self.down].into_iter();
        let side = directions.find(|direction| !direction.is_open())?.from;
        Some(if self.terminated() { Side::App } else { side })
    }

    /// Ends a session that is silent for too long. The limit depends on whether a side has closed.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let (limit, end) = match (self.first_closed, self.idle) {
            (Some(side), _) => (LINGER, End::Lingered(side)),
            (None, Some(idle)) => (idle, End::Idle(idle)),
            (None, None) => return Poll::Pending,
        };
        loop {
            let due = self.last_move + limit;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= due {
                return Poll::Ready(end);
            }
            timer.as_mut().reset(due);
        }
    }
}

/// Whether the last bytes are a whole `ReadyForQuery` behind the end of another message: that ends with a zero, as texts do,
/// or with the length of an empty message, as `CloseComplete`.
fn ends_ready(tail: [u8; TAIL]) -> bool {
    let [before, message @ .., status] = &tail;
    matches!(before, 0 | 4) && message == READY_FOR_QUERY && matches!(status, b'I' | b'T' | b'E')
}

fn broke(polled: Poll<Result<(), Broken>>) -> Option<Broken> {
    if let Poll::Ready(Err(broken)) = polled { Some(broken) } else { None }
}
