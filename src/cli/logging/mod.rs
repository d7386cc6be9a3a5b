//! Logs on standard error: lines for people in client mode, JSON for collectors in server mode.

mod filter;
mod human;
mod json;

use std::io;
use std::time::SystemTime;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::failure::Failure;
use super::output::Style;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One readable line, for the terminal of the client.
    Human,
    /// One JSON object, for the collector of a server's logs.
    Json,
}

/// How much is logged, which can change while the program runs.
#[derive(Clone)]
pub(super) struct Level {
    wish: filter::Wish,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Level {
    /// What the configuration says counts from now on, for what the environment leaves open.
    pub(super) fn configure(&self, level: LevelFilter) {
        // The environment was read before and made sense, and the log lives as long as the process.
        let _changed = self.wish.filter(level).map(|filter| self.filter.reload(filter));
    }
}

/// Starts logging, for the whole process and for good. What is logged is said by `RUST_LOG`, else `LOG_LEVEL`, else
/// `DEBUG`, else the configuration; nonsense in the variables is a usage error.
pub(super) fn start(format: Format) -> Result<Level, Failure> {
    let wish = filter::Wish::of_environment().map_err(Failure::usage)?;
    let filter = wish.filter(LevelFilter::INFO).map_err(Failure::usage)?;
    let (layer, filter) = reload::Layer::new(filter);
    subscriber(format, layer, io::stderr)
        .try_init()
        .map_err(|error| Failure::Runtime(format!("logging cannot be started: {error}")))?;
    Ok(Level { wish, filter })
}

fn subscriber<W>(
    format: Format,
    filter: impl Layer<Registry> + Send + Sync,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // A log that cannot be written must not bring the proxy down, nor can it be told anywhere.
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

/// The time in UTC, to the second: what a person at a terminal needs.
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", humantime::format_rfc3339_seconds(SystemTime::now()))
    }
}

#[cfg(test)]
mod tests;
