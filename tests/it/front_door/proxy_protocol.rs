//! `proxy.proxy_protocol`: load balancers that state the peer behind them, and peers that must not.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::orders;
use crate::operations::{ADMIN, until_counted};
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, SSL_REQUEST, login, message, packet, tls};
use crate::support::world::Running;

/// The address of the load balancer, and of one that is none.
const BALANCER: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2, after its signature.
fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version_and_command, family], &length, rest].concat()
}

/// A header of version 2 for this IPv4 peer, with an extension as AWS adds it.
fn binary_of(peer: [u8; 4], port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let rest =
        [&peer[..], &[10, 0, 0, 1, high, low, 0x1f, 0x40], &[0xea, 0, 4, 1, b'v', b'p', b'c']].concat();
    binary(0x21, 0x11, &rest)
}

fn text_of(peer: &str, port: u16) -> Vec<u8> {
    let family = if peer.contains(':') { "TCP6" } else { "TCP4" };
    let to = if peer.contains(':') { "2001:db8::1" } else { "10.0.0.1" };
    format!("PROXY {family} {peer} {to} {port} 8000\r\n").into_bytes()
}

/// A world whose server accepts headers of [`BALANCER`].
async fn world(keys: &str) -> Running {
    let proxy = "proxy: {default_target: orders, proxy_protocol: {from: [127.0.0.2, '2001:db8::/32']}}";
    let names = "targets: {orders: {server_names: [localhost]}}";
    orders().await.with_server(names).with_server(proxy).with_server(keys).start().await
}

/// A connection of the load balancer that has sent these bytes.
async fn balanced(world: &Running, bytes: &[u8]) -> Raw {
    let mut raw = Raw::connect_from(BALANCER, world.server().port()).await;
    raw.send(bytes).await;
    raw
}

/// Logs in behind what was sent, and runs a query.
async fn expect_session(mut raw: Raw) {
    raw.send(&login("by_trust")).await;
    raw.until_ready().await;
    assert_eq!(raw.query("select 'served'").await.unwrap(), "served");
}

/// The peers of the log lines with this message, once there are `count` of them.
async fn peers(server: &Proxy, message: &str, count: usize) -> Vec<String> {
    let find = |log: &str| {
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found: Vec<_> = lines
            .filter(|line| line["message"] == message)
            .map(|line| line["peer"].as_str().unwrap().to_owned())
            .collect();
        (found.len() >= count).then_some(found)
    };
    let found = server.stderr.wait_for(Duration::from_secs(30), find).await;
    found.unwrap_or_else(|| panic!("not {count} lines `{message}`: {}", server.log()))
}

#[tokio::test]
async fn the_peer_behind_the_load_balancer_is_in_the_audit_lines() {
    let world = world("{}").await;
    let mut expected = Vec::new();
    for (header, peer) in [
        (text_of("192.0.2.7", 40_001), "192.0.2.7:40001"),
        (text_of("2001:db8::7", 40_002), "[2001:db8::7]:40002"),
        (binary_of([192, 0, 2, 8], 40_003), "192.0.2.8:40003"),
    ] {
        expect_session(balanced(&world, &header).await).await;
        expected.push(peer);
        for message in ["session began", "session ended"] {
            assert_eq!(peers(world.server(), message, expected.len()).await, expected, "{message}");
        }
    }
    world.stop().await;
}

