//! HAProxy and nginx in front of two servers, with the configurations of `docs/guides/ingress.md`. The server name leads to a server,
//! and the PROXY protocol states the peer.
//!
//! Without the program a test prints that it was skipped, or fails if `CI` is set.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::cancel::expect_libpq_18;
use super::{orders, psql, run};
use crate::support::ports::free_port;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, login, tls};
use crate::support::world::Running;
use crate::support::{runtime, scratch};

const PAGE: &str = "docs/guides/ingress.md";

/// The module that Debian has in a package of its own; elsewhere it is part of the program.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// How long a load balancer may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A load balancer that listens. Dropping it kills the process.
struct LoadBalancer {
    port: u16,
    _process: Child,
}

/// Two servers that expect the load balancer on loopback.
async fn world() -> Running {
    let keys = "proxy: {default_target: orders, proxy_protocol: {from: [127.0.0.1]}}";
    orders().await.with_server(keys).with_second_server().start().await
}

/// The configuration of the page in this language, with the ports of this world.
fn configuration(world: &Running, language: &str, listener: &str, port: u16) -> String {
    let page = fs::read_to_string(PAGE).unwrap();
    let block = page.split_once(&format!("```{language}\n")).unwrap().1.split_once("```").unwrap().0;
    let mut text = block.to_owned();
    for (written, here) in [
        (listener, &format!("{} 127.0.0.1:{port}", listener.split_once(' ').unwrap().0)),
        ("10.0.1.10:5432", &format!("127.0.0.1:{}", world.proxy("server").port())),
        ("10.0.1.11:5432", &format!("127.0.0.1:{}", world.proxy("server-2").port())),
    ] {
        assert!(text.contains(written), "{PAGE} has no {written}");
        text = text.replace(written, here);
    }
    text
}

impl LoadBalancer {
    async fn start(program: &str, port: u16, arguments: Vec<String>) -> Option<Self> {
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", path).stdin(Stdio::null()).kill_on_drop(true);
        let process = match runtime::within(async move { command.spawn() }).await {
            Ok(process) => process,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "cannot start {program}: {error}");
                // The test harness hides output of macros in tests that pass.
                let _ = writeln!(std::io::stderr(), "SKIPPED: cannot start {program}: {error}");
                return None;
            }
        };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "{program} does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(Self { port, _process: process })
    }
}

async fn haproxy(world: &Running) -> Option<LoadBalancer> {
    let port = free_port();
    let file = scratch::new_directory("haproxy").join("haproxy.cfg");
    fs::write(&file, configuration(world, "haproxy", "bind :5432", port)).unwrap();
    LoadBalancer::start("haproxy", port, vec!["-db".into(), "-f".into(), text(&file)]).await
}

async fn nginx(world: &Running) -> Option<LoadBalancer> {
    let port = free_port();
    let directory = scratch::new_directory("nginx");
    let module = if Path::new(STREAM_MODULE).exists() {
        format!("load_module {STREAM_MODULE};\n")
    } else {
        String::new()
    };
    let stream = configuration(world, "nginx", "listen 5432", port);
    let process = "daemon off; master_process off; pid nginx.pid; error_log stderr warn;";
    let file = directory.join("nginx.conf");
    fs::write(&file, format!("{module}{process}\nevents {{}}\n{stream}")).unwrap();
    let arguments =
        vec!["-p".into(), text(&directory), "-e".into(), "stderr".into(), "-c".into(), text(&file)];
    LoadBalancer::start("nginx", port, arguments).await
}

fn text(path: &Path) -> String {
    PathBuf::from(path).into_os_string().into_string().unwrap()
}

/// Whether the server began a session of a peer at this address.
async fn expect_session_of(server: &Proxy, peer: &str) {
    let began = Instant::now();
    let has = |log: &str| {
        log.lines()
            .any(|line| line.contains("session began") && line.contains(&format!("\"peer\":\"{peer}:")))
    };
    while !has(&server.log()) {
        assert!(began.elapsed() < PATIENCE, "no session of {peer}: {}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Direct TLS is routed by its server name; an SSLRequest has none yet, and goes to the default.
async fn expect_routing(world: &Running, balancer: &LoadBalancer) {
    let servers = ["server", "server-2"].map(|name| world.proxy(name));
    for (name, server, last) in [
        ("orders.db.example", servers[0], 5),
        ("reports.db.example", servers[1], 6),
        ("other.example", servers[0], 7),
    ] {
        let raw = Raw::connect_from([127, 0, 0, last], balancer.port).await;
        let mut raw = raw.encrypt_to(name, &tls(&[b"postgresql"])).await.unwrap();
        raw.send(&login("by_trust")).await;
        raw.until_ready().await;
        assert_eq!(raw.query("select 'served'").await.unwrap(), "served");
        expect_session_of(server, &format!("127.0.0.{last}")).await;
    }
    let raw = Raw::connect_from([127, 0, 0, 8], balancer.port).await;
    let mut raw = raw.request_tls().await;
    raw.send(&login("by_trust")).await;
    raw.until_ready().await;
    expect_session_of(servers[0], "127.0.0.8").await;

    let mut command = psql(world, servers[0], "reports.db.example", "by_scram");
    command.args(["-p", &balancer.port.to_string()]);
    assert_eq!(run(command, "select current_user").await.as_deref(), Ok("by_scram"));
    expect_libpq_18(world, balancer.port).await;
    for server in servers {
        let log = server.log();
        assert!(!log.contains("connection refused") && !log.contains("connection failed"), "{log}");
    }
}

#[tokio::test]
async fn haproxy_routes_by_server_name_and_states_the_peer() {
    let world = world().await;
    if let Some(balancer) = haproxy(&world).await {
        // Its health check is a header with the command LOCAL.
        world.server().wait_for_log("hung up without a startup packet").await;
        expect_routing(&world, &balancer).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn nginx_routes_by_server_name_and_states_the_peer() {
    let world = world().await;
    if let Some(balancer) = nginx(&world).await {
        expect_routing(&world, &balancer).await;
    }
    world.stop().await;
}
