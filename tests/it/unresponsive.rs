//! Applications that do not read: slow ones and lost ones. The test takes as long as the timeouts of the proxy.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use socket2::{SockFilter, SockRef};
use tokio::net::TcpStream;

use crate::operations::last_line;
use crate::session_outcome::queue;
use crate::support::builder::World;
use crate::support::raw::{Raw, V3_0, query, startup};
use crate::support::roles::DATABASE;
use crate::support::scratch::unique;
use crate::support::world::Running;

/// How long sent bytes may stay unacknowledged by a silent peer.
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// The proxy detects a peer that acknowledged until it was lost within about twice that time.
const DETECTED: Duration = Duration::from_secs(200);

/// More than all sockets and buffers between database and application hold.
const ROWS: usize = 100_000;
const ROW: usize = 1_000;

#[tokio::test]
async fn a_slow_reader_keeps_its_session_and_a_lost_one_does_not() {
    let world = World::new().start().await;
    tokio::join!(slow_reader(&world), lost_reader(&world));
    world.stop().await;
}

async fn slow_reader(world: &Running) {
    let (_, mut session) = session(world, "slow").await;
    session.send(&query(&format!("select repeat('x', {ROW}) from generate_series(1, {ROWS})"))).await;
    tokio::time::sleep(UNACKNOWLEDGED + Duration::from_secs(15)).await;
    let answer = session.until_ready().await;
    let rows = answer.iter().filter(|message| message.tag == b'D');
    assert_eq!(rows.filter(|row| row.column().len() == ROW).count(), ROWS);
}

async fn lost_reader(world: &Running) {
    let application = unique("lost");
    let (socket, mut session) = session(world, &application).await;
    session.send(&query("select pg_sleep(3)")).await;
    // Otherwise the kernel would go on retransmitting the query.
    let (app, client) = (socket.local_addr().unwrap().port(), world.client().port());
    while queue(app, client, 0) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lost = Instant::now();
    // Drops all packets before they are acknowledged (linux/filter.h: BPF_RET with 0).
    SockRef::from(&socket).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]).unwrap();
    let line = last_line(world.client(), &application, DETECTED).await;
    assert!(lost.elapsed() > UNACKNOWLEDGED, "{line}");
    assert!(line.contains("ended_by=\"application\" outcome=\"broken\""), "{line}");
    assert!(line.contains("error=\"Connection timed out"), "{line}");
}

/// A session through client and server, and the socket of its application.
async fn session(world: &Running, application: &str) -> (std::net::TcpStream, Raw) {
    let stream = TcpStream::connect(("127.0.0.1", world.client().port())).await.unwrap().into_std().unwrap();
    let socket = stream.try_clone().unwrap();
    let mut raw = Raw::over(TcpStream::from_std(stream).unwrap());
    let parameters = [("user", "alice"), ("database", DATABASE), ("application_name", application)];
    raw.send(&startup(V3_0, &parameters)).await;
    raw.until_ready().await;
    (socket, raw)
}
