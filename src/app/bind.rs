//! Binds listeners. An error has the cause and the setting to change.

use std::io;

use tracing::info;

use crate::net::{Address, Listener};
use crate::process::CommandError;

/// Binds a listener and logs its address, `purpose` being the message. The address has the real port.
pub(super) async fn listen(
    address: &Address,
    purpose: &str,
    remedy: &str,
) -> Result<(Listener, Address), CommandError> {
    let (listener, bound) = bind(address, remedy).await?;
    info!(address = %bound, "{purpose}");
    Ok((listener, bound))
}

/// Binds a listener. The address has the real port. `remedy` ends the error: what to change for another address.
pub(super) async fn bind(address: &Address, remedy: &str) -> Result<(Listener, Address), CommandError> {
    let failed =
        |error| CommandError::Runtime(format!("cannot listen on {address}: {}", explained(&error, remedy)));
    let listener = Listener::bind(address).await.map_err(failed)?;
    let bound = listener.address().map_err(failed)?;
    Ok((listener, bound))
}

/// The error of a listener with its cause and what to do.
pub(super) fn explained(error: &io::Error, remedy: &str) -> String {
    let cause = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; stop it, or",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address;",
        io::ErrorKind::PermissionDenied => "a port below 1024, or that directory, needs a privilege;",
        _ => return error.to_string(),
    };
    format!("{error}: {cause} {remedy}")
}
