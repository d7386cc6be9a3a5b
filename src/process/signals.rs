//! The signals that the process reacts to.

#[cfg(unix)]
pub(crate) use unix::{Hangup, Signals};
#[cfg(windows)]
pub(crate) use windows::{Hangup, Signals};

#[cfg(unix)]
mod unix {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// SIGTERM and SIGINT. While this exists they do not kill the process.
    pub(crate) struct Signals {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Signals {
        /// Receives them from now on.
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            })
        }

        /// Waits for the next one.
        pub(crate) async fn next(&mut self) {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        }
    }

    /// SIGHUP. From the moment this exists it does not kill the process.
    pub(crate) struct Hangup(Option<Signal>);

    impl Hangup {
        /// Receives it from now on, where the system lets us.
        pub(crate) fn new() -> Self {
            Self(signal(SignalKind::hangup()).ok())
        }

        /// The same, unless a terminal controls this process: then the signal ends it, as that of a terminal that closes.
        pub(crate) fn without_terminal() -> Self {
            // The device of the controlling terminal (tty(4)).
            if std::fs::File::open("/dev/tty").is_ok() { Self(None) } else { Self::new() }
        }

        /// Waits for the next one.
        pub(crate) async fn next(&mut self) {
            match &mut self.0 {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;

    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_logoff,
        ctrl_shutdown,
    };

    /// The events of a console (Windows, "`HandlerRoutine` callback function"): Ctrl-C and Ctrl-Break; its window
    /// closes, the user logs off, the system stops.
    pub(crate) struct Signals {
        interrupt: CtrlC,
        stop: CtrlBreak,
        close: CtrlClose,
        logoff: CtrlLogoff,
        shutdown: CtrlShutdown,
        /// Windows ends the process a few seconds after one of the last three.
        closing: bool,
    }

    impl Signals {
        /// Receives them from now on.
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: ctrl_c()?,
                stop: ctrl_break()?,
                close: ctrl_close()?,
                logoff: ctrl_logoff()?,
                shutdown: ctrl_shutdown()?,
                closing: false,
            })
        }

        /// Waits for the next one. Those that leave no time to drain count twice.
        pub(crate) async fn next(&mut self) {
            if self.closing {
                return;
            }
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.stop.recv() => {}
                _ = self.close.recv() => self.closing = true,
                _ = self.logoff.recv() => self.closing = true,
                _ = self.shutdown.recv() => self.closing = true,
            }
        }
    }

    /// Windows has no SIGHUP, so this never comes.
    pub(crate) struct Hangup;

    impl Hangup {
        /// Does nothing.
        pub(crate) fn new() -> Self {
            Self
        }

        /// Does nothing.
        pub(crate) fn without_terminal() -> Self {
            Self
        }

        /// Never returns.
        pub(crate) async fn next(&mut self) {
            std::future::pending().await
        }
    }
}
