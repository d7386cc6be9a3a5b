//! Descriptors that run out, and the admin listener that reports it.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::operations::{count, get, get_at, lines, metric};
use crate::support::builder::World;
use crate::support::ports::free_port;
use crate::support::proxy::Launch;

#[tokio::test]
async fn the_admin_listener_answers_while_all_descriptors_are_in_use() {
    let (port, admin) = (free_port(), free_port());
    let yaml = format!(
        "proxy: {{listen_addr: '127.0.0.1:{port}', admin_addr: '127.0.0.1:{admin}', admin_socket: '<directory>/admin/s'}}"
    );
    let world = World::new().with_server(&yaml).without_server().without_client().start().await;
    let launch =
        Launch::mode("few", "server", &world.directory.join("server.yaml")).in_shell("ulimit -n 160");
    let server = world.start_proxy(world.launch(launch, &world.server_key)).await;
    server.wait_for_log("the list of targets changed").await;
    let mut pending = Vec::new();
    for _ in 0..200 {
        pending.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    server.wait_for_log("accept failed; retrying after a pause").await;
    // Kept open, as by Prometheus.
    let mut kept = Vec::new();
    for _ in 0..10 {
        kept.push(TcpStream::connect(("127.0.0.1", admin)).await.unwrap());
    }
    let admin = format!("127.0.0.1:{admin}");
    for _ in 0..20 {
        for path in ["/livez", "/readyz"] {
            let answer = tokio::time::timeout(Duration::from_secs(2), get_at(&admin, path)).await;
            assert_eq!(answer.expect("it answers").0, 200, "{path}");
        }
    }
    let config = world.directory.join("server.yaml");
    let listed = Launch::mode("sessions", "sessions", &config).with(&["--output", "json"]).run().await;
    assert_eq!(listed.stdout, "{\"sessions\":[]}\n", "{listed:?}");
    let text = get_at(&admin, "/metrics").await.1;
    let failures = |address: &str| {
        count(&text, &format!("rds_auth_proxy_accept_failures_total{{listener=\"{address}\"}}"))
    };
    assert!(failures(&format!("127.0.0.1:{port}")) > 0, "{text}");
    assert_eq!(failures(&admin), 0, "{text}");
    assert!(metric(&text, "process_open_fds ") >= metric(&text, "process_max_fds ") - 40, "{text}");
    let failed = lines(&server, "accept failed; retrying after a pause");
    assert_eq!(failed[0]["address"], format!("127.0.0.1:{port}"));
    drop(pending);
    world.stop().await;
}

#[tokio::test]
async fn standard_metrics_describe_the_process() {
    let world = World::new().with_server(crate::operations::ADMIN).without_client().start().await;
    let server = world.server();
    let text = get(server, "/metrics").await.1;
    let own = i32::try_from(std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()).unwrap();
    let open = i32::try_from(metric(&text, "process_open_fds ")).unwrap();
    assert!((open - own).abs() <= 3, "{open} and {own}");
    assert!(metric(&text, "process_max_fds ") > 100);
    let resident = metric(&text, "process_resident_memory_bytes ");
    assert!((1 << 20..1 << 30).contains(&resident), "{resident}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let age = now - metric(&text, "process_start_time_seconds ");
    assert!(age < 120, "it started {age} s ago");
    let listener = format!("rds_auth_proxy_accept_failures_total{{listener=\"{}\"}}", server.address);
    assert!(text.lines().any(|line| line == format!("{listener} 0")), "born at 0: {text}");
    world.stop().await;
}
