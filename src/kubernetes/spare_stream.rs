//! A stream that is opened in advance: where connections follow each other, the next one does not wait for the API server and the kubelet.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::cluster::Access;
use super::pod_dialer::{PodDialer, PodStream};
use super::timeouts::Timeouts;

/// How long a connection waits for a stream that is being opened. After that it opens another: this one may never be open.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// At most one stream without a connection.
#[derive(Default)]
pub(super) struct SpareStream {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When a connection last got a stream.
    last: Option<Instant>,
    kept: Option<Kept>,
}

/// A task that opens a stream and keeps it.
struct Kept {
    access: Arc<Access>,
    /// Takes the stream.
    request: oneshot::Sender<oneshot::Sender<PodStream>>,
    task: AbortOnDropHandle<()>,
}

impl SpareStream {
    /// Records that a connection has a stream. If the one before got its stream within `spare_stream`, opens the next in the
    /// background, and closes it after the same time. The API server logs each stream, so a single connection opens no second one.
    pub(super) fn open_if_busy(&self, dialer: &Arc<PodDialer>, access: &Arc<Access>, timeouts: &Timeouts) {
        let (now, keep) = (Instant::now(), timeouts.spare_stream);
        let mut state = self.state.lock();
        let last = state.last.replace(now);
        let is_busy = last.is_some_and(|last| now.duration_since(last) < keep);
        if !is_busy || state.kept.as_ref().is_some_and(|kept| !kept.task.is_finished()) {
            return;
        }
        let (request, requested) = oneshot::channel();
        let (dialer, timeouts, used) = (Arc::clone(dialer), *timeouts, Arc::clone(access));
        let opening = async move {
            timeout(timeouts.answer, dialer.attempt_watched(&used, &timeouts)).await.ok().flatten()
        };
        let task = AbortOnDropHandle::new(tokio::spawn(keep_stream(opening, requested, keep)));
        state.kept = Some(Kept { access: Arc::clone(access), request, task });
    }

    /// The stream, once it is open. None if there is none, if its pod has ended it, if it was opened with another identity, or if it
    /// takes longer than a second to open.
    pub(super) async fn take(&self, access: &Arc<Access>) -> Option<PodStream> {
        let kept = self.state.lock().kept.take().filter(|kept| Arc::ptr_eq(&kept.access, access))?;
        let (reply, stream) = oneshot::channel();
        kept.request.send(reply).ok()?;
        timeout(LONGEST_WAIT, stream).await.ok()?.ok()
    }

    /// Closes the stream.
    pub(super) fn forget(&self) {
        self.state.lock().kept = None;
    }
}

/// Opens a stream and keeps it for `keep`. A pod that refuses or ends it meanwhile, or that sends first, ends it.
async fn keep_stream(
    opening: impl Future<Output = Option<PodStream>>,
    requested: oneshot::Receiver<oneshot::Sender<PodStream>>,
    keep: Duration,
) {
    let Some(mut stream) = opening.await else { return };
    let request = tokio::select! {
        biased;
        _ = stream.await_refusal(keep) => return,
        request = requested => request,
    };
    if let Ok(reply) = request {
        // The connection may be gone.
        drop(reply.send(stream));
    }
}
