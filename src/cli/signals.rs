//! What the system sends a process that is to stop.

#[cfg(unix)]
pub(super) use unix::Signals;
#[cfg(windows)]
pub(super) use windows::Signals;

#[cfg(unix)]
mod unix {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// SIGTERM and SIGINT. From the moment it exists they no longer kill the process.
    pub(in super::super) struct Signals {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Signals {
        /// Receives them from now on.
        pub(in super::super) fn new() -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            })
        }

        /// The next one.
        pub(in super::super) async fn next(&mut self) {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
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

    /// The events of a console (Windows, "`HandlerRoutine` callback function"): Ctrl-C and Ctrl-Break; its window is
    /// closed, the user logs off, the system stops.
    pub(in super::super) struct Signals {
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
        pub(in super::super) fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: ctrl_c()?,
                stop: ctrl_break()?,
                close: ctrl_close()?,
                logoff: ctrl_logoff()?,
                shutdown: ctrl_shutdown()?,
                closing: false,
            })
        }

        /// The next one. Those that leave no time to drain count twice.
        pub(in super::super) async fn next(&mut self) {
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
}
