//! The process itself: hardening, limits, signals, logging, threads, and how it ends with an error.
//!
//! | file | what it does |
//! |---|---|
//! | `forwarded` | signals that a command receives in place of this process |
//! | `error` | why a command fails, and its exit code |
//! | `file_limit` | raises and checks the limit of open files |
//! | `harden` | keeps the memory of the process private |
//! | `last_line` | a spinner, or the state of the process, in the last line of a terminal |
//! | `logging` | log lines on standard error and the filter in front of them |
//! | `panic_hook` | panics as log lines |
//! | `reexec` | takes a password out of the argument list and the environment |
//! | `runtime` | the threads |
//! | `sanitize`, `style` | texts that command no terminal; colours |
//! | `signals`, `stop` | signals, and the orderly stop after one |
//! | `systemd` | notifications for systemd |
//! | `terminal` | whether a person is at the terminal |

mod error;
mod forwarded;
mod harden;
mod sanitize;
mod signals;
mod style;
mod terminal;

pub(crate) mod file_limit;
pub(crate) mod last_line;
pub(crate) mod logging;
pub(crate) mod panic_hook;
#[cfg(unix)]
pub(crate) mod reexec;
pub(crate) mod runtime;
pub(crate) mod stop;
pub(crate) mod systemd;

pub(crate) use error::CommandError;
pub(crate) use forwarded::Forwarded;
pub(crate) use harden::harden;
pub(crate) use sanitize::Sanitized;
pub(crate) use signals::{Hangup, Signals};
pub(crate) use style::Style;
pub(crate) use terminal::can_prompt;
