//! The last file descriptors of the process, kept free of connections: the admin listener, the log and reloads need some while
//! connections have used up all others.

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};

/// How many connections leave free, and at most a quarter of all.
#[cfg(unix)]
const RESERVE: u64 = 32;

/// Fails where a connection would take one of the last descriptors. The system gives the lowest free number to the next one
/// (POSIX, "File Descriptor Allocation"), so that of a copy shows how many are in use.
#[cfg(unix)]
pub(super) fn check(socket: &impl AsFd) -> io::Result<()> {
    use rustix::io::Errno;
    use rustix::process::{Resource, getrlimit};

    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let copy = socket.as_fd().try_clone_to_owned()?;
    let last = limit - RESERVE.min(limit / 4);
    match u64::try_from(copy.as_raw_fd()) {
        Ok(number) if number >= last => Err(Errno::MFILE.into()),
        _ => Ok(()),
    }
}

/// Handles of Windows have no such limit.
#[cfg(not(unix))]
pub(super) fn check<S>(_socket: &S) -> io::Result<()> {
    Ok(())
}
