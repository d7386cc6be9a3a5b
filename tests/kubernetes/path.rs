use std::env;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rds_auth_proxy::catalog::Dial;
use rds_auth_proxy::catalog::{Pods, PortForward};
use rds_auth_proxy::kubernetes::{Timeouts, Tunnel};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::backend::{expected, send};
use super::world::{LIMIT, World, echo, echoing, name, short_timeouts};

/// A relay between the tunnel and the API server. While it is frozen, its connections stay open and lose all data.
struct Relay {
    address: SocketAddr,
    frozen: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Relay {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (frozen, state) = watch::channel(false);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut running = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(target).await.unwrap();
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                running.spawn(copy(near_read, far_write, state.clone()));
                running.spawn(copy(far_read, near_write, state.clone()));
            }
        });
        Self { address, frozen, _accepting: accepting }
    }
}

/// Copies until the relay freezes. The connection then loses all further bytes.
async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let got = tokio::select! {
            biased;
            () = stopped(&mut frozen) => return std::future::pending().await,
            got = from.read(&mut buffer) => got.unwrap_or(0),
        };
        if got == 0 || to.write_all(&buffer[..got]).await.is_err() {
            return;
        }
    }
}

async fn stopped(frozen: &mut watch::Receiver<bool>) {
    // The sender outlives the relay.
    drop(frozen.wait_for(|frozen| *frozen).await);
}

/// Timeouts that make a path dead after a second of silence.
fn ping_timeouts() -> Timeouts {
    Timeouts { ping_interval: Duration::from_millis(500), ..short_timeouts() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_path_is_detected_and_the_next_connection_works() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let relay = Relay::to(world.api.address).await;
    world.kubeconfig(&format!("https://{}", relay.address), "{}", "");
    let tunnel = Tunnel::with_timeouts(world.settings(), ping_timeouts());
    let mut session = echoing(&tunnel).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    echo(&mut session, "pings keep a silent session alive").await.unwrap();

    relay.frozen.send(true).unwrap();
    let start = Instant::now();
    let error = session.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(error.to_string().starts_with("the API server has sent nothing for 1s"), "{error}");
    assert!(start.elapsed() < Timeouts::default().ping_interval, "{:?}", start.elapsed());

    let text = tunnel.dial(LIMIT).await.err().unwrap().to_string();
    assert!(text.contains("cannot be reached: no answer within 2s"), "{text}");
    relay.frozen.send(false).unwrap();
    echoing(&tunnel).await.unwrap();
}

/// An API server that hangs, as while its store elects a leader, and goes on within the time of a login.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_for_an_api_server_that_hangs() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let relay = Relay::to(world.api.address).await;
    world.kubeconfig(&format!("https://{}", relay.address), "{}", "");
    relay.frozen.send(true).unwrap();
    let timeouts = Timeouts { answer: Duration::from_secs(1), wait_for_pod: LIMIT, ..short_timeouts() };
    let tunnel = Tunnel::with_timeouts(world.settings(), timeouts);
    let waiting = tokio::spawn(async move { name(&tunnel).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished());
    relay.frozen.send(false).unwrap();
    assert_eq!(waiting.await.unwrap(), "p");
}

/// The tunnel cannot see answers to pings while the application does not read, and must not end the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_reader_stays_open() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let mut session =
        Tunnel::with_timeouts(world.settings(), ping_timeouts()).dial(LIMIT).await.unwrap().socket;
    let amount = 20_000_000;
    session.write_all(b"D").await.unwrap();
    session.write_u64(amount).await.unwrap();
    session.flush().await.unwrap();
    session.read_exact(&mut [0]).await.unwrap();
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        session.flush().await.unwrap();
    }
    let mut left = amount - 1;
    let mut buffer = vec![0; 65_536];
    while left > 0 {
        let got = session.read(&mut buffer).await.unwrap();
        assert_ne!(got, 0);
        left -= got as u64;
    }
}

