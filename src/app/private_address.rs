//! An address that only this user can reach, for a command.

use std::io;

use crate::net::Address;
use crate::process::CommandError;

/// The address of a listener for one command. Its directory is removed when it is dropped, after the listener.
pub(crate) struct PrivateAddress {
    address: Address,
    #[cfg(unix)]
    directory: std::path::PathBuf,
}

impl PrivateAddress {
    /// A socket in a new directory that only this user can enter; where there are no Unix sockets, a free loopback port.
    pub(crate) fn new() -> Result<Self, CommandError> {
        Self::create().map_err(|error| {
            CommandError::runtime(format_args!(
                "the socket for the command needs a private directory in {}, which cannot be made: {error}; set TMPDIR to \
                 another one",
                std::env::temp_dir().display()
            ))
        })
    }

    /// Where to listen.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    #[cfg(unix)]
    fn create() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;

        use crate::net::SOCKET_PREFIX;

        /// Any port: nothing else is in the directory.
        const PORT: u16 = 5432;

        /// How often a random name may be taken.
        const ATTEMPTS: usize = 100;

        let mut taken = io::ErrorKind::AlreadyExists.into();
        for _ in 0..ATTEMPTS {
            let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
            let directory = std::env::temp_dir().join(format!("rds-auth-proxy-{random}"));
            match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => {
                    let socket = directory.join(format!("{SOCKET_PREFIX}{PORT}"));
                    return Ok(Self { address: Address::Unix(socket), directory });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    #[cfg(not(unix))]
    fn create() -> io::Result<Self> {
        Ok(Self { address: Address::Tcp(crate::net::HostPort::new("127.0.0.1", 0)) })
    }
}

#[cfg(unix)]
impl Drop for PrivateAddress {
    fn drop(&mut self) {
        // A directory that somebody else removed is no problem.
        let _removed = std::fs::remove_dir(&self.directory);
    }
}
