use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use rds_auth_proxy::catalog::Dial;
use rds_auth_proxy::kubernetes::Tunnel;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::backend::{checksum, expected, send};
use super::world::{LIMIT, World, echo, echoing};

const MANY: u64 = 100_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_reach_the_pod() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let mut stream = world.tunnel().dial(LIMIT).await.unwrap().socket;
    stream.write_all(b"U").await.unwrap();
    stream.write_u64(MANY).await.unwrap();
    send(&mut stream, MANY).await.unwrap();
    let mut sum = [0; 32];
    stream.read_exact(&mut sum).await.unwrap();
    assert_eq!(sum, expected(MANY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_arrive_from_the_pod() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let mut stream = world.tunnel().dial(LIMIT).await.unwrap().socket;
    stream.write_all(b"D").await.unwrap();
    stream.write_u64(MANY).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(checksum(&mut stream, MANY).await.unwrap(), expected(MANY));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the stream ends when the pod closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_after_a_local_close_still_arrives() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let mut stream = world.tunnel().dial(LIMIT).await.unwrap().socket;
    let amount = 50_000_000;
    stream.write_all(b"L").await.unwrap();
    stream.write_u64(amount).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(checksum(&mut stream, amount).await.unwrap(), expected(amount));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

/// A writer without a reader has to wait. Its bytes must not fill the memory.
#[tokio::test(flavor = "multi_thread")]
async fn both_directions_apply_backpressure() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let mut stream = echoing(&*world.tunnel()).await.unwrap();
    let block = vec![7; 65_536];
    let mut sent = 0_usize;
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(500), stream.write(&block)).await {
        sent += written.unwrap();
        assert!(sent < 200_000_000, "a buffer has no limit");
    }
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = async {
        let mut got = vec![0; 65_536];
        let mut left = sent;
        while left > 0 {
            let got =
                tokio::time::timeout(Duration::from_secs(5), reader.read(&mut got)).await.unwrap().unwrap();
            assert_ne!(got, 0);
            left -= got;
        }
    };
    let (flushed, ()) = tokio::join!(writer.flush(), reading);
    flushed.unwrap();
    let mut stream = reader.unsplit(writer);
    echo(&mut stream, "the stream still works").await.unwrap();
}

/// Prints the time for a new connection and its first answer, beside that of a bare websocket on a new TLS connection:
///
/// ```text
/// cargo test --release --test kubernetes -- --ignored --nocapture bytes::how_long_a_new_connection_takes
/// ```
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn how_long_a_new_connection_takes() {
    let world = World::new().await;
    let backend = world.pod("p").await;
    for round_trip in [Duration::ZERO, Duration::from_millis(10)] {
        let (address, _relay) = far_away(world.api.address, round_trip / 2).await;
        world.kubeconfig(&format!("https://{address}"), "{}", "");
        let tunnel = Tunnel::new(world.settings());
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..60 {
            let start = Instant::now();
            drop(echoing(&tunnel).await.unwrap());
            times[0].push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
            let start = Instant::now();
            drop(bare_websocket(&world, address).await);
            times[1].push(start.elapsed());
            let start = Instant::now();
            let mut stream = TcpStream::connect(backend.address).await.unwrap();
            stream.write_all(b"Ehello").await.unwrap();
            stream.read_exact(&mut [0; 5]).await.unwrap();
            times[2].push(start.elapsed());
        }
        let [tunnel, bare, direct] = times.map(|mut times| {
            times.sort();
            times[times.len() / 2]
        });
        println!(
            "round trip {round_trip:?}: p50 {tunnel:.1?} through the tunnel, {bare:.1?} for a bare websocket, {direct:.1?} \
             without a cluster"
        );
    }
}

/// A relay that delays what it passes on, in both directions.
async fn far_away(to: SocketAddr, delay: Duration) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut running = JoinSet::new();
    running.spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(to).await.unwrap();
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            drop(tokio::spawn(late(near_read, far_write, delay)));
            drop(tokio::spawn(late(far_read, near_write, delay)));
        }
    });
    (address, running)
}

async fn late(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let mut buffer = vec![0; 65_536];
    while let Ok(got @ 1..) = from.read(&mut buffer).await {
        tokio::time::sleep(delay).await;
        if to.write_all(&buffer[..got]).await.is_err() {
            return;
        }
    }
}

/// A websocket to the pod on a new TLS connection, that has echoed once.
async fn bare_websocket(world: &World, address: SocketAddr) -> impl Sized {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(world.pki.ca.clone()).unwrap();
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
    let request = "GET /api/v1/namespaces/apps/pods/p/portforward?ports=8000 HTTP/1.1\r\nhost: k\r\nconnection: Upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   sec-websocket-protocol: v4.channel.k8s.io\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    socket.send(Message::binary(b"\0Ehello".to_vec())).await.unwrap();
    while socket.next().await.unwrap().unwrap().into_data().len() < 6 {}
    socket
}

/// The median time for a new connection and its first answer.
const QUICK: Duration = Duration::from_millis(30);

/// A round on a busy machine is repeated. A tunnel that waits for something is slow in every round.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_is_quick() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let tunnel = world.tunnel();
    echoing(&*tunnel).await.unwrap();
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let mut times = Vec::new();
        for _ in 0..40 {
            let start = Instant::now();
            let stream = echoing(&*tunnel).await.unwrap();
            times.push(start.elapsed());
            drop(stream);
        }
        times.sort();
        println!("a new connection: p50 {:.1?}, p90 {:.1?}", times[20], times[36]);
        best = best.min(times[20]);
        if best < QUICK {
            return;
        }
    }
    panic!("p50 is {best:?} at best");
}
