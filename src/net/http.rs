//! Serves HTTP/1.1 on a listener: limits, deadlines and an orderly end. What is answered is the caller's router.

use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[cfg(doc)]
use super::Peer;
use super::{Accepted, Listener, PeerUid, Pending, PendingPermit, UNLIMITED, accept};

/// Bounds of an HTTP listener.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections at once. Beyond them the oldest one of the address that has the most is closed.
    pub connections: usize,
    /// How long the head of a request may take to arrive, the next one on a connection too; and how long a request may
    /// still take once the server stops.
    pub request_timeout: Duration,
}

/// Answers requests until `stop` is cancelled. Then it closes idle connections and returns when those with a request under
/// way are done. An error of one connection ends that connection only. A request has its [`Peer`] as an extension, and over a
/// Unix socket its [`PeerUid`].
pub async fn serve_http(listener: Listener, router: Router, limits: HttpLimits, stop: CancellationToken) {
    let open = Pending::default();
    accept(listener, UNLIMITED, stop.cancelled(), |accepted| {
        let (permit, _closed) = open.add(accepted.peer, limits.connections);
        answer(accepted, router.clone(), limits, permit, stop.clone())
    })
    .await;
}

async fn answer(
    accepted: Accepted,
    router: Router,
    limits: HttpLimits,
    permit: PendingPermit,
    stop: CancellationToken,
) {
    let router = router.layer(Extension(accepted.peer));
    let router = match PeerUid::of(&accepted.socket) {
        Some(uid) => router.layer(Extension(uid)),
        None => router,
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.request_timeout);
    let connection = http.serve_connection(TokioIo::new(accepted.socket), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        _served = connection.as_mut() => return,
        () = permit.dropped() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _served = timeout(limits.request_timeout, connection).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::*;
    use crate::net::{Address, Socket, dial};

    const LIMITS: HttpLimits = HttpLimits { connections: 2, request_timeout: Duration::from_secs(5) };

    async fn start() -> (Address, CancellationToken, JoinHandle<()>) {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address().unwrap();
        let slow = get(|| async {
            sleep(Duration::from_millis(300)).await;
            "slow"
        });
        let router = Router::new().route("/", get(|| async { "quick" })).route("/slow", slow);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve_http(listener, router, LIMITS, stop.clone()));
        (address, stop, serving)
    }

    async fn connect(address: &Address) -> Socket {
        dial(address, Duration::from_secs(5)).await.unwrap()
    }

    async fn request(socket: &mut Socket, path: &str) {
        socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    }

    async fn rest(socket: &mut Socket) -> String {
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_stop_answers_the_request_under_way_and_closes_idle_connections() {
        let (address, stop, serving) = start().await;
        let (mut busy, mut idle) = (connect(&address).await, connect(&address).await);
        request(&mut busy, "/slow").await;
        request(&mut idle, "/").await;
        idle.read_exact(&mut [0; 12]).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        stop.cancel();
        assert!(rest(&mut busy).await.ends_with("slow"));
        assert!(rest(&mut idle).await.ends_with("quick"));
        timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
        assert!(dial(&address, Duration::from_secs(1)).await.is_err(), "the listener is closed");
    }

    #[tokio::test]
    async fn one_connection_too_many_closes_the_oldest() {
        let (address, _stop, _serving) = start().await;
        let mut first = connect(&address).await;
        request(&mut first, "/").await;
        first.read_exact(&mut [0; 12]).await.unwrap();
        let mut others = Vec::new();
        for _ in 0..LIMITS.connections {
            let mut other = connect(&address).await;
            request(&mut other, "/").await;
            other.read_exact(&mut [0; 12]).await.unwrap();
            others.push(other);
        }
        assert!(rest(&mut first).await.ends_with("quick"), "it is closed after its answer");
    }
}
