//! Signals that a command receives in place of this process.

#[cfg(unix)]
pub(crate) use unix::Forwarded;
#[cfg(windows)]
pub(crate) use windows::Forwarded;

#[cfg(unix)]
mod unix {
    use std::io;

    use rustix::process::{Pid, Signal, kill_process};
    use tokio::signal::unix::{SignalKind, signal};

    /// The signals that end programs. While this exists they do not end this process.
    pub(crate) struct Forwarded {
        hangup: tokio::signal::unix::Signal,
        interrupt: tokio::signal::unix::Signal,
        quit: tokio::signal::unix::Signal,
        terminate: tokio::signal::unix::Signal,
        /// A terminal sends its signals to the command too, which is in the same process group.
        by_terminal: bool,
    }

    impl Forwarded {
        /// Receives them from now on.
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self {
                hangup: signal(SignalKind::hangup())?,
                interrupt: signal(SignalKind::interrupt())?,
                quit: signal(SignalKind::quit())?,
                terminate: signal(SignalKind::terminate())?,
                by_terminal: std::fs::File::open("/dev/tty").is_ok(),
            })
        }

        /// Waits for the next one.
        pub(crate) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.hangup.recv() => Signal::HUP,
                _ = self.interrupt.recv() => Signal::INT,
                _ = self.quit.recv() => Signal::QUIT,
                _ = self.terminate.recv() => Signal::TERM,
            }
        }

        /// Sends this signal to the process, unless the terminal has done it.
        pub(crate) fn forward(&self, signal: Signal, process: Option<u32>) -> io::Result<()> {
            let sent = self.by_terminal && (signal == Signal::INT || signal == Signal::QUIT);
            let process = process.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            match process.filter(|_| !sent) {
                Some(process) => Ok(kill_process(process, signal)?),
                None => Ok(()),
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;

    /// A console sends its events to the command too.
    pub(crate) struct Forwarded;

    impl Forwarded {
        /// Does nothing.
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Never returns.
        pub(crate) async fn next(&mut self) {
            std::future::pending().await
        }

        /// Does nothing.
        pub(crate) fn forward(&self, _signal: (), _process: Option<u32>) -> io::Result<()> {
            Ok(())
        }
    }
}
