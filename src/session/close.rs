//! How a connection ends: the last message to the application, an orderly close, and what the database may still run.

use std::io;
use std::time::Duration;

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::cancel::ACKNOWLEDGED;
use super::splice::{End, Side, Splice};
use super::{Failure, Hop};
use crate::net::{Framed, Stream};
use crate::wire::{ErrorResponse, TERMINATE};

/// How long an application may take to read the last message.
pub(super) const CLOSING: Duration = Duration::from_secs(3);

/// How long the last message to an application that makes room may take to send.
const HANGING_UP: Duration = Duration::from_millis(200);

/// Whether the database may still run a query of the session that ended.
pub(super) fn leaves_query_behind(splice: &Splice, end: &End) -> bool {
    match end {
        // A database that does not close after the application did is busy.
        End::Lingered(Side::App) => true,
        End::Broken(Side::App, _) | End::Shutdown | End::Idle(_) | End::Administrator(_) => {
            splice.may_be_busy()
        }
        End::Closed(_) | End::Broken(Side::Hop, _) | End::Lingered(Side::Hop) => false,
    }
}

/// The message for an application that did not end its session itself.
pub(super) fn reason(end: End, hop: &Hop) -> Option<Failure> {
    let lost = |reason| Failure::HopLost { hop: hop.name.clone(), reason };
    match end {
        End::Shutdown => Some(Failure::ShuttingDown),
        End::Idle(limit) => Some(Failure::Idle(limit)),
        End::Administrator(reason) => Some(Failure::Ended(reason)),
        End::Broken(Side::Hop, error) => Some(lost(Some(error))),
        End::Closed(Side::Hop) => Some(lost(None)),
        End::Closed(Side::App) | End::Broken(Side::App, _) | End::Lingered(_) => None,
    }
}

/// Sends the last message, if there is one, and closes so that the application can read everything: closing a socket with
/// unread bytes resets it, and a reset discards what was sent.
pub(super) async fn close(app: Framed, last: Option<ErrorResponse>) {
    let closing = async {
        let mut stream = send_last(app, last).await?;
        // Not in the future: each open session would hold it.
        let mut unread = vec![0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // An application that does not read it has closed already.
    let _closed = timeout(CLOSING, closing).await;
}

/// Closes the connection to the hop. A hop that waits for the next message reads that the session is over, so that its log has
/// no lost connection.
pub(super) async fn close_hop(mut hop: Stream, is_idle: bool) {
    if !is_idle {
        return;
    }
    let closing = async {
        hop.write_all(TERMINATE).await?;
        hop.shutdown().await
    };
    // A hop that does not read it has gone.
    let _closed = timeout(CLOSING, closing).await;
}

/// Closes the connection of a cancel request that was delivered. A client that has sent [`TERMINATE`] behind its request reads a
/// byte first: a FIN passes a tunnel a second late.
pub(super) async fn close_cancelled(mut app: Framed) {
    // It was sent together with the request, and the database has acted since.
    let behind = timeout(Duration::ZERO, app.read_array::<5>()).await;
    if behind.is_ok_and(|behind| behind.is_ok_and(|behind| behind == TERMINATE)) {
        app.out().put_u8(ACKNOWLEDGED);
    }
    // Most applications do not wait for the end.
    let _sent = timeout(HANGING_UP, send_last(app, None)).await;
}

/// Sends the last message to an application that has sent nothing more, and closes at once.
pub(super) async fn hang_up(app: Framed, last: Option<ErrorResponse>) {
    let _sent = timeout(HANGING_UP, send_last(app, last)).await;
}

async fn send_last(mut app: Framed, last: Option<ErrorResponse>) -> io::Result<Stream> {
    if let Some(response) = last {
        response.encode(app.out());
    }
    app.flush().await?;
    let mut stream = app.into_stream();
    stream.shutdown().await?;
    Ok(stream)
}