/// A database that waits for a lock does not read. The buffers of the API server are full then, and pings wait too.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_read_keeps_its_session() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let mut session =
        Tunnel::with_timeouts(world.settings(), ping_timeouts()).dial(LIMIT).await.unwrap().socket;
    let amount = 40_000_000;
    session.write_all(b"W").await.unwrap();
    session.write_u64(amount).await.unwrap();
    let (mut answers, mut queries) = tokio::io::split(session);
    let sending = async { send(&mut queries, amount).await.unwrap() };
    let mut sum = [0; 32];
    let ((), read) = tokio::join!(sending, answers.read_exact(&mut sum));
    read.unwrap();
    assert_eq!(sum, expected(amount));
}

/// An HTTP proxy that connects every CONNECT request to the API server.
async fn proxy(
    to: SocketAddr,
    authorization: Option<&'static str>,
) -> (SocketAddr, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let used = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&used);
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let count = Arc::clone(&count);
            drop(tokio::spawn(connect(near, to, authorization, count)));
        }
    });
    (address, used, accepting)
}

async fn connect(near: TcpStream, to: SocketAddr, authorization: Option<&str>, count: Arc<AtomicUsize>) {
    let mut near = BufReader::new(near);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(near.read_line(&mut head).await.unwrap(), 0);
    }
    assert!(head.starts_with("CONNECT "), "{head}");
    if let Some(authorization) = authorization {
        let line = format!("proxy-authorization: {authorization}\r\n");
        assert!(head.to_ascii_lowercase().contains(&line.to_ascii_lowercase()), "{head}");
    }
    count.fetch_add(1, Ordering::Relaxed);
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let mut far = TcpStream::connect(to).await.unwrap();
    // Errors reach both ends.
    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubeconfig_may_name_a_proxy() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let (address, used, _running) = proxy(world.api.address, Some("Basic dXNlcjpwYXNz")).await;
    world.kubeconfig(
        "https://kubernetes.test:6443",
        "{}",
        &format!(", proxy-url: 'http://user:pass@{address}'"),
    );
    assert_eq!(name(&*world.tunnel()).await, "p");
    assert_ne!(used.load(Ordering::Relaxed), 0);
}

/// Environment variables belong to the process, so the test runs another process.
#[tokio::test(flavor = "multi_thread")]
async fn the_environment_may_name_a_proxy() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let (address, used, _running) = proxy(world.api.address, None).await;
    world.kubeconfig("https://kubernetes.test:6443", "{}", "");
    let variables = [("HTTPS_PROXY", format!("http://{address}"))];
    let output = child("path::child_that_dials", &world, &variables).await;
    assert!(output.contains("reached p"), "{output}");
    assert_ne!(used.swap(0, Ordering::Relaxed), 0);

    let variables =
        [("HTTPS_PROXY", format!("http://{address}")), ("NO_PROXY", ".test,10.0.0.0/8".to_owned())];
    let output = child("path::child_that_dials", &world, &variables).await;
    assert!(
        output.contains("not reached: the API server https://kubernetes.test:6443 cannot be reached"),
        "{output}"
    );
    assert_eq!(used.load(Ordering::Relaxed), 0);

    world.user("{}");
    let variables = [("HTTPS_PROXY", format!("http://{address}"))];
    let output = child("path::child_that_dials", &world, &variables).await;
    assert!(output.contains("reached p"), "{output}");
    assert_eq!(
        used.load(Ordering::Relaxed),
        0,
        "like kubectl, the tunnel uses no proxy for a cluster on this machine"
    );
}

/// `KUBECONFIG` is a list. Missing files are skipped.
#[tokio::test(flavor = "multi_thread")]
async fn the_environment_may_name_kubeconfigs() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let list = env::join_paths(["/nowhere/config".into(), world.kube_config()]).unwrap();
    let variables = [("KUBECONFIG", list.into_string().unwrap()), ("DIAL_KUBECONFIG", String::new())];
    let output = child("path::child_that_dials", &world, &variables).await;
    assert!(output.contains("reached p"), "{output}");
    let variables = [("HOME", "/nowhere".to_owned()), ("DIAL_KUBECONFIG", String::new())];
    let output = child("path::child_that_dials", &world, &variables).await;
    assert!(output.contains("not reached: there is no kubeconfig; set port_forward.kube_config"), "{output}");
}

