//! Probes, metrics, audit lines and the health check.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::output::ON_ITS_WAY;
use crate::support::ports::free_port;
use crate::support::proxy::{Launch, Proxy};
use crate::support::resource_usage::admin_address;
use rustix::process::Signal;

pub(crate) const ADMIN: &str = "proxy: {admin_addr: '127.0.0.1:0'}";

/// The log lines of a server with this message, as JSON. Waits a moment for the first one.
pub(crate) fn lines(proxy: &Proxy, message: &str) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let log = proxy.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found: Vec<_> = lines.filter(|line| line["message"] == message).collect();
        if !found.is_empty() || began.elapsed() > ON_ITS_WAY {
            return found;
        }
    }
}

/// The log line of a client, which logs text, at the end of this application's session.
pub(crate) async fn last_line(client: &Proxy, application: &str, limit: Duration) -> String {
    let name = format!("application_name=\"{application}\"");
    let of_session = |log: &str| {
        let mut ended = log.lines().filter(|line| line.contains("session ended") && line.contains(&name));
        ended.next().map(str::to_owned)
    };
    client.stderr.wait_for(limit, of_session).await.expect("the client logs the end of the session")
}

/// Sends a GET request to the admin listener. Returns status and body.
pub(crate) async fn get(proxy: &Proxy, path: &str) -> (u16, String) {
    proxy.wait_for_log("answering probes").await;
    get_at(&admin_address(&proxy.log()), path).await
}

