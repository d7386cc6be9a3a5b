use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use rustix::process::Signal;

use super::api_server::Port;
use super::cluster::Cluster;
use super::tunnelled;
use crate::support::builder::World;
use crate::support::ports::free_port;
use crate::support::scratch::random_text;
use crate::support::world::refusal;

/// The limit of the whole login (`handshake_timeout`). The error has to come before it.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// A broken cluster, and the beginning and end of the error that the application reads.
struct Case {
    name: &'static str,
    cluster: Cluster,
    start: String,
    end: &'static str,
}

impl Case {
    async fn new(
        name: &'static str,
        arrange: impl AsyncFnOnce(&Cluster) -> String,
        end: &'static str,
    ) -> Self {
        let cluster = Cluster::start().await;
        let start = arrange(&cluster).await;
        Self { name, cluster, start, end }
    }
}

/// The cases in which connecting again does not help.
const PERMANENT: [&str; 4] = ["may-not-list", "may-not-forward", "expired", "wants-a-login"];

const LOG_IN: &str =
    "; log in to the cluster so that `kubectl get pods` works in a terminal, then connect again";

/// Errors that a wait may fix, one for each kind of wait.
async fn slow_cases() -> Vec<Case> {
    vec![
        Case::new(
            "refused-in-pod",
            async |cluster| {
                cluster.add_pod("p", Port::Listener(([127, 0, 0, 1], free_port()).into()));
                "pod p refuses connections on port 8000: no process listens there".into()
            },
            "; check that port_forward.remote_port is where the proxy in the pod listens",
        )
        .await,
        Case::new(
            "not-ready",
            async |cluster| {
                cluster.add_pod("p", Port::Gone);
                cluster.terminate("p");
                "no pod with app.kubernetes.io/name=rds-auth-proxy in namespace apps is ready: p is terminating".into()
            },
            "; see `kubectl -n apps describe pods -l app.kubernetes.io/name=rds-auth-proxy`",
        )
        .await,
        Case::new(
            "no-pod",
            async |cluster| {
                format!(
                    "there is no pod with app.kubernetes.io/name=rds-auth-proxy in namespace apps of https://{}",
                    cluster.api.address
                )
            },
            "; check that the deployment exists there, and port_forward's deployment, namespace and context",
        )
        .await,
        Case::new(
            "slow-api-server",
            async |cluster| {
                cluster.add_pod("p", Port::Gone);
                cluster.terminate("p");
                cluster.api.cluster().delay = Duration::from_secs(4);
                "no pod with app.kubernetes.io/name=rds-auth-proxy in namespace apps is ready: p is terminating".into()
            },
            "; see `kubectl -n apps describe pods -l app.kubernetes.io/name=rds-auth-proxy`",
        )
        .await,
        Case::new(
            "unreachable",
            async |cluster| {
                let server = format!("https://127.0.0.1:{}", free_port());
                cluster.kubeconfig(&server, "{}");
                format!("the API server {server} cannot be reached: Connection refused")
            },
            "; check the network, the VPN and the kubeconfig",
        )
        .await,
        // 12 s, less the time that the login took before.
        silent_plugin("the credential plugin of the kubeconfig has not answered for 1").await,
    ]
}

