//! The splice between two in-memory streams, at sizes and speeds that sockets seldom show.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;

use super::direction::TAIL;
use super::*;
use crate::net::Socket;

/// A splice that runs, and the far ends of its two streams.
struct Joined {
    app: DuplexStream,
    hop: DuplexStream,
    splice: JoinHandle<(Splice, End)>,
}

/// `room` is how many bytes each stream holds before a write has to wait.
fn join(room: usize, idle: Option<Duration>) -> Joined {
    let (app, near_app) = duplex(room);
    let (hop, near_hop) = duplex(room);
    let stream = |near: DuplexStream| Stream::Plain(Socket::Tunnel(Box::new(near)));
    let mut splice = Splice::new(stream(near_app), stream(near_hop), idle);
    let splice = tokio::spawn(async move {
        let end = splice.run().await;
        (splice, end)
    });
    Joined { app, hop, splice }
}

fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn no_byte_is_lost_however_small_the_buffers() {
    for room in [1, 7, 4096, 1 << 20] {
        let length = if room < 100 { 10_000 } else { 3_000_000 };
        let Joined { app, hop, splice } = join(room, None);
        let (mut from_app, mut to_app) = tokio::io::split(app);
        let (mut from_hop, mut to_hop) = tokio::io::split(hop);
        let sent = bytes(length);
        let (up, down) = (sent.clone(), sent.clone());
        let write_up = async move {
            to_app.write_all(&up).await.unwrap();
            to_app
        };
        let write_down = async move {
            to_hop.write_all(&down).await.unwrap();
            to_hop
        };
        let (mut at_hop, mut at_app) = (vec![0; length], vec![0; length]);
        let (to_app, to_hop, ..) = tokio::join!(
            write_up,
            write_down,
            async { from_hop.read_exact(&mut at_hop).await.unwrap() },
            async { from_app.read_exact(&mut at_app).await.unwrap() },
        );
        assert!(at_hop == sent && at_app == sent, "room {room}");
        drop((from_app, to_app));
        assert_eq!(from_hop.read(&mut [0]).await.unwrap(), 0, "the hop receives the end");
        drop((from_hop, to_hop));
        let (splice, end) = splice.await.unwrap();
        assert!(matches!(end, End::Closed(Side::App)), "{end:?}");
        assert_eq!((splice.sent(), splice.received()), (length as u64, length as u64));
    }
}

