//! The tunnel: opens streams to pods, with retries.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::channel::Channel;
use super::cluster::{Access, Cluster};
use super::error::{Retry, TunnelError};
use super::kubeconfig::has_plugin;
use super::metrics;
use super::open::open;
use super::pods::{Candidate, candidates, diagnose, label_selector, list};
use super::spare::Spare;
use super::timeouts::Timeouts;
use super::watch::PodWatch;
use crate::catalog::{Boxed, Dial, LateRefusal, PortForward, TunnelStream};
use crate::net::Socket;

/// How long a check waits for a pod that refuses its stream after it was opened.
const LATE: Duration = Duration::from_secs(1);

type PodStream = Channel<TokioIo<Upgraded>>;

/// Opens streams to the pods of an upstream proxy. It reads no file and sends no request before the first dial or check.
pub struct Tunnel {
    settings: PortForward,
    timeouts: Timeouts,
    cluster: Cluster,
    /// Attempts so far. Each begins with another pod.
    attempts: AtomicUsize,
    watch: PodWatch,
    spare: Spare,
    /// Whether a pod has refused a stream after it was opened, and no connection has been opened since.
    refused_late: Arc<AtomicBool>,
}

impl Tunnel {
    /// A tunnel with the default time limits.
    #[must_use]
    pub fn new(settings: PortForward) -> Self {
        Self::with_timeouts(settings, Timeouts::default())
    }

    /// A tunnel with these time limits.
    #[must_use]
    pub fn with_timeouts(settings: PortForward, timeouts: Timeouts) -> Self {
        let cluster = Cluster::new(settings.clone(), timeouts.renew_after);
        Self {
            settings,
            timeouts,
            cluster,
            attempts: AtomicUsize::new(0),
            watch: PodWatch::default(),
            spare: Spare::default(),
            refused_late: Arc::default(),
        }
    }

    /// The same tunnel for connections that verify the upstream proxy by TLS inside the tunnel. An unverified API server
    /// is harmless then, so the tunnel does not warn of it.
    #[must_use]
    pub fn verified_inside(self) -> Self {
        self.cluster.suppress_warning();
        self
    }

    async fn open(&self, limit: Duration) -> Result<TunnelStream, TunnelError> {
        let mut timeouts = self.timeouts.within(limit);
        if self.refused_late.swap(false, Ordering::Relaxed) {
            // The list may be out of date. The next pod may be as slow to refuse.
            self.watch.forget();
            timeouts.late_refusal = timeouts.late_refusal.max(timeouts.late_refusal_unready);
        }
        let mut last = None;
        let opened = timeout(limit, self.open_with_retries(&timeouts, &mut last)).await;
        opened.unwrap_or_else(|_| Err(last.unwrap_or(TunnelError::Slow { after: limit })))
    }

    /// Attempts until a stream is open, the error is final or `wait_for_pod` is over. `last` is the error of the
    /// attempt before the current one.
    async fn open_with_retries(
        &self,
        timeouts: &Timeouts,
        last: &mut Option<TunnelError>,
    ) -> Result<TunnelStream, TunnelError> {
        let start = Instant::now();
        let (mut retried, mut refused_since) = (false, None);
        loop {
            let access = self.cluster.access(timeouts).await?;
            let error = match self.attempt(&access, timeouts).await {
                Ok(stream) => {
                    self.spare.open(&access);
                    let end = format!("pod {}", stream.pod());
                    return Ok(TunnelStream {
                        end,
                        socket: Socket::Tunnel(Box::new(stream)),
                        verified: access.verified,
                    });
                }
                Err(error) => error,
            };
            debug!(%error, "cannot open a stream to a pod");
            let retry = error.retry();
            match retry {
                Retry::Never => return Err(error),
                Retry::Once | Retry::WithNewCredentials => {
                    if std::mem::replace(&mut retried, true) {
                        return Err(error);
                    }
                    if retry == Retry::WithNewCredentials {
                        self.cluster.forget(&access);
                    }
                    *last = Some(error);
                }
                Retry::Briefly | Retry::WithNextPod | Retry::AfterPause => {
                    let (since, wait) = if retry == Retry::Briefly {
                        (*refused_since.get_or_insert_with(Instant::now), timeouts.wait_for_right)
                    } else {
                        (start, timeouts.wait_for_pod)
                    };
                    if since.elapsed() + timeouts.retry_interval > wait {
                        return Err(error);
                    }
                    *last = Some(error);
                    sleep(timeouts.retry_interval).await;
                }
            }
        }
    }

