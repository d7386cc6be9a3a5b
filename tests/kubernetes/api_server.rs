use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use super::pki::Pki;

/// A fake API server with its kubelets: lists pods and services, and forwards ports over websockets.
pub(crate) struct ApiServer {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    /// The connections so far.
    pub(crate) accepted: Arc<AtomicUsize>,
    /// The open connections.
    open: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

/// The cluster, and the streams into it.
pub(crate) struct State {
    cluster: Mutex<Cluster>,
    /// Pods whose streams end now, and how.
    ends: broadcast::Sender<(String, StreamEnd)>,
}

#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) pods: Vec<Pod>,
    pub(crate) services: BTreeMap<String, Value>,
    /// The accepted tokens. `None` accepts requests without a token.
    pub(crate) tokens: Option<Vec<String>>,
    /// Whether a client certificate is required.
    pub(crate) certificate: bool,
    /// Resources that are refused with 403, and the message.
    pub(crate) forbidden: BTreeMap<String, String>,
    pub(crate) rights: Rights,
    /// How many lists are still answered with 429.
    pub(crate) busy: usize,
    /// The delay of each answer.
    pub(crate) delay: Duration,
    /// The time between the upgrade and the dial of the port.
    pub(crate) dial_delay: Duration,
    /// How late the end of a pod's connection arrives, as in containerd.
    pub(crate) fin_delay: Duration,
    /// Answers each request with 200 and JSON that is not from Kubernetes.
    pub(crate) foreign: bool,
    /// Answers an upgrade with 200 instead of 101.
    pub(crate) no_websocket: bool,
    /// The time that TLS takes on a new connection.
    pub(crate) tls_delay: Duration,
    pub(crate) watching: Watching,
    /// The paths of all requests but watches and those that keep a connection in use.
    pub(crate) requests: Vec<String>,
    /// How many watches began.
    pub(crate) watches: usize,
    /// What each list answered. The resource version of a list is its number here.
    listed: Vec<BTreeMap<String, Value>>,
}

/// How watches go.
#[derive(Default, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Watching {
    #[default]
    WithEvents,
    /// They are behind for ever.
    Silent,
    /// They end after this time.
    Until(Duration),
}

/// The rights of the user `dev`.
#[derive(Default)]
pub(crate) struct Rights {
    /// The verbs of its role on each resource. `None` allows everything.
    pub(crate) role: Option<BTreeMap<&'static str, &'static [&'static str]>>,
    /// Whether a websocket needs `create` too, as from Kubernetes 1.35 on.
    pub(crate) websockets_need_create: bool,
    /// Answers access reviews with 404, as a proxy before the API server may do.
    pub(crate) no_reviews: bool,
}

#[derive(Clone)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) phase: &'static str,
    pub(crate) ready: bool,
    pub(crate) terminating: bool,
    pub(crate) created: u32,
    pub(crate) port: Port,
}

/// The other end of a forwarded port.
#[derive(Clone, Copy)]
pub(crate) enum Port {
    /// A listener. If it is closed, the refusal comes on the error channel.
    Listener(SocketAddr),
    /// A kubelet that the API server cannot reach.
    NoKubelet,
    /// A kubelet whose node has just lost power: the API server waits for it.
    Silent,
    /// A pod that is listed and does not exist.
    Gone,
}

/// How the streams of a pod end.
#[derive(Clone)]
pub(crate) enum StreamEnd {
    /// The kubelet closes the websocket as after a FIN of the pod.
    Closed,
    /// The kubelet reports this error.
    Error(String),
    /// The TCP connection closes without a close message.
    Cut,
}

impl ApiServer {
    pub(crate) async fn start(pki: &Pki) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(pki.server_config());
        let state = Arc::new(State { cluster: Mutex::default(), ends: broadcast::channel(64).0 });
        let mut accepting = JoinSet::new();
        let shared = Arc::clone(&state);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let open = Arc::new(AtomicUsize::new(0));
        let still_open = Arc::clone(&open);
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
                let open = Arc::clone(&still_open);
                open.fetch_add(1, Ordering::Relaxed);
                serving.spawn(async move {
                    let delay = state.cluster.lock().unwrap().tls_delay;
                    tokio::time::sleep(delay).await;
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let certified = stream.get_ref().1.peer_certificates().is_some();
                        // A client may close the connection at any time.
                        drop(serve(BufReader::new(stream), certified, state).await);
                    }
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { address, state, accepted, open, _accepting: accepting }
    }

    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.state.cluster.lock().unwrap()
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Ends the streams of a pod.
    pub(crate) fn end_streams(&self, pod: &str, end: StreamEnd) {
        // Sending fails without streams, which is no error here.
        drop(self.state.ends.send((pod.to_owned(), end)));
    }
}

