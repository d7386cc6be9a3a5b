//! A spare connection to the API server: a websocket takes a connection with it, and the next one should not wait for TCP and TLS.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::cluster::Access;

/// For the request that opens it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Opens spare connections, one at a time. The pool of the HTTP client keeps them.
#[derive(Default)]
pub(super) struct Spare {
    opening: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Spare {
    /// Opens a spare connection in the background. It has no effect if the pool has one.
    pub(super) fn open(&self, access: &Arc<Access>) {
        let mut opening = self.opening.lock();
        if opening.as_ref().is_some_and(|opening| !opening.is_finished()) {
            return;
        }
        let client = access.client.clone();
        *opening = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            // Every user may read it (the role `system:public-info-viewer`), and it costs the API server nothing.
            let Ok(request) = http::Request::get("/version").body(Vec::new()) else { return };
            // Any response leaves a connection behind.
            match timeout(TIMEOUT, client.request_text(request)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => debug!(%error, "cannot open a spare connection to the API server"),
                Err(_) => debug!("the API server did not answer on a spare connection"),
            }
        })));
    }
}
