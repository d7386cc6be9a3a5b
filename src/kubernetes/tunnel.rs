//! The tunnel: opens streams to pods, with retries.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::cluster::{Access, Cluster};
use super::error::{Retry, TunnelError};
use super::kubeconfig::has_plugin;
use super::metrics;
use super::pod_dialer::{PodDialer, PodStream};
use super::spare::Spare;
use super::spare_stream::SpareStream;
use super::timeouts::Timeouts;
use crate::catalog::{Boxed, Dial, LateRefusal, PortForward, TunnelStream};
use crate::net::Socket;

/// How long a check waits for a pod that refuses its stream after it was opened.
const LATE: Duration = Duration::from_secs(1);

/// Opens streams to the pods of an upstream proxy. It reads no file and sends no request before the first dial or check.
pub struct Tunnel {
    pub(super) settings: PortForward,
    pub(super) timeouts: Timeouts,
    pub(super) cluster: Cluster,
    dialer: Arc<PodDialer>,
    spare: Spare,
    spare_stream: SpareStream,
    /// Whether the last attempt to open a stream succeeded.
    last_opened: Mutex<Option<bool>>,
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
        Self {
            cluster: Cluster::new(settings.clone(), timeouts.renew_after),
            dialer: Arc::new(PodDialer::new(settings.pods.clone(), settings.remote_port)),
            settings,
            timeouts,
            spare: Spare::default(),
            spare_stream: SpareStream::default(),
            last_opened: Mutex::default(),
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
        if self.dialer.was_refused_late() {
            // The next pod may be as slow to refuse.
            self.spare_stream.forget();
            timeouts.late_refusal = timeouts.late_refusal.max(timeouts.late_refusal_unready);
        }
        let mut last = None;
        let opened = timeout(limit, self.open_with_retries(&timeouts, &mut last)).await;
        let opened = opened.unwrap_or_else(|_| Err(last.unwrap_or(TunnelError::Slow { after: limit })));
        *self.last_opened.lock() = Some(opened.is_ok());
        opened
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
                    self.spare_stream.open_if_busy(&self.dialer, &access, &self.timeouts);
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

    /// The stream that was opened in advance, or a new one.
    async fn attempt(&self, access: &Arc<Access>, timeouts: &Timeouts) -> Result<PodStream, TunnelError> {
        match self.spare_stream.take(access).await {
            Some(stream) => Ok(stream),
            None => self.dialer.attempt(access, timeouts).await,
        }
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
            if may_need_person || !self.dialer.is_unused() {
                return None;
            }
            match self.open(limit).await {
                Ok(stream) => late_refusal(stream.socket).await,
                Err(error) => Some(error.into()),
            }
        })
    }

    fn is_open(&self) -> Option<bool> {
        *self.last_opened.lock()
    }
}

/// The error of a pod that refuses the stream now. A server waits for the first byte.
async fn late_refusal(mut stream: Socket) -> Option<io::Error> {
    let read = timeout(LATE, stream.read_u8()).await;
    read.ok()?.err().filter(LateRefusal::is_in)
}
