//! Runs a mode from its start to its end.

use super::command::{self, Wrapped};
use super::status::Status;
use super::supervise::Supervisor;
use crate::catalog::Boxed;
use crate::config::Stop;
use crate::net::Address;
use crate::process::last_line::StatusLine;
use crate::process::logging::{self, Format, Log};
use crate::process::{CommandError, Forwarded, Signals, harden, panic_hook, runtime, stop, systemd};
use crate::shutdown::Shutdown;

/// A mode that is ready to serve.
pub(crate) struct Prepared {
    /// Serves connections until the proxy drains, and returns when the last session has ended.
    pub(super) serving: Boxed<'static, ()>,
    /// Where it listens, with the real port.
    pub(crate) address: Address,
    pub(super) stop: Stop,
    pub(super) shutdown: Shutdown,
    pub(super) supervisor: Supervisor,
    /// The command that the client runs; without one, it serves until a signal.
    pub(crate) command: Option<Wrapped>,
    /// For the last line of the terminal; absent for a server.
    pub(super) status: Option<Status>,
}

/// Starts logging in this format, prepares a mode and runs it to its end. `early` is the outcome where a signal comes before
/// the mode is prepared.
pub(crate) fn run<P>(
    format: Format,
    early: Result<(), CommandError>,
    prepare: impl FnOnce(Log) -> P,
) -> Result<(), CommandError>
where
    P: Future<Output = Result<Prepared, CommandError>>,
{
    let log = logging::start(format)?;
    panic_hook::install();
    harden();
    let outcome = runtime::run(serve_until_signal(early, prepare(log.clone())));
    log.flush();
    outcome
}

/// Serves until a signal, and then until the last session has ended. A signal during the preparation ends it at once. A
/// task that cannot start again ends all sessions and is the error.
async fn serve_until_signal(
    early: Result<(), CommandError>,
    preparation: impl Future<Output = Result<Prepared, CommandError>>,
) -> Result<(), CommandError> {
    let mut signals = Signals::new().map_err(|error| unreceivable(&error))?;
    let prepared = tokio::select! {
        prepared = preparation => prepared?,
        () = signals.next() => return early,
    };
    let Prepared { mut serving, address, stop, shutdown, mut supervisor, command, status } = prepared;
    // A command has the terminal.
    let _line =
        status.filter(|_| command.is_none()).and_then(|mut status| StatusLine::start(move || status.line()));
    systemd::notify_ready();
    if let Some(limit) = systemd::watchdog_limit() {
        supervisor
            .restart_on_panic("systemd watchdog", limit, |limit| Box::pin(systemd::ping_watchdog(*limit)));
    }
    let outcome = tokio::select! {
        () = &mut serving => {
            supervisor.end().await;
            return Ok(());
        }
        outcome = until_end(command.as_ref(), &address, &mut signals, stop, &shutdown) => outcome,
        error = supervisor.failed() => Err(error),
    };
    shutdown.end();
    serving.await;
    supervisor.end().await;
    outcome
}

/// Waits for the end of the command, or for a signal and the time that sessions have after it.
async fn until_end(
    command: Option<&Wrapped>,
    address: &Address,
    signals: &mut Signals,
    stop: Stop,
    shutdown: &Shutdown,
) -> Result<(), CommandError> {
    let Some(wrapped) = command else {
        stop::on_signal(signals, stop, shutdown).await;
        return Ok(());
    };
    let forwarded = Forwarded::new().map_err(|error| unreceivable(&error))?;
    command::wait(wrapped.start(address)?, forwarded).await
}

fn unreceivable(error: &std::io::Error) -> CommandError {
    CommandError::Runtime(format!("signals cannot be received: {error}"))
}
