//! The running pods, kept up to date by a watch, so that a connection needs no list.
//!
//! A watch begins after the list of a connection and ends after [`WATCH_TIME`]. It continues only if a connection has used it
//! since, so an idle client sends nothing and runs no credential plugin.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{WatchEvent, WatchParams};
use kube::{Api, Error};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info};

use super::cluster::Access;
use super::pods::{PodList, RUNNING, is_ready, is_staying, record};

/// How long the API server keeps one watch open.
const WATCH_TIME: Duration = Duration::from_mins(3);

/// A watch that ends sooner is not continued: something on the path cuts it off.
const SHORT: Duration = Duration::from_secs(2);

/// For the beginning of a watch. A proxy that collects whole responses never begins one.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The watch of a tunnel: none, or one.
#[derive(Default)]
pub(super) struct PodWatch {
    current: Mutex<Option<Current>>,
    refusal: Arc<Refusal>,
}

struct Current {
    access: Weak<Access>,
    known: Arc<Mutex<Known>>,
    task: AbortOnDropHandle<()>,
}

/// What a watch knows.
#[derive(Default)]
struct Known {
    /// The running pods by their names. Absent before the watch has begun and after it ended.
    pods: Option<BTreeMap<String, Pod>>,
    /// Whether a connection has used them since the API server last began the watch.
    used: bool,
}

/// A role without the verb `watch`.
#[derive(Default)]
struct Refusal {
    /// The client whose watch was refused.
    of: Mutex<Weak<Access>>,
    /// Whether it has been logged.
    logged: AtomicBool,
}

impl PodWatch {
    /// The running pods, where a watch with this client knows a ready one.
    pub(super) fn pods(&self, access: &Arc<Access>) -> Option<Vec<Pod>> {
        let current = self.current.lock();
        let mut known = current.as_ref().filter(|current| current.is_of(access))?.known.lock();
        let pods: Vec<_> = known.pods.as_ref()?.values().cloned().collect();
        known.used = true;
        pods.iter().any(|pod| is_staying(pod) && is_ready(pod)).then_some(pods)
    }

    /// Watches the pods from this list on, unless another watch with this client is about to begin.
    pub(super) fn follow(&self, access: &Arc<Access>, labels: &str, list: &PodList) {
        let Some(version) = list.version.clone() else { return };
        if Weak::ptr_eq(&self.refusal.of.lock(), &Arc::downgrade(access)) {
            return;
        }
        let mut current = self.current.lock();
        if current.as_ref().is_some_and(|current| current.is_of(access) && current.is_beginning()) {
            return;
        }
        let known = Arc::<Mutex<Known>>::default();
        let watch = Watch {
            api: Api::namespaced(access.client.clone(), &access.namespace),
            params: WatchParams::default().labels(labels).fields(RUNNING).timeout(seconds(WATCH_TIME)),
            version,
            pods: by_name(&list.pods),
            known: Arc::clone(&known),
        };
        let (refusal, access) = (Arc::clone(&self.refusal), Arc::downgrade(access));
        let refused = Weak::clone(&access);
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            if watch.run().await == Ended::Forbidden {
                refusal.note(refused);
            }
        }));
        *current = Some(Current { access, known, task });
    }

    /// Ends the watch: a connection found out that its pods are out of date.
    pub(super) fn forget(&self) {
        *self.current.lock() = None;
    }
}

impl Current {
    fn is_of(&self, access: &Arc<Access>) -> bool {
        Weak::ptr_eq(&self.access, &Arc::downgrade(access))
    }

    fn is_beginning(&self) -> bool {
        !self.task.is_finished() && self.known.lock().pods.is_none()
    }
}

impl Refusal {
    fn note(&self, access: Weak<Access>) {
        *self.of.lock() = access;
        if !self.logged.swap(true, Ordering::Relaxed) {
            info!(
                "the role in the cluster has no verb \"watch\" on pods, so each connection through the tunnel lists the pods \
                 first; with the verb, connections open faster"
            );
        }
    }
}

/// Why a watch ended.
#[derive(PartialEq, Eq)]
enum Ended {
    Forbidden,
    /// The next list begins another one.
    Over,
}

struct Watch {
    api: Api<Pod>,
    params: WatchParams,
    /// The resource version of the last event.
    version: String,
    /// The pods of the list, until the watch has begun.
    pods: BTreeMap<String, Pod>,
    known: Arc<Mutex<Known>>,
}

impl Watch {
    async fn run(mut self) -> Ended {
        loop {
            let began = Instant::now();
            let followed = self.follow().await;
            let continues = {
                let mut known = self.known.lock();
                let continues = followed.is_ok() && known.used && began.elapsed() > SHORT;
                if !continues {
                    known.pods = None;
                }
                known.used = false;
                continues
            };
            match followed {
                Ok(()) if continues => {}
                Ok(()) => return Ended::Over,
                Err(Error::Api(status)) if status.code == 403 => return Ended::Forbidden,
                Err(error) => {
                    debug!(%error, "the watch of the pods ended");
                    return Ended::Over;
                }
            }
        }
    }

    /// Follows the events until the API server ends the watch.
    async fn follow(&mut self) -> Result<(), Error> {
        let beginning = self.api.watch(&self.params, &self.version);
        let Ok(events) = timeout(BEGIN_TIMEOUT, beginning).await else { return Ok(()) };
        let mut events = std::pin::pin!(events?);
        let listed = std::mem::take(&mut self.pods);
        self.known.lock().pods.get_or_insert(listed);
        while let Some(event) = events.try_next().await? {
            self.handle(event)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: WatchEvent<Pod>) -> Result<(), Error> {
        let (pod, exists) = match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, true),
            WatchEvent::Deleted(pod) => (pod, false),
            WatchEvent::Bookmark(bookmark) => {
                self.version = bookmark.metadata.resource_version;
                return Ok(());
            }
            // Usually 410: the API server no longer has the events since this version.
            WatchEvent::Error(status) => return Err(Error::Api(status)),
        };
        if let Some(version) = &pod.metadata.resource_version {
            self.version.clone_from(version);
        }
        let mut known = self.known.lock();
        if let (Some(pods), Some(name)) = (known.pods.as_mut(), pod.metadata.name.clone()) {
            if exists {
                pods.insert(name, pod)
            } else {
                pods.remove(&name)
            };
            record(pods.values());
        }
        Ok(())
    }
}

fn by_name(pods: &[Pod]) -> BTreeMap<String, Pod> {
    pods.iter().filter_map(|pod| Some((pod.metadata.name.clone()?, pod.clone()))).collect()
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