    /// Tries each of the watched pods once; where there is no watch or none of them works, lists the pods and tries those.
    async fn attempt(&self, access: &Arc<Access>, timeouts: &Timeouts) -> Result<PodStream, TunnelError> {
        let first = self.attempts.fetch_add(1, Ordering::Relaxed);
        if let Some(pods) = self.watch.pods(access) {
            match self.try_each(access, &candidates(pods, first), timeouts).await {
                Ok(stream) => return Ok(stream),
                Err(None) => {}
                Err(Some(error)) if error.retry() == Retry::WithNextPod => {}
                Err(Some(error)) => return Err(error),
            }
            self.watch.forget();
        }
        let labels = label_selector(access, &self.settings.pods, timeouts).await?;
        let list = list(access, &labels, timeouts).await?;
        self.watch.follow(access, &labels, &list);
        match self.try_each(access, &candidates(list.pods, first), timeouts).await {
            Ok(stream) => Ok(stream),
            Err(Some(error)) => Err(error),
            Err(None) => Err(diagnose(access, &labels, timeouts).await),
        }
    }

    /// Opens a stream to the first pod that works. The error is that of the last ready pod, or one that is not about a pod.
    async fn try_each(
        &self,
        access: &Access,
        pods: &[Candidate],
        timeouts: &Timeouts,
    ) -> Result<PodStream, Option<TunnelError>> {
        let mut last = None;
        for pod in pods {
            let unready = if pod.ready { Duration::ZERO } else { timeouts.late_refusal_unready };
            let late_refusal = timeouts.late_refusal.max(unready);
            let timeouts = Timeouts { late_refusal, ..*timeouts };
            match open(access, &pod.name, self.settings.remote_port, &timeouts).await {
                Ok(mut stream) => {
                    stream.report_late_refusal(Arc::clone(&self.refused_late));
                    debug!(pod = pod.name, namespace = access.namespace, "opened a stream to a pod");
                    return Ok(stream);
                }
                Err(error) if error.retry() == Retry::WithNextPod => {
                    debug!(%error, "trying the next pod");
                    // Of a pod that is not ready the states say more than its refusal.
                    last = pod.ready.then_some(error).or(last);
                }
                Err(error) => return Err(Some(error)),
            }
        }
        Err(last)
    }
}

impl Dial for Tunnel {
    fn dial(&self, limit: Duration) -> Boxed<'_, io::Result<TunnelStream>> {
        Box::pin(async move {
            let start = Instant::now();
            let opened = self.open(limit).await;
            let stream = opened.inspect_err(|error| metrics::count_failed_dial(error.outcome()))?;
            metrics::count_dial(start.elapsed());
            Ok(stream)
        })
    }

    fn check(&self, limit: Duration) -> Boxed<'_, Option<io::Error>> {
        Box::pin(async move {
            let settings = self.settings.clone();
            let may_need_person = spawn_blocking(move || has_plugin(&settings)).await.unwrap_or(true);
            // A connection reports its error itself.
            if may_need_person || self.attempts.load(Ordering::Relaxed) > 0 {
                return None;
            }
            match self.open(limit).await {
                Ok(stream) => late_refusal(stream.socket).await,
                Err(error) => Some(error.into()),
            }
        })
    }
}

/// The error of a pod that refuses the stream now. A server waits for the first byte.
async fn late_refusal(mut stream: Socket) -> Option<io::Error> {
    let read = timeout(LATE, stream.read_u8()).await;
    read.ok()?.err().filter(LateRefusal::is_in)
}