/// One file of the list may have the clusters and another the users. The first value counts.
#[tokio::test(flavor = "multi_thread")]
async fn the_kubeconfigs_of_a_list_are_merged() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().tokens = Some(vec!["t0ken".to_owned()]);
    let file = |name: &str, text: &str| {
        let path = world.directory.path().join(name);
        std::fs::write(&path, format!("apiVersion: v1\nkind: Config\n{text}\n")).unwrap();
        path
    };
    let address = world.api.address;
    let clusters = format!(
        "clusters: [{{name: c, cluster: {{server: 'https://{address}', certificate-authority: ca.pem}}}}]"
    );
    let list = [
        file("unset", "current-context: \"\""),
        file(
            "contexts",
            "contexts: [{name: here, context: {cluster: c, user: u, namespace: apps}}]\ncurrent-context: here",
        ),
        file("clusters", &clusters),
        file("users", "users: [{name: u, user: {token: t0ken}}]"),
        file("later", "users: [{name: u, user: {token: another}}]\ncurrent-context: there"),
    ];
    let list = env::join_paths(list).unwrap().into_string().unwrap();
    let output =
        child("path::child_that_dials", &world, &[("KUBECONFIG", list), ("DIAL_KUBECONFIG", String::new())])
            .await;
    assert!(output.contains("reached p"), "{output}");
}

/// A client in a pod has a service account, whose files have a fixed path. The test provides that path in a separate mount
/// namespace, which only root can create.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_uses_its_service_account() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().tokens = Some(vec!["of-the-account".to_owned()]);
    let account = world.directory.path().join("account");
    std::fs::create_dir(&account).unwrap();
    for (name, text) in [("token", "of-the-account"), ("namespace", "apps"), ("ca.crt", &world.pki.ca_pem)] {
        std::fs::write(account.join(name), text).unwrap();
    }
    let script = "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount \
                  && cp \"$ACCOUNT\"/* /run/secrets/kubernetes.io/serviceaccount || exit 77; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(env::current_exe().unwrap());
    command.args(["--exact", "path::child_that_dials", "--ignored", "--nocapture"]);
    command.env_remove("KUBECONFIG").env("HOME", "/nowhere").env("ACCOUNT", &account);
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("DIAL_KUBECONFIG", "");
    command.env("KUBERNETES_SERVICE_PORT", world.api.address.port().to_string());
    let output = command.stdin(Stdio::null()).output().await;
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        eprintln!("not checked: only root can create a mount namespace");
        return;
    };
    let output = String::from_utf8_lossy(&output.stdout);
    assert!(output.contains("reached p"), "{output}");
    assert_eq!(world.api.cluster().requests[0], "/api/v1/namespaces/apps/pods");
}

/// The data in the tunnel and the credentials for the cluster are secret.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_logged() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().tokens = Some(vec!["t0ken-of-the-cluster".to_owned()]);
    world.user("{token: t0ken-of-the-cluster}");
    let output = child("path::child_that_dials", &world, &[("DIAL_TRACE", "1".to_owned())]).await;
    assert!(output.contains("reached p"), "{output}");
    assert!(output.contains("opened a stream to a pod"), "the log has the level debug");
    for secret in ["t0ken-of-the-cluster", "pa55word", &hex::encode("pa55word")] {
        assert!(!output.contains(secret), "{secret} was logged");
    }
}

async fn child(test: &str, world: &World, variables: &[(&str, String)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "KUBECONFIG"] {
        command.env_remove(name);
    }
    command.env("DIAL_KUBECONFIG", world.kube_config());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The test in the other process.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "other tests run it in a child process"]
async fn child_that_dials() {
    if env::var_os("DIAL_TRACE").is_some() {
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).init();
    }
    let kube_config = env::var("DIAL_KUBECONFIG").unwrap();
    let settings = PortForward {
        kube_config: (!kube_config.is_empty()).then(|| kube_config.into()),
        context: None,
        namespace: None,
        pods: Pods::Deployment("proxy".to_owned()),
        remote_port: 8000,
        local_port: None,
    };
    match Tunnel::with_timeouts(settings.clone(), short_timeouts()).dial(LIMIT).await {
        Ok(stream) => {
            let mut stream = stream.socket;
            stream.write_all(b"E").await.unwrap();
            echo(&mut stream, "pa55word").await.unwrap();
            println!("reached {}", name(&Tunnel::with_timeouts(settings, short_timeouts())).await);
        }
        Err(error) => println!("not reached: {error}"),
    }
}
