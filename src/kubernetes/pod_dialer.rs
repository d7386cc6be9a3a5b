//! One attempt to open a stream: picks pods and tries them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tracing::debug;

use super::channel::Channel;
use super::cluster::Access;
use super::error::{Retry, TunnelError};
use super::open::open;
use super::pods::{Candidate, candidates, diagnose, label_selector, list};
use super::timeouts::Timeouts;
use super::watch::PodWatch;
use crate::catalog::Pods;

/// A stream to a pod.
pub(super) type PodStream = Channel<TokioIo<Upgraded>>;

/// Opens streams to the pods of an upstream proxy, without retries.
pub(super) struct PodDialer {
    pods: Pods,
    remote_port: u16,
    /// Attempts so far. Each begins with another pod.
    attempts: AtomicUsize,
    watch: PodWatch,
    /// Whether a pod has refused a stream after it was opened, and no connection has been opened since.
    refused_late: Arc<AtomicBool>,
}

impl PodDialer {
    pub(super) fn new(pods: Pods, remote_port: u16) -> Self {
        Self {
            pods,
            remote_port,
            attempts: AtomicUsize::new(0),
            watch: PodWatch::default(),
            refused_late: Arc::default(),
        }
    }

    /// Whether no stream was ever attempted.
    pub(super) fn is_unused(&self) -> bool {
        self.attempts.load(Ordering::Relaxed) == 0
    }

    /// Whether a pod has refused an open stream since the last call. The list of the pods may be out of date then.
    pub(super) fn was_refused_late(&self) -> bool {
        let refused = self.refused_late.swap(false, Ordering::Relaxed);
        if refused {
            self.watch.forget();
        }
        refused
    }

    /// Tries each of the watched pods once; where there is no watch or none of them works, lists the pods and tries those.
    pub(super) async fn attempt(
        &self,
        access: &Arc<Access>,
        timeouts: &Timeouts,
    ) -> Result<PodStream, TunnelError> {
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
        let labels = label_selector(access, &self.pods, timeouts).await?;
        let list = list(access, &labels, timeouts).await?;
        self.watch.follow(access, &labels, &list);
        match self.try_each(access, &candidates(list.pods, first), timeouts).await {
            Ok(stream) => Ok(stream),
            Err(Some(error)) => Err(error),
            Err(None) => Err(diagnose(access, &labels, timeouts).await),
        }
    }

    /// Opens a stream to one of the watched pods, or to none where there is no watch.
    pub(super) async fn attempt_watched(
        &self,
        access: &Arc<Access>,
        timeouts: &Timeouts,
    ) -> Option<PodStream> {
        let pods = self.watch.pods(access)?;
        let first = self.attempts.fetch_add(1, Ordering::Relaxed);
        self.try_each(access, &candidates(pods, first), timeouts).await.ok()
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
            match open(access, &pod.name, self.remote_port, &timeouts).await {
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