/// Sends a GET request to the admin listener at this address.
pub(crate) async fn get_at(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Polls `/readyz` until it has this status. Returns the body.
pub(crate) async fn until_ready(proxy: &Proxy, wanted: u16) -> String {
    for _ in 0..300 {
        let (status, body) = get(proxy, "/readyz").await;
        if status == wanted {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("/readyz never answered {wanted}: {}", get(proxy, "/readyz").await.1);
}

/// Polls `/metrics` until it contains all these lines. Returns the text.
pub(crate) async fn until_counted(proxy: &Proxy, lines: &[&str]) -> String {
    let missing = |text: &str| lines.iter().any(|wanted| text.lines().all(|line| line != *wanted));
    for _ in 0..300 {
        let (status, text) = get(proxy, "/metrics").await;
        assert_eq!(status, 200);
        if !missing(&text) {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the metrics never contain {lines:?}:\n{}", get(proxy, "/metrics").await.1);
}

/// The value of the metric line that begins with `line`.
pub(crate) fn metric(text: &str, line: &str) -> u64 {
    let found = text.lines().find_map(|candidate| candidate.strip_prefix(line));
    let found = found.unwrap_or_else(|| panic!("no line begins with {line} in\n{text}"));
    let value: f64 = found.trim().parse().unwrap();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts and ages, which are rounded down"
    )]
    let rounded = value as u64;
    rounded
}

/// The value of a series; 0 if it does not exist yet.
pub(crate) fn count(text: &str, series: &str) -> u64 {
    let line = format!("{series} ");
    if text.lines().any(|candidate| candidate.starts_with(&line)) { metric(text, &line) } else { 0 }
}

#[tokio::test]
async fn probes_and_metrics_report_sessions_and_refusals() {
    let world = World::new().with_server(ADMIN).start().await;
    let server = world.server();
    assert_eq!(get(server, "/livez").await, (200, "alive\n".into()));
    assert_eq!(until_ready(server, 200).await, "ready\n");
    let session = world.connect("alice").await.unwrap();
    session.simple_query("select 1").await.unwrap();
    world.psql("alice", "select repeat('x', 100000)").await.unwrap();
    world.psql("no-such-user", "select 1").await.unwrap_err();

    let ended =
        "rds_auth_proxy_sessions_total{target=\"db-1\",ended_by=\"application\",outcome=\"closed\"} 1";
    let refused =
        "rds_auth_proxy_refused_total{fault=\"database\",reason=\"login_refused\",target=\"db-1\"} 1";
    // The server counts both a moment after psql has ended.
    let text = until_counted(server, &[ended, refused]).await;
    assert_eq!(metric(&text, "rds_auth_proxy_sessions_open{target=\"db-1\"}"), 1);
    assert!(metric(&text, "rds_auth_proxy_bytes_total{target=\"db-1\",direction=\"received\"}") > 100_000);
    for step in ["negotiate", "authorize", "connect", "authenticate", "all"] {
        let count = metric(&text, &format!("rds_auth_proxy_handshake_seconds_count{{step=\"{step}\"}}"));
        assert!(count >= 2, "{step}");
    }
    assert_eq!(metric(&text, "rds_auth_proxy_ready"), 1);
    assert_eq!(metric(&text, "rds_auth_proxy_targets"), 1);
    assert_eq!(
        count(&text, "rds_auth_proxy_discovery_failures_total{region=\"us-east-1\",reason=\"denied\"}"),
        0
    );
    assert!(metric(&text, "rds_auth_proxy_discovery_age_seconds{region=\"us-east-1\"}") < 60);
    assert!(text.contains("rds_auth_proxy_build_info{"));
    let tokens = world.rds().tokens();
    assert!(tokens.len() >= 2, "alice logged in twice");
    for secret in tokens.iter().chain([&world.key.secret]) {
        assert!(!text.contains(secret.as_str()), "the metrics contain a secret");
    }
    drop(session);
    world.stop().await;
}

#[tokio::test]
async fn each_session_logs_an_audit_line_at_its_begin_and_end() {
    let world = World::new().start().await;
    world.psql("alice", "select 1").await.unwrap();
    let server = world.server();
    server.wait_for_log("session ended").await;
    let (began, ended) = (&lines(server, "session began")[0], &lines(server, "session ended")[0]);
    for line in [began, ended] {
        assert_eq!(line["target"], "db-1");
        assert_eq!(line["user"], "alice");
        assert_eq!(line["database"], "app");
        assert_eq!(line["application_name"], "psql");
        assert_eq!(line["identity"], world.key.id.as_str());
        assert_eq!(line["app_tls"], "off");
        assert_eq!(line["hop_tls"], "TLSv1.3");
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    assert_eq!(began["id"], ended["id"]);
    assert_eq!(ended["ended_by"], "application");
    assert_eq!(ended["outcome"], "closed");
    assert!(ended["sent"].as_u64().unwrap() > 0 && ended["received"].as_u64().unwrap() > 0);
    world.stop().await;
}

#[tokio::test]
async fn a_server_is_not_ready_before_discovery_nor_while_it_stops() {
    let yaml = "proxy: {admin_addr: '127.0.0.1:0', shutdown_delay: 5m, drain_timeout: 0}";
    let mut world = World::new().with_server(yaml).without_client().start().await;
    until_ready(world.server(), 200).await;
    world.server().signal(Signal::TERM);
    assert_eq!(until_ready(world.server(), 503).await, "not ready: it is shutting down\n");
    let port = world.server().port();
    assert!(
        TcpStream::connect(("127.0.0.1", port)).await.is_ok(),
        "the server accepts connections during shutdown_delay"
    );
    // A second signal ends the shutdown at once.
    world.server().signal(Signal::TERM);
    assert!(world.proxy_mut("server").wait().await.success());
    drop(world);

    let world = World::new().with_server(ADMIN).without_client().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied));
    let late = Launch::mode("late", "server", &world.directory.join("server.yaml"));
    let mut late = world.start_proxy(world.launch(late, &world.server_key)).await;
    let body = until_ready(&late, 503).await;
    assert_eq!(body, "not ready: the RDS databases have not been listed yet\n");
    late.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_server_warns_if_max_connections_exceeds_the_file_limit() {
    let world = World::new().with_server("proxy: {max_connections: 100000000}").start().await;
    world.server().wait_for_log("the limit of open files is too low for max_connections").await;
    world.stop().await;
}

#[tokio::test]
async fn healthcheck_reports_the_state_of_a_server() {
    let yaml = format!("proxy: {{admin_addr: '127.0.0.1:{}'}}", free_port());
    let mut world = World::new().with_server(&yaml).without_client().start().await;
    until_ready(world.server(), 200).await;
    let config = world.directory.join("server.yaml");
    let check =
        || Launch::new("healthcheck", &["healthcheck", "--configfile", config.to_str().unwrap()]).run();
    assert_eq!(check().await.code, Some(0));
    world.proxy_mut("server").stop().await;
    let ended = check().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("the proxy is not ready"), "{}", ended.stderr);
    drop(world);
}

#[tokio::test]
async fn healthcheck_reports_the_state_of_a_client() {
    let yaml = format!("proxy: {{admin_addr: '127.0.0.1:{}'}}", free_port());
    let mut world = World::new().with_client(&yaml).start().await;
    world.client().wait_for_log("answering probes").await;
    let config = world.directory.join("client.yaml");
    let check =
        || Launch::new("healthcheck", &["healthcheck", "--configfile", config.to_str().unwrap()]).run();
    let ended = check().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    world.proxy_mut("client").stop().await;
    assert_eq!(check().await.code, Some(1));
    drop(world);
}

/// A web page can point its own name at the listener and read what it answers (DNS rebinding).
#[tokio::test]
async fn a_request_for_an_unknown_name_is_refused() {
    let yaml = "proxy: {admin_addr: '127.0.0.1:0', admin_hosts: [rds-auth-proxy.databases.svc]}";
    let world = World::new().with_server(yaml).start().await;
    let server = world.server();
    server.wait_for_log("answering probes").await;
    for path in ["/metrics", "/livez", "/readyz", "/nowhere"] {
        let answer = request(server, path, "Host: attacker.example:9090\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(
            answer.contains("\"attacker.example:9090\"") && answer.contains("proxy.admin_hosts"),
            "{answer}"
        );
        assert!(!answer.contains("db-1"), "{answer}");
    }
    // As the kubelet, Prometheus with the address of a pod, a person, Prometheus with a service, and HTTP/1.0 ask.
    for host in [
        "Host: 10.2.3.4:9090\r\n",
        "Host: [2001:db8::7]:9090\r\n",
        "Host: localhost:9090\r\n",
        "Host: rds-auth-proxy.databases.svc:9090\r\n",
        "",
    ] {
        for path in ["/metrics", "/livez"] {
            let answer = request(server, path, host).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{host}{answer}");
        }
    }
    let refused = lines(server, "refused a request for an unknown name; later ones are not logged");
    assert_eq!((refused.len(), &refused[0]["name"]), (1, &"attacker.example:9090".into()));
    world.stop().await;
}

async fn request(proxy: &Proxy, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(admin_address(&proxy.log())).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// More idle connections than the admin listener accepts at once.
const IDLE: usize = 300;

#[tokio::test]
async fn idle_admin_connections_block_neither_probes_nor_sessions() {
    let world = World::new().with_server(ADMIN).start().await;
    let server = world.server();
    server.wait_for_log("answering probes").await;
    let address = admin_address(&server.log());
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /l").await.unwrap();
        idle.push(stream);
    }
    assert_eq!(get(server, "/livez").await, (200, "alive\n".into()));
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    let began = Instant::now();
    let mut oldest = idle.swap_remove(0);
    assert!(is_closed(&mut oldest).await);
    assert!(began.elapsed() < Duration::from_secs(5), "the listener closes the oldest connection first");
    // The others end with the request timeout.
    for stream in &mut idle {
        assert!(is_closed(stream).await);
    }
    world.stop().await;
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut received = Vec::new();
    // A reset is an end as well.
    let _ended =
        tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut received)).await.unwrap();
    received.is_empty() || received.starts_with(b"HTTP/1.1 408")
}
