//! The entry: a stream to a pod that is picked at that moment.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::channel::Channel;
use super::cluster::{Access, Cluster};
use super::error::{Retry, TunnelError};
use super::metrics;
use super::open::open;
use super::pods::{candidates, diagnose, labels};
use super::timeouts::Timeouts;
use crate::catalog::PortForward;
use crate::catalog::{Boxed, Dial};
use crate::net::Socket;

type Opened = Channel<TokioIo<Upgraded>>;

/// Opens streams to the pods of an upstream proxy. Nothing is read, asked or started before the first of them.
pub struct Tunnel {
    settings: PortForward,
    timeouts: Timeouts,
    cluster: Cluster,
    turn: AtomicUsize,
}

impl Tunnel {
    /// A tunnel that has not been used yet.
    #[must_use]
    pub fn new(settings: PortForward) -> Self {
        Self::with_timeouts(settings, Timeouts::default())
    }

    /// The same with other times to wait.
    #[must_use]
    pub fn with_timeouts(settings: PortForward, timeouts: Timeouts) -> Self {
        let cluster = Cluster::new(settings.clone(), timeouts.renew_after);
        Self { settings, timeouts, cluster, turn: AtomicUsize::new(0) }
    }

    /// The same, with TLS inside that verifies who answers: then it does not matter whether the cluster is verified, of
    /// which a warning speaks otherwise.
    #[must_use]
    pub fn verified_inside(self) -> Self {
        self.cluster.be_quiet();
        self
    }

    async fn open(&self, limit: Duration) -> Result<Opened, TunnelError> {
        let timeouts = self.timeouts.within(limit);
        let mut last = None;
        let opened = timeout(limit, self.keep_trying(&timeouts, &mut last)).await;
        opened.unwrap_or_else(|_| Err(last.unwrap_or(TunnelError::Slow { after: limit })))
    }

    /// Tries until it works or there is no hope or no time left. `last` is what went wrong before the present try.
    async fn keep_trying(
        &self,
        timeouts: &Timeouts,
        last: &mut Option<TunnelError>,
    ) -> Result<Opened, TunnelError> {
        let start = Instant::now();
        let mut retried = false;
        loop {
            let access = self.cluster.access(timeouts).await?;
            let error = match self.attempt(&access, timeouts).await {
                Ok(channel) => return Ok(channel),
                Err(error) => error,
            };
            debug!(%error, "no stream to a pod");
            let retry = error.retry();
            match retry {
                Retry::Never => return Err(error),
                Retry::Once | Retry::WithNewCredentials => {
                    if std::mem::replace(&mut retried, true) {
                        return Err(error);
                    }
                    if retry == Retry::WithNewCredentials {
                        self.cluster.forget(&access).await;
                    }
                    *last = Some(error);
                }
                Retry::WithNextPod | Retry::AfterPause => {
                    if start.elapsed() + timeouts.retry_interval > timeouts.wait_for_pod {
                        return Err(error);
                    }
                    *last = Some(error);
                    sleep(timeouts.retry_interval).await;
                }
            }
        }
    }

    /// One look at the pods, and one try of each.
    async fn attempt(&self, access: &Access, timeouts: &Timeouts) -> Result<Opened, TunnelError> {
        let labels = labels(access, &self.settings.pods, timeouts).await?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let found = candidates(access, &labels, turn, timeouts).await?;
        let mut last = None;
        for pod in &found {
            match open(access, pod, self.settings.remote_port, timeouts).await {
                Ok(channel) => {
                    debug!(pod, namespace = access.namespace, "a stream to a pod is open");
                    return Ok(channel);
                }
                Err(error) if error.retry() == Retry::WithNextPod => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        match last {
            Some(error) => Err(error),
            None => Err(diagnose(access, &labels, timeouts).await),
        }
    }
}

impl Dial for Tunnel {
    fn dial(&self, limit: Duration) -> Boxed<'_, io::Result<Socket>> {
        Box::pin(async move {
            let began = Instant::now();
            let channel = self.open(limit).await.inspect_err(|error| metrics::failed(error.outcome()))?;
            metrics::opened(began.elapsed());
            Ok(Socket::Tunnel(Box::new(channel)))
        })
    }
}
