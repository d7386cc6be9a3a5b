//! Logs on standard error: lines for people in client mode, JSON for collectors in server mode.

mod filter;
mod json;

use std::io;
use std::time::SystemTime;

use tracing::Subscriber;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

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

/// Starts logging, for the whole process and for good. What is logged is said by `RUST_LOG`, else `LOG_LEVEL`, else
/// `DEBUG`; nonsense in them is a usage error.
pub(super) fn start(format: Format) -> Result<(), Failure> {
    let wish = filter::Wish::of_environment().map_err(Failure::usage)?;
    let filter = wish.filter().map_err(Failure::usage)?;
    subscriber(format, filter, io::stderr)
        .try_init()
        .map_err(|error| Failure::Runtime(format!("logging cannot be started: {error}")))
}

fn subscriber<W>(format: Format, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // A log that cannot be written must not bring the proxy down, nor can it be told anywhere.
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        Format::Human => {
            let lines = lines.with_ansi(Style::of_stderr().coloured).with_target(false);
            lines.with_timer(Seconds).compact().boxed()
        }
        Format::Json => lines.with_ansi(false).fmt_fields(JsonFields::new()).event_format(json::Json).boxed(),
    };
    Registry::default().with(lines).with(filter).with(filter::ceiling())
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