struct Request {
    path: String,
    body: Vec<u8>,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

async fn serve<S>(mut stream: BufReader<S>, certified: bool, state: Arc<State>) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    while let Some(request) = read(&mut stream).await? {
        let (answer, delay) = {
            let mut cluster = state.cluster.lock().unwrap();
            (cluster.answer(&request, certified), cluster.delay)
        };
        tokio::time::sleep(delay).await;
        match answer {
            Answer::Forward(_, Port::Silent) => std::future::pending().await,
            Answer::Watch(known) => return watch(stream, &request, known, &state).await,
            Answer::Json(code, value) => write(&mut stream, code, &value).await?,
            Answer::Forward(pod, port) => return forward(stream, &request, pod, port, state).await,
        }
    }
    Ok(())
}

async fn read<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let target = lines[0].split(' ').nth(1).unwrap().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(name, value)| {
        let value = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
        (name.to_owned(), value.into_owned())
    });
    let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let headers: BTreeMap<_, _> = headers.collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request { path: path.to_owned(), body, query: query.collect(), headers }))
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, code: u16, value: &Value) -> std::io::Result<()> {
    let body = value.to_string();
    let head = format!(
        "HTTP/1.1 {code} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.flush().await
}

enum Answer {
    Json(u16, Value),
    /// A watch that begins with these pods.
    Watch(BTreeMap<String, Value>),
    Forward(String, Port),
}

fn status(code: u16, message: impl Into<String>) -> Answer {
    let message = message.into();
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message,
        "reason": "Whatever", "code": code});
    Answer::Json(code, status)
}

