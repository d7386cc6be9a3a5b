use std::time::{Duration, Instant};

use rds_auth_proxy::catalog::Dial;
use rds_auth_proxy::catalog::{Pods, PortForward};
use rds_auth_proxy::kubernetes::{Timeouts, Tunnel};
use serde_json::json;

use super::api_server::{Port, Rights};
use super::world::{LIMIT, World, name, pod, refusal_timeouts, short_timeouts};

async fn refusal_of(settings: PortForward) -> String {
    let tunnel = Tunnel::with_timeouts(settings, short_timeouts());
    tunnel.dial(LIMIT).await.err().expect("there must be no stream").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_deployment_is_reported_after_a_wait() {
    let world = World::new().await;
    let start = Instant::now();
    assert_eq!(
        world.refusal().await,
        format!(
            "there is no pod with app.kubernetes.io/name=proxy in namespace apps of https://{}; check that the \
             deployment exists there, and port_forward's deployment, namespace and context",
            world.api.address
        )
    );
    assert!(
        start.elapsed() > short_timeouts().wait_for_pod / 2,
        "the deployment may be between two pods, so the connection waits"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unready_pods_are_reported_with_their_states() {
    let world = World::new().await;
    let mut starting = world.pod("starting").await;
    starting.close().await;
    world.change("starting", |pod| pod.ready = false);
    let mut leaving = pod("leaving", Port::Gone);
    leaving.terminating = true;
    let mut pending = pod("pending", Port::Gone);
    (pending.phase, pending.ready) = ("Pending", false);
    for pod in [leaving, pending] {
        world.add(pod);
    }
    let start = Instant::now();
    assert_eq!(
        world.refusal().await,
        "no pod with app.kubernetes.io/name=proxy in namespace apps is ready: leaving is terminating, \
         pending is Pending, starting is Running but not ready; see `kubectl -n apps describe pods -l app.kubernetes.io/name=proxy`"
    );
    assert!(
        start.elapsed() > short_timeouts().wait_for_pod / 2,
        "a pod may become ready, so the connection waits"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_rbac_rule_is_quoted() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let cases =
        [("pods", "list", "[\"get\", \"list\"]"), ("pods/portforward", "create", "[\"get\", \"create\"]")];
    for (resource, verb, verbs) in cases {
        let message = format!(
            "pods is forbidden: User \"dev\" cannot {verb} resource \"{resource}\" in API group \"\" in the namespace \"apps\""
        );
        world.api.cluster().forbidden = [(resource.to_owned(), message)].into();
        assert_eq!(
            world.refusal().await,
            format!(
                "Kubernetes does not let user dev {verb} {resource} in namespace apps; its role there lacks the rule \
                 {{apiGroups: [\"\"], resources: [\"{resource}\"], verbs: {verbs}}}, which the Helm chart grants by \
                 rbac.create and rbac.portforwardSubjects"
            )
        );
    }
    world.api.cluster().forbidden = [("pods".to_owned(), "no".to_owned())].into();
    let text = world.refusal().await;
    assert!(text.starts_with("Kubernetes does not let you list pods in namespace apps; "), "{text}");
}

/// The chart of the Go program grants `create` alone, which is what its POST needs; a websocket needs `get`. Kubernetes 1.35
/// checks `create` afterwards, and does not name it.
#[tokio::test(flavor = "multi_thread")]
async fn the_missing_verb_of_a_port_forward_is_named() {
    type Verbs = &'static [&'static str];
    // The verbs of the role, whether the cluster is new, whether it answers no access reviews, and what the text names.
    let cases: [(Verbs, bool, bool, &str); 7] = [
        (&["create"], false, false, "user dev get"),
        (&["create"], true, false, "user dev get"),
        (&[], true, false, "user dev get"),
        (&["get"], true, false, "you create"),
        (&["get"], true, true, "you get or create"),
        (&["get"], false, false, ""),
        (&["get", "create"], true, false, ""),
    ];
    for (verbs, new, no_reviews, named) in cases {
        let world = World::new().await;
        let _backend = world.pod("p").await;
        let pods: Verbs = &["get", "list"];
        world.api.cluster().rights = Rights {
            role: Some([("pods", pods), ("pods/portforward", verbs)].into()),
            websockets_need_create: new,
            no_reviews,
        };
        if named.is_empty() {
            assert_eq!(name(&*world.tunnel()).await, "p");
            continue;
        }
        assert_eq!(
            world.refusal().await,
            format!(
                "Kubernetes does not let {named} pods/portforward in namespace apps; its role there lacks the rule \
                 {{apiGroups: [\"\"], resources: [\"pods/portforward\"], verbs: [\"get\", \"create\"]}}, which the Helm \
                 chart grants by rbac.create and rbac.portforwardSubjects"
            ),
            "{verbs:?} {new}"
        );
    }
}

/// Word for word what Kubernetes 1.36 answers to a websocket without `create`: there is nothing behind the colon. The text never
/// blames an admission policy then, even if the role has the verbs by the time of the review.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_a_reason_is_a_missing_verb() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    for message in ["pods \"p\" is forbidden: ", "pods \"p\" is forbidden:"] {
        world.api.cluster().forbidden = [("pods/portforward".to_owned(), message.to_owned())].into();
        let text = world.refusal().await;
        let start = "Kubernetes does not let you get or create pods/portforward in namespace apps; ";
        assert!(text.starts_with(start), "{text}");
    }
}

/// An admission policy may forbid port-forwards; then no role helps.
#[tokio::test(flavor = "multi_thread")]
async fn an_admission_policy_is_quoted() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let message = "admission webhook \"no-forwards.example.com\" denied the request: use the VPN.".to_owned();
    world.api.cluster().forbidden = [("pods/portforward".to_owned(), message)].into();
    assert_eq!(
        world.refusal().await,
        "Kubernetes denies a port-forward to pod p: admission webhook \"no-forwards.example.com\" denied the request: \
         use the VPN; RBAC allows it, so ask for an exception from the admission policy that denies it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_missing_or_selects_no_pods_is_reported() {
    let world = World::new().await;
    let settings = PortForward { pods: Pods::Service("db".to_owned()), ..world.settings() };
    let text = refusal_of(settings.clone()).await;
    assert!(text.starts_with("there is no service \"db\" in namespace apps; "), "{text}");
    world.api.cluster().services.insert("db".to_owned(), json!({}));
    let text = refusal_of(settings).await;
    assert!(text.starts_with("the service \"db\" in namespace apps selects no pods; "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_reported() {
    let world = World::new().await;
    let mut backend = world.pod("p").await;
    backend.close().await;
    let tunnel = Tunnel::with_timeouts(world.settings(), refusal_timeouts());
    let text = tunnel.dial(LIMIT).await.err().expect("there must be no stream").to_string();
    assert_eq!(
        text,
        "pod p refuses connections on port 8000: no process listens there; check that port_forward.remote_port is where \
         the proxy in the pod listens"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_node_is_reported() {
    let world = World::new().await;
    world.add(pod("p", Port::NoKubelet));
    let text = world.refusal().await;
    assert!(text.starts_with("pod p cannot be reached through its node: error dialing backend"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_reported() {
    let world = World::new().await;
    world.add(pod("p", Port::Silent));
    let timeouts = Timeouts { answer: Duration::from_secs(1), ..short_timeouts() };
    let error = Tunnel::with_timeouts(world.settings(), timeouts).dial(LIMIT).await.err().unwrap();
    assert_eq!(error.to_string(), "pod p cannot be reached through its node: no answer within 1s");
}

/// With the default timeouts, each error is reported before a short limit is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_limit_leaves_time_for_the_error() {
    let limit = Duration::from_secs(2);
    let not_ready = World::new().await;
    let mut starting = pod("starting", Port::Gone);
    starting.ready = false;
    not_ready.add(starting);
    let silent = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    silent.kubeconfig(&format!("https://{}", listener.local_addr().unwrap()), "{}", "");
    let slow_node = World::new().await;
    slow_node.add(pod("p", Port::Silent));
    let cases = [
        (not_ready, " is ready: starting is Running but not ready; "),
        (silent, " cannot be reached: no answer within 800ms; "),
        (slow_node, "pod p cannot be reached through its node: no answer within 800ms"),
    ];
    for (world, sentence) in cases {
        let start = Instant::now();
        let text = Tunnel::new(world.settings()).dial(limit).await.err().unwrap().to_string();
        assert!(text.contains(sentence), "{text}");
        // One default timeout is longer than this.
        assert!(start.elapsed() < limit * 2, "{:?}: {text}", start.elapsed());
    }
}

/// The handshake of a session has a separate deadline. The application must not read that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_api_server_is_reported_within_the_limit() {
    let world = World::new().await;
    let mut leaving = pod("leaving", Port::Gone);
    leaving.terminating = true;
    world.add(leaving);
    // Two responses, and time for more. The rest is enough for a busy machine.
    world.api.cluster().delay = Duration::from_secs(1);
    let limit = Duration::from_secs(4);
    let tunnel = Tunnel::new(world.settings());
    let start = Instant::now();
    let text = tunnel.dial(limit).await.err().unwrap().to_string();
    assert!(text.contains(" is ready: leaving is terminating; "), "{text}");
    assert!(start.elapsed() < limit * 2, "{:?}", start.elapsed());

    // Three responses are needed, for the service, the list and the diagnosis, and the time is too short for them.
    let selector = json!({"app.kubernetes.io/name": "proxy"});
    world.api.cluster().services.insert("db".to_owned(), selector);
    world.api.cluster().delay = Duration::from_millis(3100);
    let tunnel = Tunnel::new(PortForward { pods: Pods::Service("db".to_owned()), ..world.settings() });
    let text = tunnel.dial(Duration::from_secs(9)).await.err().unwrap().to_string();
    assert!(text.starts_with("no pod was reached within 9 s; the credential plugin"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_api_server_is_reported() {
    let world = World::new().await;
    world.kubeconfig("https://127.0.0.1:1", "{}", "");
    let text = world.refusal().await;
    assert!(
        text.starts_with("the API server https://127.0.0.1:1 cannot be reached: Connection refused"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_certificate_of_another_ca_is_refused() {
    let world = World::new().await;
    let other = World::new().await;
    std::fs::copy(other.directory.path().join("ca.pem"), world.directory.path().join("ca.pem")).unwrap();
    let text = world.refusal().await;
    assert!(text.contains(" cannot be reached: ") && text.contains("certificate"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_api_server_is_reported() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().busy = usize::MAX;
    assert_eq!(
        world.refusal().await,
        format!(
            "the API server https://{} is busy: the server is currently unable to handle the request; try again in a \
             moment",
            world.api.address
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_kubernetes_is_reported() {
    let world = World::new().await;
    world.api.cluster().foreign = true;
    let text = world.refusal().await;
    assert!(text.starts_with("the API server https://"), "{text}");
    assert!(text.ends_with(" refuses the request: its answer is not a Kubernetes object"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_blocks_websockets_is_reported() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().no_websocket = true;
    let text = world.refusal().await;
    assert!(text.contains("answers without a websocket") && text.contains("200"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_context_is_reported() {
    let world = World::new().await;
    let settings = PortForward { context: Some("there".to_owned()), ..world.settings() };
    assert_eq!(
        refusal_of(settings).await,
        "the kubeconfig has no context \"there\"; it has: here; set port_forward.context to one of them"
    );
    let text = std::fs::read_to_string(world.kube_config()).unwrap();
    std::fs::write(world.kube_config(), text.replace("current-context: here", "")).unwrap();
    assert_eq!(
        world.refusal().await,
        "the kubeconfig has no current context; run `kubectl config use-context NAME` or set port_forward.context"
    );
    let settings = PortForward { kube_config: Some("/nowhere/config".into()), ..world.settings() };
    let text = refusal_of(settings).await;
    assert!(text.starts_with("the kubeconfig cannot be used: /nowhere/config: No such file"), "{text}");
}

/// A password may pass a stream without TLS inside only where no impostor can pose as the cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_whether_its_cluster_was_verified() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let tunnel = world.tunnel();
    assert!(tunnel.dial(LIMIT).await.unwrap().verified);
    let text = std::fs::read_to_string(world.kube_config()).unwrap();
    let insecure = text.replace("certificate-authority: ca.pem", "insecure-skip-tls-verify: true");
    std::fs::write(world.kube_config(), insecure).unwrap();
    assert!(!tunnel.dial(LIMIT).await.unwrap().verified);
}

/// For the last line of a client's terminal.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_knows_whether_its_last_dial_succeeded() {
    let world = World::new().await;
    let tunnel = world.tunnel();
    assert_eq!(tunnel.is_open(), None);
    assert!(tunnel.dial(LIMIT).await.is_err());
    assert_eq!(tunnel.is_open(), Some(false));
    let _pod = world.pod("proxy").await;
    tunnel.dial(LIMIT).await.unwrap();
    assert_eq!(tunnel.is_open(), Some(true));
}