/// Errors that a wait cannot fix.
async fn quick_cases() -> Vec<Case> {
    let forbidden = |resource: &'static str, verb: &'static str| {
        async move |cluster: &Cluster| {
            cluster.add_pod("p", Port::Gone);
            let message = format!(
                "pods is forbidden: User \"dev\" cannot {verb} resource \"{resource}\" in API group \"\" in the \
                 namespace \"apps\""
            );
            cluster.api.cluster().forbidden = [(resource.to_owned(), message)].into();
            format!("Kubernetes does not let user dev {verb} {resource} in namespace apps")
        }
    };
    vec![
        Case::new(
            "may-not-list",
            forbidden("pods", "list"),
            "its role there lacks the rule {apiGroups: [\"\"], resources: [\"pods\"], verbs: [\"get\", \"list\"]}, which \
             the Helm chart grants by rbac.create and rbac.portforwardSubjects",
        )
        .await,
        Case::new(
            "may-not-forward",
            async |cluster: &Cluster| {
                cluster.add_pod("p", Port::Gone);
                let pods: &[&str] = &["get", "list"];
                let role = [("pods", pods), ("pods/portforward", &["create"])];
                cluster.api.cluster().rights.role = Some(role.into());
                "Kubernetes does not let user dev get pods/portforward in namespace apps".into()
            },
            "{apiGroups: [\"\"], resources: [\"pods/portforward\"], verbs: [\"get\", \"create\"]}, which the Helm chart \
             grants by rbac.create and rbac.portforwardSubjects",
        )
        .await,
        Case::new(
            "expired",
            async |cluster| {
                cluster.api.cluster().tokens = Some(vec![random_text(40)]);
                format!(
                    "the API server https://{} does not accept the credentials of the kubeconfig (401), which may \
                     have expired",
                    cluster.api.address
                )
            },
            LOG_IN,
        )
        .await,
        Case::new(
            "wants-a-login",
            async |cluster| {
                cluster.plugin("echo 'Error loading SSO Token: Token for dev does not exist' >&2; exit 255", "");
                "the credential plugin \"".into()
            },
            "failed: Error loading SSO Token: Token for dev does not exist; log in to the cluster so that \
             `kubectl get pods` works in a terminal, then connect again",
        )
        .await,
    ]
}

/// Starts a client for each case and logs in, all at the same time. Each application must read its error in time.
async fn expect_errors(cases: Vec<Case>) {
    expect_errors_within(HANDSHAKE, cases).await;
}

async fn expect_errors_within(handshake: Duration, cases: Vec<Case>) {
    let limit = format!("proxy: {{handshake_timeout: {}s}}", handshake.as_secs());
    let mut world = World::new().without_client().with_client(&limit);
    for case in &cases {
        world = world.with_client(&case.cluster.upstream(case.name));
    }
    let world = world.start().await;
    let reading = cases.iter().map(async |case| {
        world.add_secret(&case.cluster.token);
        let client = world.start_client(&["--proxy-target", case.name]).await;
        let start = Instant::now();
        let error = refusal(&client, "alice").await;
        let took = start.elapsed();
        let sqlstate = if PERMANENT.contains(&case.name) { "08001" } else { "57P03" };
        assert_eq!(error.code().code(), sqlstate, "after {took:?}: {error}");
        assert_eq!(error.severity(), "FATAL");
        let start =
            format!("rds-auth-proxy: the upstream proxy {} cannot be reached: {}", case.name, case.start);
        assert!(error.message().starts_with(&start), "{error}\n{start}");
        assert!(error.message().ends_with(case.end), "{error}\n{}", case.end);
        // The deadline of the handshake has another error text, so this only catches waits beyond it.
        assert!(took < handshake * 2, "{took:?}: {error}");
    });
    futures_util::future::join_all(reading).await;
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

#[tokio::test]
async fn errors_that_a_wait_cannot_fix_are_reported() {
    expect_errors(quick_cases().await).await;
}

#[tokio::test]
async fn errors_that_a_wait_may_fix_are_reported_before_the_handshake_ends() {
    expect_errors(slow_cases().await).await;
}

/// An API server that accepts connections and does not answer, as behind a VPN that is half up.
#[tokio::test]
async fn a_silent_api_server_is_reported_before_the_handshake_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://{}", listener.local_addr().unwrap());
    let case = Case::new(
        "silent",
        async |cluster| {
            cluster.kubeconfig(&server, "{}");
            format!("the API server {server} cannot be reached: no answer within 5s")
        },
        "; check the network, the VPN and the kubeconfig",
    );
    expect_errors(vec![case.await]).await;
}