impl Cluster {
    fn answer(&mut self, request: &Request, certified: bool) -> Answer {
        let watches = request.query.get("watch").is_some_and(|watch| watch == "true");
        if !watches && request.path != "/version" {
            self.requests.push(request.path.clone());
        }
        if !self.authenticates(request, certified) {
            return status(401, "Unauthorized");
        }
        if self.foreign {
            return Answer::Json(200, json!({"hello": "world"}));
        }
        let parts: Vec<_> = request.path.trim_matches('/').split('/').collect();
        let resource = match parts[..] {
            ["api", "v1", "namespaces", _, "pods"] => "pods",
            ["api", "v1", "namespaces", _, "services", _] => "services",
            ["api", "v1", "namespaces", _, "pods", _, "portforward"] => "pods/portforward",
            ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] if !self.rights.no_reviews => {
                return Answer::Json(201, self.review(&request.body));
            }
            _ => return status(404, "the server could not find the requested resource"),
        };
        if let Some(message) = self.forbidden.get(resource) {
            return status(403, message.clone());
        }
        if let Some(message) = self.lacks_right(resource, parts.get(5).copied(), watches) {
            return status(403, message);
        }
        match resource {
            "pods" if watches => {
                self.watches += 1;
                let version: usize = request.query["resourceVersion"].parse().unwrap();
                Answer::Watch(self.listed[version].clone())
            }
            "pods" if self.busy > 0 => {
                self.busy -= 1;
                status(429, "the server is currently unable to handle the request")
            }
            "pods" => Answer::Json(200, self.list(request)),
            "services" => match self.services.get(parts[5]) {
                Some(selector) => Answer::Json(
                    200,
                    json!({"kind": "Service", "apiVersion": "v1",
                    "metadata": {"name": parts[5]}, "spec": {"selector": selector}}),
                ),
                None => status(404, format!("services \"{}\" not found", parts[5])),
            },
            _ if self.no_websocket => Answer::Json(200, json!({})),
            _ => self.forward(parts[5]),
        }
    }

    fn allows(&self, verb: &str, resource: &str) -> bool {
        self.rights
            .role
            .as_ref()
            .is_none_or(|role| role.get(resource).is_some_and(|verbs| verbs.contains(&verb)))
    }

    /// The message of a 403, word for word as Kubernetes 1.33 and 1.35 have it. That of 1.35 for the second check names no
    /// verb: RBAC gives no reason.
    fn lacks_right(&self, resource: &str, name: Option<&str>, watches: bool) -> Option<String> {
        let verb = match resource {
            "pods" if watches => "watch",
            "pods" => "list",
            _ => "get",
        };
        let kind = resource.split('/').next().unwrap();
        let object = name.map_or_else(|| kind.to_owned(), |name| format!("{kind} \"{name}\""));
        if !self.allows(verb, resource) {
            return Some(format!(
                "{object} is forbidden: User \"dev\" cannot {verb} resource \"{resource}\" in API group \"\" in the \
                 namespace \"apps\""
            ));
        }
        let checked_again = self.rights.websockets_need_create && resource == "pods/portforward";
        (checked_again && !self.allows("create", resource)).then(|| format!("{object} is forbidden: "))
    }

    fn review(&self, body: &[u8]) -> Value {
        let mut review: Value = serde_json::from_slice(body).unwrap();
        let attributes = &review["spec"]["resourceAttributes"];
        assert_eq!(attributes["namespace"], "apps");
        let word = |name: &str| attributes[name].as_str().unwrap();
        let resource = match attributes["subresource"].as_str() {
            Some(subresource) => format!("{}/{subresource}", word("resource")),
            None => word("resource").to_owned(),
        };
        let allowed = self.allows(word("verb"), &resource);
        review["status"] = json!({"allowed": allowed});
        review
    }

    fn authenticates(&self, request: &Request, certified: bool) -> bool {
        let bearer = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let token = self
            .tokens
            .as_ref()
            .is_none_or(|good| bearer.is_some_and(|token| good.iter().any(|good| good == token)));
        token && (certified || !self.certificate)
    }

    fn forward(&self, name: &str) -> Answer {
        match self.pods.iter().find(|pod| pod.name == name) {
            None | Some(Pod { port: Port::Gone, .. }) => status(404, format!("pods \"{name}\" not found")),
            Some(Pod { port: Port::NoKubelet, .. }) => {
                status(500, "error dialing backend: dial tcp 10.0.0.7:10250: connect: no route to host")
            }
            Some(pod) => Answer::Forward(pod.name.clone(), pod.port),
        }
    }

    fn list(&mut self, request: &Request) -> Value {
        let version = self.listed.len().to_string();
        let listed = self.chosen(request, &version);
        self.listed.push(listed.clone());
        let items: Vec<_> = listed.into_values().collect();
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items})
    }

    /// The pods that the selectors of a list or watch choose.
    fn chosen(&self, request: &Request, version: &str) -> BTreeMap<String, Value> {
        let labels = request.query.get("labelSelector").cloned().unwrap_or_default();
        let wanted: Vec<_> = labels.split(',').filter_map(|term| term.split_once('=')).collect();
        let running =
            request.query.get("fieldSelector").is_some_and(|fields| fields == "status.phase=Running");
        let chosen = self.pods.iter().filter(|pod| {
            let has =
                |(label, value): &(&str, &str)| pod.labels.iter().any(|(l, v)| l == label && v == value);
            wanted.iter().all(has) && (!running || pod.phase == "Running")
        });
        chosen.map(|pod| (pod.name.clone(), pod.to_json(version))).collect()
    }
}

impl Pod {
    /// A ready pod with the label of `deployment`.
    pub(crate) fn of(deployment: &str, name: &str, port: Port) -> Self {
        Self {
            name: name.to_owned(),
            labels: vec![("app.kubernetes.io/name".to_owned(), deployment.to_owned())],
            phase: "Running",
            ready: true,
            terminating: false,
            created: 0,
            port,
        }
    }

    fn to_json(&self, version: &str) -> Value {
        let ready = if self.ready { "True" } else { "False" };
        let created = format!(
            "2024-01-01T{:02}:{:02}:{:02}Z",
            self.created / 3600,
            self.created / 60 % 60,
            self.created % 60
        );
        let labels: BTreeMap<_, _> = self.labels.iter().cloned().collect();
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": self.name, "resourceVersion": version, "creationTimestamp": created, "labels": labels},
            "status": {"phase": self.phase, "conditions": [{"type": "Ready", "status": ready}]},
        });
        if self.terminating {
            pod["metadata"]["deletionTimestamp"] = json!("2024-01-02T00:00:00Z");
        }
        pod
    }
}

