//! The fields of a readable log line.

use std::error::Error;
use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

use super::shorten::shorten;
use crate::error_chain;
use crate::process::Sanitized;

/// Writes message and fields in the colours and the order of `tracing_subscriber`, with sanitized values: databases and
/// servers choose some of them, and one event is one line.
pub(super) struct OneLine;

impl<'writer> FormatFields<'writer> for OneLine {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut values = Values(DefaultVisitor::new(writer, true));
        fields.record(&mut values);
        values.0.finish()
    }
}

struct Values<'a>(DefaultVisitor<'a>);

impl Visit for Values<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{}", error_chain::text(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = Sanitized(format_args!("{value:?}")).to_string();
        self.0.record_debug(field, &format_args!("{}", shorten(field, &text)));
    }
}
