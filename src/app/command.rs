//! A command that a client runs: it connects through a private socket, and the client ends with it.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitStatus;

use tokio::process::{Child, Command};
use tracing::warn;

use super::private_address::PrivateAddress;
use crate::net::Address;
use crate::process::{CommandError, Forwarded};

/// Variables of libpq that lead elsewhere, or that ask for what a socket of this client does not have (PostgreSQL manual, "libpq",
/// "Environment Variables"), and those with the password of this program.
const REMOVED: [&str; 11] = [
    "PGHOSTADDR",
    "PGPASSWORD",
    "PGSERVICE",
    "PGCHANNELBINDING",
    "PGREQUIREAUTH",
    "PGREQUIRESSL",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGGSSENCMODE",
    "RDS_AUTH_PROXY_PASSWORD",
    "RDS_AUTH_PROXY_PASSWORD_FILE",
];

/// Exit codes of a shell for a command that cannot be started (POSIX, "Shell Command Language", 2.8.2).
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// What a shell adds to the number of the signal that ended a command.
const BY_SIGNAL: i32 = 128;

/// A command and what it connects with.
pub(crate) struct Wrapped {
    /// The program and its arguments.
    words: Vec<OsString>,
    user: Option<String>,
    database: Option<String>,
    /// Its files are removed when this is dropped.
    _address: PrivateAddress,
}

impl Wrapped {
    /// The program and its arguments, with this database user and database, for a client that listens at this address.
    pub(crate) fn new(
        words: Vec<OsString>,
        user: Option<String>,
        database: Option<String>,
        address: PrivateAddress,
    ) -> Self {
        Self { words, user, database, _address: address }
    }

    /// Starts the command on the terminal of this process, as a member of its process group.
    pub(super) fn start(&self, listen: &Address) -> Result<Child, CommandError> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err(CommandError::usage("there is no command behind `--`"));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        for name in REMOVED {
            command.env_remove(name);
        }
        let host = match listen {
            Address::Tcp(address) => OsStr::new(address.reachable_host()),
            Address::Unix(path) => path.parent().map(Path::as_os_str).unwrap_or_default(),
        };
        let port = listen.port().map(|port| port.to_string()).unwrap_or_default();
        command.env("PGHOST", host).env("PGPORT", port).env("PGSSLMODE", "disable");
        if let Some(user) = &self.user {
            command.env("PGUSER", user);
        }
        if let Some(database) = &self.database {
            command.env("PGDATABASE", database);
        }
        command.kill_on_drop(true).spawn().map_err(|error| {
            let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
            let program = program.to_string_lossy();
            CommandError::command(format_args!("the command {program} cannot be started: {error}"), code)
        })
    }
}

/// Waits until the command ends, and passes the signals on that this process receives. The status is an error, unless it is 0: the
/// process ends with it.
pub(super) async fn wait(mut command: Child, mut signals: Forwarded) -> Result<(), CommandError> {
    loop {
        tokio::select! {
            ended = command.wait() => {
                let status = ended.map_err(CommandError::runtime)?;
                return match code(status) {
                    0 => Ok(()),
                    code => Err(CommandError::Command(String::new(), code)),
                };
            }
            signal = signals.next() => {
                if let Err(error) = signals.forward(signal, command.id()) {
                    warn!(%error, "a signal could not be passed on to the command");
                }
            }
        }
    }
}

/// The exit code that a shell reports for this status.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let by_signal = None;
    let code = status.code().or_else(|| by_signal.map(|signal: i32| BY_SIGNAL + signal)).unwrap_or(1);
    // Windows has larger codes; none may count as success.
    u8::try_from(code).unwrap_or(u8::MAX)
}