#[tokio::test]
async fn bytes_after_a_half_close_still_arrive() {
    let Joined { mut app, mut hop, splice } = join(1024, None);
    app.write_all(b"query").await.unwrap();
    app.shutdown().await.unwrap();
    let mut query = Vec::new();
    hop.read_to_end(&mut query).await.unwrap();
    assert_eq!(query, b"query");
    hop.write_all(b"answer").await.unwrap();
    drop(hop);
    let mut answer = [0; 6];
    app.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"answer");
    assert!(matches!(splice.await.unwrap().1, End::Closed(Side::App)));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_session_only_with_an_idle_timeout() {
    let Joined { mut app, mut hop, splice } = join(1024, Some(Duration::from_mins(1)));
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        app.write_all(b"x").await.unwrap();
        hop.read_exact(&mut [0]).await.unwrap();
    }
    let began = Instant::now();
    assert!(matches!(splice.await.unwrap().1, End::Idle(_)));
    assert_eq!(began.elapsed().as_secs(), 60, "counted from the last byte");

    let patient = join(1024, None);
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert!(!patient.splice.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_does_not_close_has_the_linger() {
    let Joined { app, hop, splice } = join(1024, None);
    tokio::time::sleep(Duration::from_mins(1)).await;
    drop(app);
    let began = Instant::now();
    assert!(matches!(splice.await.unwrap().1, End::Lingered(Side::App)));
    assert_eq!(began.elapsed(), LINGER);
    drop(hop);
}

/// A side that sends one message and then breaks.
struct Breaking(Option<&'static [u8]>);

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(word) = self.0.take() else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        space.put_slice(word);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn bytes_sent_before_a_connection_breaks_still_arrive() {
    const WORD: &[u8] = b"C\0\0\0\x0bCOMMIT\0X\0\0\0\x04";
    for (from, written_to) in [(Side::App, false), (Side::App, true), (Side::Hop, false), (Side::Hop, true)] {
        let (mut far, near) = duplex(1024);
        if written_to {
            far.write_all(b"unread").await.unwrap();
        }
        let whole = Stream::Plain(Socket::Tunnel(Box::new(near)));
        let breaking = Stream::Plain(Socket::Tunnel(Box::new(Breaking(Some(WORD)))));
        let (app, hop) = if from == Side::App { (breaking, whole) } else { (whole, breaking) };
        let mut splice = Splice::new(app, hop, None);
        let end = splice.run().await;
        assert!(matches!(&end, End::Broken(side, _) if *side == from), "{from:?}: {end:?}");
        drop(splice);
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, WORD, "{from:?}, {written_to}");
    }
}

#[tokio::test]
async fn it_sends_an_error_only_between_messages_and_never_during_a_copy() {
    let cases: [(&[u8], &[u8], bool); 11] = [
        (b"", b"", true),
        (b"", b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I", true),
        (b"", b"D\0\0\0\x20half a row", false),
        (b"", b"E\0\0\0\x09SFATAL\0\0", false),
        (b"X\0\0\0\x04", b"Z\0\0\0\x05I", false),
        (b"query", b"3\0\0\0\x04Z\0\0\0\x05T", true),
        (b"query", b"Z\0\0\0\x05?", false),
        (b"query", b"D\0\0\0\x20a row with Z\0\0\0\x05I", false),
        (b"copy", b"H\0\0\0\x07\0\0\0d\0\0\0\x0b\0Z\0\0\0\x05I", false),
        (b"copy", b"1\0\0\0\x042\0\0\0\x04H\0\0\0\x07\0\0\0d\0\0\0\x0b\0Z\0\0\0\x05I", false),
        (b"status", b"d\0\0\0\x0b\0Z\0\0\0\x05I", false),
    ];
    for (up, down, may_speak) in cases {
        let Joined { mut app, mut hop, splice } = join(1024, None);
        app.write_all(up).await.unwrap();
        hop.read_exact(&mut vec![0; up.len()]).await.unwrap();
        hop.write_all(down).await.unwrap();
        app.read_exact(&mut vec![0; down.len()]).await.unwrap();
        drop(hop);
        let (splice, _) = splice.await.unwrap();
        assert_eq!(splice.may_speak(), may_speak, "{down:?} after {up:?}");
    }
}

#[tokio::test]
async fn it_knows_whether_the_database_may_be_busy() {
    const READY: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
    let up: fn(&'static [u8]) -> (Side, &'static [u8]) = |bytes| (Side::App, bytes);
    let down: fn(&'static [u8]) -> (Side, &'static [u8]) = |bytes| (Side::Hop, bytes);
    let cases = [
        (vec![], false),
        (vec![up(b"query")], true),
        (vec![up(b"query"), down(b"D\0\0\0\x20half a row")], true),
        (vec![up(b"query"), down(READY)], false),
        (vec![up(b"query"), down(READY), up(b"query")], true),
        (vec![up(b"query"), down(b"E\0\0\0\x09SFATAL\0\0"), up(b"X\0\0\0\x04")], false),
    ];
    for (conversation, busy) in cases {
        let Joined { mut app, mut hop, splice } = join(1024, None);
        for (from, bytes) in &conversation {
            let mut got = vec![0; bytes.len()];
            match from {
                Side::App => {
                    app.write_all(bytes).await.unwrap();
                    hop.read_exact(&mut got).await.unwrap();
                }
                Side::Hop => {
                    hop.write_all(bytes).await.unwrap();
                    app.read_exact(&mut got).await.unwrap();
                }
            }
            // The last sender is known once the splice is idle.
            tokio::task::yield_now().await;
        }
        drop((app, hop));
        let (splice, _) = splice.await.unwrap();
        assert_eq!(splice.may_be_busy(), busy, "{conversation:?}");
    }
}

#[test]
fn the_tail_does_not_depend_on_the_size_of_the_pieces() {
    let all = bytes(100);
    for size in [1, 2, 5, 6, 7, 50] {
        let mut direction = Direction::new(Side::Hop);
        for chunk in all.chunks(size) {
            direction.remember(chunk);
        }
        assert_eq!(direction.tail, all[all.len() - TAIL..], "in pieces of {size}");
        assert_eq!(direction.moved, 100);
    }
}
