//! The listener for operators: what else may happen to it than their questions.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::operations::{ADMIN, get, lines};
use crate::support::builder::World;

/// More than a server may have files open, were it to keep them all.
const SILENT: usize = 300;

#[tokio::test]
async fn connections_that_say_nothing_stop_neither_probes_nor_sessions() {
    let world = World::new().with_server(ADMIN).start().await;
    let server = world.server();
    server.wait_for_log("answering probes").await;
    let address = lines(server, "answering probes")[0]["admin_addr"].as_str().unwrap().to_owned();
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /l").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(get(server, "/livez").await, (200, "alive\n".into()));
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    let began = Instant::now();
    let mut eldest = silent.swap_remove(0);
    assert!(is_closed(&mut eldest).await);
    assert!(began.elapsed() < Duration::from_secs(5), "it had to make room");
    // Those that had room wait until their request is overdue.
    for stream in &mut silent {
        assert!(is_closed(stream).await);
    }
    world.stop().await;
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut said = Vec::new();
    // A reset is an end as well.
    let _ended = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut said)).await.unwrap();
    said.is_empty() || said.starts_with(b"HTTP/1.1 408")
}