/// A load balancer sends the header and the first bytes of the application in one segment or in several.
#[tokio::test]
async fn no_byte_behind_the_header_is_read_too_early() {
    let world = world("{}").await;
    for header in [text_of("192.0.2.7", 5000), binary_of([192, 0, 2, 7], 5000), b"PROXY UNKNOWN\r\n".to_vec()]
    {
        let mut pipelined = balanced(&world, &[header.as_slice(), &login("by_trust")].concat()).await;
        pipelined.until_ready().await;

        let mut slow = Raw::connect_from(BALANCER, world.server().port()).await;
        for byte in &header {
            slow.send(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        expect_session(slow).await;

        expect_session(balanced(&world, &header).await.request_tls().await).await;
        let direct = balanced(&world, &header).await.encrypt(&tls(&[b"postgresql"])).await.unwrap();
        expect_session(direct).await;
        let mut pipelined = balanced(&world, &[header.as_slice(), SSL_REQUEST].concat()).await;
        assert_eq!(pipelined.byte().await, Some(b'S'));
        expect_session(pipelined.encrypt(&tls(&[])).await.unwrap()).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn the_load_balancer_is_the_peer_where_it_states_none() {
    let world = world("{}").await;
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::ffff ffff::ffff 65535 65535\r\n".to_vec(),
        binary(0x20, 0, b""),
        binary(0x20, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 1]),
        binary(0x21, 0, b""),
        binary(0x21, 0x31, &[b'/'; 216]),
    ] {
        expect_session(balanced(&world, &header).await).await;
    }
    let peers = peers(world.server(), "session began", 6).await;
    assert!(peers.len() == 6 && peers.iter().all(|peer| peer.starts_with("127.0.0.2:")), "{peers:?}");
    world.stop().await;
}

#[tokio::test]
async fn limits_of_a_peer_count_the_one_behind_the_load_balancer() {
    let world = world("proxy: {max_connections_per_peer: 1}").await;
    let first = async |header: Vec<u8>| {
        let mut raw = balanced(&world, &header).await;
        raw.send(&login("by_trust")).await;
        raw
    };
    let mut held = first(text_of("192.0.2.7", 1)).await;
    held.until_ready().await;
    let mut beyond = first(binary_of([192, 0, 2, 7], 2)).await;
    beyond.refused().await.expect("53300", &["max_connections_per_peer of this proxy is 1"]);
    world.server().wait_for_log("\"peer\":\"192.0.2.7:2\"").await;
    let mut other = first(text_of("192.0.2.8", 1)).await;
    other.until_ready().await;
    drop((held, other));
    world.stop().await;
}

#[tokio::test]
async fn the_metric_of_refused_logins_counts_the_peer_behind_the_load_balancer() {
    let world = world(ADMIN).await;
    for peer in ["192.0.2.7", "192.0.2.8", "192.0.2.7"] {
        let mut raw = balanced(&world, &text_of(peer, 1)).await;
        raw.send(&login("by_password")).await;
        assert_eq!(raw.message().await.expect("the password request").tag, b'R');
        raw.send(&message(b'p', b"wrong\0")).await;
        raw.refused().await.expect("28P01", &["password authentication failed"]);
    }
    let counters = [
        "rds_auth_proxy_refused_total{fault=\"database\",reason=\"login_refused\",target=\"orders\"} 3",
        "rds_auth_proxy_refused_logins_of_one_peer 2",
    ];
    until_counted(world.server(), &counters).await;
    world.stop().await;
}

/// Any bytes of a network that has to send a header, and a header of one that must not.
#[tokio::test]
async fn what_is_no_header_of_a_load_balancer_is_refused() {
    let world = world(ADMIN).await;
    let [text, v2] = [text_of("192.0.2.7", 5000), binary_of([192, 0, 2, 7], 5000)];
    let none =
        "the connection begins without a PROXY protocol header, which proxy.proxy_protocol.from requires";
    let cases: &[(&[u8], &str)] = &[
        (&login("by_trust"), none),
        (SSL_REQUEST, none),
        (b"\x16\x03\x01\x02\x00\x01\x00", none),
        (b"GET / HTTP/1.1\r\n\r\n", none),
        (&[0xff; 64], none),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 5000\r\n", "exactly two addresses and two ports"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 8000\n\0\0\0\x08", "a line that does not end with CR LF"),
        (&[b"PROXY ".as_slice(), &[b'x'; 107]].concat(), "more than 107 bytes in its line"),
        (&binary(0x11, 0x11, &[0; 12]), "a version that is neither 1 nor 2"),
        (&binary(0x21, 0x11, &vec![0; 60_000]), "more than 4,096 bytes"),
        (&binary(0x2f, 0x11, &[0; 12]), "an unknown command"),
        (&binary(0x21, 0x21, &[0; 12]), "ends too early"),
    ];
    for (bytes, reason) in cases {
        let mut raw = Raw::connect_from(BALANCER, world.server().port()).await;
        let _ = raw.try_send(bytes).await;
        raw.refused()
            .await
            .expect("08P01", &["rds-auth-proxy: the load balancer broke the protocol", reason]);
    }
    for header in [&text, &v2] {
        let mut unlisted = Raw::connect_from(OTHER, world.server().port()).await;
        unlisted.send(header).await;
        let reason = "is a PROXY protocol header, which this proxy accepts only from the networks in proxy.proxy_protocol.from";
        unlisted.refused().await.expect("08P01", &[reason]);
        let mut twice = balanced(&world, &[header.as_slice(), &text].concat()).await;
        twice.refused().await.expect("08P01", &["is a PROXY protocol header"]);
    }
    world.server().wait_for_log("\"reason\":\"proxy_header\"").await;
    let counted =
        "rds_auth_proxy_refused_total{fault=\"application\",reason=\"proxy_header\",target=\"other\"} 16";
    until_counted(world.server(), &[counted]).await;
    // An address that is not listed is served without a header.
    expect_session(Raw::connect_from(OTHER, world.server().port()).await).await;
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_header_that_is_cut_off_or_stops_ends_in_time_with_a_log_line() {
    let world = world("proxy: {handshake_timeout: 1s}").await;
    for header in [text_of("192.0.2.7", 5000), binary_of([192, 0, 2, 7], 5000)] {
        for length in 1..header.len() {
            let mut raw = balanced(&world, &header[..length]).await;
            raw.close_write().await;
            raw.refused().await.expect("08P01", &["the PROXY protocol header ends too early"]);
        }
        let began = Instant::now();
        let mut raw = balanced(&world, &header[..header.len() - 1]).await;
        assert_eq!(raw.rest().await, b"");
        // Not by the patience of this test, which is 30 s.
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
    world.server().wait_for_log("the PROXY protocol header ends too early").await;
    world.server().wait_for_log("time ran out after 1 s while waiting for the PROXY protocol header").await;
    world.stop().await;
}

/// Some health checks only connect; others send the header with the command LOCAL.
#[tokio::test]
async fn a_health_check_is_no_failure() {
    let world = world("{}").await;
    drop(Raw::connect_from(BALANCER, world.server().port()).await);
    for header in [binary(0x20, 0, b""), text_of("192.0.2.7", 5000)] {
        let mut raw = balanced(&world, &header).await;
        raw.close_write().await;
        assert_eq!(raw.rest().await, b"");
    }
    world.server().wait_for_log("\"peer\":\"192.0.2.7:5000\"").await;
    expect_session(balanced(&world, &text_of("192.0.2.7", 5001)).await).await;
    let log = world.server().log();
    assert!(log.contains("hung up without a startup packet"), "{log}");
    assert!(!log.contains("connection refused") && !log.contains("connection failed"), "{log}");
    world.stop().await;
}

#[tokio::test]
async fn a_cancel_request_behind_a_load_balancer_is_delivered() {
    let world = world("{}").await;
    let mut raw = balanced(
        &world,
        &[text_of("192.0.2.7", 1), packet(&[&[4, 210, 22, 46][..], &[0; 8]].concat())].concat(),
    )
    .await;
    assert_eq!(raw.rest().await, b"");
    assert_eq!(peers(world.server(), "cancel request delivered", 1).await, ["192.0.2.7:1"]);
    world.stop().await;
}

#[tokio::test]
async fn a_changed_list_applies_to_the_next_connection() {
    let world = world("{}").await;
    let mut before = balanced(&world, &text_of("192.0.2.7", 1)).await;
    before.send(&login("by_trust")).await;
    before.until_ready().await;
    let path = world.directory.join("server.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let changed = yaml.replace("127.0.0.2", "127.0.0.3");
    assert_ne!(yaml, changed);
    std::fs::write(&path, changed).unwrap();
    world.server().signal(Signal::HUP);
    world.server().wait_for_log("the configuration was loaded again").await;
    expect_session(Raw::connect_from(BALANCER, world.server().port()).await).await;
    let mut raw = Raw::connect_from(OTHER, world.server().port()).await;
    raw.send(&login("by_trust")).await;
    raw.refused().await.expect("08P01", &["without a PROXY protocol header"]);
    assert_eq!(before.query("select 'still here'").await.unwrap(), "still here");
    assert!(!world.server().log().contains("which needs a restart"));
    drop(before);
    world.stop().await;
}
