//! Many requests, many services: each service calls STS once for each period. The tests print figures;
//! docs/development.md has the command that takes them from a release build.

use std::io::Write;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::{Containers, JOB_TOKEN, WEB_TOKEN, credentials, role, service, status};
use crate::support::ports::free_port;
use crate::support::resource_usage::resident;
use crate::support::sts::Role;

/// How long it runs; a soak sets `SOAK_SECONDS`.
const SECONDS: u64 = 3;

const RATE: u32 = 1000;

/// Connections that stay open.
const CONNECTIONS: u32 = 20;

/// An answer has a few hundred bytes to 2 KB.
const ANSWER: usize = 8192;

#[tokio::test]
async fn a_thousand_requests_a_second_call_sts_once_for_each_service() {
    let containers = Containers::new().await;
    // The level of the program: a line for each request.
    let proxy = containers.launch(&[]).env("LOG_LEVEL", "info").start().await.unwrap();
    for token in [WEB_TOKEN, JOB_TOKEN] {
        assert_eq!(status(&credentials(&proxy.address, token).await), 200);
    }
    let seconds = std::env::var("SOAK_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let mut latencies = load(&proxy.address, Duration::from_secs(seconds)).await;
    latencies.sort();
    let expected = usize::try_from(seconds).unwrap() * usize::try_from(RATE).unwrap();
    // Beside other tests, a debug build may not keep up.
    assert!(latencies.len() > expected / 2, "{} of {expected} requests", latencies.len());
    let at = |part: usize| latencies[(latencies.len() - 1) * part / 100];
    print(&format!(
        "{} requests: p50 {:?}, p99 {:?}, longest {:?}",
        latencies.len(),
        at(50),
        at(99),
        at(100)
    ));
    for name in ["web", "job"] {
        assert_eq!(containers.aws.assumed(&role(name)).len(), 1, "one call for the period of {name}");
    }
    containers.stop(proxy).await;
}

/// The times from request to answer, over connections that each send their share.
async fn load(address: &str, length: Duration) -> Vec<Duration> {
    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        let token = if number % 2 == 0 { WEB_TOKEN } else { JOB_TOKEN };
        let request =
            format!("GET /v1/credentials HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        connections.spawn(async move {
            let mut latencies = Vec::new();
            let mut ticks = interval(Duration::from_secs(1) * CONNECTIONS / RATE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let begun = Instant::now();
            while begun.elapsed() < length {
                ticks.tick().await;
                let sent = Instant::now();
                stream.write_all(request.as_bytes()).await.unwrap();
                expect_answer(&mut stream).await;
                latencies.push(sent.elapsed());
            }
            latencies
        });
    }
    connections.join_all().await.concat()
}

/// Reads one answer: its head, and a body of the length that the head names.
async fn expect_answer(stream: &mut TcpStream) {
    let mut answer = Vec::with_capacity(ANSWER);
    loop {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the connection ended");
        let text = std::str::from_utf8(&answer).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return;
        }
    }
}

/// A hundred services, each with credentials.
#[tokio::test]
async fn a_hundred_services_start_at_once_and_stay_small() {
    let containers = Containers::new().await;
    let mut text = format!("server: {{port: {}}}\nservices:\n", free_port());
    let name = |number: u32| format!("service-{number}");
    let token = |number: u32| format!("token-of-service-{number:04}-b1946ac92492d234");
    for number in 0..100 {
        containers.aws.put_role(Role::new(&role(&name(number)), &[&containers.key.owner()]));
        text.push_str(&service(&name(number), &token(number)));
    }
    containers.configure(&text);
    let begun = Instant::now();
    let proxy = containers.launch(&[]).env("LOG_LEVEL", "info").start().await.unwrap();
    let first = credentials(&proxy.address, &token(0)).await;
    assert_eq!(status(&first), 200, "{first}");
    let answered = begun.elapsed();
    for number in 1..100 {
        assert_eq!(status(&credentials(&proxy.address, &token(number)).await), 200);
    }
    assert_eq!(containers.aws.requests("AssumeRole"), 100);
    let resident = resident(proxy.id());
    print(&format!("100 services: first answer after {answered:?}, {resident} KB resident"));
    containers.stop(proxy).await;
}

/// The test harness hides output of macros in tests that pass.
fn print(line: &str) {
    let _written = writeln!(std::io::stderr(), "{line}");
}