/// With a `handshake_timeout` below the wait for a pod, the application still reads why there is none.
#[tokio::test]
async fn a_short_handshake_leaves_time_for_the_error() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://{}", silent.local_addr().unwrap());
    let cases = vec![
        Case::new(
            "not-ready",
            async |cluster| {
                cluster.add_pod("p", Port::Gone);
                cluster.terminate("p");
                "no pod with app.kubernetes.io/name=rds-auth-proxy in namespace apps is ready: p is terminating".into()
            },
            "; see `kubectl -n apps describe pods -l app.kubernetes.io/name=rds-auth-proxy`",
        )
        .await,
        Case::new(
            "silent",
            async |cluster| {
                cluster.kubeconfig(&server, "{}");
                format!("the API server {server} cannot be reached: no answer within ")
            },
            "; check the network, the VPN and the kubeconfig",
        )
        .await,
        silent_plugin("the credential plugin of the kubeconfig has not answered for ").await,
    ];
    expect_errors_within(Duration::from_secs(5), cases).await;
}

/// A frozen server is not a silent database: the deadline names its pod, before TLS and after.
#[tokio::test]
async fn a_frozen_pod_is_named() {
    let cluster = Cluster::start().await;
    let world = tunnelled(&cluster)
        .with_client("proxy: {handshake_timeout: 2s}")
        .with_client(&cluster.upstream_with("plain", "{mode: disable}"))
        .start()
        .await;
    world.add_secret(&cluster.token);
    cluster.add("pod-1", world.server());
    let plain = world.start_client(&["--proxy-target", "plain"]).await;
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    world.server().signal(Signal::STOP);
    let error = world.refusal("alice").await;
    let text = "time ran out after 2 s while making TLS with the upstream proxy default (pod pod-1)";
    assert!(error.message().ends_with(text), "{error}");
    let error = refusal(&plain, "alice").await;
    let text = "while waiting for the upstream proxy plain (pod pod-1) to finish the login";
    assert!(error.message().ends_with(text), "{error}");
    world.server().signal(Signal::CONT);
    world.stop().await;
}

/// What a plugin prints while it waits for a login is the only way to log in. kubectl shows it on the terminal; the client logs
/// it at once, and the application reads it. The plugin and its children end with the client.
#[tokio::test]
async fn a_plugin_that_waits_for_a_login_is_quoted_and_ends_with_the_client() {
    let cluster = Cluster::start().await;
    let directory = cluster.plugin(
        "echo $$ > pid; sleep 600 & echo $! > child\n\
         echo 'Open https://login.example.com/device' >&2; sleep 1; echo 'and enter the code ABCD-EFGH.' >&2\nwait",
        "",
    );
    let world =
        tunnelled(&cluster).with_client("proxy: {handshake_timeout: 6s}").without_client().start().await;
    world.add_secret(&cluster.token);
    let mut client = world.start_client(&[]).await;
    let (error, ()) = tokio::join!(
        refusal(&client, "alice"),
        client.wait_for_log("prints: Open https://login.example.com/device")
    );
    assert!(error.message().contains("the credential plugin of the kubeconfig has not answered"), "{error}");
    let hint = "The plugin has printed: Open https://login.example.com/device and enter the code ABCD-EFGH";
    assert_eq!(error.hint(), Some(hint));
    assert!(client.log().contains("and enter the code ABCD-EFGH"));
    let running = || {
        let ids = ["pid", "child"].map(|name| std::fs::read_to_string(directory.join(name)).unwrap());
        let stat = |id: String| std::fs::read_to_string(format!("/proc/{}/stat", id.trim()));
        ids.map(stat).into_iter().flatten().filter(|stat| !stat.contains(") Z ")).count()
    };
    assert_eq!(running(), 2);
    client.stop().await;
    let start = Instant::now();
    while running() > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "the plugin outlives the client");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.stop().await;
}

/// A credential plugin that never ends. `error` is the beginning of the error.
async fn silent_plugin(error: &'static str) -> Case {
    let arrange = async |cluster: &Cluster| {
        cluster.plugin("exec sleep 60", "");
        error.into()
    };
    let remedy = "; run `kubectl get pods` in a terminal and log in, then connect again";
    Case::new("silent-plugin", arrange, remedy).await
}