/// Sends an event for each change of the pods, in chunks.
async fn watch<S>(
    mut stream: BufReader<S>,
    request: &Request,
    mut known: BTreeMap<String, Value>,
    state: &State,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    let version = request.query["resourceVersion"].clone();
    let began = std::time::Instant::now();
    loop {
        let (now, watching) = {
            let cluster = state.cluster.lock().unwrap();
            (cluster.chosen(request, &version), cluster.watching)
        };
        if let Watching::Until(time) = watching
            && began.elapsed() > time
        {
            stream.write_all(b"0\r\n\r\n").await?;
            return stream.flush().await;
        }
        let changed = now.iter().filter(|(name, pod)| known.get(*name) != Some(pod));
        let changed =
            changed.map(|(name, pod)| (if known.contains_key(name) { "MODIFIED" } else { "ADDED" }, pod));
        let gone = known.iter().filter(|(name, _)| !now.contains_key(*name)).map(|(_, pod)| ("DELETED", pod));
        if watching != Watching::Silent {
            for (kind, pod) in changed.chain(gone) {
                let event = format!("{}\n", json!({"type": kind, "object": pod}));
                stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
            }
            stream.flush().await?;
            known = now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Upgrades, sends the port numbers on both channels, and only then dials, as API server and kubelet do.
async fn forward<S>(
    mut stream: BufReader<S>,
    request: &Request,
    pod: String,
    port: Port,
    state: Arc<State>,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let protocols = &request.headers["sec-websocket-protocol"];
    assert!(protocols.contains("v4.channel.k8s.io"), "{protocols}");
    let number: u16 = request.query["ports"].parse().unwrap();
    let accept = derive_accept_key(request.headers["sec-websocket-key"].as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\nsec-websocket-protocol: v4.channel.k8s.io\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    let mut ends = state.ends.subscribe();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let [low, high] = number.to_le_bytes();
    for channel in [0, 1] {
        socket.send(Message::binary(vec![channel, low, high])).await.map_err(std::io::Error::other)?;
    }
    let Port::Listener(address) = port else { return Ok(()) };
    let delay = state.cluster.lock().unwrap().dial_delay;
    tokio::time::sleep(delay).await;
    let error = match TcpStream::connect(address).await {
        Ok(backend) => {
            backend.set_nodelay(true).unwrap();
            let copied = tokio::select! {
                copied = copy(&mut socket, backend, &state) => copied,
                end = end_of(&pod, &mut ends) => Err(end),
            };
            match copied {
                Ok(()) | Err(StreamEnd::Closed) => None,
                Err(StreamEnd::Error(text)) => Some(text),
                Err(StreamEnd::Cut) => return Ok(()),
            }
        }
        Err(error) => Some(format!(
            "error forwarding port {number} to pod {}, uid : failed to execute portforward in network namespace \
             \"/var/run/netns/cni-6f2c5b0e-{pod}\": failed to connect to localhost:{number} inside namespace \"{}\", IPv4: dial \
             tcp4 127.0.0.1:{number}: connect: {error} IPv6 dial tcp6: address localhost: no suitable address found",
            "5f".repeat(32),
            "5f".repeat(32),
        )),
    };
    if let Some(error) = error {
        let mut message = vec![1];
        message.extend_from_slice(error.as_bytes());
        socket.send(Message::binary(message)).await.map_err(std::io::Error::other)?;
    }
    let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    socket.close(Some(normal)).await.map_err(std::io::Error::other)
}

async fn end_of(pod: &str, ends: &mut broadcast::Receiver<(String, StreamEnd)>) -> StreamEnd {
    loop {
        let (name, end) = ends.recv().await.unwrap();
        if name == pod {
            return end;
        }
    }
}

async fn copy<S>(
    socket: &mut WebSocketStream<BufReader<S>>,
    backend: TcpStream,
    state: &State,
) -> Result<(), StreamEnd>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_pod, mut to_pod) = backend.into_split();
    let (mut to_client, mut from_client) = socket.split();
    let up = async {
        while let Some(message) = from_client.next().await {
            match message.map_err(|_| StreamEnd::Cut)? {
                Message::Binary(bytes) if bytes.first() == Some(&0) => {
                    to_pod
                        .write_all(&bytes[1..])
                        .await
                        .map_err(|error| StreamEnd::Error(error.to_string()))?;
                }
                Message::Close(_) => break,
                _ => {}
            }
        }
        Err(StreamEnd::Cut)
    };
    let down = async {
        let mut buffer = vec![0; 32 * 1024 + 1];
        loop {
            let got = from_pod.read(&mut buffer[1..]).await;
            let got = got.map_err(|error| StreamEnd::Error(error.to_string()))?;
            if got == 0 {
                let delay = state.cluster.lock().unwrap().fin_delay;
                tokio::time::sleep(delay).await;
                return Ok(());
            }
            let message = Message::binary(buffer[..=got].to_vec());
            to_client.send(message).await.map_err(|_| StreamEnd::Cut)?;
        }
    };
    tokio::select! { ended = up => ended, ended = down => ended }
}
