//! Logs on standard error: readable lines in client mode, JSON for log collectors in server mode.

mod filter;
mod human;
mod json;
mod kind;
mod queue;
mod shorten;
mod stderr;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, warn};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use queue::LogQueue;
pub(crate) use queue::describe;
use stderr::Stderr;

use super::{CommandError, Style};

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One readable line, for the terminal of the client.
    Human,
    /// One JSON object, for the collector of a server's logs.
    Json,
}

impl Format {
    /// The format of a server: JSON. With `DEBUG=true`, which the Go program's operators set to read its log, lines for
    /// people, but only on a terminal: a collector needs JSON.
    pub(crate) fn of_server() -> Self {
        if filter::debug() && io::stderr().is_terminal() { Self::Human } else { Self::Json }
    }
}

/// The log of this process. Clones share it.
#[derive(Clone)]
pub(crate) struct Log {
    variables: filter::Variables,
    handle: reload::Handle<EnvFilter, Registry>,
    queue: LogQueue,
    /// Whether lines below warnings are left out, unless a variable wants them.
    quiet: Arc<AtomicBool>,
}

impl Log {
    /// Uses this level of the configuration where no variable sets one.
    pub(crate) fn configure(&self, level: LevelFilter) {
        let level = if self.quiet.load(Ordering::Relaxed) { level.min(LevelFilter::WARN) } else { level };
        // The variables were valid at start, and the log lives as long as the process.
        let _changed = self.variables.filter(level).map(|filter| self.handle.reload(filter));
    }

    /// From now on, only warnings and errors are written: a command uses the terminal.
    pub(crate) fn quieten(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        self.configure(LevelFilter::WARN);
    }

    /// Whether the lines of a new session could be lost.
    pub(crate) fn may_lose_audit_lines(&self) -> bool {
        self.queue.may_lose_audit_lines()
    }

    /// Waits until all lines are written, for a second at most.
    pub(crate) fn flush(&self) {
        self.queue.flush();
    }
}

/// Starts logging, for the rest of the process. The level is that of `RUST_LOG`, else `LOG_LEVEL`, else `DEBUG`, else the
/// configuration. An unknown `LOG_LEVEL` counts as info, as in the Go program, and is reported here; an invalid `RUST_LOG`
/// is a usage error.
pub(crate) fn start(format: Format) -> Result<Log, CommandError> {
    let variables = filter::Variables::of_process().map_err(CommandError::usage)?;
    let filter = variables.filter(LevelFilter::INFO).map_err(CommandError::usage)?;
    let (layer, handle) = reload::Layer::new(filter);
    let failed =
        |error: &dyn std::fmt::Display| CommandError::Runtime(format!("logging cannot be started: {error}"));
    let queue = LogQueue::start(Stderr).map_err(|error| failed(&error))?;
    subscriber(format, layer, queue.clone()).try_init().map_err(|error| failed(&error))?;
    if let Some(value) = variables.unknown_level() {
        warn!(value, "LOG_LEVEL is none of trace, debug, info, warn and error; it counts as info");
    }
    Ok(Log { variables, handle, queue, quiet: Arc::default() })
}

fn subscriber<W>(
    format: Format,
    filter: impl Layer<Registry> + Send + Sync,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // A log that cannot be written must not stop the proxy, and there is no other place to report it.
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        Format::Human => {
            let lines = lines.with_ansi(Style::of_stderr().coloured).with_target(false);
            lines.with_timer(Seconds).compact().fmt_fields(human::OneLine).boxed()
        }
        Format::Json => lines.with_ansi(false).fmt_fields(JsonFields::new()).event_format(json::Json).boxed(),
    };
    Registry::default().with(filter).with(lines).with(filter::ceiling())
}

/// The time in UTC, to the second.
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", humantime::format_rfc3339_seconds(SystemTime::now()))
    }
}

#[cfg(test)]
mod tests;
