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
use super::fault::{Cure, Fault};
use super::open::open;
use super::pods::{candidates, diagnose, labels};
use super::{Clocks, meter};
use crate::catalog::PortForward;
use crate::catalog::{Boxed, Dial};
use crate::net::Socket;

type Opened = Channel<TokioIo<Upgraded>>;

/// Opens streams to the pods of an upstream proxy. Nothing is read, asked or started before the first of them.
pub struct Tunnel {
    settings: PortForward,
    clocks: Clocks,
    cluster: Cluster,
    turn: AtomicUsize,
}

impl Tunnel {
    /// A tunnel that has not been used yet.
    #[must_use]
    pub fn new(settings: PortForward) -> Self {
        Self::with_clocks(settings, Clocks::default())
    }

    /// The same with other times to wait.
    #[must_use]
    pub fn with_clocks(settings: PortForward, clocks: Clocks) -> Self {
        let cluster = Cluster::new(settings.clone(), clocks.renewal);
        Self { settings, clocks, cluster, turn: AtomicUsize::new(0) }
    }

    /// The same, with TLS inside that verifies who answers: then it does not matter whether the cluster is verified, of
    /// which a warning speaks otherwise.
    #[must_use]
    pub fn verified_inside(self) -> Self {
        self.cluster.be_quiet();
        self
    }

    async fn open(&self, limit: Duration) -> Result<Opened, Fault> {
        let clocks = self.clocks.within(limit);
        let mut last = None;
        let opened = timeout(limit, self.keep_trying(&clocks, &mut last)).await;
        opened.unwrap_or_else(|_| Err(last.unwrap_or(Fault::Slow { after: limit })))
    }

    /// Tries until it works or there is no hope or no time left. `last` is what went wrong before the present try.
    async fn keep_trying(&self, clocks: &Clocks, last: &mut Option<Fault>) -> Result<Opened, Fault> {
        let start = Instant::now();
        let mut second_chance = true;
        loop {
            let access = self.cluster.access(clocks).await?;
            let fault = match self.attempt(&access, clocks).await {
                Ok(channel) => return Ok(channel),
                Err(fault) => fault,
            };
            debug!(%fault, "no stream to a pod");
            match fault.cure() {
                Cure::None => return Err(fault),
                Cure::Again | Cure::Renew => {
                    if !std::mem::take(&mut second_chance) {
                        return Err(fault);
                    }
                    if fault.cure() == Cure::Renew {
                        self.cluster.forget(&access).await;
                    }
                    *last = Some(fault);
                    continue;
                }
                Cure::Wait if start.elapsed() + clocks.pause > clocks.wait_for_pod => return Err(fault),
                Cure::Wait => {}
            }
            *last = Some(fault);
            sleep(clocks.pause).await;
        }
    }

    /// One look at the pods, and one try of each.
    async fn attempt(&self, access: &Access, clocks: &Clocks) -> Result<Opened, Fault> {
        let labels = labels(access, &self.settings.pods, clocks).await?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let found = candidates(access, &labels, turn, clocks).await?;
        let mut last = None;
        for pod in &found {
            match open(access, pod, self.settings.remote_port, clocks).await {
                Ok(channel) => {
                    debug!(pod, namespace = access.namespace, "a stream to a pod is open");
                    return Ok(channel);
                }
                Err(fault) if fault.is_of_one_pod() => last = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        match last {
            Some(fault) => Err(fault),
            None => Err(diagnose(access, &labels, clocks).await),
        }
    }
}

impl Dial for Tunnel {
    fn dial(&self, limit: Duration) -> Boxed<'_, io::Result<Socket>> {
        Box::pin(async move {
            let began = Instant::now();
            let channel = self.open(limit).await.inspect_err(|fault| meter::failed(fault.outcome()))?;
            meter::opened(began.elapsed());
            Ok(Socket::Tunnel(Box::new(channel)))
        })
    }
}
