//! A thread and a runtime for an admin listener alone, so that it answers while all others are busy.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::net::{Address, Listener};

/// Binds on a separate thread and serves there. Returns where it listens, and a future that ends with the service; it
/// panics where that panicked.
pub(super) async fn serve<S>(
    bind: impl Future<Output = io::Result<Listener>> + Send + 'static,
    service: impl FnOnce(Listener) -> S + Send + 'static,
) -> io::Result<(Address, impl Future<Output = ()> + Send + 'static)>
where
    S: Future<Output = ()>,
{
    let (bound, binding) = oneshot::channel();
    let (done, ended) = oneshot::channel::<()>();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("admin".into()).spawn(move || {
        runtime.block_on(async move {
            let listener = bind.await.map(Listener::with_reserve);
            let listener = match listener.and_then(|listener| Ok((listener.address()?, listener))) {
                Ok((address, listener)) => {
                    let _waiting = bound.send(Ok(address));
                    listener
                }
                Err(error) => {
                    let _waiting = bound.send(Err(error));
                    return;
                }
            };
            service(listener).await;
            let _waiting = done.send(());
        });
    })?;
    let address = binding.await.map_err(io::Error::other)??;
    let service = async move {
        // Without a word the sender is dropped by a panic only; the supervisor ends the process after one.
        assert!(ended.await.is_ok(), "its thread panicked");
    };
    Ok((address, service))
}
